"""Defines the contract between the faces and the gateway."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar, TypeVarTuple, Unpack

from .codes import Code

#: The most messages in the answer of one `getsms`.
MOST_RECEIVED = 1_000

#: The prefix of an idempotency key that contains the id of its message: a UUIDv7 drawn by a face,
#: in 32 hex digits. The message itself is the record of such a key; there is no other.
ID_KEY = "sendsmsnow-"

#: The HTTP header in which relays count each other, for messages that go in a circle.
HOPS_HEADER = "Sendsmsnow-Hops"
#: The most relays that a message may pass, as mail has a most of Received lines (RFC 5321, section
#: 6.3).
MOST_HOPS = 5
#: Why a message that has passed more is refused.
IN_A_CIRCLE = f"The message goes in a circle: it has passed more than {MOST_HOPS} relays"


class Submission(NamedTuple):
    """The parameters of a request to send, as they came in at a face.

    Nothing in it is checked yet: that is for the rules. Optional fields are given by name.
    """

    #: Phone numbers separated by commas.
    recipients: str
    message: str
    #: The API key; empty when the account is found otherwise, as for mail.
    apikey: str = ""
    #: The key by which a repeat is recognised; empty for none.
    idempotency_key: str = ""
    #: The sender that the handset is to show; empty leaves it to the key.
    sender: str = ""
    #: The name that the caller gives the message, repeated in status and events; empty for none.
    reference: str = ""
    #: How many relays it has passed.
    hops: int = 0
    #: 0 goes before 1, 1 before 2. No face offers it yet.
    priority: int = 1


class Reply(NamedTuple):
    """The answer to a request on every face: error, sent and id, as in the WSDL."""

    #: A reply code; 0 means accepted and durably stored.
    error: Code
    #: How many recipients were accepted; 0 on any error.
    sent: int = 0
    #: The id of the message (UUIDv7, 32 hex digits); empty on an error.
    id: str = ""
    #: The reason in this case; empty: the code's own sentence.
    note: str = ""
    #: Seconds after which the same request may succeed; set only when the gateway is overloaded
    #: or its store cannot be reached (the HTTP face answers 503 with Retry-After then).
    retry_after: int = 0

    @property
    def sentence(self) -> str:
        """The sentence that goes with the code."""
        return self.note or self.error.sentence


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that came in on an account's dedicated number (MO)."""

    #: Its position in the inbox: the next request is for messages `after` this.
    id: int
    sender: str
    recipient: str
    text: str
    #: Unix milliseconds.
    received_at: int


@dataclass(frozen=True, slots=True)
class Inbox:
    """Received messages, oldest first, or the code of a refusal."""

    reply: Reply
    messages: tuple[ReceivedMessage, ...] = ()
    #: The `after` of the next request; also set when there is no message.
    next: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a delivery's timeline."""

    #: Unix milliseconds.
    at: int
    #: The number of the part, from 1; 0 for the whole delivery.
    part: int
    event: str
    detail: str


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """The state and the steps of the delivery to one recipient."""

    recipient: str
    #: The value of a `State`.
    state: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """The state of a message and its deliveries, or the code of a refusal."""

    reply: Reply
    #: The value of a `State`; empty on an error.
    state: str = ""
    #: Unix milliseconds.
    accepted_at: int = 0
    parts: int = 0
    deliveries: tuple[DeliveryStatus, ...] = ()
    #: The reference of its submission.
    reference: str = ""


#: A callback for the reply: called once, now or later, in the thread of the event loop.
OnReply = Callable[[Reply], None]


class Backend(Protocol):
    """Takes messages: the gateway in this process, or over HTTP a server with /sendsms/.

    No method raises: an error is a Reply with its code. A missing parameter is the empty string.
    """

    def submit(self, submission: Submission, on_reply: OnReply) -> None:
        """Accept one text for one to four numbers; all of them or none.

        A repeat with the same idempotency key and content within 24 hours gets the first reply
        again and sends nothing; the key with other content is refused (code 7).

        All messages come in by this method. It starts no task for a cached account: tasks and
        futures cost as much as checking a message.
        """
        ...

    async def sendsms(self, submission: Submission) -> Reply:
        """Await the reply to `submit`. Cancelling this does not take the submission back."""
        return await awaited(self.submit, submission)

    async def resendsms(self, apikey: str, id: str) -> Reply:
        """Resend a message to the recipients it did not reach; `sent` counts them.

        Queued deliveries are tried at once; failed, expired and uncertain ones are queued anew.

        Codes 200, 201 and 202 are its refusals. The rate limit counts as for a new message.
        """
        ...

    async def getsms(self, apikey: str, *, after: int = 0, limit: int = 100) -> Inbox:
        """At most `limit` messages received on the account's numbers after the one with the id
        `after`, oldest first.

        A limit beyond MOST_RECEIVED and a negative number are refused (code 7). The answer may
        have fewer messages than the limit although there are more, as its texts have to fit.
        Clients that go on from `next` miss and repeat none.
        """
        ...

    async def status(self, apikey: str, id: str) -> MessageStatus:
        """The state and the steps of a message of this account (200 and 201 as above)."""
        ...

    async def deletesms(
        self, apikey: str, *, id: str | None = None, before: int | None = None
    ) -> Reply:
        """Delete sent history: one message, or all accepted before a time (Unix milliseconds), or
        all. Messages that are still to be sent stay. `sent` counts the messages deleted.

        Codes 200 and 201 as above, 7 for a time before 1970 or after 9999: a wrong parameter never
        deletes everything.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MailChoices:
    """The choices of an account about its mails."""

    #: Whether to send quotes, signatures and footers too.
    body_as_it_is: bool = False
    #: Whether to accept mails that machines wrote, such as alerts.
    machines: bool = False


class MailBackend(Protocol):
    """The contract of the e-mail face, where the secret mail address of an account is its key."""

    async def knows(self, address: str) -> MailChoices | None:
        """The choices of the account with this local part; None when there is no such account, or
        it is disabled. Raises when the database cannot be read."""
        ...

    async def sendmail(self, address: str, mail_from: str, submission: Submission) -> Reply:
        """Accept one text as `Backend.sendsms` does, for the account with this local part.

        `mail_from`: the sender of the mail, which the list of an account may refuse.
        """
        ...


class PageBackend(Backend, Protocol):
    """The contract of the pages: also a trial, and actions of a signed-in account."""

    async def check(self, submission: Submission) -> Reply:
        """The reply that `sendsms` would give now, by every rule; nothing is stored or sent.

        The id is empty, or that of the message that this would be a repeat of.
        """
        ...

    async def resend_for(self, account_id: int, id: str) -> Reply:
        """As `resendsms`, for the account with this id."""
        ...

    async def delete_for(
        self, account_id: int, *, id: str | None = None, before: int | None = None
    ) -> Reply:
        """As `deletesms`, for the account with this id."""
        ...


_Answer = TypeVar("_Answer")
_Asked = TypeVarTuple("_Asked")


async def awaited(
    ask: Callable[[Unpack[_Asked], Callable[[_Answer], None]], None], *asked: *_Asked
) -> _Answer:
    """Call a function that takes a callback, and await the argument of the callback."""
    answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
    ask(*asked, partial(_settle, answer))
    return await answer


def _settle(future: asyncio.Future[_Answer], answer: _Answer) -> None:
    if not future.done():  # its caller may have been cancelled
        future.set_result(answer)


# References to running tasks: the event loop has none, so they could be collected.
_running: set[asyncio.Task[None]] = set()


def call_back(
    work: Coroutine[Any, Any, _Answer],
    on_answer: Callable[[_Answer], None],
    on_failure: Callable[[Exception], None] | None = None,
) -> None:
    """Run a coroutine in a task, and call `on_answer` with its result.

    `on_failure`, if given, is called with its exception.
    """

    async def run() -> None:
        try:
            answer = await work
        except Exception as error:
            if on_failure is None:
                raise
            on_failure(error)
        else:
            on_answer(answer)

    task = asyncio.get_running_loop().create_task(run())
    _running.add(task)
    task.add_done_callback(_running.discard)


def content_key(source: str, recipients: str, message: str) -> str:
    """An idempotency key for sources that may reuse an id with other content.

    `source`: a wsa:MessageID or the Message-ID of a mail. An id with equal content is a repeat;
    with other content it is another message.
    """
    digest = hashlib.sha256()
    for field in (source, recipients, message):
        encoded = field.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(encoded))
        digest.update(encoded)
    return "content-" + digest.hexdigest()
