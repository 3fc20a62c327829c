"""Thirty days of messages as bars."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...sms.message import State

DAYS = 30
DAY = 86_400_000

WIDTH, HEIGHT = 720, 180
_LEFT, _TOP, _BOTTOM = 60, 14, 24

#: What did not arrive, and will not.
FAILED = (State.FAILED, State.UNDELIVERABLE, State.EXPIRED, State.UNKNOWN, State.UNCERTAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One day."""

    #: Its beginning, Unix milliseconds.
    day: int
    sent: int
    delivered: int
    failed: int
    #: Where it is drawn, and each part of it: (class, top, height).
    x: float
    width: float
    parts: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The bars and the lines behind them."""

    bars: tuple[Bar, ...]
    #: Each line's number and height on the page.
    lines: tuple[tuple[int, float], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT

    @property
    def sent(self) -> int:
        return sum(bar.sent for bar in self.bars)

    @property
    def delivered(self) -> int:
        return sum(bar.delivered for bar in self.bars)

    @property
    def failed(self) -> int:
        return sum(bar.failed for bar in self.bars)


def first_day(now: int) -> int:
    """When the chart begins, Unix milliseconds."""
    return (now // DAY - DAYS + 1) * DAY


def chart(counts: Mapping[tuple[int, State], int], now: int) -> Chart:
    """The chart of counts by day (days since 1970) and state."""
    first = first_day(now) // DAY
    sent = dict.fromkeys(range(first, first + DAYS), 0)
    for (day, _), number in counts.items():
        if day in sent:
            sent[day] += number
    top = _round(max(sent.values()))
    plot = HEIGHT - _TOP - _BOTTOM
    step = (WIDTH - _LEFT) / DAYS
    bars = []
    for index, (day, total) in enumerate(sent.items()):
        delivered = counts.get((day, State.DELIVERED), 0)
        failed = sum(counts.get((day, state), 0) for state in FAILED)
        parts = []
        floor = float(HEIGHT - _BOTTOM)
        for kind, number in (
            ("delivered", delivered),
            ("failed", failed),
            ("pending", total - delivered - failed),
        ):
            height = plot * number / top
            if number:
                floor -= height
                parts.append((kind, round(floor, 2), round(height, 2)))
        bars.append(
            Bar(
                day=day * DAY,
                sent=total,
                delivered=delivered,
                failed=failed,
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
    """The next number that is easy to read and has a half: 2, 4, 6, 10, 20, 40 …"""
    scale = 1
    while True:
        for digit in (2, 4, 6, 10):
            if most <= digit * scale:
                return digit * scale
        scale *= 10
