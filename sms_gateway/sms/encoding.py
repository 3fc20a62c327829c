"""The alphabets of SMS: which one a text needs, and the way between text and octets."""

import codecs
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Literal, get_args

from . import national_languages


class Encoding(StrEnum):
    """How a text travels."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


#: The alphabets that a carrier may mean by data_coding 0, which SMPP 3.4 leaves open (§5.2.19).
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


#: Locking and single shift table that a text is written in; 0 is the default one.
Languages = tuple[int, int]


def _tables(languages: Languages) -> tuple[str, list[str]]:
    """The characters of the codes, and those of the codes after an escape."""
    locking, single = languages
    # A receiver who does not know a language uses the default table (3GPP TS 23.038 §6.2.1.2.4).
    base = national_languages.LOCKING.get(locking, _DEFAULT)
    extension = national_languages.SINGLE.get(single)
    void = national_languages.VOID
    shifted = [
        EXTENSION.get(code, void) if extension is None else extension[code] for code in range(128)
    ]
    # A code that the single shift table lacks is shown as the default table has it.
    escaped = [base[n] if character == void else character for n, character in enumerate(shifted)]
    clean = {ord(void): "\ufffd"}
    return base.translate(clean), [c.translate(clean).replace("\x1b", " ") for c in escaped]


def decode_national(octets: bytes, languages: Languages) -> str:
    """The text of unpacked septets in the tables of its languages (3GPP TS 23.038 annex A)."""
    base, escaped = _tables(languages)
    characters = []
    rest = iter(octets)
    for octet in rest:
        table: str | list[str] = base
        if octet == ESCAPE:
            octet, table = next(rest, ESCAPE), escaped
        characters.append(table[octet] if octet < 0x80 else "\ufffd")
    return "".join(characters)


def _ends_in_escape(octets: bytes) -> bool:
    """Whether the last septet escapes the first one of the next part."""
    return (len(octets) - len(octets.rstrip(b"\x1b"))) % 2 == 1


def encode_ucs2(text: str) -> bytes:
    """UTF-16, big end first, as carriers and handsets take what the standard calls UCS2.

    Raises ValueError for a text with half a surrogate pair.
    """
    return _encoded(text, "utf-16-be")


def decode_ucs2(octets: bytes) -> str:
    """The text of UTF-16, big end first; malformed pairs show as U+FFFD."""
    return octets.decode("utf-16-be", "replace")


def read_ucs2(octets: bytes) -> str:
    """The text of UCS2 as strangers write it: with a byte order mark, or an octet too many.

    An odd number of octets is no UCS2: where all are ASCII that is what they are, and an octet 0
    at the end is padding.
    """
    if len(octets) % 2:
        if _ASCII_TEXT.fullmatch(octets):
            return octets.decode("ascii")
        octets = octets.removesuffix(b"\0")
    if octets.startswith(codecs.BOM_UTF16_LE):
        return octets[2:].decode("utf-16-le", "replace")
    return decode_ucs2(octets.removeprefix(codecs.BOM_UTF16_BE))


_ASCII_TEXT = re.compile(rb"[\t\n\r -~]+")


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

# SMPP 3.4 §5.2.19, beside 0, 1, 3 and 8. The codes that are not here carry no text: 2 and 4
# (octets), 9 (pictograms) and the reserved ones.
_DATA_CODING = {
    5: "iso2022_jp",  # JIS X 0208-1990
    6: "iso8859-5",  # Latin/Cyrillic
    7: "iso8859-8",  # Latin/Hebrew
    10: "iso2022_jp",  # ISO-2022-JP music codes
    13: "iso2022_jp_1",  # extended Kanji, JIS X 0212-1990
    14: "euc_kr",  # KS C 5601
}
# IA5 (CCITT T.50) and Latin-1: eight bits under 1 are Latin-1, and nobody sends the control
# characters from 80 to 9F, which is where Windows has its euro and quotation marks.
_LATIN = frozenset((1, 3))
_UCS2 = 8
# 3GPP TS 23.038 §4 and §5, groups of the TP-DCS that SMPP hands through: with a message class
# (0x1x, which SMPP reserves and carriers use; 0x5x; 0xFx), to be deleted once read (0x4x, 0x5x) and
# message waiting (0xCx, 0xDx, 0xEx). The alphabet is the default one unless the code is here.
_GSM_CODING_GROUPS = frozenset((0x10, 0x40, 0x50, 0xC0, 0xD0, 0xE0, 0xF0))
_GSM_UCS2 = frozenset(
    (*range(0x18, 0x1C), *range(0x48, 0x4C), *range(0x58, 0x5C), *range(0xE0, 0xF0))
)
_GSM_OCTETS = frozenset(
    octets
    for group in (0x10, 0x40, 0x50, 0xF0)
    for octets in (*range(group + 0x4, group + 0x8), *range(group + 0xC, group + 0x10))
)


def is_ucs2(data_coding: int) -> bool:
    return data_coding == _UCS2 or data_coding in _GSM_UCS2


def is_default(data_coding: int) -> bool:
    """Whether a text is in the carrier's default alphabet."""
    return data_coding == 0 or (
        data_coding & 0xF0 in _GSM_CODING_GROUPS
        and data_coding not in _GSM_OCTETS
        and data_coding not in _GSM_UCS2
    )


def decode(
    data_coding: int,
    octets: bytes,
    default_alphabet: DefaultAlphabet = "gsm7",
    languages: Languages = (0, 0),
) -> str:
    """The text of an incoming message, whatever came: no octets raise an error.

    Malformed characters, and those that XML cannot carry, show as U+FFFD. Octets that are no text,
    or are in an unknown alphabet, show as hexadecimal digits. `languages` are those of the user
    data header.
    """
    if is_ucs2(data_coding):
        text = read_ucs2(octets)
    elif is_default(data_coding):
        if default_alphabet == "gsm7":
            read = decode_national(octets, languages) if any(languages) else decode_gsm7(octets)
            # A receiver that knows no page break shows a line feed (3GPP TS 23.038 §6.2.1.1).
            text = read.replace("\f", "\n")
        else:
            text = octets.decode(_CODECS[default_alphabet], "replace")
    elif data_coding in _LATIN:
        text = octets.decode("cp1252", "replace")
    elif data_coding in _DATA_CODING:
        text = octets.decode(_DATA_CODING[data_coding], "replace")
    else:
        return octets.hex()
    return UNCARRIED.sub("\ufffd", text)


def decode_part(
    data_coding: int,
    octets: bytes,
    default_alphabet: DefaultAlphabet = "gsm7",
    languages: Languages = (0, 0),
) -> str:
    """`decode` for one part of a text, to be read by `join_parts` only.

    Handsets cut a text between any two code units. So UCS2 stays the code units that it is, and an
    escape at the end stays an escape, with the languages in which the next part is to be read.
    """
    if is_ucs2(data_coding):
        return _units(octets)
    if is_default(data_coding) and default_alphabet == "gsm7" and _ends_in_escape(octets):
        text = decode(data_coding, octets[:-1], default_alphabet, languages)
        return f"{text}\x1b{chr(languages[0])}{chr(languages[1])}"
    return decode(data_coding, octets, default_alphabet, languages)


def _units(octets: bytes) -> str:
    """Code units as characters, halves of pairs among them; an odd octet is no unit."""
    if len(octets) % 2:
        return _units(octets[:-1]) + ("" if octets[-1] == 0 else "\ufffd")
    try:
        return octets.decode("utf-16-be")
    except UnicodeDecodeError:
        pairs = zip(octets[::2], octets[1::2], strict=True)
        return "".join(chr(high << 8 | low) for high, low in pairs)


# The little end first: what a byte order mark looks like to whom the big end comes first.
_SWAPPED = "\ufffe"
_CUT_PAIR = re.compile("\x1b(.)(.)(.?)", re.DOTALL)


def join_parts(texts: Iterable[str | None], gap: str = "") -> str:
    """The whole text of its parts, with `gap` for those that are None.

    Half a surrogate pair shows as U+FFFD, and half an escape pair as a space.
    """
    read: list[str] = []
    swapped = False
    for text in texts:
        if text is None:
            # The halves on its two sides belong to different pairs.
            read.append(gap)
            continue
        swapped = swapped or text.startswith(_SWAPPED)
        units = text.encode("utf-16-be", "surrogatepass")
        if swapped:
            units = units.decode("utf-16-le", "surrogatepass").encode("utf-16-be", "surrogatepass")
        read.append(units.decode("utf-16-be", "surrogatepass").removeprefix("\ufeff"))
    joined = _CUT_PAIR.sub(_mended, "".join(read))
    whole = joined.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")
    return UNCARRIED.sub("\ufffd", whole.replace("\f", "\n"))


def _mended(cut: re.Match[str]) -> str:
    base, escaped = _tables((ord(cut[1]), ord(cut[2])))
    code = base.find(cut[3]) if cut[3] else -1
    return escaped[code] if code >= 0 else " " + cut[3]
