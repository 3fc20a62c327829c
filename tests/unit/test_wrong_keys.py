"""Wrong keys are slowed and told of, right ones are not: around a gateway on both databases."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from support import accounts as support
from support.accepting import ROUTES

from sms_gateway import callers
from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import Submission
from sms_gateway.callers import Caller, Face
from sms_gateway.codes import Code
from sms_gateway.store import Store, audit
from sms_gateway.store.audit import Entry
from sms_gateway.web import api, wrong_keys
from sms_gateway.web.guesses import Guesses
from sms_gateway.web.wrong_keys import WrongKeys

A, B = "192.0.2.0/24", "198.51.100.0/24"


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_keys, "SLOWED", 0.3)
    monkeypatch.setattr(wrong_keys, "_SOON", 3600)


@pytest.fixture
async def keys(store: Store) -> WrongKeys:
    return WrongKeys(Guesses(tries=2, seconds=1000), store)


@pytest.fixture
async def backend(store: Store, keys: WrongKeys) -> AsyncIterator[Gateway]:
    gateway = Gateway(store, ROUTES, on_wrong_key=keys.came)
    await gateway.start()
    yield gateway
    await gateway.aclose()


async def took(backend: Gateway, key: str, network: str = A) -> tuple[Code, float]:
    """The code for a message with this key, and the seconds until it came."""
    held: list[bool] = []
    callers.is_now(Caller(face=Face.API, network=lambda: network, hold=held.append))
    began = time.monotonic()
    reply = await backend.sendsms(Submission("+32494000000", "hi", key))
    assert held in ([], [True, False])
    return reply.error, time.monotonic() - began if held else 0.0


def entries(store: Store) -> list[Entry]:
    with store.read() as connection:
        return list(audit.listed(connection, since=0, most=100))


async def test_the_answer_to_a_wrong_key_waits_once_the_tries_are_used_up(
    backend: Gateway, store: Store
) -> None:
    key, _ = support.create(store, rate=None)
    for _ in range(2):
        assert await took(backend, "wrong") == (Code.KEY_WRONG, 0.0)
    for _ in range(2):
        code, seconds = await took(backend, "wrong")
        assert code is Code.KEY_WRONG
        assert seconds >= 0.3
    assert await took(backend, key) == (Code.SENT, 0.0)
    assert await took(backend, "wrong", B) == (Code.KEY_WRONG, 0.0)
    # Of one whose network nobody knows, or who stands for many, nothing is counted.
    for _ in range(5):
        assert await took(backend, "wrong", "") == (Code.KEY_WRONG, 0.0)


async def test_every_operation_counts(backend: Gateway, store: Store) -> None:
    held: list[bool] = []
    callers.is_now(Caller(face=Face.API, network=lambda: A, hold=held.append))
    await backend.getsms("wrong")
    await backend.status("wrong", "x")
    assert not held
    await backend.resendsms("wrong", "x")
    await backend.deletesms("wrong")
    assert held == [True, False] * 2


async def test_too_many_wrong_keys_are_one_line_of_the_log(
    backend: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(4):
        await took(backend, "wrong-secret")
    (line,) = [record for record in caplog.records if record.name.endswith("wrong_keys")]
    assert line.getMessage() == "too many wrong keys"
    assert line.network == A  # type: ignore[attr-defined]
    assert "secret" not in caplog.text


async def test_the_trail_has_an_entry_for_each_network(
    backend: Gateway, keys: WrongKeys, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrong_keys, "SLOWED", 0.0)
    monkeypatch.setattr(wrong_keys, "_MOST_NETWORKS", 2)
    for times, network in enumerate((A, B, "203.0.113.0/24", "2001:db8::/48"), 1):
        for _ in range(times):
            await took(backend, "wrong", network)
    assert entries(store) == []
    await keys.aclose()
    assert [(entry.action, entry.face, entry.network, entry.facts) for entry in entries(store)] == [
        ("key.refuse", "api", "2001:db8::/48", {"times": 4}),
        ("key.refuse", "api", "203.0.113.0/24", {"times": 3}),
        ("key.refuse", "gateway", "", {"times": 3, "networks": 2}),
    ]


async def many(backend: Gateway, *keys: str) -> float:
    """The seconds that the answer to so many calls in one request is held."""
    held: list[bool] = []
    callers.is_now(Caller(face=Face.API, network=lambda: A, hold=held.append))
    calls = [{"recipients": "+32494000000", "message": "hi", "apikey": key} for key in keys]
    body = str(calls).replace("'", '"').encode()
    headers = {b"content-type": api.MEDIA_TYPE.encode()}
    began = time.monotonic()
    answered: asyncio.Future[api.Response] = asyncio.get_running_loop().create_future()
    api.entries(backend)["POST", "/sendsms/"](b"", headers, body, answered.set_result)
    status, _, _ = await answered
    assert status == 200
    return time.monotonic() - began if held else 0.0


async def test_calls_that_share_a_request_with_a_right_key_are_not_held(
    backend: Gateway, store: Store
) -> None:
    key, _ = support.create(store, rate=None)
    assert await many(backend, "a", "b") == 0
    assert await many(backend, "a", "b", key) == 0
    assert await many(backend, "a", "b") >= 0.3
    # Nor does a call without a key hide wrong ones.
    assert await many(backend, "a", "b", "") >= 0.3


async def test_who_gives_up_is_not_held_for_ever(backend: Gateway) -> None:
    for _ in range(2):
        await took(backend, "wrong")
    held: list[bool] = []
    callers.is_now(Caller(network=lambda: A, hold=held.append))
    waiting = asyncio.create_task(backend.getsms("wrong"))
    while not held:
        await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert held == [True, False]
