"""Octets of a mail to text: transfer encodings, charsets, encoded words."""

import binascii
import codecs
import encodings
import pkgutil
import re
from encodings.aliases import aliases
from functools import cache

from .unreadable import UnreadableMailError

# Clients often name a charset and send its superset (WHATWG Encoding Standard §4.2).
_SUPERSETS = {
    "iso-8859-1": "windows-1252",
    "latin1": "windows-1252",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-9": "windows-1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "big5": "big5hkscs",
    "utf-8": "utf-8-sig",
    "utf8": "utf-8-sig",
}
# Names that clients write when they do not know the charset themselves.
_NO_NAME = frozenset({"", "us-ascii", "ascii", "unknown-8bit", "x-unknown", "unknown", "default"})
# Codecs of Python that are no charsets; some of them take quadratic time.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"})

# RFC 2047 §2; the words of one header that follow each other have nothing between them (§6.2).
_WORD = r"=\?([^?\s]{1,80})\?([BbQq])\?([^?]*)\?="
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?[^?\s]{1,80}\?[BbQq]\?)")
_ENCODED_WORD = re.compile(_WORD)


def transferred(octets: bytes, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding (RFC 2045 §6); raises UnreadableMailError."""
    match encoding.strip().lower():
        case "" | "7bit" | "8bit" | "binary":
            return octets
        case "quoted-printable":
            return binascii.a2b_qp(octets)
        case "base64":
            try:
                # Base64 that is cut short is read as far as it goes.
                return binascii.a2b_base64(octets.rstrip(b"=\r\n \t") + b"==")
            except binascii.Error:
                raise UnreadableMailError("the base64 of the mail is broken") from None
    raise UnreadableMailError("the transfer encoding of the mail is unknown")


def decoded(octets: bytes, charset: str) -> str:
    """Text in a charset by its name in the mail; raises UnreadableMailError.

    Without a name it is read as UTF-8 or, where it cannot be that, as Windows-1252.
    """
    name = charset.strip().lower()
    candidates = (
        ("utf-8-sig", "windows-1252") if name in _NO_NAME else (_SUPERSETS.get(name, name),)
    )
    for candidate in candidates:
        try:
            return octets.decode(_codec(candidate))
        except UnicodeDecodeError:
            continue
        except (LookupError, ValueError):
            shown = re.sub(r"[^\w.:-]", "", name, flags=re.ASCII)[:40]
            raise UnreadableMailError(f"the charset {shown!r} is unknown") from None
    raise UnreadableMailError("the text is not in the charset that the mail names")


def _codec(charset: str) -> str:
    """Python's name for a charset; raises LookupError."""
    # codecs.lookup remembers every name for ever, so only names of real codecs reach it.
    name = encodings.normalize_encoding(charset) if charset.isascii() else ""
    if name not in _names():
        raise LookupError
    codec = codecs.lookup(name).name
    if codec.replace("_", "-") in _NO_CHARSETS:
        raise LookupError
    return codec


@cache
def _names() -> frozenset[str]:
    """All names by which Python may have a codec, normalised."""
    return frozenset(aliases).union(each.name for each in pkgutil.iter_modules(encodings.__path__))


def unfolded(header: str) -> str:
    """The text of an unstructured header (RFC 5322 §2.2.3, RFC 2047); raises UnreadableMailError.

    `header` is as the standard library's parser has it: octets beyond ASCII as surrogates.
    """
    text = decoded(header.encode("utf-8", "surrogateescape"), "")
    text = re.sub(r"[\r\n]+", "", text)
    return _ENCODED_WORD.sub(_decoded_word, _BETWEEN_WORDS.sub(r"\1", text))


def _decoded_word(word: re.Match[str]) -> str:
    charset, encoding, content = word.groups()
    octets = content.encode("utf-8")
    if encoding in "Bb":
        octets = transferred(octets, "base64")
    else:
        octets = binascii.a2b_qp(octets, header=True)
    return decoded(octets, charset.partition("*")[0])  # RFC 2231 §5 adds *LANGUAGE
