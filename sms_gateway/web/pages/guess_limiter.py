"""Who asks too often is slowed down, by each process for itself."""

from math import floor

from ...allowance import Allowances


class GuessLimiter:
    """Lets a network try so often and then makes it wait. In memory, and bounded."""

    def __init__(self, *, tries: int, seconds: float) -> None:
        """`tries` at once, and one more every `seconds`."""
        self._allowances = Allowances(tries, seconds)

    def wait(self, network: str, now: float) -> int:
        """Whole seconds until the network may try again; 0 is now."""
        ahead = self._allowances.wait(network, now)
        return floor(ahead) + 1 if ahead else 0

    def failed(self, network: str, now: float) -> None:
        """A try went wrong, and counts."""
        self._allowances.use(network, now)
