"""What a provider pushes to us: the request, and what its parser reads in it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable
from urllib.parse import parse_qsl

from ..errors import GatewayError
from ..moments import now
from ..sms.message import State
from ..sms.receipt import Receipt
from . import Incoming

#: The most fields of a form.
MOST_FIELDS = 100
_LONGEST_ID = 255
_ID = re.compile(r"[!-~]{1,255}")
# As carriers write numbers, short codes and names.
_NUMBER = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,64}")
_NO_DIGIT = re.compile(r"[^0-9]")


class PushError(GatewayError):
    """A request that is not taken: the HTTP status of the answer, and why, in our words only.

    400 for what cannot be read, 403 for a wrong signature, 415 for another media type. Providers
    repeat a request after each of them or give it up; nothing of it is kept.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A request that came to a provider's address with the right secret."""

    #: Where it was sent, as the provider knows it (`public_url`); signatures may cover it.
    url: str = field(repr=False)
    #: By their names in lower case.
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    #: When it came, Unix milliseconds.
    at: int

    def json(self) -> Any:
        """The value of a JSON body. PushError for another type, and for what is none."""
        if self._media_type() != "application/json":
            raise PushError(415, "the body has to be application/json")
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise PushError(400, "the body is not JSON") from None

    def form(self) -> dict[str, str]:
        """The fields of a form; of a name that comes twice the last. PushError as for `json`."""
        if self._media_type() != "application/x-www-form-urlencoded":
            raise PushError(415, "the body has to be application/x-www-form-urlencoded")
        try:
            text = self.body.decode()
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
        except ValueError:
            raise PushError(400, "the body is no form in UTF-8, or has too many fields") from None

    def _media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a push tells, and how the provider wants to be answered once that is stored."""

    receipts: Sequence[Receipt] = ()
    #: Each with the provider's id (`Incoming.id`) where it has one: it may be pushed again.
    messages: Sequence[Incoming] = ()
    media_type: str = "text/plain"
    answer: bytes = b""


@runtime_checkable
class TakesPushes(Protocol):
    """A provider that pushes receipts or messages."""

    def hear(self, push: Push) -> Heard:
        """What a request tells. It is called in web processes: it reads, and does nothing else.

        Raises PushError.
        """
        ...


def receipt(
    smsc_id: str, state: State, recipient: str = "", *, error: str = "", done_at: int = 0
) -> Receipt:
    """What a provider says of a message by its id. `recipient`: as the provider writes it, where it
    does. `done_at`: when it happened, Unix milliseconds."""
    return Receipt(
        smsc_id=smsc_id,
        state=state,
        recipient=_NO_DIGIT.sub("", recipient),
        error=error,
        done_at=done_at or now(),
        raw=f"status: {state}",
    )


def checked(heard: Heard) -> Heard:
    """The same, as it can be stored. PushError where an id or a number is none, as then the
    provider's request is not what its parser took it for."""
    for told in heard.receipts:
        if not _ID.fullmatch(_text(told.smsc_id)) or not _ID.fullmatch(_text(told.error) or "0"):
            raise PushError(400, "an id or an error is none")
    messages = []
    for each in heard.messages:
        if not _NUMBER.fullmatch(_text(each.sender)) or not _NUMBER.fullmatch(
            _text(each.recipient)
        ):
            raise PushError(400, "a number is none")
        if len(_text(each.id)) > _LONGEST_ID:
            raise PushError(400, "an id is none")
        messages.append(replace(each, text=_storable(_text(each.text))))
    return replace(heard, messages=messages)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise PushError(400, "a field is no text")
    return value


def _storable(text: str) -> str:
    """A text without what PostgreSQL cannot keep: NUL, and half a surrogate pair (RFC 8259, section
    8.2, has both in JSON)."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "")
