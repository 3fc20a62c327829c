"""The options of an upstream in the query of its URL: ?name=value, each at most once."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

#: The least and the most of each option that is a number.
Limits = Mapping[str, tuple[float, float]]


def from_query(
    types: Mapping[str, Any], limits: Limits, query: str, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The options in a query by name and in their types, and those `given` beside it.

    Raises ValueError, in one line that names the option and what is allowed; it never holds a value
    that may be a secret.
    """
    found = dict(given or {})
    for name, value in pairs_of(query):
        if name not in types:
            raise ValueError(f"{name}: no such parameter; allowed are {', '.join(types)}")
        if name in found:
            raise ValueError(f"{name}: given twice")
        found[name] = _value(name, types[name], value, is_number=name in limits)
    return found


def pairs_of(form: str, most: int | None = None) -> list[tuple[str, str]]:
    """The names and values of a form or query, in order; ValueError for more than `most`."""
    return parse_qsl(form, keep_blank_values=True, max_num_fields=most)


def from_query_as_text(query: str) -> dict[str, str]:
    """The options in a query by name, as texts. ValueError for one that is given twice."""
    pairs = pairs_of(query)
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an option is given twice")
    return found


def _value(name: str, kind: Any, value: str, *, is_number: bool) -> Any:
    if kind is bool:
        if value not in ("0", "1"):
            raise ValueError(f"{name}={value}: allowed is 0 or 1")
        return value == "1"
    if not is_number:
        return value
    try:
        if kind is not int:
            return float(value)
        # A data_coding is known by its hexadecimal digits.
        return int(value, 16 if value.startswith("0x") else 10)
    except ValueError:
        told = "a whole number" if kind is int else "a number"
        raise ValueError(f"{name}={value}: allowed is {told}") from None


def check_limits(limits: Limits, options: Mapping[str, Any]) -> None:
    """Raise ValueError for a number beyond its limits; None is no number."""
    for name, (least, most) in limits.items():
        value = options.get(name)
        if value is not None and not least <= value <= most:
            raise ValueError(f"{name}={value}: allowed is {least:g} to {most:g}")
