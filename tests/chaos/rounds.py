"""A round: messages, faults and kills all at once, then quiet, then the audit."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from support import load
from support.difficult import messages
from support.four_books import Audit, audit

from sms_gateway.sms.message import State
from sms_gateway.store import tables

from .faults import possible
from .parts import kill
from .scene import Scene, scene

#: How many messages come from clients that send each once, whatever becomes of the request, and
#: how many by mail; the others repeat a request until it is answered.
_IMPATIENT, _MAILED = 0.1, 0.05
#: How long everything may take to come to an end once there are no faults any more. Seconds.
_PATIENCE = 300.0
#: Then receipts of unknown name have waited long enough to be taken for answers, and after a few
#: times as much everything that was put off is due. Milliseconds of the gateway's clock.
_LATER = 90_000
_UNDER_WAY = (State.SUBMITTING, State.SUBMITTED)


async def chaos(
    *,
    database: str,
    messages: int,
    kills: int,
    seed: int,
    rounds: int,
    pace: float,
    tell: Callable[[str], None],
) -> bool:
    """Run so many rounds, which share messages and kills. `pace`: seconds between two kills.

    Tells what was found after each round; returns whether all books agree.
    """
    chance = random.Random(seed)
    async with scene(database, chance) as stage:
        if not stage.disk.is_small:
            tell("disk: cannot mount a small file system here, so no disk fills up")
        books = [load.Book(), load.Book(), load.Book()]
        killed: Counter[str] = Counter()
        happened: Counter[str] = Counter()
        good = True
        for number in range(rounds):
            began = time.monotonic()
            share = messages // rounds
            deaths = kills * (number + 1) // rounds - kills * number // rounds
            await _round(
                stage, chance, books, number * share, share, deaths, pace, killed, happened
            )
            calm = time.monotonic()
            found = await _settled(stage, books)
            good = good and found.is_good
            tell(
                f"\n-- {database}, seed {seed}, after round {number + 1} of {rounds}: "
                f"{sum(map(len, books))} messages, {killed.total()} kills"
                f" ({calm - began:.0f} s, and {time.monotonic() - calm:.0f} s until all was quiet)"
            )
            tell(f"killed                {_counts(killed)}")
            tell(f"other faults          {_counts(happened)}")
            tell(f"requests repeated     {sum(book.repeated for book in books)}")
            tell(str(found))
    for complaint in stage.complaints:
        tell(complaint)
    good = good and not stage.complaints
    if good:
        stage.remove()
    else:
        tell(f"what was left is in {stage.folder}")
    return good


async def _round(
    stage: Scene,
    chance: random.Random,
    books: list[load.Book],
    start: int,
    count: int,
    deaths: int,
    pace: float,
    killed: Counter[str],
    happened: Counter[str],
) -> None:
    work = list(messages(chance, start, count))
    once, mailed = int(count * _IMPATIENT), int(count * (_IMPATIENT + _MAILED))
    rate = count / (deaths * pace)
    before = sum(map(len, books))
    sending = [
        asyncio.create_task(
            load.send_by_soap(
                stage.port,
                stage.apikey,
                share,
                connections=clients,
                book=book,
                persistent=True,
                repeat=repeat,
                rate=rate * len(share) / count,
            )
        )
        for share, clients, book, repeat in (
            (work[mailed:], 24, books[0], True),
            (work[:once], 8, books[1], False),
        )
    ]
    sending.append(
        asyncio.create_task(
            load.send_by_mail(
                stage.mail_port,
                stage.mail_address,
                work[once:mailed],
                connections=4,
                book=books[2],
                rate=rate * _MAILED,
            )
        )
    )
    faults: list[asyncio.Task[None]] = []
    at = sorted(
        [(chance.random(), True) for _ in range(deaths)]
        + [(chance.random(), False) for _ in range(deaths // 2)]
    )
    for position, is_kill in at:
        while sum(map(len, books)) - before < position * count and not _ended(sending):
            stage.check()
            await asyncio.sleep(0.02)
        if is_kill:
            killed[await _kill(stage, chance)] += 1
        else:
            kinds, weights = possible(stage)
            (fault,) = chance.choices(kinds, weights)
            happened[fault.__name__] += 1
            faults.append(asyncio.create_task(fault(stage, random.Random(chance.random()))))
    await asyncio.gather(*sending)
    await asyncio.gather(*faults)


def _ended(tasks: list[asyncio.Task[load.Book]]) -> bool:
    return all(task.done() for task in tasks)


async def _kill(stage: Scene, chance: random.Random) -> str:
    while not (victims := stage.victims()):
        stage.check()
        await asyncio.sleep(0.02)
    name = chance.choice(sorted(victims))
    kill(*victims[name])
    # A moment in which the world notices.
    await asyncio.sleep(0.2)
    return name


async def _settled(stage: Scene, books: list[load.Book]) -> Audit:
    """The audit once it finds nothing stuck, or after a while as it is."""
    journals = [carrier.folder / "smsc.jsonl" for carrier in stage.carriers]
    deadline = time.monotonic() + _PATIENCE
    stage.set_clock(0)
    while True:
        stage.pass_time(_LATER)
        await _quiet(stage, deadline)
        found = await asyncio.to_thread(audit, books, stage.store, journals)
        if not found.stuck or time.monotonic() > deadline:
            return found


async def _quiet(stage: Scene, deadline: float) -> None:
    """Returns once nothing happens any more, or when it is too late for that. What is queued may
    be waiting for its time."""
    before: Counter[str] | None = None
    while time.monotonic() < deadline:
        await asyncio.sleep(1.5)
        now = await asyncio.to_thread(_states, stage)
        if now is not None and now == before and not sum(now[state] for state in _UNDER_WAY):
            return
        before = now


def _states(stage: Scene) -> Counter[str] | None:
    """How many deliveries are in which state; None while the database is away."""
    state = tables.delivery.c.state
    try:
        with stage.store.read() as connection:
            rows = connection.execute(select(state, func.count()).group_by(state))
            return Counter({row[0]: row[1] for row in rows})
    except OperationalError:
        return None


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items()))
