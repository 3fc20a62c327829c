"""Our HTTP server beside others in front of the same application: `python -m benchmarks.servers`.

The others are measured where they are installed: `pip install uvicorn httptools uvicorn-worker
granian`. All are driven in turn, each answer is checked, and each id that they give is looked up.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from . import ours, side_by_side
from .contenders import Contender
from .processes import free_port, listening, started
from .tell import tell

_MAKE = "benchmarks.servers:application"


def application() -> Any:
    """What `sendsmsnow web` serves, for a server that imports it."""
    from sms_gateway import garbage
    from sms_gateway.bootstrap.web import web_app
    from sms_gateway.settings import Settings
    from sms_gateway.settings.values import SecretUrl
    from sms_gateway.web.guesses import Guesses

    url = SecretUrl(os.environ["SENDSMSNOW_DATABASE_URL"])
    with garbage.frozen():
        return web_app(Settings(database_url=url), Guesses())


if find_spec("uvicorn_worker"):
    from uvicorn_worker import UvicornWorker

    class Httptools(UvicornWorker):  # type: ignore[misc]
        """uvicorn's worker for gunicorn, with its parser in C."""

        CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012 - the name is uvicorn's
            "loop": "uvloop",
            "http": "httptools",
            "interface": "asgi3",
            "lifespan": "on",
            "access_log": False,
        }


def _gunicorn(port: int, worker: str) -> Sequence[str]:
    options = ["-k", worker, "-w", "1", "-b", f"127.0.0.1:{port}", "--keep-alive", "75"]
    return [sys.executable, "-m", "gunicorn", *options, "--no-control-socket", f"{_MAKE}()"]


def _granian(port: int) -> Sequence[str]:
    options = ["--interface", "asgi", "--factory", "--loop", "uvloop", "--workers", "1"]
    return [sys.executable, "-m", "granian", *options, "--port", str(port), _MAKE]


#: By name, the module that has to be installed and the command that serves at a port.
SERVERS: dict[str, tuple[str, Callable[[int], Sequence[str]]]] = {
    "express": ("gunicorn", lambda port: ours.command("web", "--workers", "1")),
    "ours, asgi": ("gunicorn", lambda port: ours.command("web", "--workers", "1")),
    "gunicorn, asgi": ("gunicorn", lambda port: _gunicorn(port, "asgi")),
    "uvicorn, httptools": (
        "uvicorn_worker",
        lambda port: _gunicorn(port, "benchmarks.servers.Httptools"),
    ),
    "granian": ("granian", _granian),
}


@contextlib.contextmanager
def _served(name: str, folder: Path) -> Iterator[Sequence[Contender]]:
    _, command = SERVERS[name]
    folder.mkdir()
    url, port = ours.sqlite_url(folder), free_port()
    keys = ours.prepared(url)
    worker = "asgi" if name == "ours, asgi" else "express"
    env = ours.environment(database_url=url, bind=f"127.0.0.1:{port}", web_worker=worker)
    with started(command(port), folder / "log", env=env, ready=lambda: listening(port)) as process:
        soap = Contender(
            name=f"{name}: SOAP",
            does="",
            version="",
            port=port,
            request=replace(ours.SOAP, keys=keys),
            roots=[process.pid],
            missing=ours.keeper(url),
        )
        yield soap, replace(soap, name=f"{name}: GET", request=replace(ours.HTTP, keys=keys))


def main() -> int:
    """Measure and print; 1 when an answer was wrong or a message lost."""
    arguments = argparse.ArgumentParser(prog="benchmarks.servers", description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=2)
    size = arguments.parse_args()
    failed = False
    with (
        # Not in /tmp where that is memory: a sync would cost nothing there.
        tempfile.TemporaryDirectory(prefix="servers", dir="/var/tmp") as made,
        contextlib.ExitStack() as stack,
    ):
        contenders: list[Contender] = []
        for name, (module, _) in SERVERS.items():
            if find_spec(module) is None:
                tell(f"skipped {name}: {module} is not installed")
            else:
                folder = Path(made) / name.replace(", ", "-")
                contenders += stack.enter_context(_served(name, folder))
        turns = side_by_side.rounds(contenders, Path(made), count=size.rounds, seconds=size.seconds)
        for contender in contenders:
            taken = turns[contender.name]
            cpu = [one.cpu for one in taken]
            wrong = sum(one.wrong + one.missing for one in taken)
            failed = failed or wrong > 0
            print(
                f"{contender.name:24} {median(cpu):5.0f} µs CPU per request"
                f" ({min(cpu):.0f} to {max(cpu):.0f}), {wrong} wrong or lost"
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
