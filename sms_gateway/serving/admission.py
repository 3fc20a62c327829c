"""Who may connect to a process, and what the others are told.

A network has limits for connections and for bodies that are still to come. At the limit of
connections the one that is idle longest makes room, failing that the request that is unfinished
longest. A client that is not served is told so (503, or 408) before its connection ends.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING

from ..web import unreadable
from ..web.crowd import Crowd, Limits
from ..web.express import Headers, Unreadable
from ..web.refused import RefusedConnection

if TYPE_CHECKING:
    from .asgi_connection import Connection

# Seconds for which a connection is left alone before it has to make room: its request may be on its
# way.
_SETTLED = 1.0
# Seconds in which nobody is looked for again who could make room, when there was nobody.
_LOOK_AGAIN = 0.1
# Seconds after which who was refused may try again.
_RETRY_AFTER = 5


class Admission:
    """The connections of a process, and those that are being refused."""

    def __init__(
        self,
        limits: Limits,
        most: int,
        *,
        unreadable: Unreadable | None,
        clock: Callable[[], float],
    ) -> None:
        """`most`: how many connections may be served, and how many may be being refused.
        `unreadable` writes the answers, in the application's terms; `clock` is the loop's.
        """
        self.crowd = Crowd(limits)
        self._most = most
        self._unreadable = unreadable
        self._clock = clock
        #: Those that are idle are in the order in which they became so.
        self.connections: OrderedDict[Connection, None] = OrderedDict()
        #: Who is being told that they are not served; those that came first are first.
        self.refused: dict[RefusedConnection, None] = {}
        self._full_until = -inf
        #: Those whose answers wait although they are known, the first of them first.
        self.held: dict[Connection, None] = {}

    def admit(self, connection: "Connection", transport: asyncio.Transport) -> bool:
        """Whether a connection is taken in; one that is not is told so."""
        peer = transport.get_extra_info("peername")
        host = peer[0] if isinstance(peer, tuple) else ""
        why = ""
        network = self.crowd.enter(host)
        if network is None and self._end_held(self.crowd.whence(host, ())):
            network = self.crowd.enter(host)
        if network is None:
            why = unreadable.TOO_MANY_CONNECTIONS
        elif len(self.connections) >= self._most and not self._make_room():
            self.crowd.leave(network)
            why = unreadable.TOO_BUSY
        if why:
            self._refuse(transport).wait(partial(self._refusal_of, why), unasked=True)
            return False
        connection.peer, connection.network = host, network
        self.connections[connection] = None
        return True

    def leave(self, connection: "Connection") -> None:
        """Take note that a connection has ended, once or more often."""
        self.connections.pop(connection, None)
        self.held.pop(connection, None)
        if connection.network is not None:
            self.crowd.leave(connection.network)
            connection.network = None

    def answered(self, connection: "Connection") -> None:
        """Take note that a connection is idle again."""
        if connection in self.connections:
            self.connections.move_to_end(connection)

    def hold(self, connection: "Connection", is_held: bool) -> None:
        """Take note that an answer begins or ends to wait although it is known."""
        if not is_held:
            self.held.pop(connection, None)
        elif connection in self.connections:
            self.held[connection] = None

    def _end_held(self, network: str | None = None) -> bool:
        """Whether there is room for one more connection, of a network if so asked, at the expense
        of one whose answer waits."""
        held = (each for each in self.held if network is None or each.network == network)
        first = next(held, None)
        if first is not None:
            first.turn_away(503)
        return first is not None

    def _make_room(self) -> bool:
        """Whether there is room for one more connection: at the expense of one whose answer waits,
        failing that of the one that is idle longest, failing that of the request that is unfinished
        longest."""
        if self._end_held():
            return True
        now = self._clock()
        if now < self._full_until:
            return False
        settled = now - _SETTLED
        idle = next((known for known in self.connections if known.idle), None)
        if idle is not None and idle.idle_since <= settled:
            fresh = idle.fresh
            wait = partial(self._refusal_of, unreadable.TOO_BUSY)
            self.part(idle).wait(wait, unasked=fresh)
            return True
        oldest = min(self.connections, key=lambda known: known.unfinished_since(), default=None)
        if oldest is not None and oldest.unfinished_since() <= settled:
            oldest.turn_away(503)
            return True
        self._full_until = now + _LOOK_AGAIN
        return False

    def part(self, connection: "Connection") -> RefusedConnection:
        """The one to tell the client of a connection, which ends here, that it is not served."""
        return self._refuse(connection.let_go())

    def _refuse(self, transport: asyncio.Transport) -> RefusedConnection:
        now = self._clock()
        if len(self.refused) >= self._most:
            next(iter(self.refused)).hurry(now)
        refused = RefusedConnection(transport, now, self._parted)
        self.refused[refused] = None
        transport.set_protocol(refused)
        return refused

    def _parted(self, refused: RefusedConnection) -> None:
        self.refused.pop(refused, None)

    def _refusal_of(self, why: str, written: bytes) -> bytes:
        return self.refusal(503, why, unreadable.head_of(written))

    def refusal(self, status: int, why: str, head: unreadable.Head, more: Headers = ()) -> bytes:
        """A whole answer that says why a request is not served, in the application's terms."""
        told, fields, body = (self._unreadable or unreadable.plainly)(status, why, *head)
        if status == 503:
            more = (*more, (b"Retry-After", b"%d" % _RETRY_AFTER))
        lines = [
            f"HTTP/1.1 {told} {HTTPStatus(told).phrase}".encode(),
            *(b"%b: %b" % field for field in (*fields, *more)),
            b"Connection: close",
        ]
        return b"\r\n".join([*lines, b"", body])

    def look(self, keepalive: float) -> None:
        """Close what is idle, or does not read, for so many seconds, and what comes too slowly."""
        now = self._clock()
        since = now - keepalive
        self.close_idle(since)
        for connection in list(self.connections):
            if connection.unread_since <= since:
                connection.transport.abort()
            else:
                connection.look(now)
        for refused in list(self.refused):
            refused.look(now)

    def close_idle(self, since: float = inf) -> None:
        """Close what is idle since then, and wait no longer for a request that is unfinished."""
        for connection in list(self.connections):
            if connection.idle_since > since:
                continue
            if connection.idle:
                self.leave(connection)
                connection.transport.close()
            elif not connection.busy and connection.unfinished_since() < inf:
                connection.turn_away(408)

    def abort(self) -> None:
        """End what is left."""
        for connection in list(self.connections):
            connection.transport.abort()
