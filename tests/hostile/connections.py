"""Hostile HTTP: heads, bodies that do not end, requests hidden in requests."""

from collections.abc import Iterator

from .cases import (
    CLOSED,
    FAULT,
    FORM,
    GOOD,
    GOOD_FORM,
    KEY,
    SOAP,
    Case,
    chunked,
    request,
    whole,
)

_MEGABYTE = b"x" * 1024 * 1024
_CHUNK = b"100000\r\n" + _MEGABYTE + b"\r\n"


def head(*lines: str, line: str = f"POST {SOAP} HTTP/1.1") -> bytes:
    hosts = [] if "Host: a" in lines else ["Host: a"]
    return "\r\n".join([line, *hosts, *lines, "", ""]).encode("latin-1")


def _endless(start: bytes, piece: bytes) -> Iterator[bytes]:
    yield start
    while True:
        yield piece


def _ends(name: str, data: bytes, *expected: int | str) -> Case:
    """What is no request that could be answered in peace: 400, or what is given."""
    return whole(name, data, *(expected or (400,)))


#: A complete request that would send a message, if it were taken for one.
HIDDEN = request(GOOD_FORM, FORM)
_LENGTH = f"Content-Length: {len(GOOD)}"

#: Requests of which two readers might see different ends, with another one behind.
SMUGGLING = [
    whole(f"smuggling: {name}", data, 400, then=HIDDEN)
    for name, data in {
        "length and chunks": head("Host: a", "Content-Length: 6", "Transfer-Encoding: chunked")
        + b"0\r\n\r\nG",
        "chunks and length": head("Host: a", "Transfer-Encoding: chunked", "Content-Length: 6")
        + b"0\r\n\r\nG",
        "two lengths": head("Host: a", "Content-Length: 0", _LENGTH) + GOOD,
        "two equal lengths and a list": head("Host: a", "Content-Length: 5, 6") + b"12345",
        "a length with a plus": head("Host: a", "Content-Length: +5") + b"12345",
        "a negative length": head("Host: a", "Content-Length: -5") + b"12345",
        "a length in hexadecimal": head("Host: a", "Content-Length: 0x5") + b"12345",
        "a length with an underscore": head("Host: a", "Content-Length: 1_0") + b"1234567890",
        "a length with letters": head("Host: a", "Content-Length: 5a") + b"12345",
        "an empty length": head("Host: a", "Content-Length:") + b"12345",
        "a length beyond 64 bits": head("Host: a", "Content-Length: " + "9" * 40),
        "a length of Arabic digits": head("Host: a", "Content-Length: \xd9\xa5") + b"12345",
        "a space before the colon": head("Host: a", "Content-Length : 5") + b"12345",
        "chunks, a space before the colon": head("Host: a", "Transfer-Encoding : chunked")
        + b"0\r\n\r\n",
        "an encoding that is not known": head("Host: a", "Transfer-Encoding: xchunked")
        + b"0\r\n\r\n",
        "two encodings": head("Host: a", "Transfer-Encoding: chunked, identity") + b"0\r\n\r\n",
        "chunked twice": head("Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")
        + b"0\r\n\r\n",
        "an encoding with a vertical tab": head("Host: a", "Transfer-Encoding: \x0bchunked")
        + b"0\r\n\r\n",
        "a folded encoding": head("Host: a", "Transfer-Encoding:", " chunked") + b"0\r\n\r\n",
        "a header without a name": head("Host: a", ": chunked") + b"0\r\n\r\n",
        "a line feed in a header": head("Host: a", "X: a\nTransfer-Encoding: chunked")
        + b"0\r\n\r\n",
        "a carriage return in a header": head("Host: a", "X: a\rContent-Length: 5") + b"12345",
        "a NUL in a header": head("Host: a", "X: a\0b"),
        "a chunk size with a sign": head("Host: a", "Transfer-Encoding: chunked")
        + b"-1\r\n\r\n0\r\n\r\n",
        "a chunk size in 0x": head("Host: a", "Transfer-Encoding: chunked")
        + b"0x5\r\n12345\r\n0\r\n\r\n",
        "a chunk size with an underscore": head("Host: a", "Transfer-Encoding: chunked")
        + b"1_0\r\n1234567890123456\r\n0\r\n\r\n",
        "a chunk that is longer than it says": head("Host: a", "Transfer-Encoding: chunked")
        + b"2\r\n12345\r\n0\r\n\r\n",
    }.items()
]

HEADS = [
    _ends("nothing but line ends", b"\r\n" * 1000 + b"x\r\n\r\n"),
    _ends("a word", b"hello\r\n\r\n"),
    _ends("TLS to a port without", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    _ends("SSH", b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n"),
    _ends("SMTP", b"EHLO example.com\r\n\r\n"),
    _ends("HTTP/2 without a word before", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 505),
    _ends("HTTP/0.9", b"GET /sendsms/soap/?wsdl\r\n\r\n"),
    _ends("HTTP/7", head(line=f"POST {SOAP} HTTP/7"), 400, 505),
    _ends("random bytes", bytes(range(256)) * 20 + b"\r\n\r\n"),
    _ends("a method in small letters", head(line=f"post {SOAP} HTTP/1.1")),
    _ends("a request line of 8,200 letters", head(line="GET /" + "a" * 8200 + " HTTP/1.1"), 414),
    _ends("a request line of 1 MB", head(line="GET /" + "a" * 1024 * 1024), 414, 431),
    _ends("a header of 9,000 letters", head("X: " + "a" * 9000), 431),
    _ends("a header of 1 MB", head("X: " + "a" * 1024 * 1024), 431),
    _ends("200 headers", head(*["X: y"] * 200), 431),
    _ends("100,000 headers", head(*["X: y"] * 100_000), 400, 431),
    _ends("a header's name with a space", head("Bad Name: x")),
    Case(
        name="an endless header",
        pieces=lambda: _endless(head()[:-2] + b"X: ", b"x" * 1000),
        expected=frozenset({431}),
    ),
    Case(
        name="endless headers",
        pieces=lambda: _endless(head()[:-2], b"X: y\r\n" * 100),
        expected=frozenset({400, 431}),
    ),
    _ends("a blank in the query", head(line=f"GET /sendsms/?message=a b&apikey={KEY} HTTP/1.1")),
    _ends("no Host", head().replace(b"Host: a\r\n", b"")),
    _ends("two Hosts", head("Host: b")),
    _ends("CONNECT", b"CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400, 404, 405),
    _ends("a path that climbs", head("Host: a", line="GET /../../etc/passwd HTTP/1.1"), 404),
    _ends(
        "a path that climbs in per cent",
        head("Host: a", line="GET /static/%2e%2e/%2e%2e/%2e%2e/etc/passwd HTTP/1.1"),
        404,
    ),
    _ends("a NUL in the path", head("Host: a", line="GET /\0 HTTP/1.1"), 400, 404),
    _ends("a NUL in the path in per cent", head("Host: a", line="GET /%00 HTTP/1.1"), 404),
    _ends("bytes that are no UTF-8 in the path", head(line="GET /%ff%fe HTTP/1.1"), 404),
    _ends("a body with a GET", request(GOOD).replace(b"POST", b"GET", 1), 405),
    _ends("a WebSocket", head("Host: a", "Connection: Upgrade", "Upgrade: websocket",
          "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
          line=f"GET {SOAP} HTTP/1.1"), 405),
]  # fmt: skip

BODIES = [
    Case(
        name="an endless body",
        pieces=lambda: _endless(head("Content-Length: 99999999999"), _MEGABYTE),
        expected=frozenset({FAULT}),
    ),
    Case(
        name="an endless body in chunks",
        pieces=lambda: _endless(head("Transfer-Encoding: chunked"), _CHUNK),
        expected=frozenset({FAULT}),
    ),
    Case(
        name="an endless line of a chunk's size",
        pieces=lambda: _endless(head("Transfer-Encoding: chunked"), b"0" * 1000),
        expected=frozenset({400, FAULT, CLOSED}),
    ),
    Case(
        name="an endless extension of a chunk",
        pieces=lambda: _endless(head("Transfer-Encoding: chunked") + b"5;", b"a" * 1000),
        expected=frozenset({400, FAULT, CLOSED}),
    ),
    Case(
        name="a chunk of a size beyond 64 bits",
        pieces=lambda: _endless(
            head("Transfer-Encoding: chunked") + b"f" * 17 + b"\r\n", _MEGABYTE
        ),
        expected=frozenset({400, FAULT}),
    ),
    Case(
        name="endless trailers",
        pieces=lambda: _endless(
            head("Transfer-Encoding: chunked") + b"5\r\n12345\r\n0\r\n", b"X: y\r\n" * 100
        ),
        expected=frozenset({400, 431, FAULT, CLOSED}),
    ),
    whole(
        "a body of 200,000 chunks",
        head("Transfer-Encoding: chunked") + chunked(b"x" * 200_000, 1),
        400,
        FAULT,
    ),
    whole("a body in chunks that breaks off", head("Transfer-Encoding: chunked") + b"zz\r\n", 400),
]

CASES = [*HEADS, *BODIES]
