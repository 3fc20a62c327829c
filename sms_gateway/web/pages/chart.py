"""Lays out a bar chart of thirty days of messages."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...sms.message import FATES, Fate, State

DAYS = 30
DAY = 86_400_000

WIDTH, HEIGHT = 720, 180
_LEFT, _TOP, _BOTTOM = 60, 14, 24

#: The fates in the order in which they are drawn from below and listed, with their class in the
#: style sheet.
DRAWN = {
    Fate.DELIVERED: "delivered",
    Fate.FAILED: "failed",
    Fate.NOT_KNOWN: "not-known",
    Fate.ON_ITS_WAY: "on-its-way",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The bar of one day."""

    #: The beginning of the day, Unix milliseconds.
    day: int
    sent: int
    fates: Mapping[Fate, int]
    #: The bar's left edge and width, and its segments: (class, top, height).
    x: float
    width: float
    parts: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The bars and the lines behind them."""

    bars: tuple[Bar, ...]
    #: The number at each line, and the line's y coordinate.
    lines: tuple[tuple[int, float], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT

    @property
    def sent(self) -> int:
        return sum(bar.sent for bar in self.bars)

    @property
    def fates(self) -> Mapping[Fate, int]:
        return {fate: sum(bar.fates[fate] for bar in self.bars) for fate in DRAWN}


def first_day(now: int) -> int:
    """The beginning of the chart's first day, Unix milliseconds."""
    return (now // DAY - DAYS + 1) * DAY


def chart(counts: Mapping[tuple[int, State], int], now: int) -> Chart:
    """The chart of counts by day (days since 1970) and state."""
    first = first_day(now) // DAY
    days = {day: dict.fromkeys(DRAWN, 0) for day in range(first, first + DAYS)}
    for (day, state), number in counts.items():
        if day in days:
            days[day][FATES[state]] += number
    top = _round(max(sum(fates.values()) for fates in days.values()))
    plot = HEIGHT - _TOP - _BOTTOM
    step = (WIDTH - _LEFT) / DAYS
    bars = []
    for index, (day, fates) in enumerate(days.items()):
        parts = []
        floor = float(HEIGHT - _BOTTOM)
        for fate, kind in DRAWN.items():
            height = plot * fates[fate] / top
            if fates[fate]:
                floor -= height
                parts.append((kind, round(floor, 2), round(height, 2)))
        bars.append(
            Bar(
                day=day * DAY,
                sent=sum(fates.values()),
                fates=fates,
                x=round(_LEFT + index * step + step * 0.15, 2),
                width=round(step * 0.7, 2),
                parts=tuple(parts),
            )
        )
    lines = tuple(
        (top * part // 2, round(HEIGHT - _BOTTOM - plot * part / 2, 2)) for part in range(3)
    )
    return Chart(bars=tuple(bars), lines=lines)


def _round(most: int) -> int:
    """The next even number, from `most`, that is easy to read: 2, 4, 6, 10, 20, 40 …"""
    scale = 1
    while True:
        for digit in (2, 4, 6, 10):
            if most <= digit * scale:
                return digit * scale
        scale *= 10
