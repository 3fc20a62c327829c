"""Answers a connection that is not served: reads its head, refuses, and closes it.

Closing a socket with unread octets in it resets the connection, and the client then loses an answer
that it has not read (RFC 9112, section 9.6). So the server first closes its own half, and then
drops the octets that still come, until the client had time to read the answer.
"""

import asyncio
from collections.abc import Callable

#: Seconds to wait for the head of a request that will not be served: its path tells the format of
#: the answer.
HEAD_WITHIN = 1.0
#: Seconds for the client to read the answer and close its half.
READ_WITHIN = 2.0
# The most octets of a head to wait for, and the most to drop after the answer.
_MOST_HEAD = 8 * 1024
_MOST_DROPPED = 4 * 1024 * 1024

#: Writes the answer to a request from the beginning of its head.
Answer = Callable[[bytes], bytes]


class RefusedConnection(asyncio.Protocol):
    """The protocol of a transport whose client is refused."""

    def __init__(
        self,
        transport: asyncio.Transport,
        now: float,
        on_end: Callable[["RefusedConnection"], None],
    ) -> None:
        self._transport = transport
        self._on_end = on_end
        #: When the connection was refused or, later, answered.
        self._since = now
        self._head = b""
        self._answer: Answer | None = None
        self._unasked = False
        self._dropped = 0

    def wait(self, answer: Answer, *, unasked: bool) -> None:
        """Answer the next request; without a request, answer only if `unasked`."""
        self._answer, self._unasked = answer, unasked

    def tell(self, answer: bytes) -> None:
        """Answer now."""
        self._answer = None
        self._transport.write(answer)
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def look(self, now: float) -> None:
        """Answer or close, if the time for it has come."""
        waiting = self._answer is not None
        if now - self._since >= (HEAD_WITHIN if waiting else READ_WITHIN):
            self.hurry(now)

    def hurry(self, now: float) -> None:
        """Answer or close at once."""
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
