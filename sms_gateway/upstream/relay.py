"""A way out over HTTP: another server that speaks /sendsms/, the original service or a gateway.

The whole text goes as one request, which the other end cuts into parts as it likes; so all parts
of a delivery are answered at once and alike.
"""

import asyncio
import hashlib
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass

from ..backend import Reply, Submission
from ..codes import Code
from ..network.client_tls import client_context
from ..remote.answers import InvalidAnswerError
from ..remote.http_backend import HttpBackend, NotTakenError
from ..remote.http_client import CutOffError, UnreachedError
from . import Answer, Delivery, Outcome, Sink, pending_parts
from .pace import Pace
from .relay_options import RelayOptions
from .relay_receipts import ReceiptPoll

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a code of the other end means for us."""

    outcome: Outcome
    #: It will be the same for every message until somebody changes something.
    is_locked_out: bool = False


#: By the code of the other end; docs/api.md has their sentences.
MEANINGS = {
    Code.SENT: _Meaning(Outcome.ACCEPTED),
    Code.TIMED_OUT: _Meaning(Outcome.UNANSWERED),
    Code.NOT_SENT: _Meaning(Outcome.REFUSED),
    Code.INTERNAL: _Meaning(Outcome.RETRY),
    # Once somebody has put the key right the message can still go.
    Code.KEY_DISABLED: _Meaning(Outcome.RETRY, is_locked_out=True),
    Code.KEY_WRONG: _Meaning(Outcome.RETRY, is_locked_out=True),
    Code.KEY_MISSING: _Meaning(Outcome.RETRY, is_locked_out=True),
    Code.TOO_MANY: _Meaning(Outcome.REFUSED),
    Code.NOT_MULTIPLE: _Meaning(Outcome.REFUSED),
    Code.UNREACHABLE: _Meaning(Outcome.REFUSED),
    Code.TOO_FAST: _Meaning(Outcome.RETRY),
    # Answers to other questions than ours: nobody knows what they mean here.
    Code.ID_MISSING: _Meaning(Outcome.UNANSWERED),
    Code.ID_UNKNOWN: _Meaning(Outcome.UNANSWERED),
    Code.ALREADY_SENT: _Meaning(Outcome.UNANSWERED),
}


class RelayUpstream:
    """A server that speaks /sendsms/, as an `Upstream`."""

    def __init__(self, name: str, options: RelayOptions) -> None:
        """Opens nothing but the files of certificates; ValueError when there are none in them,
        and for a URL that is none."""
        self.name = name
        self._options = options
        files = options.cafile, options.certfile, options.keyfile
        self._backend = HttpBackend(
            options.url,
            timeout=options.response_timeout,
            connect_timeout=options.connect_timeout,
            # On a connection that was just closed at the other end a request is lost, and nobody
            # knows whether it is: where it cannot be repeated each gets a connection of its own.
            keep_connections=options.idempotent,
            tls=client_context(*files) if options.url.startswith("https:") else None,
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
        self._delay = options.reconnect_delay
        self._trouble = ""
        self._poll = ReceiptPoll(
            name, self._backend, options.apikey, interval=options.poll_interval
        )

    # What the worker calls.

    def is_bound(self) -> bool:
        """See `Upstream.is_bound`. When it may be tried again it counts as bound."""
        away = self._away_until is not None and self._now() < self._away_until
        return self._is_running and not away

    def trouble(self) -> str:
        """See `TellsTrouble.trouble`."""
        return self._trouble

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
            loop.call_soon(self._answer, delivery, Outcome.NOT_WRITTEN, "stopped")
            return
        if delivery.accepted:
            # The whole would reach the recipient a second time in part.
            reason = "another carrier has taken a part of it and has to take the rest"
            loop.call_soon(self._answer, delivery, Outcome.RETRY, reason)
            return
        parts = len(pending_parts(delivery))
        self._unanswered += parts
        self._pace.written(parts, self._now())
        request = loop.create_task(self._relay(delivery, parts))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)

    async def run(self, sink: Sink) -> None:
        """See `Upstream.run`."""
        self._sink = sink
        self._is_running = True
        self._freed.set()
        try:
            await self._poll.run(sink)
        finally:
            self._is_running = False
            requests = set(self._requests)
            if requests:
                _, requests = await asyncio.wait(requests, timeout=self._options.stop_timeout)
            for request in requests:
                request.cancel()
            if requests:
                await asyncio.wait(requests)
            await self._backend.aclose()

    def ask_for(self, smsc_ids: Sequence[tuple[str, str, int]]) -> None:
        """See `AsksForReceipts.ask_for`."""
        if self._options.receipts:
            self._poll.resume(smsc_ids)

    # One request.

    async def _relay(self, delivery: Delivery, parts: int) -> None:
        outcome, reason, smsc_id = Outcome.UNANSWERED, "stopped", ""
        try:
            outcome, reason, smsc_id = await self._ask(delivery)
        finally:
            self._unanswered -= parts
            if outcome is Outcome.UNANSWERED and self._options.idempotent:
                # Whatever the first one came to, the key keeps the next from sending again.
                outcome = Outcome.RETRY
            self._answer(delivery, outcome, reason, smsc_id)
        if outcome is Outcome.ACCEPTED and self._options.receipts:
            self._poll.add(smsc_id, delivery)

    async def _ask(self, delivery: Delivery) -> tuple[Outcome, str, str]:
        try:
            reply = await self._backend.sendsms_once(
                Submission(
                    delivery.recipient,
                    delivery.text,
                    self._options.apikey,
                    idempotency_key=idempotency_key(delivery),
                    sender=delivery.sender if self._options.sender else "",
                )
            )
        except UnreachedError as error:
            self._be_away(f"not reached: {error}")
            return Outcome.NOT_WRITTEN, "not reached", ""
        except NotTakenError as error:
            self._be_locked_out(str(error))
            return Outcome.RETRY, str(error), ""
        except TimeoutError:
            return Outcome.UNANSWERED, "no answer", ""
        except InvalidAnswerError as error:
            self._be_back()
            return Outcome.UNANSWERED, f"odd answer: {error}", ""
        except CutOffError:
            return Outcome.UNANSWERED, "cut off", ""
        return self._judge(reply)

    def _judge(self, reply: Reply) -> tuple[Outcome, str, str]:
        code, meaning = reply.error, MEANINGS[reply.error]
        if meaning.is_locked_out:
            self._be_locked_out(f"code {code:d} {code.sentence}")
        else:
            self._be_back()
        if code is Code.TOO_FAST and self._pace.slow_down(self._now()):
            facts = {"upstream": self.name, "status": f"{code:d}", "rate": self._pace.rate}
            log.warning("slowed down", extra=facts)
        reason = "" if code is Code.SENT else f"{code:d} {code.sentence}"
        return meaning.outcome, reason, reply.id

    def _answer(self, delivery: Delivery, outcome: Outcome, reason: str, smsc_id: str = "") -> None:
        assert self._sink is not None
        for number in pending_parts(delivery):
            self._sink.answered(
                Answer(
                    delivery_id=delivery.id,
                    attempt=delivery.attempt,
                    part=number,
                    outcome=outcome,
                    smsc_id=part_id(smsc_id, number) if smsc_id else "",
                    reason=reason,
                )
            )
        self._freed.set()

    # Whether the other end is there.

    def _be_away(self, why: str) -> None:
        log.warning("cannot connect", extra={"upstream": self.name, "why": why})
        self._trouble = why
        spread = random.uniform(0.8, 1.2)  # noqa: S311 - not all gateways at once
        self._away_until = self._now() + self._delay * spread
        self._delay = min(self._delay * 2, self._options.reconnect_delay_max)

    def _be_locked_out(self, why: str) -> None:
        # Nothing is lost, and nothing goes, until somebody changes a setting.
        delay = self._options.locked_out_delay
        facts = {"upstream": self.name, "why": why, "next_try_in": delay}
        log.error("relay refused", extra=facts)
        self._trouble = f"relay refused: {why}"
        self._away_until = self._now() + delay

    def _be_back(self) -> None:
        self._away_until = None
        self._trouble = ""
        self._delay = self._options.reconnect_delay

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


def part_id(smsc_id: str, number: int) -> str:
    """The name of a part: the message's id at the other end, and the number of any but the
    first."""
    return smsc_id if number == 1 else f"{smsc_id}.{number}"


def idempotency_key(delivery: Delivery) -> str:
    """The same for all attempts at a delivery, and another when its sender asks for a resend,
    which begins a new validity."""
    told = f"{delivery.message_id} {delivery.recipient} {delivery.expires_at}"
    return hashlib.sha256(told.encode()).hexdigest()
