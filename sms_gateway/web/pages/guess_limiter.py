"""Who guesses is slowed down."""

from collections import OrderedDict


class GuessLimiter:
    """Lets a network try so often and then makes it wait. In memory, and bounded."""

    #: Networks that are remembered; beyond it those that were quiet longest are forgotten.
    MOST = 10_000

    def __init__(self, *, tries: int, seconds: float) -> None:
        """`tries` at once, and one more every `seconds`."""
        self._tolerance = seconds * (tries - 1)
        self._interval = seconds
        #: When each network will have its whole allowance again (generic cell rate algorithm).
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, network: str, now: float) -> int:
        """Seconds until the network may try again; 0 is now."""
        ahead = self._free_at.get(network, now) - now - self._tolerance
        return max(0, int(ahead) + 1) if ahead > 0 else 0

    def failed(self, network: str, now: float) -> None:
        """A try went wrong, and counts."""
        self._free_at[network] = max(self._free_at.get(network, now), now) + self._interval
        self._free_at.move_to_end(network)
        if len(self._free_at) > self.MOST:
            self._free_at.popitem(last=False)
