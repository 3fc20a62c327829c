"""Builds the web application: SOAP, the HTTP API and the pages, in front of the gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

import soap_server

from .. import database
from ..accept.deadline import Deadline
from ..settings import Settings
from ..signup.requests import Signup
from ..signup.sessions import Sessions
from ..sms.stop_words import StopWords
from ..store import Store, pending_migration
from ..web.app import Hsts, create_app
from ..web.guesses import Guesses
from ..web.pages import PageServices
from ..web.pushes import Pushes, door_of
from ..web.wrong_keys import WrongKeys
from .gateway import gateway
from .limits import limits_of, proxies_of
from .upstreams import pushing

if TYPE_CHECKING:
    from ..deliver.arrivals import Arrivals


def hsts_of(settings: Settings) -> Hsts | None:
    """The Strict-Transport-Security header; None without the setting."""
    if settings.hsts_max_age is None:
        return None
    seconds = int(settings.hsts_max_age.total_seconds())
    return Hsts(max_age=seconds, is_tls=settings.certfile is not None)


def web_app(settings: Settings, guesses: Guesses) -> ASGIApp:
    """The whole web application. Make it after the fork, but `guesses` before."""
    store = Store(
        settings.database_url.get_secret_value(), database.seal(settings), database.limits(settings)
    )
    wrong_keys = WrongKeys(guesses, store)
    accepting = gateway(settings, store, wrong_keys.came)

    arrivals, pushes = _pushes(settings, store)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        await accepting.start()
        if arrivals is not None:
            await arrivals.start()
        try:
            async with store.clock.kept():
                yield
        finally:
            if arrivals is not None:
                await arrivals.aclose()
            await accepting.aclose()
            await wrong_keys.aclose()
            store.close()

    async def readiness() -> str | None:
        if store.clock.trouble:
            return store.clock.trouble
        pending = await asyncio.to_thread(pending_migration, store)
        return None if pending is None else "the database is not at the schema of this version"

    backend = Deadline(accepting, settings.backend_timeout)
    soap = soap_server.SoapApp(backend, settings.external_url())
    return create_app(
        backend,
        public_url=settings.external_url(),
        soap=soap,
        soap_paths=soap_server.PATHS,
        soap_entry=soap.answer,
        soap_unreadable=soap.unreadable,
        readiness=readiness,
        lifespan=lifespan,
        desk=PageServices(
            gateway=accepting,
            store=store,
            sessions=Sessions(store),
            signup=Signup(
                store,
                by_mail=settings.smtp_relay is not None,
                keys_per_network=settings.free_keys_per_network_per_day,
                fold_plus=settings.free_key_fold_plus,
            ),
            caps=settings.caps(),
            routes=settings.all_routes(),
            region=settings.default_region,
            audit_days=settings.audit_days,
            wrong_keys=wrong_keys,
        ),
        mail_domain=settings.mail_domain if settings.mail_bind else None,
        pushes=pushes,
        proxies=proxies_of(settings),
        limits=limits_of(settings),
        hsts=hsts_of(settings),
    )


def _pushes(settings: Settings, store: Store) -> "tuple[Arrivals | None, Pushes | None]":
    """The store and the application for pushes; None for both when no provider pushes."""
    found = pushing(settings)
    if not found:
        return None, None
    from ..deliver.arrivals import Arrivals

    patience = settings.backend_timeout.total_seconds()
    arrivals = Arrivals(
        store,
        stop_words=StopWords(settings.stop_words, settings.start_words),
        receipts_of={name: provider.receipts_of for name, provider in found.items()},
        patience=patience,
    )
    doors = {name: door_of(provider) for name, provider in found.items()}
    url = settings.external_url()
    return arrivals, Pushes(doors, arrivals.keep, public_url=url, patience=patience)
