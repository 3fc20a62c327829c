"""Provides what all pages share: templates in two languages, static files, headers, visitors."""

import hashlib
import hmac
import mimetypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from urllib.parse import urlsplit

from babel.dates import format_date, format_datetime, format_skeleton
from babel.numbers import format_decimal
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from ... import __version__
from ...errors import GatewayError
from ...moments import iso, utc
from ...network.clients import Networks
from ...signup.sessions import new_token
from ...sms.message import State
from ...words import LANGUAGES, preferred, words
from ...words.reasons import in_words
from .. import params
from . import headers

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "vary": "Accept-Language, Cookie",
}
_FOREVER = "public, max-age=31536000, immutable"
#: Seconds that browsers keep the cookie; a session in the store ends before.
_COOKIE_LASTS = 30 * 86_400

Fields = Mapping[str, str]

#: The title of the error page, by its status; the template looks it up.
TITLES = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    415: "Unsupported Media Type",
}
ERROR = "Error"

#: The number of deliveries in a state, where they are in several; the template looks up the words.
COUNTED = {state: (f"%(num)d {state}", f"%(num)d {state}") for state in State}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The visitor of a page, as far as the browser tells."""

    language: str
    #: The value of the cookie: a secret, to which a session may belong.
    token: str
    #: The secret is new: the request had no cookie.
    fresh: bool
    #: The visitor's network, for limits: a /24, or a /48 of IPv6.
    network: str

    @property
    def form_token(self) -> str:
        """The token that the visitor's forms have to contain; it does not reveal the cookie."""
        return hashlib.sha256(b"form " + self.token.encode()).hexdigest()


class ForgedError(GatewayError):
    """A form came from another site or another browser, or is too old."""


class Site:
    """The pages of one server."""

    def __init__(self, public_url: str, *, proxies: Sequence[str] = ()) -> None:
        url = urlsplit(public_url)
        #: The path of the site when a proxy puts it below the root of another site.
        self.root = url.path.rstrip("/")
        self.public_url = public_url.rstrip("/")
        self.secure = url.scheme == "https"
        # Because of the prefix, browsers take this cookie from this very host only (RFC 6265bis,
        # 4.1.3.2).
        self._cookie = "__Host-visit" if self.secure else "visit"
        self._networks = Networks(proxies)
        self._static = _static_files()
        self._environments = {language: self._environment(language) for language in LANGUAGES}

    def _environment(self, language: str) -> Environment:
        environment = Environment(
            loader=PackageLoader("sms_gateway.web"),
            autoescape=select_autoescape(["html"]),  # samples are no HTML until they are shown
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        sentences = words(language)
        environment.install_gettext_callables(  # type: ignore[attr-defined]
            sentences.gettext, sentences.ngettext, newstyle=True
        )
        environment.globals.update(
            root=self.root,
            public_url=self.public_url,
            version=__version__,
            language=language,
            counted=COUNTED,
            static=self.static_url,
        )
        environment.filters.update(_filters(language), reason=partial(in_words, words=sentences))
        return environment

    # Answers.

    def render(self, language: str, template: str, context: Mapping[str, object]) -> str:
        """A template with its values in place."""
        return self._environments[language].get_template(template).render(context)

    def page(
        self, visit: Visit, template: str, context: Mapping[str, object], status: int = 200
    ) -> Response:
        """A page."""
        context = {"here": "", **context, "form_token": visit.form_token}
        response = HTMLResponse(
            self.render(visit.language, template, context),
            status,
            headers={**_HEADERS, "content-language": visit.language},
        )
        if visit.fresh:
            self.remember(response, visit.token)
        return response

    def see(self, path: str) -> Response:
        """Redirect to one of our own pages, after a form was taken."""
        return RedirectResponse(f"{self.root}{path}", 303, headers=_HEADERS)

    def data(self, body: bytes, content_type: str, status: int = 200) -> Response:
        """An answer for programs."""
        return Response(body, status, headers={**_HEADERS, "content-type": content_type})

    def problem(self, scope: Scope, status: int, why: str) -> Response:
        """A short page with the reason `why` for a refusal."""
        visit = self.visit(Request(scope))
        title = TITLES.get(status, ERROR)
        return self.page(visit, "problem.html", {"title": title, "why": why}, status)

    def remember(self, response: Response, token: str) -> None:
        """Have the browser keep a secret in the cookie."""
        response.set_cookie(
            self._cookie,
            token,
            max_age=_COOKIE_LASTS,
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def forget(self, response: Response) -> None:
        """Have the browser delete the cookie."""
        response.delete_cookie(self._cookie, secure=self.secure, httponly=True, samesite="lax")

    # Requests.

    def visit(self, request: Request) -> Visit:
        """The visitor who sent a request; a browser without a cookie gets one with the answer."""
        token = headers.token(request.scope["headers"], self._cookie)
        peer = request.client.host if request.client else ""
        return Visit(
            language=preferred(request.headers.get("accept-language", "")),
            token=token or new_token(),
            fresh=not token,
            network=self._networks.client(peer, request.scope["headers"]),
        )

    async def form(self, request: Request, visit: Visit) -> Fields:
        """The fields of a form; ForgedError when it is not one of ours."""
        # Browsers tell whether the page with the form is of this site (W3C Fetch Metadata).
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise ForgedError
        fields = await params.receive(request.scope, request.receive)
        given = fields.get("form_token", "").encode("utf-8", "replace")
        if visit.fresh or not hmac.compare_digest(given, visit.form_token.encode()):
            raise ForgedError
        return fields

    # Static files.

    def static_url(self, name: str) -> str:
        """The URL of a static file; it changes with the file's content."""
        return f"{self.root}/static/{self._static[name].version}/{name}"

    async def static(self, request: Request) -> Response:
        """A static file, which browsers may cache for ever."""
        file = self._static.get(request.path_params["name"])
        if file is None or file.version != request.path_params["version"]:
            raise HTTPException(404)
        usual = {
            "cache-control": _FOREVER,
            "content-type": file.content_type,
            "x-content-type-options": "nosniff",
        }
        return Response(file.content, headers=usual)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Static:
    content: bytes
    content_type: str
    #: The first digits of its digest.
    version: str


def _static_files() -> dict[str, _Static]:
    found = {}
    for file in files("sms_gateway.web").joinpath("static").iterdir():
        content = file.read_bytes()
        kind, _ = mimetypes.guess_type(file.name)
        found[file.name] = _Static(
            content=content,
            content_type=f"{kind}; charset=utf-8",
            version=hashlib.sha256(content).hexdigest()[:16],
        )
    return found


def _filters(language: str) -> Mapping[str, Callable[..., str]]:
    """The template filters that write times and numbers in a language."""
    locale = {"en": "en_GB"}.get(language, language)

    return {
        "time": lambda ms: f"{format_datetime(utc(ms), 'medium', locale=locale)} UTC",
        "iso": iso,
        "day": lambda ms: format_date(utc(ms).date(), "medium", locale=locale),
        "short_day": lambda ms: format_skeleton("MMMd", utc(ms), locale=locale),
        "number": lambda number: format_decimal(number, locale=locale),
    }
