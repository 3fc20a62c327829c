"""The pages for people: they work without JavaScript and load nothing from elsewhere."""

import secrets
from http import HTTPStatus
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from ..backend import Backend, content_key
from ..codes import MAX_RECIPIENTS, Code
from . import params
from .render import as_json, as_xml, not_sent, wants_json

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Pages:
    """The pages of one gateway."""

    def __init__(self, backend: Backend, public_url: str) -> None:
        self._backend = backend
        self._templates = Environment(
            loader=PackageLoader("sms_gateway.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(
            # Where the site is when a proxy puts it below another one's root.
            root=urlsplit(public_url).path.rstrip("/"),
            public_url=public_url.rstrip("/"),
            codes=list(Code),
            most=MAX_RECIPIENTS,
        )

    def routes(self) -> list[BaseRoute]:
        """All pages; a path stands here without its trailing slash."""
        return [
            Route("/sendsms/test", self.test, methods=["GET", "POST"]),
            Mount("/static", StaticFiles(packages=[("sms_gateway.web", "static")])),
        ]

    async def test(self, request: Request) -> Response:
        """The test page: sends a message and shows the reply as a program would get it."""
        if request.method != "POST":
            return self._test_page({}, 200)
        try:
            headers = dict(request.scope["headers"])
            fields = await params.read(request.scope, headers, request.receive)
        except params.Unusable as error:
            return self.problem(error.status, error.why)
        recipients, message = fields.get("recipients", ""), fields.get("message", "")
        # Loading the answer again is no second message; sending another text from the same form is.
        once = fields.get("once", "")
        key = content_key(f"test page {once}", recipients, message) if once else ""
        reply = await self._backend.sendsms(
            recipients, message, fields.get("apikey", ""), idempotency_key=key
        )
        return self._test_page(
            {
                "recipients": recipients,
                "message": message,
                "reply": reply,
                "xml": as_xml(reply).decode(),
                "json": as_json(reply).decode(),
            },
            503 if reply.retry_after else 200,
        )

    def _test_page(self, context: dict[str, object], status: int) -> Response:
        blank = {"recipients": "", "message": "", "reply": None}
        return self._page("test.html", blank | context | {"once": secrets.token_hex(16)}, status)

    def _page(self, template: str, context: dict[str, object], status: int) -> Response:
        html = self._templates.get_template(template).render(context)
        return HTMLResponse(html, status, headers=_HEADERS)

    def problem(self, status: int, why: str) -> Response:
        """A short page that says what is wrong."""
        title = HTTPStatus(status).phrase
        return self._page("problem.html", {"title": title, "why": why}, status)

    async def http_problem(self, request: Request, error: Exception) -> Response:
        """404, 405 and the like: a page for browsers, a reply with code 7 for programs."""
        assert isinstance(error, HTTPException)
        known = {404: "There is nothing at this address", 405: "This cannot be done here"}
        why = known.get(error.status_code, "This request is not understood")
        headers = dict(request.scope["headers"])
        if b"text/html" in headers.get(b"accept", b""):
            response = self.problem(error.status_code, why)
        elif wants_json(headers):
            response = Response(as_json(not_sent(why)), error.status_code, _HEADERS)
            response.headers["content-type"] = "application/json"
        else:
            response = Response(as_xml(not_sent(why)), error.status_code, _HEADERS)
            response.headers["content-type"] = "text/xml; charset=utf-8"
        response.headers.update(error.headers or {})
        return response
