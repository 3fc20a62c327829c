"""The `[[routes]]` tables of the file."""

import re
from collections.abc import Collection, Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ..routing import operators
from ..routing.conditions import Conditions, Rewrite
from ..routing.patterns import Pattern, Replacement
from ..routing.quiet_hours import QuietHours
from ..routing.routes import SENDER, Route, Senders
from ..sms.encoding import DefaultAlphabet
from ..sms.kinds import NAMES
from ..sms.segments import MAX_PARTS
from .values import Allowed, Countries, Hours, Prefixes, milliseconds


def _quiet_hours(hours: str) -> str:
    QuietHours.parse(hours)
    return hours


def _pattern(pattern: str) -> str:
    Pattern(pattern)
    return pattern


def _operators(names: tuple[str, ...]) -> tuple[str, ...]:
    operators.check()
    return names


def _name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{0,32}", name):
        raise ValueError
    return name


def _parts(parts: str) -> str:
    _least_and_most(parts)
    return parts


_PARTS_ARE = f"parts is written 1, 2- or 1-3, up to {MAX_PARTS}"


def _least_and_most(parts: str) -> tuple[int, int]:
    """The parts that "1", "2-" or "1-3" allows; ValueError for anything else."""
    found = re.fullmatch(r"([0-9]{1,3})(?:(-)([0-9]{1,3})?)?", parts)
    if found is None:
        raise ValueError(_PARTS_ARE)
    least = int(found[1])
    most = int(found[3]) if found[3] else MAX_PARTS if found[2] else least
    if not 1 <= least <= most <= MAX_PARTS:
        raise ValueError(_PARTS_ARE)
    return least, most


def _timezone(zone: str) -> str:
    if zone != RECIPIENT:
        QuietHours.parse("21:00-08:00", zone)
    return zone


def _sender(sender: str) -> str:
    if not SENDER.fullmatch(sender):
        raise ValueError
    return sender


#: The time zone that is not one: that of the recipient's country.
RECIPIENT = "recipient"

_Kind = Literal["pager", "personal", "premium", "satellite", "shared-cost", "universal"]
_Weight = Annotated[int, Field(ge=1, le=1_000)]
_Rate = Annotated[float, Field(gt=0, le=100_000), Allowed("more than 0, up to 100000")]
_Window = Annotated[int, Field(ge=1, le=100_000), Allowed("1 to 100000")]


_Names = Annotated[tuple[str, ...], Allowed("a list of names")]
_Patterns = Annotated[str, AfterValidator(_pattern), Allowed("a pattern of RE2, such as (?i)code")]
_Price = Annotated[float, Field(ge=0, le=1_000_000)]


class WhenTable(BaseModel):
    """The conditions of a route, the `[routes.when]` of the file: all of them have to hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: _Names = ()
    countries: Countries = ""
    operators: Annotated[_Names, AfterValidator(_operators)] = ()
    sender: _Patterns | None = None
    text: _Patterns | None = None
    parts: Annotated[
        str | None, AfterValidator(lambda parts: parts and _parts(parts)), Allowed("1, 2- or 1-3")
    ] = None
    hours: Annotated[
        str | None, AfterValidator(_quiet_hours), Allowed("a time until another: 08:00-20:00")
    ] = None
    timezone: Annotated[
        str, AfterValidator(_timezone), Allowed("recipient, or a name such as Europe/Brussels")
    ] = RECIPIENT

    def conditions(self) -> Conditions:
        """The conditions; ValueError where there are none."""
        hours = None
        if self.hours is not None:
            zone = "" if self.timezone == RECIPIENT else self.timezone
            hours = QuietHours.parse(self.hours, zone)
        found = Conditions(
            keys=frozenset(self.keys),
            countries=frozenset(self.countries.split(",") if self.countries else ()),
            operators=frozenset(name.casefold() for name in self.operators),
            sender=None if self.sender is None else Pattern(self.sender),
            text=None if self.text is None else Pattern(self.text),
            parts=None if self.parts is None else _least_and_most(self.parts),
            hours=hours,
        )
        if found == Conditions():
            raise ValueError("when has no condition: give it one, or leave when and name out")
        return found


class RewriteTable(BaseModel):
    """A rule of a route that rewrites senders or texts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: Annotated[Literal["sender", "text"], Allowed("sender or text")]
    pattern: _Patterns
    replacement: str

    @model_validator(mode="after")
    def _has_its_groups(self) -> "RewriteTable":
        self.rule()
        return self

    def rule(self) -> Rewrite:
        """The rule."""
        pattern = Pattern(self.pattern)
        replacement = Replacement(self.replacement, pattern)
        return Rewrite(of=self.of, pattern=pattern, replacement=replacement)


class RouteTable(BaseModel):
    """One `[[routes]]` table of the file; docs/routes.md says what each entry is for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: Prefixes
    upstreams: Annotated[tuple[str, ...], Allowed("a list of names of upstreams")] = ()
    weights: Annotated[
        tuple[_Weight, ...], Allowed("a list of whole numbers from 1 to 1000, one per upstream")
    ] = ()
    prices: Annotated[
        tuple[_Price, ...], Allowed("a list of prices of a part, one per upstream")
    ] = ()
    name: Annotated[
        str, AfterValidator(_name), Allowed("up to 32 lower-case letters, digits, - and _")
    ] = ""
    when: WhenTable | None = None
    rewrite: Annotated[
        tuple[RewriteTable, ...], Allowed("tables of of (sender or text), pattern and replacement")
    ] = ()
    closed: Annotated[bool, Allowed("true or false")] = False
    uncertain: Annotated[Literal["hold", "resend"], Allowed("hold or resend")] = "hold"
    rate: _Rate | None = None
    window: _Window | None = None
    validity: Hours | None = None
    alphabet: Annotated[DefaultAlphabet | None, Allowed("gsm7, latin1, ascii or utf8")] = None
    senders: Annotated[Senders, Allowed("any, number, alphanumeric or own")] = Senders.ANY
    sender: Annotated[
        str, AfterValidator(_sender), Allowed("up to 15 digits, or up to 11 letters and digits")
    ] = ""
    kinds: Annotated[tuple[_Kind, ...], Allowed(f"a list of {', '.join(NAMES)}")] = ()
    quiet_hours: Annotated[
        str | None, AfterValidator(_quiet_hours), Allowed("a time until another: 21:00-08:00")
    ] = None
    timezone: Annotated[
        str, AfterValidator(_timezone), Allowed("recipient, or a name such as Europe/Brussels")
    ] = RECIPIENT

    def routes(self) -> Iterator[Route]:
        """One route for each prefix."""
        quiet = None
        if self.quiet_hours is not None:
            zone = "" if self.timezone == RECIPIENT else self.timezone
            quiet = QuietHours.parse(self.quiet_hours, zone)
        upstreams, prices = self.upstreams, self.prices
        if prices:
            # Of equal prices the first stays the first.
            order = sorted(zip(prices, range(len(prices)), upstreams, strict=True))
            prices = tuple(price for price, _, _ in order)
            upstreams = tuple(name for _, _, name in order)
        when = None if self.when is None else self.when.conditions()
        for prefix in self.prefix:
            yield Route(
                prefix=f"{prefix} {self.name}" if when else prefix,
                upstreams=upstreams,
                prices=prices,
                when=when,
                rewrites=tuple(each.rule() for each in self.rewrite),
                weights=self.weights,
                closed=self.closed,
                resend=self.uncertain == "resend",
                rate=self.rate,
                window=self.window,
                validity=None if self.validity is None else milliseconds(self.validity),
                alphabet=self.alphabet,
                senders=self.senders,
                sender=self.sender,
                kinds=frozenset(NAMES[name] for name in self.kinds),
                quiet=quiet,
            )


def check_routes(routes: Collection[RouteTable], names: Collection[str]) -> None:
    """ValueError for tables that do not fit together, or not with the names of the upstreams."""
    seen: set[str] = set()
    named: set[str] = set()
    for number, route in enumerate(routes, start=1):
        where = f"routes, table {number}"
        if route.closed == bool(route.upstreams):
            raise ValueError(f"{where}: a route has either upstreams or closed = true")
        for name in route.upstreams:
            if name not in names:
                known = ", ".join(sorted(names))
                raise ValueError(f"{where}: no upstream is named {name!r}; allowed: {known}")
        if len(set(route.upstreams)) < len(route.upstreams):
            raise ValueError(f"{where}: an upstream stands twice in upstreams")
        if route.weights and len(route.weights) != len(route.upstreams):
            raise ValueError(f"{where}: weights has to have one number for each upstream")
        if route.prices and len(route.prices) != len(route.upstreams):
            raise ValueError(f"{where}: prices has to have one number for each upstream")
        if route.prices and route.weights:
            raise ValueError(
                f"{where}: by prices the cheapest upstream comes first, by weights all take their "
                "share; a route has one of the two"
            )
        if bool(route.name) != (route.when is not None):
            raise ValueError(f"{where}: a route with when has a name, and no other has")
        if route.name in named:
            raise ValueError(f"{where}: the name {route.name!r} stands in two routes")
        if route.when is not None:
            named.add(route.name)
            try:
                route.when.conditions()
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from None
            continue
        for prefix in route.prefix:
            if prefix in seen:
                raise ValueError(f"{where}: the prefix {prefix!r} stands in two routes")
            seen.add(prefix)
