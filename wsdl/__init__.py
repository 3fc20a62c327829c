"""The published contract, sendSmsNow.wsdl, as package data."""

import re
from pathlib import Path
from xml.sax.saxutils import escape

#: The WSDL as it is checked in; its address is that of a local server.
PATH = Path(__file__).with_name("sendSmsNow.wsdl")

_LOCATION = re.compile(rb'(<soap(?:12)?:address location=")[^"]*(")')

# What the file has for SOAP 1.2, the declaration of its prefix included: gSOAP goes over to
# SOAP 1.2 when it sees the prefix.
_SOAP12 = re.compile(
    rb'\n *xmlns:soap12="[^"]*"'
    rb'|\n  <wsdl:binding name="sendSmsNowBinding12".*?</wsdl:binding>'
    rb'|\n    <wsdl:port name="sendSmsNowPort12".*?</wsdl:port>'
    rb"| and SOAP 1\.2 at one address(?=\.</wsdl:documentation>)",
    re.DOTALL,
)


def document(address: str, *, soap12: bool = True) -> bytes:
    """The contract as a server at `address` publishes it.

    Byte for byte the file at `PATH`, save the location of its two ports. Without `soap12` the
    binding and the port of SOAP 1.2 are left out, for programs that take one binding only.
    """
    contract = PATH.read_bytes()
    if not soap12:
        contract, left_out = _SOAP12.subn(b"", contract)
        assert left_out == 4
    location = escape(address, {'"': "&quot;"}).encode()
    published, ports = _LOCATION.subn(lambda found: found[1] + location + found[2], contract)
    assert ports == 1 + soap12
    return published
