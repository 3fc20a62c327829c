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


class LoopClock:
    """The clock of the running event loop, put forward when a test says so.

    What waits for a timer need not wait for it in a test, and what must not run into its timer
    may have one that no busy machine can reach. It has to be there before anything else asks the
    loop for its clock.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._passed = 0.0
        self._true_time = loop.time
        loop.time = self._time  # type: ignore[method-assign]

    def _time(self) -> float:
        return self._true_time() + self._passed

    def pass_(self, seconds: float) -> None:
        """Let so much time pass for all timers at once."""
        self._passed += seconds
