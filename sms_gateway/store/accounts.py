"""Reads and writes accounts and their keys."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, null, or_, select, update

from ..accounts import Account, OldKey, Rate, key_hash, new_key, new_mail_address
from ..caps import Cap, Period
from ..sms.kinds import Kind
from .bulk import later, run, with_marks
from .bulk_rows import BulkRows
from .tables import account, old_key, session

_OF_ACCOUNT = (
    account.c.id,
    account.c.name,
    account.c.key_hint,
    account.c.enabled,
    account.c.multi,
    account.c.test,
    account.c.rate_count,
    account.c.rate_period,
    account.c.free,
    account.c.parts_per_minute,
    account.c.parts_per_day,
    account.c.parts_per_month,
    account.c.kinds,
    account.c.countries,
    account.c.sender,
    account.c.senders,
    account.c.mail_address,
    account.c.mail_senders,
    account.c.mail_whole,
    account.c.mail_machines,
    account.c.validity,
    account.c.stops,
    account.c.callback_url,
    account.c.callback_paused_at,
    account.c.callback_paused_reason,
    account.c.version,
    account.c.created_at,
)
# Statements never find a deleted account.
_COLUMNS = select(*_OF_ACCOUNT).where(account.c.deleted_at.is_(None))


def _account(row: Any, valid_until: int | None = None) -> Account:
    return Account(
        id=row.id,
        name=row.name,
        key_hint=row.key_hint,
        enabled=row.enabled,
        multi=row.multi,
        test=row.test,
        rate=None if row.rate_count is None else Rate(row.rate_count, row.rate_period),
        free=row.free,
        caps=_caps(row),
        kinds=frozenset(map(Kind, _set(row.kinds) or ())),
        countries=_set(row.countries),
        sender=row.sender,
        senders=_set(row.senders),
        mail_address=row.mail_address,
        mail_senders=_set(row.mail_senders),
        mail_whole=row.mail_whole,
        mail_machines=row.mail_machines,
        validity=row.validity,
        stops=row.stops,
        callback_url=row.callback_url,
        callback_paused_at=row.callback_paused_at,
        callback_paused_reason=row.callback_paused_reason,
        version=row.version,
        created_at=row.created_at,
        valid_until=valid_until,
    )


def _caps(row: Any) -> tuple[Cap, ...] | None:
    caps = tuple(
        Cap(parts, period)
        for period, parts in (
            (Period.MINUTE, row.parts_per_minute),
            (Period.DAY, row.parts_per_day),
            (Period.MONTH, row.parts_per_month),
        )
        if parts is not None
    )
    # A free key without caps of its own has those of the settings.
    return caps if caps or row.free else None


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of options as `create` and `change` take them."""
    columns = dict(options)
    if "rate" in columns:
        rate = columns.pop("rate")
        columns["rate_count"] = rate and rate.count
        columns["rate_period"] = rate and rate.period
    for name in ("kinds", "countries", "senders", "mail_senders"):
        if columns.get(name) is not None:
            columns[name] = ",".join(sorted(columns[name]))
    return columns


def _set(column: str | None) -> frozenset[str] | None:
    """A stored list. An empty list allows nobody; None means that there is no list."""
    if column is None:
        return None
    return frozenset(column.split(",")) if column else frozenset()


def create(
    connection: Connection, *, name: str, key_hash: bytes, key_hint: str, now: int, **options: Any
) -> Account:
    """Add an account, its options named as in `Account`; IntegrityError when the name is taken."""
    connection.execute(
        insert(account).values(
            name=name,
            key_hash=key_hash,
            key_hint=key_hint,
            enabled=True,
            version=1,
            next_free=0,
            created_at=now,
            mail_address=new_mail_address(),
            **_options(options),
        )
    )
    created = by_name(connection, name)
    assert created is not None
    return created


def change(connection: Connection, name: str, **options: Any) -> bool:
    """Set options of an account, named as in `Account` (or key_hash and key_hint); False if there
    is none of that name."""
    changed = connection.execute(
        update(account)
        .where(account.c.name == name, account.c.deleted_at.is_(None))
        .values(version=account.c.version + 1, **_options(options))
    )
    return changed.rowcount == 1


def everyone(connection: Connection) -> Sequence[Account]:
    """All accounts, by name."""
    return [_account(row) for row in connection.execute(_COLUMNS.order_by(account.c.name))]


def by_name(connection: Connection, name: str) -> Account | None:
    row = connection.execute(_COLUMNS.where(account.c.name == name)).one_or_none()
    return None if row is None else _account(row)


def has_subaddress(connection: Connection, address: str) -> bool:
    """Whether an account is named by a mail address, or by a subaddress of it (`local+more@…`)."""
    local, _, domain = address.rpartition("@")
    beginning, end = _literal(f"{local}+"), _literal(f"@{domain}")
    named = or_(account.c.name == address, account.c.name.like(f"{beginning}%{end}", escape="\\"))
    return connection.execute(select(account.c.id).where(named).limit(1)).first() is not None


def _literal(text: str) -> str:
    """A text, escaped so that LIKE matches only this text."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def by_id(connection: Connection, id: int) -> Account | None:
    row = connection.execute(_COLUMNS.where(account.c.id == id)).one_or_none()
    return None if row is None else _account(row)


def by_key(connection: Connection, key_hash: bytes, now: int) -> Account | None:
    """The account of a key: its current one, or an older one that is still valid."""
    return by_keys(connection, [key_hash], now).get(key_hash)


def by_keys(
    connection: Connection, key_hashes: Collection[bytes], now: int
) -> dict[bytes, Account]:
    """The accounts of keys (see `by_key`), without those that have none."""
    rows = connection.execute(_BY_KEYS, {"key_hashes": [*key_hashes], "now": now})
    return {row.key_hash: _account(row, row.valid_until) for row in rows}


def by_mail_address(connection: Connection, local_part: str) -> Account | None:
    row = connection.execute(_COLUMNS.where(account.c.mail_address == local_part)).one_or_none()
    return None if row is None else _account(row)


# One statement reads current and old keys: two index seeks for each, which find one row or none.
_HOLDERS = (
    select(account.c.key_hash, account.c.id.label("holder"), null().label("valid_until"))
    .where(account.c.key_hash.in_(bindparam("key_hashes", expanding=True)))
    .union_all(
        select(old_key.c.key_hash, old_key.c.account_id, old_key.c.valid_until)
        .where(old_key.c.key_hash.in_(bindparam("key_hashes", expanding=True)))
        .where(old_key.c.valid_until > bindparam("now"))
    )
    .subquery()
)
_BY_KEYS = (
    select(*_OF_ACCOUNT, _HOLDERS.c.key_hash, _HOLDERS.c.valid_until)
    .join_from(account, _HOLDERS, account.c.id == _HOLDERS.c.holder)
    .where(account.c.deleted_at.is_(None))
)


def rotate(connection: Connection, name: str, *, now: int, valid_until: int) -> str | None:
    """Give an account a new key, which is returned; None when there is no account of that name.

    The previous key stays valid until a time (Unix milliseconds), older keys no longer than that.
    All sessions of the account end.
    """
    key = new_key()
    # The account first, in the order in which accepting locks.
    row = connection.execute(
        select(account.c.id, account.c.key_hash, account.c.key_hint)
        .where(account.c.name == name, account.c.deleted_at.is_(None))
        .with_for_update()
    ).one_or_none()
    if row is None:
        return None
    change(connection, name, key_hash=key_hash(key), key_hint=key[-4:])
    connection.execute(
        insert(old_key).values(
            key_hash=row.key_hash,
            account_id=row.id,
            key_hint=row.key_hint,
            valid_until=valid_until,
        )
    )
    connection.execute(
        update(old_key)
        .where(old_key.c.account_id == row.id, old_key.c.valid_until > valid_until)
        .values(valid_until=valid_until)
    )
    connection.execute(delete(old_key).where(old_key.c.valid_until <= now))
    connection.execute(delete(session).where(session.c.account_id == row.id))
    return key


def old_keys(connection: Connection, now: int) -> dict[int, list[OldKey]]:
    """The older keys that are still valid, by account; the key that expires last comes first."""
    found: dict[int, list[OldKey]] = {}
    for row in connection.execute(
        select(old_key).where(old_key.c.valid_until > now).order_by(old_key.c.valid_until.desc())
    ):
        found.setdefault(row.account_id, []).append(OldKey(row.key_hint, row.valid_until))
    return found


_CURRENT = "SELECT id, version, next_free FROM account WHERE id IN (...)"
# Locks are taken in the order of the ids, so that two processes never deadlock.
# NO KEY: the lock does not wait for messages of the account that others insert (a foreign key).
_CURRENT_LOCKED = _CURRENT + " ORDER BY id FOR NO KEY UPDATE"


def current(
    connection: Connection, ids: Collection[int], *, lock: bool
) -> dict[int, tuple[int, int]]:
    """Version and limiter state of accounts; `lock`: locked until the transaction ends."""
    # SQLite has one writer, so no row lock is needed.
    statement = _CURRENT_LOCKED if lock and connection.dialect.name != "sqlite" else _CURRENT
    rows = run(connection, with_marks(statement, len(ids)), tuple(ids))
    return {id: (version, next_free) for id, version, next_free in rows}


_CHARGE = BulkRows(
    "UPDATE account SET next_free = given.next_free FROM given WHERE account.id = given.id",
    id="bigint",
    next_free="bigint",
)


def charge(connection: Connection, busy_until: Mapping[int, int]) -> None:
    """Store the limiter state of accounts (microseconds)."""
    _CHARGE.run(connection, [*busy_until.items()], execute=later)
