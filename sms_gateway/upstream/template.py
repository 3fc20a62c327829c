"""Templates of requests: forms, JSON, XML and texts whose strings have placeholders such as {text}.

A template is read as what it is (JSON as JSON, XML as XML) before anything is filled in, and is
written again afterwards. So a value is always escaped as its place needs, and a template that is
not well-formed is refused when the settings are read. `{{` and `}}` stand for braces.

A field that has an empty placeholder in it is left out, and so is a table that has nothing left.
"""

import base64
import hashlib
import re
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from json import dumps, loads
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import phonenumbers
from lxml import etree

from ..moments import iso, now
from ..sms.encoding import Encoding
from ..sms.segments import segment, user_data
from . import Delivery
from .http_contract import idempotency_key

#: Numbers of up to this many digits are short codes, which have no country code and no plus sign.
SHORT_CODE = 6

_HOLE = re.compile(r"\{\{|\}\}|\{([a-z_][a-z0-9_]*(?::[a-z0-9]+)?)\}|[{}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What placeholders are filled with."""

    delivery: Delivery
    #: Who the handset shows: the delivery's sender, or that of the upstream.
    sender: str = ""
    #: The part that the request carries (1-based); 0: the whole text.
    part: int = 0
    #: The address that the provider pushes to; empty: nothing is pushed.
    callback: str = ""
    #: The provider's words for the encodings.
    encodings: Mapping[Encoding, object] = field(default_factory=dict)
    #: The least and the most seconds of validity that the provider takes.
    validity: tuple[int, int] = (1, 2_147_483_647)
    at: int = field(default_factory=now)

    def key(self) -> str:
        """The same 64 hexadecimal digits for all attempts at a delivery (and part)."""
        key = idempotency_key(self.delivery)
        return hashlib.sha256(f"{key} {self.part}".encode()).hexdigest() if self.part else key

    def text(self) -> str:
        """The text that the request carries."""
        if not self.part:
            return self.delivery.text
        return segment(self.delivery.text, self.delivery.encoding)[self.part - 1]

    def user_data(self) -> bytes:
        """The octets of the part that the request carries, with its user data header."""
        delivery = self.delivery
        return user_data(delivery.text, delivery.encoding, delivery.id)[max(0, self.part - 1)]

    def seconds(self) -> int:
        """How long it stays valid."""
        least, most = self.validity
        return min(max((self.delivery.expires_at - self.at) // 1000, least), most)


class Placeholder(NamedTuple):
    """A placeholder of a delivery."""

    about: str
    of: Callable[[Told], object]


def _plus(sender: str) -> str:
    return f"+{sender}" if sender.isdigit() and len(sender) > SHORT_CODE else sender


def _national(number: str) -> str:
    return phonenumbers.national_significant_number(phonenumbers.parse(number))


def _udh(told: Told) -> str:
    octets = told.user_data()
    return octets[: octets[0] + 1].hex() if told.delivery.parts > 1 and told.part else ""


def _payload(told: Told) -> str:
    octets = told.user_data()
    return octets[octets[0] + 1 if _udh(told) else 0 :].hex()


def _end(told: Told) -> int:
    return told.at + told.seconds() * 1000


#: By the name in the template: of a delivery.
PLACEHOLDERS = {
    "recipient": Placeholder(
        "the number, as +32494123456", lambda told: told.delivery.recipient
    ),
    "recipient:digits": Placeholder(
        "the number without the plus sign", lambda told: told.delivery.recipient[1:]
    ),
    "recipient:zeros": Placeholder(
        "the number with 00 for the plus sign", lambda told: f"00{told.delivery.recipient[1:]}"
    ),
    "recipient:national": Placeholder(
        "the number without its country code", lambda told: _national(told.delivery.recipient)
    ),
    "recipient:int": Placeholder(
        "the digits as a number of JSON", lambda told: int(told.delivery.recipient[1:])
    ),
    "sender": Placeholder("who the handset shows", lambda told: told.sender),
    "sender:plus": Placeholder(
        "the same, with a plus sign before numbers of more than six digits",
        lambda told: _plus(told.sender),
    ),
    "text": Placeholder("the text, or the part of it that the request carries", Told.text),
    "text:hex": Placeholder(
        "its octets in hexadecimal: UTF-16 or, where GSM's alphabet has all of it, a septet each",
        _payload,
    ),
    "text:base64": Placeholder(
        "the text in UTF-8 and base64",
        lambda told: base64.b64encode(told.text().encode()).decode("ascii"),
    ),
    "encoding": Placeholder(
        "gsm7 or ucs2, or what `encodings` has for them",
        lambda told: told.encodings.get(told.delivery.encoding, told.delivery.encoding.value),
    ),
    "parts": Placeholder("how many parts the text has", lambda told: told.delivery.parts),
    "part": Placeholder(
        "which of them the request carries; with per = \"part\"", lambda told: told.part or None
    ),
    "udh": Placeholder("the header of the part in hexadecimal; empty for a text of one part", _udh),
    "id": Placeholder(
        "the message's id, 32 hexadecimal digits; its recipients share it",
        lambda told: told.delivery.message_id,
    ),
    "key": Placeholder(
        "64 hexadecimal digits, the same in all attempts at a delivery and in no other", Told.key
    ),
    "key:short": Placeholder("the first 32 of them", lambda told: told.key()[:32]),
    "key:uuid": Placeholder("the same as a UUID", lambda told: str(uuid.UUID(told.key()[:32]))),
    "key:int": Placeholder(
        "the same as a number of 60 bits", lambda told: int(told.key()[:15], 16)
    ),
    "validity": Placeholder("how long it stays valid, in seconds", Told.seconds),
    "validity:ms": Placeholder("in milliseconds", lambda told: told.seconds() * 1000),
    "validity:minutes": Placeholder("in minutes", lambda told: max(1, told.seconds() // 60)),
    "validity:hours": Placeholder("in hours", lambda told: max(1, told.seconds() // 3600)),
    "expires": Placeholder(
        "when its validity ends, as 2026-11-30T18:00:00Z",
        lambda told: iso(_end(told), "seconds"),
    ),
    "expires:unix": Placeholder(
        "the same as Unix time, in seconds", lambda told: _end(told) // 1000
    ),
    "attempt": Placeholder("the number of the attempt, from 1", lambda told: told.delivery.attempt),
    "callback": Placeholder(
        "the address that the provider is to push to; empty without push_secret",
        lambda told: told.callback,
    ),
}  # fmt: skip

#: The value of a placeholder by its name.
Fill = Callable[[str], object]


def is_empty(value: object) -> bool:
    """Whether a value leaves its field out."""
    return value is None or value == ""


class Text:
    """A string with placeholders."""

    def __init__(self, text: str, names: Collection[str]) -> None:
        """`names`: the placeholders that there are. ValueError for any other."""
        self._pieces: list[str | tuple[str]] = []
        end = 0
        for hole in _HOLE.finditer(text):
            self._pieces.append(text[end : hole.start()])
            end = hole.end()
            if hole[0] in ("{{", "}}"):
                self._pieces.append(hole[0][0])
            elif hole[1] is None:
                raise ValueError("a brace stands alone; write {{ and }} for braces")
            elif hole[1] not in names:
                raise ValueError(f"{{{hole[1]}}} is unknown; allowed: {', '.join(sorted(names))}")
            else:
                self._pieces.append((hole[1],))
        self._pieces.append(text[end:])
        self._pieces = [piece for piece in self._pieces if piece]

    def value(self, fill: Fill) -> object:
        """The text filled in; the value itself where the text is one placeholder, as numbers of
        JSON need; None where a placeholder in it is empty."""
        if len(self._pieces) == 1 and isinstance(self._pieces[0], tuple):
            return fill(self._pieces[0][0])
        found = [fill(piece[0]) if isinstance(piece, tuple) else piece for piece in self._pieces]
        return None if any(map(is_empty, found)) else "".join(map(written, found))

    def text(self, fill: Fill, escape: Callable[[str], str] = str) -> str:
        """The text filled in, the values escaped; an empty value is empty."""
        return "".join(
            escape(written(fill(piece[0]))) if isinstance(piece, tuple) else piece
            for piece in self._pieces
        )


def written(value: object) -> str:
    """A value as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


class Fields:
    """A flat table of templates: the fields of a form, a query or headers."""

    def __init__(self, fields: Mapping[str, str], names: Collection[str]) -> None:
        self._fields = {name: _named(name, text, names) for name, text in fields.items()}

    def filled(self, fill: Fill) -> dict[str, str]:
        """The fields that have a value."""
        found = {name: text.value(fill) for name, text in self._fields.items()}
        return {name: written(value) for name, value in found.items() if not is_empty(value)}

    def encoded(self, fill: Fill) -> str:
        """The fields as application/x-www-form-urlencoded. UnicodeEncodeError for half a surrogate
        pair."""
        return urlencode(self.filled(fill))


def _named(name: str, text: str, names: Collection[str]) -> Text:
    try:
        return Text(text, names)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def path(text: Text, fill: Fill) -> str:
    """A path with its values percent-encoded (RFC 3986, section 2.1)."""
    return text.text(fill, lambda value: quote(value, safe=""))


class Json:
    """JSON whose strings are templates."""

    media_type = "application/json"

    def __init__(self, template: Any, names: Collection[str]) -> None:
        """`template`: a value, or JSON as text. ValueError for text that is no JSON."""
        if isinstance(template, str):
            try:
                template = loads(template)
            except (ValueError, RecursionError):
                raise ValueError("it is not JSON") from None
        self._template = _compiled(template, names)

    def body(self, fill: Fill) -> bytes:
        """The JSON filled in."""
        return dumps(_filled(self._template, fill)).encode("ascii")


def _compiled(template: Any, names: Collection[str]) -> Any:
    if isinstance(template, str):
        return Text(template, names)
    if isinstance(template, Mapping):
        return {name: _compiled(value, names) for name, value in template.items()}
    if isinstance(template, list | tuple):
        return [_compiled(value, names) for value in template]
    return template


def _filled(template: Any, fill: Fill) -> Any:
    if isinstance(template, Text):
        return template.value(fill)
    if isinstance(template, dict):
        fields = {name: _filled(value, fill) for name, value in template.items()}
        return {name: each for name, each in fields.items() if not (is_empty(each) or each == {})}
    if isinstance(template, list):
        return [each for each in (_filled(value, fill) for value in template) if each != {}]
    return template


class Xml:
    """XML whose texts and attributes are templates; SOAP is XML, too."""

    def __init__(self, template: str, names: Collection[str], media_type: str) -> None:
        """ValueError for text that is no XML."""
        self.media_type = media_type
        parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)
        try:
            self._root = etree.fromstring(template.strip().encode(), parser)
        except etree.XMLSyntaxError:
            raise ValueError("it is not XML") from None
        for element in self._root.iter(etree.Element):
            for text in (element.text, element.tail, *element.attrib.values()):
                if text:
                    Text(str(text), names)
        self._names = names

    def body(self, fill: Fill) -> bytes:
        """The XML filled in. UnicodeEncodeError for a character that XML cannot carry."""
        root = etree.fromstring(etree.tostring(self._root))
        try:
            for element in root.iter(etree.Element):
                element.text = self._text(element.text, fill)
                element.tail = self._text(element.tail, fill)
                for name, value in element.attrib.items():
                    element.set(name, self._text(value, fill) or "")
        except ValueError:
            raise UnicodeEncodeError("xml", "", 0, 0, "XML cannot carry it") from None
        return etree.tostring(root, xml_declaration=True, encoding="UTF-8")

    def _text(self, template: Any, fill: Fill) -> str | None:
        return Text(str(template), self._names).text(fill) if template else None


class Plain:
    """Text with placeholders, not escaped in any way."""

    def __init__(self, template: str, names: Collection[str], media_type: str) -> None:
        self.media_type = media_type
        self._text = Text(template, names)

    def body(self, fill: Fill) -> bytes:
        """The text filled in, in UTF-8."""
        return self._text.text(fill).encode()


class Form:
    """A form."""

    media_type = "application/x-www-form-urlencoded"

    def __init__(self, template: Mapping[str, str], names: Collection[str]) -> None:
        self._fields = Fields(template, names)

    def body(self, fill: Fill) -> bytes:
        """The form filled in. UnicodeEncodeError for half a surrogate pair."""
        return self._fields.encoded(fill).encode("ascii")


Body = Json | Xml | Plain | Form
