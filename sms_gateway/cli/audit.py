"""Defines the command that lists the audit trail."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import click

from .. import database
from ..moments import iso, now, read_iso
from ..settings import milliseconds
from ..store import Store
from ..store import audit as trail
from .options import CONFIG, settings_of

_SINCE = re.compile(r"([1-9][0-9]{0,4})(h|d)")
_UNITS = {"h": "hours", "d": "days"}
#: How many entries one transaction reads.
_AT_ONCE = 500


@click.command()
@click.option(
    "--since",
    metavar="WHEN",
    default="7d",
    show_default=True,
    help="From when on: 24h, 30d, or a date or time (ISO 8601, UTC unless it says otherwise).",
)
@click.option("--key", "name", metavar="NAME", help="What concerns this key only.")
@click.option("--json", "as_json", is_flag=True, help="Print everything, as a JSON object a line.")
@click.option(
    "--prune", is_flag=True, help="Remove what is older than audit_days, and list nothing."
)
@CONFIG
@click.pass_context
def audit(
    ctx: click.Context,
    /,
    since: str,
    name: str | None,
    as_json: bool,
    prune: bool,
    config: Path | None,
) -> None:
    """List who did what when, oldest first.

    Keys made, changed and rotated, sign-ins and wrong keys, numbers assigned, people forgotten,
    starts and their settings. Entries are never changed, and removed only when they are older than
    audit_days.
    """
    settings = settings_of(ctx, config)
    began = _moment(since)
    with database.opened(settings) as store:
        if prune:
            kept = milliseconds(timedelta(days=settings.audit_days))
            click.echo(f"{_pruned(store, now() - kept)} removed")
            return
        for entry in _entries(store, began, name):
            click.echo(_as_json(entry) if as_json else _line(entry))


def _moment(since: str) -> int:
    """The moment of a `--since`, Unix milliseconds."""
    if match := _SINCE.fullmatch(since):
        return now() - milliseconds(timedelta(**{_UNITS[match[2]]: int(match[1])}))
    try:
        return read_iso(since, UTC)
    except ValueError:
        raise click.UsageError(
            f"--since {since!r}: write 24h, 30d, 2026-01-31 or 2026-01-31T12:00:00+01:00"
        ) from None


def _entries(store: Store, since: int, name: str | None) -> Iterator[trail.Entry]:
    last = 0
    while True:
        with store.read() as connection:
            found = trail.listed(connection, since=since, name=name, after=last, most=_AT_ONCE)
        yield from found
        if len(found) < _AT_ONCE:
            return
        last = found[-1].id


def _pruned(store: Store, before: int) -> int:
    removed = 0
    while True:
        with store.write() as connection:
            some = trail.prune(connection, before=before, now=now())
        if not some:
            return removed
        removed += some


def _who(entry: trail.Entry) -> str:
    return " ".join(filter(None, (entry.face.value, entry.operator, entry.network)))


def _line(entry: trail.Entry) -> str:
    facts = " ".join(f"{name}={value}" for name, value in entry.facts.items())
    columns = (iso(entry.at, "seconds"), entry.action, entry.account, _who(entry), facts)
    return "  ".join(filter(None, columns))


def _as_json(entry: trail.Entry) -> str:
    facts: dict[str, Any] = {
        "id": entry.id,
        "at": iso(entry.at, "seconds"),
        "action": entry.action,
        "words": entry.words,
        "face": entry.face.value,
        "operator": entry.operator,
        "network": entry.network,
        "key": entry.account,
        "facts": entry.facts,
    }
    return json.dumps(facts, ensure_ascii=False)
