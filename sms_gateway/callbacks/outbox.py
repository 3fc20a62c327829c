"""The callback outbox: events are written in the transaction that causes them."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Connection

from ..sms.message import State
from ..store import events


class Outbox:
    """Notes the events of accounts that have a callback; costs nothing while there are none."""

    def __init__(self) -> None:
        self._listeners: frozenset[int] = frozenset()

    def look(self, connection: Connection) -> None:
        """See who has a callback by now."""
        self._listeners = events.listeners(connection)

    @contextmanager
    def changes(
        self, connection: Connection, deliveries: Collection[int], now: int
    ) -> Iterator[None]:
        """Tell what becomes of these deliveries while the block runs."""
        if not self._listeners or not deliveries:
            yield
            return
        before = events.states(connection, deliveries, self._listeners)
        yield
        if before:
            after = events.states(connection, before, self._listeners)
            changed = {id: told for id, told in after.items() if told != before.get(id)}
            events.add_changes(connection, changed, now)

    def changed(self, connection: Connection, states: Mapping[int, State], now: int) -> None:
        """Tell what became of deliveries that have just changed."""
        if self._listeners and states:
            known = events.states(connection, states, self._listeners)
            events.add_changes(connection, known, now)

    @contextmanager
    def receiving(self, connection: Connection, now: int) -> Iterator[None]:
        """Tell what is received while the block runs; `inbox.take_turns` has to come before."""
        if not self._listeners:
            yield
            return
        last = events.last_received(connection)
        yield
        events.add_received(connection, after=last, accounts=self._listeners, now=now)
