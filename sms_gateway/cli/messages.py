"""Defines the commands that send a message and show its history."""

from collections.abc import Iterator
from pathlib import Path

import click

from soap_client import SmsClient, SmsError

from .. import database
from ..errors import UnavailableError
from ..moments import iso
from ..store import history
from .options import CONFIG, settings_of


@click.command()
@click.argument("recipients")
@click.argument("message")
@click.option("--apikey", required=True, metavar="KEY", help="The API key to send with.")
@click.option("--wsdl", metavar="URL", help="The WSDL of another gateway; a file will do, too.")
@CONFIG
@click.pass_context
def send(
    ctx: click.Context,
    /,
    recipients: str,
    message: str,
    apikey: str,
    wsdl: str | None,
    config: Path | None,
) -> None:
    """Send a message, by SOAP.

    RECIPIENTS are one to four numbers, separated by commas. The message goes to the gateway of
    these settings (public_url), or to where --wsdl says. Prints the reply, and where it was not
    accepted why, and by which address; the exit status is 0 when the message was accepted.
    """
    address = None
    if wsdl is None:
        address = f"{settings_of(ctx, config).external_url()}/sendsms/soap/"
    tried = address or wsdl
    try:
        with SmsClient(apikey, wsdl=wsdl, address=address) as client:
            tried = client.address
            reply = client.send(recipients, message)
    except SmsError as error:
        click.echo(f"error={error.code} sent=0 id=")
        raise UnavailableError(f"{error}; tried {tried}") from None
    click.echo(f"error={reply.error} sent={reply.sent} id={reply.id}")


@click.group()
def message() -> None:
    """Messages and what became of them."""


@message.command()
@click.argument("id")
@CONFIG
@click.pass_context
def show(ctx: click.Context, /, id: str, config: Path | None) -> None:
    """Show every step of a message.

    With its times, for each recipient and part.
    """
    with database.opened(settings_of(ctx, config)) as store, store.read() as connection:
        found = history.of_message(connection, id)
    if found is None:
        raise UnavailableError(f"there is no message {id!r}")
    click.echo("\n".join(told(found)))


def told(found: history.MessageHistory) -> Iterator[str]:
    """The lines of a message's history."""
    parts = f"{found.parts} part" + ("s" if found.parts > 1 else "")
    account = found.account or "(a deleted key)"
    yield f"{found.id}  {_state(found)}"
    accepted = iso(found.accepted_at, sep=" ")
    yield f"accepted {accepted} from {account}: {parts}, {found.encoding}"
    if found.erased:
        yield "its text and numbers are erased"
    for delivery in found.deliveries:
        way = f" by {delivery.upstream}" if delivery.upstream else ""
        yield ""
        yield f"to {delivery.recipient or '(erased)'}{way}: {delivery.state}"
        yield _line(found.accepted_at, found.accepted_at, 0, "accepted", "")
        for step in delivery.steps:
            yield _line(step.at, found.accepted_at, step.part, step.event, step.detail)


def _state(found: history.MessageHistory) -> str:
    """The state of a message; the states of its deliveries when they differ."""
    if len(found.states) == 1:
        return found.state
    return ", ".join(f"{number} {state}" for state, number in found.states)


def _line(at: int, since: int, part: int, event: str, detail: str) -> str:
    """The line of a step: its time, also since the acceptance, and the event."""
    what = f"part {part} {event}" if part else event
    return f"  {iso(at, sep=' ')}  {(at - since) / 1_000:+10.3f} s  {what:20} {detail}".rstrip()
