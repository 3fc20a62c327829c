"""Holds the options of HTTP upstreams, and reads them from the query of their URLs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from .url_options import Limits, check_limits, from_query

#: The most secrets of an address: the new one, and old ones that a provider may still use.
MOST_SECRETS = 3
# 22 characters are 128 random bits (`sendsmsnow upstream new-secret` draws 256).
_SECRET = re.compile(r"[A-Za-z0-9_-]{22,128}")

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
class HttpOptions:
    """A provider's server. Times are in seconds. ValueError for an impossible option."""

    #: http or https, without the options.
    url: str
    #: See `SmppOptions`; for https only.
    cafile: str = ""
    certfile: str = ""
    keyfile: str = ""
    tls_name: str = ""
    #: The provider deduplicates requests, so that an unanswered request may be repeated.
    idempotent: bool = False
    #: The secrets in the address that the provider pushes to, the newest first, separated by
    #: commas; empty: nothing is pushed.
    push_secret: str = field(default="", repr=False)
    #: The most parts that wait for an answer at a time.
    window: int = 10
    #: The most parts per second; None leaves it to the provider to refuse.
    rate: float | None = None
    #: How long an answer may take; after that the outcome is unknown.
    response_timeout: float = 30
    connect_timeout: float = 10
    #: Pause before a question about a message's state; doubled each time, up to five minutes.
    poll_interval: float = 2
    #: Pause before an unreachable server is tried again; doubled each time.
    reconnect_delay: float = 1
    reconnect_delay_max: float = 60
    #: Pause after a wrong key or path, which only an operator can correct.
    locked_out_delay: float = 60
    #: How long a stop of the gateway waits for answers.
    stop_timeout: float = 5

    def __post_init__(self) -> None:
        for name in ("cafile", "certfile", "keyfile", "tls_name"):
            if getattr(self, name) and not self.url.startswith("https:"):
                raise ValueError(f"{name}: only https:// has certificates")
        check_limits(_LIMITS, {name: getattr(self, name) for name in _LIMITS})
        secrets = self.push_secrets()
        if len(secrets) > MOST_SECRETS or not all(map(_SECRET.fullmatch, secrets)):
            raise ValueError(
                f"push_secret: allowed are up to {MOST_SECRETS} secrets with commas between, each "
                "of 22 to 128 letters, digits, - and _; sendsmsnow upstream new-secret draws one"
            )

    def push_secrets(self) -> tuple[str, ...]:
        """The secrets in the address that the provider pushes to, the newest first."""
        return tuple(self.push_secret.split(",")) if self.push_secret else ()


def options_of(
    options: type[HttpOptions],
    query: str,
    given: Mapping[str, Any],
    limits: Limits = MappingProxyType({}),
) -> dict[str, Any]:
    """See `from_query`, for the options of a kind of server; `limits`: those of its own numbers."""
    types = {each.name: each.type for each in fields(options) if each.name != "url"}
    return from_query(types, {**_LIMITS, **limits}, query, given)
