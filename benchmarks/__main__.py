"""Run the benchmark: `python -m benchmarks`, or `tox -e bench`, from the top of a clone."""

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from . import chart, delivery, growing, lifetime, ours, report, side_by_side, single, tail
from .contenders import Contender, Turn
from .goals import Results
from .peers import gsoap, jasmin, kannel, node_soap, stock_spyne
from .processes import Missing, program
from .tell import tell


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    rounds: int
    #: Of each turn.
    seconds: int
    #: Messages that the worker delivers in each of three rounds; 0 leaves it out, as elsewhere.
    deliveries: int
    starts: int
    #: Requests to one process whose memory is watched.
    memory: int
    #: Messages in the databases that are compared.
    rows: Sequence[int]
    keys: Sequence[int]
    #: Seconds after which the run gives up.
    longest: int


SIZES = {
    "short": Size(
        rounds=3, seconds=2, deliveries=5_000, starts=3, memory=20_000,
        rows=(0, 100_000), keys=(1, 100, 10_000), longest=900,
    ),
    "full": Size(
        rounds=7, seconds=5, deliveries=20_000, starts=7, memory=1_000_000,
        rows=(0, 1_000_000, 10_000_000), keys=(1, 100, 10_000), longest=3 * 3600,
    ),
    # As much as shows that everything works.
    "tiny": Size(
        rounds=1, seconds=1, deliveries=0, starts=0, memory=0, rows=(), keys=(), longest=60,
    ),
}  # fmt: skip

CONNECTIONS = 32

#: The contenders, by the names that --only takes.
CONTENDERS: dict[str, Callable[[Path], AbstractContextManager[Contender | Sequence[Contender]]]] = {
    "sqlite": ours.on_sqlite,
    "two": ours.in_two_processes,
    "postgresql": ours.on_postgresql,
    "node": node_soap.echo,
    "spyne-row": stock_spyne.storing,
    "spyne": stock_spyne.echo,
    "gsoap": gsoap.echo,
    "kannel": kannel.spooling,
    "jasmin": jasmin.queueing,
}


def main() -> int:
    """Measure, print and keep; 1 when an answer was wrong or a message lost."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="short")
    parser.add_argument("--out", type=Path, default=ours.ROOT / "build" / "bench")
    parser.add_argument("--only", choices=CONTENDERS, nargs="+", default=list(CONTENDERS))
    parser.add_argument("--render", type=Path, metavar="JSON", help="print an earlier run's tables")
    parser.add_argument("--publish", type=Path, metavar="JSON", help="put them into the document")
    arguments = parser.parse_args()
    if arguments.render is not None:
        print(report.markdown(_read(arguments.render)), end="")
        return 0
    if arguments.publish is not None:
        publish(_read(arguments.publish), ours.ROOT / "docs")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    results = run(SIZES[arguments.size], arguments.only)
    write(results, arguments.out)
    print(report.markdown(results), end="")
    for failure in report.failures(results):
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if report.failures(results) else 0


def run(size: Size, names: Iterable[str]) -> Results:
    """Measure everything of this size; the run ends by itself in any case."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"the run took longer than {size.longest} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(size.longest)
    results: Results = {"about": _about(size), "contenders": {}, "skipped": {}, "measures": {}}
    # Not in /tmp where that is memory: a sync would cost nothing there.
    with tempfile.TemporaryDirectory(prefix="bench", dir=_disk()) as made:
        _measure(results, size, names, Path(made))
    signal.alarm(0)
    results["about"]["load_after"] = _load()
    return results


def _measure(results: Results, size: Size, names: Iterable[str], folder: Path) -> None:
    with _running(results, names, folder) as contenders:
        turns = side_by_side.rounds(
            contenders,
            folder,
            count=size.rounds,
            seconds=size.seconds,
            connections=CONNECTIONS,
        )
        for contender in contenders:
            results["contenders"][contender.name] = {
                "does": contender.does,
                "version": contender.version,
                "ours": contender.version == ours.VERSION,
                "turns": [_turn(taken) for taken in turns[contender.name]],
            }
    if size.starts:
        # With --only something else, any pace will do.
        capacity = median([taken.per_second for taken in turns.get("SOAP", [])] or [1000])
        _measure_latency(results, size, folder, capacity)
        _measure_start_and_memory(results, size, folder)
    if size.deliveries:
        with _skipping(results, "the worker"):
            _measure_worker(results, size, folder)
    if size.rows:
        _measure_growth(results, size, folder)


@contextlib.contextmanager
def _running(results: Results, names: Iterable[str], folder: Path) -> Iterator[list[Contender]]:
    """All servers that can be started here; the others are named among the skipped."""
    program("wrk", "wrk")
    with contextlib.ExitStack() as stack:
        contenders: list[Contender] = []
        for name in names:
            with _skipping(results, name):
                found = stack.enter_context(CONTENDERS[name](folder / name))
                contenders += [found] if isinstance(found, Contender) else found
                tell(f"started {name}")
        yield contenders


@contextlib.contextmanager
def _skipping(results: Results, name: str) -> Iterator[None]:
    try:
        yield
    except Missing as missing:
        results["skipped"][name] = str(missing)
        tell(f"skipped {name}: {missing}")


def _measure_latency(results: Results, size: Size, folder: Path, capacity: float) -> None:
    one = single.measure(folder / "single", rounds=size.rounds, seconds=1)
    for name, values, note in (
        ("one client, a call", one.call, "SOAP, on one connection, p50"),
        ("one client, refused before the store", one.refused, "the same without a key"),
        ("one client, added by the store", one.commits(), "the difference"),
        ("plain transaction", one.plain, "the same rows by sqlite3 alone, at that pace, synced"),
    ):
        _keep(results, name, [value * 1e3 for value in values], "ms", note, wrong=one.wrong)
    slow = tail.measure(
        folder / "tail", capacity=capacity, rounds=size.rounds, seconds=2 * size.seconds
    )
    pace = f"at {slow.per_second:.0f}/s, half of the capacity; counted from when each was due"
    for name, values, note in (
        ("p50 at half of the capacity", slow.medians, pace),
        ("p99 at half of the capacity", slow.answers, pace),
        ("p99 of the disk's sync", slow.syncs, "16 KiB and fdatasync, 500 times"),
        ("p99 beyond the sync", slow.beyond(), "the difference"),
    ):
        _keep(results, name, [value * 1e3 for value in values], "ms", note, wrong=slow.wrong)


def _measure_start_and_memory(results: Results, size: Size, folder: Path) -> None:
    start = lifetime.start(folder / "start", rounds=size.starts)
    _keep(results, "first answer", start.again, "s", "`sendsmsnow serve`, from the command")
    _keep(results, "first answer, new database", start.first, "s", "with all migrations")
    used = lifetime.memory(folder / "memory", requests=size.memory, at_most=1800)
    requests, last = used.after[-1]
    _keep(
        results,
        "memory",
        [mib for _, mib in used.after],
        "MiB",
        f"resident, of the web process; {last:.1f} after {requests:,} requests",
        wrong=used.wrong,
    )
    early = next(mib for count, mib in used.after if count >= requests / 10)
    _keep(results, "memory of the first tenth", [last / early], "", "the last of the first tenth")


def _measure_worker(results: Results, size: Size, folder: Path) -> None:
    delivered = delivery.measure(folder / "delivery", rounds=3, messages=size.deliveries)
    note = f"{delivered.messages:,} messages to node-smpp beside it, window {delivery.WINDOW}"
    wrong = delivered.wrong
    _keep(results, "worker CPU", delivered.cpu, "µs per message", note, wrong=wrong)
    _keep(results, "worker messages per second", delivered.per_second, "/s", note)
    _keep(results, "SMSC CPU", delivered.smsc_cpu, "µs per message", "node-smpp, for comparison")


def _measure_growth(results: Results, size: Size, folder: Path) -> None:
    for name, made in (
        ("rows", growing.of_rows(folder / "rows", size.rows)),
        ("else", growing.of_everything_else(folder / "else", size.keys)),
    ):
        tell(f"growing work: {name}")
        with made as contenders:
            # These are many, and alike.
            turns = side_by_side.rounds(
                contenders, folder, count=size.rounds, seconds=size.seconds // 2
            )
        for contender, taken in turns.items():
            _keep(
                results,
                f"SOAP with {contender}",
                [one.cpu for one in taken],
                "µs CPU per request",
                "",
                wrong=sum(one.wrong + one.missing for one in taken),
            )


def _keep(
    results: Results, name: str, values: Sequence[float], unit: str, note: str, *, wrong: int = 0
) -> None:
    results["measures"][name] = {"values": values, "unit": unit, "note": note, "wrong": wrong}


def _turn(taken: Turn) -> dict[str, Any]:
    return {
        "cpu": taken.cpu,
        "user": taken.user,
        "system": taken.system,
        "per_second": taken.per_second,
        "p50": taken.p50 * 1e3,
        "p99": taken.p99 * 1e3,
        "requests": taken.requests,
        "wrong": taken.wrong,
        "missing": taken.missing,
    }


def write(results: Results, out: Path) -> None:
    """Keep a run: its numbers, its tables and its chart."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    (out / "results.md").write_text(report.markdown(results), "utf-8")
    (out / "chart.svg").write_text(chart.svg(results), "utf-8")
    tell(f"results in {out}")


def publish(results: Results, docs: Path) -> None:
    """Make a run the one that docs/performance.md shows."""
    page = (docs / "performance.md").read_text("utf-8")
    before, mark, rest = page.partition(report.BEGIN)
    _, end, after = rest.partition(report.END)
    assert mark, report.BEGIN
    assert end, report.END
    (docs / "performance.md").write_text(report.section(results).join([before, after]), "utf-8")
    (docs / "performance.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    (docs / "performance.svg").write_text(chart.svg(results), "utf-8")


def _read(path: Path) -> Results:
    results: Results = json.loads(path.read_text("utf-8"))
    return results


def _about(size: Size) -> dict[str, Any]:
    client = subprocess.run(
        [program("wrk", "wrk"), "-v"], capture_output=True, text=True, check=False
    )
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": f"{platform.python_version()} ({_build()})",
        "rounds": size.rounds,
        "seconds": size.seconds,
        "connections": CONNECTIONS,
        "client": " ".join((client.stdout + client.stderr).split()[:2]),
        "load_before": _load(),
    }


def _build() -> str:
    """How this Python was built: a plain build is slower by a third."""
    flags = str(sysconfig.get_config_vars())
    profiled = "--enable-optimizations" in flags or Path(sys.base_prefix) == Path("/usr")
    return "profile-guided build" if profiled else "plain build, slower than most"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _load() -> float:
    return round(os.getloadavg()[0], 2)


def _disk() -> str:
    """A folder for databases that is on a disk."""
    for folder in (tempfile.gettempdir(), "/var/tmp", str(Path.home())):
        kind = subprocess.run(
            ["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=False
        ).stdout.strip()
        if kind not in ("tmpfs", "ramfs", ""):
            return folder
    raise RuntimeError("there is no folder on a disk for the databases; set TMPDIR to one")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
