"""Valid requests, changed by chance: each is answered in form, and nothing fails inside."""

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from . import envelopes
from .asgi import Faces, ask_form, ask_soap
from .cases import GOOD, GOOD_FORM

# Its outcome does not hang on the version of Python.
pytestmark = pytest.mark.once

#: Those that are packed are not changed to advantage.
SOAP = [(each.body, each.content_type) for each in envelopes.good() if not each.content_encoding]
FORMS = [
    (GOOD_FORM, "application/x-www-form-urlencoded"),
    (b'{"recipients": ["32494000000"], "message": "Hi", "apikey": "k"}', "application/json"),
    (
        b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\nHi\r\n--b--\r\n',
        "multipart/form-data; boundary=b",
    ),
]

#: What tends to matter to a parser, to be put anywhere.
PIECES = [
    *(b"<", b">", b"&", b'"', b"'", b"/", b"]]>", b"<![CDATA[", b"<!--", b"-->", b"<?", b"?>"),
    *(b"<!DOCTYPE a>", b"&#0;", b"&#xD83D;", b"&lt;", b"&a;", b"\0", b"\xff", b"\xed\xa0\x80"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"xmlns=''", b" xmlns:s='x'", b"s:", b"href='#1'", b"id='1'"),
    *(b"xsi:type='xsd:base64Binary'", b"mustUnderstand='1'", b"encoding='utf-16'", b"\r\n", b"--"),
    *(b"%", b"%00", b"%ed%a0%80", b"=", b"&&", b"[", b"{", b'"\\ud83d"', b"1e999", b"null"),
]

positions = st.floats(0, 1, exclude_max=True)
changes = st.lists(
    st.tuples(
        st.sampled_from(["insert", "delete", "repeat", "replace", "swap"]),
        positions,
        positions,
        st.one_of(st.sampled_from(PIECES), st.binary(min_size=1, max_size=4)),
    ),
    min_size=1,
    max_size=6,
)


def changed(body: bytes, how: list[tuple[str, float, float, bytes]]) -> bytes:
    """The body after these changes, each at a place given as a part of its length."""
    for change, first, second, piece in how:
        start, end = sorted((int(first * len(body)), int(second * len(body))))
        # Most changes are small: half of a body is seldom of interest.
        end = min(end, start + 40)
        part = body[start:end]
        replacement = {
            "insert": piece + part,
            "delete": b"",
            "repeat": part * 50,
            "replace": piece,
            "swap": part[::-1],
        }[change]
        body = (body[:start] + replacement + body[end:])[:200_000]
    return body


@pytest.fixture(scope="module")
def faces() -> Iterator[Faces]:
    running = Faces()
    yield running
    running.close()


@settings(max_examples=1500)
@given(st.sampled_from(SOAP), changes)
@example((GOOD, "text/xml"), [("replace", 0.0, 0.0, b"")])
def test_a_changed_envelope_is_answered_in_form(faces, request_, how):
    body, kind = request_
    ask_soap(faces, changed(body, how), kind)


@settings(max_examples=500)
@given(st.sampled_from(SOAP), st.text(max_size=60))
def test_an_envelope_of_any_content_type_is_answered_in_form(faces, request_, kind):
    body, _ = request_
    ask_soap(faces, body, kind.encode("latin-1", "replace").decode("latin-1"))


@settings(max_examples=500)
@given(st.binary(max_size=300))
def test_any_bytes_are_answered_in_form(faces, body):
    ask_soap(faces, body)
    for _, kind in FORMS:
        ask_form(faces, body, kind)


@settings(max_examples=500)
@given(st.sampled_from(FORMS), changes)
def test_a_changed_form_is_answered_in_form(faces, request_, how):
    body, kind = request_
    ask_form(faces, changed(body, how), kind)


def test_the_requests_are_good_before_they_are_changed(faces):
    # Other tests of the module have called this backend, too.
    before = len(faces.backend.calls)
    for body, kind in SOAP:
        ask_soap(faces, body, kind)
    assert {call.message for call in faces.backend.calls[before:]} == {
        "Grüße", 'Grüße €, 😀, & < > "', "Hello", "Hello World", "attack-at-dawn",
    }  # fmt: skip
