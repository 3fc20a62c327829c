"""Serves the pages for a free key: ask with an address, follow the mailed link, get the key."""

import asyncio
import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ...accounts import FREE_RATE
from ...signup.requests import Asked, Signup, TooManyKeysError, normal_address
from .guess_limiter import GuessLimiter
from .site import Site, Visit


class FreeKeyPages:
    """`/apikey/`."""

    def __init__(self, site: Site, signup: Signup) -> None:
        self._site = site
        self._signup = signup
        self._slow = GuessLimiter(tries=20, seconds=30.0)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/apikey", self.ask, methods=["GET", "POST"]),
            Route("/apikey/confirm/{token}", self.confirm, methods=["GET", "POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        """The form; the answer does not tell whether an address has a key already."""
        visit = self._site.visit(request)
        if request.method != "POST":
            return self._page(visit)
        fields = await self._site.form(request, visit)
        text = fields.get("address", "")[:300]
        now = time.monotonic()
        if self._slow.wait(visit.network, now):
            return self._page(visit, address=text, problem=TOO_OFTEN, status=429)
        self._slow.failed(visit.network, now)
        address = normal_address(text)
        if address is None:
            return self._page(visit, address=text, problem=NO_ADDRESS, status=400)
        asked = await asyncio.to_thread(
            self._signup.ask, address, language=visit.language, network=visit.network
        )
        if asked is Asked.TOO_OFTEN:
            return self._page(visit, address=text, problem=TOO_OFTEN, status=429)
        return self._page(visit, address=address, asked=True)

    def _page(
        self,
        visit: Visit,
        *,
        address: str = "",
        problem: str = "",
        asked: bool = False,
        status: int = 200,
    ) -> Response:
        context = {
            "here": "apikey",
            "address": address,
            "problem": problem,
            "asked": asked,
            "by_mail": self._signup.by_mail,
            "rate": str(FREE_RATE),
        }
        return self._site.page(visit, "apikey.html", context, status)

    async def confirm(self, request: Request) -> Response:
        """The page that the mailed link opens; its button makes the key.

        Opening the link changes nothing, as programs that scan mails open links, too.
        """
        visit = self._site.visit(request)
        token = request.path_params["token"]
        if request.method != "POST":
            address = await asyncio.to_thread(self._signup.address_of, token)
            status = 200 if address else 404
            return self._confirm_page(visit, status, address=address)
        await self._site.form(request, visit)
        try:
            key = await asyncio.to_thread(self._signup.confirm, token)
        except TooManyKeysError:
            return self._confirm_page(visit, 429, full=True)
        if key is None:
            return self._confirm_page(visit, 404)
        return self._site.page(visit, "key.html", {"key": key, "rotated": False})

    def _confirm_page(
        self, visit: Visit, status: int, *, address: str | None = None, full: bool = False
    ) -> Response:
        """The button for an address; without one, why there is none. `full`: for today."""
        context = {"address": address, "full": full}
        return self._site.page(visit, "confirm.html", context, status)


# Sentences of the page; the template looks them up.
NO_ADDRESS = "This is no mail address"
TOO_OFTEN = "Too many requests came from your network: try again in an hour"
