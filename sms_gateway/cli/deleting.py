"""Erases in small steps, and waits for workers, for the commands that delete and forget."""

import time
from collections.abc import Callable, Iterable, Iterator

import click
from sqlalchemy import Connection

from ..errors import UnavailableError
from ..moments import now
from ..store import Store, deletion

#: The pause between two transactions, in which others can write, seconds.
_PAUSE = 0.02
#: How many times to check deliveries that workers are submitting, and the seconds in between.
_LOOKS, _LOOK_PAUSE = 30, 1.0


def erase_closed(store: Store, account_id: int) -> deletion.Deletion:
    """Erase the history of a closed account, also from the free pages."""
    ending = deletion.Deletion(account_id)
    for _ in looks():
        run_steps(store, ending.steps(now()))
        if not ending.submitting:
            break
    scrub(store)
    if ending.submitting:
        raise still_submitting(ending.submitting)
    return ending


def run_steps(store: Store, steps: Iterable[Callable[[Connection], None]]) -> None:
    """Run each step in a transaction of its own, with pauses in which others can write."""
    for step in steps:
        with store.write() as connection:
            step(connection)
        time.sleep(_PAUSE)


def looks() -> Iterator[None]:
    """Yield for each try, with pauses in which workers can finish."""
    for number in range(_LOOKS):
        if number:
            time.sleep(_LOOK_PAUSE)
        yield


def still_submitting(messages: int) -> UnavailableError:
    """The error of a command for which workers took too long."""
    return UnavailableError(
        f"a worker is still handing {messages} messages to a carrier, which keep their text until "
        "then; run the command again when it is done (or start a worker, if none runs)"
    )


def scrub(store: Store) -> None:
    """Remove erased data from the free pages and the log; warn when a reader prevents it."""
    if not store.scrub():
        click.echo(
            "sendsmsnow: somebody reads the database, so what was erased is still in its -wal file;"
            " run the command again later",
            err=True,
        )
