"""The published contract, sendSmsNow.wsdl, as package data."""

import re
from pathlib import Path
from xml.sax.saxutils import escape

#: The WSDL as it is checked in; its address is that of a local server.
PATH = Path(__file__).with_name("sendSmsNow.wsdl")

_LOCATION = re.compile(rb'(<soap(?:12)?:address location=")[^"]*(")')


def document(address: str) -> bytes:
    """The contract as a server at `address` publishes it.

    Byte for byte the file at `PATH`, save the location of its two ports.
    """
    location = escape(address, {'"': "&quot;"}).encode()
    published, ports = _LOCATION.subn(
        lambda found: found[1] + location + found[2], PATH.read_bytes()
    )
    assert ports == 2
    return published
