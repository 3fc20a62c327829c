"""A process that sends as fast as it can, with several keys at once; prints a code for each
submission. Arguments: database, how many, seed, keys, and caps of the operator as name=parts."""

import asyncio
import random
import sys
from typing import Any

from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import Submission
from sms_gateway.caps import Cap, OperatorCaps, Period
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.store import Store


async def main(database: str, count: int, seed: int, keys: list[str], caps: OperatorCaps) -> None:
    chance = random.Random(seed)
    store = Store(database)
    gateway = Gateway(store, Routes([Route(prefix="", upstreams=("a",))]), caps=caps)
    await gateway.start()

    async def send(_: int) -> int:
        # Some of them again under the same key, as clients do that heard no answer.
        name = str(chance.randrange(count))
        chosen = random.Random(name)
        numbers = chosen.sample(range(12), chosen.randint(1, 4))
        recipients = ",".join(f"+3249400{number % 3}{number:03}" for number in numbers)
        text = "a" * chosen.choice((20, 20, 200, 400))
        key = chosen.choice(keys)
        await asyncio.sleep(chance.random() / 10)
        reply = await gateway.sendsms(Submission(recipients, text, key, idempotency_key=name))
        return int(reply.error)

    for code in await asyncio.gather(*map(send, range(count))):
        print(code)
    await asyncio.gather(*(send(n) for n in range(count)))
    # What is left of each cap is taken part by part.
    for number in range(90):
        recipient = f"+3249{500 + number // 10}0000"
        reply = await gateway.sendsms(Submission(recipient, "a", keys[-1]))
        print(int(reply.error))
    await gateway.aclose()
    store.close()


if __name__ == "__main__":
    database, count, seed, keys, *caps = sys.argv[1:]
    found: dict[str, Any] = {
        name: Cap(int(parts), Period.DAY) for name, _, parts in (c.partition("=") for c in caps)
    }
    asyncio.run(main(database, int(count), int(seed), keys.split(","), OperatorCaps(**found)))
