"""What the pages read of headers themselves."""

import time

import pytest
from hostile.asgi import Faces

from sms_gateway.network import clients
from sms_gateway.web.pages import headers

TOKEN = "0123456789abcdef" * 4
OTHER = "f" * 64


@pytest.mark.parametrize(
    ("cookies", "token"),
    [
        ([f"visit={TOKEN}"], TOKEN),
        ([f"visit={TOKEN};"], TOKEN),
        ([f"a=b; visit={TOKEN}; c=d"], TOKEN),
        ([f"a=b;visit={TOKEN};c=d"], TOKEN),
        (["a=b", f"visit={TOKEN}"], TOKEN),
        ([f"visit=; visit={TOKEN}"], TOKEN),
        ([f"visit={TOKEN}; visit={OTHER}"], TOKEN),
        ([f'a="x; visit={TOKEN}"'], ""),
        ([f'visit="{TOKEN}"'], ""),
        ([f"Visit={TOKEN}"], ""),
        ([f"visit2={TOKEN}"], ""),
        ([f"xvisit={TOKEN}"], ""),
        ([f"__Host-visit={TOKEN}"], ""),
        ([f"visit={TOKEN[:-1]}"], ""),
        ([f"visit={TOKEN}0"], ""),
        ([f"visit={TOKEN[:-1]}\xe9"], ""),
        ([f"visit={TOKEN[:-1]}="], ""),
        (["visit"], ""),
        ([""], ""),
        ([], ""),
    ],
)
def test_of_cookies_the_secret_is_read_and_nothing_else(cookies, token):
    given = [(b"x", b"y"), *((b"cookie", each.encode("latin-1")) for each in cookies)]
    assert headers.token(given, "visit") == token


@pytest.mark.parametrize(
    ("lines", "hops"),
    [
        ([], []),
        ([""], [""]),
        (["a"], ["a"]),
        (["a, b", "c"], ["c", "b", "a"]),
        (["a,,b "], ["b", "", "a"]),
        (["x," * 40 + "y"], ["y", *"x" * (clients.MOST_HOPS - 1)]),
        (["x"] * 40 + ["y"], ["y", *"x" * (clients.MOST_HOPS - 1)]),
    ],
)
def test_the_nearest_hops_are_told_first_and_no_more_than_so_many(lines, hops):
    given = [(b"x-forwarded-for", line.encode()) for line in lines]
    assert list(clients.hops([*given, (b"x", b"y")])) == hops


def test_quotes_and_backslashes_of_64_kb_are_read_at_once():
    given = [(b"cookie", b'a="' + b"\\" * 8000 + b'"'), (b"cookie", b"=;" * 4000)] * 4

    def spent() -> float:
        began = time.process_time()
        assert headers.token(given, "visit") == ""
        return time.process_time() - began

    # The least of several: another process may take the processor in the middle of one.
    assert min(spent() for _ in range(5)) < 0.05


def test_no_cookie_is_read_by_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    # http.cookies takes a time that grows with the square of the length in Pythons before 3.12.5.
    def read(*_: object) -> None:
        pytest.fail("a library reads cookies")

    monkeypatch.setattr("starlette.requests.cookie_parser", read)
    monkeypatch.setattr("http.cookies.SimpleCookie.load", read)
    faces = Faces()
    try:
        for path in ("/", "/sendsms/test", "/sendsms/", "/sendsms/soap/", "/nowhere"):
            cookie = [(b"cookie", b"visit=" + TOKEN.encode()), (b"accept", b"text/html")]
            status, _ = faces.ask("GET", path, b"", cookie)
            assert status in (200, 404, 405)
    finally:
        faces.close()
