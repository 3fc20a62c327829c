"""Sending by SOAP, in a line or two."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import zeep
import zeep.exceptions
import zeep.proxy

import wsdl as contract

from ._generated import (
    BINDING,
    PORT,
    SERVICE,
    AsyncOperations,
    GetSmsResult,
    GetStatusResult,
    Operations,
    ReceivedMessage,
    SendSmsResult,
)
from .errors import INTERNAL, NOT_SENT, TIMED_OUT, SmsError
from .transports import FAILURES, TIMEOUTS, AsyncRetryingTransport, RetryingTransport, note

TIMEOUT = 30.0
RETRIES = 2
PAUSE = 1.0

# XML 1.0 §2.2 from the other side: what no document can hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_Result = TypeVar("_Result", SendSmsResult, GetSmsResult, GetStatusResult)


class SmsClient:
    """A client of the service, for one API key.

    `wsdl` is a path or URL. Without it the client uses the contract that it ships with and fetches
    nothing. `address` is the service's URL, if not the WSDL's. `timeout` is in seconds, for
    connecting and again for each silence of the server. Only network failures are retried, up to
    `retries` times, after `pause` seconds and then twice as long each time; all retries carry one
    idempotency key, so no message is sent twice. Several threads may share a client.
    """

    def __init__(
        self,
        apikey: str,
        *,
        wsdl: str | Path | None = None,
        address: str | None = None,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        pause: float = PAUSE,
    ) -> None:
        self._apikey = apikey
        self._transport = RetryingTransport(timeout=timeout, retries=retries, pause=pause)
        with _one_kind_of_error():
            client = zeep.Client(str(wsdl or contract.PATH), transport=self._transport)  # type: ignore[no-untyped-call]
            #: The service's URL.
            self.address = _address(client, address)
            service = _proxy(zeep.proxy.ServiceProxy, client, address)
        self._operations = Operations(service)

    def send(self, recipients: str | Sequence[str], message: str) -> SendSmsResult:
        """Send one text to one to four numbers; all of them or none. Raises SmsError."""
        parameters = _checked(recipients=_joined(recipients), message=message, apikey=self._apikey)
        with _one_kind_of_error():
            return _without_error(self._operations.send_sms(**parameters))

    def resend(self, id: str) -> SendSmsResult:
        """Send a message again to those numbers that it was not sent to yet. Raises SmsError."""
        parameters = _checked(apikey=self._apikey, id=id)
        with _one_kind_of_error():
            return _without_error(self._operations.resend_sms(**parameters))

    def received(self, *, after: int = 0, limit: int = 100) -> tuple[ReceivedMessage, ...]:
        """The messages received after the one with the id `after`, oldest first, at most `limit`.
        Raises SmsError."""
        parameters = _checked(apikey=self._apikey)
        with _one_kind_of_error():
            result = self._operations.get_sms(**parameters, after=after, limit=limit)
            return _without_error(result).messages

    def status(self, id: str) -> GetStatusResult:
        """The state of a message for each recipient, with each step. Raises SmsError."""
        parameters = _checked(apikey=self._apikey, id=id)
        with _one_kind_of_error():
            return _without_error(self._operations.get_status(**parameters))

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncSmsClient:
    """`SmsClient` for asyncio; it needs httpx (`pip install sendsmsnow[async]`).

    The WSDL is read at the first call, in a thread.
    """

    def __init__(
        self,
        apikey: str,
        *,
        wsdl: str | Path | None = None,
        address: str | None = None,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        pause: float = PAUSE,
    ) -> None:
        self._apikey = apikey
        self._wsdl = str(wsdl or contract.PATH)
        self._address = address
        self._transport = AsyncRetryingTransport(timeout=timeout, retries=retries, pause=pause)
        self._operations: AsyncOperations | None = None
        self._reading = asyncio.Lock()

    async def send(self, recipients: str | Sequence[str], message: str) -> SendSmsResult:
        """See `SmsClient.send`."""
        parameters = _checked(recipients=_joined(recipients), message=message, apikey=self._apikey)
        with _one_kind_of_error():
            service = await self._service()
            return _without_error(await service.send_sms(**parameters))

    async def resend(self, id: str) -> SendSmsResult:
        """See `SmsClient.resend`."""
        parameters = _checked(apikey=self._apikey, id=id)
        with _one_kind_of_error():
            service = await self._service()
            return _without_error(await service.resend_sms(**parameters))

    async def received(self, *, after: int = 0, limit: int = 100) -> tuple[ReceivedMessage, ...]:
        """See `SmsClient.received`."""
        parameters = _checked(apikey=self._apikey)
        with _one_kind_of_error():
            service = await self._service()
            result = await service.get_sms(**parameters, after=after, limit=limit)
            return _without_error(result).messages

    async def status(self, id: str) -> GetStatusResult:
        """See `SmsClient.status`."""
        parameters = _checked(apikey=self._apikey, id=id)
        with _one_kind_of_error():
            service = await self._service()
            return _without_error(await service.get_status(**parameters))

    async def _service(self) -> AsyncOperations:
        """The operations, as soon as the WSDL is read."""
        async with self._reading:
            if self._operations is None:
                self._operations = await asyncio.to_thread(self._read)
        return self._operations

    def _read(self) -> AsyncOperations:
        client = zeep.AsyncClient(self._wsdl, transport=self._transport)  # type: ignore[no-untyped-call]
        return AsyncOperations(_proxy(zeep.proxy.AsyncServiceProxy, client, self._address))

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _address(client: Any, address: str | None) -> str:
    """The service's URL: `address`, or the one in the WSDL."""
    port = client.wsdl.services[SERVICE].ports[PORT]
    return address or str(port.binding_options["address"])


def _proxy(proxy: Any, client: Any, address: str | None) -> Any:
    """The service at its address."""
    return proxy(client, client.wsdl.bindings[BINDING], address=_address(client, address))


def _joined(recipients: str | Sequence[str]) -> str:
    return recipients if isinstance(recipients, str) else ",".join(recipients)


def _checked(**parameters: str) -> dict[str, str]:
    """The parameters of an operation. Raises SmsError for what XML cannot carry."""
    for name, value in parameters.items():
        if strange := _NOT_XML.search(value):
            code = f"U+{ord(strange[0]):04X}"
            raise SmsError(NOT_SENT, f"{name}: XML has no place for {code}, at {strange.start()}")
    return parameters


def _without_error(result: _Result) -> _Result:
    if result.error:
        raise SmsError(result.error, note.get())
    return result


@contextmanager
def _one_kind_of_error() -> Iterator[None]:
    """Faults, time-outs, lost connections and answers that make no sense become SmsError."""
    try:
        yield
    except TIMEOUTS as error:
        raise SmsError(TIMED_OUT) from error
    except zeep.exceptions.Fault as error:
        raise SmsError(INTERNAL, str(error.message)) from error
    except FAILURES as error:
        raise SmsError(INTERNAL, type(error).__name__) from error
