"""Conditions under which a route takes a message, and the rules by which it rewrites some."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..sms import numbering
from .operators import operator_of
from .patterns import Pattern, Replacement
from .quiet_hours import QuietHours


class Case(NamedTuple):
    """A message to one number, for which a route is looked for."""

    #: E.164 with the plus sign.
    number: str
    #: The name of the account.
    key: str
    #: The sender that it asks for; empty leaves it to the route.
    sender: str
    text: str
    #: Parts that the text takes in the GSM alphabet or UCS-2.
    parts: int
    #: Now, Unix milliseconds.
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """All of these have to hold; a condition that is not given always does."""

    #: Names of accounts.
    keys: frozenset[str] = frozenset()
    #: ISO 3166.
    countries: frozenset[str] = frozenset()
    #: Names of operators, case-folded.
    operators: frozenset[str] = frozenset()
    sender: Pattern | None = None
    text: Pattern | None = None
    #: The least and the most parts.
    parts: tuple[int, int] | None = None
    #: Hours of the day within which the route takes messages.
    hours: QuietHours | None = None

    def unmet(self, case: Case) -> str:
        """The first condition that does not hold, in words; empty when all do."""
        return next((words for holds, words in _CONDITIONS if not holds(self, case)), "")


def _is_of_country(conditions: Conditions, case: Case) -> bool:
    if not conditions.countries:
        return True
    found = numbering.international(case.number.removeprefix("+"))
    return found is not None and found[1] in conditions.countries


# The cheapest to ask come first.
_CONDITIONS: tuple[tuple[Callable[[Conditions, Case], bool], str], ...] = (
    (lambda c, case: not c.keys or case.key in c.keys, "it is for other keys"),
    (
        lambda c, case: c.parts is None or c.parts[0] <= case.parts <= c.parts[1],
        "it is for texts of other lengths",
    ),
    (_is_of_country, "it is for other countries"),
    (
        lambda c, case: c.hours is None or c.hours.until(case.number, case.at) is not None,
        "it is for other hours",
    ),
    (
        lambda c, case: not c.operators or operator_of(case.number).casefold() in c.operators,
        "it is for other operators",
    ),
    (
        lambda c, case: c.sender is None or c.sender.found_in(case.sender),
        "it is for other senders",
    ),
    (lambda c, case: c.text is None or c.text.found_in(case.text), "it is for other texts"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """A rule that replaces what a pattern finds."""

    of: Literal["sender", "text"]
    pattern: Pattern
    replacement: Replacement


def rewritten(rules: tuple[Rewrite, ...], of: Literal["sender", "text"], value: str) -> str:
    """A sender or text after all rules for it, one after the other."""
    for rule in rules:
        if rule.of == of:
            value = rule.pattern.replaced(rule.replacement, value)
    return value
