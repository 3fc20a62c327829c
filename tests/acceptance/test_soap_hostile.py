"""What a stranger may throw at the SOAP face: a proper fault each time, and the server goes on."""

import gzip
import http.client
import zlib
from collections.abc import Iterator

import pytest
from lxml import etree
from support.soap_face import ENDPOINT, Face, soap_face

NS = "http://schemas.xmlsoap.org/soap/envelope/"
CALL = (
    b'<sendSms xmlns="urn:sendSmsNow"><recipients>0032494000000</recipients>'
    b"<message>Hello</message><apikey>secret-key</apikey></sendSms>"
)
GOOD = b'<s:Envelope xmlns:s="%s"><s:Body>%s</s:Body></s:Envelope>' % (NS.encode(), CALL)
MEGABYTE = 1024 * 1024

LAUGHS = (
    b'<!DOCTYPE a [<!ENTITY a0 "ha">'
    + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 20))
    + b"]>"
)
QUADRATIC = b'<!DOCTYPE a [<!ENTITY a "%s">]>' % (b"a" * 50_000)
FILE = b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
NET = b'<!DOCTYPE a [<!ENTITY % a SYSTEM "http://127.0.0.1:9/"> %a;]>'


def with_text(text: bytes) -> bytes:
    return GOOD.replace(b"Hello", text)


CASES = {
    "billion laughs": LAUGHS + with_text(b"&a19;"),
    "billion laughs in an attribute": LAUGHS + GOOD.replace(b"<sendSms", b'<sendSms a="&a19;"'),
    "quadratic blow-up": QUADRATIC + with_text(b"&a;" * 5000),
    "a file as entity": FILE + with_text(b"&a;"),
    "an address as parameter entity": NET + GOOD,
    "an undefined entity": with_text(b"&nbsp;"),
    "100,000 attributes": GOOD.replace(
        b"<sendSms", b"<sendSms" + b"".join(b' a%d="1"' % n for n in range(100_000))
    ),
    "20,000 attributes": GOOD.replace(
        b"<sendSms", b"<sendSms" + b"".join(b' a%x="1"' % n for n in range(20_000))
    ),
    "10,000 namespaces": GOOD.replace(
        b"<sendSms", b"<sendSms" + b"".join(b' xmlns:a%d="urn:%d"' % (n, n) for n in range(10_000))
    ).replace(b"Hello", b"<a1:b/>" * 5000),
    "a deep tree": with_text(b"<a>" * 30_000 + b"</a>" * 30_000),
    "a wide tree": with_text(b"<a/>" * 60_000),
    "a huge name": with_text(b"<" + b"a" * 200_000 + b"/>"),
    "many headers": GOOD.replace(
        b"<s:Body>", b"<s:Header>" + b"<a/>" * 30_000 + b"</s:Header><s:Body>"
    ),
    "cut in the middle": GOOD[:100],
    "cut at the end": GOOD[:-1],
    "nothing": b"",
    "only white space": b" \r\n" * 100,
    "no XML": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "JSON": b'{"recipients": "0032494000000"}',
    "an empty body": GOOD.replace(CALL, b""),
    "two calls": GOOD.replace(CALL, CALL + CALL),
    "a fault as the call": GOOD.replace(CALL, b"<s:Fault><faultcode>a</faultcode></s:Fault>"),
    "the WSDL as the request": b"<definitions/>",
    "a dangling reference": GOOD.replace(b"<message>Hello", b'<message href="#x">'),
    "a reference to itself": GOOD.replace(b"<message>Hello", b'<message href="#x">').replace(
        b"</s:Body>", b'<m id="x" href="#x"/></s:Body>'
    ),
    "a NUL": with_text(b"\0"),
    "a NUL by reference": with_text(b"&#0;"),
    "a lone surrogate": with_text(b"\xed\xa0\x80"),
    "a lone surrogate by reference": with_text(b"&#xD83D;"),
    "many halves of pairs": with_text(b"&#55357;" * 20_000),
    "a lie about UTF-16": b"\xff\xfe" + GOOD,
    "broken UTF-8": with_text(b"\xc3("),
    "too much": with_text(b"x" * 2 * MEGABYTE),
    "a mustUnderstand header": GOOD.replace(
        b"<s:Body>", b'<s:Header><a s:mustUnderstand="1"/></s:Header><s:Body>'
    ),
}

PACKED = {
    "a gzip bomb": (gzip.compress(b"x" * 200 * MEGABYTE), "gzip"),
    "a deflate bomb": (zlib.compress(b"x" * 200 * MEGABYTE), "deflate"),
    "a truncated gzip": (gzip.compress(GOOD)[:-5], "gzip"),
    "no gzip": (GOOD, "gzip"),
    "an unknown packing": (GOOD, "br"),
}

TYPED = {
    "an unknown character set": (with_text(b"\xe9"), "text/xml; charset=no-such-thing"),
    "a multipart without a boundary": (GOOD, "multipart/related"),
    "a multipart with too many parts": (
        b"--b\r\n\r\nx\r\n" * 20_000,
        "multipart/related; boundary=b; start=z",
    ),
    "a part in an unknown encoding": (
        b"--b\r\nContent-Transfer-Encoding: x\r\n\r\n" + GOOD + b"\r\n--b--",
        "multipart/related; boundary=b",
    ),
    "a multipart in a multipart": (
        b"--b\r\nContent-Type: multipart/related; boundary=c\r\n\r\n--c\r\n\r\n"
        + GOOD
        + b"\r\n--c--\r\n--b--",
        "multipart/related; boundary=b",
    ),
}


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with soap_face(tmp_path_factory.mktemp("soap")) as running:
        yield running


def post(face: Face, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", face.server.port, timeout=20)
    try:
        connection.request("POST", ENDPOINT, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def assert_refused_and_alive(face: Face, body: bytes, **headers: str) -> None:
    before = len(face.calls())
    status, answer = post(
        face, body, {name.replace("_", "-"): value for name, value in headers.items()}
    )
    assert status == 500
    (fault,) = etree.fromstring(answer).findall(f"{{{NS}}}Body/{{{NS}}}Fault")
    assert fault.findtext("faultcode") in (
        "soap:Client",
        "soap:MustUnderstand",
        "soap:VersionMismatch",
    )
    assert fault.findtext("faultstring")
    assert len(face.calls()) == before
    assert post(face, GOOD, {"Content-Type": "text/xml"})[0] == 200
    assert len(face.calls()) == before + 1


@pytest.mark.parametrize("body", CASES.values(), ids=CASES.keys())
def test_a_hostile_document_is_refused(face, body):
    assert_refused_and_alive(face, body, Content_Type="text/xml; charset=utf-8")


@pytest.mark.parametrize(("body", "encoding"), PACKED.values(), ids=PACKED.keys())
def test_a_hostile_packing_is_refused(face, body, encoding):
    assert_refused_and_alive(face, body, Content_Type="text/xml", Content_Encoding=encoding)


@pytest.mark.parametrize(("body", "content_type"), TYPED.values(), ids=TYPED.keys())
def test_a_hostile_content_type_is_refused(face, body, content_type):
    assert_refused_and_alive(face, body, Content_Type=content_type)


def test_the_log_shows_neither_tracebacks_nor_what_was_sent(face):
    post(face, GOOD, {})
    post(face, LAUGHS + GOOD, {})
    written = face.server.stderr()
    for secret in ("Traceback", "secret-key", "Hello", "32494000000", "ENTITY"):
        assert secret not in written
