"""Fixtures of the tests of a part."""

import pytest
from support.books import Books

from sms_gateway.store import Store


@pytest.fixture
def books(store: Store) -> Books:
    return Books(store)
