"""An ASGI application in the test's own loop, behind aiohttp's server."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from starlette.types import ASGIApp


def free_port() -> int:
    """A port on which nobody listens, for an application that has to know its URL."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def serving(app: ASGIApp, port: int = 0) -> AsyncIterator[str]:
    """A running server; its URL, without a slash at the end."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": request.method,
            "path": request.path,
            "query_string": request.rel_url.raw_query_string.encode(),
            "headers": [(name.lower(), value) for name, value in request.raw_headers],
        }
        await app(scope, receive, send)
        start, *bodies = sent
        headers = [(name.decode(), value.decode()) for name, value in start["headers"]]
        content = b"".join(each.get("body", b"") for each in bodies)
        return web.Response(status=start["status"], headers=headers, body=content)  # type: ignore[arg-type]

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
