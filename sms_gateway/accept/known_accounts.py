"""Finds the accounts that requests name: in memory, or in the store, many with one read."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from ..accounts import Account, key_hash
from ..store import Store, accounts

#: How many accounts are cached between requests.
MOST_IN_MEMORY = 10_000


class Credential(NamedTuple):
    """What a request names its account by: API key, mail address or id."""

    #: Reads the accounts of several values of this kind; those without an account are missing.
    #: The last argument is now, Unix milliseconds.
    find: Callable[[Connection, Collection[Any], int], Mapping[Any, Account]]
    value: str | int


def by_key(apikey: str) -> Credential:
    """An account by its API key."""
    return Credential(of_keys, apikey)


def by_mail(address: str) -> Credential:
    """An account by the local part of its mail address."""
    return Credential(_of_addresses, address)


def by_id(account_id: int) -> Credential:
    """An account by its id."""
    return Credential(_of_ids, account_id)


def of_keys(connection: Connection, keys: Collection[str], now: int) -> dict[str, Account]:
    """The accounts of API keys."""
    hashes = {key: key_hash(key) for key in keys}
    found = accounts.by_keys(connection, [*hashes.values()], now)
    return {key: found[digest] for key, digest in hashes.items() if digest in found}


def _of_addresses(connection: Connection, names: Collection[str], _now: int) -> dict[str, Account]:
    found = ((name, accounts.by_mail_address(connection, name)) for name in names)
    return {name: account for name, account in found if account is not None}


def _of_ids(connection: Connection, ids: Collection[int], _now: int) -> dict[int, Account]:
    found = ((id, accounts.by_id(connection, id)) for id in ids)
    return {id: account for id, account in found if account is not None}


class KnownAccounts:
    """The accounts of one process. Reads of requests that come at the same time are one read.

    A thread and a statement for each request cost three times what the message itself does, as when
    ten thousand keys send in turn after a start.
    """

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._cached: dict[Credential, Account] = {}
        self._waiting: list[tuple[Credential, asyncio.Future[Account | None]]] = []
        self._reading: asyncio.Task[None] | None = None

    def cached(self, credential: Credential) -> Account | None:
        """The account as it was last read; it may have changed since."""
        return self._cached.get(credential)

    async def read(self, credential: Credential) -> Account | None:
        """The account as it is stored now; None when there is none."""
        found: asyncio.Future[Account | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((credential, found))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_waiting())
        return await found

    async def _read_waiting(self) -> None:
        try:
            while self._waiting:
                # A read answers only those who asked before it began.
                asked, self._waiting = self._waiting, []
                try:
                    accounts = await asyncio.to_thread(self._find, {name for name, _ in asked})
                except Exception as error:
                    for _, found in asked:
                        if not found.done():
                            found.set_exception(error)
                    continue
                for name, found in asked:
                    self._keep(name, accounts.get(name))
                    if not found.done():
                        found.set_result(accounts.get(name))
        finally:
            self._reading = None

    def _find(self, names: Collection[Credential]) -> dict[Credential, Account]:
        values: dict[Any, list[Any]] = {}
        for name in names:
            values.setdefault(name.find, []).append(name.value)
        with self._store.read() as connection:
            return {
                Credential(find, value): account
                for find, wanted in values.items()
                for value, account in find(connection, wanted, self._clock()).items()
            }

    def _keep(self, name: Credential, account: Account | None) -> None:
        if account is None:
            self._cached.pop(name, None)
            return
        while len(self._cached) >= MOST_IN_MEMORY:
            self._cached.pop(next(iter(self._cached)))
        self._cached[name] = account
