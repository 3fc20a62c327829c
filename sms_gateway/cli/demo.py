"""Defines `sendsmsnow demo`, which runs a whole gateway on a temporary database and a sandbox."""

import signal
import socket
import tempfile
import time
import urllib.request
from functools import partial

import click

from .. import __version__, database
from ..errors import UnavailableError
from ..serving import supervisor
from ..settings import Settings, load, split_address
from ..sms.message import TERMINAL
from ..store import Store, history
from .keys import FREE, make_key
from .options import logging_to
from .run import at_its_port, child, family, listen

RECIPIENT, TEXT = "0032494000000", "Hello World"
#: How long each step of the demo may take, seconds.
_PATIENCE = 60.0


@click.command()
@click.option("--once", is_flag=True, help="End after the message is delivered.")
@click.pass_context
def demo(ctx: click.Context, /, once: bool) -> None:
    """See the whole at work.

    Starts everything, makes a key, sends a message, follows it, and serves on. The database is
    temporary and the carrier a sandbox: nothing is sent, and nothing is left behind.
    """
    with tempfile.TemporaryDirectory(prefix="sendsmsnow-") as folder:
        # The demo ignores settings of files and variables.
        values = {"database_url": f"sqlite:///{folder}/demo.sqlite3", "log_level": "warning"}
        settings = load(None, values, {})
        logging_to(settings)
        database.migrated(settings)
        with _listen(settings.bind) as listener:
            settings = at_its_port(settings, listener)
            story = child("demo", partial(_story, settings, once), leads=True)
            ctx.exit(supervisor.supervise([*family(settings, listener), story]))


def _listen(bind: str) -> socket.socket:
    """Listen at the usual address, or at any free port if that is taken."""
    try:
        return listen(bind, "bind")
    except UnavailableError:
        host, _ = split_address(bind)
        return listen(f"{host}:0", "bind")


def _story(settings: Settings, once: bool) -> None:
    # Imported here, as the other processes do not need it.
    from soap_client import SmsClient

    url = settings.external_url()
    wsdl = f"{url}/sendsms/wsdl/sendSmsNow.wsdl"
    _say(f"sendSmsNow {__version__}: the whole gateway, with a sandbox for a carrier.", "")

    # The socket is open already, so this waits until the web process has started.
    with urllib.request.urlopen(f"{url}/readyz", timeout=_PATIENCE):  # noqa: S310 - our own
        pass
    _say(f"Started web and worker       {url}")
    with database.opened(settings) as store:
        with store.write() as connection:
            key, _ = make_key(connection, "demo", FREE | {"multi": True, "rate": None})
        _say(f"Made an API key              {key}")
        _say(f'Sending "{TEXT}"        to {RECIPIENT}, by SOAP with the published WSDL')
        with SmsClient(key, wsdl=wsdl) as client:
            reply = client.send(RECIPIENT, TEXT)
        _say(f"Reply                        error={reply.error} sent={reply.sent} id={reply.id}")
        _follow(store, reply.id)
    if once:
        return
    _say(
        "",
        f"WSDL                         {wsdl}",
        f"SOAP endpoint                {url}/sendsms/soap/",
        f"HTTP API                     {url}/sendsms/",
        f"Test page                    {url}/sendsms/test/",
        "",
        "Try it:",
        f"  curl {url}/sendsms/ -d recipients={RECIPIENT} -d message=Hello -d apikey={key}",
        "",
        "Serving until Ctrl-C; the database is temporary and goes then.",
    )
    signal.pause()


def _follow(store: Store, message_id: str) -> None:
    """Print the steps of a message as they happen, until its final state."""
    shown = 0
    deadline = time.monotonic() + _PATIENCE
    while True:
        with store.read() as connection:
            found = history.of_message(connection, message_id)
        assert found is not None
        (delivery,) = found.deliveries
        for step in delivery.steps[shown:]:
            after = f"after {step.at - found.accepted_at} ms"
            _say(f"  {after:26} {step.event} {step.detail}".rstrip())
        shown = len(delivery.steps)
        if delivery.state in TERMINAL:
            _say(f"The message is               {delivery.state}")
            return
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"the message is still {delivery.state} after {_PATIENCE:.0f} seconds"
            )
        time.sleep(0.05)


def _say(*lines: str) -> None:
    for line in lines:
        click.echo(line)
