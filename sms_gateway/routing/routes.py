"""Finds the route of a number by the longest prefix, and the share of each upstream in it."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ..sms.encoding import DefaultAlphabet
from ..sms.kinds import Kind
from ..sms.numbering import countries_of
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

    #: Digits after the plus sign; empty matches every number.
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

    def sender_for(self, wanted: str) -> str:
        """The sender of a message when its account wants this one."""
        is_number = _NUMBER.fullmatch(wanted) is not None
        fits = {
            Senders.ANY: True,
            Senders.NUMBER: is_number,
            Senders.ALPHANUMERIC: not is_number,
            Senders.OWN: False,
        }
        return wanted if wanted and fits[self.senders] else self.sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The share of an upstream in a route: deliveries whose id modulo `of` is at least `first`
    and below `last`."""

    route: Route
    first: int = 0
    last: int = 1
    of: int = 1
    #: Whether to leave out deliveries that this upstream was the last to try, so that a delivery
    #: serves only once as a trial.
    untried: bool = False
    #: The most parts at once; None: as many as the upstream has room for.
    most: int | None = None


#: The route of test keys, which leads to a sandbox and never to a carrier.
TEST = Route(prefix="test", upstreams=("test",))


class Routes:
    """The routes of a gateway."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_prefix = {route.prefix: route for route in routes}
        # Longest first: the first match is the result.
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix}, reverse=True)

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

    def of_prefix(self, prefix: str) -> Route:
        """The route with exactly this prefix; without one, the test route, which has no options."""
        return self._by_prefix.get(prefix, TEST)

    def all(self) -> Sequence[Route]:
        """All routes, with the test route."""
        return (*self._by_prefix.values(), TEST)

    def shares(
        self, upstream: str, *, failed: Collection[str] = (), trial: bool = False
    ) -> list[Share]:
        """The shares of an upstream while the upstreams in `failed` are failed over.

        `trial`: the upstream is one of these, and its shares are to show whether it works again.
        """
        found = []
        for route in self.all():
            if upstream not in route.upstreams:
                continue
            share = _trial(route, upstream, failed) if trial else _share(route, upstream, failed)
            if share is not None:
                found.append(share)
        return found

    def resending(self) -> tuple[str, ...]:
        """The prefixes of the routes with `resend`."""
        return tuple(route.prefix for route in self._by_prefix.values() if route.resend)

    def prefixes(self) -> tuple[str, ...]:
        """The prefixes of all routes, with that of the test route."""
        return (*self._by_prefix, TEST.prefix)


def _share(route: Route, upstream: str, failed: Collection[str]) -> Share | None:
    working = [name for name in route.upstreams if name not in failed]
    if not route.weights:
        return Share(route=route) if working[:1] == [upstream] else None
    first, found = 0, None
    for name, weight in zip(route.upstreams, route.weights, strict=True):
        if name in working:
            if name == upstream:
                found = Share(route=route, first=first, last=first + weight)
            first += weight
    return found and replace(found, of=first)


def _trial(route: Route, upstream: str, failed: Collection[str]) -> Share | None:
    # Without weights no trial is needed while an upstream before this one works.
    before = route.upstreams[: route.upstreams.index(upstream)]
    needed = bool(route.weights) or all(name in failed for name in before)
    others_work = any(name not in failed for name in route.upstreams if name != upstream)
    return Share(route=route, untried=others_work) if needed else None


def reachable_countries(routes: Iterable[Route]) -> frozenset[str]:
    """The countries (ISO 3166) with an open route.

    An open route for some of a country's numbers makes the country reachable. A closed route for
    some of them does not make it unreachable.
    """
    by_prefix = {route.prefix: route for route in routes}
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
