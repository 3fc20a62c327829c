"""`python -m chaos.pace`: how fast parts go to a carrier that is 20 ms away.

What the window allows is its size for each round trip; what a rate allows is the rate. Both are
compared with what the carrier's own journal says.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import uvloop
from support import databases
from support.in_process import accept, states, working
from support.smsc import Smsc, start_smsc

from sms_gateway.store import Store

_LATENCY = 20
_WINDOWS = (1, 5, 10, 20)
_RATES = (20, 100, 300)
#: How long each is measured.
_SECONDS = 20


async def main(kind: str) -> None:
    for window in _WINDOWS:
        limit = window * 1000 / _LATENCY
        speed = await _measure(kind, f"window={window}", int(limit * _SECONDS))
        _tell(
            f"{kind}: window {window:4}: {speed:7.1f} parts/s of {limit:.0f} ({speed / limit:.1%})"
        )
    for rate in _RATES:
        speed = await _measure(kind, f"window=100&rate={rate}", rate * _SECONDS)
        _tell(f"{kind}: rate {rate:6}: {speed:7.1f} parts/s ({speed / rate - 1:+.2%})")


def _tell(line: str) -> None:
    print(line, flush=True)


async def _measure(kind: str, options: str, parts: int) -> float:
    """Parts per second."""
    # One in four has three parts: half of all parts are of long messages.
    messages = (
        (f"+3247{n:07}", f"message {n}" + (" and so on" * 36 if n % 4 == 0 else ""))
        for n in range(parts * 4 // 6)
    )
    with tempfile.TemporaryDirectory() as name, databases.fresh(kind, Path(name)) as url:
        folder = Path(name)
        store = Store(url)
        await accept(store, messages)
        with start_smsc(folder, latency=_LATENCY) as smsc:
            async with working(store, f"{smsc.url}?{options}"):
                while set(states(store)) != {"delivered"}:
                    await asyncio.sleep(0.5)
            store.close()
            return _speed(smsc)


def _speed(smsc: Smsc) -> float:
    at = [entry["at"] for entry in smsc.submits()]
    # Without its beginning and its end.
    middle = at[len(at) // 10 : -len(at) // 10]
    return (len(middle) - 1) * 1000 / (middle[-1] - middle[0])


if __name__ == "__main__":
    for chosen in sys.argv[1:] or databases.KINDS:
        uvloop.run(main(chosen))
