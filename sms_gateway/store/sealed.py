"""Encrypts texts and numbers for the database when a key is set, each for its column and row.

The cipher is AES-SIV (RFC 5297) with 512 bits of key. It needs no nonce: the synthetic IV is a
keyed digest of the value and of its place (section 2.4). So no nonce can be used twice, and there
is no bound of 2^32 values for each key, as AES-GCM with random nonces has (NIST SP 800-38D, section
8.3). There are two kinds of encrypted columns:

- A number (`Sealed`) is bound to its column. A column stores equal numbers as equal values. So an
  index finds a number, but a reader of the database sees which rows have the same number.
- A text (`bound_to`) is bound to its column and to columns that name its row. An equal text in
  another row is another value, and a value that was moved to another row cannot be decrypted.

A stored value is `~KEY~` and base64, where KEY is the name of its key. The name is computed from
the key: nobody without the key can write a text that looks like a stored value. A value of any
other form is in clear: it was stored before there was a key.
"""

import base64
import binascii
import hmac
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Table, Text
from sqlalchemy.types import TypeDecorator

log = logging.getLogger(__name__)

#: Read and shown in place of a value whose key is missing, or that was changed.
UNREADABLE = "(unreadable)"
UNREADABLE_OCTETS = UNREADABLE.encode()
#: The reason, in journals and lists of events, why an unreadable value is not sent.
CANNOT_BE_DECRYPTED = "a key of encryption is missing, or what it encrypted was changed"
#: How many octets a key in the file has.
KEY_OCTETS = 32

_MARK = "~"
_NAME = 8  # characters in the name of a key
_PREFIX = 1 + _NAME + 1
# 22 characters: even an empty value has the 16 octets of the synthetic IV.
_STORED = re.compile(r"~[\w-]{8}~[A-Za-z0-9+/]{22,}={0,2}", re.ASCII)
# Octets of a keyed digest, 128 bits (NIST SP 800-107, section 5.3.2: it may be truncated).
_DIGEST = 16
# How many numbers and senders a process caches the stored form of.
_REMEMBERED = 4_096


class Stored(str):
    """A value in its stored form, which is not encrypted again."""

    __slots__ = ()


class _Key:
    """The name and the subkeys that are derived from a key of the file (HKDF, RFC 5869)."""

    __slots__ = ("digest", "name", "siv")

    def __init__(self, secret: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        self.name = base64.urlsafe_b64encode(_derived(secret, b"name", 6)).decode()
        self.siv = AESSIV(_derived(secret, b"values", 64))
        #: The key of HMAC-SHA-256.
        self.digest = _derived(secret, b"bindings", 32)


def _derived(secret: bytes, purpose: bytes, octets: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), octets, None, b"sendsmsnow 1 " + purpose).derive(secret)


class Seal:
    """The keys: the first encrypts, all of them decrypt."""

    def __init__(self, secrets: Sequence[bytes], in_clear: bool = False) -> None:
        """`secrets`: at least one, of KEY_OCTETS each. `in_clear`: values are not encrypted."""
        from cryptography.exceptions import InvalidTag

        keys = [_Key(secret) for secret in secrets]
        self._keys = {key.name: key for key in keys}
        self._first = None if in_clear else keys[0]
        self._wrong = (InvalidTag, ValueError)
        self._told: set[tuple[str, str]] = set()
        #: As `text`, for a number or another value that is bound to its column alone.
        self.word: Callable[[str, str], str] = lru_cache(_REMEMBERED)(self.text)

    @property
    def names(self) -> list[str]:
        """The names of the keys, in their order."""
        return list(self._keys)

    @property
    def writes(self) -> str:
        """The name of the key that encrypts; empty when none does."""
        return "" if self._first is None else self._first.name

    def text(self, column: str, value: str, *row: object) -> str:
        """The stored form of a value in a column (`table.name`), bound to the columns `row`."""
        key = self._first
        return value if key is None or not value else _stored(key, column, value, row)

    def words(self, column: str, values: Iterable[str]) -> list[str]:
        """All stored forms of these values: encrypted with each key, and in clear."""
        return [form for value in values for form in self._forms(column, value)]

    def _forms(self, column: str, value: str) -> Iterator[str]:
        yield Stored(value)
        for key in self._keys.values() if value else ():
            is_first = key is self._first
            yield Stored(self.word(column, value) if is_first else _stored(key, column, value, ()))

    def opened(self, column: str, stored: str, *row: object) -> str:
        """The decrypted value; UNREADABLE when no key decrypts it in this column and row."""
        if stored[:1] != _MARK or stored[_PREFIX - 1 : _PREFIX] != _MARK:
            return stored
        name = stored[1 : _PREFIX - 1]
        key = self._keys.get(name)
        if key is None and not _STORED.fullmatch(stored):
            return stored
        if key is not None:
            try:
                sealed = binascii.a2b_base64(stored[_PREFIX:])
                return key.siv.decrypt(sealed, _place(column, row)).decode()
            except self._wrong:
                pass
        self._tell(column, name)
        return UNREADABLE

    def octets(self, column: str, value: bytes, *row: object) -> bytes:
        """As `text`, for a binary column."""
        key = self._first
        return value if key is None or not value else _sealed(key, column, value, row)

    def octet_forms(self, column: str, value: bytes) -> list[bytes]:
        """As `words`, for one value of a binary column."""
        return [value, *(_sealed(key, column, value, ()) for key in self._keys.values())]

    def opened_octets(self, column: str, stored: bytes, *row: object) -> bytes:
        """As `opened`, for a binary column."""
        name = stored[1 : _PREFIX - 1].decode("ascii", "replace")
        key = self._keys.get(name)
        if key is None or stored[:1] != _MARK.encode():
            return stored
        try:
            return key.siv.decrypt(bytes(stored[_PREFIX:]), _place(column, row))
        except self._wrong:
            self._tell(column, name)
            return UNREADABLE_OCTETS

    def binding(self, message_id: str, number: str) -> str | None:
        """A digest that proves that a message goes to this number; None without encryption."""
        key = self._first
        return None if key is None or not number else _binding(key, message_id, number)

    def recipient(self, message_id: str, stored: str, binding: str | None) -> str:
        """The number of a delivery; UNREADABLE when its binding shows that it was exchanged."""
        number = self.opened("delivery.recipient", stored)
        if number in (stored, UNREADABLE):
            return number
        key = self._keys[stored[1 : _PREFIX - 1]]
        if hmac.compare_digest(_binding(key, message_id, number), binding or ""):
            return number
        self._tell("delivery.binding", key.name)
        return UNREADABLE

    def is_current(self, stored: str | bytes) -> bool:
        """Whether a value is stored with the present key, or in clear if there is none."""
        if not stored:
            return True
        begin = stored[:_PREFIX]
        text = begin if isinstance(begin, str) else begin.decode("ascii", "replace")
        if self._first is not None:
            return text == _prefix(self._first)
        return not any(text == _prefix(key) for key in self._keys.values())

    def rows(
        self, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
    ) -> tuple[tuple[str, ...], Sequence[tuple[Any, ...]]]:
        """The columns and rows of an INSERT, encrypted."""
        places = _places(table, columns)
        if self._first is None or not places:
            return columns, rows
        sealed = []
        for row in rows:
            values = list(row)
            for number, name, of_row in places:
                if of_row is None:
                    values[number] = self.word(name, row[number])
                else:
                    values[number] = self.text(name, row[number], *(row[n] for n in of_row))
            sealed.append(tuple(values))
        if "binding" not in table.c:
            return columns, sealed
        id, number = columns.index("message_id"), columns.index("recipient")
        bound = [
            (*values, self.binding(row[id], row[number]))
            for values, row in zip(sealed, rows, strict=True)
        ]
        return (*columns, "binding"), bound

    def _tell(self, column: str, key: str) -> None:
        """Log that values cannot be decrypted, once for each column and key."""
        if (column, key) not in self._told:
            self._told.add((column, key))
            log.error(
                "a value cannot be decrypted",
                extra={"column": column, "key": key, "known": key in self._keys},
            )


def _prefix(key: _Key) -> str:
    return f"{_MARK}{key.name}{_MARK}"


def _place(column: str, row: Iterable[object]) -> list[bytes]:
    return [column.encode(), *(str(each).encode() for each in row)]


def _stored(key: _Key, column: str, value: str, row: Iterable[object]) -> str:
    sealed = key.siv.encrypt(value.encode(), _place(column, row))
    return _prefix(key) + binascii.b2a_base64(sealed, newline=False).decode()


def _sealed(key: _Key, column: str, value: bytes, row: Iterable[object]) -> bytes:
    return _prefix(key).encode() + key.siv.encrypt(bytes(value), _place(column, row))


def _binding(key: _Key, message_id: str, number: str) -> str:
    digest = hmac.digest(key.digest, f"{message_id} {number}".encode(), "sha256")[:_DIGEST]
    return _prefix(key) + binascii.b2a_base64(digest, newline=False).decode()


# -- columns --


class Sealed(TypeDecorator[str]):
    """The type of a column of numbers, or of other values that are searched as a whole.

    SQLAlchemy reads and writes the value in clear; the seal of the engine encrypts it.
    """

    impl = Text
    cache_ok = True

    def __init__(self, column: str) -> None:
        """`column`: `table.name`."""
        super().__init__()
        self.column = column

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        seal = seal_of(dialect)
        return None if seal is None else partial(_to_store, seal, self.column)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        seal = seal_of(dialect)
        return None if seal is None else partial(_as_read, seal, self.column)


def _to_store(seal: Seal, column: str, value: str | None) -> str | None:
    if value is None or isinstance(value, Stored):
        return None if value is None else str(value)
    return seal.word(column, value)


def _as_read(seal: Seal, column: str, stored: str | None) -> str | None:
    return None if stored is None else seal.opened(column, stored)


def bound_to(*columns: str) -> dict[str, tuple[str, ...]]:
    """The `info` of a column whose values are bound to these columns of their row.

    Statements decrypt the values with `opened`.
    """
    return {"bound_to": columns}


class Place(NamedTuple):
    """An encrypted column of an INSERT."""

    number: int
    #: `table.name`.
    column: str
    #: The positions of the columns that its values are bound to; None for a number.
    row: tuple[int, ...] | None


@lru_cache(maxsize=64)
def _places(table: Table, columns: tuple[str, ...]) -> tuple[Place, ...]:
    found = []
    for number, name in enumerate(columns):
        column = table.c[name]
        if isinstance(column.type, Sealed):
            found.append(Place(number, column.type.column, None))
        elif "bound_to" in column.info:
            row = tuple(columns.index(each) for each in column.info["bound_to"])
            found.append(Place(number, f"{table.name}.{name}", row))
    return tuple(found)


# -- the seal of an engine --


def use(dialect: Dialect, seal: Seal | None) -> None:
    """Set the seal of an engine. Call this before its first statement."""
    dialect.seal = seal  # type: ignore[attr-defined]


def seal_of(dialect: Any) -> Seal | None:
    """The seal of an engine, if it has one."""
    seal: Seal | None = getattr(dialect, "seal", None)
    return seal


def is_readable(*values: object) -> bool:
    """Whether all values could be decrypted. Compares by identity: a text may be equal."""
    return not any(value is UNREADABLE or value is UNREADABLE_OCTETS for value in values)


def looks_stored(value: str) -> bool:
    """Whether a number, read without a seal, is encrypted. No number begins with the mark."""
    return value.startswith(_MARK)


def opened(connection: Connection, column: str, stored: str, *row: object) -> str:
    """See `Seal.opened`."""
    seal = seal_of(connection.dialect)
    return stored if seal is None else seal.opened(column, stored, *row)


def words(connection: Connection, column: str, values: Iterable[str]) -> list[str]:
    """See `Seal.words`: the values with which to compare a column to find these."""
    seal = seal_of(connection.dialect)
    return list(values) if seal is None else seal.words(column, values)
