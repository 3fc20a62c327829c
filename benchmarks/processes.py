"""Servers as processes: started, counted by the operating system, never left behind."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

#: Seconds after which timeout(1) ends a server, whatever became of the benchmark.
LONGEST_LIFE = 3 * 3600

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Missing(Exception):
    """Something that cannot be measured here; the text says what would bring it."""


def program(name: str, package: str) -> str:
    """The path of a program of the system; Missing with the package that has it."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Missing(f"{name} is not installed; apt-get install {package}")
    return found


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def started(
    command: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    ready: Callable[[], Any] = lambda: True,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A server, once `ready` holds; its output goes to `log`. It is stopped at the end."""
    bounded = ["timeout", "--kill-after=5", str(LONGEST_LIFE), *command]
    with log.open("ab") as output:
        process = subprocess.Popen(
            bounded,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_for(lambda: process.poll() is not None or ready(), 60, what=command[0])
        if process.poll() is not None:
            raise RuntimeError(f"{command} ended at once:\n{log.read_text(errors='replace')}")
        yield process
    finally:
        _end(process, stop)


def _end(process: "subprocess.Popen[bytes]", stop: signal.Signals) -> None:
    family = tree([process.pid])
    process.send_signal(stop)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in family[1:]:
        # Of the same session, so surely ours, and not a stranger with a number used again.
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(pid) == process.pid:
                os.kill(pid, signal.SIGKILL)


def wait_for(
    condition: Callable[[], Any], seconds: float, *, every: float = 0.02, what: str = ""
) -> None:
    """Return once the condition holds; RuntimeError after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not ready within {seconds} s: {what}")
        time.sleep(every)


def listening(port: int) -> bool:
    """Whether somebody accepts connections on this port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tree(roots: Sequence[int]) -> list[int]:
    """These processes and all that they started, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = list(roots)
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(roots: Sequence[int]) -> tuple[float, float]:
    """User and system time that the trees have used, dead children included (proc(5), stat)."""
    user = system = 0
    for pid in tree(roots):
        if fields := _stat(pid):
            user += int(fields[11]) + int(fields[13])
            system += int(fields[12]) + int(fields[14])
    return user / _TICK, system / _TICK


def resident(pid: int) -> float:
    """The resident memory of one process, MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * _PAGE / 2**20


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, or nothing for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
