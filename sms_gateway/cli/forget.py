"""Defines the command that erases a person."""

from pathlib import Path

import click

from .. import database
from ..moments import now
from ..signup.requests import normal_address
from ..store import Store, audit, deletion, erase
from ..store.audit import Action
from .deleting import erase_closed, looks, run_steps, scrub, still_submitting
from .options import CONFIG, e164, settings_of


@click.command()
@click.argument("who", metavar="NUMBER|EMAIL")
@click.option("--yes", is_flag=True, help="Do not ask.")
@CONFIG
@click.pass_context
def forget(ctx: click.Context, /, who: str, yes: bool, config: Path | None) -> None:
    """Erase everything to and from NUMBER, for all keys, or everything of the owner of EMAIL.

    Messages that wait to be sent to a number are not sent any more. That it asked a sender to stop
    is kept, so that it stays unwritten to.

    Of a mail address go the request for a free key, the key that is called so with its history (as
    by key delete), and its place on lists of who may send by mail.
    """
    settings = settings_of(ctx, config)
    if "@" in who:
        address = normal_address(who)
        if address is None:
            raise click.UsageError(f"{who!r} is no mail address")
        with database.opened(settings) as store:
            _forget_address(store, address, yes)
        return
    number = e164(who, settings.default_region)
    if not yes:
        click.confirm(f"Erase everything to and from {number.number}?", abort=True, err=True)
    with database.opened(settings) as store:
        _forget_number(store, number.number)


def _forget_number(store: Store, number: str) -> None:
    with store.write() as connection:
        facts = {"number": audit.masked(number)}
        audit.record(connection, Action.PERSON_FORGET, None, facts, now=now())
    done = erase.Forgotten()
    for _ in looks():
        done.submitting = 0
        run_steps(store, erase.forget(number, now(), done))
        if not done.submitting:
            break
    scrub(store)
    if done.submitting:
        raise still_submitting(done.submitting)
    click.echo(f"sent={done.sent} received={done.received} cancelled={done.cancelled}")


def _forget_address(store: Store, address: str, yes: bool) -> None:
    if not yes:
        with store.read() as connection:
            names = deletion.names_of(connection, address)
        with_key = f" with the key {names[0]!r} and its history" if names else ""
        click.confirm(f"Erase everything of {address}{with_key}?", abort=True, err=True)
    with store.write() as connection:
        gone = deletion.forget_address(connection, address, now())
        facts = {"requests": gone.requests, "keys": len(gone.accounts), "lists": gone.lists}
        audit.record(connection, Action.PERSON_FORGET, None, facts, now=now())
    sent = received = 0
    for account_id in gone.accounts:
        ended = erase_closed(store, account_id)
        sent, received = sent + ended.sent, received + ended.received
    scrub(store)
    click.echo(
        f"requests={gone.requests} keys={len(gone.accounts)} lists={gone.lists}"
        f" sent={sent} received={received}"
    )
