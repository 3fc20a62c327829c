"""The countries that numbers belong to, with their names."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from .numbering import NO_COUNTRY


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """A country and the calling code it has, often alone, sometimes with others."""

    #: ISO 3166 alpha-2.
    code: str
    #: ITU-T E.164 country code, digits only: "32".
    dialling_code: str
    #: In the language that was asked for.
    name: str


@lru_cache(maxsize=32)
def countries(locale: str) -> tuple[Country, ...]:
    """Every country with telephone numbers, in the order of its names in `locale` ("en", "fr-BE").

    Raises ValueError for a locale that nobody knows. Names are those of the Unicode CLDR; a country
    without a name in that language is shown by its code.
    """
    names = names_of_countries(locale)
    found = [
        Country(code=code, dialling_code=str(calling_code), name=names.get(code, code))
        for calling_code, codes in COUNTRY_CODE_TO_REGION_CODE.items()
        for code in codes
        if code != NO_COUNTRY
    ]
    return tuple(sorted(found, key=lambda country: _sort_key(country.name)))


def names_of_countries(locale: str) -> Mapping[str, str]:
    """The names of countries by their codes, and of the world by 001; ValueError as above."""
    try:
        return Locale.parse(locale.replace("-", "_")).territories
    except UnknownLocaleError as error:
        raise ValueError(str(error)) from None


def _sort_key(name: str) -> str:
    # Accents count for nothing in the order: Éthiopie stands among the E, not after Z.
    letters = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()
