"""The rules of asking for a free key: an address is confirmed, or an operator approves it."""

import re
from collections.abc import Callable
from enum import Enum

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from ..accounts import FREE_RATE, Account, key_hash, new_key
from ..moments import now
from ..store import Store, accounts, key_requests
from ..store.key_requests import KeyRequest
from .sessions import token_hash

_HOUR = 3_600_000
#: How long the link in a mail is good for, milliseconds.
LINK_LASTS = 24 * _HOUR
#: How long a request waits for an operator.
WAITS = 30 * 24 * _HOUR
#: How long until an address may ask again, when the mail did not come.
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
    """A mail address as it is kept; None for what is none."""
    address = text.strip().lower()
    return address if _ADDRESS.fullmatch(address) else None


class Asked(Enum):
    """What became of a request."""

    #: Taken; whether the address is known makes no difference.
    TAKEN = "taken"
    #: This network has asked for too many.
    TOO_OFTEN = "too often"


class Signup:
    """The requests of a gateway. Nothing here needs the loop; call it in a thread."""

    def __init__(
        self,
        store: Store,
        *,
        by_mail: bool,
        clock: Callable[[], int] = now,
    ) -> None:
        """`by_mail`: whether addresses are confirmed by a mail; otherwise requests wait for an
        operator."""
        self._store = store
        self.by_mail = by_mail
        self._clock = clock

    def ask(self, address: str, *, language: str, network: str) -> Asked:
        """Somebody would like a key for a normal address.

        An address that has a key, or has asked already, gets the same answer by the same
        statements.
        """
        now = self._clock()
        try:
            with self._store.write() as connection:
                key_requests.sweep(connection, now)
                key_requests.drop(connection, address, requested_before=now - AGAIN_AFTER)
                of_network = key_requests.count(connection, network=network, since=now - _HOUR)
                if (
                    of_network >= MOST_OF_A_NETWORK
                    or key_requests.count(connection) >= MOST_WAITING
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
        except IntegrityError:
            pass  # it has asked within the hour
        return Asked.TAKEN

    def address_of(self, token: str) -> str | None:
        """The address that a link confirms; None when the link is dead."""
        with self._store.read() as connection:
            request = key_requests.by_token(connection, token_hash(token), self._clock())
        return None if request is None else request.address

    def confirm(self, token: str) -> str | None:
        """The key for a link, made now; None when the link is dead."""
        with self._store.write() as connection:
            now = self._clock()
            request = key_requests.by_token(connection, token_hash(token), now)
            if request is None or _known(connection, request):
                return None
            return hand_out(connection, request, now)[0]


def hand_out(connection: Connection, request: KeyRequest, now: int) -> tuple[str, Account]:
    """A free key for a request; IntegrityError when the address has one."""
    key = new_key()
    account = accounts.create(
        connection,
        name=request.address,
        key_hash=key_hash(key),
        key_hint=key[-4:],
        now=now,
        multi=False,
        test=False,
        rate=FREE_RATE,
        countries=None,
        sender="",
    )
    key_requests.grant(connection, request.id, now)
    return key, account


def _known(connection: Connection, request: KeyRequest) -> bool:
    return accounts.by_name(connection, request.address) is not None
