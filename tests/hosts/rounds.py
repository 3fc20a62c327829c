"""Faults one after the other in one laboratory, each with messages and an audit."""

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from .faults import Fault
from .laboratory import CALM, PATIENCE, Laboratory, laboratory

_ROOT = Path(__file__).parents[2]


async def run(
    faults: Sequence[Fault],
    messages: int,
    rate: float,
    seed: int,
    tell: Callable[[str], None],
    kept: Path,
    commit: str = "",
    is_pooled: bool = False,
) -> bool:
    """Whether all books agreed after each fault.

    With `commit` the gateway is that of this commit in the beginning, and no request may fail: the
    only thing that happens is that it is upgraded. Where books disagree, logs are left in `kept`.
    """
    good = True
    with ExitStack() as stack:
        source = stack.enter_context(_source(commit)) if commit else None
        patience = CALM if commit else PATIENCE
        made = laboratory(tell, seed, kept, source, is_pooled=is_pooled, patience=patience)
        async with made as lab:
            for number, fault in enumerate(faults, 1):
                name = fault.__name__.replace("_", " ")
                is_last = number == len(faults)
                good &= await lab.under_load(name, fault, messages, rate, is_last=is_last)
            if commit:
                good &= _none_failed(lab)
            for line in lab.tracebacks():
                tell(line)
            if not good:
                lab.keep()
    return good


def has_commit(commit: str) -> bool:
    """Whether the source of this commit is in this clone."""
    asked = ["git", "-C", str(_ROOT), "cat-file", "-e", commit]
    try:
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False  # there is no git


def _source(commit: str) -> "tempfile.TemporaryDirectory[str]":
    """A folder with the source of a commit. It runs with what is installed here."""
    folder = tempfile.TemporaryDirectory(prefix="old")
    packed = subprocess.run(
        ["git", "-C", str(_ROOT), "archive", commit], capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", folder.name], input=packed.stdout, check=True)
    return folder


def _none_failed(lab: Laboratory) -> bool:
    """Whether each request was answered, at once and with 0."""
    failed = sum(len(book.refused) + len(book.unanswered) + book.repeated for book in lab.books)
    lab.tell(f"requests that failed  {failed} of {sum(map(len, lab.books))}")
    return not failed
