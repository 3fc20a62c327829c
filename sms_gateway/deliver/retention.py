"""Erases history that has become too old."""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from ..moments import now
from ..store import Store, erase

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

#: Seconds between two looks.
_EVERY = 3600.0
#: Seconds between two transactions, in which everybody else gets to write.
_PAUSE = 0.05


async def keep_house(store: Store, history: int) -> None:
    """Erase what is older than `history` (milliseconds), about every hour, until cancelled."""
    while True:
        try:
            await erase_before(store, now() - history)
        except Exception as error:
            log.error("history not erased", extra={"error": type(error).__name__})
        # Several workers are not to come at once.
        await asyncio.sleep(_EVERY * random.uniform(0.9, 1.1))  # noqa: S311 - spread, not secrecy


async def erase_before(store: Store, before: int) -> tuple[int, int]:
    """Erase messages sent and received before a time; how many of each there were.

    It goes in small steps, as nobody can write to SQLite meanwhile.
    """
    sent = 0
    first = await asyncio.to_thread(_first, store, before)
    last = "" if first is None else first[:-1]  # sorts right before it
    while first is not None:
        erased = await _written(store, _messages(before, last))
        if not erased:
            break
        sent, last = sent + len(erased), erased[-1]
        await asyncio.sleep(_PAUSE)
    received = 0
    while count := await _written(store, lambda c: erase.delete_received(c, before=before)):
        received += count
        await asyncio.sleep(_PAUSE)
    await _written(store, lambda c: erase.delete_receipts(c, before=before))
    if sent or received:
        await asyncio.to_thread(store.scrub)
        log.info("history erased", extra={"sent": sent, "received": received})
    return sent, received


def _first(store: Store, before: int) -> str | None:
    with store.read() as connection:
        return erase.first_message(connection, before=before)


def _messages(before: int, last: str) -> Callable[[Connection], list[str]]:
    moment = now()
    return lambda c: erase.erase_messages(c, now=moment, before=before, after=last)


async def _written(store: Store, statement: Callable[[Connection], _Result]) -> _Result:
    def write() -> _Result:
        with store.write() as connection:
            return statement(connection)

    return await asyncio.to_thread(write)
