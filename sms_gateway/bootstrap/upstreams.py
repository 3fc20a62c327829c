"""Builds the upstreams and the routes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..routing.routes import Routes
from ..settings import TEST_UPSTREAM, SecretTable, SecretUrl, Settings, SettingsError
from ..upstream import Upstream, smpp_options
from ..upstream.push import TakesPushes
from ..upstream.url_options import from_query_as_text

if TYPE_CHECKING:
    from ..upstream.http_contract import Provider
    from ..upstream.http_provider import HttpProvider

#: The schemes of Android telephones.
_TELEPHONES = ("smsgate", "smsgates")
#: Those of Parlay X services.
_PARLAYX = ("parlayx", "parlayxs")


def check(settings: Settings) -> None:
    """SettingsError for a wrong upstream or route; opens nothing."""
    upstreams(settings)
    routes(settings)


def upstreams(settings: Settings) -> dict[str, Upstream]:
    """All upstreams by name, and the sandbox of test keys; SettingsError for a wrong one."""
    urls: dict[str, SecretUrl | SecretTable]
    urls = settings.upstream_urls() | {TEST_UPSTREAM: SecretUrl("sandbox:")}
    return {name: _upstream(name, url, settings.external_url()) for name, url in urls.items()}


def pushing(settings: Settings) -> dict[str, TakesPushes]:
    """The providers with a `push_secret`, by the names of their upstreams: they push receipts and
    messages to us. SettingsError for a wrong upstream; opens nothing."""
    found: dict[str, TakesPushes] = {}
    for name, url in settings.upstream_urls().items():
        with _explained(name, url):
            pusher = _pusher(name, url, settings.external_url())
        if pusher is not None and pusher.options.push_secret:
            found[name] = pusher
    return found


def described(
    name: str, given: SecretUrl | SecretTable, public_url: str = "", *, masked: bool = False
) -> "HttpProvider | None":
    """The provider of an upstream that is a table, or the URL of a provider by name; None for
    another. ValueError for a wrong one."""
    entries = given.get_secret_value()
    if isinstance(entries, str):
        scheme, _, query = entries.partition(":?")
        if not query or not scheme.isalnum() or scheme == "sandbox":
            return None
        entries = {"kind": scheme, **from_query_as_text(query)}
    from ..upstream.http_kinds import provider

    return provider(entries, lambda secret: push_address(public_url, name, secret), masked=masked)


def masked(name: str, settings: Settings) -> "HttpProvider | None":
    """As `described`, with *** for secrets."""
    given = settings.upstream_urls()[name]
    with _explained(name, given):
        return described(name, given, settings.external_url(), masked=True)


def push_address(public_url: str, name: str, secret: str) -> str:
    """The address that the provider of an upstream pushes to."""
    from ..web.pushes import address

    return address(public_url, name, secret)


def _upstream(name: str, url: SecretUrl | SecretTable, public_url: str) -> Upstream:
    # Import a kind of upstream only where the settings have one.
    with _explained(name, url):
        found = described(name, url, public_url)
        if found is not None:
            from ..upstream.http import HttpUpstream

            return HttpUpstream(name, found)
        text = _url(url)
        if urlsplit(text).scheme == "sandbox":
            from ..upstream.sandbox import SandboxUpstream

            return SandboxUpstream.from_url(name, text)
        if urlsplit(text).scheme == "modem":
            from ..upstream import modem, modem_options

            return modem.ModemUpstream(name, modem_options.options_from_url(text))
        if urlsplit(text).scheme in _TELEPHONES:
            from ..upstream import phone

            phones = phone.provider(text)
            return phone.PhoneUpstream(name, phones, _address(public_url, name, phones))
        if urlsplit(text).scheme in _PARLAYX:
            from ..upstream import parlayx

            services = parlayx.provider(text)
            services.address = _address(public_url, name, services)
            return parlayx.ParlayXUpstream(name, services)
        provider = _provider(text)
        if provider is not None:
            from ..upstream.http import HttpUpstream

            return HttpUpstream(name, provider)
        from ..upstream.smpp import SmppUpstream

        return SmppUpstream(name, smpp_options.options_from_url(text))


def _url(given: SecretUrl | SecretTable) -> str:
    text = given.get_secret_value()
    assert isinstance(text, str)
    return text


def _pusher(name: str, given: SecretUrl | SecretTable, public_url: str) -> TakesPushes | None:
    """What pushes to an upstream; None where nothing can. ValueError for a wrong one."""
    found = described(name, given, public_url)
    if found is not None:
        return found
    url = _url(given)
    if urlsplit(url).scheme in _TELEPHONES:
        from ..upstream import phone

        return phone.provider(url)
    if urlsplit(url).scheme in _PARLAYX:
        from ..upstream import parlayx

        return parlayx.provider(url)
    provider = _provider(url)
    return provider if isinstance(provider, TakesPushes) else None


def _address(public_url: str, name: str, pusher: TakesPushes) -> str:
    """Where an upstream is pushed to; empty where nothing is."""
    secrets = pusher.options.push_secrets()
    return push_address(public_url, name, secrets[0]) if secrets else ""


def _provider(url: str) -> "Provider | None":
    """The provider of an HTTP upstream; None for another kind. ValueError for a wrong URL."""
    match urlsplit(url).scheme:
        case "http" | "https":
            from ..upstream import relay

            return relay.provider(url)
    return None


@contextmanager
def _explained(name: str, given: SecretUrl | SecretTable) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        setting = "upstream" if name == "default" else f"upstreams.{name}"
        if isinstance(given, SecretTable):
            raise SettingsError(f"{setting}: {error}") from None
        raise SettingsError(f"{setting} = {str(given)!r} is wrong; {error}") from None


def routes(settings: Settings) -> Routes:
    """All routes, each with the alphabet of its upstreams; SettingsError where they differ."""
    alphabets = {
        name: smpp_options.options_from_url(_url(url)).default_alphabet
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
        # GSM 7-bit is the default and stays unset.
        if route.alphabet is None and spoken - {"gsm7"}:
            route = replace(route, alphabet=spoken.pop())
        found.append(route)
    return Routes(found)
