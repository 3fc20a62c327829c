"""Erases old history, and removes old entries of the audit trail."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from ..backoff import spread
from ..log import log_error
from ..moments import now
from ..store import Store, audit, deletion, erase

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

#: Seconds between two runs.
_EVERY = 3600.0
_EVERY_DAY = 24 * _EVERY
#: The pause between two transactions, in which others can write, seconds.
_PAUSE = 0.05


async def keep_house(store: Store, history: int | None) -> None:
    """Erase messages older than `history` (milliseconds), about every hour, until cancelled.

    None keeps all messages. In either case this erases what an interrupted deletion of an account
    has left.
    """
    while True:
        try:
            await finish_deletions(store)
            if history is not None:
                await erase_before(store, now() - history)
        except Exception as error:
            log_error(log, "history not erased", error)
        # Spread, so that several workers do not erase at the same time.
        await asyncio.sleep(spread(_EVERY, 0.1))


async def keep_trail(store: Store, kept: int) -> None:
    """Remove entries of the audit trail that are older than `kept` (milliseconds), about every
    day, until cancelled."""
    while True:
        try:
            await _written_on(store, partial(_prune, now() - kept))
        except Exception as error:
            log_error(log, "audit trail not shortened", error)
        await asyncio.sleep(spread(_EVERY_DAY, 0.1))


async def erase_before(store: Store, before: int) -> tuple[int, int]:
    """Erase messages sent and received before a time; returns how many of each.

    The steps are small, as nobody else can write to SQLite during one.
    """
    sent = 0
    first = await asyncio.to_thread(_first, store, before)
    last = "" if first is None else first[:-1]  # sorts before all ids from `first` on
    while first is not None:
        erased = await _written(store, _messages(before, last))
        if not erased:
            break
        sent, last = sent + len(erased), erased[-1]
        await asyncio.sleep(_PAUSE)
    received = await _written_on(store, lambda c: erase.delete_received(c, before=before))
    await _written(store, lambda c: erase.delete_receipts(c, before=before))
    if sent or received:
        await _scrub(store)
        log.info("history erased", extra={"sent": sent, "received": received})
    return sent, received


async def finish_deletions(store: Store) -> None:
    """Erase the remaining history of deleted accounts."""
    for account_id in await asyncio.to_thread(_unfinished, store):
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


def _unfinished(store: Store) -> list[int]:
    with store.read() as connection:
        return deletion.unfinished(connection, now())


def _first(store: Store, before: int) -> str | None:
    with store.read() as connection:
        return erase.first_message(connection, before=before)


def _messages(before: int, last: str) -> Callable[[Connection], list[str]]:
    moment = now()
    return lambda c: erase.erase_messages(c, now=moment, before=before, after=last)


def _prune(before: int, connection: Connection) -> int:
    return audit.prune(connection, before=before, now=now())


async def _written_on(store: Store, statement: Callable[[Connection], int]) -> int:
    """Repeat a statement until it returns 0; returns the sum."""
    done = 0
    while count := await _written(store, statement):
        done += count
        await asyncio.sleep(_PAUSE)
    return done


async def _written(store: Store, statement: Callable[[Connection], _Result]) -> _Result:
    def write() -> _Result:
        with store.write() as connection:
            return statement(connection)

    return await asyncio.to_thread(write)
