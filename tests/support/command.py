"""Runs the `sendsmsnow` command as people do: as processes, with settings of the test's own."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import sms_gateway

COMMAND = [sys.executable, "-P", "-m", "sms_gateway"]
#: Where the package that is tested is: installed, or the checkout.
PACKAGES = Path(sms_gateway.__file__).parents[1]


def environment(**settings: str) -> dict[str, str]:
    """The environment with these settings and none of the machine's."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SENDSMSNOW_")}
    own["PYTHONPATH"] = str(PACKAGES)
    return own | {"SENDSMSNOW_" + name.upper(): value for name, value in settings.items()}


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=tempfile.gettempdir(),
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Running:
    """A command that runs, and what it has written."""

    def __init__(self, process: subprocess.Popen[bytes], output: int) -> None:
        self.process = process
        self._output = output

    def output(self) -> str:
        """All that it and its children have written, to standard output and standard error."""
        return os.pread(self._output, os.fstat(self._output).st_size, 0).decode()

    def url(self) -> str:
        """Where it listens, once it does."""
        self.wait_for(r" listening ")
        return re.findall(r"url=(\S+)", self.output())[-1]

    def wait_for(self, pattern: str, times: int = 1) -> None:
        """Wait until it has written so many lines that hold a pattern."""

        def written() -> bool:
            assert self.process.poll() is None, self.output()
            return len(re.findall(pattern, self.output())) >= times

        eventually(written, self.output)

    def child(self, name: str) -> int:
        """The pid of a child of `serve`, as it was started last."""
        started = rf"started  child={name} pid=([0-9]+)"
        self.wait_for(started)
        return int(re.findall(started, self.output())[-1])

    def descendants(self) -> list[int]:
        """The pids of all processes below it."""
        return descendants(self.process.pid)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(90)


@contextmanager
def running(*arguments: str, **settings: str) -> Iterator[Running]:
    """Run a command while the block runs; nothing of it is left afterwards."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=tempfile.gettempdir(),
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield Running(process, output.fileno())
        finally:
            family = [process.pid, *descendants(process.pid)]
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    pass
            for pid in family:
                if alive(pid):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            process.wait()


def descendants(pid: int) -> list[int]:
    """The pids of all living processes below one."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        parents[int(stat.parent.name)] = int(fields[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return [each for each in found[1:] if alive(each)]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not asked for its status does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def eventually(condition: Callable[[], bool], why: Callable[[], str] = str) -> None:
    """Wait for a condition for as long as it may ever take."""
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, why()
        time.sleep(0.02)


def database(folder: Path) -> Mapping[str, str]:
    """The setting of a database of the test's own; `migrate` or `serve` makes it."""
    return {"database_url": f"sqlite:///{folder / 'sms.sqlite3'}"}
