"""Defines the commands that run processes (serve, web, worker, mail, soap), and migrate.

Modules that only one kind of process needs are imported there, by `bootstrap`.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

from .. import __version__, callers, database, file_modes, garbage
from ..bootstrap.upstreams import check
from ..callers import Caller
from ..errors import UnavailableError
from ..moments import now
from ..serving import supervisor
from ..settings import Settings, SettingsError, split_address
from ..store import audit, grants
from ..store.audit import Action
from .ending import exit_status
from .options import CONFIG, config_of, listening, logging_to, settings_of

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
    settings = _begin(ctx, config, **options)
    check(settings)
    mail_bind = settings.mail_bind
    mail_listener = nullcontext() if mail_bind is None else listen(mail_bind, "mail_bind")
    with listen(settings.bind, "bind") as listener, mail_listener as mails:
        settings = at_its_port(settings, listener)
        migrate_and_tell(settings)
        record_start(settings, "serve")
        ctx.exit(supervisor.supervise(family(settings, listener, mails)))


def _begin(ctx: click.Context, config: Path | None, **options: str | None) -> Settings:
    """Read the settings of a process that opens the database, and set its log up."""
    settings = settings_of(ctx, config, **options)
    logging_to(settings)
    file_modes.tell_of_exposed(settings, config_of(ctx, config))
    return settings


def family(
    settings: Settings, listener: socket.socket, mails: socket.socket | None = None
) -> list[supervisor.Child]:
    """The processes of `serve`. `mails`: the socket for mails."""
    children = [
        child("web", partial(_web, settings, listener), listener),
        child("worker", partial(_worker, settings)),
    ]
    if mails is not None:
        children.append(child("mail", partial(_mail, settings, mails), mails))
    return children


def child(
    name: str, work: Callable[[], None], *sockets: socket.socket, leads: bool = False
) -> supervisor.Child:
    """A process that prints errors as a command does."""
    run = partial(exit_status, work)
    return supervisor.Child(name=name, run=run, sockets=sockets, leads=leads)


def listen(bind: str, setting: str) -> socket.socket:
    """A socket that listens at the HOST:PORT of this setting.

    UnavailableError when that fails.
    """
    host, port = split_address(bind)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        # strerror may repeat the address. Errors of name look-ups have no positive number.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror
        raise UnavailableError(
            f"cannot listen on {host} port {port} ({setting}): {reason}"
        ) from None


def at_its_port(settings: Settings, listener: socket.socket) -> Settings:
    """The settings with the real port in `bind`, which may ask for any port (0).

    Processes that do not listen need the port, too: it is in the WSDL.
    """
    host, _, _ = settings.bind.rpartition(":")
    return settings.model_copy(update={"bind": f"{host}:{listener.getsockname()[1]}"})


@click.command()
@CONFIG
@listening
@click.pass_context
def web(ctx: click.Context, /, config: Path | None, **options: str | None) -> None:
    """Run the web part alone.

    It answers SOAP, the HTTP API and the pages; a worker is needed elsewhere.
    """
    settings = _begin(ctx, config, **options)
    with listen(settings.bind, "bind") as listener:
        record_start(settings, "web")
        _web(at_its_port(settings, listener), listener)


def _web(settings: Settings, listener: socket.socket) -> NoReturn:
    with garbage.frozen():
        from ..bootstrap.web import web_app
        from ..serving import http_server
        from ..web.guesses import Guesses

    with database.opened(settings, "web"):
        pass  # fails here, once, and not in each process
    http_server.serve(settings, listener, partial(web_app, settings, Guesses()))


@click.command()
@CONFIG
@click.option("--backend", required=True, metavar="URL", help="The gateway: https://HOST/sendsms/.")
@listening
@click.pass_context
def soap(ctx: click.Context, /, config: Path | None, backend: str, **options: str | None) -> None:
    """Run the SOAP face alone.

    It stands in front of a remote gateway's HTTP API, and needs no database.
    """
    with garbage.frozen():
        from ..bootstrap.soap import check_backend, soap_app
        from ..serving import http_server

    settings = settings_of(ctx, config, **options)
    if settings.workers is None:  # the default is for processes with a database
        settings = settings.model_copy(update={"workers": os.cpu_count()})
    logging_to(settings)
    check_backend(settings, backend)
    with listen(settings.bind, "bind") as listener:
        settings = at_its_port(settings, listener)
        http_server.serve(settings, listener, partial(soap_app, settings, backend))


@click.command()
@CONFIG
@click.pass_context
def worker(ctx: click.Context, /, config: Path | None) -> None:
    """Run the worker alone.

    It hands messages to the carriers and takes in their receipts.
    """
    settings = _begin(ctx, config)
    record_start(settings, "worker")
    _worker(settings)


def _worker(settings: Settings) -> None:
    with garbage.frozen():
        import uvloop

        from ..bootstrap.worker import work

    with database.opened(settings, "worker") as store:
        uvloop.run(_until_stopped(work(settings, store)))


@click.command()
@CONFIG
@click.pass_context
def mail(ctx: click.Context, /, config: Path | None) -> None:
    """Run the e-mail face alone.

    Mails that come in at mail_bind become SMS; a worker is needed elsewhere.
    """
    settings = _begin(ctx, config)
    if settings.mail_bind is None:
        raise SettingsError("mail_bind is not set: it says where mails come in")
    with listen(settings.mail_bind, "mail_bind") as listener:
        record_start(settings, "mail")
        _mail(settings, listener)


def _mail(settings: Settings, listener: socket.socket) -> None:
    with garbage.frozen():
        from ..bootstrap.mail import take_mail

    with database.opened(settings, "mail") as store:
        # Not uvloop: aiosmtpd uses internals of asyncio to upgrade connections to TLS.
        asyncio.run(_until_stopped(take_mail(settings, store, listener)))


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
    settings = _begin(ctx, config)
    version = database.migrated(settings)
    click.echo(f"{settings.database_url}: " + (f"now at {version}" if version else "up to date"))


def migrate_and_tell(settings: Settings) -> None:
    """Migrate the database, and log it if there was something to do."""
    version = database.migrated(settings)
    if version is not None:
        facts = {"database": settings.database_url, "schema": version}
        log.info("migrated", extra=facts)


#: The role of each command that may have one of its own. `serve` migrates, so it is the owner.
_ROLES: dict[str, grants.Role] = {"web": "web", "worker": "worker", "mail": "mail"}


def record_start(settings: Settings, command: str) -> None:
    """Record in the audit trail who started which command, with the changed settings.

    From then on the gateway itself is the caller.
    """
    facts = {"command": command, "version": __version__, "settings": settings.changed()}
    with database.opened(settings, _ROLES.get(command)) as store:
        try:
            with store.write() as connection:
                audit.record(connection, Action.GATEWAY_START, None, facts, now=now())
        except store.unavailable as error:
            # A full disk must not keep the gateway from starting.
            log.error("start not recorded", extra={"error": type(error).__name__})
    callers.is_now(Caller())
