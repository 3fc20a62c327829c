"""A server that speaks /sendsms/ and /status/ on aiohttp's server, and behaves as it is told."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web


class Peer:
    """What it answers goes by words in the text: #code-N, #silent, #drop, #status-N, #odd;
    #once makes the words count for the first request with its idempotency key only."""

    def __init__(self) -> None:
        self.port = 0
        #: The fields of every request to /sendsms/ and the header `key`.
        self.requests: list[dict[str, str]] = []
        #: What is told of every message at /status/.
        self.state = "delivered"
        #: The code for every request, unless 0.
        self.code = 0
        self._recipients: dict[str, str] = {}
        self._accepted: dict[str, str] = {}
        self._ended = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/sendsms/?apikey=secret"

    async def _sendsms(self, request: web.Request) -> web.StreamResponse:
        fields = {name: str(value) for name, value in (await request.post()).items()}
        key = request.headers.get("Idempotency-Key", "")
        text = fields["message"]
        seen = any(each["key"] == key for each in self.requests)
        self.requests.append({**fields, "key": key})
        if key in self._accepted:
            return _json(error=0, sent=1, id=self._accepted[key])
        words = set() if seen and "#once" in text else {w for w in text.split() if w[0] == "#"}
        for word in words | ({f"#code-{self.code}"} if self.code else set()):
            if word.startswith("#code-"):
                return _json(error=int(word[6:]), sent=0, id="")
            if word.startswith("#status-"):
                return web.Response(status=int(word[8:]), text="an error page")
        if "#odd" in words:
            return web.Response(text="<html>hello</html>", content_type="text/html")
        id = f"{len(self._recipients) + 1:032x}"
        self._recipients[id] = self._accepted[key] = id
        self._recipients[id] = fields["recipients"]
        if "#drop" in words:
            assert request.transport is not None
            request.transport.abort()
        if "#silent" in words:
            await self._ended.wait()
        return _json(error=0, sent=1, id=id)

    async def _status(self, request: web.Request) -> web.StreamResponse:
        fields = await request.post()
        recipient = self._recipients.get(str(fields["id"]))
        if recipient is None:
            return _json(error=201, sent=0, id="")
        now = datetime.fromtimestamp(time.time(), UTC).isoformat()
        delivery = {"recipient": recipient, "state": self.state, "steps": []}
        return _json(
            error=0,
            sent=1,
            id=str(fields["id"]),
            state=self.state,
            accepted=now,
            parts=1,
            deliveries=[delivery],
        )


def _json(**result: Any) -> web.Response:
    return web.json_response({"result": result})


@asynccontextmanager
async def peer() -> AsyncIterator[Peer]:
    """A running peer."""
    running = Peer()
    app = web.Application()
    app.router.add_post("/sendsms/", running._sendsms)
    app.router.add_post("/status/", running._status)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    running.port = runner.addresses[0][1]
    try:
        yield running
    finally:
        running._ended.set()
        await runner.cleanup()
