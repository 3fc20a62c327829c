"""How many connections and mails each network may have. In memory, and bounded."""

from collections import Counter

from sms_gateway.allowance import Allowances

_MINUTE = 60.0


class Limits:
    """Connections at a time, in all and of each network, and mails a minute of each network."""

    def __init__(self, *, connections: int, per_network: int, mails_per_minute: int) -> None:
        """0 `mails_per_minute` is no limit."""
        self._connections = connections
        self._per_network = per_network
        self._mails = (
            Allowances(mails_per_minute, _MINUTE / mails_per_minute) if mails_per_minute else None
        )
        self._open: Counter[str] = Counter()

    def connect(self, network: str) -> bool:
        """Whether one more connection is taken; if so, `disconnect` has to follow."""
        if self._open.total() >= self._connections or self._open[network] >= self._per_network:
            return False
        self._open[network] += 1
        return True

    def disconnect(self, network: str) -> None:
        """A connection that was taken has ended."""
        self._open[network] -= 1
        if self._open[network] <= 0:
            del self._open[network]

    def admit(self, network: str, now: float) -> bool:
        """Whether one more mail is taken; `now` in seconds. A refused mail does not count."""
        return self._mails is None or self._mails.admit(network, now)
