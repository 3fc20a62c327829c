"""Rows that are written many at a time are read back as they were."""

from typing import Any

import pytest
from sqlalchemy import select
from support import accounts as support

from sms_gateway.sms.message import State
from sms_gateway.store import Store, intake, tables
from sms_gateway.store.bulk import insert_many, run, with_marks
from sms_gateway.store.engine import Writer

TEXTS = [
    "",
    "Hello",
    " \t\r\n ",
    "quotes \" and ' and `",
    "back\\slash \\u0041 \\n",
    "marks ? %s %% :name ... $1",
    '[1, {"a": null}]',
    "null",
    "NULL",
    '{a, "b", {\\"c\\"}}',
    "Grüße € Жж 漢字 ‮ \u2028",
    "\U0001f600\U0010ffff",
    "\x01\x1f\x7f\ufffe",
    "x" * 100_000,
]


def received(text: str = "hi", at: int = 0, account: int | None = None) -> dict[str, Any]:
    return {
        "account_id": account,
        "upstream": "a",
        "sender": "+32494000000",
        "recipient": "8850",
        "text": text,
        "received_at": at,
    }


def stored(store: Store) -> list[Any]:
    with store.read() as connection:
        return list(connection.execute(select(tables.received).order_by(tables.received.c.id)))


def insert(store: Store, *rows: dict[str, Any]) -> None:
    with store.write() as connection:
        insert_many(connection, tables.received, rows)


def test_texts_are_read_back_as_they_were(store: Store) -> None:
    insert(store, *map(received, TEXTS))
    assert [row.text for row in stored(store)] == TEXTS


def test_numbers_of_64_bits_and_null_are_read_back(store: Store) -> None:
    _, account = support.create(store)
    numbers = [0, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
    insert(store, *(received(at=number) for number in numbers), received(account=account.id))
    rows = stored(store)
    assert [row.received_at for row in rows[:-1]] == numbers
    assert [row.account_id for row in rows] == [None] * len(numbers) + [account.id]


def test_truths_and_states_are_read_back(store: Store) -> None:
    waiting = {"upstream": "a", "smsc_id": "1", "recipient": "", "error": "", "raw": ""}
    with store.write() as connection:
        for given_up in (True, False):
            row = {"state": State.DELIVERED, "done_at": 0, "received_at": 0, "given_up": given_up}
            insert_many(connection, tables.early_receipt, [waiting | row])
        rows = connection.execute(
            select(tables.early_receipt).order_by(tables.early_receipt.c.id)
        ).all()
    assert [(row.given_up, row.state) for row in rows] == [
        (True, "delivered"),
        (False, "delivered"),
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 33, 100])
def test_any_number_of_rows_is_written_in_their_order(store: Store, count: int) -> None:
    insert(store, *(received(at=number) for number in range(count)))
    assert [row.received_at for row in stored(store)] == list(range(count))


def test_a_text_that_no_database_takes_leaves_nothing_behind(store: Store) -> None:
    with pytest.raises(Exception, match=r"surrogate|unicode|invalid input"):
        insert(store, received("fine"), received("half \ud83d of a pair"))
    assert stored(store) == []


def test_nul_is_kept_or_refused_and_never_cuts_a_text(store: Store) -> None:
    if store.is_sqlite:
        insert(store, received("a\0b"))
        assert [row.text for row in stored(store)] == ["a\0b"]
    else:
        with pytest.raises(Exception, match="NUL"):
            insert(store, received("a\0b"))
        assert stored(store) == []


def test_digests_are_read_back(store: Store) -> None:
    digests = [bytes([number]) * 32 for number in (0, 34, 92, 127, 255)]
    repeats = {
        id: intake.Accepted(content_hash=id[::-1], message_id=f"m{number}", sent=4)
        for number, id in enumerate(digests)
    }
    with store.write() as connection:
        assert intake.remember(connection, repeats, 2**62) == set(digests)
        assert intake.accepted_before(connection, digests, 2**62) == repeats
        assert intake.remember(connection, repeats, 2**62) == set()


def test_a_statement_is_part_of_the_transaction(store: Store) -> None:
    insert(store, received())
    with store.engine.connect() as connection:
        run(connection, with_marks("DELETE FROM received WHERE text IN (...)", 2), ("hi", "ho"))
        connection.rollback()
    assert len(stored(store)) == 1


def test_what_may_come_later_is_there_after_the_commit_or_not_at_all(store: Store) -> None:
    _, account = support.create(store)
    rows = [(f"m{n}", account.id, "", "x" * 1_000_000, "gsm7", 1, 0, "", 0) for n in range(12)]
    writer = Writer(store)

    def write(*batches: list[tuple[Any, ...]], end: Exception | None = None) -> None:
        with writer.write() as connection:
            for batch in batches:
                intake.add_messages(connection, batch)
            if end:
                raise end

    with pytest.raises(LookupError):
        write(rows, end=LookupError())
    write(rows[:1])
    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        write(rows[1:], rows[:1])
    assert messages(store) == ["m0"]
    write(rows[1:])
    writer.close()
    assert messages(store) == sorted(row[0] for row in rows)


def messages(store: Store) -> list[str]:
    with store.read() as connection:
        query = select(tables.message.c.id).order_by(tables.message.c.id)
        return list(connection.execute(query).scalars())


def test_there_may_be_more_statements_than_stay_prepared(store: Store) -> None:
    insert(store, *(received(str(number)) for number in range(300)))
    query = "SELECT text FROM received WHERE text IN (...)"
    for _ in range(2):
        with store.read() as connection:
            for count in range(1, 300):
                texts = tuple(map(str, range(count)))
                found = run(connection, with_marks(query, count), texts)
                assert {text for (text,) in found} == set(texts)
