"""One client that waits for each answer: it must not wait for company."""

import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from . import ours
from .contenders import turn
from .tell import tell


@dataclass(slots=True)
class Single:
    """Medians of each round, seconds."""

    #: From request to answer.
    call: list[float] = field(default_factory=list)
    #: The same request without a key, which is refused before the store is asked.
    refused: list[float] = field(default_factory=list)
    #: The rows of one message in a transaction of their own, by sqlite3, nothing around it, at the
    #: pace at which a client calls.
    plain: list[float] = field(default_factory=list)
    wrong: int = 0

    def commits(self) -> list[float]:
        """What the store adds to a call, round by round."""
        return [call - refused for call, refused in zip(self.call, self.refused, strict=True)]


def measure(folder: Path, *, rounds: int, seconds: float) -> Single:
    """Calls and plain transactions in turn, on the same disk."""
    measured = Single()
    folder.mkdir()
    plain = folder / "plain"
    plain.mkdir()
    ours.prepared(ours.sqlite_url(plain))
    with ours.on_sqlite(folder / "web") as (soap, _):
        refused = replace(
            soap,
            request=replace(soap.request, keys=("",), right="<error>60</error>", id=None),
            missing=None,
        )
        for number in range(rounds + 1):
            taken = [
                turn(contender, folder, seconds=seconds, connections=1)
                for contender in (soap, refused)
            ]
            transaction = median(transactions(plain / "sms.sqlite3", 300, pause=taken[1].p50))
            if number:
                measured.call.append(taken[0].p50)
                measured.refused.append(taken[1].p50)
                measured.plain.append(transaction)
                measured.wrong += sum(one.wrong + one.missing for one in taken)
                tell(
                    f"{number}/{rounds}  one client: call {taken[0].p50 * 1e3:.2f} ms, "
                    f"refused {taken[1].p50 * 1e3:.2f} ms, plain transaction "
                    f"{transaction * 1e3:.2f} ms"
                )
    return measured


def transactions(database: Path, count: int, *, pause: float) -> list[float]:
    """How long each takes, seconds; before each is a pause, as between the calls of a client.

    The rows are those that the gateway writes for a message.

    A disk and a processor that had nothing to do for a moment take longer.
    """
    times = []
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        for _ in range(count):
            time.sleep(pause)
            now = time.time_ns()
            id = f"{now:032x}"
            began = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("SELECT version, next_free FROM account WHERE id = 1").fetchone()
            connection.execute(
                "INSERT INTO message (id, account_id, sender, text, encoding, parts, accepted_at, "
                "reference) VALUES (?, 1, '', ?, 'gsm7', 1, ?, '')",
                (id, f"Hello number {now}", now // 1_000_000),
            )
            ((delivery,),) = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM delivery")
            due, expires = now // 1_000_000, now // 1_000_000 + 172_800_000
            connection.execute(
                "INSERT INTO delivery (id, message_id, recipient, route, parts, state, due_at, "
                "expires_at, attempts, possible_duplicate, country) "
                "VALUES (?, ?, '+32494000000', '', 1, 'submitting', ?, ?, 0, 0, 'BE')",
                (delivery, id, due, expires),
            )
            connection.execute(
                "INSERT INTO queue (delivery_id, message_id, account_id, lane, route, priority, "
                "parts, due_at, expires_at, attempts, possible_duplicate) "
                "VALUES (?, ?, 1, 'default', '', 1, 1, ?, ?, 0, 0)",
                (delivery, id, due, expires),
            )
            connection.execute("UPDATE account SET next_free = ? WHERE id = 1", (now // 1_000,))
            connection.execute("COMMIT")
            times.append(time.perf_counter() - began)
    return times


def syncs(folder: Path, count: int = 500) -> Sequence[float]:
    """How long the disk takes to sync 16 KiB more of a file, sorted, seconds."""
    times = []
    path = folder / "synced"
    with path.open("wb", buffering=0) as file:
        for _ in range(count):
            file.write(bytes(16 * 1024))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    path.unlink()
    return sorted(times)
