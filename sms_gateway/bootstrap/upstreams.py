"""Upstreams and routes."""

from dataclasses import replace
from urllib.parse import urlsplit

from ..routing.routes import Routes
from ..settings import TEST_UPSTREAM, SecretUrl, Settings, SettingsError
from ..upstream import Upstream, smpp_options


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
    # Imported where somebody has such a carrier.
    try:
        match urlsplit(text).scheme:
            case "sandbox":
                from ..upstream.sandbox import SandboxUpstream

                return SandboxUpstream.from_url(name, text)
            case "http" | "https":
                from ..upstream import relay, relay_options

                return relay.RelayUpstream(name, relay_options.options_from_url(text))
        from ..upstream.smpp import SmppUpstream

        return SmppUpstream(name, smpp_options.options_from_url(text))
    except ValueError as error:
        setting = "upstream" if name == "default" else f"upstreams.{name}"
        raise SettingsError(f"{setting} = {str(url)!r} is wrong; {error}") from None


def routes(settings: Settings) -> Routes:
    """All routes, each with the alphabet of its upstreams; SettingsError where these differ."""
    alphabets = {
        name: smpp_options.options_from_url(url.get_secret_value()).default_alphabet
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
