"""How many connections, and requests whose bodies are still coming, each network may have."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..network.clients import Headers, Networks


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What strangers may take of one web process."""

    #: Connections at a time of one network.
    connections_per_network: int = 200
    #: Requests at a time of one network whose bodies are still to come.
    bodies_per_network: int = 50
    #: The networks of the proxies that are believed when they say whom a request comes from.
    proxies: Sequence[str] = ()
    #: Seconds that a request may come as slowly as it likes, head and body together.
    patience: float = 10
    #: Octets a second that a request has to come with on average after that; a modem of 1985 did.
    least_rate: float = 200

    def too_slow(self, octets: int, seconds: float) -> bool:
        """Whether a request of which so much has come in this time is not waited for."""
        return octets < (seconds - self.patience) * self.least_rate


DEFAULT_LIMITS = Limits()


class Crowd:
    """Who is there, by network. Holds no more networks than there are connections."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._networks = Networks(limits.proxies)
        self._connections: Counter[str] = Counter()
        self._bodies: Counter[str] = Counter()

    def whence(self, host: str, headers: Headers) -> str:
        """The network by which a request is counted; empty where it stands for many clients."""
        return self._networks.beyond(host, headers)

    def enter(self, host: str) -> str | None:
        """The network by which a new connection is counted until it leaves: empty for one of a
        proxy, which is not counted. None when the network has as many as it may."""
        network = self._networks.beyond(host, ())
        if not network:
            return ""
        if self._connections[network] >= self.limits.connections_per_network:
            return None
        self._connections[network] += 1
        return network

    def leave(self, network: str) -> None:
        """A connection that was counted has ended."""
        _less(self._connections, network)

    def begin_body(self, host: str, headers: Headers) -> str | None:
        """The same as `enter` for a request whose body is still to come."""
        network = self._networks.beyond(host, headers)
        if not network:
            return ""
        if self._bodies[network] >= self.limits.bodies_per_network:
            return None
        self._bodies[network] += 1
        return network

    def end_body(self, network: str) -> None:
        """The body of a request that was counted has come, or never will."""
        _less(self._bodies, network)


def _less(counted: Counter[str], network: str) -> None:
    if network:
        counted[network] -= 1
        if counted[network] <= 0:
            del counted[network]
