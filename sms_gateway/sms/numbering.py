"""The world's numbering plans: whether digits are a telephone number, and of which country.

The plans are the data of libphonenumber (package phonenumberslite). Its own functions look every
pattern up in Python's `re` cache, which is too small for the patterns of all countries: numbers
of mixed countries cost ten to forty times as much as numbers of one. So each plan is compiled
here once, when a number of its country is first seen.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberFormat

#: The country of calling codes that belong to none (satellites, freephone).
NO_COUNTRY = "001"
#: Most digits of an international number (ITU-T E.164 §6.2.1).
MAX_DIGITS = 15
#: The most digits that are read: a number with its prefixes.
MAX_WRITTEN = 20

# The kinds of number that libphonenumber calls valid, the one that SMS mostly go to first.
_KINDS = (
    "mobile",
    "fixed_line",
    "voip",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The numbers of one country, without their calling code."""

    #: ISO 3166 alpha-2, or 001 for a calling code that belongs to no country.
    country: str
    #: Matches the valid numbers of any kind.
    valid: re.Pattern[str]
    #: Matches the prefix that is dialled only inside the country ("0").
    trunk: re.Pattern[str] | None


@cache
def plans(calling_code: str) -> tuple[Plan, ...]:
    """The plans behind a calling code, main country first; empty when there is no such code.

    Countries that share a code have no number in common, or the main one has it.
    """
    countries = COUNTRY_CODE_TO_REGION_CODE.get(int(calling_code), ())
    return tuple(_plan(calling_code, country) for country in countries)


def _plan(calling_code: str, country: str) -> Plan:
    data = PhoneMetadata.metadata_for_region_or_calling_code(int(calling_code), country)
    assert data is not None
    kinds = [getattr(data, name) for name in _KINDS]
    forms = "|".join(
        kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern
    )
    trunk = data.national_prefix_for_parsing
    return Plan(
        country=country,
        valid=re.compile(forms),
        trunk=re.compile(trunk) if trunk else None,
    )


def calling_code(digits: str) -> str:
    """The calling code that an international number (digits only) begins with; empty for none."""
    code, _ = behind(digits[:3])
    return code


@cache
def behind(digits: str) -> tuple[str, tuple[Plan, ...]]:
    """The calling code that up to three digits begin with, and the plans behind it."""
    # None begins with 0, none is longer than three digits and none begins another.
    if digits and digits[0] != "0":
        for length in (1, 2, 3):
            if countries := plans(code := digits[:length]):
                return code, countries
    return "", ()


def countries_of(prefix: str) -> dict[str, str]:
    """The countries to which numbers with this prefix (digits, or none for all) may belong.

    Each comes with digits that all of its numbers begin with.
    """
    found = {}
    for code, countries in COUNTRY_CODE_TO_REGION_CODE.items():
        calling = str(code)
        if calling.startswith(prefix):
            for country in countries:
                leading = _leading(country)
                found[country] = calling + (leading if leading.isdigit() else "")
        elif prefix.startswith(calling):
            rest = prefix[len(calling) :]
            exact = [c for c in countries if (p := _leading(c)) and re.match(p, rest)]
            found |= dict.fromkeys(exact or [c for c in countries if _may_lead(c, rest)], calling)
    found.pop(NO_COUNTRY, None)
    return found


def _may_lead(country: str, digits: str) -> bool:
    """Whether a country that shares its calling code may have numbers that begin so."""
    leading = _leading(country)
    tails = ("", *(f"{n:0{width}}" for width in (1, 2) for n in range(10**width)))
    return not leading or any(re.match(leading, digits + tail) for tail in tails)


def _leading(country: str) -> str:
    """A pattern of what its numbers begin with; empty where its calling code says all."""
    data = PhoneMetadata.metadata_for_region(country, None)
    return (data.leading_digits or "") if data is not None else ""


def international(digits: str) -> tuple[str, str] | None:
    """The E.164 number (with the plus sign) and its country; None when it is not valid.

    `digits` is the calling code and the number; a trunk prefix between them ("32 (0) 494") is
    left out of the result.
    """
    code, countries = behind(digits[:3])
    if not code or len(digits) > MAX_WRITTEN:
        return None
    significant = digits[len(code) :]
    trunk = countries[0].trunk
    if trunk is not None and (prefix := trunk.match(significant)) and prefix.end():
        # Which numbers keep such a beginning, and what replaces it, is libphonenumber's affair.
        return _parse("+" + digits, None)
    if len(digits) > MAX_DIGITS:
        return None
    for plan in countries:
        if plan.valid.fullmatch(significant):
            return "+" + digits, plan.country
    return None


def complaint(digits: str) -> str:
    """Why an international number (digits only) is none, as the rest of a sentence."""
    code, countries = behind(digits[:3])
    if not code:
        return "no country's calling code begins so"
    lengths = lengths_of(code)
    length = len(digits) - len(code)
    name = "its calling code" if countries[0].country == NO_COUNTRY else countries[0].country
    if len(countries) > 1:
        name += " or another country with its calling code"
    if length < min(lengths):
        return f"it is too short for a number of {name}"
    if length > max(lengths):
        return f"it is too long for a number of {name}"
    return f"no numbers of {name} begin so, or none of them is so long"


@cache
def lengths_of(calling_code: str) -> frozenset[int]:
    """How many digits numbers behind a calling code have."""
    found: set[int] = set()
    for plan in plans(calling_code):
        data = PhoneMetadata.metadata_for_region_or_calling_code(int(calling_code), plan.country)
        assert data is not None
        if data.general_desc is not None:
            found |= set(data.general_desc.possible_length)
    return frozenset(found)


# Ten times as slow as looking into a plan, and the same numbers come again and again.
@lru_cache(maxsize=8_192)
def _parse(text: str, region: str | None) -> tuple[str, str] | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    country = phonenumbers.region_code_for_number(number)
    if country is None or not phonenumbers.is_valid_number_for_region(number, country):
        return None
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return (e164, country) if len(e164) <= 1 + MAX_DIGITS else None
