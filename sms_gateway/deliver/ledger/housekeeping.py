"""What time ends, and other things that are nobody's turn: in rounds of short transactions."""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from ...callbacks.outbox import Outbox
from ...routing.routes import Routes
from ...sms.message import State
from ...store import attempts, intake, lanes, queue, workers
from ...store.adoption import Adoption
from ...store.events import forget_parked
from .inbound import Receiving
from .receipt_matching import ReceiptMatching

#: One transaction of a round; returns whether more is left to do.
Round = Callable[[Connection, int], bool]

#: The most deliveries of one transaction.
MOST = 1000
#: How long a receipt that matches no part is kept for people to look at, ms.
_RECEIPT_KEPT = 7 * 86_400_000
#: How long an event is kept that could not be told, for its account to ask for it, ms.
_PARKED_KEPT = 30 * 86_400_000

_LOST = "its worker stopped before the carrier's answer was recorded"
_ENDS = {
    State.EXPIRED: "its validity ended before a carrier took it",
    State.UNKNOWN: "no receipt came before its validity ended",
}


class Housekeeping:
    """The rounds of one housekeeper."""

    def __init__(
        self, routes: Routes, outbox: Outbox, matching: ReceiptMatching, receiving: Receiving
    ) -> None:
        self._routes = routes
        self._outbox = outbox
        self._matching = matching
        self._receiving = receiving
        self._adoption = Adoption(routes)
        #: Every other second.
        self.often: Sequence[Round] = (self._look, self._lose, self._expire, self._wake)
        #: Each minute, and when this begins.
        self.rarely: Sequence[Round] = (self._clear_lanes, self._forget)
        # Cursor of `_clear_lanes`: the last delivery of each lane that was looked at.
        self._cleared: dict[str, int] = {}

    def _look(self, connection: Connection, now: int) -> bool:
        self._outbox.look(connection)
        self._matching.look_again(connection, now)
        self._receiving.join_overdue(connection, now)
        return False

    def _lose(self, connection: Connection, now: int) -> bool:
        resending = self._routes.resending()
        lost = attempts.lost_claims(connection, resending=resending, now=now, most=MOST)
        self._tell(connection, lost, now)
        return len(lost) == MOST

    def _expire(self, connection: Connection, now: int) -> bool:
        ended = attempts.expire(connection, now=now, most=MOST)
        self._tell(connection, ended, now)
        return len(ended) >= MOST

    def _wake(self, connection: Connection, now: int) -> bool:
        return lanes.wake(connection, self._routes, now=now, most=MOST) == MOST

    def adopt(self, connection: Connection, now: int) -> bool:
        """Take over what programs of the version before have written."""
        taken, lost = self._adoption.some(connection, now=now, most=MOST)
        self._tell(connection, lost, now)
        return taken > 0

    def _clear_lanes(self, connection: Connection, now: int) -> bool:
        """Deliveries of routes that are changed in the settings go by the new ones."""
        cleared = {}
        for lane in lanes.unknown_lanes(connection, self._routes):
            after = self._cleared.get(lane, 0)
            last = lanes.clear(connection, lane, self._routes, now=now, after=after, most=MOST)
            if last is not None:
                cleared[lane] = last
        # A lane that is empty by now is not unknown any more.
        self._cleared = cleared
        return bool(cleared)

    def _forget(self, connection: Connection, now: int) -> bool:
        queue.forget_old(
            connection,
            repeats_before=now - intake.REMEMBERED,
            receipts_before=now - _RECEIPT_KEPT,
        )
        forget_parked(connection, happened_before=now - _PARKED_KEPT)
        workers.bury(connection, now=now)
        return False

    def _tell(self, connection: Connection, ended: Mapping[int, State], now: int) -> None:
        self._outbox.changed(connection, ended, now)
        steps = [(id, now, 0, state, _ENDS.get(state, _LOST)) for id, state in ended.items()]
        queue.record_steps(connection, steps)
