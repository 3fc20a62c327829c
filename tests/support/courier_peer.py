"""Courier's server, on aiohttp's: it takes messages and pushes what becomes of them."""

import asyncio
import hmac
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

TOKEN = "t0p-s3cret"
MINE = "+3228850000"


def signature(url: str, body: bytes) -> str:
    """What Courier signs a push with."""
    return hmac.new(TOKEN.encode(), url.encode() + body, "sha256").hexdigest()


class Peer:
    """What it does goes by words in the text: #bad, #throttle (once for each number), #silent,
    #before (it reports before it answers), #twice, #mo (a message comes from the number), #quiet
    (it reports nothing), #credit."""

    def __init__(self) -> None:
        self.port = 0
        #: Where it pushes to; nowhere while that is empty.
        self.address = ""
        self.requests: list[dict[str, str]] = []
        #: The statuses with which its pushes were answered.
        self.answers: list[int] = []
        self._throttled: Counter[str] = Counter()
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"error": "unauthorized"}, status=401)
        told = await request.json()
        self.requests.append(told)
        words, to = set(told["text"].split()), told["to"]
        if "#bad" in words:
            return web.json_response({"error": "bad_number"}, status=400)
        if "#credit" in words:
            return web.json_response({"error": "no_credit"}, status=400)
        self._throttled[to] += 1
        if "#throttle" in words and self._throttled[to] == 1:
            return web.json_response({"error": "too_fast"}, status=429)
        if "#silent" in words:
            await self._ended.wait()
        id = f"Courier-{len(self.requests):08X}"
        report = {"kind": "receipt", "id": id, "to": to, "status": "delivered", "code": "0"}
        if "#before" in words:
            await self.push(report)
        elif "#quiet" not in words:
            self.push_later(report)
        if "#twice" in words:
            self.push_later(report)
        if "#mo" in words:
            self.push_later(
                {"kind": "message", "id": f"in-{id}", "from": to, "to": MINE, "text": "Hi €"}
            )
        return web.json_response({"id": id}, status=201)

    def push_later(self, value: Any) -> None:
        """Push, beside all else, until it is taken."""
        task = asyncio.get_running_loop().create_task(self.push(value))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def push(self, value: Any, address: str = "") -> None:
        """Push until it is taken."""
        while await self.push_once(value, address) not in range(200, 300):
            await asyncio.sleep(0.05)

    async def push_once(self, value: Any, address: str = "", **headers: str) -> int:
        """The status with which a push is answered."""
        url, body = address or self.address, json.dumps(value).encode()
        if not url:
            return 200
        signed = {"Content-Type": "application/json", "X-Signature": signature(url, body)}
        assert self._session is not None
        async with self._session.post(url, data=body, headers=signed | headers) as answer:
            await answer.read()
            self.answers.append(answer.status)
            return answer.status

    async def _end(self) -> None:
        self._ended.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def courier_peer() -> AsyncIterator[Peer]:
    """A running server."""
    peer = Peer()
    app = web.Application()
    app.router.add_post("/v1/messages", peer._messages)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    peer.port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as peer._session:
        try:
            yield peer
        finally:
            await peer._end()
            await runner.cleanup()
