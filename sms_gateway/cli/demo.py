"""`sendsmsnow demo`: the whole at work, with a database and a carrier of its own."""

import asyncio
import os
import socket
import tempfile
import time
import urllib.request
from collections.abc import Sequence

import click

from soap_client import SendSmsResult, SmsClient

from .. import __version__, database, processes
from ..failure import Failure
from ..settings import ENV_PREFIX, Settings, load, split_address
from ..sms.message import TERMINAL
from ..store import Store, history
from .keys import FREE, make_key
from .options import logging_to
from .run import bound, family, listen

RECIPIENT, TEXT = "0032494000000", "Hello World"
#: Seconds that each part of the story may take.
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
        values = {"database_url": f"sqlite:///{folder}/demo.sqlite3", "log_level": "warning"}
        settings = load(None, values, {})
        logging_to(settings)
        database.migrated(settings)
        with _listen(settings) as listener:
            settings = settings.model_copy(update={"bind": bound(settings, listener)})
            # The person's own settings are not the demo's.
            environ = {n: v for n, v in os.environ.items() if not n.startswith(ENV_PREFIX)}
            environ |= {ENV_PREFIX + name.upper(): value for name, value in values.items()}
            children = family(None, {}, settings, listener)
            ctx.exit(asyncio.run(_run(settings, children, environ, once)))


def _listen(settings: Settings) -> socket.socket:
    """The usual address, or any free port where that one is taken."""
    try:
        return listen(settings)
    except Failure:
        host, _ = split_address(settings.bind)
        return listen(settings.model_copy(update={"bind": f"{host}:0"}))


async def _run(
    settings: Settings, children: Sequence[processes.Child], environ: dict[str, str], once: bool
) -> int:
    async with processes.running(children, environ=environ) as ended:
        story = asyncio.create_task(_story(settings, once))
        await asyncio.wait((story, ended), return_when=asyncio.FIRST_COMPLETED)
        if story.done():
            story.result()
            return 0 if once else await ended
        story.cancel()
        return ended.result()


async def _story(settings: Settings, once: bool) -> None:
    url = settings.external_url()
    wsdl = f"{url}/sendsms/wsdl/sendSmsNow.wsdl"
    _say(f"sendSmsNow {__version__}: the whole gateway, with a sandbox for a carrier.", "")

    # The socket is open already: this waits for as long as the web process takes to start.
    await asyncio.to_thread(_get, f"{url}/readyz")
    _say(f"Started web and worker       {url}")
    with database.opened(settings) as store:
        with store.write() as connection:
            key, _ = make_key(connection, "demo", FREE | {"multi": True, "rate": None})
        _say(f"Made an API key              {key}")
        _say(f'Sending "{TEXT}"        to {RECIPIENT}, by SOAP with the published WSDL')
        reply = await asyncio.to_thread(_send, wsdl, key)
        _say(f"Reply                        error={reply.error} sent={reply.sent} id={reply.id}")
        await _follow(store, reply.id)
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


async def _follow(store: Store, message_id: str) -> None:
    """Print the steps of a message as they happen, until its fate is known."""
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
            raise Failure(f"the message is still {delivery.state} after {_PATIENCE:.0f} seconds")
        await asyncio.sleep(0.05)


def _get(url: str) -> None:
    with urllib.request.urlopen(url, timeout=_PATIENCE):  # noqa: S310 - an address of our own
        pass


def _send(wsdl: str, key: str) -> SendSmsResult:
    with SmsClient(key, wsdl=wsdl) as client:
        return client.send(RECIPIENT, TEXT)


def _say(*lines: str) -> None:
    for line in lines:
        click.echo(line)
