"""The whole gateway as people run it: `sendsmsnow serve` in processes of its own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Running:
    """A running gateway."""

    def __init__(self, port: int, env: dict[str, str], process: "subprocess.Popen[bytes]") -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.env = env
        self.process = process

    def run(self, *arguments: str) -> str:
        """What a `sendsmsnow` command prints."""
        return sendsmsnow(self.env, *arguments)

    def create_key(self, *options: str, name: str = "acme") -> str:
        return self.run("key", "create", name, *options).strip()

    def children(self) -> dict[str, int]:
        """The processes of `serve`, by what each is ("web", "worker")."""
        return family(self.process.pid)

    def kill(self, command: str) -> int:
        """kill -9 of one of the processes, and of all that it started; its number."""
        # It may not have its name yet.
        wait_for(lambda: command in self.children(), 90)
        pid = self.children()[command]
        for victim in (pid, *children_of(pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        return pid

    def replaced(self, command: str, killed: int) -> None:
        """Return once there is another one; for a moment, what was killed is still shown."""
        wait_for(lambda: self.children().get(command, killed) != killed, 90)


def family(serve: int) -> dict[str, int]:
    """The processes that a `serve` keeps, by what each is ("web", "worker", "mail")."""
    return {
        word: pid
        for pid in children_of(serve)
        if (word := name_of(pid).removeprefix("sms-")) in ("web", "worker", "mail")
    }


def name_of(pid: int) -> str:
    """What ps calls it; empty once the process has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children_of(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def command_line(pid: int) -> bytes:
    """Its words, each with a NUL after it; empty once the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def environment(database: str, **settings: str) -> dict[str, str]:
    """An environment with these settings (names in lower case) and no others."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("SENDSMSNOW_")}
    env["PYTHONPATH"] = str(ROOT)
    env["SENDSMSNOW_DATABASE_URL"] = database
    return env | {f"SENDSMSNOW_{name.upper()}": value for name, value in settings.items()}


def sendsmsnow(env: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "sms_gateway", *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, (arguments[:2], done.returncode, done.stderr)
    return done.stdout


@contextlib.contextmanager
def serve(folder: Path, database: str, *options: str, **settings: str) -> Iterator[Running]:
    """`sendsmsnow serve`, ready to be used; stopped with SIGTERM at the end, which must work."""
    with socket.create_server(("127.0.0.1", int(settings.pop("port", "0")))) as probe:
        port = probe.getsockname()[1]
    env = environment(database, bind=f"127.0.0.1:{port}", **settings)
    with (folder / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sms_gateway", "serve", *options],
            env=env,
            stdout=log,
            stderr=log,
        )
    running = Running(port, env, process)
    try:
        wait_for(lambda: process.poll() is not None or is_ready(running.url), 90)
        assert process.poll() is None, (folder / "serve.log").read_text()
        yield running
        process.terminate()
        assert process.wait(90) == 0, (folder / "serve.log").read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def is_ready(url: str) -> bool:
    """Whether a gateway at this address takes messages."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def wait_for(condition: Callable[[], Any], seconds: float, every: float = 0.05) -> None:
    """Return once the condition holds; an AssertionError after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds} s: {condition}"
        time.sleep(every)


def get_json(url: str) -> Any:
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read())
