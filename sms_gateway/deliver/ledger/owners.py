"""Finds the owner of a dedicated number, in all forms in which carriers write it."""

from collections.abc import Iterable, Mapping

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from sqlalchemy import Connection

from ...store import inbox

#: National numbers of fewer digits are taken for short codes, which only agree as they are.
_SHORTEST = 7
_CALLING_CODES = tuple(map(str, COUNTRY_CODE_TO_REGION_CODE))


def digits_of(number: str) -> str:
    """A number as dedicated numbers are stored."""
    return number.removeprefix("+").removeprefix("00")


def forms(number: str) -> list[str]:
    """The dedicated numbers that one without a country code may stand for, whatever the country.

    A zero before it is what is dialled inside most countries, or belongs to it as in Italy.
    """
    digits = digits_of(number)
    if number != digits or not (digits.isascii() and digits.isdigit()):
        return []
    national = {digits, digits.removeprefix("0")}
    return [c + n for c in _CALLING_CODES for n in national if len(n) >= _SHORTEST]


def owners(connection: Connection, numbers: Iterable[str]) -> Mapping[str, tuple[str, int]]:
    """The dedicated number (digits) that each of these is, with its account.

    Where a number without its country code may be several of them it is nobody's.
    """
    asked = set(numbers)
    exact = inbox.owners(connection, {digits_of(number) for number in asked})
    found = {}
    for number in asked:
        digits = digits_of(number)
        if digits in exact:
            found[number] = (digits, exact[digits])
            continue
        candidates = inbox.owners(connection, forms(number))
        if len(candidates) == 1:
            found[number] = next(iter(candidates.items()))
    return found
