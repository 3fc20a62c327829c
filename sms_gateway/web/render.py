"""How a reply reads over HTTP: XML, or JSON for those who ask for it."""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from xml.sax.saxutils import escape

from starlette.types import Send

from ..backend import Reply
from ..codes import Code

Headers = Iterable[tuple[bytes, bytes]]

#: On every answer of the API.
_COMMON = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_XML = ((b"content-type", b"text/xml; charset=utf-8"), *_COMMON)
_JSON = ((b"content-type", b"application/json"), *_COMMON)

# What XML 1.0 has no way to write (section 2.2); notes from afar are the only place for it.
_UNWRITABLE = dict.fromkeys(
    [*range(0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\N{REPLACEMENT CHARACTER}"
) | {0x09: "\t", 0x0A: "\n", 0x0D: "\r"}


def as_xml(reply: Reply) -> bytes:
    """`<result>` with error, sent and id, and on an error a note that says it in words."""
    note = f"<note>{_escape(reply.sentence)}</note>" if reply.error else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f"<result><error>{reply.error:d}</error><sent>{reply.sent}</sent>"
        f"<id>{_escape(reply.id)}</id>{note}</result>"
    ).encode()


def as_json(reply: Reply) -> bytes:
    """The same in JSON, under the one name `result`."""
    result: dict[str, object] = {"error": int(reply.error), "sent": reply.sent, "id": reply.id}
    if reply.error:
        result["note"] = reply.sentence
    return json.dumps({"result": result}).encode()


def _escape(text: str) -> str:
    if text.isalnum():
        return text
    return escape(text.translate(_UNWRITABLE))


def wants_json(headers: Mapping[bytes, bytes], asked: str = "") -> bool:
    """Whether the answer is to be JSON: by the parameter `format`, failing that by Accept."""
    if asked:
        return asked == "json"
    accept = headers.get(b"accept", b"")
    return b"json" in accept.lower() and _prefers_json(accept)


@lru_cache(maxsize=256)
def _prefers_json(accept: bytes) -> bool:
    """Whether JSON is named and no form of XML is liked better (RFC 9110, section 12.5.1).

    JSON wins a tie: whoever names it can read it, and `*/*` is in everybody's header.
    """
    qualities = dict(map(_quality, accept.decode("latin-1").lower().split(",")))
    json_quality = max(qualities.get("application/json", 0.0), qualities.get("text/json", 0.0))
    xml_quality = max(qualities.get("text/xml", 0.0), qualities.get("application/xml", 0.0))
    return json_quality > 0 and json_quality >= xml_quality


def _quality(media_range: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip() for part in media_range.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media_type, float(value)
            except ValueError:
                return media_type, 0.0
    return media_type, 1.0


async def send_reply(
    send: Send, reply: Reply, json: bool, *, status: int = 200, headers: Headers = ()
) -> None:
    """Answer with a reply; one with `retry_after` goes with status 503."""
    body = as_json(reply) if json else as_xml(reply)
    if reply.retry_after:
        status = 503
        headers = (*headers, (b"retry-after", b"%d" % reply.retry_after))
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                *(_JSON if json else _XML),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


def not_sent(note: str) -> Reply:
    """The reply to a request that cannot be read."""
    return Reply(Code.NOT_SENT, note=note)
