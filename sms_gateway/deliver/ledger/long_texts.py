"""Decides when the receipt of one part speaks for a whole long text.

sub and dlvrd name all parts ──> delivered at once
`receipts` of the upstream says which part speaks for all ──> delivered at once
"auto": one part delivered, silence on the others
    └── ten minutes later still ──> a sign, kept for each upstream
          ├── five signs for one place, first or last ──> these and later ones are delivered
          └── a second part of any message reported ──> all signs are forgotten, for a day
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from ...sms.message import State
from ...sms.receipt import Receipt
from ...store import receipts
from ...store.receipts import KnownPart
from ...upstream import ReceiptsOf

log = logging.getLogger(__name__)

#: How long the receipts of the other parts are waited for before the silence is a sign, ms.
SILENCE = 10 * 60_000
#: How long before the end of a validity the last look is, ms.
_BEFORE_END = 30_000
#: So many long texts in a row with a receipt for the same place are a habit.
ENOUGH = 5
#: How long a carrier that has reported two parts of a text is taken for one that reports each, ms.
_SEVERAL_KEPT = 86_400_000
_LOOK_AGAIN = 60_000
#: The most texts of an upstream that are watched.
_MOST = 10_000


@dataclass(slots=True)
class _Carrier:
    """The habits of an upstream's carrier, as this worker has seen them."""

    #: When to look next at a text with one reported part, by delivery.
    due: dict[int, int] = field(default_factory=dict)
    #: The part whose receipt stayed the only one: 1 first, -1 last, 0 another; by delivery.
    signs: dict[int, int] = field(default_factory=dict)
    several_at: int = -_SEVERAL_KEPT
    was_told: bool = False


class LongTexts:
    """Watches what carriers report of long texts."""

    def __init__(self, receipts_of: Mapping[str, ReceiptsOf]) -> None:
        """`receipts_of`: the setting of each upstream; each part has a receipt where it is not
        here."""
        self._modes = {name: mode for name, mode in receipts_of.items() if mode != "each"}
        self._carriers = {name: _Carrier() for name in self._modes}
        self._has_begun = False

    def speaks_for_all(self, upstream: str, receipt: Receipt, part: KnownPart) -> bool:
        """Whether a receipt for one part speaks for the whole text."""
        match self._modes.get(upstream):
            case "first":
                return part.number == 1
            case "last":
                return part.number == part.parts
            case "any":
                return True
            case "auto":
                return receipt.parts == receipt.delivered == part.parts
        return False

    def reported(self, upstream: str, part: KnownPart, states: Sequence[State], now: int) -> None:
        """A part of a long text has had its receipt; `states` are those of all its known parts."""
        carrier = self._carriers.get(upstream)
        if carrier is None:
            return
        final = [state for state in states if state is not State.SUBMITTED]
        if len(final) > 1:
            self._several(carrier, now)
        elif final == [State.DELIVERED]:
            self._watch(carrier, part.delivery_id, part.expires_at, now)

    def _several(self, carrier: _Carrier, now: int) -> None:
        carrier.several_at = now
        carrier.signs.clear()
        carrier.was_told = False

    def _watch(self, carrier: _Carrier, delivery_id: int, expires_at: int, now: int) -> None:
        if delivery_id in carrier.due:
            return
        if len(carrier.due) >= _MOST:
            del carrier.due[next(iter(carrier.due))]
        carrier.due[delivery_id] = max(now, min(now + SILENCE, expires_at - _BEFORE_END))

    def look(self, connection: Connection, now: int) -> list[int]:
        """The deliveries of which one receipt, as is clear by now, spoke for all parts."""
        if self._modes and not self._has_begun:
            self._begin(connection, now)
        complete: list[int] = []
        for upstream, carrier in self._carriers.items():
            ids = [id for id, due in carrier.due.items() if due <= now][: receipts.AT_ONCE]
            if ids:
                complete += self._judge(connection, upstream, carrier, ids, now)
        return complete

    def _begin(self, connection: Connection, now: int) -> None:
        """Read from the database the habits that were seen before this worker started."""
        self._has_begun = True
        lone, several = receipts.long_texts(connection, list(self._modes))
        for upstream in several:
            self._several(self._carriers[upstream], now)
        for upstream, id, expires_at in lone:
            self._watch(self._carriers[upstream], id, expires_at, now)

    def _judge(
        self,
        connection: Connection,
        upstream: str,
        carrier: _Carrier,
        ids: Iterable[int],
        now: int,
    ) -> list[int]:
        mode = self._modes[upstream]
        alone: dict[int, int] = {}
        for row in receipts.reported_parts(connection, list(ids)):
            if row.state != State.SUBMITTED or row.reported == 0 or row.known < row.parts:
                carrier.due.pop(row.id, None)
            elif row.reported > 1:
                carrier.due.pop(row.id, None)
                self._several(carrier, now)
            else:
                place = 1 if row.number == 1 else -1 if row.number == row.parts else 0
                alone[row.id] = place
                carrier.due[row.id] = now + _LOOK_AGAIN
        if mode == "auto":
            carrier.signs |= alone
            for old in list(carrier.signs)[:-100]:
                del carrier.signs[old]
            complete = list(alone) if self._is_habit(upstream, carrier, now) else []
        else:
            wanted = {"first": 1, "last": -1}.get(mode)
            complete = [id for id, place in alone.items() if wanted in (None, place)]
        # They stay watched until a later look finds them ended: this one may be rolled back.
        return complete

    def _is_habit(self, upstream: str, carrier: _Carrier, now: int) -> bool:
        places = set(carrier.signs.values())
        if (
            len(carrier.signs) < ENOUGH
            or len(places) > 1
            or 0 in places
            or now < carrier.several_at + _SEVERAL_KEPT
        ):
            return False
        if not carrier.was_told:
            carrier.was_told = True
            which = "first" if 1 in places else "last"
            log.info(
                "one receipt for a long text",
                extra={"upstream": upstream, "part": which, "setting": f"receipts={which}"},
            )
        return True
