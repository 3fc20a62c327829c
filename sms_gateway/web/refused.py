"""A connection that is not served is told so: it is read no further than its head, answered, and
closed once its client had time to read the answer.

Closing a socket with unread octets in it resets the connection, and the client then loses an answer
that it has not read (RFC 9112, section 9.6). So ours is the first half to be closed, and what still
comes is dropped for a while.
"""

import asyncio
from collections.abc import Callable

#: Seconds to wait for the head of a request that will not be served: its path says in which form
#: the answer is written.
HEAD_WITHIN = 1.0
#: Seconds for the client to read the answer and close its half.
READ_WITHIN = 2.0
# The most octets that are waited for, and that are dropped.
_MOST_HEAD = 8 * 1024
_MOST_DROPPED = 4 * 1024 * 1024

#: The answer to a request whose head begins so.
Answer = Callable[[bytes], bytes]


class RefusedConnection(asyncio.Protocol):
    """What a transport talks to from then on."""

    def __init__(
        self,
        transport: asyncio.Transport,
        now: float,
        on_end: Callable[["RefusedConnection"], None],
    ) -> None:
        self._transport = transport
        self._on_end = on_end
        #: When it was refused or, later, answered.
        self._since = now
        self._head = b""
        self._answer: Answer | None = None
        self._unasked = False
        self._dropped = 0

    def wait(self, answer: Answer, *, unasked: bool) -> None:
        """Answer the request that comes; when none does, only if `unasked`."""
        self._answer, self._unasked = answer, unasked

    def tell(self, answer: bytes) -> None:
        """Answer now."""
        self._answer = None
        self._transport.write(answer)
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def look(self, now: float) -> None:
        """Do what is due."""
        waiting = self._answer is not None
        if now - self._since >= (HEAD_WITHIN if waiting else READ_WITHIN):
            self.hurry(now)

    def hurry(self, now: float) -> None:
        """Do the next thing, due or not: answer, or let go."""
        if self._answer is None or not (self._head or self._unasked):
            self._transport.abort()
            return
        self._since = now
        self.tell(self._answer(self._head))

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self._dropped += len(data)
            if self._dropped > _MOST_DROPPED:
                self._transport.abort()
            return
        self._head += data
        if b"\r\n\r\n" in self._head or len(self._head) > _MOST_HEAD:
            self.tell(self._answer(self._head[:_MOST_HEAD]))

    def connection_lost(self, error: Exception | None) -> None:
        self._on_end(self)
