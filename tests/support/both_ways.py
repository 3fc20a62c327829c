"""The SOAP face by templates beside spyne: where there is a template, they lead to the same."""

import asyncio
from collections.abc import Awaitable, Mapping

from sms_gateway.backend import Submission, awaited
from soap_server import SoapApp
from soap_server.transport import Response

from .soap_face import RecordingBackend

TEXT_XML = {b"content-type": b"text/xml; charset=utf-8"}


class BothWays:
    """A SOAP face that is asked everything several times."""

    def __init__(self) -> None:
        self._backend = RecordingBackend()
        self._app = SoapApp(self._backend, "https://sms.example.com")

    async def ask(self, body: bytes, headers: Mapping[bytes, bytes] = TEXT_XML) -> bool:
        """Whether there is a template for this request; AssertionError when what it hands to the
        backend, or answers, is not the very same as by spyne."""
        response: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._backend.calls.clear()
        if not self._app.by_template(headers, body, response.set_result):
            return False
        first = await response, self._backend.calls.copy()
        assert await self._asked(self._app.by_spyne(headers, body)) == first
        # A template is learned, then known, then tried before all others; and the backend replies
        # at once or later.
        for _ in range(3):
            assert await self._asked(awaited(self._app.answer, b"", headers, body)) == first
        return True

    async def _asked(self, coming: Awaitable[Response]) -> tuple[Response, list[Submission]]:
        """The answer, and what was handed to the backend."""
        self._backend.calls.clear()
        return await coming, self._backend.calls.copy()
