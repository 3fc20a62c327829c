"""Checks the encryption keys that a database needs, and re-encrypts it with another key."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    Table,
    Text,
    case,
    delete,
    func,
    literal,
    select,
    text,
    tuple_,
    type_coerce,
    update,
)

from ..errors import GatewayError
from ..moments import now
from .engine import Store
from .sealed import Seal, Sealed, Stored, is_readable
from .tables import encryption_key, metadata

_CHECKED = "sendSmsNow"
_CHECK = "encryption_key.check_value"


class EncryptionKeyError(GatewayError):
    """The database cannot be decrypted with the given keys; the text says which are missing."""


def check(store: Store, seal: Seal | None) -> None:
    """EncryptionKeyError unless the seal has all keys of the database; notes a new key."""
    with store.read() as connection:
        rows = connection.execute(select(encryption_key.c.name, encryption_key.c.check_value))
        known = dict(map(tuple, rows))
    if known and seal is None:
        raise EncryptionKeyError(
            f"it is encrypted (keys {', '.join(known)}), and encryption_key_file is not set"
        )
    if seal is None:
        return
    missing = [name for name in known if name not in seal.names]
    if missing:
        raise EncryptionKeyError(
            f"it is encrypted with keys that encryption_key_file has not: {', '.join(missing)}"
        )
    wrong = [name for name, value in known.items() if seal.opened(_CHECK, value) != _CHECKED]
    if wrong:
        raise EncryptionKeyError(f"its check values are not of the keys: {', '.join(wrong)}")
    if seal.writes and seal.writes not in known:
        with store.write() as connection:
            value = seal.text(_CHECK, _CHECKED)
            connection.execute(_NOTE, {"name": seal.writes, "value": value, "now": now()})


# Another process may have noted the key first.
_NOTE = text(
    """
    INSERT INTO encryption_key (name, check_value, added_at)
    VALUES (:name, :value, :now) ON CONFLICT DO NOTHING
    """
)


def forget_keys(connection: Connection, *, but: str) -> None:
    """Remove the notes of all other keys: no value is encrypted with them any more."""
    connection.execute(delete(encryption_key).where(encryption_key.c.name != but))


# -- encrypted columns --


class Encrypted(NamedTuple):
    """A column that is encrypted when a key is set."""

    column: Column[Any]
    #: The name of the column for `Seal`: `table.column`.
    name: str
    #: The columns that its values are bound to.
    bound_to: tuple[str, ...]

    @property
    def stored(self) -> Any:
        """The column, read and compared as it is stored."""
        return _stored(self.column)


def _stored(column: Column[Any]) -> Any:
    is_sealed = isinstance(column.type, Sealed)
    return type_coerce(column, Text).label(column.name) if is_sealed else column


@cache
def encrypted(table: Table) -> tuple[Encrypted, ...]:
    """The columns of a table that are encrypted when a key is set."""
    return tuple(
        Encrypted(column, f"{table.name}.{column.name}", column.info.get("bound_to", ()))
        for column in table.columns
        if isinstance(column.type, Sealed) or "bound_to" in column.info
    )


#: The tables with encrypted columns.
TABLES = [table for table in metadata.sorted_tables if encrypted(table)]


class Count(NamedTuple):
    """How many values of a column are encrypted with a key, or in clear."""

    #: `table.column`.
    column: str
    #: The name of the key; empty for values in clear.
    key: str
    values: int


def counts(connection: Connection, names: Sequence[str]) -> Iterator[Count]:
    """Count the values of each column by these keys, or in clear. Empty values are left out."""
    for table in TABLES:
        for each in encrypted(table):
            begin = func.substr(each.stored, 1, _prefix_length)
            by_name = [(begin == _begin(each, name), name) for name in names]
            # SQL has no CASE without a WHEN.
            key = case(*by_name, else_="") if by_name else literal("")
            is_there = each.stored != (b"" if _is_binary(each) else "")
            rows = connection.execute(
                select(key.label("key"), func.count()).where(is_there).group_by("key")
            )
            for name, values in sorted(tuple(row) for row in rows):
                yield Count(each.name, name, values)


_prefix_length = len("~12345678~")


def _is_binary(each: Encrypted) -> bool:
    return isinstance(each.column.type, LargeBinary)


def _begin(each: Encrypted, name: str) -> str | bytes:
    begin = f"~{name}~"
    return begin.encode() if _is_binary(each) else begin


# -- changing keys --

#: The most rows that one transaction re-encrypts.
AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The result of `rekey` for some rows of a table."""

    #: The primary key of the last row; None when there were no rows.
    last: tuple[Any, ...] | None
    rows: int
    #: How many rows have another key than before.
    changed: int
    #: How many rows have values that no key decrypts.
    unreadable: int


def rekey(connection: Connection, seal: Seal, table: Table, after: tuple[Any, ...] | None) -> Batch:
    """Re-encrypt the next AT_ONCE rows of a table, after the row `after`, with the present key."""
    names = [column.name for column in table.primary_key]
    key = tuple_(*(_plain(column) for column in table.primary_key))
    chosen = select(*map(_stored, table.columns)).order_by(*key.clauses).limit(AT_ONCE)
    if after is not None:
        chosen = chosen.where(key > after)
    rows = connection.execute(chosen.with_for_update()).all()
    changed = unreadable = 0
    for row in rows:
        values = row._asdict()
        changes, is_whole = _changes(seal, table, values)
        unreadable += not is_whole
        if changes:
            changed += 1
            of_row = (_plain(c) == values[c.name] for c in table.primary_key)
            connection.execute(update(table).where(*of_row).values(changes))
    last = tuple(getattr(rows[-1], name) for name in names) if rows else None
    return Batch(last=last, rows=len(rows), changed=changed, unreadable=unreadable)


def _plain(column: Column[Any]) -> Any:
    return type_coerce(column, Text) if isinstance(column.type, Sealed) else column


def _changes(seal: Seal, table: Table, stored: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The changed columns of a row, and whether all of its values could be decrypted."""
    values = dict(stored)
    for each in encrypted(table):
        if isinstance(each.column.type, Sealed):
            values[each.column.name] = seal.opened(each.name, stored[each.column.name])
    if "binding" in stored:
        place = (stored["message_id"], stored["recipient"], stored["binding"])
        values["recipient"] = seal.recipient(*place)
    changes: dict[str, Any] = {}
    is_whole = True
    for each in encrypted(table):
        name = each.column.name
        row = [values[column] for column in each.bound_to]
        value: Any
        if _is_binary(each):
            value = seal.opened_octets(each.name, stored[name], *row)
        elif isinstance(each.column.type, Sealed):
            value = values[name]
        else:
            value = seal.opened(each.name, stored[name], *row)
        if not is_readable(value, *row):
            is_whole = False
        elif seal.is_current(stored[name]):
            continue
        elif _is_binary(each):
            changes[name] = seal.octets(each.name, value, *row)
        else:
            new = seal.text(each.name, value, *row)
            changes[name] = Stored(new) if isinstance(each.column.type, Sealed) else new
    if "binding" in stored and "recipient" in changes:
        changes["binding"] = seal.binding(stored["message_id"], values["recipient"])
    return changes, is_whole
