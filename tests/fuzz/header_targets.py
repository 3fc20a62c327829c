"""What is tried with an input as the headers of a request, and what has to hold then."""

import re
import time

from hostile import headers
from hostile.asgi import Faces
from hostile.test_express import reads_alike

from sms_gateway.web import params, unreadable

#: Seconds of processor time that a request may take: the promise of docs/hostile.md.
_MOST = 0.05
_TRIES = 3
#: An input's first octet says which of these is asked.
_ASKED = (
    ("GET", "/sendsms/", b"recipients=1&message=m&apikey=secret"),
    ("POST", "/sendsms/", b""),
    ("POST", "/sendsms/soap/", b""),
    ("GET", "/sendsms/soap/", b"wsdl"),
    ("GET", "/", b""),
    ("GET", "/sendsms/test", b""),
    ("POST", "/sendsms/test", b""),
    ("GET", "/static/a/style.css", b""),
    ("GET", "/healthz", b""),
)
_STATUSES = (200, 400, 403, 404, 405, 413, 415, 500)
# What gunicorn lets pass as a header; the rest never gets to an application.
_LINE = re.compile(rb"([!#$%&'*+.^`|~0-9A-Za-z-]{1,60}):[ \t]*([\t -~\x80-\xff]{0,8190})")

_faces = Faces()


def try_all(data: bytes) -> None:
    """Try an input; AssertionError where something does not hold."""
    if not data:
        return
    method, path, query = _ASKED[data[0] % len(_ASKED)]
    _answered(method, path, query, data[1:])
    _described(data[1:])
    reads_alike(b"%b %b?%b HTTP/1.1\r\n%b" % (method.encode(), path.encode(), query, data[1:]))


def _answered(method: str, path: str, query: bytes, written: bytes) -> None:
    """Whatever the headers are, the answer is one of ours, soon, and nothing fails."""
    lines = [line.rstrip(b"\r") for line in written.split(b"\n")[:100]]
    found = [
        (match[1].lower(), match[2].rstrip()) for line in lines if (match := _LINE.fullmatch(line))
    ]
    spent: list[float] = []
    while len(spent) < _TRIES and (not spent or spent[-1] > _MOST):
        began = time.process_time()
        status, answer = _faces.ask(method, path, query, found)
        spent.append(time.process_time() - began)
        assert status in _STATUSES
        assert status != 500 or b"Fault" in answer
    assert min(spent) <= _MOST
    _faces.backend.calls.clear()


def _described(written: bytes) -> None:
    """Whatever is written, what is wrong with it is said in our words."""
    for head in (written, b"GET /sendsms/?" + written, b"GET / HTTP/1.1\r\n" + written):
        assert unreadable.reason(400, head, in_body=False) in unreadable.REASONS
        unreadable.head_of(head)
        params.options_of(head)


def seeds() -> list[bytes]:
    """Inputs to begin with: each hostile header, cut short, for each of what is asked."""
    found = [
        f"{name}: {value[:200]}\r\n".encode("latin-1") for name, value in headers.HEADERS.values()
    ]
    return [bytes([number % len(_ASKED)]) + each for number, each in enumerate(found)]
