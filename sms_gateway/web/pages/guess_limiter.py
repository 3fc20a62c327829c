"""Limits how often a network may try, in each process by itself."""

from math import floor

from ...allowance import Allowances


class GuessLimiter:
    """Lets a network try a number of times, then makes it wait; in memory, of bounded size."""

    def __init__(self, *, tries: int, seconds: float) -> None:
        """`tries` at once, and one more every `seconds`."""
        self._allowances = Allowances(tries, seconds)

    def wait(self, network: str, now: float) -> int:
        """Whole seconds until the network may try again; 0 is now."""
        ahead = self._allowances.wait(network, now)
        return floor(ahead) + 1 if ahead else 0

    def failed(self, network: str, now: float) -> None:
        """Count a failed try of a network."""
        self._allowances.use(network, now)
