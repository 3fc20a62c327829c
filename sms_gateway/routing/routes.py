"""Where a number's messages leave: the route with the longest prefix, and its upstreams."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ..sms.encoding import DefaultAlphabet
from ..sms.kinds import Kind
from ..sms.numbering import countries_of
from .quiet_hours import QuietHours


class Senders(StrEnum):
    """What a carrier lets a message come from."""

    ANY = "any"
    #: Digits only: international numbers and short codes.
    NUMBER = "number"
    #: Letters only, up to eleven of them with digits.
    ALPHANUMERIC = "alphanumeric"
    #: Nothing but the route's own.
    OWN = "own"


#: How a sender is written: an international number or a short code, or up to 11 letters (GSM
#: 03.40); empty leaves it to the carrier.
SENDER = re.compile(r"\+?[0-9]{1,15}|(?=.*[A-Za-z])[A-Za-z0-9 .&_-]{1,11}|")
_NUMBER = re.compile(r"\+?[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way out for all numbers that begin with a prefix."""

    #: Digits after the plus sign; empty is every number.
    prefix: str
    #: Names of the upstreams that serve it, in order of preference.
    upstreams: tuple[str, ...]
    #: How much of the route each of the upstreams takes; empty is all for the first that works.
    weights: tuple[int, ...] = ()
    #: Nothing is accepted for it at the moment (code 99).
    closed: bool = False
    #: What was written to a carrier that never answered is sent once more, at the risk of a
    #: second copy; otherwise it is held as uncertain until its sender decides.
    resend: bool = False
    #: The most parts per second, and the most under way, of one worker; None is no limit.
    rate: float | None = None
    window: int | None = None
    #: How long its messages are worth delivering, milliseconds; None leaves it to the settings.
    validity: int | None = None
    #: What its carriers mean by data_coding 0; None leaves it to each upstream.
    alphabet: DefaultAlphabet | None = None
    #: The sender IDs that its carriers accept.
    senders: Senders = Senders.ANY
    #: Who its messages are from when they have no sender, or one that may not be.
    sender: str = ""
    #: Kinds of numbers that it opens beside the usual ones.
    kinds: frozenset[Kind] = frozenset()
    #: When its messages wait.
    quiet: QuietHours | None = None

    def sender_for(self, wanted: str) -> str:
        """Who a message is from whose account wants this sender."""
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
    """What of a route's messages an upstream takes: those whose number modulo `of` is from
    `first` to before `last`."""

    route: Route
    first: int = 0
    last: int = 1
    of: int = 1
    #: Nothing that it was the last to try: a delivery shows once that it fails, not every time.
    untried: bool = False
    #: The most parts at once; None is as many as the upstream has room for.
    most: int | None = None


#: The route of test keys: it is served by a sandbox and never by a carrier.
TEST = Route(prefix="test", upstreams=("test",))


class Routes:
    """The routes of a gateway."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_prefix = {route.prefix: route for route in routes}
        # Longest first, so that the first hit is the answer.
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix}, reverse=True)

    @property
    def longest(self) -> int:
        """How many digits the longest prefix has."""
        return self._lengths[0] if self._lengths else 0

    def find(self, number: str) -> Route | None:
        """The route of an E.164 number (with its plus sign), open or closed; None without one."""
        for length in self._lengths:
            route = self._by_prefix.get(number[1 : 1 + length])
            if route is not None:
                return route
        return None

    def of_prefix(self, prefix: str) -> Route:
        """The route with exactly this prefix, or one that wants nothing of its own."""
        return self._by_prefix.get(prefix, TEST)

    def all(self) -> Sequence[Route]:
        """All routes, and that of test keys."""
        return (*self._by_prefix.values(), TEST)

    def shares(
        self, upstream: str, *, failed: Collection[str] = (), trial: bool = False
    ) -> list[Share]:
        """What an upstream takes while others stand in for those in `failed`.

        With `trial` it is one of them, and what it takes is to show whether it works again.
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
        """The prefixes of the routes that send once more what is uncertain."""
        return tuple(route.prefix for route in self._by_prefix.values() if route.resend)

    def prefixes(self) -> tuple[str, ...]:
        """The prefixes of all routes, that of test keys among them."""
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
    # One that is only there for the case that those before it fail is not needed now.
    before = route.upstreams[: route.upstreams.index(upstream)]
    needed = bool(route.weights) or all(name in failed for name in before)
    others_work = any(name not in failed for name in route.upstreams if name != upstream)
    return Share(route=route, untried=others_work) if needed else None


def reachable_countries(routes: Iterable[Route]) -> frozenset[str]:
    """The countries (ISO 3166) that messages can be sent to: those with an open route.

    A route for a part of a country's numbers makes it reachable, and a closed one for a part
    leaves it so.
    """
    by_prefix = {route.prefix: route for route in routes}
    found: set[str] = set()
    for prefix, route in by_prefix.items():
        if not route.closed:
            # What longer prefixes close altogether is not open by this one.
            found |= {
                country
                for country, whole in countries_of(prefix).items()
                if not _is_closed(by_prefix, prefix, whole)
            }
    return frozenset(found)


def _is_closed(by_prefix: dict[str, Route], prefix: str, whole: str) -> bool:
    """Whether a longer prefix than this closes the whole of a country's numbers."""
    longer = [whole[:length] for length in range(len(whole), len(prefix), -1)]
    nearest = next((by_prefix[digits] for digits in longer if digits in by_prefix), None)
    return nearest is not None and nearest.closed
