"""A message is checked by every rule and nothing remains of it, on both databases."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import func, select
from support.accounts import create

from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import Submission
from sms_gateway.codes import Code
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.store import Store, tables

NUMBER = "+32494000000"


@pytest_asyncio.fixture
async def gateway(store: Store) -> AsyncIterator[Gateway]:
    routes = [
        Route(prefix="", upstreams=("default",)),
        Route(prefix="881", upstreams=(), closed=True),
    ]
    made = Gateway(store, Routes(routes))
    await made.start()
    yield made
    await made.aclose()


def rows(store: Store) -> list[int]:
    kept = (tables.message, tables.delivery, tables.idempotency)
    with store.read() as connection:
        return [connection.execute(select(func.count()).select_from(t)).scalar_one() for t in kept]


async def test_a_check_leaves_nothing_and_takes_nothing_of_the_limit(store, gateway):
    key, _ = create(store)
    for _ in range(2):
        reply = await gateway.check(Submission(NUMBER, "Hello", key, idempotency_key="k"))
        assert (reply.error, reply.sent, reply.id) == (Code.SENT, 1, "")
    assert rows(store) == [0, 0, 0]
    assert (
        await gateway.sendsms(Submission(NUMBER, "Hello", key, idempotency_key="k"))
    ).error == Code.SENT


async def test_a_check_knows_the_limit_and_repeats(store, gateway):
    key, _ = create(store)
    sent = await gateway.sendsms(Submission(NUMBER, "Hello", key, idempotency_key="k"))
    assert (await gateway.check(Submission(NUMBER, "Hello", key))).error == Code.TOO_FAST
    assert await gateway.check(Submission(NUMBER, "Hello", key, idempotency_key="k")) == sent
    other = await gateway.check(Submission(NUMBER, "Other", key, idempotency_key="k"))
    assert other.error == Code.NOT_SENT


@pytest.mark.parametrize(
    ("recipients", "message", "code"),
    [
        ("", "Hello", Code.NOT_SENT),
        (NUMBER, "", Code.NOT_SENT),
        (f"{NUMBER},+33612345678", "Hello", Code.NOT_MULTIPLE),
        ("+881612345678", "Hello", Code.UNREACHABLE),
    ],
)
async def test_a_check_answers_as_sending_would(store, gateway, recipients, message, code):
    key, _ = create(store)
    assert (await gateway.check(Submission(recipients, message, key))).error == code
    assert (await gateway.sendsms(Submission(recipients, message, key))).error == code
    assert (await gateway.check(Submission(recipients, message, ""))).error == Code.KEY_MISSING
    assert (await gateway.check(Submission(recipients, message, "wrong"))).error == Code.KEY_WRONG
