"""Defines the commands about encryption at rest."""

import json
import time
from pathlib import Path
from typing import Any

import click

from .. import database
from ..errors import UnavailableError
from ..moments import now
from ..store import Store, audit
from ..store import encryption as statements
from ..store.audit import Action
from ..store.sealed import Seal, seal_of
from .options import CONFIG, settings_of

# The pause between two transactions, in which others can write, seconds.
_PAUSE = 0.02


@click.group()
def encryption() -> None:
    """Texts and numbers in the database, and the keys that encrypt them."""


@encryption.command()
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@CONFIG
@click.pass_context
def status(ctx: click.Context, /, config: Path | None, as_json: bool) -> None:
    """Show how many values are encrypted by which key.

    It reads all of the database.
    """
    with database.opened(settings_of(ctx, config)) as store:
        seal = seal_of(store.engine.dialect)
        names = [] if seal is None else seal.names
        with store.read() as connection:
            counts = list(statements.counts(connection, names))
    encrypts = "" if seal is None else seal.writes
    if as_json:
        values = [each._asdict() for each in counts]
        click.echo(json.dumps({"encrypts": encrypts, "keys": names, "values": values}))
        return
    for name in names:
        click.echo(f"key {name}" + (": encrypts" if name == encrypts else ""))
    if not encrypts:
        click.echo("new values are stored in clear")
    for each in counts:
        click.echo(f"{each.column:24}  {each.key or 'in clear':8}  {each.values:>10}")


@encryption.command()
@CONFIG
@click.pass_context
def rekey(ctx: click.Context, /, config: Path | None) -> None:
    """Encrypt all values by the first key of encryption_key_file.

    Those in clear as well as those of other keys; where the file begins with `none` all are stored
    in clear. The gateway goes on meanwhile. Ctrl-C ends it, and another run goes on from there.
    """
    with database.opened(settings_of(ctx, config)) as store:
        seal = seal_of(store.engine.dialect)
        if seal is None:
            raise UnavailableError("encryption_key_file is not set: there is nothing to do")
        unreadable = 0
        changed = 1
        # Until a run changes nothing: a process that began before may still write with other keys.
        while changed:
            changed = unreadable = 0
            for table in statements.TABLES:
                in_it = _rekey(store, seal, table)
                changed, unreadable = changed + in_it[0], unreadable + in_it[1]
        if unreadable:
            raise UnavailableError(
                f"{unreadable} rows have values that no key of the file opens; they stay as they "
                "are, and the log of the gateway names their columns"
            )
        with store.write() as connection:
            statements.forget_keys(connection, but=seal.writes)
            facts = {"key": seal.writes or "none"}
            audit.record(connection, Action.ENCRYPTION_REKEY, None, facts, now=now())
        store.scrub()
    click.echo(f"all values are of the key {seal.writes}" if seal.writes else "all are in clear")


def _rekey(store: Store, seal: Seal, table: Any) -> tuple[int, int]:
    """Re-encrypt a table; returns how many rows changed, and how many cannot be read."""
    last = None
    changed = unreadable = 0
    while True:
        with store.write() as connection:
            batch = statements.rekey(connection, seal, table, last)
        changed += batch.changed
        unreadable += batch.unreadable
        if batch.last is None:
            break
        last = batch.last
        if batch.changed:
            time.sleep(_PAUSE)
    if changed or unreadable:
        what = f"{table.name}: {changed} rows changed"
        click.echo(what + (f", {unreadable} cannot be read" if unreadable else ""), err=True)
    return changed, unreadable
