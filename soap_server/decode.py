"""Decodes the body of a request into an XML document in UTF-8."""

import binascii
import codecs
import re
import zlib

from . import faults
from .faults import SoapFault

#: The most parts of a multipart body that are read.
MAX_PARTS = 32

_PARAMETER = re.compile(r';\s*([\w.-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"\s]*))')


def xml(body: bytes, content_type: str, content_encoding: str, limit: int) -> bytes:
    """The XML document in a request's body: unpacked, unwrapped, in UTF-8 without a BOM.

    `limit`: the most bytes of an unpacked body. Raises SoapFault.
    """
    body = unpack(body, content_encoding, limit)
    media_type, parameters = header_value(content_type)
    if media_type.startswith("multipart/"):
        body, content_type = root_part(body, parameters)
        _, parameters = header_value(content_type)
    # Scripts tend to send an empty line before the declaration, which XML does not allow.
    document = utf8(body.lstrip(b"\t\n\r "), parameters.get("charset", ""))
    if not document:
        raise faults.client("The request is empty")
    return join_surrogates(document)


def header_value(value: str) -> tuple[str, dict[str, str]]:
    """The media type of a Content-Type, and its parameters by name; both in lower case."""
    media_type, separator, rest = value.partition(";")
    parameters = {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain
        for name, quoted, plain in _PARAMETER.findall(separator + rest)
    }
    return media_type.strip().lower(), parameters


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a Content-Encoding, up to `limit` bytes."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise faults.client("The content encoding is not supported; gzip and deflate are")
    # 32: zlib or gzip, by its header. Some clients send deflate without a header.
    window = 32 + zlib.MAX_WBITS
    if encoding == "deflate" and int.from_bytes(body[:2], "big") % 31:
        window = -zlib.MAX_WBITS  # RFC 1950 §2.2: the header of zlib is a multiple of 31
    unpacking = zlib.decompressobj(window)
    try:
        unpacked = unpacking.decompress(body, limit + 1)
    except zlib.error:
        raise faults.client("The compressed body is damaged") from None
    if len(unpacked) > limit:
        raise too_large()
    if not unpacking.eof or unpacking.unused_data:
        raise faults.client("The compressed body is damaged")
    return unpacked


def too_large() -> SoapFault:
    return faults.client("The request is too large")


def root_part(body: bytes, parameters: dict[str, str]) -> tuple[bytes, str]:
    """The envelope of a multipart/related body and its own Content-Type (RFC 2387 §3)."""
    boundary = parameters.get("boundary", "").encode("latin-1", "replace")
    if not boundary:
        raise faults.client("The multipart body has no boundary")
    delimiter = rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(?:--)?[ \t]*(?:\r?\n|\Z)"
    parts = re.split(delimiter, body, maxsplit=MAX_PARTS)[1:]
    start = parameters.get("start", "").strip("<>")
    for part in parts:
        head, content = _divided(part)
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (
                line.partition(":")
                for line in re.sub(r"\r?\n[ \t]+", " ", head.decode("latin-1")).splitlines()
            )
        }
        if not start or headers.get("content-id", "").strip("<>") == start:
            encoding = headers.get("content-transfer-encoding", "")
            return _transferred(content, encoding), headers.get("content-type", "")
    raise faults.client("The multipart body has no root part")


def _divided(part: bytes) -> tuple[bytes, bytes]:
    """The headers and the content of a part; either may be empty."""
    empty_line = re.search(rb"\A\r?\n|\r?\n\r?\n", part)
    return (part[: empty_line.start()], part[empty_line.end() :]) if empty_line else (part, b"")


def _transferred(content: bytes, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding (RFC 2045 §6)."""
    match encoding.lower():
        case "" | "7bit" | "8bit" | "binary":
            return content
        case "quoted-printable":
            return binascii.a2b_qp(content)
        case "base64":
            try:
                return binascii.a2b_base64(content)
            except binascii.Error:
                pass
    raise faults.client("The transfer encoding of the root part is damaged or not supported")


# Longest first: the BOM of UTF-32 begins with that of UTF-16. Without a BOM, the zeros beside the
# first "<" tell the encoding (XML 1.0 appendix F).
_SIGNS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)

_DECLARATION = re.compile(rb"""<\?xml[^>]{1,80}?\sencoding\s*=\s*["']([\w.:-]{1,40})["']""")

#: Character sets by label. A table, as Python's codec look-up caches every name it is asked for.
#: Latin-1 is read as windows-1252, which it nearly always is (WHATWG Encoding).
CHARSETS = {
    **dict.fromkeys(("iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1"), "cp1252"),
    **dict.fromkeys(("us-ascii", "ascii", "ansi_x3.4-1968"), "cp1252"),
    **{f"iso-8859-{n}": f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)},
    **{f"windows-125{n}": f"cp125{n}" for n in range(9)},
    **{f"cp125{n}": f"cp125{n}" for n in range(9)},
    **{name: name for name in ("koi8-r", "koi8-u", "cp437", "cp850", "cp852", "cp866")},
    "macintosh": "mac-roman",
    "windows-874": "cp874",
    "tis-620": "cp874",
}
#: Multi-byte character sets. Their bytes can be valid UTF-8 by chance, so their label is trusted.
CHARSETS_WIDE = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5",
    "shift_jis": "cp932",
    "windows-31j": "cp932",
    "euc-jp": "euc_jp",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
}


def utf8(body: bytes, charset: str) -> bytes:
    """The document in UTF-8. `charset`: the label in the content type, or empty.

    The bytes are trusted before the labels: a BOM, or the zeros of UTF-16, decide. Valid UTF-8 is
    read as UTF-8, as old clients send it with the label ISO-8859-1.
    """
    for sign, encoding in _SIGNS:
        if body.startswith(sign):
            return _recoded(body, encoding)
    if body.isascii():
        return body
    labels = [charset.lower()]
    if declared := _DECLARATION.match(body):
        labels.append(declared[1].decode("ascii").lower())
    for label in labels:
        if label in CHARSETS_WIDE:
            return _recoded(body, CHARSETS_WIDE[label])
    try:
        body.decode("utf-8")
        return body
    except UnicodeDecodeError:
        pass
    for label in labels:
        if label in CHARSETS:
            return single_byte(body, CHARSETS[label]).encode()
    raise faults.client("The text is not in the character set that it claims, or in an unknown one")


def single_byte(content: bytes, encoding: str = "cp1252") -> str:
    """Decode text in an 8-bit character set.

    If a byte has no meaning in it, the text is read as Latin-1: that gives control characters,
    which XML allows. The text rules then decide.
    """
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _recoded(body: bytes, encoding: str) -> bytes:
    try:
        return body.decode(encoding).encode()
    except UnicodeDecodeError:
        raise faults.client("The text is not in the character set that it claims") from None


# Axis 1.4 writes a character outside of the basic plane as references to two surrogate halves.
_HALVES = re.compile(
    rb"&#(?:[xX]0{0,4}([dD][89abAB][0-9a-fA-F]{2})|0{0,4}(5[56][0-9]{3}));"
    rb"&#(?:[xX]0{0,4}([dD][c-fC-F][0-9a-fA-F]{2})|0{0,4}(5[67][0-9]{3}));"
)


def join_surrogates(document: bytes) -> bytes:
    """Replace each pair of references to surrogate halves with its character.

    A single half stays, and the parser refuses it (XML 1.0 §2.2).
    """
    return _HALVES.sub(_joined, document) if b"&#" in document else document


def _joined(halves: re.Match[bytes]) -> bytes:
    high = int(halves[1], 16) if halves[1] else int(halves[2])
    low = int(halves[3], 16) if halves[3] else int(halves[4])
    if 0xD800 <= high <= 0xDBFF and 0xDC00 <= low <= 0xDFFF:
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)).encode()
    return halves[0]
