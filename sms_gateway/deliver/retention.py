"""Deletes old history, and removes old entries of the audit trail."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from ..backoff import spread
from ..log import log_error
from ..moments import now
from ..store import Store, audit, deletion, erase, periods, removal

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

#: Seconds between two runs.
_EVERY = 3600.0
_EVERY_DAY = 24 * _EVERY
#: The shortest pause between two transactions, in which others can write, seconds. After a deletion
#: the pause is half as long as that took.
_PAUSE = 0.002
#: How often a partition is made or dropped when others keep the tables locked, and the pause.
_TRIES, _TRY_PAUSE = 20, 1.0


async def keep_house(store: Store, history_days: int | None) -> None:
    """Delete what is older than `history_days`, about every hour, until cancelled.

    None keeps all messages but erased ones. This also erases what an interrupted deletion of an
    account has left, and on PostgreSQL makes the partitions of the time to come.
    """
    while True:
        pause = spread(_EVERY, 0.1)  # so that several workers do not work at the same time
        try:
            following = await keep_periods(store, periods.days_of(history_days))
            if following is not None:
                pause = min(pause, max(0.0, (following - now()) / 1_000))
            await finish_deletions(store)
            await delete_erased(store, now() - removal.ERASED_KEPT)
            if history_days is not None:
                await delete_before(store, now() - history_days * 86_400_000)
        except Exception as error:
            log_error(log, "history not deleted", error)
        await asyncio.sleep(pause)


async def keep_periods(store: Store, days: int) -> int | None:
    """Make the missing partitions, and begin the period whose time has come; when the next begins.

    `days`: the length of new periods.
    """

    def make_one(connection: Connection) -> bool:
        for each in periods.missing(connection, now=now(), days=days):
            periods.make(connection, each)
            return True
        return False

    while await _in_turn(store, make_one):
        pass
    return await _in_turn(store, lambda c: periods.enter(c, now()))


async def keep_trail(store: Store, kept: int) -> None:
    """Remove entries of the audit trail that are older than `kept` (milliseconds), about every
    day, until cancelled."""
    while True:
        try:
            await _written_on(store, partial(_prune, now() - kept))
        except Exception as error:
            log_error(log, "audit trail not shortened", error)
        await asyncio.sleep(spread(_EVERY_DAY, 0.1))


async def delete_before(store: Store, before: int) -> tuple[int, int]:
    """Delete messages sent and received before a time (milliseconds); returns how many of each.

    On PostgreSQL messages go with their period, when all of it is older. Messages with a delivery
    that may still change stay (see `removal.remove`).
    """
    ended = 0 if store.is_sqlite else await _end_periods(store, before)
    sent, last = 0, ""
    while ids := await _read(store, partial(removal.old, before=before, after=last)):
        sent, last = sent + await _removed(store, ids), ids[-1]
    received = await _written_on(store, lambda c: erase.delete_received(c, before=before))
    await _written(store, lambda c: erase.delete_receipts(c, before=before))
    if sent or received:
        await _scrub(store)
    if ended or sent or received:
        log.info("history deleted", extra={"sent": ended + sent, "received": received})
    return ended + sent, received


async def _end_periods(store: Store, before: int) -> int:
    """Drop the partitions of the periods that are over; returns how many messages they had."""
    sent = 0
    for old in await _read(store, lambda c: periods.over(c, before)):
        filled: int | None = -1
        while filled is not None:
            filled = await _written(store, partial(_fill, old, filled))
        quiet_since = now() - removal.QUIET_AFTER
        messages = await _in_turn(store, partial(_detach, old, quiet_since))
        if messages is None:
            break  # the oldest first
        sent += messages
    await _in_turn(store, periods.drop)
    return sent


def _fill(old: periods.Period, after: int, connection: Connection) -> int | None:
    return removal.fill_countries(connection, old, after)


def _detach(old: periods.Period, quiet_since: int, connection: Connection) -> int | None:
    return periods.detach(connection, old, quiet_since)


async def delete_erased(store: Store, before: int) -> int:
    """Delete the messages that were erased before a time (milliseconds); returns how many."""
    done, last = 0, (0, "")
    while rows := await _read(store, partial(removal.erased, before=before, after=last)):
        done, last = done + await _removed(store, [id for _, id in rows]), rows[-1]
    if done:
        log.info("erased messages deleted", extra={"sent": done})
    return done


async def _removed(store: Store, ids: list[str]) -> int:
    moment = now()
    began = time.monotonic()
    done = await _written(store, lambda c: removal.remove(c, ids, moment))
    await asyncio.sleep(max(_PAUSE, (time.monotonic() - began) / 2))
    return done


async def finish_deletions(store: Store) -> None:
    """Erase the remaining history of deleted accounts."""
    for account_id in await _read(store, lambda c: deletion.unfinished(c, now())):
        unfinished = deletion.Deletion(account_id)
        for step in unfinished.steps(now()):
            await _written(store, step)
            await asyncio.sleep(_PAUSE)
        if unfinished.sent or unfinished.received:
            await _scrub(store)
            log.info(
                "history of a deleted key erased",
                extra={"sent": unfinished.sent, "received": unfinished.received},
            )


async def _scrub(store: Store) -> None:
    if not await asyncio.to_thread(store.scrub):
        log.warning("what was erased is in the write-ahead log until it is written anew")


def _prune(before: int, connection: Connection) -> int:
    return audit.prune(connection, before=before, now=now())


async def _written_on(store: Store, statement: Callable[[Connection], int]) -> int:
    """Repeat a statement until it returns 0; returns the sum."""
    done = 0
    while count := await _written(store, statement):
        done += count
        await asyncio.sleep(_PAUSE)
    return done


async def _read(store: Store, statement: Callable[[Connection], _Result]) -> _Result:
    def read() -> _Result:
        with store.read() as connection:
            return statement(connection)

    return await asyncio.to_thread(read)


async def _written(store: Store, statement: Callable[[Connection], _Result]) -> _Result:
    def write() -> _Result:
        with store.write() as connection:
            return statement(connection)

    return await asyncio.to_thread(write)


async def _in_turn(store: Store, statement: Callable[[Connection], _Result]) -> _Result | None:
    """Change partitions, if no other process does so now. Others wait for at most a moment."""

    def change() -> _Result | None:
        # Counting a period may take minutes.
        with store.unhurried() as connection, connection.begin():
            if not periods.has_turn(connection):
                return None
            periods.wait_briefly(connection)
            return statement(connection)

    if store.is_sqlite:
        return None
    for left in range(_TRIES, -1, -1):
        try:
            return await asyncio.to_thread(change)
        except store.unavailable:
            if not left:
                raise
            await asyncio.sleep(_TRY_PAUSE)
    return None
