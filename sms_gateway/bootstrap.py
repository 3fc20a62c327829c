"""The only place that picks concrete things from settings."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

import soap_server
from email_gateway import MailServer

from .callback_net import networks
from .deadline import Deadline
from .gateway import Gateway
from .housekeeping import keep_house
from .http_backend import HttpBackend
from .postman import Postman, Relay
from .push import Push
from .routes import Routes
from .sessions import Sessions
from .settings import TEST_UPSTREAM, SecretUrl, Settings, SettingsError, masked
from .signup import Signup
from .sms.stop_words import StopWords
from .store import Store, pending_migration
from .upstream import Upstream, relay_options
from .upstream.relay import RelayUpstream
from .upstream.sandbox import SandboxUpstream
from .upstream.smpp import SmppUpstream
from .upstream.smpp_options import options_from_url
from .web.app import create_app, go_on
from .web.pages import Desk
from .worker import Worker

# The ways out.


def check(settings: Settings) -> None:
    """SettingsError for an upstream that is described wrongly; nothing is opened."""
    upstreams(settings)
    routes(settings)


def upstreams(settings: Settings) -> dict[str, Upstream]:
    """All ways out by name, and the sandbox of test keys; SettingsError for a wrong one."""
    urls = settings.upstream_urls() | {TEST_UPSTREAM: SecretUrl("sandbox:")}
    return {name: _upstream(name, url) for name, url in urls.items()}


def _upstream(name: str, url: SecretUrl) -> Upstream:
    text = url.get_secret_value()
    try:
        match urlsplit(text).scheme:
            case "sandbox":
                return SandboxUpstream.from_url(name, text)
            case "http" | "https":
                return RelayUpstream(name, relay_options.options_from_url(text))
        return SmppUpstream(name, options_from_url(text))
    except ValueError as error:
        setting = "upstream" if name == "default" else f"upstreams.{name}"
        raise SettingsError(f"{setting} = {str(url)!r} is wrong; {error}") from None


def routes(settings: Settings) -> Routes:
    """All routes, each with the alphabet of its upstreams; SettingsError where these differ."""
    alphabets = {
        name: options_from_url(url.get_secret_value()).default_alphabet
        for name, url in settings.upstream_urls().items()
        if str(url).startswith("smpp")
    }
    found = []
    for route in settings.all_routes():
        spoken = {alphabets[name] for name in route.upstreams if name in alphabets}
        if route.alphabet is None and len(spoken) > 1:
            raise SettingsError(
                f"routes, prefix {route.prefix!r}: its upstreams differ in default_alphabet; "
                "allowed: upstreams with the same, or an alphabet for the route"
            )
        # What everybody means by it needs no word.
        if route.alphabet is None and spoken - {"gsm7"}:
            route = replace(route, alphabet=spoken.pop())
        found.append(route)
    return Routes(found)


def worker(settings: Settings, store: Store) -> Worker:
    """What hands messages to the upstreams; `run` it."""
    aside: list[Callable[[], Awaitable[None]]] = []
    if settings.history_days is not None:
        history = _milliseconds(timedelta(days=settings.history_days))
        aside.append(partial(keep_house, store, history))
    aside.append(Push(store, allowed=networks(settings.callback_allow_private)).run)
    if settings.smtp_relay is not None:
        postman = Postman(
            store,
            Relay.from_url(settings.smtp_relay.get_secret_value()),
            sender=settings.mail_from or "",
            public_url=settings.external_url(),
        )
        aside.append(postman.run)
    return Worker(
        store,
        upstreams(settings),
        routes(settings),
        lease=_milliseconds(settings.lease),
        poll=settings.poll_interval.total_seconds(),
        failover_after=settings.failover_after.total_seconds(),
        stop_words=StopWords(settings.stop_words, settings.start_words),
        aside=aside,
    )


# The ways in.


def web_app(settings: Settings) -> ASGIApp:
    """SOAP, the HTTP API and the pages, in front of the gateway. To be made after the fork."""
    store = Store(settings.database_url.get_secret_value())
    gateway = _gateway(settings, store)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        await gateway.start()
        try:
            yield
        finally:
            await gateway.aclose()
            store.close()

    async def readiness() -> str | None:
        pending = await asyncio.to_thread(pending_migration, store)
        return None if pending is None else "the database is not at the schema of this version"

    backend = Deadline(gateway, settings.backend_timeout)
    return create_app(
        backend,
        public_url=settings.external_url(),
        soap=soap_server.SoapApp(backend, settings.external_url()),
        soap_paths=soap_server.PATHS,
        readiness=readiness,
        lifespan=lifespan,
        desk=Desk(
            gateway=gateway,
            store=store,
            sessions=Sessions(store),
            signup=Signup(store, by_mail=settings.smtp_relay is not None),
            routes=settings.all_routes(),
        ),
        mail_domain=settings.mail_domain if settings.mail_bind else None,
        proxies=[network for network in settings.proxies.split(",") if network],
    )


async def take_mail(settings: Settings, store: Store, listener: socket.socket) -> None:
    """Take mails at a listening socket until cancelled, and then answer what was taken."""
    gateway = _gateway(settings, store)
    server = MailServer(
        gateway,
        domain=settings.mail_domain or "",
        tls=settings.mail_tls_context(),
        max_size=settings.mail_max_size,
        timeout=settings.mail_timeout.total_seconds(),
        backend_timeout=settings.backend_timeout.total_seconds(),
        max_connections=settings.mail_connections,
        max_connections_per_network=settings.mail_per_network,
        mails_per_minute=settings.mail_rate,
    )
    await gateway.start()
    try:
        await server.start(listener)
        await asyncio.get_running_loop().create_future()
    finally:
        await server.stop()
        await gateway.aclose()


def _gateway(settings: Settings, store: Store) -> Gateway:
    return Gateway(
        store,
        routes(settings),
        default_region=settings.default_region,
        max_parts=settings.max_parts,
        validity=_milliseconds(settings.validity),
        queue_limit=settings.queue_limit,
    )


def soap_app(settings: Settings, backend: str) -> ASGIApp:
    """The SOAP face in front of a remote gateway, `backend` being its URL; SettingsError for a
    wrong one."""
    remote = _remote(settings, backend)
    soap = soap_server.SoapApp(remote, settings.external_url())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await go_on(scope, send)
        await soap(scope, receive, send)
        if scope["type"] == "lifespan":  # which lasts as long as the server
            await remote.aclose()

    return app


def check_backend(settings: Settings, backend: str) -> None:
    """SettingsError where `backend` is no URL of a gateway."""
    _remote(settings, backend)


def _remote(settings: Settings, backend: str) -> HttpBackend:
    try:
        return HttpBackend(backend, timeout=settings.backend_timeout.total_seconds())
    except ValueError as error:
        raise SettingsError(f"--backend {masked(backend)!r}: {error}") from None


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
