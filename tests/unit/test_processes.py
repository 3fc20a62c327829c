"""The supervisor and its children, all of them real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Family:
    """A supervisor process and what its children wrote."""

    def __init__(self, folder: Path, grace: float, behaviours: tuple[str, ...]) -> None:
        self._folder = folder
        self.pids: set[int] = set()
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
        self._stderr = (folder / "stderr").open("wb")
        self.supervisor = subprocess.Popen(
            [sys.executable, "-m", "support.family", str(folder), str(grace), *behaviours],
            env=environ,
            stderr=self._stderr,
            start_new_session=True,
        )

    def events(self, behaviour: str, event: str = "started") -> list[int]:
        """The pids to which an event happened, in order."""
        path = self._folder / f"{behaviour}.log"
        lines = path.read_text().splitlines() if path.exists() else []
        happened = [line.split() for line in lines]
        self.pids |= {int(pid) for _, pid in happened}
        return [int(pid) for what, pid in happened if what == event]

    def log(self) -> str:
        return (self._folder / "stderr").read_text()

    def started(self, behaviour: str, times: int = 1) -> int:
        """Wait until a child was started so many times; its latest pid."""
        eventually(lambda: len(self.events(behaviour)) >= times)
        return self.events(behaviour)[-1]

    def close(self) -> None:
        for behaviour in ("stays", "deaf", "parent", "dies", "wrong", "grandchild"):
            self.events(behaviour)
        for pid in (self.supervisor.pid, *self.pids):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.supervisor.wait()
        self._stderr.close()


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not asked for its status does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for a condition for as long as it may ever take."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


Start = Callable[..., Family]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    families: list[Family] = []

    def begin(*behaviours: str, grace: float = 60) -> Family:
        families.append(Family(tmp_path, grace, behaviours))
        return families[-1]

    yield begin
    for family in families:
        family.close()


def test_a_child_that_dies_is_restarted(start: Start) -> None:
    family = start("stays")
    first = family.started("stays")
    os.kill(first, signal.SIGKILL)
    second = family.started("stays", 2)
    assert second != first
    assert family.supervisor.poll() is None
    assert "died  child=stays status=-9" in family.log()


def test_a_child_that_dies_at_once_is_restarted_ever_more_slowly(start: Start) -> None:
    family = start("dies")
    family.started("dies", 3)
    eventually(lambda: family.log().count("died") >= 2)
    pauses = [line.partition("restart_in=")[2] for line in family.log().splitlines()]
    assert [float(pause) for pause in pauses if pause][:2] == [0.5, 1.0]


def test_wrong_settings_end_the_whole_with_their_status(start: Start) -> None:
    family = start("stays", "wrong")
    pid = family.started("stays")
    assert family.supervisor.wait(60) == 2
    assert not alive(pid)
    assert len(family.events("wrong")) == 1
    assert "gave up  child=wrong status=2" in family.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_all_children_cleanly(start: Start, number: signal.Signals) -> None:
    family = start("stays", "parent")
    pids = [family.started("stays"), family.started("parent")]
    # As a terminal does it: to the whole group. The children have groups of their own.
    os.killpg(family.supervisor.pid, number)
    assert family.supervisor.wait(60) == 0
    assert family.events("stays", "SIGTERM") == pids[:1]
    assert not family.events("stays", "SIGINT")
    assert not family.events("stays", "SIGHUP")
    assert not any(alive(pid) for pid in pids)


def test_a_child_that_does_not_stop_is_killed_after_the_grace(start: Start) -> None:
    family = start("deaf", grace=0.2)
    pid = family.started("deaf")
    family.supervisor.terminate()
    assert family.supervisor.wait(60) == 0
    assert family.events("deaf", "SIGTERM") == [pid]
    assert not alive(pid)


def test_a_second_signal_cuts_the_grace_short(start: Start) -> None:
    family = start("deaf")
    pid = family.started("deaf")
    family.supervisor.send_signal(signal.SIGINT)
    eventually(lambda: bool(family.events("deaf", "SIGTERM")))
    family.supervisor.send_signal(signal.SIGINT)
    assert family.supervisor.wait(60) == 0
    assert not alive(pid)


def test_what_a_child_has_started_is_stopped_with_it(start: Start) -> None:
    family = start("parent")
    family.started("parent")
    grandchild = family.started("grandchild")
    family.supervisor.terminate()
    assert family.supervisor.wait(60) == 0
    assert not alive(grandchild)


def test_nothing_is_left_running_when_the_supervisor_is_killed(start: Start) -> None:
    family = start("stays", "deaf", "parent", grace=0.2)
    pids = [family.started(name) for name in ("stays", "deaf", "parent")]
    family.supervisor.kill()
    family.supervisor.wait()
    eventually(lambda: not any(alive(pid) for pid in pids))
    assert family.events("stays", "SIGTERM") == pids[:1]
    assert family.events("deaf", "SIGTERM") == pids[1:2]
