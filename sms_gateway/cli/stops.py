"""Defines the commands about recipients who have asked to stop."""

import json
from pathlib import Path

import click

from .. import database
from ..errors import UnavailableError
from ..moments import iso, now
from ..store import accounts, audit, stops
from ..store.audit import Action
from .options import CONFIG, e164, settings_of


@click.group()
def stop() -> None:
    """Recipients who have asked a key to stop."""


@stop.command("list")
@click.option("--key", "name", metavar="NAME", help="Those of this key only.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@CONFIG
@click.pass_context
def list_stops(ctx: click.Context, /, name: str | None, config: Path | None, as_json: bool) -> None:
    """List who has asked which key to stop, and when."""
    with database.opened(settings_of(ctx, config)) as store, store.read() as connection:
        rows = stops.listed(connection, name)
    for row in rows:
        at = iso(row.stopped_at, "seconds")
        facts = {"key": row.account, "recipient": row.recipient, "stopped_at": at}
        click.echo(json.dumps(facts) if as_json else "  ".join(facts.values()))


@stop.command()
@click.argument("number")
@click.option("--key", "name", metavar="NAME", required=True, help="The key that was stopped.")
@CONFIG
@click.pass_context
def lift(ctx: click.Context, /, number: str, name: str, config: Path | None) -> None:
    """Let a key send to NUMBER again, as START from the number does.

    Only when its owner wishes so: the law is on the side of STOP.
    """
    settings = settings_of(ctx, config)
    recipient = e164(number, settings.default_region)
    with database.opened(settings) as store, store.write() as connection:
        account = accounts.by_name(connection, name)
        if account is None:
            raise UnavailableError(f"there is no key named {name!r}; sendsmsnow key list shows all")
        if not stops.lift(connection, account.id, recipient.number):
            raise UnavailableError("this number has not asked this key to stop")
        facts = {"number": audit.masked(recipient.number)}
        audit.record(connection, Action.STOP_LIFT, account, facts, now=now())
    click.echo(f"{account.name} may send to {recipient.number} again")
