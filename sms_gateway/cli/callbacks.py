"""Defines the commands about events, and the option `--callback` of `key set`."""

import json
import time
from pathlib import Path
from typing import Any

import click

from .. import database
from ..accounts import Account
from ..callbacks.networks import check_url, networks, ports
from ..callbacks.signature import new_secret
from ..errors import UnavailableError
from ..moments import iso, now
from ..settings import Settings
from ..store import Store, accounts, audit, events, workers
from ..store.audit import Action
from .options import CONFIG, settings_of


def callback_options(url: str, account: Account | None, settings: Settings) -> dict[str, Any]:
    """The columns that `--callback URL|none` changes, with a new secret for a new URL.

    The present URL keeps its secret, and its pause ends.
    """
    if url.lower() == "none":
        return {"callback_url": "", "callback_secret": "", **events.RESUMED}
    try:
        allowed = networks(settings.callback_allow_private)
        check_url(url, allowed, ports(settings.callback_ports))
    except ValueError as error:
        raise click.UsageError(f"--callback: {error}") from None
    if account is not None and account.callback_url == url:
        return dict(events.RESUMED)
    return {"callback_url": url, "callback_secret": new_secret(), **events.RESUMED}


#: How long to wait for a worker to read the callbacks, seconds. It reads them once a second.
_LEARNS_WITHIN = 10.0


def wait_for_workers(store: Store) -> None:
    """Wait until each worker knows the committed callbacks, so that no later event is lost.

    Warns of a worker that takes more than _LEARNS_WITHIN. A worker reads the callbacks with each
    heartbeat. The first new heartbeat may have begun before the commit; the second has not.
    """
    deadline = time.monotonic() + _LEARNS_WITHIN
    seen: dict[int, set[int]] = {}
    while True:
        with store.read() as connection:
            beats = workers.beats(connection, now=now())
        for worker, beat in beats.items():
            seen.setdefault(worker, set()).add(beat)
        # The first value of a worker is from before, so it takes two more.
        late = [worker for worker in beats if len(seen[worker]) <= 2]
        if not late:
            return
        if time.monotonic() > deadline:
            names = ", ".join(map(str, late))
            click.echo(f"worker {names} is late: events of the next seconds may be lost", err=True)
            return
        time.sleep(0.1)


@click.group()
def event() -> None:
    """Events that callbacks have not taken yet."""


@event.command("list")
@click.option("--key", "name", metavar="NAME", help="Those of this key only.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print everything, as JSON.")
@CONFIG
@click.pass_context
def list_events(
    ctx: click.Context, /, name: str | None, limit: int, config: Path | None, as_json: bool
) -> None:
    """List the events that wait or are parked, oldest first.

    An event that was refused for a day is parked: nothing more is done with it until it is
    replayed. After 30 days it is forgotten.
    """
    with database.opened(settings_of(ctx, config)) as store, store.read() as connection:
        rows = events.listed(connection, name, most=limit)
    for row in rows:
        facts = _facts(row)
        line = "  ".join(str(value) for value in facts.values() if value not in ("", None))
        click.echo(json.dumps(facts) if as_json else line)


@event.command()
@click.argument("id", required=False)
@click.option("--key", "name", metavar="NAME", help="Those of this key only.")
@CONFIG
@click.pass_context
def replay(ctx: click.Context, /, id: str | None, name: str | None, config: Path | None) -> None:
    """Send parked events again: the one with ID, those of a key, or all.

    A callback that was paused is tried again, too.
    """
    with database.opened(settings_of(ctx, config)) as store, store.write() as connection:
        replayed = events.replay(connection, now(), id=id, name=name)
        if replayed:
            account = None if name is None else accounts.by_name(connection, name)
            facts = {"event": id, "events": replayed}
            audit.record(connection, Action.EVENT_REPLAY, account, facts, now=now())
    if id is not None and not replayed:
        raise UnavailableError(f"there is no parked event {id!r}; sendsmsnow event list shows all")
    click.echo(f"{replayed} replayed")


def _facts(row: Any) -> dict[str, Any]:
    state = "parked" if row.due_at is None else f"due {iso(row.due_at, 'seconds')}"
    return {
        "id": row.id,
        "account": row.name,
        "type": "message.received" if row.received_id is not None else f"delivery.{row.state}",
        "message": row.message_id or row.received_id,
        "happened": iso(row.happened_at, "seconds"),
        "state": state,
        "attempts": row.attempts,
        "failure": row.failure,
    }
