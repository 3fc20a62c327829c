"""Sends messages by a GSM modem, which a process of its own drives (`modem_process.py`).

             ┌── a part ──► process ──► Gammu ──► modem
    queue ───┤
             └── sent, with a reference: ACCEPTED · an error: REFUSED, RETRY or UNANSWERED
                 silence, or the process dies: UNANSWERED, and the process is started anew

A modem takes a part in three to six seconds, one after the other.
"""

import asyncio
import hashlib
import json
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from ..backoff import pause, spread
from ..log import error_facts
from ..moments import now
from ..sms.encoding import Encoding
from ..sms.receipt import Receipt
from ..sms.segments import segment
from . import Answer, Delivery, Incoming, Outcome, ReceiptsOf, Sink, pending_parts
from .allotment import Allotment, Ask
from .modem_options import ModemOptions
from .modem_process import GIVEN_UP
from .modem_receipts import SentParts, part_name, state_of
from .pace import Pace

log = logging.getLogger(__name__)

#: What drives a modem.
COMMAND = (sys.executable, "-m", "sms_gateway.upstream.modem_process")
_CODINGS = {Encoding.GSM7: "Default_No_Compression", Encoding.UCS2: "Unicode_No_Compression"}
#: Gammu's errors after which nothing was sent: for now, and for good (libgammu, gammu-error.h).
#: After any other the modem may have sent the part.
_ERRORS = {
    **dict.fromkeys(
        (
            "ERR_BUSY", "ERR_EMPTYSMSC", "ERR_GETTING_SMSC", "ERR_MEMORY_NOT_AVAILABLE",
            "ERR_NETWORK_ERROR", "ERR_NOSERVICE", "ERR_NOSIM", "ERR_NOTCONNECTED", "ERR_PHONEOFF",
            "ERR_SECURITYERROR",
        ),
        Outcome.RETRY,
    ),
    **dict.fromkeys(("ERR_INVALIDDATA", "ERR_NOTSUPPORTED", "ERR_MOREMEMORY"), Outcome.REFUSED),
}  # fmt: skip
#: Seconds that opening a modem may take besides.
_OPENING = 60.0
#: Seconds that a process has to end by itself, and those after which a message is offered again.
_END, _OFFERED_AGAIN = 2.0, 0.5


@dataclass(frozen=True, slots=True)
class _Part:
    delivery: Delivery
    number: int
    text: str
    header: str

    def answer(self, outcome: Outcome, reason: str = "", smsc_id: str = "") -> Answer:
        return Answer(
            delivery_id=self.delivery.id,
            attempt=self.delivery.attempt,
            part=self.number,
            outcome=outcome,
            reason=reason,
            smsc_id=smsc_id,
        )


class ModemUpstream:
    """A modem, as an `Upstream`."""

    def __init__(
        self, name: str, options: ModemOptions, *, command: Sequence[str] = COMMAND
    ) -> None:
        """Opens nothing. `command`: what drives the modem."""
        self.name = name
        self._options = options
        self._command = command
        self._pace = Pace(options.rate, options.window)
        self._sink: Sink | None = None
        self._is_running = self._is_ready = self._stopping = False
        self._trouble = ""
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: deque[_Part] = deque()
        self._under_way: _Part | None = None
        self._sent = SentParts()
        self._last_name = 0
        self._changed = asyncio.Event()
        self._freed = asyncio.Event()
        #: When the process said something last, by the loop's clock.
        self._heard_at = 0.0
        self._storing: set[asyncio.Task[None]] = set()

    # The methods for the worker.

    def is_bound(self) -> bool:
        """See `Upstream.is_bound`."""
        return self._is_ready and not self._stopping

    def trouble(self) -> str:
        """See `TellsTrouble.trouble`."""
        return self._trouble

    def receipts_of(self) -> ReceiptsOf:
        """See `SaysReceipts.receipts_of`."""
        return "each"

    def free(self) -> int:
        """See `Upstream.free`."""
        return int(self._pace.room(self._now(), self._unanswered())) if self.is_bound() else 0

    async def ready(self) -> None:
        """See `Upstream.ready`."""
        while not self.free():
            self._freed.clear()
            waits = self.is_bound() and self._unanswered() < self._pace.window
            try:
                async with asyncio.timeout(
                    max(0.001, self._pace.delay(self._now())) if waits else None
                ):
                    await self._freed.wait()
            except TimeoutError:
                pass

    def submit(self, delivery: Delivery) -> None:
        """See `Upstream.submit`. The sink gets the answers later, never before this returns."""
        parts = _parts(delivery)
        if not self.is_bound():
            reason = "the modem is away" if self._is_running else "stopped"
            answers = [each.answer(Outcome.NOT_WRITTEN, reason) for each in parts]
            asyncio.get_running_loop().call_soon(self._answer, answers)
            return
        self._pace.written(len(parts), self._now())
        self._waiting.extend(parts)
        self._changed.set()

    def ask_for(self, smsc_ids: Sequence[tuple[str, str, int]]) -> None:
        """See `AsksForReceipts.ask_for`: their receipts come by themselves."""
        for name, recipient, expires_at in smsc_ids:
            self._sent.add(name, recipient, expires_at)

    def ask(self, now: float) -> Ask:
        """See `KeepsLimits.ask`."""
        return self._pace.ask(now, self._unanswered(), ready=self.is_bound())

    def allot(self, allotment: Allotment, now: float) -> None:
        """See `KeepsLimits.allot`."""
        self._pace.allot(allotment, now)
        self._freed.set()

    async def run(self, sink: Sink) -> None:
        """See `Upstream.run`."""
        self._sink, self._is_running, self._stopping = sink, True, False
        serving = asyncio.create_task(self._stay_open())
        try:
            await asyncio.shield(serving)
        finally:
            self._stopping = True
            self._give_back("stopped")
            # Not by asyncio.timeout: before Python 3.12 it is none in a task that is cancelled.
            answered = asyncio.create_task(self._answered())
            await asyncio.wait([answered], timeout=self._options.stop_timeout)
            answered.cancel()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            for task in self._storing:
                task.cancel()
            await asyncio.gather(*self._storing, return_exceptions=True)
            self._is_running = False

    async def _answered(self) -> None:
        """Returns once no part is under way."""
        while self._under_way is not None:
            self._freed.clear()
            await self._freed.wait()

    # The process.

    async def _stay_open(self) -> None:
        options, failures = self._options, 0
        while True:
            began = self._now()
            status = await self._drive()
            failures = 1 if self._now() - began > options.reconnect_delay_max else failures + 1
            log.warning("modem closed", extra={"upstream": self.name, "why": self._trouble})
            if status == GIVEN_UP:
                # Another try would cost the SIM one of its three.
                log.error("modem given up", extra={"upstream": self.name, "why": self._trouble})
                await asyncio.Event().wait()
            wait = pause(failures, options.reconnect_delay, options.reconnect_delay_max)
            await asyncio.sleep(spread(wait))

    async def _drive(self) -> int | None:
        """Start the process, and hand it parts until it ends; returns its exit status."""
        self._trouble = "the process of the modem ended"
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._write(asdict(self._options))
        self._heard_at = self._now()
        tasks = [asyncio.create_task(each) for each in (self._read(), self._hand(), self._watch())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._is_ready, self._process = False, None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._under_way is not None:
                part, self._under_way = self._under_way, None
                self._answer([part.answer(Outcome.UNANSWERED, "the modem did not answer")])
            # It is elsewhere now that these may go.
            self._give_back("the modem is away")
            await _end(process)
        return process.returncode

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self._heard_at = self._now()
            event = json.loads(line)
            match event["event"]:
                case "ready":
                    self._is_ready, self._trouble = True, ""
                    facts = {"upstream": self.name, "modem": event["modem"]}
                    log.info("modem ready", extra=facts)
                case "trouble":
                    self._trouble = event["why"]
                case "sent" | "failed":
                    self._ended(event)
                case "came":
                    self._store(event)
            self._changed.set()
            self._freed.set()

    async def _hand(self) -> None:
        """Hand the process one part at a time."""
        while True:
            while self._is_ready and self._waiting and self._under_way is None:
                self._under_way = part = self._waiting.popleft()
                self._heard_at = self._now()
                told = {
                    "id": part.delivery.id,
                    "number": part.delivery.recipient,
                    "text": part.text,
                    "header": part.header,
                    "coding": _CODINGS[part.delivery.encoding],
                }
                self._write({"do": "send", "part": told})
            self._changed.clear()
            await self._changed.wait()

    async def _watch(self) -> None:
        """Returns once the process has been silent for too long."""
        # Silence is no event that could be waited for.
        while (wait := self._heard_at + self._patience() - self._now()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(wait, self._options.response_timeout))
        self._trouble = "the modem did not answer"

    def _patience(self) -> float:
        """How long the process may be silent: it speaks after each part and each look."""
        options = self._options
        if not self._is_ready:
            return options.response_timeout + _OPENING
        return options.response_timeout + (0 if self._under_way else options.poll_interval)

    def _write(self, command: Mapping[str, Any]) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(json.dumps(command).encode() + b"\n")

    # What it says.

    def _ended(self, event: Mapping[str, Any]) -> None:
        part, self._under_way = self._under_way, None
        assert part is not None
        if event["event"] == "sent":
            self._last_name = max(self._last_name + 1, now() * 1_000)
            name = part_name(self._last_name, event["reference"])
            self._sent.add(name, part.delivery.recipient, part.delivery.expires_at)
            answer = part.answer(Outcome.ACCEPTED, smsc_id=name)
        else:
            outcome = _ERRORS.get(event["error"], Outcome.UNANSWERED)
            answer = part.answer(outcome, f"the modem says {event['error']}")
        self._answer([answer])

    def _store(self, event: dict[str, Any]) -> None:
        task = asyncio.get_running_loop().create_task(self._offer(event))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)

    async def _offer(self, event: dict[str, Any]) -> None:
        """Delete a message from the SIM once it is committed."""
        assert self._sink is not None
        deed = "delete"
        try:
            if event["kind"] == "message":
                await self._sink.received_message(self._incoming(event))
            elif (receipt := self._receipt(event)) is not None:
                await self._sink.received_receipt(receipt)
            else:
                log.warning("receipt for no part", extra={"upstream": self.name})
        except Exception as error:
            log.warning("not stored", extra={"upstream": self.name, **error_facts(error)})
            await asyncio.sleep(_OFFERED_AGAIN)
            deed = "keep"
        self._write({"do": deed, "location": event["location"]})

    def _incoming(self, event: Mapping[str, Any]) -> Incoming:
        names = "number", "sent_at", "text", "reference", "part"
        told = json.dumps([event[name] for name in names]).encode()
        return Incoming(
            sender=event["number"],
            recipient=self._options.number or "modem",
            text=event["text"],
            reference=event["reference"],
            total=event["total"],
            number=event["part"],
            # A message that was committed and not deleted is read again.
            id=hashlib.sha256(told).hexdigest(),
        )

    def _receipt(self, event: Mapping[str, Any]) -> Receipt | None:
        name = self._sent.name_of(event["message_reference"], event["number"], event["sent_at"])
        if name is None:
            return None
        status = event["status"]
        return Receipt(
            smsc_id=name,
            state=state_of(status),
            recipient="".join(sign for sign in event["number"] if sign.isdigit()),
            error="" if status == 0 else f"{status:02x}",
            done_at=event["at"],
            raw=f"status: {status:02x}",
        )

    def _answer(self, answers: Sequence[Answer]) -> None:
        assert self._sink is not None
        for answer in answers:
            self._sink.answered(answer)
        self._freed.set()

    def _give_back(self, why: str) -> None:
        """Parts that the process never got are as if they had not been claimed."""
        parts = list(self._waiting)
        self._waiting.clear()
        self._answer([part.answer(Outcome.NOT_WRITTEN, why) for part in parts])

    def _unanswered(self) -> int:
        return len(self._waiting) + (self._under_way is not None)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process: its input ends, and what does not end then is killed."""
    assert process.stdin is not None
    process.stdin.close()
    waiting = asyncio.ensure_future(process.wait())
    loop = asyncio.get_running_loop()

    def kill() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    killing = loop.call_later(_END, kill)
    try:
        await asyncio.shield(waiting)
    except asyncio.CancelledError:
        kill()
        await waiting
        raise
    finally:
        killing.cancel()


def _parts(delivery: Delivery) -> list[_Part]:
    """The parts still to be sent, each with its header (3GPP TS 23.040, 9.2.3.24.1)."""
    texts = segment(delivery.text, delivery.encoding)
    total = len(texts)
    header = f"050003{delivery.id % 256:02x}{total:02x}" if total > 1 else ""
    return [
        _Part(delivery, number, texts[number - 1], header and f"{header}{number:02x}")
        for number in pending_parts(delivery)
    ]
