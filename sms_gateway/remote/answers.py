"""Reads the answers of an HTTP API, ours or the original service's, in XML or JSON.

Nothing is taken on trust: an invalid answer, or one that contradicts itself, raises
InvalidAnswerError.
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any, TypeVar

from lxml import etree

from ..backend import DeliveryStatus, Inbox, MessageStatus, ReceivedMessage, Reply, Step
from ..codes import MAX_RECIPIENTS, Code
from ..errors import GatewayError
from ..moments import now, read_iso
from ..sms.message import State

log = logging.getLogger(__name__)

Fields = Mapping[str, object]
_Item = TypeVar("_Item")

#: The longest note, and the longest id, to pass on.
_LONGEST_TEXT = 500
_LONGEST_WAIT = 3600
_CODES = {int(code): code for code in Code}
#: The XML elements that hold a number, and the elements that hold a list.
_NUMBERS = frozenset({"error", "sent", "next", "parts", "part"})
_LISTS = {"messages": "message", "deliveries": "delivery", "steps": "step"}


# The answer of our own servers when all calls of a request were accepted, as nearly always. Reading
# it by this pattern takes a fifth of the time of a JSON parser.
_SENT = re.compile(rb'\{"error": 0, "sent": ([1-4]), "id": "([0-9a-f]{32})"\}')
_ALL_SENT = re.compile(rb"\[%b(?:, %b)*\]" % (_SENT.pattern, _SENT.pattern))


class InvalidAnswerError(GatewayError):
    """An answer that is no reply; the text names the fault and quotes nothing of the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    #: The Retry-After header.
    retry_after: str | None
    body: bytes
    #: The Accept-Post header: the media types that the server takes.
    accept_post: str = ""
    #: All headers, by their names in lower case.
    headers: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)


def read_reply(answer: Answer) -> Reply:
    """The reply to a message that was sent, or sent again; raises InvalidAnswerError."""
    refusal, fields = _read(answer)
    return _success(fields) if refusal is None else refusal


def _success(fields: Fields) -> Reply:
    sent = _number(fields, "sent")
    if not 1 <= sent <= MAX_RECIPIENTS:
        raise InvalidAnswerError("it reports success with no or too many recipients")
    return Reply(Code.SENT, sent, _name(fields))


def read_replies(answer: Answer, count: int) -> list[Reply]:
    """The replies to the `count` calls of one request, in order; raises InvalidAnswerError.

    A single invalid reply becomes code 6, for its call may have been accepted. The other replies
    stand.
    """
    if answer.status == 503 and answer.retry_after is not None:
        return [Reply(Code.INTERNAL, retry_after=_seconds(answer.retry_after))] * count
    if answer.status != 200:
        raise InvalidAnswerError(f"its status is {answer.status}")
    if _ALL_SENT.fullmatch(answer.body):
        found = _SENT.findall(answer.body)
        if len(found) == count:
            return [Reply(Code.SENT, int(sent), id.decode()) for sent, id in found]
    items = _json(answer.body)
    if not isinstance(items, list) or len(items) != count:
        raise InvalidAnswerError("it has not one reply for each call")
    return [_one_of_many(item) for item in items]


def _one_of_many(item: object) -> Reply:
    try:
        if not isinstance(item, dict):
            raise InvalidAnswerError("a reply is none")
        refusal = _refusal(item)
        if refusal is None:
            return _success(item)
        wait = _number(item, "retry_after") if refusal.error is Code.INTERNAL else 0
        return Reply(refusal.error, retry_after=min(wait, _LONGEST_WAIT)) if wait > 0 else refusal
    except InvalidAnswerError as error:
        log.warning("odd reply of the backend", extra={"reason": str(error)})
        return Reply(Code.TIMED_OUT)


def read_count(answer: Answer) -> Reply:
    """The reply whose `sent` counts the deleted messages; raises InvalidAnswerError."""
    refusal, fields = _read(answer)
    if refusal is not None:
        return refusal
    sent = _number(fields, "sent")
    if sent < 0:
        raise InvalidAnswerError("it reports success without a count")
    return Reply(Code.SENT, sent)


def read_inbox(answer: Answer, *, after: int, limit: int) -> Inbox:
    """The received messages, requested with `after` and `limit`; raises InvalidAnswerError."""
    refusal, fields = _read(answer)
    if refusal is not None:
        return Inbox(refusal)
    messages = _items(fields, "messages", _message)
    places = [after, *(message.id for message in messages)]
    if any(later <= earlier for earlier, later in pairwise(places)):
        raise InvalidAnswerError("its messages are not in order")
    if len(messages) > limit:
        raise InvalidAnswerError("it has more messages than it was asked for")
    if _number(fields, "next") != places[-1]:
        raise InvalidAnswerError("its next is not where its messages end")
    return Inbox(Reply(Code.SENT), messages, places[-1])


def read_status(answer: Answer, id: str) -> MessageStatus:
    """The status of the message of this id; raises InvalidAnswerError."""
    refusal, fields = _read(answer)
    if refusal is not None:
        return MessageStatus(refusal)
    if _name(fields) != id:
        raise InvalidAnswerError("it is about another message")
    deliveries = _items(fields, "deliveries", _delivery)
    sent = _number(fields, "sent")
    if not deliveries or sent != len(deliveries):
        raise InvalidAnswerError("its deliveries are not as many as it says")
    return MessageStatus(
        Reply(Code.SENT, sent, id),
        state=_state(fields),
        accepted_at=_time(fields, "accepted"),
        parts=_number(fields, "parts"),
        deliveries=deliveries,
        # Servers from before migration 0005 send no reference.
        reference=_text(fields, "reference") if "reference" in fields else "",
    )


def _message(fields: Fields) -> ReceivedMessage:
    return ReceivedMessage(
        id=_number(fields, "id"),
        sender=_text(fields, "from"),
        recipient=_text(fields, "to"),
        text=_raw(fields, "message"),
        received_at=_time(fields, "received"),
    )


def _delivery(fields: Fields) -> DeliveryStatus:
    return DeliveryStatus(
        recipient=_text(fields, "recipient"),
        state=_state(fields),
        steps=_items(fields, "steps", _step),
    )


def _step(fields: Fields) -> Step:
    return Step(
        at=_time(fields, "at"),
        part=_number(fields, "part"),
        event=_cleaned(_text(fields, "event")),
        detail=_cleaned(_text(fields, "detail")),
    )


def _read(answer: Answer) -> tuple[Reply | None, Fields]:
    """The reply if it is a refusal, otherwise None; and all fields."""
    status = answer.status
    if status == 503 and answer.retry_after is not None:
        return Reply(Code.INTERNAL, retry_after=_seconds(answer.retry_after)), {}
    if not 200 <= status < 300 and not 400 <= status < 500:
        raise InvalidAnswerError(f"its status is {status}")
    body = answer.body.removeprefix(b"\xef\xbb\xbf").strip()
    fields = _json_fields(body) if body.startswith(b"{") else _xml_fields(body)
    refusal = _refusal(fields)
    if refusal is None and status >= 400:
        raise InvalidAnswerError("it reports success with an error status")
    return refusal, fields


#: The codes whose note may say more than the code's sentence.
_NOTED = (Code.NOT_SENT, Code.TOO_FAST)


def _refusal(fields: Fields) -> Reply | None:
    """The reply in these fields; None when they report success."""
    error = _CODES.get(_number(fields, "error"))
    if error is None:
        raise InvalidAnswerError("its code is unknown or missing")
    if error is Code.SENT:
        return None
    note = _cleaned(_text(fields, "note")) if error in _NOTED else ""
    return Reply(error, note="" if note == error.sentence else note)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body, object_pairs_hook=_once_each)
    except (ValueError, RecursionError):
        raise InvalidAnswerError("it is not JSON") from None


def _json_fields(body: bytes) -> Fields:
    result = _json(body).get("result")
    if not isinstance(result, dict):
        raise InvalidAnswerError("it has no result")
    return result


def _xml_fields(body: bytes) -> Fields:
    if b"<!DOCTYPE" in body:
        raise InvalidAnswerError("it has a document type")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        result = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        raise InvalidAnswerError("it is neither XML nor JSON") from None
    if result.tag != "result":
        raise InvalidAnswerError("it has no result")
    return _children(result)


def _children(element: etree._Element) -> Fields:
    return _once_each([(str(child.tag), _value(child)) for child in element])


def _value(element: etree._Element) -> object:
    """The value that JSON would have in place of an XML element."""
    name, parent = str(element.tag), element.getparent()
    if name in _LISTS:
        if any(child.tag != _LISTS[name] for child in element):
            raise InvalidAnswerError("a list holds something else")
        return [_children(child) for child in element]
    if len(element):
        raise InvalidAnswerError("a field holds more than text")
    text = element.text or ""
    is_number = name in _NUMBERS or (
        name == "id" and parent is not None and parent.tag == "message"
    )
    if is_number and re.fullmatch("[0-9]{1,19}", text.strip()):
        return int(text)
    return text


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidAnswerError("a field comes twice")
    return fields


def _items(fields: Fields, name: str, read: Callable[[Fields], _Item]) -> tuple[_Item, ...]:
    items = fields.get(name)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InvalidAnswerError(f"its {name} are no list")
    return tuple(read(item) for item in items)


def _number(fields: Fields, name: str) -> int:
    value = fields.get(name, -1)
    # In Python a bool is an int; here it is no number.
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidAnswerError(f"its {name} is no number")
    return value


def _raw(fields: Fields, name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise InvalidAnswerError(f"its {name} is no text")
    return value


def _text(fields: Fields, name: str) -> str:
    return _raw(fields, name).strip()


def _name(fields: Fields) -> str:
    name = _text(fields, "id")
    if not 1 <= len(name) <= _LONGEST_TEXT or not name.isprintable():
        raise InvalidAnswerError("it reports success without an id")
    return name


def _state(fields: Fields) -> str:
    try:
        return State(_text(fields, "state"))
    except ValueError:
        raise InvalidAnswerError("its state is unknown or missing") from None


def _time(fields: Fields, name: str) -> int:
    """A time in ISO 8601, as Unix milliseconds."""
    try:
        milliseconds = read_iso(_text(fields, name))
        if milliseconds < 0:
            raise ValueError
        return milliseconds
    except (ValueError, OverflowError):
        raise InvalidAnswerError(f"its {name} is no time") from None


def _cleaned(note: str) -> str:
    """A note from afar on one line, without control characters."""
    return "".join(char if char.isprintable() else " " for char in note[:_LONGEST_TEXT]).strip()


def _seconds(retry_after: str) -> int:
    """Retry-After in seconds, from either of its forms (RFC 9110, section 10.2.3); at least 1."""
    try:
        wait: float = int(retry_after)
    except ValueError:
        try:
            wait = parsedate_to_datetime(retry_after).timestamp() - now() / 1_000
        except (ValueError, OverflowError):
            wait = 1
    return int(min(max(wait, 1), _LONGEST_WAIT))
