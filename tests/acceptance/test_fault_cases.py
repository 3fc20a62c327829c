"""What becomes of a message when a carrier behaves badly: docs/faults.md is held true here.

Gateway, worker and store are the real ones, the carrier is node-smpp. Each fault has a number, a
route and a bind of its own, so that they do not disturb each other.
"""

import asyncio
import contextlib
import dataclasses
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Executable, select, text, update
from support import accounts
from support.clock import LoopClock
from support.smsc import Smsc, start_smsc

from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import Submission
from sms_gateway.deliver.worker import Worker
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.sms.message import State
from sms_gateway.store import Store, history, tables
from sms_gateway.upstream.smpp import SmppUpstream
from sms_gateway.upstream.smpp_options import options_from_url

# Its outcome does not hang on the version of Python.
pytestmark = pytest.mark.once

PAGE = Path(__file__).parents[2] / "docs/faults.md"

ROW = "| {} | {} | {} |"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A way in which a carrier fails, and what is seen of it."""

    #: What the carrier does, for the page.
    carrier: str
    #: What the message says: words that smsc.js obeys.
    text: str
    #: What becomes of the message before any time has passed, and at last.
    soon: State
    ends: State
    #: The journal of the delivery.
    steps: str
    resend: bool = False
    #: How many copies of it find no answer in time.
    overdue: int = 0
    #: The SMSC it is sent to: `smsc`, `closed` or `deaf`.
    at: str = "smsc"

    def misses_only_time(self, state: State, *, sent: int, passed: int) -> bool:
        """Whether all has come of it that comes of itself, once the timers of so many copies have
        run out: an end, or one copy more, whose timer runs. `sent`: how many copies were."""
        if passed < self.overdue:
            return state is State.SUBMITTING and sent > passed
        return state in (self.soon, self.ends) and (sent > 0 or self.at == "closed")

    @property
    def row(self) -> str:
        ends = self.ends if self.soon in (self.ends, State.QUEUED) else f"{self.soon}, {self.ends}"
        carrier = self.carrier + (" (on a route that resends)" if self.resend else "")
        return ROW.format(carrier, ends, self.steps)


D, UNCERTAIN = State.DELIVERED, State.UNCERTAIN
TAKEN = "claimed; submitted; receipt: delivered err 000"
KNOWN = "submitted: known from its receipt (late); receipt: delivered err 000"


def delivered(carrier: str, text: str, steps: str = TAKEN) -> Fault:
    return Fault(carrier=carrier, text=text, soon=D, ends=D, steps=steps)


def put_off(carrier: str, word: str, why: str) -> Fault:
    steps = f"claimed; put off: {why}; queued: to be tried again; {TAKEN}"
    return delivered(carrier, f"#{word}:1", steps)


def reported(stat: str, state: State) -> Fault:
    return Fault(
        carrier=f"a receipt says {stat}",
        text=f"#stat:{stat}",
        soon=state,
        ends=state,
        steps=f"claimed; submitted; receipt: {state} err 001",
    )


def unanswered(carrier: str, text: str, why: str, then: str = KNOWN, overdue: int = 0) -> Fault:
    """The carrier took it, so that its receipt tells in the end."""
    return Fault(
        carrier=carrier,
        text=text,
        soon=UNCERTAIN,
        ends=D,
        steps=f"claimed; not answered: {why}; uncertain: the carrier did not answer; {then}",
        overdue=overdue,
    )


FAULTS = [
    put_off("throttles (0x58)", "throttled", "0x00000058 throttling error"),
    put_off("has its queue full (0x14)", "queue-full", "0x00000014 message queue full"),
    put_off("has a status of its own (0x4FF)", "vendor", "0x000004ff vendor-specific error"),
    put_off("answers with generic_nack", "nack", "0x00000003 invalid command id"),
    Fault(
        carrier="has its queue full until the validity ends",
        text="#queue-full",
        soon=State.QUEUED,
        ends=State.EXPIRED,
        steps="claimed; put off: 0x00000014 message queue full; queued: to be tried again; …; "
        "expired: its validity ended before a carrier took it",
    ),
    Fault(
        carrier="refuses the number (0x0B)",
        text="#invalid-destination",
        soon=State.FAILED,
        ends=State.FAILED,
        steps="claimed; refused: 0x0000000b invalid destination address; "
        "failed: 0x0000000b invalid destination address",
    ),
    unanswered("takes it and never answers", "#silent", "no answer in time", overdue=1),
    Fault(
        carrier="never answers and never tells",
        text="#silent #no-receipt",
        soon=UNCERTAIN,
        ends=UNCERTAIN,
        steps="claimed; not answered: no answer in time; uncertain: the carrier did not answer",
        overdue=1,
    ),
    Fault(
        carrier="never answers the first copy",
        text="#silent:1",
        soon=D,
        ends=D,
        steps="claimed; not answered: no answer in time; queued: the carrier did not answer; "
        + TAKEN,
        resend=True,
        overdue=1,
    ),
    Fault(
        carrier="never answers and never tells",
        text="#silent #no-receipt",
        soon=UNCERTAIN,
        ends=UNCERTAIN,
        steps="claimed; not answered: no answer in time; queued: the carrier did not answer; "
        "claimed; not answered: no answer in time; uncertain: the carrier did not answer",
        resend=True,
        overdue=2,
    ),
    unanswered(
        "answers late",
        "#held",
        "no answer in time",
        "submitted (late); receipt: delivered err 000",
        overdue=1,
    ),
    unanswered("drops TCP before the answer", "#drop", "connection lost"),
    unanswered("sends a PDU cut short", "#truncated", "command_length is 5"),
    unanswered("sends a PDU of 2 GB", "#oversized", "command_length is 2147483647"),
    Fault(
        carrier="sends a generic_nack for no PDU",
        text="#nack-0",
        soon=UNCERTAIN,
        ends=UNCERTAIN,
        steps="claimed; not answered: no answer in time; uncertain: the carrier did not answer",
        overdue=1,
    ),
    delivered("answers a sequence number never sent", "#wrong-sequence"),
    delivered("has unknown TLVs in answer and receipt", "#unknown-tlv"),
    delivered("sends unbind before the answer", "#unbind"),
    delivered("sends a message of a handset meanwhile", "#mo"),
    reported("UNDELIV", State.UNDELIVERABLE),
    reported("EXPIRED", State.EXPIRED),
    reported("REJECTD", State.FAILED),
    Fault(
        carrier="sends no receipt",
        text="#no-receipt",
        soon=State.SUBMITTED,
        ends=State.UNKNOWN,
        steps="claimed; submitted; unknown: no receipt came before its validity ended",
    ),
    delivered("sends the receipt twice", "#twice"),
    delivered("sends the receipt before the answer", "#before"),
    delivered("has the receipt in TLVs only", "#tlv-only", TAKEN),
    Fault(
        carrier="has seconds in dates and an alphanumeric err",
        text="#seconds #stat:UNDELIV",
        soon=State.UNDELIVERABLE,
        ends=State.UNDELIVERABLE,
        steps="claimed; submitted; receipt: undeliverable err 00B",
    ),
    delivered("has the id in decimal, hexadecimal in the answer", "#decimal"),
    Fault(
        carrier="refuses the bind (0x0E) for a while",
        text="Hello",
        soon=State.QUEUED,
        ends=D,
        steps=TAKEN,
        at="closed",
    ),
    Fault(
        carrier="does not answer enquire_link, and then does",
        text="Hello",
        soon=D,
        ends=D,
        steps=TAKEN,
        at="deaf",
    ),
]
#: The gateway's own fault, and its own test below.
STORE_AWAY = delivered("the store is away when the receipt comes (0x08 to the carrier)", "Hello")

#: No timer runs out unless the test lets its time pass, and nothing has to be waited for.
RESPONSE, ENQUIRE = 600, 3_600
OPTIONS: dict[str, Any] = {
    "response_timeout": RESPONSE,
    "late_timeout": 86_400,
    "enquire_interval": ENQUIRE,
    "reconnect_delay": 0.05,
    "reconnect_delay_max": 0.2,
    "locked_out_delay": 0.2,
    "stop_timeout": 60,
}


class Stage:
    """A gateway with one route and one bind for each fault."""

    def __init__(self, store: Store, smscs: dict[str, Smsc], faults: list[Fault]) -> None:
        self.store = store
        self.key, _ = accounts.create(store, rate=None)
        self.numbers = {f"324700{n:05}": fault for n, fault in enumerate(faults)}
        self.routes = Routes(
            [
                Route(prefix=number, upstreams=(number,), resend=fault.resend)
                for number, fault in self.numbers.items()
            ]
        )
        self.smscs = smscs
        self._urls = {
            number: smscs[fault.at].url.replace("esme:", f"{number}:")
            for number, fault in self.numbers.items()
        }

    async def accept(self) -> None:
        gateway = Gateway(self.store, self.routes)
        await gateway.start()
        for number, fault in self.numbers.items():
            reply = await gateway.sendsms(Submission(f"+{number}", fault.text, self.key))
            assert reply.error == 0, reply
        await gateway.aclose()

    @contextlib.asynccontextmanager
    async def worker(self) -> AsyncIterator[dict[str, SmppUpstream]]:
        """A worker that runs, and its upstreams by their numbers."""
        upstreams = {
            number: SmppUpstream(number, dataclasses.replace(options_from_url(url), **OPTIONS))
            for number, url in self._urls.items()
        }
        working = asyncio.create_task(Worker(self.store, upstreams, self.routes).run())
        try:
            yield upstreams
        finally:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working

    def histories(self) -> dict[str, history.DeliveryHistory]:
        with self.store.read() as connection:
            found = [
                history.of_message(connection, id)
                for id in connection.execute(tables.message.select()).scalars()
            ]
        deliveries = [delivery for one in found if one is not None for delivery in one.deliveries]
        return {delivery.recipient.lstrip("+"): delivery for delivery in deliveries}

    async def until(self, states: dict[str, State]) -> None:
        """Returns when these deliveries are in these states."""

        def wrong() -> object:
            return {
                self.numbers[number].carrier: one.state
                for number, one in self.histories().items()
                if one.state != states.get(number, one.state)
            }

        await nothing(wrong)

    async def until_only_time_is_missing(self, *, passed: int) -> None:
        def wrong() -> object:
            # Looked at first, so that what was sent and is queued is queued once more.
            sent = Counter(entry["destination"] for entry in self._of_carriers("submit"))
            return {
                self.numbers[number].carrier: (one.state, sent[number])
                for number, one in self.histories().items()
                if not self.numbers[number].misses_only_time(
                    one.state, sent=sent[number], passed=passed
                )
            }

        await nothing(wrong)

    async def until_all_is_told(self) -> None:
        """Returns when the gateway has all that the carriers had for it."""

        def untold() -> object:
            taken = {
                entry["id"]
                for entry in self._of_carriers("submit")
                if entry["id"] and "#no-receipt" not in entry["text"]
            }
            told = [entry for entry in self._of_carriers("receipt") if not entry["status"]]
            missing = taken - {entry.get("id") for entry in told}
            return missing or "MO" not in {entry["stat"] for entry in told}

        await nothing(untold)

    def _of_carriers(self, event: str) -> list[dict[str, Any]]:
        return [entry for smsc in self.smscs.values() for entry in smsc.journal(event)]

    def let_expire(self, chosen: ColumnElement[bool]) -> None:
        ids = select(tables.delivery.c.id).where(chosen)
        for table in (tables.queue, tables.awaited):
            self.execute(update(table).where(table.c.delivery_id.in_(ids)).values(expires_at=0))

    def execute(self, statement: Executable) -> None:
        with self.store.write() as connection:
            connection.execute(statement)


async def nothing(wrong: Callable[[], object]) -> None:
    """Returns when nothing is wrong any more."""
    deadline = time.monotonic() + 100
    while found := wrong():
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)


def steps(delivery: history.DeliveryHistory) -> str:
    """A journal without names; what was tried over and over stands once."""
    shown = []
    for step in delivery.steps:
        detail = re.sub(r"^[0-9A-F]{13,16} ?|^[0-9]{13,20} ?", "", step.detail)
        detail = "" if step.event == "claimed" else detail
        if detail.startswith("("):
            shown.append(f"{step.event} {detail}")
        else:
            shown.append(f"{step.event}: {detail}" if detail else step.event)
    return "; ".join(shown)


@pytest.fixture
def smscs(tmp_path: Path) -> Iterator[dict[str, Smsc]]:
    with contextlib.ExitStack() as stack:
        options: dict[str, dict[str, Any]] = {
            "smsc": {},
            "closed": {"bind_status": 0x0E},
            "deaf": {"enquire_link": False},
        }
        started = {}
        for name, given in options.items():
            (tmp_path / name).mkdir()
            started[name] = stack.enter_context(start_smsc(tmp_path / name, **given))
        yield started


@pytest.mark.timeout(600)
async def test_every_fault_ends_as_the_page_says(
    loop_clock: LoopClock, store: Store, smscs: dict[str, Smsc]
) -> None:
    stage = Stage(store, smscs, FAULTS)
    deaf, closed = smscs["deaf"], smscs["closed"]
    async with stage.worker() as upstreams:
        open_to_us = [upstreams[n] for n, fault in stage.numbers.items() if fault.at != "closed"]
        await nothing(lambda: [each.name for each in open_to_us if not each.is_bound()])
        await nothing(lambda: not closed.journal("bind"))
        loop_clock.pass_(ENQUIRE)
        await nothing(lambda: not deaf.journal("enquire_link"))
        loop_clock.pass_(RESPONSE)
        await nothing(lambda: not deaf.journal("close"))
        deaf.set(enquire_link=True)
        await nothing(lambda: [each.name for each in open_to_us if not each.is_bound()])
        loop_clock.pass_(ENQUIRE)
        await nothing(lambda: not deaf.journal("enquire_link")[-1]["answered"])
        await stage.accept()
        await stage.until_only_time_is_missing(passed=0)
        # For what is queued the validity ends, or the carrier opens.
        queued = {number for number, fault in stage.numbers.items() if fault.soon is State.QUEUED}
        full = {number for number in queued if stage.numbers[number].at == "smsc"}
        stage.let_expire(tables.delivery.c.recipient.in_([f"+{number}" for number in full]))
        closed.set(bind_status=0)
        await stage.until({number: stage.numbers[number].ends for number in queued})
        for passed in (1, 2):
            loop_clock.pass_(RESPONSE)
            await stage.until_only_time_is_missing(passed=passed)
        smscs["smsc"].command("release")
        await stage.until_all_is_told()
    # A minute passes, and for what has still no end its validity ends.
    received_at = tables.early_receipt.c.received_at
    stage.execute(update(tables.early_receipt).values(received_at=received_at - 60_000))
    stage.let_expire(tables.delivery.c.state == State.SUBMITTED)
    async with stage.worker():
        await stage.until({number: fault.ends for number, fault in stage.numbers.items()})
    found = {stage.numbers[number]: one for number, one in stage.histories().items()}
    assert {fault.row: _told(fault, one) for fault, one in found.items()} == {
        fault.row: fault.steps for fault in FAULTS
    }
    with store.read() as connection:
        received = connection.execute(tables.received.select()).all()
    assert [message.text for message in received] == ["Hello from a handset"]
    # On a route that holds nothing is submitted a second time unless it was refused.
    for number, fault in stage.numbers.items():
        copies = [
            entry
            for entry in smscs[fault.at].submits()
            if entry["destination"] == number and not entry["status"]
        ]
        assert len(copies) <= 1 + fault.resend, fault.carrier


def _told(fault: Fault, delivery: history.DeliveryHistory) -> str:
    told = steps(delivery)
    if "…" in fault.steps:
        head, tail = fault.steps.split("…; ")
        assert told.startswith(head)
        assert told.endswith(tail)
        return fault.steps
    return told


async def test_a_receipt_that_the_store_cannot_take_is_offered_until_it_can(
    store: Store, tmp_path: Path
) -> None:
    with start_smsc(tmp_path, receipt_window=0, receipt_retry=50) as smsc:
        stage = Stage(store, {"smsc": smsc}, [STORE_AWAY])
        (number,) = stage.numbers
        async with stage.worker():
            await stage.accept()
            await stage.until({number: State.SUBMITTED})
            stage.execute(text("ALTER TABLE part RENAME TO nowhere"))
            smsc.set(receipt_window=1)
            await nothing(lambda: not smsc.receipts())
            stage.execute(text("ALTER TABLE nowhere RENAME TO part"))
            await stage.until({number: D})
        statuses = [entry["status"] for entry in smsc.receipts()]
    assert statuses[0] == 0x08
    assert statuses[-1] == 0
    assert steps(stage.histories()[number]) == STORE_AWAY.steps


def test_the_page_has_exactly_these_faults() -> None:
    table = PAGE.read_text("utf-8").split("## ")[0]
    rows = re.findall(r"^\| (?!Fault).*", table, re.M)
    assert rows == [fault.row for fault in (*FAULTS, STORE_AWAY)]
