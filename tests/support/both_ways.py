"""The short ways of the SOAP face beside spyne's: where there are any, they lead to the same."""

import asyncio
from collections.abc import Awaitable, Mapping

from sms_gateway.backend import Submission
from soap_server import SoapApp
from soap_server.transport import Response

from .soap_face import RecordingBackend

TEXT_XML = {b"content-type": b"text/xml; charset=utf-8"}


class BothWays:
    """A SOAP face that is asked everything several times."""

    def __init__(self) -> None:
        self._backend = RecordingBackend()
        self._app = SoapApp(
            self._backend, "https://sms.example.com", send_soon=self._backend.sendsms_soon
        )

    async def ask(self, body: bytes, headers: Mapping[bytes, bytes] = TEXT_XML) -> bool:
        """Whether there is a short way for this request; AssertionError when what it hands to the
        backend, or answers, is not the very same as by spyne."""
        if (coming := self._app.quick(headers, body)) is None:
            return False
        first = await self._asked(coming)
        assert await self._asked(self._app.by_spyne(headers, body)) == first
        # A form is learned, then known, then tried before all others; and the answer is awaited or
        # comes without a task.
        for _ in range(3):
            assert await self._asked(self._answer(headers, body)) == first
        return True

    async def _asked(self, coming: Awaitable[Response]) -> tuple[Response, list[Submission]]:
        """The answer, and what was handed to the backend."""
        self._backend.calls.clear()
        return await coming, self._backend.calls.copy()

    async def _answer(self, headers: Mapping[bytes, bytes], body: bytes) -> Response:
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        coming = self._app.answer(b"", headers, body, answered.set_result)
        return await (coming or answered)
