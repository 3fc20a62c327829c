"""Both faces in this process, asked by bytes."""

import asyncio
import logging
from typing import Any

from starlette.types import Message
from support.both_ways import BothWays
from support.soap_face import RecordingBackend

from sms_gateway.web.app import create_app
from soap_server import PATHS, SoapApp

from .cases import FORM, SOAP
from .probe import check_fault

_URL = "http://localhost:8000"


class _Records(logging.Handler):
    """Keeps what is logged while a request is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Faces:
    """The SOAP face and the HTTP API in front of a backend that records."""

    def __init__(self) -> None:
        self.backend = RecordingBackend()
        soap = SoapApp(self.backend, _URL)
        self._app = create_app(
            self.backend, public_url=_URL, soap=soap, soap_paths=PATHS, proxies=["127.0.0.1"]
        )
        self._both_ways = BothWays()
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        self._loop.close()

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """The status and the body of the answer; AssertionError for what may never be."""
        given = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()
        ]
        return self.ask("POST", path, b"", given, body)

    def ask(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes = b"",
    ) -> tuple[int, bytes]:
        """The same of any request; the headers' names are in lower case."""
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": headers,
            "client": ("127.0.0.1", 1),
        }
        log = _Records()
        logging.getLogger().addHandler(log)
        try:
            status, answer = self._loop.run_until_complete(self._ask(scope, body))
        finally:
            logging.getLogger().removeHandler(log)
        # A failure is logged as an error, with where it happened; nothing may fail here.
        assert [each for each in log.records if each.levelno >= logging.ERROR] == []
        return status, answer

    def compare(self, body: bytes, content_type: str) -> None:
        """AssertionError when the template of an envelope does not lead to what spyne leads to."""
        headers = {b"content-type": content_type.encode("latin-1")}
        self._loop.run_until_complete(self._both_ways.ask(body, headers))

    async def _ask(self, scope: dict[str, Any], body: bytes) -> tuple[int, bytes]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        start, *bodies = [each for each in sent if each["type"] != "http.response.informational"]
        return start["status"], b"".join(each.get("body", b"") for each in bodies)


def ask_soap(faces: Faces, body: bytes, content_type: str = "text/xml") -> None:
    """Whatever the body is, the answer is a result or a Fault of the client, by either."""
    faces.compare(body, content_type)
    status, answer = faces.post(SOAP, body, {"Content-Type": content_type})
    if status == 500:
        check_fault(answer)
    else:
        assert status == 200
        assert b"Response" in answer
        assert b"<error>" in answer
        assert b"Fault" not in answer


def ask_form(faces: Faces, body: bytes, content_type: str) -> None:
    """Whatever the body is, the answer is one of the API's."""
    status, answer = faces.post(FORM, body, {"Content-Type": content_type})
    assert status in (200, 400, 408, 413, 415)
    assert b"<error>" in answer
