"""Keeps the sessions of the pages: a visitor shows the key once, and gets a session that ends."""

import hashlib
import secrets
from collections.abc import Callable

from ..accounts import Account, OldKey, key_hash, new_mail_address
from ..moments import now
from ..store import Store, accounts, audit
from ..store import sessions as statements
from ..store.audit import Action

#: How long a session lasts, milliseconds.
LASTS = 12 * 3_600_000


def new_token() -> str:
    """A new token for a cookie or a link: 256 random bits."""
    return secrets.token_hex(32)


def token_hash(token: str) -> bytes:
    """The digest of a token; only the digest is stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class Sessions:
    """The sessions of a gateway. The methods block: call them in a thread."""

    def __init__(self, store: Store, *, clock: Callable[[], int] = now) -> None:
        self._store = store
        self._clock = clock

    def sign_in(self, apikey: str) -> tuple[str, Account] | Account | None:
        """The token of a new session, and the account.

        An account without a token: its key is disabled, or not the newest (`valid_until`). An old
        key may send for a while, but may not make a new key. None: no account has this key.
        """
        with self._store.read() as connection:
            account = accounts.by_key(connection, key_hash(apikey), self._clock())
        if account is None or not account.enabled or account.valid_until is not None:
            return account
        token, now = new_token(), self._clock()
        with self._store.write() as connection:
            statements.sweep(connection, now)
            statements.begin(connection, token_hash(token), account.id, now + LASTS)
            audit.record(connection, Action.SESSION_BEGIN, account, now=now)
        return token, account

    def account(self, token: str) -> Account | None:
        """The account of a session; None when the token is unknown or the session has ended."""
        with self._store.read() as connection:
            return statements.account_of(connection, token_hash(token), self._clock())

    def sign_out(self, token: str) -> None:
        """End a session."""
        digest, now = token_hash(token), self._clock()
        with self._store.write() as connection:
            account = statements.account_of(connection, digest, now)
            statements.end(connection, digest)
            if account is not None:
                audit.record(connection, Action.SESSION_END, account, now=now)

    def rotate(self, account: Account, overlap: int) -> str | None:
        """Make a new key; the key before stays valid for `overlap` milliseconds.

        All sessions end. None when the account was deleted meanwhile.
        """
        now = self._clock()
        with self._store.write() as connection:
            made = accounts.rotate(connection, account.name, now=now, valid_until=now + overlap)
            if made is not None:
                audit.record(connection, Action.KEY_ROTATE, account, now=now)
            return made

    def old_keys(self, account: Account) -> list[OldKey]:
        """The keys of an account that are still valid although a newer one exists."""
        with self._store.read() as connection:
            return accounts.old_keys(connection, self._clock()).get(account.id, [])

    def new_address(self, account: Account) -> None:
        """Give an account a new mail address; the old one belongs to no account any more."""
        with self._store.write() as connection:
            accounts.change(connection, account.name, mail_address=new_mail_address())
            facts = {"mail_address": "new"}
            audit.record(connection, Action.KEY_CHANGE, account, facts, now=self._clock())
