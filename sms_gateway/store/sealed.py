"""What texts and numbers are stored as where a key is set: encrypted, each for its column and row.

AES-SIV (RFC 5297) with 512 bits of key. It needs no nonce: the synthetic IV is a keyed digest of
the value and of what it belongs to (section 2.4). So there is none that could be used twice, and no
bound of 2^32 values for each key as AES-GCM with random nonces has it (NIST SP 800-38D, section
8.3). Two kinds of column use this:

- A number (`Sealed`) is bound to its column. The same number is stored as the same value there,
  which is what makes it found by an index, and what makes it known that two rows have the same.
- A text (`bound_to`) is bound to its column and to what names its row. The same text in another
  row is another value, and one that was moved to another row is not read.

A stored value is `~KEY~` and base64, KEY being the name of its key. That name is computed from the
key, so that nobody who has not got it can write a text that looks like a stored value. What does
not look like one is in clear: it was stored before there was a key.
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

#: What is shown, and read, in the place of a value whose key is missing or that was changed.
UNREADABLE = "(unreadable)"
UNREADABLE_OCTETS = UNREADABLE.encode()
#: Why what cannot be read is not sent: in journals and lists of events.
CANNOT_BE_DECRYPTED = "a key of encryption is missing, or what it encrypted was changed"
#: How many octets a key in the file has.
KEY_OCTETS = 32

_MARK = "~"
_NAME = 8  # characters in the name of a key
_PREFIX = 1 + _NAME + 1
# With nothing in it there are still the 16 octets of the synthetic IV.
_STORED = re.compile(r"~[\w-]{8}~[A-Za-z0-9+/]{22,}={0,2}", re.ASCII)
# A keyed digest of 128 bits (NIST SP 800-107, section 5.3.2: one may be cut off).
_DIGEST = 16
# Numbers and senders that a process remembers the stored form of.
_REMEMBERED = 4_096


class Stored(str):
    """A value as it is stored, which is not encrypted again."""

    __slots__ = ()


class _Key:
    """What is derived from a key of the file (HKDF, RFC 5869)."""

    __slots__ = ("digest", "name", "siv")

    def __init__(self, secret: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        self.name = base64.urlsafe_b64encode(_derived(secret, b"name", 6)).decode()
        self.siv = AESSIV(_derived(secret, b"values", 64))
        #: Of HMAC-SHA-256.
        self.digest = _derived(secret, b"bindings", 32)


def _derived(secret: bytes, purpose: bytes, octets: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), octets, None, b"sendsmsnow 1 " + purpose).derive(secret)


class Seal:
    """The keys: the first encrypts, all of them decrypt."""

    def __init__(self, secrets: Sequence[bytes], in_clear: bool = False) -> None:
        """`secrets`, one at least, have KEY_OCTETS each. `in_clear`: none encrypts."""
        from cryptography.exceptions import InvalidTag

        keys = [_Key(secret) for secret in secrets]
        self._keys = {key.name: key for key in keys}
        self._first = None if in_clear else keys[0]
        self._wrong = (InvalidTag, ValueError)
        self._told: set[tuple[str, str]] = set()
        #: A number, or another value that is bound to its column alone, as it is stored.
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
        """A value as it is stored in a column (`table.name`), bound to what names its row."""
        key = self._first
        return value if key is None or not value else _stored(key, column, value, row)

    def words(self, column: str, values: Iterable[str]) -> list[str]:
        """All forms in which these may be stored: by each key, and in clear."""
        return [form for value in values for form in self._forms(column, value)]

    def _forms(self, column: str, value: str) -> Iterator[str]:
        yield Stored(value)
        for key in self._keys.values() if value else ():
            is_first = key is self._first
            yield Stored(self.word(column, value) if is_first else _stored(key, column, value, ()))

    def opened(self, column: str, stored: str, *row: object) -> str:
        """The value of what is stored; UNREADABLE for what no key opens in this place."""
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
        """As `text`, of a binary column."""
        key = self._first
        return value if key is None or not value else _sealed(key, column, value, row)

    def octet_forms(self, column: str, value: bytes) -> list[bytes]:
        """As `words`, of one value of a binary column."""
        return [value, *(_sealed(key, column, value, ()) for key in self._keys.values())]

    def opened_octets(self, column: str, stored: bytes, *row: object) -> bytes:
        """As `opened`, of a binary column."""
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
        """What shows later that a delivery of this message goes to this number; None in clear."""
        key = self._first
        return None if key is None or not number else _binding(key, message_id, number)

    def recipient(self, message_id: str, stored: str, binding: str | None) -> str:
        """A delivery's number; UNREADABLE when it is not the one that was accepted."""
        number = self.opened("delivery.recipient", stored)
        if number in (stored, UNREADABLE):
            return number
        key = self._keys[stored[1 : _PREFIX - 1]]
        if hmac.compare_digest(_binding(key, message_id, number), binding or ""):
            return number
        self._tell("delivery.binding", key.name)
        return UNREADABLE

    def is_current(self, stored: str | bytes) -> bool:
        """Whether a value is stored as it would be now, as far as its key goes."""
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
        """Columns and rows to insert, as they are stored."""
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
        """Say that there are values that cannot be read, once for each column and key."""
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
    """A number, or what else is looked for as a whole: read and written by SQLAlchemy as it is,
    stored as the seal of the engine says."""

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
    """The `info` of a column whose values are bound to these columns of their row. Statements
    open them by `opened`."""
    return {"bound_to": columns}


class Place(NamedTuple):
    """A column that is encrypted, among those of an INSERT."""

    number: int
    #: `table.name`.
    column: str
    #: Where the columns stand that its values are bound to; None for those that are bound to none.
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
    """Let all that goes through an engine be stored by this seal: before its first statement."""
    dialect.seal = seal  # type: ignore[attr-defined]


def seal_of(dialect: Any) -> Seal | None:
    """The seal of an engine, if it has one."""
    seal: Seal | None = getattr(dialect, "seal", None)
    return seal


def is_readable(*values: object) -> bool:
    """Whether none of these stands for what could not be read. (A text may say so itself.)"""
    return not any(value is UNREADABLE or value is UNREADABLE_OCTETS for value in values)


def looks_stored(value: str) -> bool:
    """Whether a number is one that is encrypted, read without a seal. None begins like this."""
    return value.startswith(_MARK)


def opened(connection: Connection, column: str, stored: str, *row: object) -> str:
    """See `Seal.opened`."""
    seal = seal_of(connection.dialect)
    return stored if seal is None else seal.opened(column, stored, *row)


def words(connection: Connection, column: str, values: Iterable[str]) -> list[str]:
    """See `Seal.words`: what to compare a column with to find these."""
    seal = seal_of(connection.dialect)
    return list(values) if seal is None else seal.words(column, values)
