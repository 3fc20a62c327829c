"""The benchmark measures what it says, and sees what is wrong."""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from support import databases
from support.needs import lacking

# Its outcome does not hang on the version of Python.
pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench() -> Any:
    """The modules of the benchmark, which is run from a clone and never installed."""
    sys.path.insert(0, str(ROOT))
    try:
        names = ("chart", "delivery", "goals", "ours", "processes", "report", "single")
        return SimpleNamespace(**{name: import_module(f"benchmarks.{name}") for name in names})
    finally:
        sys.path.remove(str(ROOT))


def benchmark(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_a_round_beside_a_peer_is_measured_checked_and_told(tmp_path: Path) -> None:
    if shutil.which("wrk") is None:
        lacking("wrk is not installed: apt-get install wrk")
    done = benchmark("--size", "tiny", "--only", "sqlite", "spyne-row", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results["contenders"]) == {"SOAP", "HTTP GET", "spyne, a row each"}
    for contender in results["contenders"].values():
        (turn,) = contender["turns"]
        assert turn["requests"] > 0
        assert turn["user"] > 0
        assert (turn["wrong"], turn["missing"]) == (0, 0)
    chart = ElementTree.parse(tmp_path / "chart.svg").getroot()
    drawn = {text.text for text in chart.iter("{http://www.w3.org/2000/svg}text")}
    assert set(results["contenders"]) <= drawn
    assert done.stdout == (tmp_path / "results.md").read_text()
    assert benchmark("--render", str(tmp_path / "results.json")).stdout == done.stdout


def test_an_acknowledged_message_that_is_not_stored_is_seen(bench: Any, tmp_path: Path) -> None:
    missing: Callable[[set[str]], int] = bench.ours.keeper(databases.fresh_sqlite(tmp_path))
    assert missing({"0198c0de00007000800000000000abcd"}) == 1


def test_a_plain_transaction_writes_the_rows_that_the_gateway_writes(
    bench: Any, tmp_path: Path
) -> None:
    url = bench.ours.sqlite_url(tmp_path)
    (key,) = bench.ours.prepared(url)
    asyncio.run(bench.delivery.accept(url, key, 1))
    bench.single.transactions(tmp_path / "sms.sqlite3", 1, pause=0)
    # What differs from message to message.
    own = {"id", "message_id", "delivery_id", "text", "accepted_at", "due_at", "expires_at"}
    with closing(sqlite3.connect(tmp_path / "sms.sqlite3")) as connection:
        connection.row_factory = sqlite3.Row
        for table in ("message", "delivery", "queue"):
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()
            ours, plain = ({k: row[k] for k in row.keys() if k not in own} for row in rows)  # noqa: SIM118
            assert plain == ours, table


@pytest.mark.parametrize("trouble", ["wrong", "missing"])
def test_a_run_with_wrong_answers_or_lost_messages_fails(bench: Any, trouble: str) -> None:
    turn = {"wrong": 0, "missing": 0}
    results = {"contenders": {"SOAP": {"turns": [turn, {**turn, trouble: 2}]}}, "measures": {}}
    assert len(bench.report.failures(results)) == 1
    results["contenders"]["SOAP"]["turns"] = [turn, turn]
    assert bench.report.failures(results) == []


def test_the_cpu_of_processes_that_ended_is_counted_with_their_parents(bench: Any) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    parent = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); "
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert sum(bench.processes.cpu_seconds([process.pid])) > 0.25
        process.communicate()


def test_what_is_started_has_stopped_at_the_end_with_all_it_started(
    bench: Any, tmp_path: Path
) -> None:
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}])"
    family: list[int] = []

    def complete(root: int) -> bool:
        family[:] = bench.processes.tree([root])
        return len(family) == 3

    with bench.processes.started(
        [sys.executable, "-c", f"{parent}; time.sleep(60)"], tmp_path / "log"
    ) as process:
        bench.processes.wait_for(lambda: complete(process.pid), 20)
    bench.processes.wait_for(lambda: not any(_runs(pid) for pid in family), 20)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_goal_is_a_ratio_of_the_same_rounds(bench: Any) -> None:
    goal = bench.goals.GOALS[0]
    results = {
        "measures": {},
        "contenders": {
            "SOAP": {"turns": [{"cpu": 40}, {"cpu": 80}, {"cpu": 50}]},
            "node soap": {"turns": [{"cpu": 100}, {"cpu": 200}, {"cpu": 100}]},
        },
    }
    measured = goal.measured(results)
    assert str(measured) == "0.4 (0.4–0.5)"
    assert goal.met(measured)
    del results["contenders"]["node soap"]
    assert goal.measured(results) is None


def test_the_published_tables_and_chart_are_those_of_the_published_run(bench: Any) -> None:
    results = json.loads((ROOT / "docs/performance.json").read_text("utf-8"))
    page = (ROOT / "docs/performance.md").read_text("utf-8")
    assert bench.report.section(results) in page
    assert bench.chart.svg(results) == (ROOT / "docs/performance.svg").read_text("utf-8")
    assert bench.report.failures(results) == []
