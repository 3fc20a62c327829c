"""The short way of the SOAP face beside spyne's: where there is one, it leads to the same."""

from collections.abc import Mapping

from soap_server import SoapApp

from .soap_face import RecordingBackend

TEXT_XML = {b"content-type": b"text/xml; charset=utf-8"}


class BothWays:
    """A SOAP face that is asked everything twice."""

    def __init__(self) -> None:
        self._backend = RecordingBackend()
        self._app = SoapApp(self._backend, "https://sms.example.com")

    async def ask(self, body: bytes, headers: Mapping[bytes, bytes] = TEXT_XML) -> bool:
        """Whether there is a short way for this request; AssertionError when what it hands to the
        backend, or answers, is not the very same as by spyne."""
        answering = self._app.quick(headers, body)
        if answering is None:
            return False
        self._backend.calls.clear()
        answer, calls = await answering, self._backend.calls.copy()
        self._backend.calls.clear()
        assert await self._app.by_spyne(headers, body) == answer
        assert self._backend.calls == calls
        return True
