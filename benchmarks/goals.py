"""What the gateway wants to reach, and how each of it is computed from a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .measures import Range, figure, ratio

#: A run as `report` keeps it: contenders with their turns, and measures with their values.
Results = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One row of the table of goals."""

    words: str
    limit: float
    #: Whether it is a least value rather than a most.
    at_least: bool = False
    unit: str = ""
    #: The contenders and measures that it is made of.
    needs: Sequence[str]
    values: Callable[..., list[float]]

    def measured(self, results: Results) -> Range | None:
        """What came out; None when something that it needs was not measured."""
        found = [_values(results, name) for name in self.needs]
        if any(values is None for values in found):
            return None
        return Range.of(self.values(*found))

    def met(self, measured: Range) -> bool:
        if self.at_least:
            return measured.median >= self.limit
        return measured.median <= self.limit

    @property
    def asked(self) -> str:
        words = "at least" if self.at_least else "at most"
        return f"{words} {figure(self.limit)}{self.unit}"


def _values(results: Results, name: str) -> list[float] | None:
    """The values of a measure, or of one of a contender's columns: `NAME: cpu`."""
    contender, _, column = name.rpartition(": ")
    if not contender:
        return list(results["measures"][name]["values"]) if name in results["measures"] else None
    if contender not in results["contenders"]:
        return None
    return [one[column] for one in results["contenders"][contender]["turns"]]


def _itself(values: list[float]) -> list[float]:
    return values


GOALS = (
    Goal(
        words="SOAP, synced to SQLite: CPU per request, of node soap's echo",
        limit=0.4,
        needs=("SOAP: cpu", "node soap: cpu"),
        values=ratio,
    ),
    Goal(
        words="the same, of gSOAP's echo in C",
        limit=1.7,
        needs=("SOAP: cpu", "gSOAP: cpu"),
        values=ratio,
    ),
    Goal(
        words="spyne with a row each: CPU per request, of our SOAP",
        limit=12,
        at_least=True,
        needs=("spyne, a row each: cpu", "SOAP: cpu"),
        values=ratio,
    ),
    Goal(
        words="SOAP: requests per second, of Kannel's sendsms",
        limit=1.5,
        at_least=True,
        needs=("SOAP: per_second", "Kannel: per_second"),
        values=ratio,
    ),
    Goal(
        words="PostgreSQL, all processes: CPU per request, of SQLite",
        limit=1.5,
        needs=("SOAP, PostgreSQL: cpu", "SOAP: cpu"),
        values=ratio,
    ),
    Goal(
        words="SOAP face and backend in two processes: CPU per request, of one",
        limit=1.5,
        needs=("SOAP face and backend: cpu", "SOAP: cpu"),
        values=ratio,
    ),
    Goal(
        words="10,000 keys in turn: CPU per request, of one key",
        limit=1.5,
        needs=("SOAP with 10,000 keys", "SOAP with 1 key"),
        values=ratio,
    ),
    Goal(
        words="p99 at half of the capacity, beyond the disk's own sync",
        limit=10,
        unit=" ms",
        needs=("p99 beyond the sync",),
        values=_itself,
    ),
    Goal(
        words="worker, from claim to receipt: CPU per message, of node-smpp's own",
        limit=0.8,
        needs=("worker CPU", "SMSC CPU"),
        values=ratio,
    ),
    Goal(
        words="worker: messages per second",
        limit=5000,
        at_least=True,
        needs=("worker messages per second",),
        values=_itself,
    ),
    Goal(
        words="memory of the web process at the end",
        limit=80,
        unit=" MiB",
        needs=("memory",),
        values=lambda values: values[-1:],
    ),
    Goal(
        words="the same, of what it was after the first tenth",
        limit=1.05,
        needs=("memory of the first tenth",),
        values=_itself,
    ),
    Goal(
        words="from the start to the first answer",
        limit=0.5,
        unit=" s",
        needs=("first answer",),
        values=_itself,
    ),
    Goal(
        words="one client alone: what the store adds to a call, of a plain transaction",
        limit=1,
        needs=("one client, added by the store", "plain transaction"),
        values=ratio,
    ),
)
