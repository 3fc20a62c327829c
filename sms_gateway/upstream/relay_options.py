"""Holds the options of a relay, and reads them from its URL."""

import base64
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import unquote, urlsplit

from .http_options import HttpOptions, options_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions(HttpOptions):
    """A server that speaks /sendsms/. Times are in seconds. ValueError for an impossible option."""

    apikey: str = field(default="", repr=False)
    #: The other end is a sendSmsNow: ask it at /status/ for the states of messages.
    receipts: bool = False
    #: The secret with which the other end signs its callbacks: whsec_…; empty: not verified.
    callback_secret: str = field(default="", repr=False)
    #: The other end lets our key set the sender ID: send it with each message.
    sender: bool = False

    def __post_init__(self) -> None:
        HttpOptions.__post_init__(self)
        if not self.apikey:
            raise ValueError("the apikey is missing")
        if not self.apikey.isascii() or not self.apikey.isprintable():
            raise ValueError("apikey: visible ASCII characters are allowed")
        if self.callback_secret:
            self.callback_key()
            if not self.push_secret:
                raise ValueError("callback_secret: it goes with push_secret")

    def callback_key(self) -> bytes:
        """The key in `callback_secret`."""
        try:
            if self.callback_secret.startswith("whsec_"):
                return base64.b64decode(self.callback_secret[6:], validate=True)
        except ValueError:
            pass
        raise ValueError("callback_secret: allowed is the whsec_… that the other end has printed")


#: The type of each parameter in the query of the URL, by name.
PARAMETERS = {f.name: f.type for f in fields(RelayOptions) if f.name != "url"}


def options_from_url(url: str) -> RelayOptions:
    """Read https://HOST/sendsms/?apikey=KEY or https://:KEY@HOST/, with options in the query.

    Raises ValueError, in one line that names the parameter and the allowed values; the line never
    holds the key or the URL.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("host and port cannot be read") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("a relay's address begins with http://HOST or https://HOST")
    if parts.fragment:
        raise ValueError("nothing but ?name=value may follow the path")
    if parts.username:
        raise ValueError("the key is written https://:KEY@HOST/, without a user")
    given: dict[str, Any] = {"apikey": unquote(parts.password)} if parts.password else {}
    netloc = f"[{host}]" if ":" in host else host
    netloc += "" if port is None else f":{port}"
    plain = parts._replace(netloc=netloc, query="", fragment="").geturl()
    return RelayOptions(url=plain, **options_of(RelayOptions, parts.query, given))
