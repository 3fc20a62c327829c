"""The kind of a number (mobile, landline, freephone …) by the numbering plan of its country."""

import re
from enum import StrEnum
from functools import cache

from phonenumbers import PhoneMetadata

from .numbering import behind, calling_code


class Kind(StrEnum):
    """The kind of a number, by the numbering plan of its country."""

    MOBILE = "mobile"
    FIXED = "landline"
    #: The plan does not tell the two apart, as in North America.
    FIXED_OR_MOBILE = "landline or mobile"
    TOLL_FREE = "freephone"
    SHARED_COST = "shared cost"
    PREMIUM = "premium rate"
    SATELLITE = "satellite"
    PERSONAL = "personal"
    PAGER = "pager"
    UNIVERSAL = "universal access"
    VOIP = "internet telephony"
    VOICEMAIL = "voicemail"


#: Kinds whose texts may cost many times the usual price, or pay those who rent the number. They are
#: closed unless a route or a key opens them.
CLOSED = frozenset(
    {
        Kind.PREMIUM,
        Kind.SHARED_COST,
        Kind.SATELLITE,
        Kind.UNIVERSAL,
        Kind.PERSONAL,
        Kind.PAGER,
    }
)
#: What commands and settings call them.
NAMES = {each.split()[0] + "-cost" * (each is Kind.SHARED_COST): each for each in sorted(CLOSED)}

# The order of libphonenumber's own `number_type`: where the patterns of two kinds match, the first
# counts. Landlines and mobiles come last.
_SPECIAL = (
    ("premium_rate", Kind.PREMIUM),
    ("toll_free", Kind.TOLL_FREE),
    ("shared_cost", Kind.SHARED_COST),
    ("voip", Kind.VOIP),
    ("personal_number", Kind.PERSONAL),
    ("pager", Kind.PAGER),
    ("uan", Kind.UNIVERSAL),
    ("voicemail", Kind.VOICEMAIL),
)
# Calling codes whose kind is what they were assigned for, which libphonenumber calls mobile or
# VoIP: Inmarsat (870), GMSS with Iridium and Globalstar (881), Thuraya (882 16), universal
# personal telecommunication (878). ITU-T, List of E.164 assigned country codes, notes.
_ASSIGNED = (
    ("870", Kind.SATELLITE),
    ("881", Kind.SATELLITE),
    ("88216", Kind.SATELLITE),
    ("878", Kind.PERSONAL),
)


def kind(number: str) -> Kind:
    """The kind of a number that this module called valid (E.164 with the plus sign)."""
    digits = number.removeprefix("+")
    for prefix, assigned in _ASSIGNED:
        if digits.startswith(prefix):
            return assigned
    code, countries = behind(digits[:3])
    significant = digits[len(code) :]
    country = next(p.country for p in countries if p.valid.fullmatch(significant))
    special, fixed, mobile = _kinds(code, country)
    for pattern, each in special:
        if pattern.fullmatch(significant):
            return each
    is_fixed = fixed is not None and fixed.fullmatch(significant) is not None
    is_mobile = mobile is not None and mobile.fullmatch(significant) is not None
    if is_fixed and is_mobile:
        return Kind.FIXED_OR_MOBILE
    return Kind.FIXED if is_fixed else Kind.MOBILE


_Pattern = re.Pattern[str] | None


@cache
def _kinds(
    calling_code: str, country: str
) -> tuple[tuple[tuple[re.Pattern[str], Kind], ...], _Pattern, _Pattern]:
    """The patterns of special kinds, of landlines and of mobiles."""
    data = PhoneMetadata.metadata_for_region_or_calling_code(int(calling_code), country)
    assert data is not None

    def pattern(name: str) -> _Pattern:
        forms = getattr(data, name)
        found = forms and forms.national_number_pattern
        return re.compile(found) if found else None

    special = tuple((p, each) for name, each in _SPECIAL if (p := pattern(name)) is not None)
    return special, pattern("fixed_line"), pattern("mobile")


def closed_kind(number: str) -> Kind | None:
    """The kind of a number that this module called valid (E.164 with the plus sign), if it is one
    of CLOSED."""
    if not may_be_closed(number):
        return None
    found = kind(number)
    return found if found in CLOSED else None


# How many digits behind the calling code are looked at: in North America three tell +1 900.
_TELLING = 3


def may_be_closed(number: str) -> bool:
    """Whether the first six digits of a number leave it open that its kind is one of CLOSED."""
    code, _ = behind(number[1:4])
    return number[1 + len(code) : 1 + len(code) + _TELLING] in _closed_leading(code)


@cache
def _closed_leading(code: str) -> frozenset[str]:
    """The first digits, behind a calling code, of all numbers of a kind in CLOSED."""
    if any(code.startswith(prefix[:3]) or prefix.startswith(code) for prefix, _ in _ASSIGNED):
        return frozenset(f"{n:03}" for n in range(1_000))
    found: set[str] = set()
    for plan in behind(code)[1]:
        special, _, _ = _kinds(code, plan.country)
        for pattern, each in special:
            if each in CLOSED:
                found |= _leading(_PIECE.findall(pattern.pattern))
    return frozenset(found)


# What libphonenumber writes its patterns with.
_PIECE = re.compile(r"\(\?:|\[[0-9-]+\]|\\d|\{[0-9,]+\}|[0-9()|?]")
_DIGITS = "0123456789"


def _leading(pieces: list[str]) -> set[str]:
    """The first digits of all that a pattern matches, as far as its end or a closing bracket."""
    found: set[str] = set()
    sequence = {""}
    while pieces and (piece := pieces.pop(0)) != ")":
        if piece == "|":
            found |= sequence
            sequence = {""}
            continue
        match piece[0]:
            case "(":
                atom = _leading(pieces)
            case "[":
                atom = {digit for digit in _DIGITS if re.fullmatch(piece, digit)}
            case "\\":
                atom = set(_DIGITS)
            case _:
                atom = {piece}
        least, most = 1, 1
        if pieces and pieces[0] == "?":
            least = 0
            pieces.pop(0)
        elif pieces and pieces[0][0] == "{":
            bounds = pieces.pop(0)[1:-1].split(",")
            least, most = int(bounds[0]), int(bounds[-1])
        repeated, sequence = sequence, sequence if least == 0 else set()
        for times in range(1, most + 1):
            repeated = {(one + other)[:_TELLING] for one in repeated for other in atom}
            if times >= least:
                sequence = sequence | repeated
    return found | sequence


def may_be_mobile(number: str, country: str) -> bool:
    """Whether an E.164 number of a country may be a mobile."""
    code = calling_code(number[1:4])
    mobile = _kinds(code, country)[2]
    return mobile is not None and mobile.fullmatch(number, 1 + len(code)) is not None
