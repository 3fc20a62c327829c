"""Builds the SOAP face alone, in front of a gateway somewhere else."""

from starlette.types import ASGIApp, Receive, Scope, Send

import soap_server

from ..remote.http_backend import HttpBackend
from ..settings import Settings, SettingsError, masked
from ..web.app import by_request_line, go_on
from ..web.express import Application
from .limits import limits_of


def soap_app(settings: Settings, backend: str) -> ASGIApp:
    """The SOAP face in front of the remote gateway at the URL `backend`; SettingsError for a wrong
    URL."""
    remote = _remote(settings, backend)
    soap = soap_server.SoapApp(remote, settings.external_url())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await go_on(scope, send)
        await soap(scope, receive, send)
        if scope["type"] == "lifespan":  # it lasts as long as the server
            await remote.aclose()

    entries = by_request_line({("POST", path): soap.answer for path in soap_server.PATHS})
    return Application(app, entries, soap.unreadable, limits_of(settings))


def check_backend(settings: Settings, backend: str) -> None:
    """SettingsError where `backend` is no URL of a gateway."""
    _remote(settings, backend)


def _remote(settings: Settings, backend: str) -> HttpBackend:
    try:
        return HttpBackend(backend, timeout=settings.backend_timeout.total_seconds())
    except ValueError as error:
        raise SettingsError(f"--backend {masked(backend)!r}: {error}") from None
