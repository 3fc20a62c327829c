"""What a server under measurement is, and one turn of it."""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from .client import Answers, Request, drive
from .processes import cpu_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A running server and what to ask of it."""

    name: str
    #: What it does for an answer, in a few words.
    does: str
    version: str
    port: int
    request: Request
    #: The processes that work for it; what they started counts too.
    roots: Sequence[int]
    #: How many of these acknowledged ids are not stored; None where nothing is to be kept.
    missing: Callable[[Collection[str]], int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one turn of a contender came to."""

    requests: int
    seconds: float
    #: CPU of all processes of the server, microseconds per request.
    user: float
    system: float
    #: Seconds from request to answer, as the client saw it.
    p50: float
    p99: float
    #: Wrong answers, cut connections and acknowledged messages that are not stored.
    wrong: int
    missing: int
    example: str = ""

    @property
    def cpu(self) -> float:
        """Microseconds per request."""
        return self.user + self.system

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def turn(contender: Contender, folder: Path, *, seconds: float, connections: int = 32) -> Turn:
    """Drive a contender for so long."""
    # What those before it left for the disk to write is theirs; one that syncs would wait for it.
    os.sync()
    user, system = cpu_seconds(contender.roots)
    answers: Answers = drive(
        contender.port, contender.request, folder, seconds=seconds, connections=connections
    )
    user_after, system_after = cpu_seconds(contender.roots)
    count = max(answers.right, 1)
    return Turn(
        requests=answers.right,
        seconds=answers.seconds,
        user=(user_after - user) * 1e6 / count,
        system=(system_after - system) * 1e6 / count,
        p50=answers.p50,
        p99=answers.p99,
        wrong=answers.wrong + answers.cut,
        missing=_missing(contender, answers.ids),
        example=answers.example,
    )


def _missing(contender: Contender, ids: Collection[str]) -> int:
    if contender.missing is None:
        return 0
    # An id that was given twice is one message less.
    return contender.missing(set(ids)) + len(ids) - len(set(ids))
