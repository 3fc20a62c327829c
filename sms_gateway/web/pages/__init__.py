"""Serves the pages for people: they need no JavaScript and load nothing from elsewhere."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from ... import callers
from ...backend import Backend, PageBackend
from ...callers import Face
from ...caps import NO_CAPS, OperatorCaps
from ...network.asgi_body import UnusableError
from ...routing import routes as carriers
from ...signup.requests import Signup
from ...signup.sessions import Sessions
from ...sms.readings import readings
from ...store import Store
from ..render import as_json, as_xml, not_sent, wants_json
from ..wrong_keys import WrongKeys
from .account import AccountPages
from .countries import CountryPages
from .developer import DeveloperPage
from .free_key import FreeKeyPages
from .site import ForgedError, Site
from .trial import TrialPages


@dataclass(frozen=True, slots=True, kw_only=True)
class PageServices:
    """The services that pages need besides the `Backend`; some pages need none."""

    gateway: PageBackend
    store: Store
    sessions: Sessions
    signup: Signup
    routes: Sequence[carriers.Route]
    caps: OperatorCaps = NO_CAPS
    #: The country of numbers without a country code (ISO 3166 alpha-2); None: they need one.
    region: str | None = None
    #: For how many days the audit trail is kept.
    audit_days: int = 365
    wrong_keys: WrongKeys


class Pages:
    """The pages of one gateway."""

    def __init__(
        self,
        backend: Backend,
        public_url: str,
        *,
        desk: PageServices | None = None,
        mail_domain: str | None = None,
        proxies: Sequence[str] = (),
    ) -> None:
        self._site = Site(public_url, proxies=proxies)
        trial = TrialPages(
            self._site,
            backend,
            checking=None if desk is None else desk.gateway,
            store=None if desk is None else desk.store,
            wrong_keys=None if desk is None else desk.wrong_keys,
            read=None if desk is None else partial(readings, region=desk.region),
        )
        self._routes: list[BaseRoute] = [
            *DeveloperPage(self._site, mail_domain=mail_domain).routes(),
            *trial.routes(),
        ]
        if desk is not None:
            self._routes += [
                *CountryPages(self._site, desk.routes).routes(),
                *FreeKeyPages(self._site, desk.signup).routes(),
                *AccountPages(
                    self._site,
                    desk.gateway,
                    desk.store,
                    desk.sessions,
                    mail_domain=mail_domain,
                    caps=desk.caps,
                    region=desk.region,
                    audit_days=desk.audit_days,
                    wrong_keys=desk.wrong_keys,
                ).routes(),
            ]

    def routes(self) -> list[BaseRoute]:
        """All pages, by their paths without the trailing slash."""
        return [
            *(self._guarded(route) for route in self._routes),
            Route("/static/{version}/{name}", self._site.static),
        ]

    def _guarded(self, route: BaseRoute) -> BaseRoute:
        assert isinstance(route, Route)
        answer: Callable[[Request], Awaitable[Response]] = route.endpoint

        async def guarded(request: Request) -> Response:
            callers.current().face = Face.PAGE
            try:
                return await answer(request)
            except UnusableError as error:
                return self.problem(request.scope, error.status, error.why)
            except ForgedError:
                return self.problem(request.scope, 403, FORGED)

        return Route(route.path, guarded, methods=route.methods and list(route.methods))

    def problem(self, scope: Scope, status: int, why: str) -> Response:
        """A short page with the reason `why` for a refusal."""
        return self._site.problem(scope, status, why)

    async def http_problem(self, request: Request, error: Exception) -> Response:
        """404, 405 and the like: a page for browsers, a reply with code 7 for programs."""
        assert isinstance(error, HTTPException)
        why = PROBLEMS.get(error.status_code, MISUNDERSTOOD)
        headers = dict(request.scope["headers"])
        if b"text/html" in headers.get(b"accept", b""):
            response = self.problem(request.scope, error.status_code, why)
        elif wants_json(headers):
            reply = as_json(not_sent(why))
            response = self._site.data(reply, "application/json", error.status_code)
        else:
            reply = as_xml(not_sent(why))
            response = self._site.data(reply, "text/xml; charset=utf-8", error.status_code)
        response.headers.update(error.headers or {})
        return response


# Sentences of the error page; the template looks them up.
PROBLEMS = {
    404: "There is nothing at this address",
    405: "This cannot be done here",
}
MISUNDERSTOOD = "This request is not understood"
FORGED = "This form is too old, or did not come from here: open the page again"
