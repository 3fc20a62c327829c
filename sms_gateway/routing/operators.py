"""Tells the operator of a number by the ranges that its country gave to operators.

By libphonenumber's data, which the package `phonenumbers` has and `phonenumberslite` has not. It
tells who got the range: a number that was ported has another operator, and in many countries that
allow porting (the data says which) nothing better is known without asking an HLR.
"""

from functools import lru_cache

import phonenumbers


def check() -> None:
    """ValueError where the data is not installed."""
    try:
        import phonenumbers.carrier  # noqa: F401
    except ImportError:
        raise ValueError(
            "operators need the ranges of operators: pip install 'sendsmsnow[operators]', or "
            "leave them out"
        ) from None


@lru_cache(maxsize=8_192)
def operator_of(number: str) -> str:
    """The operator of a number (E.164), as libphonenumber calls it in English; "" for none."""
    from phonenumbers import carrier

    name: str = carrier.name_for_number(phonenumbers.parse(number), "en")
    return name


@lru_cache(maxsize=8_192)
def may_be_ported(number: str) -> bool:
    """Whether numbers of its country may be taken along to another operator."""
    from phonenumbers import is_mobile_number_portable_region, region_code_for_number

    return is_mobile_number_portable_region(
        region_code_for_number(phonenumbers.parse(number)) or ""
    )
