"""spyne on every Python we run on, and what it does behind a server's back."""

import logging
import math
import subprocess
import sys

import spyne.const
from support.soap_face import RecordingBackend

from soap_server import SoapApp


def test_the_face_is_imported_without_a_warning_and_none_comes_of_later_imports():
    # -W error makes the warning of a finder that lacks find_spec (Python 3.11) an exception.
    code = "import soap_server, importlib.util as i; print(i.find_spec('there_is_no_such_module'))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"


def test_spyne_neither_logs_nor_collects_garbage():
    SoapApp(RecordingBackend(), "http://localhost:8000")
    invalid = logging.getLogger("spyne.protocol.soap.soap11.invalid")
    assert not invalid.isEnabledFor(logging.CRITICAL)
    assert math.inf == spyne.const.MIN_GC_INTERVAL
