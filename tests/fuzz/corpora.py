"""Inputs to begin with, for each target: what behaves, and what earlier runs found to reach more.

`kept/TARGET.txt` has an input a line, in base64. `python -m fuzz TARGET --keep` writes it anew.
"""

import base64
from pathlib import Path

from . import header_targets, soap_targets, targets
from .seeds import SEEDS

KEPT = Path(__file__).parent / "kept"
#: For each target how an input is tried, and inputs that behave.
TARGETS = {
    "carriers": (targets.try_all, lambda: SEEDS),
    "clients": (soap_targets.try_all, soap_targets.seeds),
    "headers": (header_targets.try_all, header_targets.seeds),
}


def kept(target: str) -> list[bytes]:
    """The inputs that earlier runs kept."""
    file = KEPT / f"{target}.txt"
    return [base64.b64decode(line, validate=True) for line in file.read_text("ascii").split()]


def keep(target: str, inputs: list[bytes]) -> None:
    """Keep these inputs, and no other, the shortest first."""
    lines = [base64.b64encode(each).decode() + "\n" for each in sorted(inputs, key=_order)]
    (KEPT / f"{target}.txt").write_text("".join(lines), "ascii")


def _order(each: bytes) -> tuple[int, bytes]:
    return len(each), each
