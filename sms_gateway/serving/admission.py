"""Admits connections to a process, and refuses the rest with an answer.

A network has limits for connections and for unfinished bodies. At the process's limit of
connections one of these makes room: a connection whose answer is held back, failing that the one
idle longest, failing that the one with the longest unfinished request. A client that is not served
gets an answer (503, or 408) before its connection ends.
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

# Seconds that a connection has to be idle or unfinished before it makes room: its request may be on
# its way.
_SETTLED = 1.0
# Seconds until the next search for a connection that makes room, after a search found none.
_LOOK_AGAIN = 0.1
# Seconds after which a refused client may try again.
_RETRY_AFTER = 5


class Admission:
    """The connections of a process: the served ones, and the ones that are being refused."""

    def __init__(
        self,
        limits: Limits,
        most: int,
        *,
        unreadable: Unreadable | None,
        clock: Callable[[], float],
    ) -> None:
        """`most`: the limit of served connections, and also of refused ones. `unreadable` writes
        the answers, in the application's format; `clock` is the loop's.
        """
        self.crowd = Crowd(limits)
        self._most = most
        self._unreadable = unreadable
        self._clock = clock
        #: The served connections; idle ones are in the order in which they became idle.
        self.connections: OrderedDict[Connection, None] = OrderedDict()
        #: The connections that are being refused, in the order in which they came.
        self.refused: dict[RefusedConnection, None] = {}
        self._full_until = -inf
        #: Connections whose answers are held back, as to a wrong key, in the order of their holds.
        self.held: dict[Connection, None] = {}

    def admit(self, connection: "Connection", transport: asyncio.Transport) -> bool:
        """Whether a connection is admitted; another one is refused with an answer."""
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
        """Take note that an answer is held back, or is so no more."""
        if not is_held:
            self.held.pop(connection, None)
        elif connection in self.connections:
            self.held[connection] = None

    def _end_held(self, network: str | None = None) -> bool:
        """End the first connection whose answer is held back, of this network if one is given.

        Returns whether there was one.
        """
        held = (each for each in self.held if network is None or each.network == network)
        first = next(held, None)
        if first is not None:
            first.turn_away(503)
        return first is not None

    def _make_room(self) -> bool:
        """Whether one more connection has room, after ending another one if need be.

        That is one whose answer is held back, failing that the one idle longest, failing that the
        one with the longest unfinished request.
        """
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
        """End a connection, and hand its transport to a `RefusedConnection` that answers."""
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
        """A whole answer with the reason for a refusal, in the application's format."""
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
        """Close connections that for so many seconds are idle or leave answers unread.

        Refuse requests that come too slowly.
        """
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
        """Of the connections without an answer since then, close the idle ones.

        Refuse the unfinished requests on the others.
        """
        for connection in list(self.connections):
            if connection.idle_since > since:
                continue
            if connection.idle:
                self.leave(connection)
                connection.transport.close()
            elif not connection.busy and connection.unfinished_since() < inf:
                connection.turn_away(408)

    def abort(self) -> None:
        """End all connections at once."""
        for connection in list(self.connections):
            connection.transport.abort()
