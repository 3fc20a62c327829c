"""What express reads, each of gunicorn's parsers reads alike: where requests end is no matter
of opinion."""

import importlib.util
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from gunicorn.asgi.parser import CallbackRequest, PythonProtocol
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sms_gateway.serving import asgi_connection
from sms_gateway.web import express

from . import connections, documents, forms
from .cases import FORM, GOOD, GOOD_FORM, SOAP, Case, request
from .test_mutations import changed, positions

RECORDED = sorted((Path(__file__).parents[1] / "recorded" / "soap").glob("*.http"))
GET = (
    b"GET /sendsms/?recipients=%2B32494000000&message=Hi+there&apikey=k HTTP/1.1\r\nHost: a\r\n\r\n"
)
PLAIN = [
    GET,
    GET.replace(b"Host: a", b"host:a\r\nConnection: Keep-Alive\r\nAccept: */*"),
    request(GOOD),
    request(GOOD, Connection="keep-alive", SOAPAction='"urn:sendSmsNow#sendSms"'),
    request(GOOD_FORM, FORM),
    request(b"", FORM),
    request(GOOD_FORM, FORM)[:-10],
]


def parsers() -> Iterator[type[Any]]:
    yield PythonProtocol
    if importlib.util.find_spec("gunicorn_h1c"):
        import gunicorn_h1c

        yield gunicorn_h1c.H1CProtocol


def reads_alike(data: bytes) -> bool:
    """Whether express reads this; AssertionError where a parser reads something else."""
    read = express.read(data)
    if read is None:
        return False
    head, body, missing = read
    assert asgi_connection._HEAD.match(data)
    for parser_class in parsers():
        pieces: list[bytes] = []
        parser = parser_class(
            on_headers_complete=lambda: False,
            on_body=pieces.append,
            limit_request_line=8190,
            limit_request_fields=100,
            limit_request_field_size=8190,
        )
        parser.feed(data)
        found = CallbackRequest.from_parser(parser)
        assert found.method.encode() + b" " + found.raw_path == head.what
        assert found.path.encode() == found.raw_path
        assert found.query.encode() == head.query
        assert found.version == (1, 1)
        assert sorted(found.headers_bytes) == sorted(head.headers.items())
        assert b"".join(pieces) == body
        assert found.content_length == len(body) + missing == head.length
        assert not found.chunked
        assert not found.should_close()
        assert bool(parser.is_complete) == (not missing)
        assert not parser.is_complete or not parser.remaining()
    return True


@pytest.mark.parametrize("data", PLAIN)
def test_a_plain_request_goes_express(data: bytes) -> None:
    assert reads_alike(data)


@pytest.mark.parametrize("data", PLAIN)
def test_nothing_is_read_before_the_head_is_complete(data: bytes) -> None:
    end = data.index(b"\r\n\r\n") + 4
    for length in range(end):
        assert express.read(data[:length]) is None
    for length in range(end, len(data) + 1):
        assert reads_alike(data[:length])


def test_what_real_stacks_send_on_connections_that_they_keep_goes_express() -> None:
    taken = {path.stem for path in RECORDED if reads_alike(path.read_bytes())}
    kept = {
        path.stem
        for path in RECORDED
        if b" HTTP/1.1\r\n" in (head := path.read_bytes().partition(b"\r\n\r\n")[0])
        and not re.search(rb"^Connection: .*close", head, re.MULTILINE)
    }
    assert taken == kept
    assert len(kept) > 10


@pytest.mark.parametrize(
    "case",
    [*connections.SMUGGLING, *connections.CASES, *documents.CASES, *forms.CASES],
    ids=lambda case: case.name,
)
def test_what_is_hostile_is_read_alike_or_left_alone(case: Case) -> None:
    data = b""
    for piece in islice(case.pieces(), 20):
        data += piece
        reads_alike(data[:300_000])


@pytest.mark.parametrize("case", connections.SMUGGLING, ids=lambda case: case.name)
def test_what_hides_another_request_is_left_alone(case: Case) -> None:
    assert express.read(b"".join(case.pieces())) is None


OTHER = {
    "another version": GET.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "another method": GET.replace(b"GET", b"HEAD"),
    "a method in small letters": GET.replace(b"GET", b"get"),
    "an absolute form": GET.replace(b"/sendsms", b"http://a/sendsms"),
    "an escaped path": GET.replace(b"/sendsms", b"/%73endsms"),
    "a fragment": GET.replace(b"apikey=k", b"apikey=k#x"),
    "a blank in the query": GET.replace(b"+there", b" there"),
    "bytes above ASCII in the query": GET.replace(b"+there", b"\xc3\xa9"),
    "two blanks": GET.replace(b" HTTP", b"  HTTP"),
    "lines that end in a line feed": GET.replace(b"\r\n", b"\n"),
    "an empty line in front": b"\r\n" + GET,
    "no headers": b"GET /sendsms/ HTTP/1.1\r\n\r\n",
    "no Host": GET.replace(b"Host", b"Hos"),
    "two hosts": GET.replace(b"\r\n\r\n", b"\r\nHost: a\r\n\r\n"),
    "a header twice": GET.replace(b"\r\n\r\n", b"\r\nX: y\r\nx: y\r\n\r\n"),
    "a folded header": GET.replace(b"\r\n\r\n", b"\r\n x\r\n\r\n"),
    "a blank before a colon": GET.replace(b"Host:", b"Host :"),
    "a header with an underscore": GET.replace(b"Host", b"X_Y: z\r\nHost"),
    "a header that may contradict another": GET.replace(b"Host", b"X-Forwarded-Ssl: on\r\nHost"),
    "a tab in a header": GET.replace(b"Host: ", b"Host:\t"),
    "bytes above ASCII in a header": GET.replace(b"Host: a", b"Host: \xe9"),
    "too many headers": GET[:-2] + b"".join(b"X%d: y\r\n" % n for n in range(50)) + b"\r\n",
    "a long head": GET.replace(b"Host: a", b"Host: a\r\nX: " + b"y" * express.MOST_HEAD),
    "a connection that is to close": GET.replace(b"Host", b"Connection: close\r\nHost"),
    "an upgrade": GET.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: h2c\r\nHost"),
    "something to expect": request(GOOD, Expect="100-continue"),
    "chunks": request(GOOD, Content_Length="", Transfer_Encoding="chunked"),
    "chunks and a length": request(GOOD, Transfer_Encoding="chunked"),
    "a length with a zero in front": request(GOOD, Content_Length=f"0{len(GOOD)}"),
    "a length with a plus": request(GOOD, Content_Length=f"+{len(GOOD)}"),
    "two lengths": request(GOOD, Content_Length="5, 5"),
    "a body with a GET": request(b"a=b", FORM).replace(b"POST", b"GET"),
    "an empty body with a GET": request(b"", FORM).replace(b"POST", b"GET"),
    "a large body": request(b"x" * (express.MOST_BODY + 1)),
    "a byte behind": request(GOOD) + b"P",
    "two requests": GET + GET,
}  # fmt: skip


@pytest.mark.parametrize("data", OTHER.values(), ids=OTHER)
def test_whatever_is_not_plain_is_left_alone(data: bytes) -> None:
    assert express.read(data) is None


def test_a_request_may_be_as_large_as_is_said() -> None:
    assert reads_alike(request(b"x" * express.MOST_BODY))
    padding = b"y" * (express.MOST_HEAD - len(GET) - 5)
    assert reads_alike(GET.replace(b"Host: a", b"Host: a\r\nX: " + padding))


#: What tends to matter to those who read heads, to be put anywhere.
PIECES = [
    *(b"\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b"\x0b", b"\x85", b"\xa0", b"\xff", b":", b","),
    *(b"?", b"#", b"%20", b"%2f", b"//", b"/../", b"\r\n\r\n", b" HTTP/1.0", b" HTTP/1.1", b"http://b"),
    *(b"Content-Length: 5\r\n", b"content-length:0\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Host: b\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"X-Y: z\r\n"),
    *(b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"0", b"1", b"+", b"-", b"_", b"0x"),
]  # fmt: skip
head_changes = st.lists(
    st.tuples(
        st.sampled_from(["insert", "delete", "repeat", "replace", "swap"]),
        positions,
        positions,
        st.one_of(st.sampled_from(PIECES), st.binary(min_size=1, max_size=3)),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=1000)
@given(st.sampled_from(PLAIN), head_changes)
@example(GET, [("insert", 0.0, 0.0, b"\r\n")])
def test_a_changed_request_is_read_alike_or_left_alone(data, how):
    head, _, body = data.partition(b"\r\n\r\n")
    reads_alike(changed(head + b"\r\n\r\n", how) + body)
    reads_alike(changed(data, how))


names = st.one_of(
    st.sampled_from(["Connection", "Content-Type", "TE", "Expect", "Upgrade", "Trailer", "x_y"]),
    st.text("abcXYZ-!#$%&'*+.^_`|~019", min_size=1, max_size=8),
)
values = st.one_of(
    st.sampled_from(["close", "keep-alive", "Keep-Alive", " keep-alive ", "5", "", "chunked"]),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20),
)


@settings(max_examples=500)
@given(
    st.sampled_from(["GET", "POST"]),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30),
    st.lists(st.tuples(names, values), max_size=5),
    st.binary(max_size=30),
    st.integers(-2, 2),
)
def test_a_request_of_any_headers_is_read_alike_or_left_alone(method, query, headers, body, more):
    lines = [f"{method} {SOAP}?{query} HTTP/1.1", "Host: a", *(f"{n}:{v}" for n, v in headers)]
    if method == "POST":
        lines.append(f"Content-Length: {max(0, len(body) + more)}")
    reads_alike("\r\n".join([*lines, "", ""]).encode() + (body if method == "POST" else b""))
