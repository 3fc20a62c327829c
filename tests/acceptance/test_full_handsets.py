"""Handsets whose queue is full (0x14), among others: they wait, and nobody waits for them.

SENDSMSNOW_TEST_HANDSETS=10000 pytest tests/acceptance/test_full_handsets.py -s: the long run.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.in_process import accept, states, working
from support.smsc import start_smsc

from sms_gateway.store import Store

# Its outcome does not hang on the version of Python.
pytestmark = pytest.mark.once

MESSAGES = int(os.environ.get("SENDSMSNOW_TEST_HANDSETS", "1000"))
#: A carrier 20 ms away, with ten parts under way: 500 parts a second, or 2 s for 1,000.
LATENCY, WINDOW = 20, 10


def messages(full: int) -> Iterator[tuple[str, str]]:
    """One of `full` numbers each has its queue full whenever it is tried; 0 is none of them."""
    for number in range(MESSAGES):
        is_full = full and number % full == full // 2
        yield f"+3247{number:07}", "#queue-full" if is_full else f"message {number}"


async def seconds(store: Store, folder: Path, full: int) -> float:
    """How long it takes until all that can go has gone."""
    folder.mkdir()
    expected = sum(text != "#queue-full" for _, text in messages(full))
    before = states(store)["submitted"]
    await accept(store, messages(full), name=folder.name)
    with start_smsc(folder, latency=LATENCY, receipts=False) as smsc:
        began = time.monotonic()
        async with working(store, f"{smsc.url}?window={WINDOW}"):
            while states(store)["submitted"] - before < expected:
                assert time.monotonic() < began + 300, states(store)
                await asyncio.sleep(0.02)
        tried = [entry for entry in smsc.submits() if entry["status"]]
    took = time.monotonic() - began
    if full:
        assert len({entry["destination"] for entry in tried}) == MESSAGES - expected
        # Each of them a few times, as its pause doubles: not in every second.
        assert len(tried) < (MESSAGES - expected) * (3 + took)
    return took


@pytest.mark.timeout(700)
async def test_one_full_handset_of_a_hundred_slows_nobody(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    none = await seconds(store, tmp_path / "none", 0)
    some = await seconds(store, tmp_path / "some", 100)
    print(f"{MESSAGES} messages: {none:.1f} s with no full handset, {some:.1f} s with one per cent")
    assert [record for record in caplog.records if record.message == "slowed down"] == []
    assert states(store)["queued"] == MESSAGES // 100
    # Half as long again, for the machine does other things meanwhile; it was forty times.
    assert some < 1.5 * none + 1


async def test_a_full_bind_is_slowed_down(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await accept(store, ((f"+3247{number:07}", f"message {number}") for number in range(200)))
    with start_smsc(tmp_path, magic="#queue-full:1") as smsc:
        async with working(store, f"{smsc.url}?window={WINDOW}"), asyncio.timeout(120):
            while not any(record.message == "slowed down" for record in caplog.records):
                await asyncio.sleep(0.02)
            # And all goes in the end.
            smsc.set(magic="")
            while states(store)["delivered"] < 200:
                await asyncio.sleep(0.05)
    slowed = [record for record in caplog.records if record.message == "slowed down"]
    assert {vars(record)["status"] for record in slowed} == {"0x00000014 message queue full"}
