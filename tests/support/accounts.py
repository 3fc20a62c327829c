"""Accounts for tests."""

from typing import Any

from sms_gateway.accounts import FREE_RATE, Account, key_hash, new_key
from sms_gateway.store import Store, accounts


def create(store: Store, name: str = "acme", **options: Any) -> tuple[str, Account]:
    """A new account with the free options, changed as asked, and its key."""
    key = new_key()
    free: dict[str, Any] = {
        "multi": False,
        "test": False,
        "rate": FREE_RATE,
        "countries": None,
        "sender": "",
    }
    with store.write() as connection:
        account = accounts.create(
            connection,
            name=name,
            key_hash=key_hash(key),
            key_hint=key[-4:],
            now=0,
            **(free | options),
        )
    return key, account
