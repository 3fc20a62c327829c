"""The command that erases a person."""

from pathlib import Path

import click

from .. import database
from ..moments import now
from ..sms.address import AddressError, TooManyNumbersError, parse_recipients
from ..store import erase
from .options import CONFIG, settings_of


@click.command()
@click.argument("number")
@click.option("--yes", is_flag=True, help="Do not ask.")
@CONFIG
@click.pass_context
def forget(ctx: click.Context, /, number: str, yes: bool, config: Path | None) -> None:
    """Erase everything to and from NUMBER, for all keys.

    Messages that wait to be sent to it are not sent any more. That it asked a sender to stop is
    kept, so that it stays unwritten to.
    """
    settings = settings_of(ctx, config)
    try:
        (address,) = parse_recipients(number, settings.default_region)
    except (AddressError, TooManyNumbersError, ValueError):
        raise click.UsageError(f"{number!r} is no number") from None
    if not yes:
        click.confirm(f"Erase everything to and from {address.number}?", abort=True, err=True)
    with database.opened(settings) as store:
        with store.write() as connection:
            gone = erase.forget(connection, address.number, now())
        store.scrub()
    click.echo(f"sent={gone.sent} received={gone.received} cancelled={gone.cancelled}")
