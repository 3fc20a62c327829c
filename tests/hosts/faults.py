"""What can go wrong between and on hosts. Each returns what was seen, in a few words."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from .laboratory import WEB, Laboratory
from .parts import Program

Fault = Callable[[Laboratory], Awaitable[str]]


async def web_host_killed(lab: Laboratory) -> str:
    lab.power_off("web1")
    await asyncio.sleep(1)
    await lab.power_on("web1")
    return "one web host was dead for a second"


async def web_host_cut_off(lab: Laboratory) -> str:
    lab.network.cut("web2")
    await asyncio.sleep(5)
    lab.network.mend()
    return f"the one cut off accepted again {await lab.accepting(['web2']):.1f} s after it was back"


async def worker_host_killed(lab: Laboratory) -> str:
    lab.power_off("worker1")
    await asyncio.sleep(1)
    await lab.power_on("worker1")
    return "one worker host was dead for a second"


async def worker_host_cut_off(lab: Laboratory) -> str:
    """For longer than its lease: the other takes over what it had claimed."""
    lab.network.cut("worker1")
    await asyncio.sleep(6)
    lab.network.mend()
    return "one worker host was cut off for three leases"


async def worker_parted_from_database(lab: Laboratory) -> str:
    """It goes on speaking with the carrier, and can write nothing down."""
    lab.network.cut("worker2", lab.primary.host)
    await asyncio.sleep(6)
    lab.network.mend()
    return "one worker had the carrier and no database for three leases"


async def database_restarted(lab: Laboratory) -> str:
    await asyncio.to_thread(lab.primary.stop)
    await asyncio.to_thread(lab.primary.start)
    return f"accepting again after {await lab.accepting():.1f} s"


async def database_killed(lab: Laboratory) -> str:
    lab.power_off(lab.primary.host)
    await lab.power_on(lab.primary.host)
    return f"accepting again after {await lab.accepting():.1f} s"


async def database_cut_off(lab: Laboratory) -> str:
    """It vanishes without a reset, and comes back."""
    lab.network.cut(lab.primary.host)
    await asyncio.sleep(8)
    lab.network.mend()
    return f"accepting again {await lab.accepting():.1f} s after it was back"


async def pooler_restarted(lab: Laboratory) -> str:
    lab.power_off("pooler")
    await asyncio.sleep(1)
    await lab.power_on("pooler")
    return f"accepting again after {await lab.accepting():.1f} s"


async def failed_over(lab: Laboratory) -> str:
    """The primary vanishes for good. The standby has all that was acknowledged."""
    lab.network.cut(lab.primary.host)
    await asyncio.sleep(2)
    await lab.fail_over()
    seconds = await lab.accepting()
    await lab.rebuild()
    return f"accepting again at all hosts {seconds:.1f} s after the promotion"


async def carrier_gone(lab: Laboratory) -> str:
    lab.power_off("smsc")
    lab.carrier.smsc.process.kill()
    await asyncio.sleep(3)
    await lab.power_on("smsc")
    return "the SMSC was away for 3 s"


async def carrier_cut_off(lab: Laboratory) -> str:
    lab.network.cut("smsc")
    await asyncio.sleep(5)
    lab.network.mend()
    return "the SMSC was silent for 5 s"


async def bad_weather(lab: Laboratory) -> str:
    """Every cable is long and bad."""
    lab.network.weather(delay=15, jitter=10, loss=0.02)
    await asyncio.sleep(6)
    lab.network.mend()
    return "15 to 25 ms each way and one packet in fifty lost, on all cables"


async def disk_full(lab: Laboratory) -> str:
    """Until the database can write no log any more, and has ended for that."""
    full = b"No space left on device"
    seen = lab.primary.log.read_bytes().count(full)
    await asyncio.to_thread(lab.disk.fill)
    await asyncio.sleep(0.5)
    while lab.primary.log.read_bytes().count(full) == seen:
        # What was made ahead is used up.
        with contextlib.suppress(AssertionError):
            await asyncio.to_thread(lab.primary.ask, "SELECT pg_switch_wal()")
    await asyncio.sleep(1.5)
    lab.disk.clear()
    return f"accepting again {await lab.accepting():.1f} s after there was room"


async def wrong_clocks(lab: Laboratory) -> str:
    """Clocks that are wrong by ten minutes, each way, of web hosts and of a worker.

    These stand aside until their clocks are right, which they look at each minute.
    """
    wrong = {"web1": 600, "web2": -600, "worker1": 600}
    for host, ahead in wrong.items():
        lab.set_clock(host, ahead)
    await asyncio.sleep(5)
    await lab.accepting(["web3"])
    for host in wrong:
        lab.set_clock(host, 0)
    seconds = await lab.accepting()
    return f"two web hosts and a worker stood aside; back {seconds:.0f} s after they were right"


async def names_unknown(lab: Laboratory) -> str:
    """The name server is silent while a web host and the carrier's connection begin anew."""
    lab.network.cut("names")
    lab.carrier.smsc.command("drop")
    await asyncio.sleep(4)
    lab.network.mend()
    return f"no name server for 4 s; accepting {await lab.accepting():.1f} s after it was back"


async def names_slow(lab: Laboratory) -> str:
    lab.network.weather(slow={"names": 700})
    lab.carrier.smsc.command("drop")
    await asyncio.to_thread(lab.primary.stop)
    await asyncio.to_thread(lab.primary.start)
    seconds = await lab.accepting()
    lab.network.mend()
    return f"names took 1.4 s; accepting {seconds:.1f} s after the database was back"


async def limits_and_repeats(lab: Laboratory) -> str:
    """A rate, a cap and idempotency keys, each asked of at all hosts at once while one dies."""
    hammered = lab.hammer("rated", 30, "--rate", "30/h")
    capped = lab.hammer("capped", 40, "--rate", "none", "--parts-per-day", "40")
    repeated = lab.repeat(40)
    found = asyncio.gather(hammered, capped, repeated)
    await asyncio.sleep(0.7)
    lab.power_off("web3")
    await lab.power_on("web3")
    rated, cap, ids = await found
    assert (rated, cap, ids) == (30, 40, 40), (rated, cap, ids)
    return "30 of a rate of 30, 40 of a cap of 40, 40 ids for 40 keys that each host was given"


async def upgraded_in_turn(lab: Laboratory) -> str:
    """The database first, then hosts one after the other. Nothing of it fails a request.

    A host is taken from those that callers choose from, and has no requests any more, before its
    web process stops, as with a load balancer.
    """
    began = time.monotonic()
    await asyncio.to_thread(lab.run, "migrate")
    migrated = time.monotonic() - began
    await asyncio.sleep(1)
    for host in ("worker1", "web1", "web2", "worker2", "web3"):
        address = lab.network.address(host)
        if host in WEB:
            lab.open.remove(address)
            await lab.idle(host)
        for part in lab.on(host):
            await asyncio.to_thread(part.stop)
        for part in lab.on(host):
            assert isinstance(part, Program)
            part.become(lab.environment(host))
        await lab.power_on(host)
        if host in WEB:
            lab.open.append(address)
        await asyncio.sleep(1)
    return f"migrated in {migrated:.1f} s, then five hosts in turn"


#: In groups, each for a laboratory of its own. What leaves deliveries uncertain comes first, as it
#: is settled after a minute.
GROUPS: dict[str, tuple[Fault, ...]] = {
    "workers": (
        worker_host_killed,
        worker_host_cut_off,
        worker_parted_from_database,
        carrier_gone,
        carrier_cut_off,
    ),
    "databases": (
        database_restarted,
        database_killed,
        database_cut_off,
        disk_full,
        failed_over,
    ),
    "network": (
        web_host_killed,
        web_host_cut_off,
        bad_weather,
        names_slow,
        names_unknown,
        wrong_clocks,
        limits_and_repeats,
    ),
    "pooler": (
        worker_host_killed,
        database_restarted,
        pooler_restarted,
    ),
    "upgrade": (upgraded_in_turn,),
}
