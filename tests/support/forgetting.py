"""A person who is forgotten in one transaction."""

from sqlalchemy import Connection

from sms_gateway.store import erase


def forget(connection: Connection, number: str, now: int) -> erase.Forgotten:
    """All steps of `erase.forget`."""
    done = erase.Forgotten()
    for step in erase.forget(number, now, done):
        step(connection)
    return done
