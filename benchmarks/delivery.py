"""What a message costs a worker: claimed, submitted over SMPP, its receipt recorded."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import Submission
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.store import Store, tables
from tests.support import npm, smsc

from . import ours
from .client import RECIPIENTS
from .processes import Missing, cpu_seconds, started, wait_for
from .tell import tell

#: Parts that the carrier is asked to hold unanswered.
WINDOW = 200


@dataclass(slots=True)
class Delivery:
    """One entry for each round."""

    #: CPU of the worker, microseconds per message.
    cpu: list[float] = field(default_factory=list)
    #: CPU of the SMSC beside it.
    smsc_cpu: list[float] = field(default_factory=list)
    #: Messages per second, from the first submit to the last receipt that is recorded.
    per_second: list[float] = field(default_factory=list)
    messages: int = 0
    #: Messages submitted twice or not at all.
    wrong: int = 0


def measure(folder: Path, *, rounds: int, messages: int) -> Delivery:
    """Rounds of so many messages each, on a fresh SQLite database, to node-smpp on this machine."""
    if npm.installed(Path(smsc.__file__).parent / "smsc") is None:
        raise Missing("the npm registry does not answer; npm install smpp")
    folder.mkdir()
    measured = Delivery(messages=messages)
    for number in range(rounds):
        _round(folder / str(number), measured)
        tell(
            f"{number + 1}/{rounds}  worker: {measured.cpu[-1]:.0f} µs, "
            f"{measured.per_second[-1]:.0f}/s; SMSC {measured.smsc_cpu[-1]:.0f} µs"
        )
    return measured


def _round(folder: Path, measured: Delivery) -> None:
    folder.mkdir()
    url = ours.sqlite_url(folder)
    (key,) = ours.prepared(url)
    asyncio.run(accept(url, key, measured.messages))
    store = Store(url)
    # It lets nobody in until the worker has started.
    # mypy takes the folder smsc for this module.
    with smsc.start_smsc(folder, bind_status=0x0D) as carrier:  # type: ignore[attr-defined]
        options = (
            f"window={WINDOW}&reconnect_delay=0.1&reconnect_delay_max=0.1&locked_out_delay=0.1"
        )
        env = ours.environment(database_url=url, upstream=f"{carrier.url}?{options}")
        with started(
            ours.command("worker"),
            folder / "worker.log",
            env=env,
            ready=lambda: bool(carrier.journal("bind")),
        ) as process:
            before = sum(cpu_seconds([process.pid])), sum(cpu_seconds([carrier.process.pid]))
            carrier.set(bind_status=0)
            wait_for(lambda: delivered(store) == measured.messages, 300, every=0.1)
            ended = time.time()
            after = sum(cpu_seconds([process.pid])), sum(cpu_seconds([carrier.process.pid]))
        submits = carrier.submits()
    store.close()
    cpu, smsc_cpu = ((b - a) * 1e6 / measured.messages for a, b in zip(before, after, strict=True))
    measured.cpu.append(cpu)
    measured.smsc_cpu.append(smsc_cpu)
    measured.per_second.append(measured.messages / (ended - submits[0]["at"] / 1_000))
    texts = {json.dumps([submit["destination"], submit["text"]]) for submit in submits}
    measured.wrong += abs(len(submits) - len(texts)) + abs(len(texts) - measured.messages)


async def accept(url: str, key: str, messages: int) -> None:
    """Put so many messages into the queue."""
    store = Store(url)
    gateway = Gateway(store, Routes((Route(prefix="", upstreams=("default",)),)))
    await gateway.start()
    for first in range(0, messages, 500):
        replies = await asyncio.gather(
            *(
                gateway.sendsms(
                    Submission(RECIPIENTS[n % len(RECIPIENTS)], f"Hello number {n}", key)
                )
                for n in range(first, min(first + 500, messages))
            )
        )
        assert all(reply.error == 0 for reply in replies)
    await gateway.aclose()
    store.close()


def delivered(store: Store) -> int:
    with store.read() as connection:
        query = select(func.count()).where(tables.delivery.c.state == "delivered")
        count: int = connection.execute(query).scalar_one()
        return count
