"""Clocks that a test moves."""

import asyncio


class Clock:
    """One that stands: milliseconds since 1970, at noon of some day."""

    def __init__(self) -> None:
        self.now = 1_800_014_400_000

    def __call__(self) -> int:
        return self.now

    def pass_(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        self.now += int((hours * 3_600 + minutes * 60 + seconds) * 1_000)


def pass_on_the_loop(seconds: float) -> None:
    """Let so much time pass for all timers of the running event loop, at once.

    What waits for a timer need not wait for it in a test, and what must not run into its timer
    may have one that no busy machine can reach.
    """
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.time = lambda: now() + seconds  # type: ignore[method-assign]
