"""The HTTP API in this process, asked as the server asks it: by ASGI, or express."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from starlette.types import Message

from sms_gateway.accept.deadline import Deadline
from sms_gateway.accept.gateway import Gateway
from sms_gateway.web.app import create_app
from sms_gateway.web.express import Response

from .http import Answer


class Api:
    """The API in front of a gateway, put together as `bootstrap` does it."""

    def __init__(self, gateway: Gateway, *, express: bool) -> None:
        """`express`: requests that have an entry go express."""
        backend = Deadline(gateway, timedelta(minutes=1))
        self._app = create_app(backend, public_url="https://sms.example.com")
        self._express = express

    async def ask(
        self,
        target: str,
        body: bytes | None = None,
        *,
        method: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; a body makes it a POST."""
        method = method or ("GET" if body is None else "POST")
        path, _, query = target.partition("?")
        given = {name.lower().encode(): each.encode() for name, each in (headers or {}).items()}
        entry = self._app.express.get(f"{method} {path}".encode()) if self._express else None
        if entry is None:
            response = await self._by_asgi(method, path, query.encode(), given, body or b"")
        else:
            told: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
            entry(query.encode(), given, body or b"", told.set_result)
            response = await told
        status, names, content = response
        return Answer(status, {name.decode(): each.decode() for name, each in names}, content)

    async def _by_asgi(
        self, method: str, path: str, query: bytes, headers: Mapping[bytes, bytes], body: bytes
    ) -> Response:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": list(headers.items()),
        }
        await self._app(scope, receive, send)
        start, content = sent
        return start["status"], tuple(start["headers"]), content["body"]
