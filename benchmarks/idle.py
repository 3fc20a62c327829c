"""What an idle `serve` costs, and how soon it claims what comes: python -m benchmarks.idle [URL]"""

import random
import statistics
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

from sqlalchemy import select

from sms_gateway.store import Store, tables
from tests.support import databases, running

#: Seconds without work, and messages that come one by one.
SECONDS, MESSAGES = 60, 25


def measure(url: str, folder: Path, *, seconds: float = SECONDS, messages: int = MESSAGES) -> None:
    """Print the processor time of each process while idle, and the times from commit to claim."""
    with running.serve(folder, url) as gateway:
        key = gateway.create_key("--rate", "none")
        time.sleep(5)
        pids = _tree(gateway.process.pid)
        before = {pid: _cpu(pid) for pid in pids}
        time.sleep(seconds)
        used = {pid: (_cpu(pid) - before[pid]) / seconds * 100 for pid in pids}
        for pid, share in used.items():
            print(f"{running.name_of(pid):12} {share:.3f} % of a core")
        print(f"{'all':12} {sum(used.values()):.3f} % of a core")
        answered = {}
        for number in range(messages):
            time.sleep(random.uniform(0.1, 2.5))  # not at the beat of any timer
            query = {"apikey": key, "recipients": f"+32494{1000 + number:06}", "message": "Hello"}
            with urllib.request.urlopen(
                f"{gateway.url}/sendsms/?{urllib.parse.urlencode(query)}"
            ) as answer:
                said = answer.read()
            answered[f"+32494{1000 + number:06}"] = time.time() * 1_000
            assert b"0" in said, said
        time.sleep(2)
    store = Store(url)
    with store.read() as connection:
        claims = connection.execute(
            select(tables.delivery.c.recipient, tables.step.c.at)
            .join_from(tables.step, tables.delivery)
            .where(tables.step.c.event == "claimed")
        ).all()
    store.close()
    waits = sorted(row.at - answered[row.recipient] for row in claims)
    print(
        f"from the answer to the claim: median {statistics.median(waits):.0f} ms, "
        f"p90 {waits[len(waits) * 9 // 10]:.0f} ms, longest {waits[-1]:.0f} ms "
        f"({len(waits)} of {messages})"
    )


def _tree(pid: int) -> list[int]:
    return [pid, *(each for child in running.children_of(pid) for each in _tree(child))]


def _cpu(pid: int) -> float:
    """The processor time of a process, seconds: more exact than /proc/PID/stat."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def main() -> None:
    """Measure on SQLite and on PostgreSQL."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    for kind in databases.KINDS:
        with (
            tempfile.TemporaryDirectory() as folder,
            databases.fresh(kind, Path(folder)) as url,
        ):
            print(kind)
            measure(url, Path(folder), seconds=seconds)
    databases.remove_server()


if __name__ == "__main__":
    main()
