"""Does a message cost more when there are more of something? Rows, keys, parts, countries."""

import contextlib
import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import phonenumbers

from sms_gateway.sms.address import AddressError, parse_recipients

from . import ours
from .contenders import Contender
from .tell import tell

#: 1 and 10 parts of 153 characters; a number is added at the end.
SHORT, LONG = "Hello number ", "Hello " * 250


@contextlib.contextmanager
def of_rows(folder: Path, counts: Sequence[int]) -> Iterator[list[Contender]]:
    """Servers whose databases hold so many messages already."""
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        contenders = []
        for count in counts:
            soap, _ = stack.enter_context(_with_rows(folder / str(count), count))
            contenders.append(replace(soap, name=f"{count:,} rows"))
        yield contenders


@contextlib.contextmanager
def _with_rows(folder: Path, count: int) -> Iterator[Sequence[Contender]]:
    with ours.on_sqlite(folder) as both:
        if count:
            tell(f"writing {count:,} messages")
            _fill(folder / "sms.sqlite3", count)
        yield both


def _fill(database: Path, count: int) -> None:
    """Messages of the past, delivered, with ids that are older than all that come."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -200000")
        step = 250_000
        for first in range(0, count, step):
            connection.execute("BEGIN")
            numbers = (
                "WITH RECURSIVE past(n) AS (SELECT :first UNION ALL "
                "SELECT n + 1 FROM past WHERE n + 1 < :end) "
            )
            span = {"first": first, "end": min(first + step, count)}
            connection.execute(
                "INSERT INTO message (id, account_id, sender, text, encoding, parts, accepted_at) "
                + numbers
                + "SELECT printf('0180%028x', n), 1, '', 'Hello number ' || n, 'gsm7', 1, "
                "1600000000000 + n FROM past",
                span,
            )
            connection.execute(
                "INSERT INTO delivery (message_id, recipient, route, parts, state, due_at, "
                "expires_at, attempts, possible_duplicate, upstream, country) "
                + numbers
                + "SELECT printf('0180%028x', n), '+32494' || (n % 1000000), '', 1, 'delivered', "
                "1600000000000 + n, 1600172800000 + n, 1, 0, 'default', 'BE' FROM past",
                span,
            )
            connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextlib.contextmanager
def of_everything_else(folder: Path, keys: Sequence[int]) -> Iterator[list[Contender]]:
    """One server, asked with more and more keys, with long texts and for many countries."""
    folder.mkdir()
    url = ours.sqlite_url(folder)
    made = ours.prepared(url, keys=max(keys))
    with ours.web(folder, url) as (port, pid):
        soap = Contender(
            name="",
            does="",
            version=ours.VERSION,
            port=port,
            request=replace(ours.SOAP, keys=made[:1]),
            roots=[pid],
            missing=ours.keeper(url),
        )
        variants = {
            f"{count:,} key{'s' * (count > 1)}": replace(soap.request, keys=made[:count])
            for count in keys
        }
        variants["1 part"] = replace(soap.request, text=SHORT)
        variants["10 parts"] = replace(soap.request, text=LONG)
        variants["1 number"] = replace(soap.request, recipients=soap.request.recipients[:1])
        variants["1 country"] = soap.request
        mixed = numbers_of_the_world()
        variants[f"{len(phonenumbers.SUPPORTED_REGIONS)} countries"] = replace(
            soap.request, recipients=mixed
        )
        yield [replace(soap, name=name, request=request) for name, request in variants.items()]


def numbers_of_the_world(each: int = 20) -> list[str]:
    """Valid mobile numbers of every country, one country after the other at random."""
    found = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        example = phonenumbers.example_number_for_type(
            region, phonenumbers.PhoneNumberType.MOBILE
        ) or phonenumbers.example_number(region)
        assert example is not None
        whole = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        digits = len(str(each - 1))
        for number in range(each):
            candidate = f"{whole[:-digits]}{number:0{digits}}"
            with contextlib.suppress(AddressError):
                parse_recipients(candidate, None)
                found.append(candidate)
    random.Random(0).shuffle(found)
    return found
