"""What a message costs on its whole way, over PostgreSQL: `python -m benchmarks.scale`.

SOAP to a web process, by the queue to a worker, by SMPP to node-smpp, and its receipt back. For
each of `--rates`: processor time of each program, write-ahead log, disk, transactions and
connections. docs/use/scaling.md extrapolates from these; they are no speed record.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import text

from sms_gateway.store import Store
from tests.support import npm, smsc

from . import ours, paced
from .delivery import delivered
from .processes import Missing, cpu_seconds, started, wait_for
from .tell import tell

#: Seconds of standing still, to see what that costs.
_IDLE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Per message, unless it says otherwise. Processor time in microseconds."""

    #: Messages that came in a second, and how many.
    rate: float
    messages: int
    web: float
    worker: float
    postgresql: float
    #: Octets of write-ahead log.
    wal: float
    #: Octets of tables and indexes, by table, after VACUUM.
    disk: dict[str, float]
    commits: float
    #: Of accepting, milliseconds.
    p50: float
    p99: float
    #: Sessions of PostgreSQL that a web process and a worker kept.
    web_sessions: int
    worker_sessions: int
    #: Processor time of standing still, microseconds per second.
    idle: dict[str, float]


def measure(folder: Path, *, rate: float, seconds: float) -> Costs:
    """Costs at one rate, on a fresh database."""
    if npm.installed(Path(smsc.__file__).parent / "smsc") is None:
        raise Missing("the npm registry does not answer; npm install smpp")
    folder.mkdir()
    with ours.postgresql(folder) as (url, postmaster):
        (key,) = ours.prepared(url)
        store = Store(url)
        # mypy takes the folder smsc for this module.
        with (
            smsc.start_smsc(folder, receipt_latency=50) as carrier,  # type: ignore[attr-defined]
            ours.web(folder, url, "--workers", "1") as (port, web),
        ):
            request = replace(ours.SOAP, keys=[key])
            first = paced.drive(port, request, per_second=rate, seconds=1).right
            web_sessions = _sessions(store)
            env = ours.environment(database_url=url, upstream=f"{carrier.url}?window=50")
            bound = lambda: bool(carrier.journal("bind"))  # noqa: E731
            with started(
                ours.command("worker"), folder / "worker.log", env=env, ready=bound
            ) as worker:
                roots = {"web": web, "worker": worker.pid, "postgresql": postmaster}
                # Imports, plans and connections are made before anything is counted.
                warm = first + paced.drive(port, request, per_second=rate, seconds=3).right
                wait_for(lambda: delivered(store) == warm, 120, every=0.2)
                worker_sessions = _sessions(store) - web_sessions
                with _counted(store, roots) as spent:
                    time.sleep(_IDLE)
                idle = {name: value / _IDLE for name, value in spent().cpu.items()}
                before = _sizes(store)
                with _counted(store, roots) as spent:
                    taken = paced.drive(port, request, per_second=rate, seconds=seconds)
                    assert not taken.wrong, taken
                    count = taken.right
                    wait_for(lambda: delivered(store) == warm + count, 300, every=0.2)
                used = spent()
                grown = _sizes(store)
        store.close()
    disk = {name: (grown[name] - before.get(name, 0)) / count for name in grown}
    return Costs(
        rate=rate,
        messages=count,
        **{name: value / count for name, value in used.cpu.items()},
        wal=used.wal / count,
        disk={name: octets for name, octets in disk.items() if octets >= 1},
        commits=used.commits / count,
        p50=taken.p50 * 1_000,
        p99=taken.p99 * 1_000,
        web_sessions=web_sessions,
        worker_sessions=worker_sessions,
        idle=idle,
    )


@dataclass(slots=True)
class _Spent:
    #: Microseconds by program.
    cpu: dict[str, float]
    wal: float
    commits: float


@contextmanager
def _counted(store: Store, roots: dict[str, int]) -> Iterator[Callable[[], _Spent]]:
    """Count while the block runs; what it yields tells the result afterwards."""

    def now() -> tuple[dict[str, float], float, float]:
        cpu = {name: sum(cpu_seconds([pid])) * 1e6 for name, pid in roots.items()}
        wal, commits = _ask(
            store,
            "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn, xact_commit FROM pg_stat_database"
            " WHERE datname = current_database()",
        )[0]
        return cpu, float(wal), float(commits)

    cpu, wal, commits = now()
    ended: list[tuple[dict[str, float], float, float]] = []

    def spent() -> _Spent:
        after = ended[0]
        used = {name: after[0][name] - cpu[name] for name in cpu}
        return _Spent(used, after[1] - wal, after[2] - commits)

    yield spent
    # PostgreSQL's own counts are a second late.
    time.sleep(1.1)
    ended.append(now())


def _sizes(store: Store) -> dict[str, float]:
    """Octets of each table with its indexes, partitions added up, without what is free in it."""
    with store.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM")
    sizes = _ask(
        store,
        "SELECT coalesce(parent.relname, relation.relname) AS name,"
        " sum(pg_total_relation_size(relation.oid))"
        " FROM pg_class relation LEFT JOIN pg_inherits ON inhrelid = relation.oid"
        " LEFT JOIN pg_class parent ON parent.oid = inhparent"
        " WHERE relation.relkind = 'r' AND relation.relnamespace = 'public'::regnamespace"
        " GROUP BY 1",
    )
    return {name: float(octets) for name, octets in sizes}


def _sessions(store: Store) -> int:
    """Sessions of others."""
    count: int = _ask(
        store,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )[0][0]
    return count


def _ask(store: Store, query: str) -> Sequence[Any]:
    with store.read() as connection:
        return connection.execute(text(query)).all()


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.scale", description=__doc__)
    parser.add_argument("--rates", default="30,300", help="messages in a second, each a run")
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for rate in options.rates.split(","):
            costs = measure(Path(folder) / rate, rate=float(rate), seconds=options.seconds)
            tell(json.dumps(asdict(costs), indent=1))


if __name__ == "__main__":
    main()
