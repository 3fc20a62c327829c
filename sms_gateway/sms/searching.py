"""Reads what a person types to find a message: its id, or a recipient's number."""

import re
from collections.abc import Collection

from .address import AddressError, parse_recipients

# An international number, with what people write between its digits: 7 to 15 of them (the most in
# ITU-T E.164 §6.2.1; the shortest of libphonenumber's, of Niue and Saint Helena, have seven).
_INTERNATIONAL = re.compile(r"(?:\+|00)[1-9][0-9]{6,14}")
_BETWEEN = re.compile(r"[\s()./-]")

#: The most regions in which a number is read: each reading is looked for.
MOST_REGIONS = 8


def as_id(search: str) -> str:
    """The message's id that a search is for, with or without the dashes of a UUID; or empty."""
    id = search.replace("-", "").lower()
    return id if re.fullmatch("[0-9a-f]{32}", id) else ""


def as_numbers(search: str, regions: Collection[str]) -> tuple[str, ...]:
    """The numbers (E.164) that a search may be for, each once; none when it is no whole number.

    A number is read as an international one and as dialled inside each of `regions` (ISO 3166
    alpha-2, the first MOST_REGIONS of them count). Several valid readings are all searched for: a
    search sends nothing. International numbers count even when they are no longer valid.
    """
    found: dict[str, None] = {}
    for region in (None, *list(regions)[:MOST_REGIONS]):
        try:
            found |= dict.fromkeys(address.number for address in parse_recipients(search, region))
        except AddressError:
            continue
    written = _BETWEEN.sub("", search)
    if not found and _INTERNATIONAL.fullmatch(written):
        found["+" + written.removeprefix("+").removeprefix("00")] = None
    return tuple(found)
