"""Decides which upstream takes which route's messages now, how fast and how many.

It judges upstreams by what this process has seen of them; another worker may judge otherwise.
"""

import logging
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from ..breaker import Breaker, Circuit
from ..routing.routes import Route, Routes, Share
from ..upstream import Delivery, Outcome, pending_parts
from ..upstream.allotment import Allotment, Ask, KeepsLimits
from ..upstream.pace import Pace

log = logging.getLogger(__name__)

#: Seconds' worth of parts that a route may make up for when it was asked for late.
_BURST = 0.25

# An answer shows that its upstream works, that it fails, or neither. A carrier that refuses a
# message for good works.
_WORKS = {
    Outcome.ACCEPTED: True,
    Outcome.REFUSED: True,
    Outcome.RETRY: False,
    Outcome.UNANSWERED: False,
    # A full handset is no fault of the carrier, and no sign that it takes messages for others.
    Outcome.BUSY: None,
    Outcome.NOT_WRITTEN: None,
}


class Dispatch:
    """The routes at one worker. `now` is any clock in seconds that never goes back."""

    def __init__(self, routes: Routes, upstreams: Collection[str], *, grace: float) -> None:
        """After `grace` seconds of absence or failures the next upstream takes over."""
        self._routes = routes
        self._breakers = {name: Breaker(grace=grace) for name in upstreams}
        self._bound: set[str] = set()
        self._limits = {
            route.prefix: _Limits(route, self._bound)
            for route in routes.all()
            if route.rate is not None or route.window is not None
        }
        self._seen = dict.fromkeys(upstreams, Circuit.CLOSED)

    def limited(self) -> Mapping[str, KeepsLimits]:
        """The routes with limits, by prefix."""
        return self._limits

    def shares(self, upstream: str, room: int, now: float) -> list[Share]:
        """The shares that an upstream with this room (in parts) may claim; call `claimed` after."""
        breaker = self._breakers[upstream]
        if not breaker.admits(now):
            return []
        trial = breaker.circuit(now) is Circuit.HALF_OPEN
        shares = []
        for share in self._routes.shares(upstream, failed=self.failed_over(now), trial=trial):
            limits = self._limits_of(share)
            most = min(1 if trial else room, math.inf if limits is None else limits.free(now))
            if most > 0:
                shares.append(replace(share, most=int(most)))
                if limits is not None:
                    limits.take(int(most), now)
                if trial:
                    breaker.trying()
                    break
        return shares

    def claimed(
        self,
        upstream: str,
        shares: Sequence[Share],
        deliveries: Iterable[Delivery],
        now: float,
    ) -> None:
        """Take note of the deliveries that the claim of `shares` gave."""
        taken = Counter(
            {
                share.lane.limited.prefix: -(share.most or 0)
                for share in shares
                if share.lane.limited is not None
            }
        )
        any_taken = False
        for delivery in deliveries:
            taken[delivery.route] += len(pending_parts(delivery))
            any_taken = True
        for prefix, parts in taken.items():
            if prefix in self._limits:
                self._limits[prefix].take(parts, now)
        if not any_taken:
            self._breakers[upstream].undecided()

    def pause(self, upstream: str, now: float) -> float:
        """Seconds until the rate of a route that this upstream serves allows another part; inf
        where no rate is the reason to wait."""
        limits = map(self._limits_of, self._routes.shares(upstream))
        delays = (each.pace.delay(now) for each in limits if each is not None)
        return min((delay for delay in delays if delay > 0), default=math.inf)

    def answered(self, upstream: str, outcome: Outcome, now: float) -> None:
        """An upstream answered for a part."""
        breaker = self._breakers[upstream]
        match _WORKS[outcome]:
            case True:
                breaker.succeeded(now)
            case False:
                breaker.failed(now)
            case None:
                breaker.undecided()
        self._tell(upstream, outcome, now)

    def ended(self, delivery: Delivery) -> None:
        """An attempt is over: its parts are not under way any more."""
        limits = self._limits.get(delivery.route)
        if limits is not None:
            limits.under_way -= len(pending_parts(delivery))

    def noticed(self, upstream: str, *, bound: bool, now: float, why: str = "") -> None:
        """An upstream is bound, or is not, and `why`."""
        breaker = self._breakers[upstream]
        if bound:
            self._bound.add(upstream)
            breaker.present(now)
        else:
            self._bound.discard(upstream)
            breaker.absent(now)
        self._tell(upstream, "bound" if bound else why or "not bound", now)

    def failed_over(self, now: float) -> list[str]:
        """The upstreams whose circuit is not closed: others stand in for them."""
        return [
            name
            for name, breaker in self._breakers.items()
            if breaker.circuit(now) is not Circuit.CLOSED
        ]

    def _limits_of(self, share: Share) -> "_Limits | None":
        route = share.lane.limited
        return None if route is None else self._limits[route.prefix]

    def _tell(self, upstream: str, why: str, now: float) -> None:
        circuit = self._breakers[upstream].circuit(now)
        before, self._seen[upstream] = self._seen[upstream], circuit
        if before is Circuit.CLOSED and circuit is not Circuit.CLOSED:
            log.warning("upstream failed over", extra={"upstream": upstream, "why": why})
        elif before is not Circuit.CLOSED and circuit is Circuit.CLOSED:
            log.info("upstream works again", extra={"upstream": upstream})


class _Limits:
    """The pace of one route, and how many parts are under way."""

    def __init__(self, route: Route, bound: Collection[str]) -> None:
        """`bound`: the upstreams that are, now and later."""
        self.pace = Pace(route.rate, route.window, burst=_BURST)
        self.under_way = 0
        self._upstreams = route.upstreams
        self._bound = bound

    def free(self, now: float) -> float:
        return self.pace.room(now, self.under_way)

    def ask(self, now: float) -> Ask:
        """See `KeepsLimits.ask`."""
        ready = any(name in self._bound for name in self._upstreams)
        return self.pace.ask(now, self.under_way, ready=ready)

    def allot(self, allotment: Allotment, now: float) -> None:
        """See `KeepsLimits.allot`."""
        self.pace.allot(allotment, now)

    def take(self, parts: int, now: float) -> None:
        """So many parts go; fewer than none are given back."""
        self.pace.written(parts, now)
        self.under_way += parts
