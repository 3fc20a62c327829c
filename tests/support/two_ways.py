"""An application that says by which way a request came, and what it was given."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from sms_gateway.backend import call_back
from sms_gateway.web.express import Application, OnResponse, Response, send_response

#: The bytes of a large answer: more than the kernel takes of what nobody reads.
LARGE = 32 * 1024 * 1024


def application(gate: str) -> Application:
    """An answer to `?seen` has all that has happened: what began by which way, what was done.

    Requests for `?wait` are answered when the file `gate` exists, and those for `?large` at length.
    """
    seen: list[str] = []

    async def answer(way: str, query: bytes, body: bytes) -> Response:
        while query == b"wait" and not Path(gate).exists():
            await asyncio.sleep(0.01)
        seen.append(f"{query.decode()} done")
        happened = "; ".join(seen) if query == b"seen" else body.decode("latin-1")
        text = f"{way}: {happened}".encode()
        if query == b"large":
            text = text.ljust(LARGE)
        return 200, ((b"content-length", b"%d" % len(text)),), text

    def express(
        query: bytes, headers: Mapping[bytes, bytes], body: bytes, on_response: OnResponse
    ) -> None:
        seen.append(f"{query.decode()} express")
        call_back(answer("express", query, body), on_response)

    async def plain(scope, receive, send):
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        query = scope["query_string"]
        seen.append(f"{query.decode()} plain")
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await send_response(send, await answer("plain", query, body))

    return Application(plain, {b"GET /sendsms/": express, b"POST /sendsms/": express})
