"""Contenders driven in turn, A B A B, so that a busy minute is everybody's."""

from collections.abc import Sequence
from pathlib import Path

from .contenders import Contender, Turn, turn
from .tell import tell


def rounds(
    contenders: Sequence[Contender],
    folder: Path,
    *,
    count: int,
    seconds: float,
    connections: int = 32,
) -> dict[str, list[Turn]]:
    """The turns of each contender, by its name; a round that warms them up does not count."""
    turns: dict[str, list[Turn]] = {contender.name: [] for contender in contenders}
    for number in range(count + 1):
        for contender in contenders:
            taken = turn(
                contender, folder, seconds=seconds if number else 1, connections=connections
            )
            if number:
                turns[contender.name].append(taken)
                tell(f"{number}/{count}  {contender.name}: {told(taken)}")
    return turns


def told(taken: Turn) -> str:
    """A turn in a line."""
    line = f"{taken.cpu:.0f} µs, {taken.per_second:.0f}/s"
    if taken.wrong or taken.missing:
        line += f"; {taken.wrong} wrong ({taken.example}), {taken.missing} not stored"
    return line
