"""Statements about encryption as a whole: which keys a database needs, and changing them."""

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
    """A database cannot be read with the keys that there are; the words say what is missing."""


def check(store: Store, seal: Seal | None) -> None:
    """EncryptionKeyError unless all that is encrypted can be read; notes the key that encrypts."""
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


# Another process may be first.
_NOTE = text(
    """
    INSERT INTO encryption_key (name, check_value, added_at)
    VALUES (:name, :value, :now) ON CONFLICT DO NOTHING
    """
)


def forget_keys(connection: Connection, *, but: str) -> None:
    """Nothing is encrypted any more by other keys than this one."""
    connection.execute(delete(encryption_key).where(encryption_key.c.name != but))


# -- what there is --


class Encrypted(NamedTuple):
    """A column that is encrypted where there is a key."""

    column: Column[Any]
    #: As `Seal` names it.
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
    """The columns of a table that are encrypted where there is a key."""
    return tuple(
        Encrypted(column, f"{table.name}.{column.name}", column.info.get("bound_to", ()))
        for column in table.columns
        if isinstance(column.type, Sealed) or "bound_to" in column.info
    )


#: The tables with such columns.
TABLES = [table for table in metadata.sorted_tables if encrypted(table)]


class Count(NamedTuple):
    """How many values of a column are stored how."""

    #: `table.column`.
    column: str
    #: The name of a key; empty for those in clear.
    key: str
    values: int


def counts(connection: Connection, names: Sequence[str]) -> Iterator[Count]:
    """How the values of all columns are stored: by these keys, or in clear; empty ones are left
    out."""
    for table in TABLES:
        for each in encrypted(table):
            begin = func.substr(each.stored, 1, _prefix_length)
            key = case(*((begin == _begin(each, name), name) for name in names), else_="")
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


# -- another key --

#: The most rows that one transaction looks at.
AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some rows of a table that were looked at."""

    #: What names the last of them; None when there were none.
    last: tuple[Any, ...] | None
    rows: int
    #: How many are stored by another key than before.
    changed: int
    #: How many have values that no key opens.
    unreadable: int


def rekey(connection: Connection, seal: Seal, table: Table, after: tuple[Any, ...] | None) -> Batch:
    """Store the next AT_ONCE rows of a table, from the row `after` on, as the seal does now."""
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
    """The columns of a row that are to be stored otherwise, and whether all could be read."""
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
