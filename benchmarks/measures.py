"""Numbers of several rounds: their median, their range, and what is one of the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Range:
    """Several measurements of one thing."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Range":
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        if self.low == self.high:
            return figure(self.median)
        return f"{figure(self.median)} ({figure(self.low)}–{figure(self.high)})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """One of the other, round by round: what a busy minute did to one it did to both."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def figure(value: float) -> str:
    """A number, to the three digits that mean something."""
    if abs(value) >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"
