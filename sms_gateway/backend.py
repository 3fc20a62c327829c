"""The one contract between the faces and the gateway."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar, TypeVarTuple, Unpack

from .codes import Code

#: The most messages that one `getsms` hands out.
MOST_RECEIVED = 1_000

#: What an idempotency key begins with that names its message: the id follows, a UUIDv7 drawn by a
#: face in 32 hex digits. The message itself is the record of such a key, which needs no other.
ID_KEY = "sendsmsnow-"


class Submission(NamedTuple):
    """What is to be sent, as it came in at a face: one value as far as the rows.

    It believes nothing: the rules judge every field of it. What may be left out is given by name.
    """

    #: Phone numbers separated by commas.
    recipients: str
    message: str
    #: The account's key; empty where the account is known by another name, as in mail.
    apikey: str = ""
    #: What a repeat of it is known by; empty for none.
    idempotency_key: str = ""
    #: Who the handset is to show; empty leaves it to the key.
    sender: str = ""
    #: What the caller calls it, told again wherever it is told of; empty for nothing.
    reference: str = ""


class Reply(NamedTuple):
    """What every face answers: error, sent and id, as in the WSDL."""

    #: A reply code; 0 means accepted and durably stored.
    error: Code
    #: How many recipients were accepted; 0 on any error.
    sent: int = 0
    #: The message's name (UUIDv7, 32 hex digits); empty on an error.
    id: str = ""
    #: Why, in words of this very case; empty stands for the code's own sentence.
    note: str = ""
    #: Seconds after which the same request may succeed; set only when the gateway is overloaded
    #: or its store cannot be reached (the HTTP face answers 503 with Retry-After then).
    retry_after: int = 0

    @property
    def sentence(self) -> str:
        """The words that go with the code."""
        return self.note or self.error.sentence


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that came in on an account's dedicated number (MO)."""

    #: Its place in the inbox; ask for what came `after` it.
    id: int
    sender: str
    recipient: str
    text: str
    #: Unix milliseconds.
    received_at: int


@dataclass(frozen=True, slots=True)
class Inbox:
    """Received messages, oldest first, or the code that says why there are none."""

    reply: Reply
    messages: tuple[ReceivedMessage, ...] = ()
    #: What to ask for what comes `after` next time; it has its place also when nothing came.
    next: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a delivery's timeline."""

    #: Unix milliseconds.
    at: int
    #: The part it is about, from 1; 0 is the whole delivery.
    part: int
    event: str
    detail: str


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """What became of a message at one recipient."""

    recipient: str
    #: A `State` by its value.
    state: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """What became of a message, or the code that says why that is not told."""

    reply: Reply
    #: A `State` by its value; empty on an error.
    state: str = ""
    #: Unix milliseconds.
    accepted_at: int = 0
    parts: int = 0
    deliveries: tuple[DeliveryStatus, ...] = ()
    #: What its submission had as such.
    reference: str = ""


#: Is called with the reply to a submission: once, now or later, in the thread of the event loop.
OnReply = Callable[[Reply], None]


class Backend(Protocol):
    """Takes messages. In process it is the gateway; over HTTP any server that speaks /sendsms/.

    No method raises: whatever goes wrong is a Reply with the code that says so.
    A parameter that did not come is the empty string.
    """

    def submit(self, submission: Submission, on_reply: OnReply) -> None:
        """Accept one text for one to four numbers; all of them or none.

        A repeat with the same idempotency key and content within 24 hours gets the first reply
        again and sends nothing; the key with other content is refused (code 7).

        This is the one way in. It starts no task for an account in memory: tasks and futures cost
        as much as checking a message.
        """
        ...

    async def sendsms(self, submission: Submission) -> Reply:
        """The reply to `submit`, for callers that await it. A caller that is cancelled does not
        take its submission back."""
        return await awaited(self.submit, submission)

    async def resendsms(self, apikey: str, id: str) -> Reply:
        """Resend a message to the recipients it did not reach; `sent` counts them.

        Deliveries that wait are tried at once; those that failed, expired or are uncertain are
        queued anew.

        Codes 200, 201 and 202 say why not; the rate limit counts as for a new message.
        """
        ...

    async def getsms(self, apikey: str, *, after: int = 0, limit: int = 100) -> Inbox:
        """At most `limit` messages received on the account's numbers after the one with the id
        `after`, oldest first.

        A limit beyond MOST_RECEIVED and a negative number are refused (code 7). There may be
        fewer messages than the limit, for the texts of all have to fit an answer, and still more
        to come; who goes on from `next` misses and repeats none.
        """
        ...

    async def status(self, apikey: str, id: str) -> MessageStatus:
        """What became of a message of this account, step by step (200 and 201 as above)."""
        ...

    async def deletesms(
        self, apikey: str, *, id: str | None = None, before: int | None = None
    ) -> Reply:
        """Delete sent history: one message, or all accepted before a time (Unix milliseconds), or
        all; what is still to be sent stays. `sent` counts the messages deleted.

        Codes 200 and 201 as above, 7 for a time before 1970 or after 9999: what was meant to name
        less than everything never deletes everything.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MailChoices:
    """How an account wants its mails to be read."""

    #: With what they quote, signatures and footers.
    body_as_it_is: bool = False
    #: Also those that machines wrote of their own accord, such as alerts.
    machines: bool = False


class MailBackend(Protocol):
    """What the e-mail face needs: there the unguessable address of an account is its key."""

    async def knows(self, address: str) -> MailChoices | None:
        """How mail to this local part is to be read, None when it may not be sent as SMS; raises
        when that cannot be told."""
        ...

    async def sendmail(self, address: str, mail_from: str, submission: Submission) -> Reply:
        """Accept one text as `Backend.sendsms` does, for the account with this local part.

        `mail_from` is who the mail is from; an account may have a list of those who may write.
        """
        ...


class PageBackend(Backend, Protocol):
    """What the pages need besides: a trial, and what a person does who has signed in."""

    async def check(self, submission: Submission) -> Reply:
        """What `sendsms` would answer now, by every rule; nothing is stored or sent.

        The id is empty, as there is no message, or that of the message it would be a repeat of.
        """
        ...

    async def resend_for(self, account_id: int, id: str) -> Reply:
        """Do as `resendsms` for an account."""
        ...

    async def delete_for(
        self, account_id: int, *, id: str | None = None, before: int | None = None
    ) -> Reply:
        """Do as `deletesms` for an account."""
        ...


_Answer = TypeVar("_Answer")
_Asked = TypeVarTuple("_Asked")


async def awaited(
    ask: Callable[[Unpack[_Asked], Callable[[_Answer], None]], None], *asked: *_Asked
) -> _Answer:
    """What a function that takes a callback calls it with, for callers that await it."""
    answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
    ask(*asked, partial(_settle, answer))
    return await answer


def _settle(future: asyncio.Future[_Answer], answer: _Answer) -> None:
    if not future.done():  # its caller may have been cancelled
        future.set_result(answer)


# The event loop itself keeps no task from being collected.
_running: set[asyncio.Task[None]] = set()


def call_back(
    work: Coroutine[Any, Any, _Answer],
    on_answer: Callable[[_Answer], None],
    on_failure: Callable[[Exception], None] | None = None,
) -> None:
    """Call `on_answer` with the result of a coroutine, which runs in a task; `on_failure` with what
    it raises, if it may."""

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
    """An idempotency key for sources whose own ids may recur with other content.

    `source` is a wsa:MessageID or a mail's Message-ID: the same id with the same content is a
    repeat, with other content it is another message.
    """
    digest = hashlib.sha256()
    for field in (source, recipients, message):
        encoded = field.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(encoded))
        digest.update(encoded)
    return "content-" + digest.hexdigest()
