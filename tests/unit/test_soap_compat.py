"""spyne on every Python we run on, and its log."""

import logging
import subprocess
import sys

from support.soap_face import RecordingBackend

from soap_server import SoapApp


def test_the_face_is_imported_without_a_warning_and_none_comes_of_later_imports():
    # -W error makes the warning of a finder that lacks find_spec (Python 3.11) an exception.
    code = "import soap_server, importlib.util as i; print(i.find_spec('there_is_no_such_module'))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"


def test_spyne_does_not_log():
    SoapApp(RecordingBackend(), "http://localhost:8000")
    invalid = logging.getLogger("spyne.protocol.soap.soap11.invalid")
    assert not invalid.isEnabledFor(logging.CRITICAL)
