"""Finds values in documents of providers: by JSON pointer, XPath, regular expression or name."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeVar

import re2
from lxml import etree

from ..errors import GatewayError
from .push import MOST_FIELDS
from .url_options import pairs_of

#: json: JSON pointers (RFC 6901); xml: XPath 1.0; text: regular expressions (RE2: their time is
#: linear); form: names of fields.
Format = Literal["json", "xml", "text", "form"]
Value = str | None
_Meaning = TypeVar("_Meaning")


class UnreadableError(GatewayError, ValueError):
    """A document that is not of its format; the text quotes nothing of it."""


def read(format: Format, octets: bytes) -> Any:
    """A document. Raises UnreadableError."""
    try:
        match format:
            case "json":
                return json.loads(octets.removeprefix(b"\xef\xbb\xbf"))
            case "xml":
                return _xml(octets)
            case "form":
                return dict(pairs_of(octets.decode(), MOST_FIELDS))
            case "text":
                return octets.decode("utf-8", "replace")
    except (ValueError, RecursionError, etree.XMLSyntaxError):
        raise UnreadableError(f"it is not {_NAMES[format]}") from None


_NAMES = {"json": "JSON", "xml": "XML", "form": "a form", "text": "a text"}


def _xml(octets: bytes) -> Any:
    if b"<!DOCTYPE" in octets:
        raise UnreadableError("it has a document type")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True
    )
    return etree.fromstring(octets, parser)


#: Finds all values at a place of a document: parts of it, or texts.
Finder = Callable[[Any], list[Any]]


def finder(format: Format, where: str, namespaces: Mapping[str, str] | None = None) -> Finder:
    """The finder of a place. ValueError for a place that cannot be read."""
    match format:
        case "json" | "form":
            return _pointer(where)
        case "xml":
            try:
                path = etree.XPath(where, namespaces=dict(namespaces or {}))
            except etree.XPathSyntaxError:
                raise ValueError(f"{where!r} is no XPath") from None
            return lambda document: _listed(_evaluated(path, document))
        case "text":
            pattern = _pattern(where)
            return lambda document: [
                found[1] if pattern.groups else found[0] for found in pattern.finditer(document)
            ]


def _evaluated(path: etree.XPath, document: Any) -> Any:
    try:
        return path(document)
    except etree.XPathError:  # a prefix that no namespace has
        return []


def _listed(found: Any) -> list[Any]:
    return list(found) if isinstance(found, list) else [found]


@cache
def _pattern(where: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(where, options)
    except re2.error:
        raise ValueError(f"{where!r} is no regular expression of RE2") from None


def _pointer(where: str) -> Finder:
    """RFC 6901; a name without a slash is that of a field."""
    if where and not where.startswith("/"):
        where = "/" + where.replace("~", "~0").replace("/", "~1")
    tokens = [each.replace("~1", "/").replace("~0", "~") for each in where.split("/")[1:]]

    def find(document: Any) -> list[Any]:
        for token in tokens:
            if isinstance(document, dict) and token in document:
                document = document[token]
            elif isinstance(document, list) and _is_index(token) and int(token) < len(document):
                document = document[int(token)]
            else:
                return []
        return [document]

    return find


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdigit() and (step == "0" or step[0] != "0")


def text_of(value: Any) -> Value:
    """A value as text; None for what is none, such as null, an object or a list."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case etree._Element():
            return "".join(map(str, value.itertext())).strip()
    return None


class Place:
    """Where a value stands: the first of some places that has one."""

    def __init__(
        self, format: Format, where: str | Sequence[str], namespaces: Mapping[str, str]
    ) -> None:
        listed = [where] if isinstance(where, str) else where
        self._finders = [finder(format, each, namespaces) for each in listed]

    def text(self, document: Any) -> Value:
        """The first text that is not empty; "" if all are; None if there is none."""
        found = self.texts(document)
        return next(filter(None, found), "" if found else None)

    def texts(self, document: Any) -> list[str]:
        """All texts, in the order of the places."""
        found = [text_of(value) for find in self._finders for value in find(document)]
        return [text for text in found if text is not None]


def first_known(texts: Sequence[str], meanings: Mapping[str, _Meaning]) -> _Meaning | None:
    """The meaning of the first text that has one, without regard to case."""
    return next((meanings[text.lower()] for text in texts if text.lower() in meanings), None)


class Items:
    """Where the items of a list stand: all of them, or the whole document as the only one."""

    def __init__(self, format: Format, where: str | None, namespaces: Mapping[str, str]) -> None:
        self._find = None if where is None else finder(format, where, namespaces)

    def of(self, document: Any) -> list[Any]:
        """The items."""
        if self._find is None:
            return [document]
        found = self._find(document)
        return found[0] if len(found) == 1 and isinstance(found[0], list) else found


class Condition:
    """What a document has to have: at each place one of the values, without regard to case; `*` is
    any value that is not empty."""

    def __init__(
        self,
        format: Format,
        when: Mapping[str, str | Sequence[str]],
        namespaces: Mapping[str, str],
    ) -> None:
        self._tests = [
            (
                Place(format, where, namespaces),
                {each.lower() for each in ([values] if isinstance(values, str) else values)},
            )
            for where, values in when.items()
        ]

    def holds(self, document: Any) -> bool:
        """Whether it has them."""
        for place, values in self._tests:
            found = (place.text(document) or "").lower()
            if found not in values and not ("*" in values and found):
                return False
        return True
