"""Counts connections, and requests whose bodies are still coming, and limits them by network."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..network.clients import Headers, Networks


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits that one web process sets its clients."""

    #: Connections at a time of one network.
    connections_per_network: int = 200
    #: Requests with unfinished bodies at a time of one network.
    bodies_per_network: int = 50
    #: The networks of trusted proxies, whose headers name the client.
    proxies: Sequence[str] = ()
    #: Seconds in which a request has no least rate, head and body together.
    patience: float = 10
    #: Least average rate after that, octets a second; a modem of 1985 reached it.
    least_rate: float = 200

    def too_slow(self, octets: int, seconds: float) -> bool:
        """Whether a request with so many octets after so many seconds is too slow to wait for."""
        return octets < (seconds - self.patience) * self.least_rate


DEFAULT_LIMITS = Limits()


class Crowd:
    """The open connections and bodies, by network.

    It holds no more networks than there are connections.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._networks = Networks(limits.proxies)
        self._connections: Counter[str] = Counter()
        self._bodies: Counter[str] = Counter()

    def whence(self, host: str, headers: Headers) -> str:
        """The network that a request counts for; empty where the peer stands for many clients."""
        return self._networks.beyond(host, headers)

    def enter(self, host: str) -> str | None:
        """Count a new connection for its network, until `leave`. Returns the network.

        The network is empty for a connection of a proxy, which is not counted. None: the network
        is at its limit, and the connection is not counted.
        """
        network = self._networks.beyond(host, ())
        if not network:
            return ""
        if self._connections[network] >= self.limits.connections_per_network:
            return None
        self._connections[network] += 1
        return network

    def leave(self, network: str) -> None:
        """Count a connection no more, as it has ended."""
        _less(self._connections, network)

    def begin_body(self, host: str, headers: Headers) -> str | None:
        """As `enter`, for a request whose body is still to come, until `end_body`."""
        network = self._networks.beyond(host, headers)
        if not network:
            return ""
        if self._bodies[network] >= self.limits.bodies_per_network:
            return None
        self._bodies[network] += 1
        return network

    def end_body(self, network: str) -> None:
        """Count a body no more, as it has come or never will."""
        _less(self._bodies, network)


def _less(counted: Counter[str], network: str) -> None:
    if network:
        counted[network] -= 1
        if counted[network] <= 0:
            del counted[network]
