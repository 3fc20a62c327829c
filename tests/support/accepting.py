"""What tests of accepting messages have in common: numbers, routes, and what is stored."""

from typing import Any

from sqlalchemy import func, select

from sms_gateway.routing.routes import Route, Routes
from sms_gateway.store import Store, accounts, tables

BELGIAN = "0032494000000"
ITALIAN = "+393331234567"
FRENCH = "+33612345678"
BRITISH = "447400123456"
FOUR = "32494000000,32494000001,32494000002,32494000003"

NOW = 1_800_014_400_123

ROUTES = Routes(
    [
        Route(prefix="32", upstreams=("a",)),
        Route(prefix="33", upstreams=("b",), closed=True),
        Route(prefix="39", upstreams=("a",)),
    ]
)


def rows(store: Store) -> tuple[int, int, int]:
    """How many messages, deliveries and records of repeats are stored."""
    with store.read() as connection:
        counts = [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (tables.message, tables.delivery, tables.idempotency)
        ]
    return counts[0], counts[1], counts[2]


def change(store: Store, **options: Any) -> None:
    with store.write() as connection:
        assert accounts.change(connection, "acme", **options)
