"""What the application does that needs no server to see."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from starlette.types import Message
from support.scripted import ScriptedBackend

from sms_gateway.web import app as web_app
from sms_gateway.web.app import create_app


async def get(app, path, headers=()):
    """Status and body of a GET."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b""}
    await app(scope | {"headers": list(headers)}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return sent[0]["status"], sent[1]["body"]


def app_with(**options):
    return create_app(ScriptedBackend(), public_url="http://127.0.0.1:8000", **options)


async def reason():
    return "the database does not answer"


async def failing():
    raise ValueError("password=secret")


async def never():
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("readiness", "body"),
    [
        (reason, b"not ready: the database does not answer\n"),
        (failing, b"not ready: incident "),
        (never, b"not ready: no answer within "),
    ],
)
async def test_readyz_says_why_it_is_not_ready(monkeypatch, readiness, body):
    monkeypatch.setattr(web_app, "_READINESS_DEADLINE", 0.01)
    status, answer = await get(app_with(readiness=readiness), "/readyz")
    assert status == 503
    assert answer.startswith(body)
    assert b"secret" not in answer


async def test_the_process_is_alive_when_it_is_not_ready():
    assert await get(app_with(readiness=failing), "/healthz") == (200, b"alive\n")


async def test_without_soap_its_path_is_nowhere():
    status, _ = await get(app_with(), "/sendsms/soap/")
    assert status == 404


class Lifespan:
    """A server's side of the lifespan protocol."""

    def __init__(self, app):
        self.to_app: asyncio.Queue[Message] = asyncio.Queue()
        self.from_app: asyncio.Queue[Message] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self.task = asyncio.create_task(app(scope, self.to_app.get, self.from_app.put))

    async def say(self, phase):
        await self.to_app.put({"type": f"lifespan.{phase}"})
        return await self.from_app.get()


async def test_the_lifespan_is_entered_at_the_start_and_left_at_the_stop():
    happened = []

    @asynccontextmanager
    async def lifespan():
        happened.append("start")
        yield
        happened.append("stop")

    server = Lifespan(app_with(lifespan=lifespan))
    assert await server.say("startup") == {"type": "lifespan.startup.complete"}
    assert happened == ["start"]
    assert await server.say("shutdown") == {"type": "lifespan.shutdown.complete"}
    assert happened == ["start", "stop"]
    await server.task


@pytest.mark.parametrize("fails", ["startup", "shutdown"])
async def test_a_lifespan_that_fails_is_told_without_words(caplog, fails):
    @asynccontextmanager
    async def lifespan():
        if fails == "startup":
            raise ValueError("password=secret")
        yield
        raise ValueError("password=secret")

    server = Lifespan(app_with(lifespan=lifespan))
    answer = await server.say("startup")
    if fails == "shutdown":
        assert answer == {"type": "lifespan.startup.complete"}
        answer = await server.say("shutdown")
    assert answer["type"] == f"lifespan.{fails}.failed"
    assert answer["message"].startswith("incident ")
    assert "secret" not in caplog.text
    assert caplog.records[0].error == "ValueError"
    await server.task
