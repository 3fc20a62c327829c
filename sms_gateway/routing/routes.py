"""Finds the route of a number by the longest prefix, and which upstream takes its deliveries."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle
from math import gcd

from ..sms.encoding import DefaultAlphabet
from ..sms.kinds import Kind
from ..sms.numbering import countries_of
from .conditions import Case, Conditions, Rewrite, rewritten
from .quiet_hours import QuietHours


class Senders(StrEnum):
    """Which sender IDs a carrier accepts."""

    ANY = "any"
    #: Digits only: international numbers and short codes.
    NUMBER = "number"
    #: Letters only, up to eleven of them with digits.
    ALPHANUMERIC = "alphanumeric"
    #: Only the sender of the route.
    OWN = "own"


#: The form of a sender: an international number, a short code, or up to 11 letters (GSM 03.40).
#: Empty leaves the sender to the carrier.
SENDER = re.compile(r"\+?[0-9]{1,15}|(?=.*[A-Za-z])[A-Za-z0-9 .&_-]{1,11}|")
_NUMBER = re.compile(r"\+?[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The upstreams and options for all numbers that begin with a prefix."""

    #: The name under which deliveries keep their route: its digits after the plus sign (empty
    #: matches every number), and for a route with conditions also a blank and its name.
    prefix: str
    #: The names of its upstreams, in order of preference.
    upstreams: tuple[str, ...]
    #: The weight of each upstream; empty: the first that works takes all messages.
    weights: tuple[int, ...] = ()
    #: Whether its messages are refused at the moment (code 99).
    closed: bool = False
    #: Whether a message that a carrier never answered is sent once more, at the risk of a second
    #: copy. Otherwise it becomes uncertain until its sender decides.
    resend: bool = False
    #: The most parts per second, and the most unanswered parts, of all workers; None: no limit.
    rate: float | None = None
    window: int | None = None
    #: The validity of its messages, milliseconds; None leaves it to the settings.
    validity: int | None = None
    #: The alphabet of its carriers for data_coding 0; None leaves it to each upstream.
    alphabet: DefaultAlphabet | None = None
    #: The sender IDs that its carriers accept.
    senders: Senders = Senders.ANY
    #: The sender of its messages that have none, or one that the carriers do not accept.
    sender: str = ""
    #: Kinds of numbers that it opens besides the usual ones.
    kinds: frozenset[Kind] = frozenset()
    #: The hours during which its messages wait.
    quiet: QuietHours | None = None
    #: What has to hold besides the prefix; None: nothing.
    when: Conditions | None = None
    #: The rules for senders and texts, applied one after the other.
    rewrites: tuple[Rewrite, ...] = ()
    #: The price of a part by each upstream, in any currency; for display, as the upstreams are in
    #: this order already.
    prices: tuple[float, ...] = ()

    @property
    def digits(self) -> str:
        """The digits that its numbers begin with."""
        return self.prefix.partition(" ")[0]

    def text_for(self, text: str) -> str:
        """A text as it leaves."""
        return rewritten(self.rewrites, "text", text) if self.rewrites else text

    def sender_after_rules(self, wanted: str) -> str:
        """A sender by the rules, whether or not the carriers accept it."""
        return rewritten(self.rewrites, "sender", wanted) if self.rewrites else wanted

    def sender_for(self, wanted: str) -> str:
        """The sender of a message when its account wants this one."""
        wanted = self.sender_after_rules(wanted)
        is_number = _NUMBER.fullmatch(wanted) is not None
        fits = {
            Senders.ANY: True,
            Senders.NUMBER: is_number,
            Senders.ALPHANUMERIC: not is_number,
            Senders.OWN: False,
        }
        return wanted if wanted and fits[self.senders] else self.sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A line of the queue: deliveries of routes that lead to the same upstreams in the same way."""

    name: str
    #: The upstream that takes them, then those that stand in when it fails.
    upstreams: tuple[str, ...]
    #: Whether all that work stand in together, or only the first of them.
    is_shared: bool
    #: The route, when it has a rate or a window of its own and therefore a lane of its own.
    limited: Route | None

    @classmethod
    def of(cls, route: Route, first: str) -> "Lane":
        """The lane of a route's deliveries that are planned for the upstream `first`."""
        others = tuple(name for name in route.upstreams if name != first)
        upstreams = (first, *others) if route.weights else route.upstreams
        has_limits = route.rate is not None or route.window is not None
        name = ("|" if route.weights else ">").join(upstreams)
        return cls(
            name=f"{name} {route.prefix or 'default'}" if has_limits else name,
            upstreams=upstreams,
            is_shared=bool(route.weights),
            limited=route if has_limits else None,
        )

    def takers(self, failed: Collection[str]) -> tuple[str, ...]:
        """The upstreams that take its deliveries while those in `failed` are failed over."""
        working = tuple(name for name in self.upstreams if name not in failed)
        return working if self.is_shared and self.upstreams[0] in failed else working[:1]


#: The lane of deliveries that no upstream takes: their route is closed, or there is none any more.
NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What an upstream may claim of a lane now."""

    lane: Lane
    #: Whether to leave out deliveries that this upstream was the last to try, so that a delivery
    #: serves only once as a trial.
    untried: bool = False
    #: The most parts at once; None: as many as the upstream has room for.
    most: int | None = None


#: The route of test keys, which leads to a sandbox and never to a carrier.
TEST = Route(prefix="test", upstreams=("test",))


class Routes:
    """The routes of a gateway, and the lanes of the queue that lead to their upstreams."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_prefix = {route.prefix: route for route in routes}
        #: The routes with conditions, in the order in which they are asked.
        self.conditional = tuple(
            route for route in self._by_prefix.values() if route.when is not None
        )
        # Longest first: the first match is the result.
        lengths = {len(route.prefix) for route in self._by_prefix.values() if route.when is None}
        self._lengths = sorted(lengths, reverse=True)
        lanes = {
            route.prefix: [Lane.of(route, name) for name in _planned(route)] for route in self.all()
        }
        self._lanes = {lane.name: lane for of_route in lanes.values() for lane in of_route}
        self._names = {prefix: {lane.name for lane in some} for prefix, some in lanes.items()}
        # The lanes of the next deliveries of each route, one after the other.
        self._next = {
            prefix: cycle([lane.name for lane in some] or [NOWHERE])
            for prefix, some in lanes.items()
        }

    @property
    def longest(self) -> int:
        """The number of digits of the longest prefix."""
        return self._lengths[0] if self._lengths else 0

    def find(self, number: str) -> Route | None:
        """The route of a number (E.164 with the plus sign), open or closed; None without one."""
        for length in self._lengths:
            route = self._by_prefix.get(number[1 : 1 + length])
            if route is not None:
                return route
        return None

    def weigh(self, case: Case) -> Iterator[tuple[Route, str]]:
        """The routes with conditions that are asked for a message, and why each does not take it;
        the last takes it where that is empty."""
        for route in self.conditional:
            assert route.when is not None
            fits = case.number.startswith(route.digits, 1)
            unmet = route.when.unmet(case) if fits else "it is for other numbers"
            yield route, unmet
            if not unmet:
                return

    def special(self, case: Case) -> Route | None:
        """The first route with conditions that takes a message; None: by prefix, see `find`."""
        return next((route for route, unmet in self.weigh(case) if not unmet), None)

    def of_prefix(self, prefix: str) -> Route:
        """The route with exactly this prefix; without one, the test route, which has no options."""
        return self._by_prefix.get(prefix, TEST)

    def all(self) -> Sequence[Route]:
        """All routes, with the test route."""
        return (*self._by_prefix.values(), TEST)

    def lane(self, prefix: str) -> str:
        """The lane of the next delivery of the route with this prefix: its upstream by weight, or
        the first."""
        return next(self._next[prefix])

    def lane_names(self) -> Collection[str]:
        """The names of all lanes that lead to an upstream."""
        return self._lanes.keys()

    def leads(self, lane: str, prefix: str) -> bool:
        """Whether deliveries of the route with this prefix belong into a lane."""
        return lane in self._names.get(prefix, ())

    def place(self, prefix: str, number: str) -> tuple[str, str]:
        """The route (its prefix) and the lane of a delivery whose route was `prefix`.

        A delivery whose route was taken out of the settings goes by another.
        """
        if prefix not in self._next:
            route = self.find(number)
            if route is None:
                return prefix, NOWHERE
            prefix = route.prefix
        return prefix, self.lane(prefix)

    def shares(
        self, upstream: str, *, failed: Collection[str] = (), trial: bool = False
    ) -> list[Share]:
        """What an upstream may claim while the upstreams in `failed` are failed over.

        `trial`: the upstream is one of these, and its shares are to show whether it works again.
        """
        found = []
        for lane in self._lanes.values():
            if upstream not in lane.upstreams:
                continue
            if not trial and upstream in lane.takers(failed):
                found.append(Share(lane=lane))
            elif trial and upstream in lane.takers([name for name in failed if name != upstream]):
                others_work = bool(lane.takers({upstream, *failed}))
                found.append(Share(lane=lane, untried=others_work))
        return found

    def resending(self) -> tuple[str, ...]:
        """The prefixes of the routes with `resend`."""
        return tuple(route.prefix for route in self._by_prefix.values() if route.resend)

    def prefixes(self) -> tuple[str, ...]:
        """The prefixes of all routes, with that of the test route."""
        return (*self._by_prefix, TEST.prefix)


def _planned(route: Route) -> Sequence[str]:
    """The upstreams of the next deliveries of a route, in their order, again and again.

    By weight each upstream has its turns spread evenly: smooth weighted round-robin.
    """
    if not route.weights:
        return route.upstreams[:1]
    divisor = gcd(*route.weights)
    weights = {n: w // divisor for n, w in zip(route.upstreams, route.weights, strict=True)}
    total = sum(weights.values())
    turns = dict.fromkeys(weights, 0)
    planned = []
    for _ in range(total):
        for name, weight in weights.items():
            turns[name] += weight
        chosen = max(turns, key=turns.__getitem__)
        turns[chosen] -= total
        planned.append(chosen)
    return planned


def reachable_countries(routes: Iterable[Route]) -> frozenset[str]:
    """The countries (ISO 3166) with an open route.

    An open route for some of a country's numbers makes the country reachable. A closed route for
    some of them does not make it unreachable.
    """
    # What some messages alone can reach is not counted.
    by_prefix = {route.prefix: route for route in routes if route.when is None}
    found: set[str] = set()
    for prefix, route in by_prefix.items():
        if not route.closed:
            # A longer prefix may close a whole country again.
            found |= {
                country
                for country, whole in countries_of(prefix).items()
                if not _is_closed(by_prefix, prefix, whole)
            }
    return frozenset(found)


def _is_closed(by_prefix: dict[str, Route], prefix: str, whole: str) -> bool:
    """Whether a longer prefix than this closes all numbers of a country."""
    longer = [whole[:length] for length in range(len(whole), len(prefix), -1)]
    nearest = next((by_prefix[digits] for digits in longer if digits in by_prefix), None)
    return nearest is not None and nearest.closed
