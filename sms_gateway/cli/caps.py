"""Defines the commands that list counters and reached caps, and lift caps."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

from .. import database
from ..accounts import Account
from ..caps import RANGE_DIGITS, Cap, Counts, OperatorCaps, Period
from ..errors import UnavailableError
from ..moments import iso, now
from ..settings import Settings
from ..store import accounts, audit, counters
from ..store.audit import Action
from .options import CONFIG, e164, settings_of


@click.group()
def cap() -> None:
    """Caps: the most parts for a key, a number, a prefix, or in all."""


@cap.command("list")
@click.option("--all", "every", is_flag=True, help="Also numbers whose cap was not reached.")
@click.option("--refusals", is_flag=True, help="How often each kind of cap has refused, ever.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, one object a line.")
@CONFIG
@click.pass_context
def list_caps(
    ctx: click.Context, /, every: bool, refusals: bool, config: Path | None, as_json: bool
) -> None:
    """List what is counted at the moment, with the caps, and which of these were reached.

    Numbers and ranges are listed once their cap was reached.
    """
    settings = settings_of(ctx, config)
    with database.opened(settings) as store, store.read() as connection:
        found = (
            list(_refusals(connection))
            if refusals
            else list(_counted(connection, settings.caps(), every))
        )
    for facts in found:
        line = "  ".join(f"{name}={value}" for name, value in facts.items() if value is not None)
        click.echo(json.dumps(facts) if as_json else line)


def _refusals(connection: Connection) -> Iterator[dict[str, Any]]:
    for counts, (times, parts) in counters.refusals(connection).items():
        yield {"counts": counts.value, "refusals": times, "refused_parts": parts}


def _counted(connection: Connection, caps: OperatorCaps, every: bool) -> Iterator[dict[str, Any]]:
    by_id = {account.id: account for account in accounts.everyone(connection)}
    for row in counters.listed(connection, now(), every=every):
        word, _, name = row.scope.partition(" ")
        account = by_id.get(int(name)) if word == Counts.KEY else None
        period = Period(row.period)
        limit = _limit(Counts(word), name, period, account, caps)
        yield {
            "counts": word,
            "name": account.name if account is not None else name or None,
            "parts": row.parts,
            "cap": None if limit is None else str(Cap(limit, period)),
            "since": iso(row.start, "seconds"),
            "until": iso(period.end(row.start), "seconds"),
            "refusals": row.refusals,
            "reached_at": row.tripped_at and iso(row.tripped_at, "seconds"),
            "lifted_at": row.lifted_at and iso(row.lifted_at, "seconds"),
        }


def _limit(
    word: Counts, name: str, period: Period, account: Account | None, caps: OperatorCaps
) -> int | None:
    """How many parts are allowed now; None if there is no cap any more."""
    found: list[Cap | None] = {
        Counts.KEY: [
            *((account.caps or ()) if account is not None else ()),
            caps.free_key if account is not None and account.free else None,
        ],
        Counts.TOTAL: [caps.total],
        Counts.PREFIX: [caps.prefixes.get(name)],
        Counts.NUMBER: [caps.number],
        Counts.RANGE: [caps.range],
        Counts.FREE_NUMBER: [caps.free_number],
        Counts.FREE_RANGE: [caps.free_range],
        Counts.NETWORK: [],
    }[word]
    return min((c.parts for c in found if c is not None and c.period is period), default=None)


@cap.command()
@click.argument("name", required=False)
@click.option("--number", metavar="N", help="What is counted for this number, and its range.")
@click.option("--prefix", metavar="P", help="What is counted for this prefix of prefix_caps.")
@click.option("--network", metavar="NET", help="Free keys handed out to it: 198.51.100.0/24.")
@click.option("--total", is_flag=True, help="What is counted for all keys.")
@CONFIG
@click.pass_context
def lift(
    ctx: click.Context,
    /,
    name: str | None,
    number: str | None,
    prefix: str | None,
    network: str | None,
    total: bool,
    config: Path | None,
) -> None:
    """Count anew from now on: for the key NAME, a number, a prefix, a network, or in all.

    Until the end of its window as many parts as the cap allows are accepted once more.
    """
    settings = settings_of(ctx, config)
    if (
        sum((name is not None, number is not None, prefix is not None, network is not None, total))
        != 1
    ):
        raise click.UsageError("say one of NAME, --number, --prefix, --network and --total")
    with database.opened(settings) as store, store.write() as connection:
        if name is not None:
            scopes = [_key_scope(connection, name)]
        elif number is not None:
            scopes = _number_scopes(number, settings)
        elif prefix is not None:
            scopes = [f"{Counts.PREFIX} {prefix.removeprefix('+')}"]
        elif network is not None:
            scopes = [f"{Counts.NETWORK} {network}"]
        else:
            scopes = [Counts.TOTAL.value]
        lifted = counters.lift(connection, scopes, now())
        if lifted:
            account = None if name is None else accounts.by_name(connection, name)
            facts = {
                "number": None if number is None else audit.masked(number),
                "prefix": prefix,
                "network": network,
                "total": total or None,
            }
            audit.record(connection, Action.CAP_LIFT, account, facts, now=now())
    if not lifted:
        raise UnavailableError("nothing is counted for it now; sendsmsnow cap list shows all")
    click.echo("counted anew from now on")


def _key_scope(connection: Connection, name: str) -> str:
    account = accounts.by_name(connection, name)
    if account is None:
        raise UnavailableError(f"there is no key named {name!r}; sendsmsnow key list shows all")
    return f"{Counts.KEY} {account.id}"


def _number_scopes(number: str, settings: Settings) -> list[str]:
    found = e164(number, settings.default_region).number
    return [
        *(f"{word} {found}" for word in (Counts.NUMBER, Counts.FREE_NUMBER)),
        *(f"{word} {found[:-RANGE_DIGITS]}" for word in (Counts.RANGE, Counts.FREE_RANGE)),
    ]
