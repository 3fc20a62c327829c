"""Lists the countries that messages can be sent to, for people and programs."""

import json
from collections.abc import Sequence
from functools import cached_property
from xml.sax.saxutils import escape, quoteattr

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ...routing import routes as carriers
from ...sms.countries import Country, countries
from ..render import wants_json
from .site import Site


class CountryPages:
    """`/countries/`."""

    def __init__(self, site: Site, routes: Sequence[carriers.Route]) -> None:
        self._site = site
        self._routes = routes

    def routes(self) -> list[BaseRoute]:
        return [Route("/countries", self.show)]

    async def show(self, request: Request) -> Response:
        """The list as a page, in XML or in JSON, in the reader's language."""
        visit = self._site.visit(request)
        asked = request.query_params.get("format", "")
        headers = dict(request.scope["headers"])
        search = request.query_params.get("search", "").strip()
        found = [c for c in countries(visit.language) if _fits(c, search)]
        if wants_json(headers, asked):
            return self._site.data(self._json(found), "application/json")
        if asked == "xml" or (not asked and b"html" not in headers.get(b"accept", b"html")):
            return self._site.data(self._xml(found), "text/xml; charset=utf-8")
        return self._site.page(
            visit,
            "countries.html",
            {
                "here": "countries",
                "countries": [(country, self._state(country)) for country in found],
                "open": sum(country.code in self._open for country in found),
                "search": search,
            },
        )

    @cached_property
    def _open(self) -> frozenset[str]:
        # Computed on first use: it reads the numbering plans of all countries.
        return carriers.reachable_countries(self._routes)

    def _state(self, country: Country) -> str:
        return "open" if country.code in self._open else "closed"

    def _json(self, found: Sequence[Country]) -> bytes:
        listed = [
            {
                "code": country.code,
                "name": country.name,
                "dialling_code": country.dialling_code,
                "state": self._state(country),
            }
            for country in found
        ]
        return json.dumps({"countries": listed}, ensure_ascii=False).encode()

    def _xml(self, found: Sequence[Country]) -> bytes:
        rows = "".join(
            f"<country code={quoteattr(country.code)}"
            f" dialling_code={quoteattr(country.dialling_code)}"
            f" state={quoteattr(self._state(country))}>{escape(country.name)}</country>"
            for country in found
        )
        return f'<?xml version="1.0" encoding="UTF-8"?><countries>{rows}</countries>'.encode()


def _fits(country: Country, search: str) -> bool:
    wanted = search.casefold()
    number = search.removeprefix("00").lstrip("+").replace(" ", "")
    return (
        wanted in country.name.casefold()
        or wanted == country.code.casefold()
        or (number.isdigit() and number[:3].startswith(country.dialling_code[:3]))
        or (number.isdigit() and country.dialling_code.startswith(number))
    )
