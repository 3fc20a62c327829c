"""spyne under gunicorn as they come: an echo, and one SQLite transaction per request."""

import contextlib
import os
import sqlite3
import sys
from collections.abc import Collection, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from .. import ours
from ..contenders import Contender
from ..processes import free_port, listening, started


@contextlib.contextmanager
def storing(folder: Path) -> Iterator[Contender]:
    """Stores each message in a row of its own, synced."""
    folder.mkdir()
    path = folder / "rows.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "CREATE TABLE message (id TEXT PRIMARY KEY, recipients TEXT, message TEXT, apikey TEXT)"
        )

    def missing(ids: Collection[str]) -> int:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            stored = {id for (id,) in connection.execute("SELECT id FROM message")}
        return len(set(ids) - stored)

    with _serving(folder, {"BENCH_DATABASE": str(path)}) as contender:
        yield replace(
            contender,
            name="spyne, a row each",
            does="validated, one synced SQLite transaction per request",
            missing=missing,
        )


@contextlib.contextmanager
def echo(folder: Path) -> Iterator[Contender]:
    """Answers and stores nothing."""
    folder.mkdir()
    with _serving(folder, {}) as contender:
        yield contender


@contextlib.contextmanager
def _serving(folder: Path, settings: dict[str, str]) -> Iterator[Contender]:
    port = free_port()
    env = {**os.environ, "PYTHONPATH": str(ours.ROOT), **settings}
    command = [
        sys.executable, "-m", "gunicorn", "benchmarks.peers.stock_spyne_app:application",
        "--workers", "2", "--bind", f"127.0.0.1:{port}", "--log-level", "warning",
        "--no-control-socket",
    ]  # fmt: skip
    with started(
        command, folder / "gunicorn.log", env=env, ready=lambda: listening(port)
    ) as process:
        yield Contender(
            name="spyne",
            does="validated; stores nothing",
            version=f"spyne {version('spyne')}, gunicorn {version('gunicorn')} (sync, 2 processes)",
            port=port,
            request=replace(
                ours.SOAP,
                path="/",
                right=":error>0</",
                id="id>(%x+)</",
            ),
            roots=[process.pid],
        )
