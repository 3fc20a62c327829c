"""The commands that run: serve, web, worker, mail, soap; and migrate, which comes first."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click
import uvloop
from starlette.types import ASGIApp

from .. import bootstrap, database, processes, server
from ..settings import Settings, SettingsError, split_address
from .options import (
    CONFIG,
    LIFELINE,
    LISTENER,
    config_of,
    listening,
    logging_to,
    settings_of,
)

log = logging.getLogger(__name__)


@click.command()
@CONFIG
@listening
@click.pass_context
def serve(ctx: click.Context, /, config: Path | None, **options: str | None) -> None:
    """Run the whole gateway.

    Migrates the database, then runs web, worker and, where mail_bind says so, mail as one
    family. A process that dies is restarted; Ctrl-C stops all of them.
    """
    settings = settings_of(ctx, config, **options)
    logging_to(settings)
    bootstrap.check(settings)
    mail_listener = nullcontext() if settings.mail_bind is None else _listen_for_mail(settings)
    with listen(settings) as listener, mail_listener as mails:
        migrate_and_tell(settings)
        children = family(config_of(ctx, config), options, settings, listener, mails)
        ctx.exit(asyncio.run(_supervise(children)))


async def _supervise(children: list[processes.Child]) -> int:
    async with processes.running(children) as ended:
        return await ended


def family(
    config: Path | None,
    options: Mapping[str, str | None],
    settings: Settings,
    listener: socket.socket,
    mails: socket.socket | None = None,
) -> list[processes.Child]:
    """The processes of `serve`, with its options passed on; `mails` is where mails come in."""
    shared = [] if config is None else ["--config", str(config)]
    passed = [
        word
        for name, value in options.items()
        if value is not None and name != "bind"
        for word in (f"--{name}", value)
    ]
    # The web process needs its address even where it does not listen itself: it is in the WSDL.
    place = ["--bind", bound(settings, listener), "--listener", str(listener.fileno())]
    children = [
        processes.Child(
            name="web",
            command=own_command("web", *shared, *passed, *place),
            inherits=(listener.fileno(),),
        ),
        processes.Child(name="worker", command=own_command("worker", *shared)),
    ]
    if mails is not None:
        place = ["--listener", str(mails.fileno())]
        children.append(
            processes.Child(
                name="mail",
                command=own_command("mail", *shared, *place),
                inherits=(mails.fileno(),),
            )
        )
    return children


def own_command(*arguments: str) -> list[str]:
    """This very command with other arguments, to be run as a process."""
    # Unless it is there that this program was found, Python is not to look for modules in the
    # current directory.
    here = Path(__file__).parents[2] == Path.cwd()
    return [sys.executable, *(() if here else ("-P",)), "-m", "sms_gateway", *arguments]


def listen(settings: Settings) -> socket.socket:
    """A socket that listens where the settings say."""
    return server.listen(*split_address(settings.bind))


def _listen_for_mail(settings: Settings) -> socket.socket:
    if settings.mail_bind is None:
        raise SettingsError("mail_bind is not set: it says where mails come in")
    return server.listen(*split_address(settings.mail_bind))


def bound(settings: Settings, listener: socket.socket) -> str:
    """Where a socket listens: `bind`, with the port that was found where it asks for any (0)."""
    host, _, _ = settings.bind.rpartition(":")
    return f"{host}:{listener.getsockname()[1]}"


@click.command()
@CONFIG
@listening
@LIFELINE
@LISTENER
@click.pass_context
def web(
    ctx: click.Context,
    /,
    config: Path | None,
    lifeline: int | None,
    listener: int | None,
    **options: str | None,
) -> None:
    """Run the web part alone.

    It answers SOAP, the HTTP API and the pages; a worker is needed elsewhere.
    """
    settings = settings_of(ctx, config, **options)
    logging_to(settings)
    processes.hold_lifeline(lifeline)
    with database.opened(settings):
        pass  # so that what is missing is told once, here, and not by each process
    _serve(settings, listener, bootstrap.web_app)


@click.command()
@CONFIG
@click.option("--backend", required=True, metavar="URL", help="The gateway: https://HOST/sendsms/.")
@listening
@click.pass_context
def soap(ctx: click.Context, /, config: Path | None, backend: str, **options: str | None) -> None:
    """Run the SOAP face alone.

    It stands in front of a remote gateway's HTTP API, and needs no database.
    """
    settings = settings_of(ctx, config, **options)
    if settings.workers is None:  # no database to be right for
        settings = settings.model_copy(update={"workers": os.cpu_count()})
    logging_to(settings)
    bootstrap.check_backend(settings, backend)
    _serve(settings, None, partial(bootstrap.soap_app, backend=backend))


def _serve(
    settings: Settings, listener: int | None, make_app: Callable[[Settings], ASGIApp]
) -> None:
    if listener is None:
        own = listen(settings)
        settings = settings.model_copy(update={"bind": bound(settings, own)})
        listener = own.detach()
    server.serve(settings, listener, partial(make_app, settings))


@click.command()
@CONFIG
@LIFELINE
@click.pass_context
def worker(ctx: click.Context, /, config: Path | None, lifeline: int | None) -> None:
    """Run the worker alone.

    It hands messages to the carriers and takes in their receipts.
    """
    settings = settings_of(ctx, config)
    logging_to(settings)
    processes.hold_lifeline(lifeline)
    with database.opened(settings) as store:
        uvloop.run(_until_stopped(bootstrap.worker(settings, store).run()))


@click.command()
@CONFIG
@LIFELINE
@LISTENER
@click.pass_context
def mail(
    ctx: click.Context, /, config: Path | None, lifeline: int | None, listener: int | None
) -> None:
    """Run the e-mail face alone.

    Mails that come in at mail_bind become SMS; a worker is needed elsewhere.
    """
    settings = settings_of(ctx, config)
    logging_to(settings)
    processes.hold_lifeline(lifeline)
    with (
        _listen_for_mail(settings) if listener is None else socket.socket(fileno=listener) as mails,
        database.opened(settings) as store,
    ):
        # Not uvloop: aiosmtpd upgrades connections to TLS by asyncio's own means.
        asyncio.run(_until_stopped(bootstrap.take_mail(settings, store, mails)))


async def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        pass


@click.command()
@CONFIG
@click.pass_context
def migrate(ctx: click.Context, /, config: Path | None) -> None:
    """Bring the database up to date.

    It is made where there is none.
    """
    settings = settings_of(ctx, config)
    logging_to(settings)
    version = database.migrated(settings)
    click.echo(f"{settings.database_url}: " + (f"now at {version}" if version else "up to date"))


def migrate_and_tell(settings: Settings) -> None:
    """Migrate, with a log line where there was something to do."""
    version = database.migrated(settings)
    if version is not None:
        facts = {"database": settings.database_url, "schema": version}
        log.info("migrated", extra=facts)
