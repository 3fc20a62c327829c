"""Several workers, one carrier: together they keep to the rate and the window of its upstream."""

import asyncio
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import accounts
from support.running import environment, wait_for
from support.smsc import Smsc, start_smsc

from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import Submission
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.store import Store

RATE, WINDOW = 100, 10
#: Over so many seconds the rate holds within 2 %, with the tenth of a second that goes at once.
SPAN = 6


@contextmanager
def workers(
    folder: Path, database: str, upstream: str
) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Starts worker processes, which end with the context."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        with (folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "sms_gateway", "worker"],
                env=environment(database, upstream=upstream),
                stdout=log,
                stderr=log,
            )
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()


async def fill(database: str, messages: int) -> None:
    """Put so many messages into the queue."""
    store = Store(database)
    key, _ = accounts.create(store, rate=None)
    gateway = Gateway(store, Routes([Route(prefix="", upstreams=("default",))]))
    await gateway.start()
    for first in range(0, messages, 500):
        replies = [
            gateway.sendsms(Submission(f"+324940{n:05}", "Hello", key))
            for n in range(first, first + 500)
        ]
        assert all(reply.error == 0 for reply in await asyncio.gather(*replies))
    await gateway.aclose()
    store.close()


def most_within(times: Sequence[int], span: int) -> int:
    """The most of these moments (ms) within any `span` ms."""
    most, within = 0, deque[int]()
    for at in sorted(times):
        within.append(at)
        while within[0] <= at - span:
            within.popleft()
        most = max(most, len(within))
    return most


def busy(carrier: Smsc, count: int, since: int, span: int = 2_000) -> bool:
    """Whether so many connections submitted after `since` (an index), most of the rate in all."""
    submits = carrier.submits()[since:]
    if not submits:
        return False
    late = [each for each in submits if each["at"] > submits[-1]["at"] - span]
    return (
        len({each["connection"] for each in late}) == count
        and len(late) > 0.9 * RATE * span / 1_000
        and submits[-1]["at"] - submits[0]["at"] > span
    )


@pytest.mark.once
def test_workers_that_join_and_die_keep_to_the_rate(database: str, tmp_path: Path) -> None:
    asyncio.run(fill(database, 6_000))
    many = 3 if database.startswith("postgresql") else 2
    with start_smsc(tmp_path, receipts=False) as carrier:
        upstream = f"{carrier.url}?rate={RATE}&window=100"
        with workers(tmp_path, database, upstream) as start:
            first = start()
            wait_for(lambda: busy(carrier, 1, 0), 60)
            for _ in range(many - 1):
                start()
            wait_for(lambda: busy(carrier, many, 0), 60)
            first.kill()
            killed = len(carrier.submits())
            wait_for(lambda: busy(carrier, many - 1, killed), 60)
            wait_for(lambda: len(carrier.submits()) > killed + RATE * SPAN, 60)
    times = [each["at"] for each in carrier.submits()]
    assert most_within(times, SPAN * 1_000) <= 1.02 * RATE * SPAN


@pytest.mark.once
def test_workers_together_keep_to_the_window(database: str, tmp_path: Path) -> None:
    asyncio.run(fill(database, 2_000))
    latency = 100
    with start_smsc(tmp_path, receipts=False, latency=latency) as carrier:
        upstream = f"{carrier.url}?window={WINDOW}"
        with workers(tmp_path, database, upstream) as start:
            first = start()
            wait_for(lambda: len(carrier.submits()) > 50, 60)
            start()
            both = len(carrier.submits())
            wait_for(lambda: len({each["connection"] for each in carrier.submits()}) == 2, 60)
            wait_for(lambda: len(carrier.submits()) > both + 100, 60)
            first.kill()
            wait_for(lambda: len(carrier.submits()) > both + 300, 60)
    times = [each["at"] for each in carrier.submits()]
    # A part is under way for as long as its answer takes, at least.
    assert most_within(times, latency - 1) <= WINDOW
