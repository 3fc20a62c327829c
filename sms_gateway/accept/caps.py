"""Applies caps in the accepting transaction: charges counters, or refuses submissions."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection

from ..accounts import Account
from ..backend import Reply
from ..caps import RANGE_DIGITS, Cap, Counts, OperatorCaps, Period
from ..codes import Code
from ..store import counters
from ..store.counters import Counted, Name, Trip
from ..store.queue import moment

#: The recipients of a submission: numbers (E.164 with the plus sign), each with its parts.
Parts = Iterable[tuple[str, int]]


class Charge(NamedTuple):
    """The parts that a submission charges to one counter, and the cap of the counter."""

    scope: str
    cap: Cap
    parts: int

    @property
    def name(self) -> Name:
        """The name of the counter."""
        return self.scope, self.cap.period


def charges(account: Account, operator: OperatorCaps, sent: Parts) -> list[Charge]:
    """The charges of a submission, in the order in which their caps are checked.

    Messages of a test key never reach a carrier: only the key's own caps apply to it.
    """
    sent = tuple(sent)
    total = sum(parts for _, parts in sent)
    own = f"{Counts.KEY} {account.id}"
    own_caps = operator.of_key(account.caps, free=account.free)
    found = [Charge(own, cap, total) for cap in own_caps]
    if account.test:
        return found
    if operator.total is not None:
        found.append(Charge(Counts.TOTAL.value, operator.total, total))
    for prefix, cap in operator.prefixes.items():
        within = sum(parts for number, parts in sent if number.startswith(prefix, 1))
        if within:
            found.append(Charge(f"{Counts.PREFIX} {prefix}", cap, within))
    found += _by_number(Counts.NUMBER, operator.number, 0, sent)
    found += _by_number(Counts.RANGE, operator.range, RANGE_DIGITS, sent)
    if account.free:
        found += _by_number(Counts.FREE_NUMBER, operator.free_number, 0, sent)
        found += _by_number(Counts.FREE_RANGE, operator.free_range, RANGE_DIGITS, sent)
    return found


def _by_number(word: Counts, cap: Cap | None, cut: int, sent: Parts) -> list[Charge]:
    """Charges by number, or by range of numbers: without the last `cut` digits."""
    if cap is None:
        return []
    parts: Counter[str] = Counter()
    for number, more in sent:
        parts[number[: len(number) - cut]] += more
    return [Charge(f"{word} {beginning}", cap, more) for beginning, more in parts.items()]


class Tally:
    """The counters of a batch, locked in its transaction. Call `write` at the end."""

    def __init__(
        self,
        connection: Connection,
        operator: OperatorCaps,
        submissions: Mapping[Hashable, tuple[Account, Parts]],
        now: int,
    ) -> None:
        """`submissions`: those that may be accepted, by names of the caller's choice. `now`: Unix
        milliseconds."""
        self._now = now
        self._accounts = {name: account.id for name, (account, _) in submissions.items()}
        self._charges = {
            name: charges(account, operator, sent) for name, (account, sent) in submissions.items()
        }
        names = {charge.name for each in self._charges.values() for charge in each}
        self._held = counters.hold(connection, names, now) if names else {}
        self._added: Counter[Name] = Counter()
        self._trips: dict[Name, Trip] = {}

    def refusal(self, name: Hashable) -> Reply | None:
        """The refusal of a submission that exceeds a cap, which is counted; None if it may pass."""
        for charge in self._charges.get(name, ()):
            counted = self._held[charge.name]
            if counted.parts + self._added[charge.name] + charge.parts > charge.cap.parts:
                before = self._trips.get(charge.name)
                self._trips[charge.name] = Trip(
                    charge.cap.parts,
                    before.account_id if before else self._accounts[name],
                    before.refusals + 1 if before else 1,
                    before.refused_parts + charge.parts if before else charge.parts,
                )
                return Reply(Code.TOO_FAST, note=cap_words(charge, counted))
        return None

    def add(self, name: Hashable) -> None:
        """Charge an accepted submission."""
        for charge in self._charges.get(name, ()):
            self._added[charge.name] += charge.parts

    def take_back(self, name: Hashable) -> None:
        """Take back a charge: the submission was not accepted after all."""
        for charge in self._charges.get(name, ()):
            self._added[charge.name] -= charge.parts

    def write(self, connection: Connection) -> None:
        """Store the charges and the refusals."""
        counters.add(connection, self._held, self._added)
        counters.trip(connection, self._held, self._trips, self._now)


def reached(
    connection: Connection, account: Account, operator: OperatorCaps, sent: Parts, now: int
) -> str:
    """The reason why a cap would refuse a submission now; empty if none would."""
    asked = charges(account, operator, sent)
    present = counters.present(connection, [charge.name for charge in asked], now) if asked else {}
    for charge in asked:
        counted = present[charge.name]
        if counted.parts + charge.parts > charge.cap.parts:
            return cap_words(charge, counted)
    return ""


_PERIODS = {
    Period.MINUTE: "a minute",
    Period.HOUR: "an hour",
    Period.DAY: "a day",
    Period.MONTH: "a month",
}


def cap_words(charge: Charge, counted: Counted) -> str:
    """The note of code 100 for a cap.

    It does not say how much the operator's caps allow, as an attacker would stay just below that.
    """
    until = moment(charge.cap.period.end(counted.start))
    match Counts(charge.scope.partition(" ")[0]):
        case Counts.KEY:
            cap = charge.cap
            return f"Exceeding the limit of {cap.parts} parts {_PERIODS[cap.period]}, until {until}"
        case Counts.TOTAL:
            return f"Too many parts for this service, until {until}"
        case Counts.PREFIX:
            return f"Too many parts for this destination, until {until}"
        case Counts.RANGE | Counts.FREE_RANGE:
            return f"Too many parts for numbers like these, until {until}"
    return f"Too many parts for this number, until {until}"
