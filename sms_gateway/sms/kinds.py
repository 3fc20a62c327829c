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


def may_be_mobile(number: str, country: str) -> bool:
    """Whether an E.164 number of a country may be a mobile."""
    code = calling_code(number[1:4])
    mobile = _kinds(code, country)[2]
    return mobile is not None and mobile.fullmatch(number, 1 + len(code)) is not None
