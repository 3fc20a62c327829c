"""The `[[routes]]` tables of the file."""

from collections.abc import Collection, Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..routing.quiet_hours import QuietHours
from ..routing.routes import SENDER, Route, Senders
from ..sms.encoding import DefaultAlphabet
from ..sms.kinds import NAMES
from .values import Allowed, Hours, Prefixes, milliseconds


def _quiet_hours(hours: str) -> str:
    QuietHours.parse(hours)
    return hours


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


class RouteTable(BaseModel):
    """One `[[routes]]` table of the file; docs/routes.md says what each entry is for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: Prefixes
    upstreams: Annotated[tuple[str, ...], Allowed("a list of names of upstreams")] = ()
    weights: Annotated[
        tuple[_Weight, ...], Allowed("a list of whole numbers from 1 to 1000, one per upstream")
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
        for prefix in self.prefix:
            yield Route(
                prefix=prefix,
                upstreams=self.upstreams,
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
        for prefix in route.prefix:
            if prefix in seen:
                raise ValueError(f"{where}: the prefix {prefix!r} stands in two routes")
            seen.add(prefix)
