"""Digits as people dial and write them in one country, to E.164.

By the data of libphonenumber, as its own `parse` reads them, but without looking patterns up in
Python's `re` cache.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata

from .kinds import may_be_mobile
from .numbering import MAX_DIGITS, MAX_WRITTEN, Plan, international, lengths_of, plans


@dataclass(frozen=True, slots=True, kw_only=True)
class _Home:
    """How numbers are dialled inside a country."""

    calling_code: str
    #: All plans behind its calling code: who dials in the USA reaches Canada so, too.
    plans: tuple[Plan, ...]
    #: How many digits their numbers have.
    lengths: frozenset[int]
    #: The trunk prefix that is dialled before a national number, and its replacement ("9\1").
    trunk: re.Pattern[str] | None
    rule: str
    #: Whether a zero that a spreadsheet took away is more than a trunk prefix: the first digit of
    #: one (Hungary's 06), or a part of the number (all mobiles of Benin, the Ivory Coast, Congo).
    keeps_zero: bool
    #: The international exit code; None where it is 00.
    exit: re.Pattern[str] | None


@cache
def _home(region: str) -> _Home | None:
    data = PhoneMetadata.metadata_for_region(region, None)
    if data is None:
        return None
    trunk, exit = data.national_prefix_for_parsing, data.international_prefix
    code = str(data.country_code)
    return _Home(
        calling_code=code,
        plans=plans(code),
        lengths=lengths_of(code),
        trunk=re.compile(trunk) if trunk else None,
        rule=data.national_prefix_transform_rule or "",
        keeps_zero=data.national_prefix != "0",
        exit=re.compile(exit) if exit and exit != "00" else None,
    )


def national(digits: str, region: str) -> tuple[str, str] | None:
    """The E.164 number and country of a national number of `region` (ISO 3166 alpha-2).

    With the trunk prefix, as people dial it, or without it or its zero, as spreadsheets leave it.
    """
    home = _home(region)
    if home is None or len(digits) > MAX_WRITTEN:
        return None
    if home.trunk is not None and (prefix := home.trunk.match(digits)) and prefix.end():
        # The rule is for what the last group of the pattern matched (libphonenumber's
        # `nationalPrefixTransformRule`).
        if home.rule and prefix[prefix.re.groups] is not None:
            significant = prefix.expand(home.rule) + digits[prefix.end() :]
        else:
            significant = digits[prefix.end() :]
        if found := _valid(home, significant):
            return found
    found = _valid(home, digits)
    if found is None and home.keeps_zero and not digits.startswith("0"):
        found = national("0" + digits, region)
        # Italy's landlines begin with 0, too: nobody texts them, and numbers abroad look like them.
        if found is not None and not may_be_mobile(*found):
            return None
    return found


@lru_cache(maxsize=8_192)
def written_in(number: str, region: str, *, trunk: bool = True) -> str | None:
    """The digits of a number (E.164) as people in `region` dial it, with the trunk prefix unless
    told otherwise; None for a number with another calling code."""
    home = _home(region)
    if home is None or not number.startswith(f"+{home.calling_code}"):
        return None
    parsed = phonenumbers.parse(number)
    if str(parsed.country_code) != home.calling_code:
        return None
    if not trunk:
        return phonenumbers.national_significant_number(parsed)
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(filter(str.isdigit, written))


def _valid(home: _Home, significant: str) -> tuple[str, str] | None:
    # Most candidates are too long or too short, and a length is quicker to compare than a pattern.
    if len(significant) not in home.lengths:
        return None
    if len(home.calling_code) + len(significant) > MAX_DIGITS:
        return None
    for plan in home.plans:
        if plan.valid.fullmatch(significant):
            return f"+{home.calling_code}{significant}", plan.country
    return None


def dialled(digits: str, region: str) -> tuple[str, str] | None:
    """The E.164 number and country of digits with neither + nor 00, as written in `region`.

    A national number of the region comes first, then an international one. Only where the region's
    own mobile numbers with their calling code look like its landlines (49 151 … in Germany, 62 8…
    in Indonesia) the mobile number is meant.
    """
    found = national(digits, region)
    if found is None:
        return international(digits) or abroad(digits, region)
    home = _home(region)
    if (
        home is not None
        and digits.startswith(home.calling_code)
        and (whole := international(digits)) is not None
        and whole != found
        and may_be_mobile(*whole)
        and not may_be_mobile(*found)
    ):
        return whole
    return found


def abroad(digits: str, region: str) -> tuple[str, str] | None:
    """The number behind the region's own prefix for calls abroad (011 in the USA); not for 00."""
    home = _home(region)
    if home is None or home.exit is None:
        return None
    prefix = home.exit.match(digits)
    return international(digits[prefix.end() :]) if prefix else None


def several(groups: Sequence[str], region: str) -> tuple[str, ...]:
    """The mobile numbers of `region` (E.164) that groups of digits are when they are taken for
    two or more, each made of one group or some; empty when they are not that."""
    home = _home(region)
    if home is None or sum(map(len, groups)) < 2 * min(home.lengths):
        return ()
    #: By the group they begin with: the numbers to the end; None where groups are left over.
    rests: list[tuple[str, ...] | None] = [None] * len(groups) + [()]
    for first in reversed(range(len(groups))):
        digits = ""
        for last, group in enumerate(groups[first:], first + 1):
            digits += group
            if len(digits) > MAX_WRITTEN:
                break
            rest = rests[last]
            if rest is None:
                continue
            written_out = digits.startswith("00")
            found = international(digits[2:]) if written_out else dialled(digits, region)
            if (
                found is not None
                and found[0].startswith("+" + home.calling_code)
                and may_be_mobile(*found)
            ):
                rests[first] = (found[0], *rest)
                break
    numbers = rests[0] or ()
    return numbers if len(numbers) > 1 else ()
