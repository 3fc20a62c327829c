"""Takes over what a program of the version before has written, which knew no queue but `delivery`.

```
 its row          is taken over as
 queued           delivery: submitting, and a row in queue
 submitting       the same, or uncertain, once its worker is dead
 submitted        a row in awaited
 uncertain        a row in awaited
```

A row of that program has `state` queued, or the number of its worker in `claimed_by`. The rows are
found by the indexes that the program needed; without these there are none (`migrate.contract`).
Both programs may run at the same time: each leaves alone what the other has taken.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from ..routing.routes import Routes
from ..sms.message import State
from . import leases, workers
from .attempts import Attempt, await_word, forget_awaited, release
from .bulk_rows import BulkRows
from .queue import NORMAL, enqueue, leave
from .tables import NEVER, delivery, message, worker
from .wakes import Topic, ring

#: The lease that stands for programs of the version before, and for how long after the last sign
#: of one they may still write, ms: web processes give none while nobody sends.
SEEN, _MAY_WRITE = "version before", 86_400_000
#: How often the submitted deliveries are gone through anew while older workers are alive, ms.
_AGAIN = 60_000
#: The indexes of the version before. The first is the one that it claims by.
OLD_INDEXES = ("delivery_queued", "delivery_submitting", "delivery_expiring", "delivery_uncertain")

_ATTEMPTS = select(
    delivery.c.id,
    delivery.c.message_id,
    message.c.account_id,
    delivery.c.recipient,
    delivery.c.route,
    delivery.c.parts,
    delivery.c.due_at,
    delivery.c.expires_at,
    delivery.c.attempts,
    delivery.c.possible_duplicate,
    delivery.c.claimed_by,
    delivery.c.upstream,
).join_from(delivery, message)
_LOCKED: dict[str, Any] = {"of": delivery, "skip_locked": True}
_QUEUED = (
    _ATTEMPTS.where(delivery.c.state == State.QUEUED)
    .limit(bindparam("most"))
    .with_for_update(**_LOCKED)
)
_ALIVE = select(worker.c.id).where(worker.c.alive_until > bindparam("now"))
_HELD = (
    _ATTEMPTS.where(delivery.c.state == State.SUBMITTING, delivery.c.claimed_by.is_not(None))
    .limit(bindparam("most"))
    .with_for_update(**_LOCKED)
)
_LOST = _HELD.where(delivery.c.claimed_by.not_in(_ALIVE))


def _others(state: State) -> Select[Any]:
    return (
        select(delivery.c.id, delivery.c.expires_at)
        .where(delivery.c.state == state, delivery.c.claimed_by.is_not(None))
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    )


_UNCERTAIN = _others(State.UNCERTAIN)
_SUBMITTED = (
    _others(State.SUBMITTED)
    .where(delivery.c.expires_at >= bindparam("after"))
    .order_by(delivery.c.expires_at)
)
_TAKE_OVER = BulkRows(
    """
    UPDATE delivery SET claimed_by = NULL, state = given.state FROM given
    WHERE delivery.id = given.id
    """,
    id="bigint",
    state="text",
)


_NAMES = ", ".join(f"'{name}'" for name in OLD_INDEXES)
_LEFT = {
    "sqlite": f"SELECT 1 FROM sqlite_master WHERE type = 'index' AND name IN ({_NAMES})",  # noqa: S608
    "postgresql": f"SELECT 1 FROM pg_class WHERE relname IN ({_NAMES}) AND pg_table_is_visible(oid)",  # noqa: S608, E501
}


def is_over(connection: Connection) -> bool:
    """Whether the indexes of the version before are gone: nothing is left to take over."""
    return connection.exec_driver_sql(_LEFT[connection.dialect.name]).first() is None


def is_needed(connection: Connection, *, now: int) -> bool:
    """Whether programs of the version before may still write, or something is left to take over."""
    ends_at = leases.ends_at(connection, SEEN)
    if ends_at is None or ends_at > now or not workers.are_of_this_version(connection, now=now):
        return True
    given = {"most": 1, "now": now, "after": 0}
    kinds = (_QUEUED, _HELD, _UNCERTAIN, _SUBMITTED)
    return any(connection.execute(kind, given).first() is not None for kind in kinds)


class Adoption:
    """Takes over all deliveries of the version before, some at a time."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        # Cursor: the `expires_at` of the last submitted delivery that was taken over.
        self._after = 0
        self._again_at = 0

    def some(
        self, connection: Connection, *, now: int, most: int = 1000
    ) -> tuple[int, dict[int, State]]:
        """Take over at most `most` deliveries of each kind.

        Returns how many, and those whose worker was dead, with their new states.
        """
        queued = connection.execute(_QUEUED, {"most": most}).all()
        if queued:
            ids = [row.id for row in queued]
            _take_over(connection, ids, State.SUBMITTING)
            # That program may have queued again what had ended or was uncertain here.
            forget_awaited(connection, ids)
            leave(connection, ids)
            # Due from now on: claims may have passed by the times before.
            enqueue(connection, [(*self._attempt(row), max(row.due_at, now)) for row in queued])
            ring(connection, Topic.QUEUE)
        lost = connection.execute(_LOST, {"now": now, "most": most}).all()
        ended: dict[int, State] = {}
        if lost:
            _take_over(connection, [row.id for row in lost], State.SUBMITTING)
            attempts = [self._attempt(row) for row in lost]
            resending = self._routes.resending()
            ended = release(connection, attempts, resending=resending, now=now)
        uncertain = connection.execute(_UNCERTAIN, {"most": most}).all()
        if uncertain:
            _take_over(connection, [row.id for row in uncertain], State.UNCERTAIN)
            await_word(connection, [(row.id, NEVER) for row in uncertain])
        submitted: Sequence[Any] = ()
        if self._after or now >= self._again_at:
            given = {"most": most, "after": self._after}
            submitted = connection.execute(_SUBMITTED, given).all()
            self._again_at = now + _AGAIN
        if submitted:
            self._after = submitted[-1].expires_at
            _take_over(connection, [row.id for row in submitted], State.SUBMITTED)
            await_word(connection, [(row.id, row.expires_at) for row in submitted])
        else:
            self._after = 0
        taken = len(queued) + len(lost) + len(uncertain) + len(submitted)
        are_alone = workers.are_of_this_version(connection, now=now)
        if taken or not are_alone or leases.ends_at(connection, SEEN) is None:
            leases.prolong(connection, SEEN, now + _MAY_WRITE)
        return taken, ended

    def _attempt(self, row: Any) -> Attempt:
        prefix, lane = self._routes.place(row.route, row.recipient)
        return Attempt(
            row.id, row.message_id, row.account_id, lane, prefix, NORMAL, row.parts,
            row.expires_at, row.attempts, row.possible_duplicate, row.claimed_by, row.upstream,
        )  # fmt: skip


def _take_over(connection: Connection, ids: Sequence[int], state: State) -> None:
    _TAKE_OVER.run(connection, [(id, state.value) for id in ids])
