"""The base of all ways out by HTTP: one request carries a whole text, one answer is for all parts.

A provider is a file with a class that says how a request is written and what an answer means. It
does no I/O. What is common to all of them is here: window and pace, answers that do not come,
servers that are away, keys that are refused, the stop, and asking for receipts.

free ──request──► waiting ──answer, judged──► free
  ▲                  ├─── none in time, cut off, no HTTP: UNANSWERED ──► free
  │                  └─── no connection: NOT_WRITTEN, or judged "locked out" ──► away
  └────answer──── one at a time ◄─────────────────── a delay, doubled each time ───┘
"""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from json import dumps
from typing import Literal, Protocol, runtime_checkable
from urllib.parse import urlencode, urlsplit

from .. import __version__
from ..backoff import pause, spread
from ..log import error_facts, log_error
from ..network.client_tls import client_context
from ..remote.answers import Answer as HttpAnswer
from ..remote.answers import InvalidAnswerError
from ..remote.http_client import FORM, Client, CutOffError, UnreachedError, UnwritableError
from ..sms.message import State
from . import Answer, Delivery, Outcome, ReceiptsOf, Sink, pending_parts
from .http_options import HttpOptions
from .http_poll import NoReceiptError, ReceiptPoll
from .pace import Pace
from .push import TakesPushes

log = logging.getLogger(__name__)

#: The largest answer that is read, in bytes.
LONGEST_ANSWER = 1024 * 1024
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": f"sendsmsnow/{__version__}"}
# What follows the id in the name of any part but the first.
_PART = re.compile(r"\.[0-9]{1,3}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a provider's server."""

    #: Behind the URL of the options, with its query, percent-encoded.
    path: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


def form_request(path: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> Request:
    """A form by POST. UnicodeEncodeError for what is no character."""
    body = urlencode(fields).encode("ascii")
    return Request(path=path, headers={"Content-Type": FORM, **headers}, body=body)


def json_request(path: str, value: object, headers: Mapping[str, str]) -> Request:
    """JSON by POST."""
    body = dumps(value).encode("ascii")
    return Request(path=path, headers={"Content-Type": "application/json", **headers}, body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a provider's answer means for a delivery."""

    #: UNANSWERED where the answer leaves open whether the message was taken.
    outcome: Outcome
    #: With ACCEPTED: the provider's id of the message, or one id for each of its parts.
    ids: tuple[str, ...] = ()
    #: Why, in the provider's terms, without numbers or texts.
    reason: str = ""
    #: Requests come too fast: the pace becomes slower.
    is_throttled: bool = False
    #: It will be the same for every message until somebody changes something: a key, a path, an
    #: account without credit. Nothing is sent for `locked_out_delay`, then one message.
    is_locked_out: bool = False


class Provider(Protocol):
    """What is particular to a provider. `TakesPushes` and `IsAsked` say what else it may have."""

    @property
    def options(self) -> HttpOptions:
        """How its server is reached, and how fast."""
        ...

    @property
    def receipts_of(self) -> Literal["first", "each"]:
        """For which parts of a long text receipts come: "first" where one id stands for all of
        them, "each" where each part has an id of its own."""
        ...

    def request(self, delivery: Delivery) -> Request:
        """How a delivery is written."""
        ...

    def judge(self, answer: HttpAnswer) -> Judgement:
        """What an answer means; InvalidAnswerError for one that says nothing (`by_status` reads
        what stands for that in HTTP itself)."""
        ...


@runtime_checkable
class IsAsked(Protocol):
    """A provider that can be asked what became of a message."""

    def question(self, id: str) -> Request:
        """How to ask about the message of this id."""
        ...

    def state(self, answer: HttpAnswer, id: str, recipient: str) -> State | None:
        """What the answer says of it; None while it is on its way. NoReceiptError when nothing
        will ever be known, InvalidAnswerError for an answer that says nothing."""
        ...

    def id_of(self, key: str) -> str:
        """The id of which `key` was stored: in small letters and without leading zeros."""
        ...


class PushingProvider(Provider, TakesPushes, Protocol):
    """A provider that pushes."""


#: What HTTP's own statuses say where a provider's body says nothing (RFC 9110, section 15; 402 as
#: providers use it: no credit). What is not here is decided by its class.
STATUSES = {
    **dict.fromkeys((401, 402, 403, 404, 405, 407, 410), Judgement(
        outcome=Outcome.RETRY, is_locked_out=True
    )),
    **dict.fromkeys((400, 413, 414, 415, 422), Judgement(outcome=Outcome.REFUSED)),
    **dict.fromkeys((408, 425, 503), Judgement(outcome=Outcome.RETRY)),
    429: Judgement(outcome=Outcome.RETRY, is_throttled=True),
}  # fmt: skip


def by_status(answer: HttpAnswer) -> Judgement:
    """What the status of an answer means that is no success.

    3xx and unknown 4xx: nothing was accepted, and people have to look (locked out). 503 is "not
    now" only with Retry-After, as a proxy says 503, too, when its server broke off.
    InvalidAnswerError for all else: nobody knows.
    """
    status = answer.status
    known = STATUSES.get(status)
    if known is None and 300 <= status < 500:
        known = STATUSES[404]
    if known is None or (status == 503 and answer.retry_after is None):
        raise InvalidAnswerError(f"its status is {status}")
    return replace(known, reason=f"HTTP status {status}")


class HttpUpstream:
    """A provider, as an `Upstream`."""

    def __init__(self, name: str, provider: Provider) -> None:
        """Opens nothing but the files of certificates; ValueError when there are none in them,
        and for a URL that is none."""
        self.name = name
        self.provider = provider
        self._options = options = provider.options
        files = options.cafile, options.certfile, options.keyfile
        url = urlsplit(options.url)
        self._client = Client(
            url._replace(path=url.path.rstrip("/")),
            _HEADERS,
            connect_timeout=options.connect_timeout,
            tls=client_context(*files) if url.scheme == "https" else None,
            tls_name=options.tls_name,
        )
        self._pace = Pace(options.rate)
        self._sink: Sink | None = None
        self._is_running = False
        self._unanswered = 0
        self._requests: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        # While it is away nothing is tried, and then one request at a time until one is answered.
        self._away_until: float | None = None
        #: How often in a row it was not reached.
        self._failures = 0
        self._trouble = ""
        self._poll: ReceiptPoll | None = None
        if isinstance(provider, IsAsked):
            self._poll = ReceiptPoll(
                name, self._state_of, provider.id_of, interval=options.poll_interval
            )

    # What the worker calls.

    def is_bound(self) -> bool:
        """See `Upstream.is_bound`. When it may be tried again it counts as bound."""
        away = self._away_until is not None and self._now() < self._away_until
        return self._is_running and not away

    def trouble(self) -> str:
        """See `TellsTrouble.trouble`."""
        return self._trouble

    def receipts_of(self) -> ReceiptsOf:
        """See `SaysReceipts.receipts_of`."""
        return self.provider.receipts_of

    def free(self) -> int:
        """See `Upstream.free`."""
        if not self._is_running:
            return 0
        if self._away_until is not None:
            return int(self._now() >= self._away_until and not self._unanswered)
        room = self._options.window - self._unanswered
        return max(0, int(min(room, self._pace.free(self._now()))))

    async def ready(self) -> None:
        """See `Upstream.ready`."""
        while not self.free():
            self._freed.clear()
            try:
                async with asyncio.timeout(self._until_free()):
                    await self._freed.wait()
            except TimeoutError:
                pass

    def submit(self, delivery: Delivery) -> None:
        """See `Upstream.submit`. The sink hears of it later, never before this returns."""
        loop = asyncio.get_running_loop()
        if not self._is_running:
            stopped = Judgement(outcome=Outcome.NOT_WRITTEN, reason="stopped")
            loop.call_soon(self._answer, delivery, stopped)
            return
        if delivery.accepted:
            # The whole would reach the recipient a second time in part.
            reason = "another carrier has taken a part of it and has to take the rest"
            loop.call_soon(self._answer, delivery, Judgement(outcome=Outcome.RETRY, reason=reason))
            return
        parts = len(pending_parts(delivery))
        self._unanswered += parts
        self._pace.written(parts, self._now())
        request = loop.create_task(self._send(delivery, parts))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)

    async def run(self, sink: Sink) -> None:
        """See `Upstream.run`."""
        self._sink = sink
        self._is_running = True
        self._freed.set()
        try:
            await (asyncio.Event().wait() if self._poll is None else self._poll.run(sink))
        finally:
            self._is_running = False
            requests = set(self._requests)
            if requests:
                _, requests = await asyncio.wait(requests, timeout=self._options.stop_timeout)
            for request in requests:
                request.cancel()
            if requests:
                await asyncio.wait(requests)
            self._client.close()

    def ask_for(self, smsc_ids: Sequence[tuple[str, str, int]]) -> None:
        """See `AsksForReceipts.ask_for`."""
        if self._poll is not None:
            self._poll.resume(smsc_ids)

    # One request.

    async def _send(self, delivery: Delivery, parts: int) -> None:
        judgement = Judgement(outcome=Outcome.UNANSWERED, reason="stopped")
        try:
            judgement = await self._ask(delivery)
        finally:
            self._unanswered -= parts
            if judgement.outcome is Outcome.UNANSWERED and self._options.idempotent:
                # Whatever the first one came to, the provider knows its repeat.
                judgement = replace(judgement, outcome=Outcome.RETRY)
            self._answer(delivery, judgement)
        if judgement.outcome is Outcome.ACCEPTED and self._poll is not None:
            names = [part_id(judgement.ids, number) for number in range(1, delivery.parts + 1)]
            self._poll.add(judgement.ids[0], names, delivery)

    async def _ask(self, delivery: Delivery) -> Judgement:
        try:
            request = self.provider.request(delivery)
        except Exception as error:
            # Half a surrogate pair in a text is no character; all else may be mended meanwhile.
            lasts = isinstance(error, UnicodeEncodeError)
            log_error(log, "request not made", error, upstream=self.name)
            outcome = Outcome.REFUSED if lasts else Outcome.RETRY
            return Judgement(outcome=outcome, reason="its request could not be made")
        try:
            judgement = self.provider.judge(await self._exchange(request))
        except UnreachedError as error:
            self._be_away(f"not reached: {error}")
            return Judgement(outcome=Outcome.NOT_WRITTEN, reason="not reached")
        except UnwritableError:
            return Judgement(outcome=Outcome.REFUSED, reason="its request could not be made")
        except TimeoutError:
            return Judgement(outcome=Outcome.UNANSWERED, reason="no answer")
        except CutOffError:
            return Judgement(outcome=Outcome.UNANSWERED, reason="cut off")
        except InvalidAnswerError as error:
            self._be_back()
            return Judgement(outcome=Outcome.UNANSWERED, reason=f"odd answer: {error}")
        except Exception as error:
            log_error(log, "answer not read", error, upstream=self.name)
            return Judgement(outcome=Outcome.UNANSWERED, reason="odd answer: it could not be read")
        if judgement.is_locked_out:
            self._be_locked_out(judgement.reason)
        else:
            self._be_back()
        if judgement.is_throttled and self._pace.slow_down(self._now()):
            facts = {"upstream": self.name, "why": judgement.reason, "rate": self._pace.rate}
            log.warning("slowed down", extra=facts)
        return judgement

    async def _exchange(self, request: Request) -> HttpAnswer:
        async with asyncio.timeout(self._options.response_timeout):
            return await self._client.send(
                request.method,
                request.path,
                request.body,
                request.headers,
                LONGEST_ANSWER,
                # On a connection that was just closed at the other end a request is lost, and
                # nobody knows whether it is: where it cannot be repeated each gets its own.
                keep=self._options.idempotent,
            )

    async def _state_of(self, id: str, recipient: str) -> State | None:
        """What became of a message; None while that is not known."""
        assert isinstance(self.provider, IsAsked)
        try:
            answer = await self._exchange(self.provider.question(id))
            return self.provider.state(answer, id, recipient)
        except NoReceiptError:
            raise
        except Exception as error:
            # It is asked again, later, whatever went wrong.
            facts = {"upstream": self.name, **error_facts(error)}
            log.info("not told what became of a message", extra=facts)
            return None

    def _answer(self, delivery: Delivery, judgement: Judgement) -> None:
        assert self._sink is not None
        is_accepted = judgement.outcome is Outcome.ACCEPTED
        for number in pending_parts(delivery):
            self._sink.answered(
                Answer(
                    delivery_id=delivery.id,
                    attempt=delivery.attempt,
                    part=number,
                    outcome=judgement.outcome,
                    smsc_id=part_id(judgement.ids, number) if is_accepted else "",
                    reason=judgement.reason,
                )
            )
        self._freed.set()

    # Whether the provider is there.

    def _be_away(self, why: str) -> None:
        log.warning("cannot connect", extra={"upstream": self.name, "why": why})
        self._trouble = why
        options = self._options
        self._failures += 1
        wait = pause(self._failures, options.reconnect_delay, options.reconnect_delay_max)
        self._away_until = self._now() + spread(wait)

    def _be_locked_out(self, why: str) -> None:
        # Nothing is lost, and nothing goes, until somebody changes a setting.
        delay = self._options.locked_out_delay
        facts = {"upstream": self.name, "why": why, "next_try_in": delay}
        log.error("requests refused", extra=facts)
        self._trouble = f"requests refused: {why}"
        self._away_until = self._now() + delay

    def _be_back(self) -> None:
        self._away_until = None
        self._trouble = ""
        self._failures = 0

    def _until_free(self) -> float | None:
        """Seconds until time alone makes it free; None while an answer has to."""
        if not self._is_running or self._unanswered >= self._options.window:
            return None
        if self._away_until is not None:
            wait = None if self._unanswered else self._away_until - self._now()
        else:
            wait = self._pace.delay(self._now())
        return wait if wait is None else max(0.001, wait)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def part_id(ids: Sequence[str], number: int) -> str:
    """The name of a part: its own id, or the message's, with the number of any but the first."""
    if number <= len(ids):
        return ids[number - 1]
    return f"{ids[0]}.{number}"


def message_id(name: str) -> str:
    """The id in the name of a part, where one id stands for the message."""
    return _PART.sub("", name)
