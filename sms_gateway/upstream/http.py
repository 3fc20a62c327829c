"""Sends messages over HTTP: one request carries a whole text, one answer is for all its parts.

A provider writes requests and judges answers (`http_contract`). The rest is common to all providers
and is here: window and pace, missing answers, unreachable
servers, refused keys, the stop, and asking for receipts.

free ──request──► waiting ──answer, judged──► free
  ▲                  ├─── none in time, cut off, no HTTP: UNANSWERED ──► free
  │                  └─── no connection: NOT_WRITTEN, or judged "locked out" ──► away
  └────answer──── one at a time ◄─────────────────── a delay, doubled each time ───┘
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from .. import __version__
from ..backoff import pause, spread
from ..log import error_facts, log_error
from ..network.client_tls import client_context
from ..remote.answers import Answer as HttpAnswer
from ..remote.answers import InvalidAnswerError
from ..remote.http_client import Client, CutOffError, UnreachedError, UnwritableError
from ..sms.message import State
from . import Answer, Delivery, Outcome, ReceiptsOf, Sink, part_id, pending_parts
from .allotment import Allotment, Ask
from .checking import Server, Step
from .http_contract import (
    ChecksSignIn,
    HasInbox,
    IsAsked,
    Judgement,
    Provider,
    Request,
    SendsParts,
    SignsIn,
    UnsendableError,
)
from .http_poll import NoReceiptError, ReceiptPoll
from .oauth2 import RefusedTokenError, Tokens
from .pace import Pace

log = logging.getLogger(__name__)

#: The largest answer to read, in bytes.
LONGEST_ANSWER = 1024 * 1024
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": f"sendsmsnow/{__version__}"}


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
