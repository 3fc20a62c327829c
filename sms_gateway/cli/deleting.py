"""What commands that delete and erase have in common: they wait for workers, and go in steps."""

import time
from collections.abc import Iterator

import click

from ..errors import UnavailableError
from ..moments import now
from ..store import Store, deletion

#: Seconds between two transactions, in which everybody else gets to write.
_PAUSE = 0.02
#: How often what a worker is handing to a carrier is looked at again, and the seconds between.
_LOOKS, _LOOK_PAUSE = 30, 1.0


def erase_closed(store: Store, account_id: int) -> deletion.Deletion:
    """Erase the history of a closed account, and take it out of the free pages."""
    ending = deletion.Deletion(account_id)
    for _ in looks():
        for step in ending.steps(now()):
            with store.write() as connection:
                step(connection)
            time.sleep(_PAUSE)
        if not ending.submitting:
            break
    scrub(store)
    if ending.submitting:
        raise still_submitting(ending.submitting)
    return ending


def looks() -> Iterator[None]:
    """Go on as long as it is worth waiting for workers."""
    for number in range(_LOOKS):
        if number:
            time.sleep(_LOOK_PAUSE)
        yield


def still_submitting(messages: int) -> UnavailableError:
    """The end of a command for which workers took too long."""
    return UnavailableError(
        f"a worker is still handing {messages} messages to a carrier, which keep their text until "
        "then; run the command again when it is done (or start a worker, if none runs)"
    )


def scrub(store: Store) -> None:
    """Take what was erased out of the free pages and the log; say so when a reader prevents it."""
    if not store.scrub():
        click.echo(
            "sendsmsnow: somebody reads the database, so what was erased is still in its -wal file;"
            " run the command again later",
            err=True,
        )
