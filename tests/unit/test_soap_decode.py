"""From the bytes of a request to an XML document in UTF-8."""

import codecs
import gzip
import zlib

import pytest

from soap_server import decode
from soap_server.faults import SoapFault

TEXT = "<a>Grüße €, 😀</a>"
# Without its time, so that every process that collects the tests sees the same.
PACKED = gzip.compress(TEXT.encode(), mtime=0)
LATIN = "<a>Grüße</a>"
LIMIT = 10_000


def read(body: bytes, content_type: str = "text/xml", encoding: str = "") -> str:
    return decode.xml(body, content_type, encoding, LIMIT).decode("utf-8")


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (TEXT.encode(), "text/xml", TEXT),
        (TEXT.encode(), "text/xml; charset=utf-8", TEXT),
        (TEXT.encode(), 'text/xml; charset="UTF-8"', TEXT),
        (TEXT.encode(), "text/xml; charset=ISO-8859-1", TEXT),
        (TEXT.encode(), "text/xml; charset=no-such-thing", TEXT),
        (TEXT.encode(), "", TEXT),
        (codecs.BOM_UTF8 + TEXT.encode(), "text/xml; charset=ISO-8859-1", TEXT),
        (b"\r\n  " + TEXT.encode(), "text/xml", TEXT),
        (TEXT.encode("utf-16"), "text/xml", TEXT),
        (TEXT.encode("utf-16-le"), "text/xml", TEXT),
        (TEXT.encode("utf-16-be"), "text/xml; charset=utf-16", TEXT),
        (TEXT.encode("utf-32"), "text/xml", TEXT),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "text/xml", TEXT),
        (LATIN.encode("latin-1"), "text/xml; charset=ISO-8859-1", LATIN),
        (LATIN.encode("latin-1"), 'text/xml; CHARSET="iso-8859-1"; x=y', LATIN),
        ("<a>€</a>".encode("cp1252"), "text/xml; charset=ISO-8859-1", "<a>€</a>"),
        ("<a>€</a>".encode("iso8859-15"), "text/xml; charset=ISO-8859-15", "<a>€</a>"),
        (b"<a>\x81</a>", "text/xml; charset=windows-1252", "<a>\x81</a>"),
        ("<a>Привет</a>".encode("cp1251"), "text/xml; charset=windows-1251", "<a>Привет</a>"),
        # These bytes are valid UTF-8 by chance; the label knows better.
        ("<a>联通</a>".encode("gb18030"), "text/xml; charset=GB2312", "<a>联通</a>"),
        ("<a>日本</a>".encode("cp932"), "text/xml; charset=Shift_JIS", "<a>日本</a>"),
    ],
)
def test_text_is_read_in_the_character_set_it_is_in(body, content_type, text):
    assert read(body, content_type) == text


@pytest.mark.parametrize("quote", ["'", '"'])
def test_the_declaration_tells_the_character_set_when_the_content_type_does_not(quote):
    document = f"<?xml version={quote}1.0{quote} encoding={quote}iso-8859-1{quote}?><a>Grüße</a>"
    assert read(document.encode("latin-1")) == document


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (LATIN.encode("latin-1"), "text/xml"),
        (LATIN.encode("latin-1"), "text/xml; charset=utf-8"),
        (LATIN.encode("latin-1"), "text/xml; charset=no-such-thing"),
        (codecs.BOM_UTF8 + LATIN.encode("latin-1"), "text/xml"),
        (codecs.BOM_UTF16_LE + b"<\0a\0>\0\x3d\xd8", "text/xml"),
        (b"<a>\x81\x20</a>", "text/xml; charset=Shift_JIS"),
        (b"", "text/xml"),
        (b" \r\n", "text/xml"),
    ],
)
def test_text_in_no_known_character_set_is_refused(body, content_type):
    with pytest.raises(SoapFault):
        read(body, content_type)


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (PACKED, "gzip"),
        (PACKED, "x-gzip"),
        (PACKED, " GZIP "),
        (zlib.compress(TEXT.encode()), "deflate"),
        (zlib.compress(TEXT.encode(), wbits=-15), "deflate"),
        (TEXT.encode(), "identity"),
    ],
)
def test_a_packed_body_is_unpacked(packed, encoding):
    assert read(packed, encoding=encoding) == TEXT


def test_a_body_may_unpack_to_the_limit_and_not_beyond():
    exact = b"<a>" + b"x" * (LIMIT - 7) + b"</a>"
    assert len(read(gzip.compress(exact), encoding="gzip")) == LIMIT
    with pytest.raises(SoapFault, match="too large"):
        read(gzip.compress(exact + b"\n"), encoding="gzip")


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (PACKED[:-9], "gzip"),
        (PACKED + b"more", "gzip"),
        (TEXT.encode(), "gzip"),
        (b"", "gzip"),
        (b"", "deflate"),
        (TEXT.encode(), "br"),
        (PACKED, "gzip, gzip"),
    ],
)
def test_a_damaged_or_strange_packing_is_refused(packed, encoding):
    with pytest.raises(SoapFault):
        read(packed, encoding=encoding)


def part(headers: str, content: bytes) -> bytes:
    return b"\r\n--b(1)\r\n" + headers.encode() + b"\r\n\r\n" + content


RELATED = 'multipart/related; type="text/xml"; boundary="b(1)"'


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (part("Content-Type: text/xml", TEXT.encode()) + b"\r\n--b(1)--\r\n", RELATED, TEXT),
        (part("Content-Type: text/xml", TEXT.encode())[2:] + b"\r\n--b(1)--", RELATED, TEXT),
        (
            part("Content-ID: <1>", b"no") + part("Content-ID: <2>", TEXT.encode()),
            RELATED + '; start="<2>"',
            TEXT,
        ),
        (
            part("content-type: text/xml;\r\n charset=iso-8859-1", LATIN.encode("latin-1")),
            RELATED,
            LATIN,
        ),
        (part("Content-Transfer-Encoding: base64", b"PGEv\r\nPg=="), RELATED, "<a/>"),
        (
            part("Content-Transfer-Encoding: quoted-printable", b"<a>=\r\n=26</a>"),
            RELATED,
            "<a>&</a>",
        ),
        (b"--b\n\n<a/>\n--b--\n", "multipart/related; boundary=b", "<a/>"),
    ],
)
def test_the_envelope_is_found_in_a_multipart_body(body, content_type, text):
    assert read(body, content_type) == text


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (part("Content-Type: text/xml", b"<a/>"), "multipart/related"),
        (part("Content-Type: text/xml", b"<a/>"), 'multipart/related; boundary="another"'),
        (part("Content-ID: <1>", b"<a/>"), RELATED + '; start="<2>"'),
        (part("Content-Transfer-Encoding: base64", b"P"), RELATED),
        (part("Content-Transfer-Encoding: x-uuencode", b"<a/>"), RELATED),
        (b"\r\n--b(1)" * 10_000, RELATED),
    ],
)
def test_a_multipart_body_without_an_envelope_is_refused(body, content_type):
    with pytest.raises(SoapFault):
        read(body, content_type)


@pytest.mark.parametrize(
    ("references", "text"),
    [
        (b"&#55357;&#56832;", "😀"),
        (b"&#xD83D;&#xDE00;", "😀"),
        (b"&#xd83d;&#56832;", "😀"),
        (b"&#x0D83D;&#056832;", "😀"),
        (b"&#55296;&#56320;&#56319;&#57343;", "\U00010000\U0010ffff"),
        (b"&#128512;", "&#128512;"),
        (b"&#56832;&#55357;", "&#56832;&#55357;"),
        (b"&#55357;", "&#55357;"),
        (b"&#55357; &#56832;", "&#55357; &#56832;"),
    ],
)
def test_references_to_the_halves_of_a_surrogate_pair_are_joined(references, text):
    assert read(b"<a>" + references + b"</a>") == f"<a>{text}</a>"
