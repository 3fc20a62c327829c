"""Holds the push of a provider: the request, and the receipts and messages read from it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable
from urllib.parse import urlsplit

from ..errors import GatewayError
from ..moments import now
from ..sms.message import State
from ..sms.receipt import Receipt
from . import Incoming
from .http_options import HttpOptions
from .url_options import pairs_of

#: The states that a receipt may tell of, by our words for them. "Uncertain" is missing, as that
#: state may still change.
STATES = {
    state.value: state
    for state in (
        State.SUBMITTED,
        State.DELIVERED,
        State.UNDELIVERABLE,
        State.EXPIRED,
        State.FAILED,
        State.UNKNOWN,
    )
}
#: The most fields of a form.
MOST_FIELDS = 100
_LONGEST_ID = 255
_ID = re.compile(r"[!-~]{1,255}")
# Phone numbers, short codes and names as carriers write them.
_NUMBER = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,64}")
_NO_DIGIT = re.compile(r"[^0-9]")


class PushError(GatewayError):
    """A push that is refused: the HTTP status of the answer, and the reason, in our words only.

    400 for an unreadable push, 403 for a wrong signature, 415 for another media type. After each of
    these a provider repeats the push or gives it up. Nothing of a refused push is stored.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A request that came to a provider's address with the right secret."""

    #: The URL as the provider knows it (`public_url`); signatures may cover it.
    url: str = field(repr=False)
    #: The headers, by their names in lower case.
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    #: When the push came, Unix milliseconds.
    at: int
    method: str = "POST"

    def json(self) -> Any:
        """The value of a JSON body. PushError for another media type, and for invalid JSON."""
        if self._media_type() != "application/json":
            raise PushError(415, "the body has to be application/json")
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise PushError(400, "the body is not JSON") from None

    def form(self) -> dict[str, str]:
        """The fields of a form; of a name that comes twice the last value. PushError as `json`."""
        if self._media_type() != "application/x-www-form-urlencoded":
            raise PushError(415, "the body has to be application/x-www-form-urlencoded")
        try:
            return dict(pairs_of(self.body.decode(), MOST_FIELDS))
        except ValueError:
            raise PushError(400, "the body is no form in UTF-8, or has too many fields") from None

    def query(self) -> dict[str, str]:
        """The fields of the query of the URL, for providers that push by GET; see `form`."""
        try:
            return dict(pairs_of(urlsplit(self.url).query, MOST_FIELDS))
        except ValueError:
            raise PushError(400, "the query is not UTF-8, or has too many fields") from None

    def _media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The receipts and messages of a push, and the provider's answer once they are stored."""

    receipts: Sequence[Receipt] = ()
    #: Each with the provider's id (`Incoming.id`) where there is one: a provider may repeat a push.
    messages: Sequence[Incoming] = ()
    media_type: str = "text/plain"
    answer: bytes = b""


@runtime_checkable
class TakesPushes(Protocol):
    """A provider that pushes receipts or messages."""

    @property
    def options(self) -> HttpOptions:
        """The options, with the secrets of the address that it pushes to."""
        ...

    @property
    def receipts_of(self) -> Literal["first", "each"]:
        """See `Provider.receipts_of` of `sms_gateway/upstream/http_contract.py`."""
        ...

    def hear(self, push: Push) -> Heard:
        """Read the receipts and messages of a push. Raises PushError.

        It runs in web processes: it reads, and does nothing else.
        """
        ...


@runtime_checkable
class PushesOtherwise(Protocol):
    """A provider that pushes by another method than POST."""

    @property
    def push_method(self) -> str:
        """The method."""
        ...


def receipt(
    smsc_id: str, state: State, recipient: str = "", *, error: str = "", done_at: int = 0
) -> Receipt:
    """The receipt for the provider's id of a message.

    `recipient`: as the provider writes it; empty without one. `done_at`: when the message reached
    the state, Unix milliseconds; 0 is now.
    """
    return Receipt(
        smsc_id=smsc_id,
        state=state,
        recipient=_NO_DIGIT.sub("", recipient),
        error=error,
        done_at=done_at or now(),
        raw=f"status: {state}",
    )


def checked(heard: Heard) -> Heard:
    """Receipts and messages in a form that can be stored.

    PushError for an invalid id or number: the parser has then misread the provider's request.
    """
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
    """A text without the characters that PostgreSQL cannot store: NUL, and half a surrogate pair.

    JSON may contain both (RFC 8259, section 8.2).
    """
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "")
