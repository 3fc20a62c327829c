"""Faults one after the other in one laboratory, each with messages and an audit."""

from collections.abc import Callable, Sequence

from .faults import Fault
from .laboratory import laboratory


async def run(
    faults: Sequence[Fault], messages: int, rate: float, seed: int, tell: Callable[[str], None]
) -> bool:
    """Whether all books agreed after each fault."""
    good = True
    async with laboratory(tell, seed) as lab:
        for number, fault in enumerate(faults, 1):
            name = fault.__name__.replace("_", " ")
            is_last = number == len(faults)
            good &= await lab.under_load(name, fault, messages, rate, is_last=is_last)
        for line in lab.tracebacks():
            tell(line)
    if good:
        lab.remove()
    else:
        tell(f"what was left is in {lab.folder}")
    return good
