"""Defines the commands about API keys. An account has one key, shown once when it is made."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from .. import database
from ..accounts import FREE_RATE, Account, key_hash, new_key, new_mail_address
from ..errors import UnavailableError
from ..moments import now
from ..signup.requests import hand_out, is_known
from ..store import accounts, audit, deletion, key_requests
from ..store.audit import Action
from .callbacks import callback_options, wait_for_workers
from .deleting import erase_closed
from .key_facts import COLUMNS, as_dict, moment, row_of, with_address
from .key_options import duration, facts_of, given, limits
from .options import CONFIG, settings_of

#: The default options of a new key: one SMS a minute, to one number at a time.
FREE: dict[str, Any] = {
    "multi": False,
    "rate": FREE_RATE,
    "countries": None,
    "sender": "",
    "test": False,
}

#: The action in the audit trail, by the new value of `enabled`; None: not changed.
_ACTIONS: Mapping[bool | None, Action] = {
    True: Action.KEY_ENABLE,
    False: Action.KEY_DISABLE,
    None: Action.KEY_CHANGE,
}
_NAME = re.compile(r"[^\s\x00-\x1f](?:[^\x00-\x1f\x7f]{0,98}[^\s\x00-\x1f])?")


@click.group()
def key() -> None:
    """API keys: who may send, how much and where to."""


@key.command()
@click.argument("name")
@limits
@click.pass_context
def create(
    ctx: click.Context, /, name: str, config: Path | None, as_json: bool, **limits: Any
) -> None:
    """Make a key for NAME and print it, this once.

    It has the free options unless told otherwise: 1/min, one number a request, all countries.
    """
    if not _NAME.fullmatch(name):
        raise click.UsageError("NAME has 1 to 100 characters, none of them control characters")
    options = FREE | given(**limits)
    domain = settings_of(ctx, config).mail_domain
    with _writing(ctx, config) as connection:
        made, account = make_key(connection, name, options)
    click.echo(json.dumps({"key": made, **with_address(account, (), domain)}) if as_json else made)


def make_key(connection: Connection, name: str, options: dict[str, Any]) -> tuple[str, Account]:
    """Make a new key and its account; UnavailableError when the name is taken."""
    if deletion.is_closed(connection, name):
        raise UnavailableError(
            f"the key {name!r} is being deleted; sendsmsnow key delete {name!r} finishes that"
        )
    made = new_key()
    try:
        account = accounts.create(
            connection,
            name=name,
            key_hash=key_hash(made),
            key_hint=made[-4:],
            now=now(),
            **options,
        )
    except IntegrityError:
        raise UnavailableError(f"there is a key named {name!r} already") from None
    facts = facts_of(options)
    audit.record(connection, Action.KEY_CREATE, account, facts, now=account.created_at)
    return made, account


@key.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print everything, as JSON.")
@CONFIG
@click.pass_context
def list_keys(ctx: click.Context, /, config: Path | None, as_json: bool) -> None:
    """List all keys with what each may do."""
    with _reading(ctx, config) as connection:
        old = accounts.old_keys(connection, now())
        everyone = [as_dict(a, old.get(a.id, ())) for a in accounts.everyone(connection)]
    if as_json:
        click.echo(json.dumps(everyone))
        return
    rows = [tuple(name.upper() for name in COLUMNS), *map(row_of, everyone)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


@key.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print everything, as JSON.")
@CONFIG
@click.pass_context
def show(ctx: click.Context, /, name: str, config: Path | None, as_json: bool) -> None:
    """Show what the key of NAME may do, and the address that mails to be sent as SMS go to."""
    domain = settings_of(ctx, config).mail_domain
    with _reading(ctx, config) as connection:
        _show(connection, name, as_json, domain)


@key.command("set")
@click.argument("name")
@click.option(
    "--callback", metavar="URL|none", help="Where its events are sent; prints a new secret."
)
@limits
@click.pass_context
def set_key(
    ctx: click.Context,
    /,
    name: str,
    config: Path | None,
    as_json: bool,
    callback: str | None,
    **limits: Any,
) -> None:
    """Change what the key of NAME may do; what is not named stays as it is.

    A new callback gets a new secret (docs/callbacks.md), which is printed this once.
    """
    options = given(**limits)
    if callback is not None:
        with _reading(ctx, config) as connection:
            account = accounts.by_name(connection, name)
        options |= callback_options(callback, account, settings_of(ctx, config))
    if not options:
        raise click.UsageError(
            "say what to change: --multi, --rate, --validity, --countries, --sender, "
            "--senders, --mail-senders, --mail-body, --mail-machines, --callback, --test, "
            "--kinds, --parts-per-minute, --parts-per-day, --parts-per-month, --free"
        )
    _change(ctx, config, name, options, as_json)
    if options.get("callback_url"):
        with database.opened(settings_of(ctx, config)) as store:
            wait_for_workers(store)


@key.command()
@click.argument("name")
@CONFIG
@click.pass_context
def enable(ctx: click.Context, /, name: str, config: Path | None) -> None:
    """Let the key of NAME send again."""
    _change(ctx, config, name, {"enabled": True}, as_json=False)


@key.command()
@click.argument("name")
@CONFIG
@click.pass_context
def disable(ctx: click.Context, /, name: str, config: Path | None) -> None:
    """Refuse the key of NAME from now on (code 40)."""
    _change(ctx, config, name, {"enabled": False}, as_json=False)


@key.command()
@click.argument("name")
@click.option(
    "--overlap",
    default="24h",
    metavar="D",
    help="How long the old key is valid still (24h); 0 ends all keys before the new one at once.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything, as JSON.")
@CONFIG
@click.pass_context
def rotate(
    ctx: click.Context, /, name: str, overlap: str, config: Path | None, as_json: bool
) -> None:
    """Make a new key for NAME and print it, this once; the old one is valid for a while.

    Meanwhile both send. Only the new one signs in at the account's pages, where all who are signed
    in are signed out.
    """
    lasts, at = duration("--overlap", overlap), now()
    with _writing(ctx, config) as connection:
        made = accounts.rotate(connection, name, now=at, valid_until=at + lasts)
        if made is None:
            raise _unknown(name)
        account = accounts.by_name(connection, name)
        assert account is not None
        audit.record(connection, Action.KEY_ROTATE, account, {"overlap": overlap}, now=at)
        old = accounts.old_keys(connection, at).get(account.id, [])
    if as_json:
        click.echo(json.dumps({"key": made, **as_dict(account, old)}))
        return
    click.echo(made)
    for each in old:
        click.echo(f"…{each.hint} is valid until {moment(each.valid_until)}", err=True)
    if not old:
        click.echo("no other key is valid", err=True)


@key.command()
@click.argument("name")
@CONFIG
@click.pass_context
def address(ctx: click.Context, /, name: str, config: Path | None) -> None:
    """Give NAME a new address for its mails and print it; the old one is nobody's at once."""
    domain = settings_of(ctx, config).mail_domain
    with _writing(ctx, config) as connection:
        if not accounts.change(connection, name, mail_address=new_mail_address()):
            raise _unknown(name)
        account = accounts.by_name(connection, name)
        assert account is not None
        facts = {"mail_address": "new"}
        audit.record(connection, Action.KEY_CHANGE, account, facts, now=now())
    click.echo(with_address(account, (), domain)["mail_address"])


@key.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@CONFIG
@click.pass_context
def delete_key(ctx: click.Context, /, name: str, yes: bool, config: Path | None) -> None:
    """Delete the key of NAME, its addresses, its numbers and its history.

    The key is unknown (code 50) at once, everywhere. What waits is not sent any more; of messages
    that a carrier has, rows without text and number stay, for its receipts. It goes in small steps
    while others send, and may be interrupted: the same command, or a worker within the hour, goes
    on.
    """
    with database.opened(settings_of(ctx, config)) as store:
        if not yes:
            with store.read() as connection:
                account = accounts.by_name(connection, name)
                held = None if account is None else deletion.holdings(connection, account.id)
            if held is not None:
                click.echo("\n".join(_held(name, held)), err=True)
                click.confirm("Delete all of it?", abort=True, err=True)
        with store.write() as connection:
            account = accounts.by_name(connection, name)
            account_id = deletion.close(connection, name, now())
            if account is not None:
                audit.record(connection, Action.KEY_DELETE, account, now=now())
        if account_id is None:
            raise _unknown(name)
        ended = erase_closed(store, account_id)
    click.echo(f"sent={ended.sent} received={ended.received} cancelled={ended.cancelled}")


def _held(name: str, held: deletion.Holdings) -> Iterator[str]:
    """The lines that say what deleting a key would delete."""
    yield f"{name} has"
    yield f"  messages sent              {held.sent}"
    yield f"  of these waiting           {held.waiting} (not sent any more)"
    yield f"  at a carrier's this moment {held.submitting} (sent)"
    yield f"  messages received          {held.received}"
    yield f"  events for its callback    {held.events} (not told any more)"
    yield f"  sessions at the pages      {held.sessions}"
    yield f"  recipients who said stop   {held.stops}"
    numbers = ", ".join(held.numbers)
    yield f"  numbers                    {numbers or '-'}" + (" (nobody's then)" * bool(numbers))


def _unknown(name: str) -> UnavailableError:
    return UnavailableError(f"there is no key named {name!r}; sendsmsnow key list shows all")


@key.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything, as JSON.")
@CONFIG
@click.pass_context
def requests(ctx: click.Context, /, config: Path | None, as_json: bool) -> None:
    """List who has asked for a free key and has none yet."""
    with _reading(ctx, config) as connection:
        waiting = [_request_facts(r) for r in key_requests.waiting(connection, now())]
    if as_json:
        click.echo(json.dumps(waiting))
        return
    for facts in waiting:
        tried = f"  mail tried {facts['mails']} times" if facts["mails"] else ""
        failure = f": {facts['failure']}" if facts["failure"] else ""
        click.echo(f"{facts['id']}  {facts['requested_at']}  {facts['address']}{tried}{failure}")


@key.command()
@click.argument("name", metavar="EMAIL|ID")
@CONFIG
@click.pass_context
def approve(ctx: click.Context, /, name: str, config: Path | None) -> None:
    """Make the free key that somebody asked for and print it, this once."""
    with _writing(ctx, config) as connection:
        request = key_requests.by_name(connection, name, now())
        if request is None:
            raise UnavailableError(
                f"nobody waits for a key as {name!r}; sendsmsnow key requests shows all"
            )
        fold_plus = settings_of(ctx, config).free_key_fold_plus
        if is_known(connection, request.address, fold_plus):
            raise UnavailableError(f"there is a key named {request.address!r} already")
        made, _ = hand_out(connection, request, now(), fold_plus=fold_plus)
    click.echo(made)


def _request_facts(request: key_requests.KeyRequest) -> dict[str, Any]:
    return {
        "id": request.id,
        "address": request.address,
        "requested_at": moment(request.requested_at),
        "expires_at": moment(request.expires_at),
        "mails": request.attempts,
        "failure": request.failure,
    }


def _change(
    ctx: click.Context, config: Path | None, name: str, options: dict[str, Any], as_json: bool
) -> None:
    domain = settings_of(ctx, config).mail_domain
    with _writing(ctx, config) as connection:
        accounts.change(connection, name, **options)
        changed = accounts.by_name(connection, name)
        if changed is not None:
            action = _ACTIONS[options.get("enabled")]
            audit.record(connection, action, changed, facts_of(options), now=now())
        secret = options.get("callback_secret", "")
        _show(connection, name, as_json, domain, {"callback_secret": secret} if secret else {})


def _show(
    connection: Connection,
    name: str,
    as_json: bool,
    domain: str | None,
    once: Mapping[str, str] | None = None,
) -> None:
    """Print an account. `once`: facts that are shown only this time, such as a new secret."""
    account = accounts.by_name(connection, name)
    if account is None:
        raise _unknown(name)
    old = accounts.old_keys(connection, now()).get(account.id, [])
    facts = {**with_address(account, old, domain), **(once or {})}
    if as_json:
        click.echo(json.dumps(facts))
        return
    writers = facts["mail_senders"]
    lines = [
        *zip(COLUMNS, row_of(facts), strict=True),
        ("mail", facts["mail_address"]),
        ("mail from", "any" if writers is None else ",".join(writers) or "nobody"),
        ("mail body", facts["mail_body"]),
        ("machines", facts["mail_machines"]),
        ("validity", facts["validity"] or "-"),
        ("stops", str(facts["stops"])),
        ("caps", ",".join(facts["caps"]) or "-"),
        ("kinds", ",".join(facts["kinds"]) or "-"),
        ("free", "yes" if facts["free"] else "no"),
        ("callback", facts["callback"] or "-"),
    ]
    if facts["callback_paused_at"]:
        why = f"{facts['callback_paused_at']}: {facts['callback_paused_reason']}"
        lines.append(("paused", why))
    lines += [("secret", secret) for secret in (once or {}).values()]
    for label, value in lines:
        click.echo(f"{label:9}  {value}")


@contextmanager
def _reading(ctx: click.Context, config: Path | None) -> Iterator[Connection]:
    with database.opened(settings_of(ctx, config)) as store, store.read() as connection:
        yield connection


@contextmanager
def _writing(ctx: click.Context, config: Path | None) -> Iterator[Connection]:
    with database.opened(settings_of(ctx, config)) as store, store.write() as connection:
        yield connection
