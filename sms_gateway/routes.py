"""Where a number's messages leave: the route with the longest prefix, and its upstreams."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way out for all numbers that begin with a prefix."""

    #: Digits after the plus sign; empty is every number.
    prefix: str
    #: Names of the upstreams that serve it, in order of preference.
    upstreams: tuple[str, ...]
    #: Nothing is accepted for it at the moment (code 99).
    closed: bool = False
    #: What was written to a carrier that never answered is sent once more, at the risk of a
    #: second copy; otherwise it is held as uncertain until its sender decides.
    resend: bool = False


#: The route of test keys: it is served by a sandbox and never by a carrier.
TEST = Route(prefix="test", upstreams=("test",))


class Routes:
    """The routes of a gateway."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_prefix = {route.prefix: route for route in routes}
        # Longest first, so that the first hit is the answer.
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix}, reverse=True)

    def find(self, number: str) -> Route | None:
        """The route of an E.164 number (with its plus sign), open or closed; None without one."""
        for length in self._lengths:
            route = self._by_prefix.get(number[1 : 1 + length])
            if route is not None:
                return route
        return None

    def served_by(self, upstream: str) -> tuple[str, ...]:
        """The prefixes of the routes whose messages an upstream takes."""
        return tuple(
            route.prefix
            for route in (*self._by_prefix.values(), TEST)
            if route.upstreams[:1] == (upstream,)
        )

    def resending(self) -> tuple[str, ...]:
        """The prefixes of the routes that send once more what is uncertain."""
        return tuple(route.prefix for route in self._by_prefix.values() if route.resend)

    def prefixes(self) -> tuple[str, ...]:
        """The prefixes of all routes, that of test keys among them."""
        return (*self._by_prefix, TEST.prefix)
