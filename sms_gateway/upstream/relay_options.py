"""What one relay needs to know, and how it is written as a URL."""

from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

_LIMITS: dict[str, tuple[float, float]] = {
    "window": (1, 10_000),
    "rate": (0.01, 100_000),
    "response_timeout": (0.01, 600),
    "connect_timeout": (0.01, 600),
    "poll_interval": (0.01, 86_400),
    "reconnect_delay": (0.01, 3_600),
    "reconnect_delay_max": (0.01, 3_600),
    "locked_out_delay": (0.01, 86_400),
    "stop_timeout": (0, 600),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """A server that speaks /sendsms/. Times are in seconds. ValueError for what cannot be."""

    #: http or https, without the options.
    url: str
    apikey: str = field(default="", repr=False)
    #: See `SmppOptions`; for https only.
    cafile: str = ""
    certfile: str = ""
    keyfile: str = ""
    tls_name: str = ""
    #: The other end knows Idempotency-Key, so that what it did not answer may be said again.
    idempotent: bool = False
    #: The other end is a sendSmsNow: it is asked at /status/ what became of messages.
    receipts: bool = False
    #: The other end lets our key name senders: it is told who each message is from.
    sender: bool = False
    #: The most parts that wait for an answer at a time.
    window: int = 10
    #: The most parts per second; None leaves it to the other end to refuse.
    rate: float | None = None
    #: How long an answer may take before nobody knows what became of the message.
    response_timeout: float = 30
    connect_timeout: float = 10
    #: Before /status/ is asked first; doubled each time, up to five minutes.
    poll_interval: float = 2
    #: Before a server that could not be reached is tried again; doubled each time.
    reconnect_delay: float = 1
    reconnect_delay_max: float = 60
    #: After a wrong key or path, which only people can put right.
    locked_out_delay: float = 60
    #: How long answers are waited for when the gateway stops.
    stop_timeout: float = 5

    def __post_init__(self) -> None:
        if not self.apikey:
            raise ValueError("the apikey is missing")
        if not self.apikey.isascii() or not self.apikey.isprintable():
            raise ValueError("apikey: visible ASCII characters are allowed")
        for name in ("cafile", "certfile", "keyfile", "tls_name"):
            if getattr(self, name) and not self.url.startswith("https:"):
                raise ValueError(f"{name}: only https:// has certificates")
        for name, (least, most) in _LIMITS.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ValueError(f"{name}={value}: allowed is {least:g} to {most:g}")


#: What may stand in the query of the URL, by name.
PARAMETERS = {f.name: f.type for f in fields(RelayOptions) if f.name != "url"}


def options_from_url(url: str) -> RelayOptions:
    """Read https://HOST/sendsms/?apikey=KEY or https://:KEY@HOST/, with options in the query.

    Raises ValueError, in one line that names the parameter and what is allowed; it never holds
    the key or the URL.
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
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in PARAMETERS:
            raise ValueError(f"{name}: no such parameter; allowed are {', '.join(PARAMETERS)}")
        if name in given:
            raise ValueError(f"{name}: given twice")
        given[name] = _value(name, value)
    netloc = f"[{host}]" if ":" in host else host
    netloc += "" if port is None else f":{port}"
    plain = parts._replace(netloc=netloc, query="", fragment="").geturl()
    return RelayOptions(url=plain, **given)


def _value(name: str, value: str) -> Any:
    if name in ("idempotent", "receipts", "sender"):
        if value not in ("0", "1"):
            raise ValueError(f"{name}={value}: allowed is 0 or 1")
        return value == "1"
    if name not in _LIMITS:
        return value
    whole = PARAMETERS[name] is int
    try:
        return int(value) if whole else float(value)
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{name}={value}: allowed is {kind}") from None
