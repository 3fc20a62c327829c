"""SOAP in, a durable store, SMPP out to a foreign SMSC, receipts back; processes killed on the way.

Four books are compared after each run: what clients were told, what the store says, what the SMSC
saw, and what receipts said.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from support import load, running
from support.in_process import states
from support.smsc import Smsc, start_smsc

from sms_gateway.store import Store, tables

pytestmark = pytest.mark.long

MESSAGES = int(os.environ.get("SENDSMSNOW_TEST_MESSAGES", "10000"))


def numbered(count: int, start: int = 0) -> Iterator[tuple[str, str]]:
    for n in range(start, start + count):
        yield f"+32494{n % 1_000_000:06}", f"message {n}"


def stored_texts(store: Store) -> set[str]:
    with store.read() as connection:
        return set(connection.execute(select(tables.message.c.text)).scalars())


def finished(store: Store, *open_states: str) -> bool:
    return not sum(states(store)[state] for state in open_states)


@pytest.fixture
def smsc(tmp_path: Path) -> Iterator[Smsc]:
    with start_smsc(tmp_path) as started:
        yield started


@pytest.mark.timeout(1_200)
def test_many_messages_are_each_submitted_once_and_have_their_receipts(
    tmp_path: Path, database: str, store: Store, smsc: Smsc
) -> None:
    upstream = f"{smsc.url}?window=100"
    with running.serve(tmp_path, database, upstream=upstream) as gateway:
        key = gateway.create_key("--rate", "none")
        workers = [] if store.is_sqlite else [_second_worker(gateway, store)]
        began = time.monotonic()
        book = asyncio.run(load.send_by_soap(gateway.port, key, numbered(MESSAGES)))
        accepted_after = time.monotonic() - began
        assert len(book.accepted) == MESSAGES
        assert not book.refused
        assert not book.unanswered
        running.wait_for(lambda: states(store)["delivered"] == MESSAGES, 600)
        print(
            f"{MESSAGES} messages: accepted in {accepted_after:.1f} s, "
            f"delivered in {time.monotonic() - began:.1f} s"
        )
        for worker in workers:
            worker.terminate()
            assert worker.wait(60) == 0
    submitted = Counter(entry["text"] for entry in smsc.submits())
    assert submitted.keys() == book.accepted.keys() == stored_texts(store)
    assert set(submitted.values()) == {1}
    assert states(store) == {"delivered": MESSAGES}


def _second_worker(gateway: running.Running, store: Store) -> "subprocess.Popen[bytes]":
    """One more worker beside that of `serve`, once both are at work."""
    started = subprocess.Popen(
        [sys.executable, "-m", "sms_gateway", "worker"],
        env=gateway.env,
        stderr=subprocess.DEVNULL,
    )
    running.wait_for(lambda: enrolled(store) == 2, 90)
    return started


def enrolled(store: Store) -> int:
    with store.read() as connection:
        query = select(func.count()).select_from(tables.worker)
        workers: int = connection.execute(query).scalar_one()
    return workers


@pytest.mark.timeout(1_200)
def test_no_acknowledged_message_is_lost_when_processes_are_killed(
    tmp_path: Path, database: str, store: Store, smsc: Smsc
) -> None:
    window, count = 20, MESSAGES // 5
    with running.serve(
        tmp_path, database, upstream=f"{smsc.url}?window={window}", lease="2s"
    ) as gateway:
        key = gateway.create_key("--rate", "none")
        asyncio.run(_send_and_kill(gateway, key, count, book := load.Book()))
        # Uncertain is where what was under way at a kill ends, until its receipt tells.
        running.wait_for(lambda: finished(store, "queued", "submitting", "submitted"), 600)
    acknowledged = set(book.accepted)
    assert len(book) == count
    assert acknowledged <= stored_texts(store)
    # Whatever else is stored was cut off before its answer reached the client.
    assert stored_texts(store) - acknowledged <= set(book.unanswered)
    submitted = Counter(entry["text"] for entry in smsc.submits())
    # The route holds what is uncertain: nothing is ever sent twice.
    assert set(submitted.values()) == {1}
    final = states(store)
    assert set(final) <= {"delivered", "uncertain"}
    assert final["uncertain"] <= KILLS_OF_WORKERS * window
    missing = stored_texts(store) - submitted.keys()
    assert len(missing) <= final["uncertain"]  # claimed by a worker that died before it wrote them
    print(f"{count} messages, {len(acknowledged)} acknowledged, {dict(final)}")


KILLS_OF_WORKERS = 2


async def _send_and_kill(gateway: running.Running, key: str, count: int, book: load.Book) -> None:
    sending = asyncio.create_task(
        load.send_by_soap(
            gateway.port, key, numbered(count), connections=8, book=book, persistent=True
        )
    )
    for share, command in ((0.2, "worker"), (0.4, "web"), (0.6, "worker"), (0.8, "web")):
        while len(book) < share * count and not sending.done():
            await asyncio.sleep(0.005)
        killed = await asyncio.to_thread(gateway.kill, command)
        await asyncio.to_thread(gateway.replaced, command, killed)
    await sending


def test_what_waits_when_everything_stops_is_sent_after_the_next_start(
    tmp_path: Path, database: str, store: Store, smsc: Smsc
) -> None:
    # A carrier that lets nobody in: everything stays queued.
    smsc.set(bind_status=0x0D)
    upstream = f"{smsc.url}?reconnect_delay=0.1&reconnect_delay_max=0.2&locked_out_delay=0.2"
    with running.serve(tmp_path, database, upstream=upstream) as gateway:
        key = gateway.create_key("--rate", "none")
        book = asyncio.run(load.send_by_soap(gateway.port, key, numbered(50)))
        assert len(book.accepted) == 50
    assert states(store) == {"queued": 50}
    smsc.set(bind_status=0)
    with running.serve(tmp_path, database, upstream=upstream) as gateway:
        running.wait_for(lambda: states(store)["delivered"] == 50, 90)
        shown = gateway.run("message", "show", next(iter(book.accepted.values())))
    for step in ("accepted", "claimed", "submitted", "receipt", "delivered"):
        assert step in shown
    assert len(smsc.submits()) == 50
