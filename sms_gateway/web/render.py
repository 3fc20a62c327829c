"""Writes answers as XML, or as JSON for clients that ask for it."""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from xml.sax.saxutils import escape

from ..backend import DeliveryStatus, Inbox, MessageStatus, ReceivedMessage, Reply
from ..codes import Code
from ..moments import iso
from .express import Headers, Response

Answer = Reply | Inbox | MessageStatus

#: The XML elements that hold a list, and the name of each item.
_ITEMS = {"messages": "message", "deliveries": "delivery", "steps": "step"}

#: On every answer of the API.
_COMMON = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_XML = ((b"content-type", b"text/xml; charset=utf-8"), *_COMMON)
_JSON = ((b"content-type", b"application/json"), *_COMMON)

# Characters that XML 1.0 cannot represent (section 2.2); only notes from afar may contain them.
_UNWRITABLE = dict.fromkeys(
    [*range(0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\N{REPLACEMENT CHARACTER}"
) | {0x09: "\t", 0x0A: "\n", 0x0D: "\r"}


_SUCCESS = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b"<result><error>0</error><sent>%d</sent><id>%b</id></result>"
)


def as_xml(answer: Answer) -> bytes:
    """`<result>` with the fields of `as_json`."""
    if isinstance(answer, Reply) and not answer.error:  # most are
        return _SUCCESS % (answer.sent, _escape(answer.id).encode())
    result = _element("result", _fields(answer))
    return f'<?xml version="1.0" encoding="UTF-8"?>{result}'.encode()


def as_json(answer: Answer) -> bytes:
    """An object under the one name `result`.

    A reply has error, sent and id, and on an error a note with the sentence. Another answer has
    error and the data that was asked for.
    """
    return json.dumps({"result": _fields(answer)}).encode()


def many(replies: Iterable[Reply]) -> Response:
    """The replies to the calls of one request: a list of the objects that single replies have under
    `result`. A reply that alone would have status 503 has `retry_after`, in seconds."""
    body = f"[{', '.join(map(_one_of_many, replies))}]".encode()
    return 200, (*_JSON, (b"content-length", b"%d" % len(body))), body


def _one_of_many(reply: Reply) -> str:
    if not reply.error:  # most are
        return f'{{"error": 0, "sent": {reply.sent}, "id": {json.dumps(reply.id)}}}'
    fields = _fields(reply)
    return json.dumps(fields | {"retry_after": reply.retry_after} if reply.retry_after else fields)


def _fields(answer: Answer) -> dict[str, object]:
    reply = answer if isinstance(answer, Reply) else answer.reply
    fields: dict[str, object] = {"error": int(reply.error), "sent": reply.sent, "id": reply.id}
    if reply.error:
        return fields | {"note": reply.sentence}
    match answer:
        case Inbox():
            messages = [_message(message) for message in answer.messages]
            return {"error": 0, "messages": messages, "next": answer.next}
        case MessageStatus():
            return fields | {
                "state": answer.state,
                "accepted": iso(answer.accepted_at),
                "parts": answer.parts,
                "reference": answer.reference,
                "deliveries": [_delivery(delivery) for delivery in answer.deliveries],
            }
    return fields


def _message(message: ReceivedMessage) -> dict[str, object]:
    return {
        "id": message.id,
        "from": message.sender,
        "to": message.recipient,
        "message": message.text,
        "received": iso(message.received_at),
    }


def _delivery(delivery: DeliveryStatus) -> dict[str, object]:
    steps = [
        {"at": iso(step.at), "part": step.part, "event": step.event, "detail": step.detail}
        for step in delivery.steps
    ]
    return {"recipient": delivery.recipient, "state": delivery.state, "steps": steps}


def _element(name: str, value: object) -> str:
    match value:
        case str():
            content = _escape(value)
        case list():
            content = "".join([_element(_ITEMS[name], item) for item in value])
        case dict():
            content = "".join([_element(field, inner) for field, inner in value.items()])
        case _:
            content = str(value)
    return f"<{name}>{content}</{name}>"


def _escape(text: str) -> str:
    if text.isalnum():
        return text
    # An XML parser reads a literal carriage return as a line feed (XML 1.0, section 2.11).
    return escape(text.translate(_UNWRITABLE), {"\r": "&#13;"})


def wants_json(headers: Mapping[bytes, bytes], asked: str = "") -> bool:
    """Whether the answer is to be JSON: by the parameter `format`, failing that by Accept."""
    if asked:
        return asked == "json"
    return _prefers_json(headers.get(b"accept", b""))


@lru_cache(maxsize=256)
def _prefers_json(accept: bytes) -> bool:
    """Whether Accept names JSON and prefers no form of XML to it (RFC 9110, section 12.5.1).

    JSON wins a tie: a client that names it can read it, and `*/*` is in every client's header.
    """
    if b"json" not in accept.lower():
        return False
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


def response(answer: Answer, json: bool, *, status: int = 200, headers: Headers = ()) -> Response:
    """The response with an answer; the status is 503 where the reply has `retry_after`."""
    body = as_json(answer) if json else as_xml(answer)
    reply = answer if isinstance(answer, Reply) else answer.reply
    if reply.retry_after:
        status = 503
        headers = (*headers, (b"retry-after", b"%d" % reply.retry_after))
    return status, _headers(json, len(body), headers), body


# Nearly all answers have equal headers.
@lru_cache(maxsize=256)
def _headers(json: bool, length: int, more: Headers) -> Headers:
    return (*(_JSON if json else _XML), (b"content-length", b"%d" % length), *more)


def not_sent(note: str) -> Reply:
    """The reply to a request that cannot be read."""
    return Reply(Code.NOT_SENT, note=note)
