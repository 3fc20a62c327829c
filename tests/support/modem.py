"""What tests of modems need."""

import importlib.util
import sys
from pathlib import Path

from .needs import lacking


def dummy_modem() -> tuple[str, ...]:
    """The command that drives Gammu's dummy phone; skips where there is no Gammu."""
    if importlib.util.find_spec("gammu") is None:
        lacking("needs python-gammu, which has wheels for Linux on x86-64 and ARM")
    return sys.executable, str(Path(__file__).with_name("modem_child.py"))
