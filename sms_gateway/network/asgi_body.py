"""The body of a request by way of ASGI, which a client may send as slowly, in as many pieces and as
large as it likes."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ..errors import GatewayError

#: The largest body, in bytes. Four numbers and the longest text, every character of it
#: percent-escaped, are a tenth of that.
MAX_BODY = 256 * 1024
#: The most pieces in which a body may arrive; a client has to work hard to need as many.
MAX_PIECES = 4096
#: Seconds in which a body has to be complete.
BODY_SECONDS = 30.0
#: How many times as much as is allowed is read of a body that is too large, and dropped: a client
#: that is still sending when the connection closes does not get to read why.
PATIENCE = 16

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class UnusableError(GatewayError):
    """A request that cannot be read: the HTTP status, and why, in our words only."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


async def receive_body(
    receive: Receive, *, most: int = MAX_BODY, seconds: float = BODY_SECONDS
) -> bytes:
    """The whole body, of `most` bytes, within so many seconds. Raises UnusableError (400, 408,
    413)."""
    chunks: list[bytes] = []
    pieces = size = 0
    more = True
    try:
        async with asyncio.timeout(seconds) as limit:
            while more and size <= most * PATIENCE:
                message = await receive()
                # asyncio.wait_for of Python 3.11 loses a cancellation now and then.
                if limit.expired() or message["type"] == "http.disconnect":
                    # The client of a lost connection is not there to be told, or has been silent
                    # for the server's time-out.
                    raise TimeoutError
                chunk = message.get("body", b"")
                more = message.get("more_body", False)
                size += len(chunk)
                pieces += 1
                if pieces > MAX_PIECES:
                    raise UnusableError(400, "The body comes in too small pieces")
                if size <= most:
                    chunks.append(chunk)
    except TimeoutError:
        raise UnusableError(408, "The request did not arrive in time") from None
    if size > most:
        raise UnusableError(413, "The request is too large")
    return b"".join(chunks)
