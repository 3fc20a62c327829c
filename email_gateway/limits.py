"""How many connections and mails each network may have. In memory, and bounded."""

import ipaddress
from collections import Counter, OrderedDict

#: How many networks are remembered; beyond it those idle longest are forgotten.
MOST_NETWORKS = 10_000

# The size of network that one customer of a provider commonly has.
_PREFIX = {4: 24, 6: 48}
_MINUTE = 60.0


def network_of(host: str) -> str:
    """The network of an IP address, by which its limits are counted: a /24, or a /48 of IPv6."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None) or address
    return str(ipaddress.ip_network((mapped, _PREFIX[mapped.version]), strict=False))


class Limits:
    """Connections at a time, in all and of each network, and mails a minute of each network."""

    def __init__(self, *, connections: int, per_network: int, mails_per_minute: int) -> None:
        self._connections = connections
        self._per_network = per_network
        #: 0 is no limit.
        self._rate = mails_per_minute
        self._open: Counter[str] = Counter()
        #: When each network will have its whole allowance again (generic cell rate algorithm).
        self._free_at: OrderedDict[str, float] = OrderedDict()

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
        if not self._rate:
            return True
        free_at = max(self._free_at.get(network, now), now)
        if free_at - now > _MINUTE * (1 - 1 / self._rate):
            return False
        self._free_at[network] = free_at + _MINUTE / self._rate
        self._free_at.move_to_end(network)
        if len(self._free_at) > MOST_NETWORKS:
            self._free_at.popitem(last=False)
        return True
