"""Fixtures of the tests of a part."""

from collections.abc import AsyncIterator

import pytest
from support.accepting import ROUTES
from support.books import Books
from support.clock import Clock

from sms_gateway.accept.gateway import Gateway
from sms_gateway.store import Store


@pytest.fixture
def books(store: Store) -> Books:
    return Books(store)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def gateway(store: Store, clock: Clock) -> AsyncIterator[Gateway]:
    started = Gateway(store, ROUTES, max_parts=3, clock=clock)
    await started.start()
    yield started
    await started.aclose()
