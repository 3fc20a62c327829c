"""Builds the one ASGI application: SOAP, the HTTP API and the pages.

The paths that carry the traffic are looked up in a table; all others go through a router.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..backend import Backend
from ..codes import Code
from ..network.clients import Networks
from . import api
from .crowd import DEFAULT_LIMITS, Limits
from .express import Application, Entry, Unreadable, send_response
from .express import Response as Answered
from .incident import report
from .pages import Pages, PageServices
from .pushes import PREFIX

#: None when requests can be served, otherwise the reason why not, in words for operators.
Readiness = Callable[[], Awaitable[str | None]]
#: A context that the server enters when it starts and leaves when it stops.
Lifespan = Callable[[], AbstractAsyncContextManager[object]]

# Seconds that the readiness check may take; probes commonly give up after ten.
_READINESS_DEADLINE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hsts:
    """Has browsers come by HTTPS only (RFC 6797)."""

    #: Seconds for which browsers use HTTPS only; 0 has them forget the rule.
    max_age: int
    #: Whether all requests come by TLS to this very server.
    is_tls: bool

    @property
    def header(self) -> tuple[bytes, bytes]:
        """The header, for answers over HTTPS only (section 7.2)."""
        return b"strict-transport-security", b"max-age=%d" % self.max_age


async def _always_ready() -> str | None:
    return None


def create_app(
    backend: Backend,
    *,
    public_url: str,
    soap: ASGIApp | None = None,
    soap_paths: Iterable[str] = (),
    soap_entry: Entry | None = None,
    soap_unreadable: Unreadable | None = None,
    readiness: Readiness = _always_ready,
    lifespan: Lifespan = nullcontext,
    desk: PageServices | None = None,
    mail_domain: str | None = None,
    pushes: ASGIApp | None = None,
    proxies: Sequence[str] = (),
    limits: Limits = DEFAULT_LIMITS,
    hsts: Hsts | None = None,
) -> Application:
    """The application in front of one backend.

    `soap` answers on each of `soap_paths`, with or without a trailing slash, and sees every
    request method and header as it came. `soap_entry` answers a POST there without ASGI, and
    `soap_unreadable` a request that cannot be read. Clients reach the server at `public_url`, and
    mails go to addresses at `mail_domain`. `proxies` are the networks of trusted proxies, whose
    headers name the client. `limits` bound the connections and bodies of each network. `pushes`
    answers the pushes of providers. `hsts` is the Strict-Transport-Security header. Without a
    `desk` there are no pages that need the store.
    """
    pages = Pages(backend, public_url, desk=desk, mail_domain=mail_domain, proxies=proxies)
    hot: dict[str, ASGIApp] = {}
    endpoints, entries = api.endpoints(backend), api.entries(backend)
    if soap is not None:
        endpoints |= dict.fromkeys(soap_paths, soap)
    if soap_entry is not None:
        entries |= {("POST", path): soap_entry for path in soap_paths}
    for path, endpoint in endpoints.items():
        bare = path.rstrip("/")
        hot[bare] = hot[f"{bare}/"] = endpoint

    router = Router(
        [
            Route("/healthz", _healthz),
            Route("/readyz", _readyz(readiness)),
            *([Mount(PREFIX, pushes)] if pushes is not None else []),
            *pages.routes(),
        ],
        redirect_slashes=False,
        default=_not_found,
    )
    others = ExceptionMiddleware(router, {HTTPException: pages.http_problem})

    networks = Networks(proxies)

    def is_secure(scope: Scope) -> bool:
        if hsts is None or hsts.is_tls:
            return hsts is not None
        host = scope["client"][0] if scope["client"] else ""
        return networks.by_https(host, scope["headers"])

    async def fail(incident: str, scope: Scope, receive: Receive, send: Send) -> None:
        # Programs get even this answer in the format of the API.
        if scope["path"] in hot:
            headers = dict(scope["headers"])
            await send_response(send, api.failed(incident, scope["query_string"], headers))
        else:
            why = f"{Code.INTERNAL.sentence} (incident {incident})"
            await pages.problem(scope, 500, why)(scope, receive, send)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(lifespan, receive, send)
            return
        if scope["type"] != "http":
            return
        started, is_hot = False, True
        head = scope["method"] == "HEAD"

        async def noting_send(message: Message) -> None:
            nonlocal started
            started = True
            if head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            # Programs have no use for the HSTS header.
            if message["type"] == "http.response.start" and not is_hot and is_secure(scope):
                assert hsts is not None
                message = {**message, "headers": [*message["headers"], hsts.header]}
            await send(message)

        try:
            await go_on(scope, send)
            handler = hot.get(scope["path"])
            if handler is None:
                path = _path(scope["path"])
                handler = hot.get(path, others)
                is_hot = handler is not others
                scope = {**scope, "path": path, "app": app}
            await handler(scope, receive, noting_send)
        except Exception as error:
            incident = report(error)
            if not started:
                await fail(incident, scope, receive, send)

    def unreadable(
        status: int, why: str, path: bytes, query: bytes, headers: Mapping[bytes, bytes]
    ) -> Answered:
        is_soap = soap is not None and hot.get(path.decode("latin-1")) is soap
        answer = soap_unreadable if soap_unreadable and is_soap else api.unreadable
        return answer(status, why, path, query, headers)

    return Application(app, by_request_line(entries), unreadable, limits)


def by_request_line(entries: Mapping[tuple[str, str], Entry]) -> dict[bytes, Entry]:
    """Entries by method and path as a request line has them, with and without trailing slash."""
    return {
        f"{method} {path.rstrip('/')}{slash}".encode(): entry
        for (method, path), entry in entries.items()
        for slash in ("", "/")
    }


async def go_on(scope: Scope, send: Send) -> None:
    """Send 100 Continue where the client waits for it (RFC 9110, section 10.1.1).

    gunicorn 26 leaves this to the application. Without it .NET and PHP wait up to a second.
    """
    if (b"expect", b"100-continue") in scope["headers"]:
        await send({"type": "http.response.informational", "status": 100, "headers": []})


def _path(target: str) -> str:
    """The path of a request in absolute form (RFC 9112, section 3.2.2), without its last slash."""
    if not target.startswith("/"):
        target = "/" + target.partition("://")[2].partition("/")[2]
    return target.rstrip("/") or "/"


async def _live(lifespan: Lifespan, receive: Receive, send: Send) -> None:
    """Run the server's start and stop (ASGI lifespan specification 2.0)."""
    phase = "startup"
    await receive()
    try:
        async with lifespan():
            await send({"type": "lifespan.startup.complete"})
            phase = "shutdown"
            await receive()
    except Exception as error:
        message = f"incident {report(error)}"
        await send({"type": f"lifespan.{phase}.failed", "message": message})
    else:
        await send({"type": "lifespan.shutdown.complete"})


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise HTTPException(404)


async def _healthz(request: Request) -> Response:
    return PlainTextResponse("alive\n", headers={"cache-control": "no-store"})


def _readyz(readiness: Readiness) -> Callable[[Request], Awaitable[Response]]:
    async def readyz(request: Request) -> Response:
        try:
            async with asyncio.timeout(_READINESS_DEADLINE):
                reason = await readiness()
        except TimeoutError:
            reason = f"no answer within {_READINESS_DEADLINE:g} seconds"
        except Exception as error:
            reason = f"incident {report(error)}"
        headers = {"cache-control": "no-store"}
        if reason is None:
            return PlainTextResponse("ready\n", headers=headers)
        return PlainTextResponse(f"not ready: {reason}\n", 503, headers)

    return readyz
