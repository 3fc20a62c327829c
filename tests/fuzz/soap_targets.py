"""What is tried with an input as a request to the SOAP face, and what has to hold then."""

import re

from hostile import envelopes
from hostile.asgi import Faces, ask_soap

#: An input's first octet says which of these it claims to be.
_TYPES = (
    "text/xml",
    "text/xml; charset=iso-8859-1",
    "application/soap+xml; charset=utf-8",
    "multipart/related; boundary=b",
    'multipart/related; type="text/xml"; start="<a>"; boundary="b"',
    "",
)

_faces = Faces()


def try_all(data: bytes) -> None:
    """Try an input; AssertionError where something does not hold."""
    if data:
        ask_soap(_faces, data[1:], _TYPES[data[0] % len(_TYPES)])
        _faces.backend.calls.clear()


def seeds() -> list[bytes]:
    """Inputs to begin with: the bodies that real stacks send."""
    found = []
    for each in envelopes.good():
        if boundary := re.search('boundary="?([^";]+)', each.content_type):
            found.append(b"\x03" + each.body.replace(boundary[1].encode(), b"b"))
        else:
            found.append(b"\x00" + each.body)
    return found
