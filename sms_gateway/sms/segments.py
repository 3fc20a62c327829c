"""Long texts: how many parts a text takes, the parts, and the header that joins them again."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from ..errors import GatewayError
from .encoding import (
    CARRIED,
    ESCAPE,
    EXTENSION,
    ONE_SEPTET_EACH,
    UNCARRIED,
    DefaultAlphabet,
    Encoding,
    choose,
    decode_gsm7,
    decode_ucs2,
    encode,
)

#: The most parts that one message can have: they are numbered in one octet.
MAX_PARTS = 255

#: How the parts of a long text are joined over SMPP: by a user data header with a reference of 8 or
#: 16 bits, by sar parameters, or by the SMSC, which gets the whole text as a payload.
LongTexts = Literal["udh8", "udh16", "sar", "payload"]

_CONCATENATION_8BIT = 0x00  # 3GPP TS 23.040 §9.2.3.24.1
_CONCATENATION_16BIT = 0x08  # 3GPP TS 23.040 §9.2.3.24.8
_SINGLE_SHIFT, _LOCKING_SHIFT = 0x24, 0x25  # 3GPP TS 23.040 §9.2.3.24.15, §9.2.3.24.16
# The elements that the user data header of a text may have.
_IN_A_TEXT = {_CONCATENATION_8BIT, _CONCATENATION_16BIT, _SINGLE_SHIFT, _LOCKING_SHIFT}


class TextError(GatewayError, ValueError):
    """The text cannot be sent; the message says why and shows nothing of it."""


class Limits(NamedTuple):
    """How much of a text one SMS holds, in units of its encoding."""

    #: Octets that `encode` makes of one unit.
    octets: int
    #: Units in an SMS that stands alone.
    single: int
    #: Units in a part of a longer text.
    part: int


# The characters that take two units, and what the first of the two begins with.
_PAIRS = {
    Encoding.GSM7: re.compile(f"[{re.escape(''.join(EXTENSION.values()))}]"),
    Encoding.UCS2: re.compile("[\U00010000-\U0010ffff]"),
}
_FIRST_OF_PAIR = {
    Encoding.GSM7: frozenset((ESCAPE,)),
    Encoding.UCS2: frozenset(range(0xD8, 0xDC)),
}

# An SMS has 140 octets (3GPP TS 23.040 §9.2.3.24), the header of a part takes 6 of them. UCS2
# counts in pairs of octets; GSM7 in septets, which travel packed and are counted unpacked here.
LIMITS = {
    Encoding.GSM7: Limits(octets=1, single=160, part=153),
    Encoding.UCS2: Limits(octets=2, single=70, part=67),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """The parts and units that a text takes."""

    encoding: Encoding
    #: Septets (GSM7) or 16-bit units (UCS2) in the text.
    units: int
    #: SMS in which it travels.
    parts: int
    #: Units that one of them holds at most.
    per_part: int


class Concatenation(NamedTuple):
    """The place of an SMS in a longer text: which part of how many."""

    #: The same for all parts of one text.
    reference: int
    total: int
    #: 1-based.
    number: int


def plain(text: str) -> str:
    """A text with line feeds for all ends of lines, and without byte order marks (U+FEFF, Unicode
    16.0 section 23.8): what a file or a mail brings along and nobody wrote."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\ufeff", "") if "\ufeff" in text else text


def measure(text: str) -> Segments:
    """`count` of a text that `validate_text` lets pass; raises TextError."""
    # Most texts are plain ASCII: one look tells.
    if ONE_SEPTET_EACH.fullmatch(text) and not text.isspace():
        return _segments(Encoding.GSM7, len(text))
    validate_text(text)
    return count(text)


def validate_text(text: str) -> None:
    """Raise TextError for a text that is empty, or that XML cannot carry. The form feed is one of
    GSM's characters (page break, 3GPP TS 23.038 section 6.2.1.1)."""
    if not text or text.isspace():
        raise TextError("the text is empty")
    if not CARRIED.fullmatch(text.replace("\f", "")):
        found = UNCARRIED.search(text.replace("\f", ""))
        assert found is not None
        code = ord(found[0])
        if 0xD800 <= code <= 0xDFFF:
            raise TextError("the text has half a surrogate pair")
        kind = "a control character" if code < 0x20 else "a code that is no character"
        raise TextError(f"the text has {kind} (U+{code:04X})")


def count(text: str, alphabet: DefaultAlphabet = "gsm7") -> Segments:
    """The encoding and the parts of a text, for a carrier with this alphabet for data_coding 0.

    Raises TextError for a text of more than MAX_PARTS parts.
    """
    encoding = choose(text, alphabet)
    _, single, part = LIMITS[encoding]
    # A character takes one unit, or two where `_cut` sees to the limit.
    if len(text) > MAX_PARTS * part:
        raise _too_long(encoding)
    pairs = len(_PAIRS[encoding].findall(text))
    units = len(text) + pairs
    # Only where a pair would be split does a part end before it is full.
    if pairs and units > single:
        parts = len(_cut(text, encoding))
        return Segments(encoding=encoding, units=units, parts=parts, per_part=part)
    return _segments(encoding, units)


@lru_cache(maxsize=1024)
def _segments(encoding: Encoding, units: int) -> Segments:
    """The parts that so many units take when no pair of them is split."""
    _, single, part = LIMITS[encoding]
    if units <= single:
        return Segments(encoding=encoding, units=units, parts=1, per_part=single)
    if units > MAX_PARTS * part:
        raise _too_long(encoding)
    return Segments(encoding=encoding, units=units, parts=-(-units // part), per_part=part)


def segment(text: str, encoding: Encoding) -> tuple[str, ...]:
    """The parts of a text; together they are the text, and none ends inside a pair of units.

    Raises TextError for more than MAX_PARTS parts and ValueError for a text that the encoding does
    not have all characters of.
    """
    decode = decode_gsm7 if encoding is Encoding.GSM7 else decode_ucs2
    return tuple(map(decode, _cut(text, encoding)))


def user_data(
    text: str, encoding: Encoding, reference: int, alphabet: DefaultAlphabet = "gsm7"
) -> list[bytes]:
    """The octets of each part, each after a header with the reference if there are several.

    Only the low eight bits of `reference` travel. The septets of GSM7 are unpacked; `alphabet` is
    the carrier's, and the one that the text was counted with. In "utf8" a part may have more
    octets than a short_message holds (254): it then needs a message_payload. Raises as `segment`.
    """
    parts = contents(text, encoding, alphabet)
    if len(parts) == 1:
        return parts
    total = len(parts)
    return [
        concatenation_header(Concatenation(reference, total, number)) + part
        for number, part in enumerate(parts, 1)
    ]


def contents(
    text: str, encoding: Encoding, alphabet: DefaultAlphabet = "gsm7", *, spare: int = 0
) -> list[bytes]:
    """The octets of each part without a header. Raises as `segment`.

    Each of several parts leaves `spare` units free: one for a header with a wide reference.
    """
    if encoding is Encoding.UCS2 or alphabet == "gsm7":
        return _cut(text, encoding, spare)
    decode = decode_gsm7
    return [encode(decode(part), encoding, alphabet) for part in _cut(text, encoding, spare)]


def concatenation_header(place: Concatenation, *, wide: bool = False) -> bytes:
    """The user data header of a part, with the low 8 or (`wide`) 16 bits of the reference."""
    if wide:
        reference = (place.reference & 0xFFFF).to_bytes(2, "big")
        return bytes((6, _CONCATENATION_16BIT, 4, *reference, place.total, place.number))
    return bytes((5, _CONCATENATION_8BIT, 3, place.reference & 0xFF, place.total, place.number))


def _cut(text: str, encoding: Encoding, spare: int = 0) -> list[bytes]:
    """The octets of each part."""
    size, single, part = LIMITS[encoding]
    part -= spare
    octets = encode(text, encoding)
    if len(octets) <= single * size:
        return [octets]
    parts = []
    start = 0
    while start < len(octets):
        end = start + part * size
        if end < len(octets) and octets[end - size] in _FIRST_OF_PAIR[encoding]:
            end -= size
        parts.append(octets[start:end])
        start = end
    if len(parts) > MAX_PARTS:
        raise _too_long(encoding)
    return parts


def _too_long(encoding: Encoding) -> TextError:
    return TextError(
        f"the text is longer than {MAX_PARTS} parts of {LIMITS[encoding].part} characters"
    )


def parse_user_data_header(octets: bytes) -> tuple[Concatenation | None, bytes]:
    """Splits a part into the concatenation that its user data header tells, and its content.

    `octets` is a short_message whose esm_class has the UDHI bit. Elements that are unknown, cut
    short or contradict themselves are passed over, and of several the last counts (3GPP TS 23.040
    §9.2.3.24); where the header is longer than the octets there is none.
    """
    header, payload = _header_of(octets)
    found = None
    for name, value in _elements(header):
        if (name, len(value)) in ((_CONCATENATION_8BIT, 3), (_CONCATENATION_16BIT, 4)):
            *reference, total, number = value
            if 1 <= number <= total:
                found = Concatenation(int.from_bytes(reference, "big"), total, number)
    return found, payload


def national_languages(octets: bytes) -> tuple[int, int]:
    """The locking and the single shift table that the header of a part names; 0 for the default.

    3GPP TS 23.040 §9.2.3.24.15 and §9.2.3.24.16.
    """
    named = {name: value[0] for name, value in _elements(_header_of(octets)[0]) if len(value) == 1}
    return named.get(_LOCKING_SHIFT, 0), named.get(_SINGLE_SHIFT, 0)


def is_surely_header(octets: bytes) -> bool:
    """Whether octets without the UDHI bit begin with a header all the same.

    Only one that makes a part of them and in which nothing is left over: no text begins so.
    """
    concatenation, payload = parse_user_data_header(octets)
    if concatenation is None or concatenation.total < 2 or not payload:
        return False
    header, _ = _header_of(octets)
    elements = list(_elements(header))
    return (
        sum(2 + len(value) for _, value in elements) == len(header)
        and {name for name, _ in elements} <= _IN_A_TEXT
        and len({name for name, _ in elements}) == len(elements)
    )


def _header_of(octets: bytes) -> tuple[bytes, bytes]:
    """The elements of the header, and what follows it; where it is cut short there is none."""
    if not octets or len(octets) <= octets[0]:
        return b"", octets
    return octets[1 : 1 + octets[0]], octets[1 + octets[0] :]


def _elements(header: bytes) -> Iterator[tuple[int, bytes]]:
    while len(header) >= 2:
        name, length = header[0], header[1]
        value, header = header[2 : 2 + length], header[2 + length :]
        if len(value) == length:
            yield name, value
