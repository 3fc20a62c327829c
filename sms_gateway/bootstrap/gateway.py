"""Builds the in-process Backend, for every face, and its rules."""

from collections.abc import Awaitable, Callable

from ..accept.gateway import Gateway
from ..accept.rules import Acceptance
from ..moments import now
from ..settings import Settings, milliseconds
from ..store import Store
from .upstreams import routes


def rules(settings: Settings) -> Acceptance:
    """The rules by which the gateway accepts messages."""
    return Acceptance(
        routes(settings),
        default_region=settings.default_region,
        max_parts=settings.max_parts,
        validity=milliseconds(settings.validity),
        caps=settings.caps(),
        clock=now,
    )


def gateway(
    settings: Settings, store: Store, on_wrong_key: Callable[[], Awaitable[object]] | None = None
) -> Gateway:
    """The gateway over a store; `start` it."""
    return Gateway(
        store,
        routes(settings),
        default_region=settings.default_region,
        max_parts=settings.max_parts,
        validity=milliseconds(settings.validity),
        caps=settings.caps(),
        queue_limit=settings.queue_limit,
        patience=settings.backend_timeout.total_seconds(),
        clock=store.clock.now,
        on_wrong_key=on_wrong_key,
    )
