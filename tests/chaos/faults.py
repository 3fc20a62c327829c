"""What can go wrong, other than that a process is killed."""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from .parts import Carrier
from .scene import Scene

#: What puts everything right again when the round is over.
Undo = Callable[[], None]


async def stall(scene: Scene, random: random.Random) -> None:
    """A carrier's process stands still, for less or more than an answer may take."""
    carrier = random.choice(scene.carriers)
    pid = carrier.smsc.process.pid
    _signal(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(random.uniform(0.5, 5))
    finally:
        _continue(pid)


async def stall_gateway(scene: Scene, random: random.Random) -> None:
    """A process of ours stands still for longer than its lease, and then goes on."""
    victims = scene.victims()
    names = [name for name in ("worker", "second worker", "web") if name in victims]
    if not names:
        return
    pids = victims[random.choice(names)]
    for pid in pids:
        _signal(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(random.uniform(0.5, 5))
    finally:
        for pid in pids:
            _continue(pid)


async def throttle(scene: Scene, random: random.Random) -> None:
    """A carrier takes few parts in a second, and answers 0x58 to the others."""
    carrier = random.choice(scene.carriers)
    await _tell(carrier, throttle_over=30)
    await asyncio.sleep(random.uniform(1, 4))
    await _tell(carrier, throttle_over=1_000_000)


async def drop(scene: Scene, random: random.Random) -> None:
    """A carrier drops all its connections."""
    carrier = random.choice(scene.carriers)
    await _command(carrier, "drop")


async def refuse(scene: Scene, random: random.Random) -> None:
    """A carrier drops all its connections, and lets nobody bind for a while."""
    carrier = random.choice(scene.carriers)
    await _tell(carrier, bind_status=random.choice((0x0D, 0x0E, 0x05)))
    await _command(carrier, "drop")
    await asyncio.sleep(random.uniform(0.5, 3))
    await _tell(carrier, bind_status=0)


async def slow(scene: Scene, random: random.Random) -> None:
    """A carrier takes its time to answer."""
    carrier = random.choice(scene.carriers)
    await _tell(carrier, latency=random.choice((100, 800)))
    await asyncio.sleep(random.uniform(1, 3))
    await _tell(carrier, latency=2)


async def fill_disk(scene: Scene, random: random.Random) -> None:
    """The disk with the database fills up, to the last block."""
    await asyncio.to_thread(scene.disk.fill)
    try:
        await asyncio.sleep(random.uniform(0.5, 3))
    finally:
        scene.disk.clear()


async def set_clock(scene: Scene, random: random.Random) -> None:
    """The clock of the gateway's machine jumps, forwards or back."""
    scene.set_clock(random.randint(-20_000, 20_000))


FAULTS: tuple[tuple[Callable[[Scene, random.Random], Coroutine[Any, Any, None]], int], ...] = (
    (stall, 3),
    (stall_gateway, 2),
    (throttle, 3),
    (drop, 3),
    (refuse, 2),
    (slow, 2),
    (fill_disk, 2),
    (set_clock, 2),
)


def possible(scene: Scene) -> tuple[list[Callable[..., Coroutine[Any, Any, None]]], list[int]]:
    """The faults that can happen here, and how often each does."""
    chosen = [(f, weight) for f, weight in FAULTS if f is not fill_disk or scene.disk.is_small]
    return [f for f, _ in chosen], [weight for _, weight in chosen]


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _continue(pid: int) -> None:
    _signal(pid, signal.SIGCONT)


async def _tell(carrier: Carrier, **options: object) -> None:
    await _command(carrier, "set", options=options)


async def _command(carrier: Carrier, do: str, **arguments: object) -> None:
    """A command to an SMSC, unless it is killed meanwhile. One at a time."""
    async with carrier.outbox:
        try:
            await asyncio.to_thread(carrier.smsc.command, do, **arguments)
        except (AssertionError, OSError, ValueError):
            pass  # killed; the next process begins with no fault at all
