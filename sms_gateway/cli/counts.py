"""Defines the command that counts deliveries by day, key, country and outcome."""

import csv
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import click

from .. import database
from ..moments import now, utc
from ..store import counts as totals
from .options import CONFIG, settings_of

_COLUMNS = ("day", "key", "country", "outcome", "deliveries", "parts")
_EPOCH = date(1970, 1, 1)
#: How many days are counted, today with them, without `--since`.
_DAYS = 30


@click.command()
@click.option("--since", metavar="DAY", help="The first day, as 2026-01-31 (UTC): 30 days if none.")
@click.option("--until", metavar="DAY", help="The last day: today if none.")
@click.option("--key", "name", metavar="NAME", help="What this key sent only.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values, with a header.")
@CONFIG
@click.pass_context
def counts(
    ctx: click.Context,
    /,
    since: str | None,
    until: str | None,
    name: str | None,
    as_csv: bool,
    config: Path | None,
) -> None:
    """Count deliveries by day of acceptance (UTC), key, country and outcome.

    Messages that were erased or deleted are counted as well. The outcome is the state of the
    delivery, which may still change. A deleted key has no name; the country is empty where the
    number was erased before countries were kept.
    """
    last = now() // totals.DAY if until is None else _day("--until", until)
    first = last - _DAYS + 1 if since is None else _day("--since", since)
    if first > last:
        raise click.UsageError("--since is after --until")
    with database.opened(settings_of(ctx, config)) as store, store.read() as connection:
        # Day by day: millions of messages of a day are counted within a statement's time.
        found = [
            each
            for day in range(first, last + 1)
            for each in totals.totals(connection, since=day, until=day + 1, name=name)
        ]
    rows = [
        (
            f"{utc(each.day * totals.DAY):%Y-%m-%d}",
            each.account,
            each.country,
            each.state,
            str(each.deliveries),
            str(each.parts),
        )
        for each in found
    ]
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([_COLUMNS, *rows])
    else:
        _print_table([_COLUMNS, *rows])


def _day(option: str, written: str) -> int:
    """A day as days since 1970."""
    try:
        return (date.fromisoformat(written) - _EPOCH).days
    except ValueError:
        raise click.UsageError(f"{option} {written!r}: write a day as 2026-01-31") from None


def _print_table(rows: Iterable[tuple[str, ...]]) -> None:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())
