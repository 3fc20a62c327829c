"""Reads the parameters of a request, from query, form, multipart form or JSON body.

A parameter of the body wins over one of the query with the same name, and either wins over
`Authorization: Bearer`. Of a name that comes twice the last value counts, as in PHP. Only
`recipients` are joined, by comma, whether they come as `recipients`, `recipients[]` or
`recipients[0]`.
"""

import codecs
import json
import re
from collections.abc import Iterable, Mapping
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser
from starlette.types import Receive, Scope

from ..network.asgi_body import UnusableError, receive_body
from ..remote.batching import MOST_CALLS

#: All parameters that some path of the API takes.
NAMES = frozenset([
    "apikey", "recipients", "message", "sender", "reference", "id", "after", "limit", "before",
    "format",
])  # fmt: skip
# The parameters that may be whole numbers in JSON. `before` may not: a number there could be meant
# in three ways. No key and no id is a number.
_NUMBERS = frozenset({"recipients", "message", "sender", "reference", "after", "limit"})
#: The most fields of one form, and the most numbers in a JSON list; we refuse more.
MAX_FIELDS = 64
#: The most unknown parameters that are named in a note.
MOST_NAMED = 3


# ASCII and ISO 8859-1 mean Windows-1252 on the Web (Encoding Standard, section 4.2).
_WESTERN = "cp1252"
#: Charsets that a form may name, as Python calls them. Python knows more codecs: some are costly
#: (idna), some are no charsets (rot13).
CHARSETS = frozenset([
    "utf-8", "utf-8-sig", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256",
    "cp1257", "cp1258", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8",
    "iso8859-9", "iso8859-15", "koi8-r", "koi8-u", "mac-roman", "gb18030", "gbk", "big5",
    "shift_jis", "euc_jp", "euc_kr",
])  # fmt: skip
# Charsets by the names of Python's modules. A table, as codecs.lookup remembers every name that it
# was asked for.
_CODECS = {normalize_encoding(name): name for name in CHARSETS}
_CODECS |= dict.fromkeys(("ascii", "latin_1"), _WESTERN)

UNTOLD_JSON = "The body is JSON, which has to be said: Content-Type: application/json"
_JSON_BEGINS = (b"{", b"[")
# Stands for the value of an unknown parameter, which nobody reads.
_SOMETHING = "\ufffd"
_NAME = re.compile("[A-Za-z][A-Za-z_-]{0,19}")

_OPTION = re.compile(rb';[ \t]*([^\s;="]++)=(?:"((?:[^"\\]|\\.)*+)"|([^;]*+))', re.DOTALL)
_OF_FILES = (b"filename", b"filename*")


async def receive(scope: Scope, receive: Receive) -> dict[str, str]:
    """All parameters of a GET or POST request that comes through ASGI.

    Raises UnusableError (400, 408, 413, 415).
    """
    method = scope["method"]
    body = await receive_body(receive) if method == "POST" else b""
    return read(method, scope["query_string"], dict(scope["headers"]), body)


def read(method: str, query: bytes, headers: Mapping[bytes, bytes], body: bytes) -> dict[str, str]:
    """All parameters of a GET or POST request, decoded; missing ones are left out.

    Raises UnusableError (400, 415).
    """
    fields = parse_form(query) if query else {}
    if method == "POST":
        check_encoding(headers)
        fields |= parse_body(headers.get(b"content-type", b""), body)
    # White space around a key comes from copy and paste.
    key = fields.get("apikey", "").strip()
    if not key:
        scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            key = credentials.decode("latin-1").strip()
    fields["apikey"] = key
    return fields


def check_encoding(headers: Mapping[bytes, bytes]) -> None:
    """Raises UnusableError (415) for a compressed body."""
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise UnusableError(415, "A compressed body is not understood")


def parse_body(content_type: bytes, body: bytes) -> dict[str, str]:
    """The parameters in a body. A body without a type, or of type text/plain, is a form."""
    media_type, options = _options_again(content_type)
    if media_type == b"application/json" or media_type.endswith(b"+json"):
        return parse_json(body)
    if media_type == b"multipart/form-data":
        boundary = options.get(b"boundary", b"")
        return parse_multipart(body, boundary, options.get(b"charset", b""))
    if media_type in (b"application/x-www-form-urlencoded", b"text/plain", b""):
        if not body[:1].isalpha():
            body = body.removeprefix(codecs.BOM_UTF8)
            if body.lstrip()[:1] in _JSON_BEGINS and _is_json(body):
                raise UnusableError(400, UNTOLD_JSON)
        return parse_form(body, options.get(b"charset", b""))
    if not body:
        return {}
    raise UnusableError(415, "The body is neither a form nor JSON")


def options_of(value: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """The type and the parameters of headers like Content-Type and Content-Disposition.

    Type and parameter names come in lower case; of a name that comes twice the last value counts
    (RFC 9110, section 8.3.1). The time grows linearly with the length.
    """
    kind, _, rest = value.partition(b";")
    options = {
        name.lower(): _unescaped(quoted) or plain.strip()
        for name, quoted, plain in _OPTION.findall(b";" + rest)
    }
    return kind.strip().lower(), options


_options_again = lru_cache(maxsize=64)(options_of)


def parse_form(raw: bytes, charset: bytes = b"") -> dict[str, str]:
    """The parameters in an urlencoded form or query (URL Standard, section 5.1)."""
    plain = _plain_form(raw) if raw.isascii() and not charset else None
    if plain is not None:
        return plain
    pairs = raw.replace(b"+", b" ").split(b"&")
    if len(pairs) > MAX_FIELDS:
        raise UnusableError(400, "Too many parameters")
    fields: dict[str, str] = {}
    for pair in pairs:
        name, _, value = map(unquote_to_bytes, pair.partition(b"="))
        _add(fields, _decode(name), _decode(value, charset))
    fields.pop("", None)
    return fields


def _plain_form(raw: bytes) -> dict[str, str] | None:
    """As `parse_form`, for a form whose parameters come once each, by their plain names.

    Nearly all forms are so; None for another form.
    """
    fields: dict[str, str] = {}
    for pair in raw.decode().replace("+", " ").split("&", len(NAMES)):
        name, _, value = pair.partition("=")
        if name not in NAMES or name in fields:
            return None
        if "%" in value:
            # In most requests the plus sign of a number is the only escape.
            value = value.replace("%2B", "+")
            if "%" in value:
                value = _decode(unquote_to_bytes(value))
        fields[name] = value
    return fields


def _unescaped(quoted: bytes) -> bytes:
    """The content of a quoted string, without the backslashes of its pairs (RFC 9110, 5.6.4)."""
    # A pattern would cost half a microsecond for each pair, and there may be 90,000.
    return b"\\".join([piece.replace(b"\\", b"") for piece in quoted.split(b"\\\\")])


def parse_multipart(body: bytes, boundary: bytes, charset: bytes = b"") -> dict[str, str]:
    """The parameters in a multipart form (RFC 7578); files are ignored.

    A part's own charset wins over the charset of the form.
    """
    fields: dict[str, str] = {}
    for headers, value in _parts(body, boundary):
        _, disposition = options_of(headers.get(b"content-disposition", b""))
        if not disposition.keys().isdisjoint(_OF_FILES):
            continue
        _, options = options_of(headers.get(b"content-type", b""))
        name = _decode(disposition.get(b"name", b""))
        _add(fields, name, _decode(value, options.get(b"charset", charset)))
    fields.pop("", None)
    return fields


def parse_json(body: bytes) -> dict[str, str]:
    """The parameters in a JSON object; recipients may be a list.

    Recipients, message, sender, reference, after and limit may be whole numbers. A parameter that
    is null counts as given and empty: a client that by mistake deletes the message null does not
    ask to delete all.
    """
    document = _json(body)
    if not isinstance(document, dict):
        raise UnusableError(400, "The body is not a JSON object")
    return named(document)


def parse_calls(body: bytes) -> list[object]:
    """The calls in a JSON list; `named` reads each that is an object."""
    calls = _json(body)
    if not isinstance(calls, list) or len(calls) > MOST_CALLS:
        raise UnusableError(400, f"The body is not a JSON list of at most {MOST_CALLS} calls")
    return calls


def named(document: Mapping[str, object]) -> dict[str, str]:
    """The parameters in a decoded JSON object."""
    return {
        name: value if isinstance(value, str) else "" if value is None else _text(name, value)
        for name, value in document.items()
    }


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise UnusableError(400, "The body is not JSON") from None


def _text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if name in _NUMBERS and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if name == "recipients":
        if isinstance(value, list) and len(value) > MAX_FIELDS:
            raise UnusableError(400, "Too many recipients")
        if isinstance(value, list) and not any(isinstance(number, list) for number in value):
            return ",".join(_text(name, number) for number in value)
    if name in NAMES:
        raise UnusableError(400, f"The parameter {name} is not a text")
    return _SOMETHING


def _is_json(body: bytes) -> bool:
    try:
        return isinstance(_json(body), dict | list)
    except UnusableError:
        return False


def unknown(fields: Mapping[str, str]) -> list[str]:
    """The names of unknown parameters that may be quoted to the client.

    A text with an unescaped & leaves pieces of itself behind as names. So only names are quoted
    that are short, look like a name, and have a value.
    """
    return [
        name
        for name, value in fields.items()
        if value and name not in NAMES and _NAME.fullmatch(name)
    ][:MOST_NAMED]


def _add(fields: dict[str, str], name: str, value: str) -> None:
    if name.startswith("recipients"):
        name = name.partition("[")[0]
        if name == "recipients" and fields.get(name):
            value = f"{fields[name]},{value}"
    fields[name] = value


def _decode(raw: bytes, charset: bytes = b"") -> str:
    """Text in the charset that the client names; by default UTF-8, failing that Windows-1252."""
    codec = _codec(charset) if charset else "utf-8"
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        if charset and codec != _WESTERN:
            raise UnusableError(400, "The text is not in the charset that it names") from None
    # Clients that name no charset and do not send UTF-8 are old and western. Windows-1252 leaves
    # five bytes undefined; ISO 8859-1 reads these as control characters.
    try:
        return raw.decode(_WESTERN)
    except UnicodeDecodeError:
        return raw.decode("latin-1")


@lru_cache(maxsize=64)
def _codec(charset: bytes) -> str:
    try:
        name = normalize_encoding(charset.decode("ascii").lower())
        return _CODECS[aliases.get(name, name)]
    except (LookupError, ValueError):
        raise UnusableError(415, "The charset is not known") from None


def _parts(body: bytes, boundary: bytes) -> Iterable[tuple[dict[bytes, bytes], bytes]]:
    parts: list[tuple[dict[bytes, bytes], bytearray]] = []
    name, value = bytearray(), bytearray()

    def begin() -> None:
        if len(parts) == MAX_FIELDS:
            raise UnusableError(400, "Too many parameters")
        parts.append(({}, bytearray()))

    def end_of_header() -> None:
        parts[-1][0][bytes(name).lower()] = bytes(value)
        name.clear()
        value.clear()

    ended = False

    def end() -> None:
        nonlocal ended
        ended = True

    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": begin,
                "on_header_field": lambda data, start, end: name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: value.extend(data[start:end]),
                "on_header_end": end_of_header,
                "on_part_data": lambda data, start, end: parts[-1][1].extend(data[start:end]),
                "on_end": end,
            },
        )
        parser.write(body)
    except FormParserError:
        ended = False
    if not ended:
        raise UnusableError(400, "The body is not a multipart form")
    return [(headers, bytes(content)) for headers, content in parts]
