"""An Android telephone with the app SMSGate, as the app's documentation has it.

Requests are validated against the app's OpenAPI file.
"""

import asyncio
import base64
import hmac
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from jsonschema import Draft4Validator, ValidationError

API = json.loads((Path(__file__).parents[1] / "recorded/openapi/smsgate.json").read_text())
USER, PASSWORD, KEY = "sms", "s3:cr&t", "k3y"
MINE = "+3228850000"


def _valid(name: str, value: Any) -> Any:
    schema = {**API, "$ref": f"#/components/schemas/smsgateway.{name}"}
    Draft4Validator(schema).validate(value)
    return value


class Phone:
    """What it does goes by words in the text: #bad, #throttle (once for each number), #silent (it
    takes the message and does not answer), #lost (the same, by hanging up), #before (it reports
    before it answers), #twice, #mo (a message comes from the number), #quiet (it reports nothing),
    #fail, #late (it is delivered by the third question)."""

    def __init__(self) -> None:
        self.port = 0
        #: The webhooks: by id.
        self.webhooks: dict[str, dict[str, str]] = {}
        #: The messages that it took, by id.
        self.taken: dict[str, dict[str, Any]] = {}
        self.requests: list[dict[str, Any]] = []
        #: The statuses with which its webhooks were answered.
        self.answers: list[int] = []
        #: What it answers a request for a webhook.
        self.webhook_status = 201
        self.key = KEY
        self.device = "PyDmBQZZXYmyxMwED8Fzy"
        self._questions: Counter[str] = Counter()
        self._throttled: Counter[str] = Counter()
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def url(self, scheme: str = "smsgate") -> str:
        """Its address in the settings, without options."""
        return f"{scheme}://{USER}:s3%3Acr%26t@127.0.0.1:{self.port}/"

    async def _post(self, request: web.Request) -> web.StreamResponse:
        try:
            told = _valid("Message", await request.json())
        except ValidationError as error:
            return web.json_response({"message": error.message}, status=400)
        self.requests.append(told)
        if told.get("deviceId", self.device) != self.device:
            return web.json_response({"message": "Invalid device ID"}, status=400)
        id, text, to = told["id"], told["textMessage"]["text"], told["phoneNumbers"][0]
        words = set(text.split())
        if id in self.taken:
            return web.json_response(
                {"message": "Message with the same ID already exists"}, status=409
            )
        if "#bad" in words:
            return web.json_response({"message": f"{to} is no number"}, status=400)
        self._throttled[to] += 1
        if "#throttle" in words and self._throttled[to] == 1:
            return web.json_response({"message": "queue limits exceeded"}, status=503)
        self.taken[id] = told
        report = {"messageId": id, "recipient": to, "sender": None, "phoneNumber": to}
        delivered = "sms:delivered", report | {"deliveredAt": _now()}
        if "#fail" in words:
            reason = {"reason": "Send result: RESULT_ERROR_NO_SERVICE: out of reach"}
            self.push_later("sms:failed", report | reason | {"failedAt": _now()})
        elif "#before" in words:
            await self.push(*delivered)
        elif not words & {"#quiet", "#late"}:
            self.push_later(*delivered)
        if "#twice" in words:
            self.push_later(*delivered)
        if "#mo" in words:
            self.push_later("sms:received", incoming(to))
        if "#silent" in words:
            await self._ended.wait()
        if "#lost" in words:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(self._state(id, "Pending"), status=202)

    def _state(self, id: str, state: str) -> dict[str, Any]:
        told = self.taken[id]
        error = {"error": "RESULT_ERROR_NO_SERVICE"} if state == "Failed" else {}
        each = [{"phoneNumber": to, "state": state, **error} for to in told["phoneNumbers"]]
        answer = {
            "id": id,
            "deviceId": self.device,
            "state": state,
            "recipients": each,
            "states": {state: _now()},
        }
        valid: dict[str, Any] = _valid("GetMessageResponse", answer)
        return valid

    async def _get(self, request: web.Request) -> web.StreamResponse:
        id = request.match_info["id"]
        if id not in self.taken:
            return web.Response(status=404)
        self._questions[id] += 1
        words = set(self.taken[id]["textMessage"]["text"].split())
        state = "Failed" if "#fail" in words else "Delivered"
        if "#late" in words and self._questions[id] < 3:
            state = ("Processed", "Sent")[self._questions[id] - 1]
        return web.json_response(self._state(id, state))

    async def _webhooks(self, request: web.Request) -> web.StreamResponse:
        told = _valid("Webhook", await request.json())
        if self.webhook_status == 201:
            self.webhooks[told["id"]] = told
        return web.json_response(told, status=self.webhook_status)

    @web.middleware
    async def _sign_in(self, request: web.Request, handler: Any) -> web.StreamResponse:
        right = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        if request.headers.get("Authorization") != right:
            return web.Response(status=401)
        answer: web.StreamResponse = await handler(request)
        return answer

    def push_later(self, event: str, payload: dict[str, Any]) -> None:
        """Push, beside all else, until it is taken."""
        task = asyncio.get_running_loop().create_task(self.push(event, payload))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def push(self, event: str, payload: dict[str, Any]) -> None:
        """Push to the webhooks of an event until they take it."""
        urls = [each["url"] for each in self.webhooks.values() if each["event"] == event]
        told = {"deviceId": self.device, "event": event, "payload": payload, "webhookId": "w"}
        # The envelope's id is the event's, and the same at each try.
        body = json.dumps(told | {"id": f"e-{id(payload)}-{len(self.answers)}"}).encode()
        for url in urls:
            while await self.push_once(url, body) not in range(200, 300):
                await asyncio.sleep(0.05)

    async def push_once(self, url: str, body: bytes, **headers: str) -> int:
        """The status with which a webhook is answered."""
        at = str(int(time.time()))
        signed = {
            "Content-Type": "application/json",
            "X-Timestamp": at,
            "X-Signature": hmac.new(self.key.encode(), body + at.encode(), "sha256").hexdigest(),
        }
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


def incoming(sender: str, **more: Any) -> dict[str, Any]:
    """The payload of a message that came in."""
    told = {"messageId": "abc123", "message": "Hi €", "sender": sender, "recipient": MINE}
    return {**told, "simNumber": 1, "receivedAt": _now(), "phoneNumber": sender, **more}


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")


@asynccontextmanager
async def phone_peer() -> AsyncIterator[Phone]:
    """A running telephone; its server has the paths of the app, and those of a private server."""
    phone = Phone()
    app = web.Application(middlewares=[phone._sign_in])
    for base, messages in (("", "/message"), ("/3rdparty/v1", "/messages")):
        app.router.add_post(f"{base}{messages}", phone._post)
        app.router.add_get(f"{base}{messages}/{{id}}", phone._get)
        app.router.add_post(f"{base}/webhooks", phone._webhooks)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    phone.port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as phone._session:
        try:
            yield phone
        finally:
            await phone._end()
            await runner.cleanup()
