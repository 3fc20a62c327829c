"""Sending by SOAP, in a line or two."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zeep
import zeep.exceptions
import zeep.proxy

import wsdl as contract

from ._generated import BINDING, PORT, SERVICE, AsyncOperations, Operations, SendSmsResult
from .errors import INTERNAL, NOT_SENT, TIMED_OUT, SmsError
from .transports import FAILURES, TIMEOUTS, AsyncRetryingTransport, RetryingTransport

TIMEOUT = 30.0
RETRIES = 2
PAUSE = 1.0

# XML 1.0 §2.2 from the other side: what no document can hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class SmsClient:
    """A client of the service, for one API key.

    Without `wsdl`, a path or URL, it has the contract that comes with it, and fetches nothing;
    `address` is where to send to, if not to where the WSDL says. `timeout` is in seconds, for
    connecting and again for each silence of the server. What fails on the way, and only that, is
    repeated up to `retries` times, after `pause` seconds and then twice as long; all repeats have
    one idempotency key, so nothing is sent twice. May be used by several threads.
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
            service = _service(zeep.proxy.ServiceProxy, client, address)
        self._operations = Operations(service)

    def send(self, recipients: str | Sequence[str], message: str) -> SendSmsResult:
        """Send one text to one to four numbers; all of them or none. Raises SmsError."""
        parameters = _parameters(recipients, message, self._apikey)
        with _one_kind_of_error():
            return _accepted(self._operations.send_sms(**parameters))

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

    The WSDL is read when the first message is sent, in a thread.
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
        """Send one text to one to four numbers; all of them or none. Raises SmsError."""
        parameters = _parameters(recipients, message, self._apikey)
        with _one_kind_of_error():
            async with self._reading:
                if self._operations is None:
                    self._operations = await asyncio.to_thread(self._read)
            return _accepted(await self._operations.send_sms(**parameters))

    def _read(self) -> AsyncOperations:
        client = zeep.AsyncClient(self._wsdl, transport=self._transport)  # type: ignore[no-untyped-call]
        return AsyncOperations(_service(zeep.proxy.AsyncServiceProxy, client, self._address))

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


def _service(proxy: Any, client: Any, address: str | None) -> Any:
    """The service at `address`, or where the WSDL says."""
    port = client.wsdl.services[SERVICE].ports[PORT]
    return proxy(
        client,
        client.wsdl.bindings[BINDING],
        address=address or port.binding_options["address"],
    )


def _parameters(recipients: str | Sequence[str], message: str, apikey: str) -> dict[str, str]:
    """The parameters of sendSms. Raises SmsError for what XML cannot carry."""
    numbers = recipients if isinstance(recipients, str) else ",".join(recipients)
    parameters = {"recipients": numbers, "message": message, "apikey": apikey}
    for name, value in parameters.items():
        if strange := _NOT_XML.search(value):
            code = f"U+{ord(strange[0]):04X}"
            raise SmsError(NOT_SENT, f"{name}: XML has no place for {code}, at {strange.start()}")
    return parameters


def _accepted(result: SendSmsResult) -> SendSmsResult:
    if result.error:
        raise SmsError(result.error)
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
