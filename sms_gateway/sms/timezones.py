"""The time zones of countries, as people live by them."""

from collections.abc import Sequence
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.core import get_global


@cache
def zones(country: str) -> Sequence[ZoneInfo]:
    """The zones of a country (ISO 3166 alpha-2) by the Unicode CLDR; none for no country."""
    names = sorted(name for name, territory in _territories().items() if territory == country)
    found = []
    for name in names:
        try:
            found.append(ZoneInfo(name))
        except ZoneInfoNotFoundError:  # a name that this system's data does not have yet
            continue
    return tuple(found)


@cache
def _territories() -> dict[str, str]:
    territories: dict[str, str] = dict(get_global("zone_territories"))
    return territories
