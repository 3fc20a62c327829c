"""What a provider of ways out by HTTP is: it writes requests and judges answers, without I/O.

`http.HttpUpstream` does all else. A provider is a class in a file of its own; the further protocols
are for those that offer more.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from json import dumps
from typing import Literal, Protocol, runtime_checkable
from urllib.parse import urlencode

from ..errors import GatewayError
from ..remote.answers import Answer as HttpAnswer
from ..remote.answers import InvalidAnswerError
from ..remote.http_client import FORM
from ..sms.message import State
from . import Delivery, Outcome
from .http_options import HttpOptions
from .oauth2 import OAuth2
from .push import Heard

# The suffix of the id in the name of any part but the first.
_PART = re.compile(r"\.[0-9]{1,3}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to a provider's server."""

    #: Appended to the URL of the options; with the query, percent-encoded.
    path: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    #: Our id of the message, where the provider takes one: its id unless the answer has another.
    message_id: str = ""


def form_request(path: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> Request:
    """A POST of a form. UnicodeEncodeError for half a surrogate pair."""
    body = urlencode(fields).encode("ascii")
    return Request(path=path, headers={"Content-Type": FORM, **headers}, body=body)


def json_request(
    path: str, value: object, headers: Mapping[str, str], *, message_id: str = ""
) -> Request:
    """A POST of JSON."""
    body = dumps(value).encode("ascii")
    headers = {"Content-Type": "application/json", **headers}
    return Request(path=path, headers=headers, body=body, message_id=message_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The meaning of a provider's answer for a delivery."""

    #: UNANSWERED where the answer leaves open whether the message was taken.
    outcome: Outcome
    #: With ACCEPTED: the provider's id of the message, or one id for each of its parts. Empty where
    #: it is `Request.message_id`.
    ids: tuple[str, ...] = ()
    #: The reason, in the provider's terms, without phone numbers or texts.
    reason: str = ""
    #: Requests come too fast: the pace becomes slower.
    is_throttled: bool = False
    #: Every message will get this answer until an operator changes something: a key, a path, an
    #: account without credit. Nothing is sent for `locked_out_delay`, then one message.
    is_locked_out: bool = False


class UnsendableError(GatewayError):
    """A message that no request can carry; the text says why, without numbers or texts."""


class Provider(Protocol):
    """The provider's own part of an HTTP upstream; `TakesPushes` and `IsAsked` are optional."""

    @property
    def options(self) -> HttpOptions:
        """The options of the provider's server."""
        ...

    @property
    def receipts_of(self) -> Literal["first", "each"]:
        """For which parts of a long text receipts come: "first" where one id stands for all of
        them, "each" where each part has an id of its own."""
        ...

    def request(self, delivery: Delivery) -> Request:
        """The request that carries a delivery."""
        ...

    def judge(self, answer: HttpAnswer) -> Judgement:
        """The meaning of an answer; InvalidAnswerError for one without a meaning.

        `by_status` judges answers by their HTTP status alone.
        """
        ...


@runtime_checkable
class SendsParts(Protocol):
    """A provider that takes each part of a text in a request of its own."""

    def part_request(self, delivery: Delivery, part: int) -> Request:
        """The request that carries a part (1-based) of a delivery."""
        ...


@runtime_checkable
class SignsIn(Protocol):
    """A provider that wants a token of OAuth 2.0 with each request."""

    @property
    def oauth2(self) -> OAuth2:
        """Where the tokens come from."""
        ...


@runtime_checkable
class IsAsked(Protocol):
    """A provider that can be asked for the state of a message."""

    def question(self, id: str) -> Request:
        """The request that asks for the state of the message of this id."""
        ...

    def state(self, answer: HttpAnswer, id: str, recipient: str) -> State | None:
        """The state of the message in an answer; None while the message is on its way.

        NoReceiptError when the provider does not know the message, InvalidAnswerError for an answer
        without a state.
        """
        ...

    def id_of(self, key: str) -> str:
        """The provider's id of a message from `key`, its id as stored: lower case, no leading
        zeros."""
        ...


@runtime_checkable
class ChecksSignIn(Protocol):
    """A provider with a request that shows whether we are let in, and sends nothing."""

    def check_request(self) -> Request | None:
        """The request; None where there is none."""
        ...

    def checked(self, answer: HttpAnswer) -> tuple[bool, str]:
        """Whether the answer lets us in, and what to tell of it."""
        ...


@runtime_checkable
class HasInbox(Protocol):
    """A provider that keeps receipts and received messages until it is asked for them."""

    @property
    def inbox_interval(self) -> float:
        """Seconds between two questions."""
        ...

    def inbox_question(self) -> Request:
        """The request that asks for them."""
        ...

    def inbox(self, answer: HttpAnswer) -> Heard:
        """The receipts and messages in an answer; InvalidAnswerError for one without a meaning."""
        ...

    def inbox_done(self, id: str) -> Request | None:
        """The request that takes a stored message out of the inbox; None where there is none."""
        ...


#: The meaning of HTTP statuses where the body has none (RFC 9110, section 15; 402 as providers use
#: it: no credit). `by_status` judges other statuses by their class.
STATUSES = {
    **dict.fromkeys((401, 402, 403, 404, 405, 407, 410), Judgement(
        outcome=Outcome.RETRY, is_locked_out=True
    )),
    **dict.fromkeys((400, 413, 414, 415, 422), Judgement(outcome=Outcome.REFUSED)),
    **dict.fromkeys((408, 425, 503), Judgement(outcome=Outcome.RETRY)),
    429: Judgement(outcome=Outcome.RETRY, is_throttled=True),
}  # fmt: skip


def by_status(answer: HttpAnswer) -> Judgement:
    """The meaning of an answer that is no success, by its status.

    3xx and unknown 4xx: nothing was accepted, and an operator has to act (locked out). 503 is "not
    now" only with Retry-After, as a proxy also answers 503 when its server broke off.
    InvalidAnswerError for any other status: the outcome is unknown.
    """
    status = answer.status
    known = STATUSES.get(status)
    if known is None and 300 <= status < 500:
        known = STATUSES[404]
    if known is None or (status == 503 and answer.retry_after is None):
        raise InvalidAnswerError(f"its status is {status}")
    return replace(known, reason=f"HTTP status {status}")


def idempotency_key(delivery: Delivery) -> str:
    """The idempotency key of a delivery, the same for all its attempts.

    A resend that the sender asks for begins a new validity, and so has another key.
    """
    told = f"{delivery.message_id} {delivery.recipient} {delivery.expires_at}"
    return hashlib.sha256(told.encode()).hexdigest()


def message_id(name: str) -> str:
    """The message's id in the name of a part, where all parts share one id."""
    return _PART.sub("", name)
