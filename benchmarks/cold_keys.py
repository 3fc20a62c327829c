"""What a message costs whose key is not in memory, beside one of a key that is.

`python -m benchmarks.cold_keys [--url URL]`: the gateway in process, 50 requests at a time, each
key of a round once; CPU per accepted message, in turns.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import Submission
from sms_gateway.codes import Code
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.store import Store

from . import ours

_KEYS, _AT_ONCE, _ROUNDS = 2_000, 50, 7


async def _cost(gateway: Gateway, keys: Sequence[str]) -> float:
    """Seconds of processor for each message, one for each of the keys."""
    began = time.process_time()
    left = iter(keys)

    async def client() -> None:
        for key in left:
            reply = await gateway.sendsms(Submission("+32470123456", "hello", key))
            if reply.error is not Code.SENT:
                raise RuntimeError(f"a message was refused with {reply.error}")

    await asyncio.gather(*(client() for _ in range(_AT_ONCE)))
    return (time.process_time() - began) / len(keys)


async def _measure(url: str) -> None:
    keys = ours.prepared(url, keys=_KEYS)
    store = Store(url)
    routes = Routes([Route(prefix="", upstreams=("none",))])
    cold: list[float] = []
    warm: list[float] = []
    for _ in range(_ROUNDS):
        gateway = Gateway(store, routes)
        await gateway.start()
        cold.append(await _cost(gateway, keys))
        warm.append(await _cost(gateway, keys))
        await gateway.aclose()
    store.close()
    ratios = [a / b for a, b in zip(cold, warm, strict=True)]
    for name, values in (("not in memory", cold), ("in memory", warm)):
        low, middle, high = (1e6 * of(values) for of in (min, median, max))
        print(f"{name}: {middle:.0f} us ({low:.0f}-{high:.0f})")
    print(f"ratio: {median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a database; the default is a new SQLite file")
    url = parser.parse_args().url
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(url or ours.sqlite_url(Path(folder))))


if __name__ == "__main__":
    main()
