"""Time is the database's. A machine whose clock differs says so, and stands aside beyond 30 s."""

import asyncio
import logging
import time
from collections.abc import Iterator

import pytest
from support import accounts
from support.accepting import BELGIAN, ROUTES

from sms_gateway import moments
from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import Submission
from sms_gateway.codes import Code
from sms_gateway.store import Store, clock

_true_time_ns = time.time_ns

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


class Machine:
    """The clock of this machine, to be set."""

    def __init__(self) -> None:
        self.fast = 0.0

    def __call__(self) -> int:
        return _true_time_ns() + int(self.fast * 1e9)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    set_by_tests = Machine()
    monkeypatch.setattr(time, "time_ns", set_by_tests)
    monkeypatch.setattr(clock, "LOOK", 0.01)
    yield set_by_tests
    moments.follow(None)


def off() -> float:
    """How far `moments.now` is from the true time, seconds: a test takes less than ten."""
    return abs(moments.now() - _true_time_ns() // 1_000_000) / 1_000


@on_postgresql
@pytest.mark.parametrize("fast", [600, -600, 5, -5, 0])
def test_now_is_the_time_of_the_database(store: Store, machine: Machine, fast: float) -> None:
    machine.fast = fast
    store.clock.read()
    assert off() < 2
    assert store.clock.ahead == pytest.approx(fast, abs=2)
    assert bool(store.clock.trouble) is (abs(fast) > 30)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_sqlite_has_the_clock_of_its_machine(store: Store, machine: Machine) -> None:
    machine.fast = 600
    store.clock.read()
    async with store.clock.kept():
        await asyncio.sleep(0.05)
    assert off() == pytest.approx(600, abs=2)
    assert not store.clock.trouble


@on_postgresql
async def test_a_step_of_the_machines_clock_changes_nothing_but_is_told_once(
    store: Store, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="sms_gateway")

    async def told(words: str, ahead: float) -> None:
        while True:
            records = [r for r in caplog.records if words in r.message]
            if records and store.clock.ahead == pytest.approx(ahead, abs=0.9):
                break
            await asyncio.sleep(0.01)
        assert off() < 2
        assert len(records) == 1
        caplog.clear()

    async with store.clock.kept():
        while store.clock.ahead is None:
            await asyncio.sleep(0.01)
        assert caplog.records == []
        machine.fast = 5
        await told("clock differs", 5)
        machine.fast = -20
        await told("clock differs", -20)
        machine.fast = 40
        await told("the clock of this machine is 40 seconds ahead of that of the database", 40)
        machine.fast = 0
        await told("agrees", 0)


@on_postgresql
async def test_a_gateway_whose_clock_is_wrong_accepts_nothing_until_it_is_right(
    store: Store, machine: Machine
) -> None:
    key, _ = accounts.create(store, rate=None)
    gateway = Gateway(store, ROUTES, clock=store.clock.now)
    await gateway.start()
    replies = []
    for machine.fast in (0, 600, 0, -600, 0):
        store.clock.read()
        replies.append(await gateway.sendsms(Submission(BELGIAN, "Hello", key)))
    await gateway.aclose()
    assert [reply.error for reply in replies] == [
        Code.SENT, Code.INTERNAL, Code.SENT, Code.INTERNAL, Code.SENT,
    ]  # fmt: skip
    assert replies[1].retry_after == 30
    assert "clock of this machine is wrong" in replies[1].note
