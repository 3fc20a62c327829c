"""The slowest answers when the server is half busy."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from . import ours, paced, single
from .tell import tell


@dataclass(slots=True)
class Tail:
    """The 99th percentiles of each round, seconds."""

    answers: list[float] = field(default_factory=list)
    medians: list[float] = field(default_factory=list)
    #: Of the disk's own sync, before the round.
    syncs: list[float] = field(default_factory=list)
    per_second: float = 0
    wrong: int = 0

    def beyond(self) -> list[float]:
        """What the answers take longer than the disk."""
        return [a - s for a, s in zip(self.answers, self.syncs, strict=True)]


def measure(folder: Path, *, capacity: float, rounds: int, seconds: float) -> Tail:
    """Send at half of a capacity, given in requests per second."""
    folder.mkdir()
    measured = Tail(per_second=capacity / 2)
    with ours.on_sqlite(folder / "web") as (soap, _):
        paced.drive(soap.port, soap.request, per_second=200, seconds=1)
        for number in range(rounds):
            os.sync()  # what others left for the disk to write
            disk = single.syncs(folder)
            came = paced.drive(
                soap.port, soap.request, per_second=measured.per_second, seconds=seconds
            )
            measured.answers.append(came.p99)
            measured.medians.append(came.p50)
            measured.syncs.append(disk[len(disk) * 99 // 100])
            measured.wrong += came.wrong
            tell(
                f"{number + 1}/{rounds}  {measured.per_second:.0f}/s: p50 {came.p50 * 1e3:.1f} ms, "
                f"p99 {came.p99 * 1e3:.1f} ms; sync p99 {measured.syncs[-1] * 1e3:.1f} ms"
            )
    return measured
