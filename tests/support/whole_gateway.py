"""The gateway with a store and routes of a test's own, served or in this process."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

from starlette.types import ASGIApp

from sms_gateway.accept.deadline import Deadline
from sms_gateway.backend import Backend
from sms_gateway.bootstrap.gateway import gateway
from sms_gateway.bootstrap.web import web_app
from sms_gateway.database import seal
from sms_gateway.settings import load
from sms_gateway.store import Store
from sms_gateway.web.guesses import Guesses

from .encrypted import LINES, key_file
from .serving import Server, serve

_SETTINGS = """
database_url = "{database}"
backend_timeout = "{timeout}s"
max_parts = 3

[[routes]]
prefix = "32"
upstreams = ["default"]

[[routes]]
prefix = "33"
closed = true
"""


def settings_file(
    folder: Path, database: str, *, timeout: float = 20, encrypted: bool = False
) -> Path:
    """The settings: Belgium is reachable, France is closed; `timeout` seconds until code 6."""
    file = folder / "settings.toml"
    keys = f'encryption_key_file = "{key_file(folder, *LINES)}"\n' if encrypted else ""
    file.write_text(keys + _SETTINGS.format(database=database, timeout=timeout))
    return file


def store_of(config: Path) -> Store:
    """The store of these settings."""
    settings = load(config, {}, {})
    return Store(settings.database_url.get_secret_value(), seal(settings))


def application(config: str) -> ASGIApp:
    """For gunicorn."""
    return web_app(load(Path(config), {}, {}), Guesses())


@contextmanager
def served(config: Path, worker: str = "express") -> Iterator[Server]:
    app = f"support.whole_gateway:application({str(config)!r})"
    with serve(app, worker=worker) as server:
        yield server


@asynccontextmanager
async def in_process(config: Path) -> AsyncIterator[Backend]:
    settings = load(config, {}, {})
    store = store_of(config)
    accepting = gateway(settings, store)
    await accepting.start()
    try:
        yield Deadline(accepting, timedelta(seconds=settings.backend_timeout.total_seconds()))
    finally:
        await accepting.aclose()
        store.close()
