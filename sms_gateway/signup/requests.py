"""Takes requests for free keys: a mail confirms the address, or an operator approves it."""

import re
from collections.abc import Callable
from enum import Enum

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from ..accounts import FREE_RATE, Account, key_hash, new_key
from ..caps import Counts, Period
from ..errors import GatewayError
from ..moments import now
from ..store import Store, accounts, audit, counters, key_requests
from ..store.audit import Action
from ..store.key_requests import KeyRequest
from .sessions import token_hash

_HOUR = 3_600_000
#: How long the link in a mail is valid, milliseconds.
LINK_LASTS = 24 * _HOUR
#: How long a request waits for an operator, milliseconds.
WAITS = 30 * 24 * _HOUR
#: How long until an address may be asked for again, as when the mail did not come; milliseconds.
AGAIN_AFTER = _HOUR
#: How many addresses one network may ask for in an hour.
MOST_OF_A_NETWORK = 5
#: How many requests may wait in all.
MOST_WAITING = 10_000

# RFC 5321, sections 4.1.2 and 4.5.3.1, without quoted local parts and address literals.
_ADDRESS = re.compile(
    r"(?=.{3,254}$)(?=[^@]{1,64}@)[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]"
)


def normal_address(text: str) -> str | None:
    """A mail address in its stored form; None for an invalid one."""
    address = text.strip().lower()
    return address if _ADDRESS.fullmatch(address) else None


def without_plus(address: str) -> str:
    """A normal address without its subaddress, the part from a plus sign to the @.

    Mail to `anna+shop@…` and `anna@…` reaches one person at providers with subaddresses
    (RFC 5233). Dots stay: each provider decides whether they count.
    """
    local, _, domain = address.rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"


class TooManyKeysError(GatewayError):
    """The network of a request has had all the keys that it may have in a day."""


class Asked(Enum):
    """The answer to a request for a key."""

    #: Taken, also when the address has a key already.
    TAKEN = "taken"
    #: This network has asked for too many keys, or the queue of requests is full.
    TOO_OFTEN = "too often"


class Signup:
    """The requests for free keys. The methods block: call them in a thread."""

    def __init__(
        self,
        store: Store,
        *,
        by_mail: bool,
        keys_per_network: int | None = None,
        fold_plus: bool = True,
        clock: Callable[[], int] = now,
    ) -> None:
        """`by_mail`: whether addresses are confirmed by a mail; otherwise requests wait for an
        operator. `keys_per_network`: how many keys a network may be given in a day (UTC).
        `fold_plus`: whether addresses are compared as `without_plus` has them."""
        self._store = store
        self._keys_per_network = keys_per_network
        self._fold_plus = fold_plus
        self.by_mail = by_mail
        self._clock = clock

    def ask(self, address: str, *, language: str, network: str) -> Asked:
        """Take a request for a key, for a normal address.

        An address that has a key, or waits for one, gets the same answer after the same SQL
        statements.
        """
        now = self._clock()
        with self._store.write() as connection:
            key_requests.sweep(connection, now)
            key_requests.drop(connection, address, requested_before=now - AGAIN_AFTER)
            of_network = key_requests.count(connection, network=network, since=now - _HOUR)
            if (
                of_network >= MOST_OF_A_NETWORK
                or key_requests.count(connection) >= MOST_WAITING
                or self._is_full(connection, network, now)
            ):
                return Asked.TOO_OFTEN
            key_requests.add(
                connection,
                address=address,
                language=language,
                network=network,
                now=now,
                expires_at=now + (LINK_LASTS if self.by_mail else WAITS),
                mail_due_at=now if self.by_mail else None,
            )
        return Asked.TAKEN

    def address_of(self, token: str) -> str | None:
        """The address that a link confirms; None for an invalid link."""
        with self._store.read() as connection:
            request = key_requests.by_token(connection, token_hash(token), self._clock())
        return None if request is None else request.address

    def confirm(self, token: str) -> str | None:
        """Make the key for a link; None for an invalid link.

        Raises TooManyKeysError when the network of the request may have no more keys today.
        """
        try:
            with self._store.write() as connection:
                now = self._clock()
                request = key_requests.by_token(connection, token_hash(token), now)
                if request is None or is_known(connection, request.address, self._fold_plus):
                    return None
                self._count(connection, request.network, now)
                return hand_out(connection, request, now, fold_plus=self._fold_plus)[0]
        except IntegrityError:
            return None  # another link of the same person was first

    def _is_full(self, connection: Connection, network: str, now: int) -> bool:
        if self._keys_per_network is None:
            return False
        name = _keys_of(network)
        return counters.present(connection, [name], now)[name].parts >= self._keys_per_network

    def _count(self, connection: Connection, network: str, now: int) -> None:
        if self._keys_per_network is None:
            return
        name = _keys_of(network)
        held = counters.hold(connection, [name], now)
        if held[name].parts >= self._keys_per_network:
            raise TooManyKeysError
        counters.add(connection, held, {name: 1})


def _keys_of(network: str) -> counters.Name:
    return f"{Counts.NETWORK} {network}", Period.DAY


def hand_out(
    connection: Connection, request: KeyRequest, now: int, *, fold_plus: bool
) -> tuple[str, Account]:
    """Make a free key for a request; IntegrityError when the address has one."""
    key = new_key()
    account = accounts.create(
        connection,
        name=without_plus(request.address) if fold_plus else request.address,
        key_hash=key_hash(key),
        key_hint=key[-4:],
        now=now,
        multi=False,
        test=False,
        free=True,
        rate=FREE_RATE,
        countries=None,
        sender="",
    )
    key_requests.grant(connection, request.id, now)
    facts = {"rate": FREE_RATE, "requested": True}
    audit.record(connection, Action.KEY_CREATE, account, facts, now=now)
    return key, account


def is_known(connection: Connection, address: str, fold_plus: bool) -> bool:
    """Whether a mail address has a key already."""
    if accounts.by_name(connection, address) is not None:
        return True
    return fold_plus and accounts.has_subaddress(connection, without_plus(address))
