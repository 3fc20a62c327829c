"""Hostile SOAP requests: documents, their packing, their encoding, their content type."""

import codecs
import gzip
import zlib
from collections.abc import Callable

from .cases import CALL, FAULT, GOOD, KEY, SOAP11, SOAP12, TEXT, Case, request, whole, with_text

MEGABYTE = 1024 * 1024

_LAUGHS = (
    b'<!DOCTYPE a [<!ENTITY a0 "ha">'
    + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 20))
    + b"]>"
)
_PARAMETER_LAUGHS = (
    b"<!DOCTYPE a [<!ENTITY % p0 'x'>"
    + b"".join(b"<!ENTITY %% p%d '%%p%d;%%p%d;'>" % (n, n - 1, n - 1) for n in range(1, 25))
    + b"%p24;]>"
)
_HREF = b'<message href="#x">'


def _text_becomes(element: bytes) -> bytes:
    """The good envelope with another start of its element `message`."""
    return GOOD.replace(b"<message>" + TEXT.encode(), element)


def _attributes(count: int) -> bytes:
    return GOOD.replace(b"<sendSms", b"<sendSms" + b"".join(b' a%x="1"' % n for n in range(count)))


#: Documents that are refused by a Fault of the client, when sent as UTF-8.
DOCUMENTS: dict[str, bytes | Callable[[], bytes]] = {
    "billion laughs": _LAUGHS + with_text(b"&a19;"),
    "billion laughs in an attribute": _LAUGHS + GOOD.replace(b"<sendSms", b'<sendSms a="&a19;"'),
    "billion laughs in parameter entities": _PARAMETER_LAUGHS + GOOD,
    "quadratic blow-up": b'<!DOCTYPE a [<!ENTITY a "%s">]>' % (b"a" * 50_000)
    + with_text(b"&a;" * 5000),
    "a file as entity": b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    + with_text(b"&a;"),
    "an endless file as entity": b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///dev/zero">]>'
    + with_text(b"&a;"),
    "an address as parameter entity": b'<!DOCTYPE a [<!ENTITY % a SYSTEM "http://127.0.0.1:9/">'
    b" %a;]>" + GOOD,
    "an address as DTD": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">' + GOOD,
    "an XInclude of a file": _text_becomes(
        b'<message><x:include xmlns:x="http://www.w3.org/2001/XInclude" parse="text"'
        b' href="file:///etc/passwd"/>'
    ),
    "an XOP include of a file": _text_becomes(
        b'<message><x:Include xmlns:x="http://www.w3.org/2004/08/xop/include"'
        b' href="file:///etc/passwd"/>'
    ),
    "an undefined entity": with_text(b"&nbsp;"),
    "60,000 ends of tags in a text": with_text(b">" * 60_000).partition(b"</message>")[0],
    "100,000 attributes": _attributes(100_000),
    "20,000 attributes": _attributes(20_000),
    "100,000 attributes of one name": GOOD.replace(b"<sendSms", b"<sendSms" + b' a="1"' * 100_000),
    "10,000 namespaces": GOOD.replace(
        b"<sendSms", b"<sendSms" + b"".join(b' xmlns:a%d="urn:%d"' % (n, n) for n in range(10_000))
    ).replace(TEXT.encode(), b"<a1:b/>" * 5000),
    "a namespace of 200,000 letters": GOOD.replace(b"urn:sendSmsNow", b"urn:" + b"a" * 200_000),
    "12,000 names of a namespace of 128 kB": with_text(
        b'<a xmlns:a="urn:%b">' % (b"x" * 128_000)
        + (b"<b" + b"".join(b' a:a%d=""' % n for n in range(60)) + b"/>") * 200
        + b"</a>"
    ),
    "1,900 headers that must be understood, of a namespace of 50 kB": GOOD.replace(
        b"<s:Body>",
        b'<s:Header xmlns:a="urn:%b">' % (b"x" * 50_000)
        + b'<a:b s:mustUnderstand="1"/>' * 1900
        + b"</s:Header><s:Body>",
    ).replace(SOAP11.encode(), SOAP12.encode()),
    "a MessageID of 200,000 quotes": GOOD.replace(
        b"<s:Body>",
        b'<s:Header><a:MessageID xmlns:a="http://www.w3.org/2005/08/addressing">'
        + b'"' * 200_000
        + b"</a:MessageID></s:Header><s:Body>",
    ),
    "a deep tree": with_text(b"<a>" * 30_000 + b"</a>" * 30_000),
    "a deep tree that never closes": GOOD[:-20] + b"<a>" * 80_000,
    "a wide tree": with_text(b"<a/>" * 60_000),
    "a wide tree beside the call": GOOD.replace(CALL, CALL + b"<a/>" * 60_000),
    "a huge name": with_text(b"<" + b"a" * 200_000 + b"/>"),
    "a huge comment, cut": with_text(b"<!--" + b"-a" * 130_000),
    "a huge processing instruction": b"<?a " + b"x" * 250_000 + b"?><b/>",
    "a CDATA section that never ends": with_text(b"<![CDATA[" + b"]]" * 100_000),
    "60,000 CDATA sections around elements": with_text(b"<a/><![CDATA[<]]>" * 10_000),
    "many headers": GOOD.replace(
        b"<s:Body>", b"<s:Header>" + b"<a/>" * 30_000 + b"</s:Header><s:Body>"
    ),
    "cut in the middle": GOOD[:100],
    "cut at the end": GOOD[:-1],
    "more after the end": GOOD + b"<more/>",
    "nothing": b"",
    "only white space": b" \r\n" * 100,
    "only a declaration": b'<?xml version="1.0"?>',
    "no XML": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "JSON": b'{"recipients": "0032494000000"}',
    "HTML": b"<html><body>Hello</body></html>",
    "an envelope of another namespace": GOOD.replace(b"schemas.xmlsoap.org/soap", b"example.com/a"),
    "an envelope of no namespace": GOOD.replace(b"<s:", b"<").replace(b"</s:", b"</"),
    "an envelope in an envelope": GOOD.replace(CALL, GOOD),
    "no body": GOOD.replace(b"<s:Body>" + CALL + b"</s:Body>", b""),
    "two bodies": GOOD.replace(b"</s:Body>", b"</s:Body><s:Body/>"),
    "an empty body": GOOD.replace(CALL, b""),
    "two calls": GOOD.replace(CALL, CALL + CALL),
    "a body of SOAP 1.2 in an envelope of 1.1": GOOD.replace(
        b"<s:Body>", b'<s:Body xmlns:s="%s">' % SOAP12.encode()
    ),
    "a fault as the call": GOOD.replace(CALL, b"<s:Fault><faultcode>a</faultcode></s:Fault>"),
    "an operation that is not there": GOOD.replace(b"sendSms ", b"dropSms ").replace(
        b"/sendSms>", b"/dropSms>"
    ),
    "a parameter twice": GOOD.replace(b"<apikey>", b"<apikey>other</apikey><apikey>"),
    "a parameter with elements in it": with_text(b"a<b>c</b>"),
    "more parameters than there are": GOOD.replace(CALL, b"").replace(
        b"</s:Body>", b'<sendSms xmlns="urn:sendSmsNow"><a/><b/><c/><d/></sendSms></s:Body>'
    ),
    "the WSDL as the request": b"<definitions/>",
    "a dangling reference": _text_becomes(_HREF),
    "a reference to itself": _text_becomes(_HREF).replace(
        b"</s:Body>", b'<m id="x" href="#x"/></s:Body>'
    ),
    "a chain of 1,000 references": _text_becomes(b'<message href="#0">').replace(
        b"</s:Body>",
        b"".join(b'<m id="%d" href="#%d"/>' % (n, n + 1) for n in range(1000)) + b"</s:Body>",
    ),
    "base64 that is none": _text_becomes(
        b'<message xmlns:x="http://www.w3.org/2001/XMLSchema-instance" x:type="base64">\xc3\xa4'
    ),
    "a NUL": with_text(b"\0"),
    "a NUL by reference": with_text(b"&#0;"),
    "a control character": with_text(b"\x1b[2J"),
    "a lone surrogate": with_text(b"\xed\xa0\x80"),
    "a lone surrogate by reference": with_text(b"&#xD83D;"),
    "the halves of a pair the wrong way round": with_text(b"&#xDE00;&#xD83D;"),
    "many halves of pairs": with_text(b"&#55357;" * 20_000),
    "a reference beyond Unicode": with_text(b"&#x110000;"),
    "a reference of 200,000 digits": with_text(b"&#" + b"9" * 200_000 + b";"),
    "a lie about UTF-16": codecs.BOM_UTF16_LE + GOOD,
    "UTF-16 cut in a character": GOOD.decode().encode("utf-16")[:-1],
    "UTF-32 that is none": codecs.BOM_UTF32_LE + GOOD,
    "UTF-7": b'<?xml version="1.0" encoding="utf-7"?>' + with_text(b"+AGE-\xff"),
    "broken UTF-8": with_text(b"\xc3("),
    "overlong UTF-8": with_text(b"\xc0\xbc"),
    "a mustUnderstand header": GOOD.replace(
        b"<s:Body>", b'<s:Header><a s:mustUnderstand="1"/></s:Header><s:Body>'
    ),
    "replies to another address": GOOD.replace(
        b"<s:Body>",
        b'<s:Header><a:ReplyTo xmlns:a="http://www.w3.org/2005/08/addressing"><a:Address>'
        b"http://127.0.0.1:9/</a:Address></a:ReplyTo></s:Header><s:Body>",
    ),
    "a number of 100,000 digits": GOOD.replace(
        CALL,
        b'<getSms xmlns="urn:sendSmsNow"><apikey>%s</apikey><after>%s</after></getSms>'
        % (KEY.encode(), b"9" * 100_000),
    ),
    "300 kB": lambda: with_text(b"x" * 300_000),
    "2 MB": lambda: with_text(b"x" * 2 * MEGABYTE),
    "20 MB": lambda: with_text(b"x" * 20 * MEGABYTE),
}

#: Bodies with the Content-Encoding they come in.
PACKED: dict[str, tuple[Callable[[], bytes], str]] = {
    "a gzip bomb of 200 MB": (lambda: gzip.compress(b"x" * 200 * MEGABYTE), "gzip"),
    "a deflate bomb of 200 MB": (lambda: zlib.compress(b"x" * 200 * MEGABYTE), "deflate"),
    "a gzip in a gzip": (lambda: gzip.compress(gzip.compress(GOOD)), "gzip"),
    "two gzips, one after the other": (lambda: gzip.compress(GOOD) * 2, "gzip"),
    "a truncated gzip": (lambda: gzip.compress(GOOD)[:-5], "gzip"),
    "a gzip with a wrong checksum": (lambda: gzip.compress(GOOD)[:-8] + b"\0" * 8, "gzip"),
    "no gzip": (lambda: GOOD, "gzip"),
    "an unknown packing": (lambda: GOOD, "br"),
    "ten packings": (lambda: gzip.compress(GOOD), ", ".join(["gzip"] * 10)),
}

#: Bodies with the Content-Type they come in.
TYPED: dict[str, tuple[bytes, str]] = {
    "an unknown character set": (with_text(b"\xe9"), "text/xml; charset=no-such-thing"),
    "a codec that is no character set": (with_text(b"\xe9"), "text/xml; charset=zlib"),
    "a content type of 8,000 letters": (with_text(b"\xe9"), "text/xml; charset=" + "a" * 8000),
    "a content type of 2,000 parameters": (with_text(b"\xe9"), "text/xml" + ";a=b" * 2000),
    "a multipart without a boundary": (GOOD, "multipart/related"),
    "a multipart without its root": (
        b"--b\r\n\r\n" + GOOD + b"\r\n--b--",
        "multipart/related; boundary=b; start=z",
    ),
    "a multipart of 20,000 parts": (
        b"--b\r\n\r\nx\r\n" * 20_000,
        "multipart/related; boundary=b; start=z",
    ),
    "a multipart that never begins": (b"-" * 250_000, "multipart/related; boundary=" + "-" * 60),
    "a part in an unknown encoding": (
        b"--b\r\nContent-Transfer-Encoding: x\r\n\r\n" + GOOD + b"\r\n--b--",
        "multipart/related; boundary=b",
    ),
    "a part with 50,000 headers": (
        b"--b\r\n" + b"a: b\r\n" * 40_000 + b"\r\n<a/>\r\n--b--",
        "multipart/related; boundary=b",
    ),
    "a multipart in a multipart": (
        b"--b\r\nContent-Type: multipart/related; boundary=c\r\n\r\n--c\r\n\r\n"
        + GOOD
        + b"\r\n--c--\r\n--b--",
        "multipart/related; boundary=b",
    ),
}


def _document(name: str, body: bytes | Callable[[], bytes]) -> Case:
    return whole(name, lambda: request(body if isinstance(body, bytes) else body()), FAULT)


def _packed(name: str, body: Callable[[], bytes], encoding: str) -> Case:
    return whole(name, lambda: request(body(), Content_Encoding=encoding), FAULT)


CASES = [
    *(_document(name, body) for name, body in DOCUMENTS.items()),
    *(_packed(name, body, encoding) for name, (body, encoding) in PACKED.items()),
    *(whole(name, request(body, Content_Type=kind), FAULT) for name, (body, kind) in TYPED.items()),
]
