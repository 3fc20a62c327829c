"""The Backend in process, for whatever messages come in by."""

from collections.abc import Awaitable, Callable

from ..accept.gateway import Gateway
from ..settings import Settings, milliseconds
from ..store import Store
from .upstreams import routes


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
        on_wrong_key=on_wrong_key,
    )
