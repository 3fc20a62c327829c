"""The client's transports: a time-out, an idempotency key and retries for each request.

Requests are never logged, unlike in zeep's own transports.
"""

import asyncio
import time
import uuid
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

import requests
import zeep.exceptions
import zeep.transports

UNAVAILABLE = 503

#: Why the last call of this thread or task was refused, in the server's words; empty when it did
#: not say. It stands in a header, as the result has no place for it.
note: ContextVar[str] = ContextVar("note", default="")

#: Failures that a retry may mend: no connection, no answer, half an answer.
PASSING: tuple[type[Exception], ...] = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)
#: No answer in time.
TIMEOUTS: tuple[type[Exception], ...] = (requests.Timeout,)
#: Whatever else can happen; the last two come from an answer or a WSDL that is not ours.
FAILURES: tuple[type[Exception], ...] = (
    requests.RequestException,
    OSError,
    zeep.exceptions.Error,
    ValueError,
    LookupError,
)

try:
    import httpx
except ImportError:
    pass  # an extra: only the asynchronous client needs it
else:
    PASSING += (httpx.TransportError,)
    TIMEOUTS += (httpx.TimeoutException,)
    FAILURES += (httpx.HTTPError,)


def _keyed(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of one call and all its repeats: the server takes it once."""
    return {**headers, "Idempotency-Key": str(uuid.uuid4())}


def _keep_note(headers: Mapping[str, str]) -> None:
    # Shown to people, maybe on a terminal: on one line, without control characters.
    told = unquote(headers.get("Sendsmsnow-Note", ""))
    note.set("".join(char if char.isprintable() else " " for char in told).strip())


def _pauses(retries: int, pause: float) -> Iterator[float | None]:
    """The seconds to wait after each failed attempt, doubling; None after the last one."""
    for attempt in range(retries):
        yield pause * 2**attempt
    yield None


class RetryingTransport(zeep.transports.Transport):
    """zeep's transport over requests."""

    def __init__(self, *, timeout: float, retries: int, pause: float) -> None:
        super().__init__(timeout=timeout, operation_timeout=timeout)  # type: ignore[no-untyped-call]
        self._retries = retries
        self._pause = pause

    def post(self, address: str, message: bytes, headers: Mapping[str, str]) -> Any:
        keyed = _keyed(headers)
        note.set("")
        for pause in _pauses(self._retries, self._pause):
            try:
                response = self.session.post(
                    address,
                    data=message,
                    headers=keyed,
                    timeout=self.operation_timeout,
                    # A redirected POST becomes a GET, and the key goes who knows where.
                    allow_redirects=False,
                )
            except PASSING:
                if pause is None:
                    raise
            else:
                if pause is None or response.status_code != UNAVAILABLE:
                    _keep_note(response.headers)
                    return response
            time.sleep(pause)
        raise AssertionError("the last attempt has no pause after it")

    def close(self) -> None:
        self.session.close()


class AsyncRetryingTransport(zeep.transports.AsyncTransport):
    """zeep's transport over httpx."""

    def __init__(self, *, timeout: float, retries: int, pause: float) -> None:
        super().__init__(timeout=timeout, operation_timeout=timeout)  # type: ignore[no-untyped-call]
        self._retries = retries
        self._pause = pause

    async def post(self, address: str, message: bytes, headers: Mapping[str, str]) -> Any:
        keyed = _keyed(headers)
        note.set("")
        for pause in _pauses(self._retries, self._pause):
            try:
                response = await self.client.post(address, content=message, headers=keyed)
            except PASSING:
                if pause is None:
                    raise
            else:
                if pause is None or response.status_code != UNAVAILABLE:
                    _keep_note(response.headers)
                    return response
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt has no pause after it")

    async def aclose(self) -> None:
        self.wsdl_client.close()
        await super().aclose()  # type: ignore[no-untyped-call]
