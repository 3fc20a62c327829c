"""Network namespaces, one for each host, and the cable between them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .wire import MTU, address

_TESTS = Path(__file__).parents[1]
#: Where the namespaces have their names: a file system of this process's own (see `__main__`).
_NAMES = Path("/run/netns")


class Network:
    """Hosts by name. The first is the process itself, in whose namespace it is made."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)
        self._wire = subprocess.Popen(
            [sys.executable, "-m", "hosts.wire", *self.names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(_TESTS)},
            text=True,
        )
        self._answered()
        self._cut: set[tuple[str, str]] = set()
        self._weather: dict[str, Any] = {}
        for number, name in enumerate(self.names, 1):
            here: list[str] = []
            if number > 1:
                _run("ip", "netns", "add", name)
                _run("ip", "link", "set", name, "netns", name)
                here = ["-n", name]
            _run("ip", *here, "addr", "add", f"{address(number)}/24", "dev", name)
            _run("ip", *here, "link", "set", name, "mtu", str(MTU), "up")
            _run("ip", *here, "link", "set", "lo", "up")

    def address(self, name: str) -> str:
        """The IPv4 address of a host."""
        return address(self.names.index(name) + 1)

    def inside(self, name: str) -> list[str]:
        """The words before a command that runs on this host."""
        return ["nsenter", f"--net={_NAMES / name}"]

    def kill(self, name: str) -> None:
        """kill -9 of all that runs on a host, as when its power fails."""
        for pid in _output("ip", "netns", "pids", name).split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass

    def cut(self, name: str, other: str = "*") -> None:
        """Pull the cable between two hosts, or of one: packets vanish, and nobody is told."""
        self._cut.add((name, other))
        self._tell()

    def mend(self) -> None:
        """Nothing is cut, slow or lost any more."""
        self._cut.clear()
        self._weather = {}
        self._tell()

    def weather(self, **weather: Any) -> None:
        """Let all packets be delayed and lost as `wire` has it."""
        self._weather = weather
        self._tell()

    def _tell(self) -> None:
        assert self._wire.stdin is not None
        state = {"cut": sorted(self._cut), **self._weather}
        print(json.dumps(state), file=self._wire.stdin, flush=True)
        self._answered()

    def _answered(self) -> None:
        assert self._wire.stdout is not None
        assert self._wire.stdout.readline() == "{}\n", "the wire has ended; see its stderr"


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
