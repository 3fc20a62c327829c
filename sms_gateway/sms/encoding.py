"""The alphabets of SMS: which one a text needs, and the way between text and octets."""

import codecs
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Literal, get_args


class Encoding(StrEnum):
    """How a text travels."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


#: What a carrier means by data_coding 0. SMPP 3.4 leaves it to the carrier (§5.2.19).
DefaultAlphabet = Literal["gsm7", "latin1", "ascii", "utf8"]

ESCAPE: Final = 0x1B

# 3GPP TS 23.038 §6.2.1, GSM 7 bit default alphabet: one row per sixteen codes. The escape stands
# as itself here and is no character.
_DEFAULT = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
# 3GPP TS 23.038 §6.2.1.1, GSM 7 bit default alphabet extension table: the code after an escape.
EXTENSION: Final = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}

_ENCODE: dict[int, int | bytes] = {
    ord(character): code for code, character in enumerate(_DEFAULT) if code != ESCAPE
} | {ord(character): bytes((ESCAPE, code)) for code, character in EXTENSION.items()}
# The codes of the Latin-1 characters, which most texts consist of; 0xFF for those that take two
# septets or have none.
_NOT_ONE_SEPTET = 0xFF
_FROM_LATIN1 = bytes(
    code if isinstance(code := _ENCODE.get(character), int) else _NOT_ONE_SEPTET
    for character in range(0x100)
)
# Octets with the eighth bit set are in no GSM alphabet; they show as U+FFFD.
_DECODE = _DEFAULT + "\ufffd" * 128
# An escape before a code that the extension table does not have, or before nothing: the standard
# has the character of the default table shown for the code, and a space for an escape.
_ESCAPED = {
    "\x1b" + base: EXTENSION.get(code, base.replace("\x1b", " "))
    for code, base in enumerate(_DECODE)
} | {"\x1b": " "}
_ESCAPE_PAIR = re.compile("\x1b.?", re.DOTALL)

_CODECS: dict[DefaultAlphabet, str] = {"latin1": "latin-1", "ascii": "ascii", "utf8": "utf-8"}


def _within(alphabet: DefaultAlphabet) -> re.Pattern[str]:
    """Matches texts of GSM characters that the carrier's alphabet has too."""
    codec = _CODECS.get(alphabet)
    characters = (
        chr(code) for code in _ENCODE if codec is None or chr(code).encode(codec, "ignore")
    )
    return re.compile(f"[{re.escape(''.join(characters))}]*+")


#: Matches a text of characters that take one septet each.
ONE_SEPTET_EACH: Final = re.compile(f"[{re.escape(_DEFAULT.replace(chr(ESCAPE), ''))}]++")

_WITHIN = {alphabet: _within(alphabet) for alphabet in get_args(DefaultAlphabet)}


def choose(text: str, alphabet: DefaultAlphabet = "gsm7") -> Encoding:
    """GSM7 when every character is in the GSM alphabet and its extension, UCS2 otherwise.

    `alphabet` is what the carrier means by data_coding 0: characters it lacks need UCS2 as well.
    """
    return Encoding.GSM7 if _WITHIN[alphabet].fullmatch(text) else Encoding.UCS2


def encode(text: str, encoding: Encoding, alphabet: DefaultAlphabet = "gsm7") -> bytes:
    """The octets of a text for which `choose` gave this encoding; ValueError for any other."""
    if encoding is Encoding.UCS2:
        return encode_ucs2(text)
    if alphabet == "gsm7":
        return encode_gsm7(text)
    return _encoded(text, _CODECS[alphabet])


def encode_gsm7(text: str) -> bytes:
    """One septet per octet, unpacked; an escape and a septet for characters of the extension.

    Raises ValueError for a text with other characters.
    """
    try:
        octets = text.encode("latin-1").translate(_FROM_LATIN1)
        if _NOT_ONE_SEPTET not in octets:
            return octets
    except UnicodeEncodeError:
        pass
    try:
        return codecs.charmap_encode(text, "strict", _ENCODE)[0]
    except UnicodeEncodeError:
        # The error of the codec carries the text.
        raise ValueError("a character is not in the GSM alphabet") from None


def decode_gsm7(octets: bytes) -> str:
    """The text of unpacked septets; nothing that comes in is an error (3GPP TS 23.038 §6.2.1)."""
    text = codecs.charmap_decode(octets, "strict", _DECODE)[0]
    return _ESCAPE_PAIR.sub(lambda pair: _ESCAPED[pair[0]], text) if "\x1b" in text else text


def encode_ucs2(text: str) -> bytes:
    """UTF-16, big end first, as carriers and handsets take what the standard calls UCS2.

    Raises ValueError for a text with half a surrogate pair.
    """
    return _encoded(text, "utf-16-be")


def decode_ucs2(octets: bytes) -> str:
    """The text of UTF-16, big end first; what is not well-formed shows as U+FFFD."""
    return octets.decode("utf-16-be", "replace")


def _encoded(text: str, codec: str) -> bytes:
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        raise ValueError("a character is not in the alphabet") from None


def pack_septets(septets: bytes, fill_bits: int = 0) -> bytes:
    """Septets packed into octets, low bits first (3GPP TS 23.038 §6.1.2.1).

    `fill_bits` (0 to 6) come first, so that septets start on a septet boundary after a user data
    header (3GPP TS 23.040 §9.2.3.24).
    """
    packed = bytearray()
    bits, held = 0, fill_bits
    for septet in septets:
        bits |= (septet & 0x7F) << held
        held += 7
        if held >= 8:
            packed.append(bits & 0xFF)
            bits >>= 8
            held -= 8
    if held:
        packed.append(bits)
    return bytes(packed)


def unpack_septets(octets: bytes, count: int, fill_bits: int = 0) -> bytes:
    """`count` septets, or as many as there are, from packed octets; undoes `pack_septets`."""
    septets = bytearray()
    bits, held = 0, -fill_bits
    for octet in octets:
        bits |= octet << held if held >= 0 else octet >> -held
        held += 8
        while held >= 7:
            if len(septets) == count:
                return bytes(septets)
            septets.append(bits & 0x7F)
            bits >>= 7
            held -= 7
    return bytes(septets)


# XML 1.0 §2.2: everything but control characters, halves of surrogate pairs and two code points
# that are no characters.
_XML = "\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff"
#: Matches a text that XML can carry.
CARRIED: Final = re.compile(f"[{_XML}]*+")
#: Matches a character that XML cannot carry.
UNCARRIED: Final = re.compile(f"[^{_XML}]")

# SMPP 3.4 §5.2.19. The codes that are not here carry no text: 2 and 4 (octets), 9 (pictograms)
# and the reserved ones.
_DATA_CODING = {
    1: "ascii",  # IA5 (CCITT T.50)
    3: "latin-1",
    5: "iso2022_jp",  # JIS X 0208-1990
    6: "iso8859-5",  # Latin/Cyrillic
    7: "iso8859-8",  # Latin/Hebrew
    8: "utf-16-be",  # UCS2
    10: "iso2022_jp",  # ISO-2022-JP music codes
    13: "iso2022_jp_1",  # extended Kanji, JIS X 0212-1990
    14: "euc_kr",  # KS C 5601
}
# 3GPP TS 23.038 §4 and §5, groups of the TP-DCS that SMPP hands through: with a message class
# (0x1x, which SMPP reserves and carriers use; 0xFx) and message waiting (0xCx, 0xDx, 0xEx). The
# alphabet is the default one unless the code is here.
_GSM_CODING_GROUPS = frozenset((0x10, 0xC0, 0xD0, 0xE0, 0xF0))
_GSM_UCS2 = frozenset((*range(0x18, 0x1C), *range(0xE0, 0xF0)))
_GSM_OCTETS = frozenset(
    (*range(0x14, 0x18), *range(0x1C, 0x20), *range(0xF4, 0xF8), *range(0xFC, 0x100))
)


def decode(data_coding: int, octets: bytes, default_alphabet: DefaultAlphabet = "gsm7") -> str:
    """The text of an incoming message, whatever came: no octets raise an error.

    What is malformed, and what XML cannot carry, shows as U+FFFD. Octets that are no text, or of
    an alphabet that nobody knows, show as hexadecimal digits.
    """
    if data_coding == 0 or data_coding & 0xF0 in _GSM_CODING_GROUPS:
        if data_coding in _GSM_OCTETS:
            return octets.hex()
        if data_coding in _GSM_UCS2:
            text = decode_ucs2(octets)
        elif default_alphabet == "gsm7":
            # Who knows no page breaks shows a line feed (3GPP TS 23.038 §6.2.1.1).
            text = decode_gsm7(octets).replace("\f", "\n")
        else:
            text = octets.decode(_CODECS[default_alphabet], "replace")
    elif data_coding in _DATA_CODING:
        text = octets.decode(_DATA_CODING[data_coding], "replace")
    else:
        return octets.hex()
    return UNCARRIED.sub("\ufffd", text)


def decode_part(data_coding: int, octets: bytes, default_alphabet: DefaultAlphabet = "gsm7") -> str:
    """`decode` for one part of a text. Half a surrogate pair at either end stays what it is, for
    handsets cut a text between any two code units; `join_parts` makes it whole."""
    first = last = ""
    if data_coding == 8 or data_coding in _GSM_UCS2:
        if len(octets) >= 2 and octets[0] & 0xFC == 0xDC:
            first, octets = chr(int.from_bytes(octets[:2], "big")), octets[2:]
        if len(octets) >= 2 and len(octets) % 2 == 0 and octets[-2] & 0xFC == 0xD8:
            octets, last = octets[:-2], chr(int.from_bytes(octets[-2:], "big"))
    return first + decode(data_coding, octets, default_alphabet) + last


def join_parts(texts: Iterable[str]) -> str:
    """The whole text of its parts; half a pair whose other half is not there shows as U+FFFD."""
    return "".join(texts).encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")
