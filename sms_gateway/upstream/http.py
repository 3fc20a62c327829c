"""Sends messages over HTTP: one request carries a whole text, one answer is for all its parts.

A provider is a class, in a file of its own, that writes requests and judges answers; it does no
I/O. The rest is common to all providers and is here: window and pace, missing answers, unreachable
servers, refused keys, the stop, and asking for receipts.

free ──request──► waiting ──answer, judged──► free
  ▲                  ├─── none in time, cut off, no HTTP: UNANSWERED ──► free
  │                  └─── no connection: NOT_WRITTEN, or judged "locked out" ──► away
  └────answer──── one at a time ◄─────────────────── a delay, doubled each time ───┘
"""

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from json import dumps
from typing import Literal, Protocol, runtime_checkable
from urllib.parse import urlencode, urlsplit

from .. import __version__
from ..backoff import pause, spread
from ..errors import GatewayError
from ..log import error_facts, log_error
from ..network.client_tls import client_context
from ..remote.answers import Answer as HttpAnswer
from ..remote.answers import InvalidAnswerError
from ..remote.http_client import FORM, Client, CutOffError, UnreachedError, UnwritableError
from ..sms.message import State
from . import Answer, Delivery, Outcome, ReceiptsOf, Sink, part_id, pending_parts
from .allotment import Allotment, Ask
from .checking import Server, Step
from .http_options import HttpOptions
from .http_poll import NoReceiptError, ReceiptPoll
from .oauth2 import OAuth2, RefusedTokenError, Tokens
from .pace import Pace
from .push import Heard

log = logging.getLogger(__name__)

#: The largest answer to read, in bytes.
LONGEST_ANSWER = 1024 * 1024
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": f"sendsmsnow/{__version__}"}
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


class HttpUpstream:
    """A provider, as an `Upstream`."""

    def __init__(self, name: str, provider: Provider) -> None:
        """Opens only the certificate files; ValueError for files without certificates, and for an
        invalid URL."""
        self.name = name
        self.provider = provider
        #: See `Repeats`.
        self.is_alone = True
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
        self._pace = Pace(options.rate, options.window)
        self._sink: Sink | None = None
        self._is_running = False
        self._unanswered = 0
        self._requests: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        # Until then the provider is away and gets no request; afterwards one at a time, until one
        # is answered.
        self._away_until: float | None = None
        #: Connections in a row that failed.
        self._failures = 0
        self._trouble = ""
        self._tokens = (
            Tokens(provider.oauth2, _HEADERS, within=options.response_timeout)
            if isinstance(provider, SignsIn)
            else None
        )
        self._poll: ReceiptPoll | None = None
        if isinstance(provider, IsAsked):
            self._poll = ReceiptPoll(
                name, self._state_of, provider.id_of, interval=options.poll_interval
            )

    def server(self) -> Server:
        """See `HasServer.server`."""
        return Server(
            name=self._client.host_name,
            port=self._client.port,
            host=self._client.host,
            is_tls=self._options.url.startswith("https:"),
        )

    async def sign_in(self) -> AsyncIterator[Step]:
        """See `SignsInOnce.sign_in`."""
        provider = self.provider
        try:
            if self._tokens is not None:
                await self._tokens.token()
                yield Step(name="token", is_ok=True, told="there is one")
            if not isinstance(provider, ChecksSignIn) or provider.check_request() is None:
                told = "it cannot be tried without sending: --send NUMBER"
                yield Step(name="sign in", is_ok=None, told=told)
                return
            request = provider.check_request()
            assert request is not None
            is_ok, told = provider.checked(await self.exchange(request))
            yield Step(name="sign in", is_ok=is_ok, told=told)
        except (UnreachedError, CutOffError, InvalidAnswerError, RefusedTokenError) as error:
            yield Step(name="sign in", is_ok=False, told=str(error) or "cut off")
        except TimeoutError:
            yield Step(name="sign in", is_ok=False, told="no answer in time")
        finally:
            self._client.close()

    # The methods for the worker.

    def is_bound(self) -> bool:
        """See `Upstream.is_bound`. A provider that may be tried again counts as bound."""
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
        return int(self._pace.room(self._now(), self._unanswered))

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
        """See `Upstream.submit`. The sink gets the answer later, never before this returns."""
        loop = asyncio.get_running_loop()
        if not self._is_running:
            stopped = Judgement(outcome=Outcome.NOT_WRITTEN, reason="stopped")
            loop.call_soon(self._answer, delivery, stopped)
            return
        in_parts = isinstance(self.provider, SendsParts)
        if delivery.accepted and not in_parts:
            # A request carries the whole text: the recipient would get a part of it twice.
            reason = "another carrier has taken a part of it and has to take the rest"
            loop.call_soon(self._answer, delivery, Judgement(outcome=Outcome.RETRY, reason=reason))
            return
        parts = pending_parts(delivery)
        self._unanswered += len(parts)
        self._pace.written(len(parts), self._now())
        for numbers in [[number] for number in parts] if in_parts else [parts]:
            request = loop.create_task(self._send(delivery, numbers))
            self._requests.add(request)
            request.add_done_callback(self._requests.discard)

    async def run(self, sink: Sink) -> None:
        """See `Upstream.run`."""
        self._sink = sink
        self._is_running = True
        self._freed.set()
        inbox = asyncio.create_task(self._ask_for_inbox(sink))
        try:
            await (asyncio.Event().wait() if self._poll is None else self._poll.run(sink))
        finally:
            inbox.cancel()
            self._is_running = False
            requests = set(self._requests)
            if requests:
                _, requests = await asyncio.wait(requests, timeout=self._options.stop_timeout)
            for request in requests:
                request.cancel()
            if requests:
                await asyncio.wait(requests)
            self._client.close()
            if self._tokens is not None:
                self._tokens.close()

    def ask_for(self, smsc_ids: Sequence[tuple[str, str, int]]) -> None:
        """See `AsksForReceipts.ask_for`."""
        if self._poll is not None:
            self._poll.resume(smsc_ids)

    def ask(self, now: float) -> Ask:
        """See `KeepsLimits.ask`."""
        return self._pace.ask(now, self._unanswered, ready=self.is_bound())

    def allot(self, allotment: Allotment, now: float) -> None:
        """See `KeepsLimits.allot`."""
        self._pace.allot(allotment, now)
        self._freed.set()

    # One request.

    async def _send(self, delivery: Delivery, parts: Sequence[int]) -> None:
        judgement = Judgement(outcome=Outcome.UNANSWERED, reason="stopped")
        is_part = isinstance(self.provider, SendsParts)
        try:
            judgement = await self._ask(delivery, parts[0] if is_part else 0)
        finally:
            self._unanswered -= len(parts)
            if judgement.outcome is Outcome.ACCEPTED:
                # A part that goes by itself has the only id of its answer.
                ids = judgement.ids * parts[0] if is_part else judgement.ids
                judgement = replace(judgement, ids=ids)
            repeats = self._options.idempotent and self.is_alone
            if judgement.outcome is Outcome.UNANSWERED and repeats:
                # Whether it took the first request or not, the provider deduplicates a repeat.
                judgement = replace(judgement, outcome=Outcome.RETRY)
            self._answer(delivery, judgement, parts)
        if judgement.outcome is Outcome.ACCEPTED and self._poll is not None:
            names = [part_id(judgement.ids, number) for number in parts]
            self._poll.add(judgement.ids[0], names, delivery)

    async def _ask(self, delivery: Delivery, part: int) -> Judgement:
        """The judgement of a delivery, or of one of its parts; 0 is all of them."""
        try:
            if part and isinstance(self.provider, SendsParts):
                request = self.provider.part_request(delivery, part)
            else:
                request = self.provider.request(delivery)
        except UnsendableError as error:
            return Judgement(outcome=Outcome.REFUSED, reason=str(error))
        except Exception as error:
            # Half a surrogate pair stays in the text; an operator may repair any other cause.
            lasts = isinstance(error, UnicodeEncodeError)
            log_error(log, "request not made", error, upstream=self.name)
            outcome = Outcome.REFUSED if lasts else Outcome.RETRY
            return Judgement(outcome=outcome, reason="its request could not be made")
        try:
            judgement = self.provider.judge(await self.exchange(request))
        except UnreachedError as error:
            self._be_away(f"not reached: {error}")
            return Judgement(outcome=Outcome.NOT_WRITTEN, reason="not reached")
        except UnwritableError:
            return Judgement(outcome=Outcome.REFUSED, reason="its request could not be made")
        except RefusedTokenError as error:
            self._be_locked_out(str(error))
            return Judgement(outcome=Outcome.RETRY, reason=str(error))
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
        if judgement.outcome is Outcome.ACCEPTED and not judgement.ids:
            judgement = replace(judgement, ids=(request.message_id,))
        if judgement.is_locked_out:
            self._be_locked_out(judgement.reason)
        else:
            self._be_back()
        if judgement.is_throttled and self._pace.slow_down(self._now()):
            facts = {"upstream": self.name, "why": judgement.reason, "rate": self._pace.rate}
            log.warning("slowed down", extra=facts)
        return judgement

    async def exchange(self, request: Request) -> HttpAnswer:
        """The answer to a request. TimeoutError, and the errors of `Client.send`."""
        if self._tokens is None:
            return await self._exchange_once(request, request.headers)
        token = await self._tokens.token()
        answer = await self._exchange_once(request, _bearing(request, token))
        if answer.status != 401:
            return answer
        # The token has ended before its time. Nothing was accepted, so a repeat is safe.
        token = await self._tokens.token(instead_of=token)
        return await self._exchange_once(request, _bearing(request, token))

    async def _exchange_once(self, request: Request, headers: Mapping[str, str]) -> HttpAnswer:
        async with asyncio.timeout(self._options.response_timeout):
            return await self._client.send(
                request.method,
                request.path,
                request.body,
                headers,
                LONGEST_ANSWER,
                # A kept connection may close at the other end just now. Then the request may be
                # lost, and its outcome is unknown. So a request that must not be repeated gets a
                # connection of its own.
                keep=self._options.idempotent,
            )

    async def _ask_for_inbox(self, sink: Sink) -> None:
        """Ask for what the provider keeps for us, until cancelled."""
        provider = self.provider
        while isinstance(provider, HasInbox):
            try:
                heard = provider.inbox(await self.exchange(provider.inbox_question()))
                for told in heard.receipts:
                    await sink.received_receipt(told)
                for message in heard.messages:
                    await sink.received_message(message)
                    done = provider.inbox_done(message.id)
                    if done is not None:
                        await self.exchange(done)
            except Exception as error:
                # What was not stored or not taken out is asked for again; the store knows
                # repeats by their ids.
                facts = {"upstream": self.name, **error_facts(error)}
                log.warning("inbox not read", extra=facts)
            await asyncio.sleep(provider.inbox_interval)

    async def _state_of(self, id: str, recipient: str) -> State | None:
        """The state of a message at the provider; None while it is unknown."""
        assert isinstance(self.provider, IsAsked)
        try:
            answer = await self.exchange(self.provider.question(id))
            return self.provider.state(answer, id, recipient)
        except NoReceiptError:
            raise
        except Exception as error:
            # The poll asks again later, after any error.
            facts = {"upstream": self.name, **error_facts(error)}
            log.info("not told what became of a message", extra=facts)
            return None

    def _answer(
        self, delivery: Delivery, judgement: Judgement, parts: Sequence[int] | None = None
    ) -> None:
        assert self._sink is not None
        is_accepted = judgement.outcome is Outcome.ACCEPTED
        for number in parts or pending_parts(delivery):
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

    # Whether the provider is reachable.

    def _be_away(self, why: str) -> None:
        log.warning("cannot connect", extra={"upstream": self.name, "why": why})
        self._trouble = why
        options = self._options
        self._failures += 1
        wait = pause(self._failures, options.reconnect_delay, options.reconnect_delay_max)
        self._away_until = self._now() + spread(wait)

    def _be_locked_out(self, why: str) -> None:
        # Messages wait, and none is lost, until an operator changes a setting.
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
        """Seconds until the upstream is free by time alone; None: an answer has to come first."""
        if not self._is_running or self._unanswered >= self._pace.window:
            return None
        if self._away_until is not None:
            wait = None if self._unanswered else self._away_until - self._now()
        else:
            wait = self._pace.delay(self._now())
        return wait if wait is None else max(0.001, wait)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _bearing(request: Request, token: str) -> Mapping[str, str]:
    return {**request.headers, "Authorization": f"Bearer {token}"}


def message_id(name: str) -> str:
    """The message's id in the name of a part, where all parts share one id."""
    return _PART.sub("", name)
