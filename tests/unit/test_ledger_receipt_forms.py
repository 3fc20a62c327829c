"""Every form of receipt × what it makes of a message; docs/faults.md shows the table.

The octets are read by the inbox of the SMPP upstream and written by the ledger, on both databases.
"""

import dataclasses
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from support.books import ACCEPTED, NOW, SECOND, UNANSWERED, Books, submitted

from sms_gateway.deliver.ledger import Beat, Event, MessageCame, ReceiptCame
from sms_gateway.log import facts
from sms_gateway.smpp import tlv
from sms_gateway.smpp.pdu import DataSm, DeliverSm
from sms_gateway.sms.message import State
from sms_gateway.sms.receipt import Receipt
from sms_gateway.store import Store, tables
from sms_gateway.upstream import Incoming
from sms_gateway.upstream.smpp_inbox import Inbox
from sms_gateway.upstream.smpp_messages import incoming_of, receipt_of
from sms_gateway.upstream.smpp_options import options_from_url

pytestmark = pytest.mark.encrypted_too

PAGE = Path(__file__).parents[2] / "docs/faults.md"
OURS, OTHER = "32494000000", "32494000001"
D, S, U = State.DELIVERED, State.SUBMITTED, State.UNDELIVERABLE
E, F = State.EXPIRED, State.FAILED


class Taken(Awaitable[None]):
    """What a sink returns."""

    def __await__(self) -> Any:
        yield from ()


class Desk:
    """A sink that writes to the books."""

    def __init__(self, books: Books) -> None:
        self.books = books

    def answered(self, answer: object) -> None:
        raise AssertionError(answer)

    def received_receipt(self, receipt: Receipt) -> Awaitable[None]:
        return self._write(ReceiptCame(upstream="a", receipt=receipt, now=NOW))

    def received_message(self, incoming: Incoming) -> Awaitable[None]:
        return self._write(MessageCame(upstream="a", incoming=incoming, now=NOW))

    def _write(self, event: Event) -> Awaitable[None]:
        self.books.write(event)
        return Taken()


def offer(books: Books, *pdus: DeliverSm | DataSm, options: str = "") -> Desk:
    """Let an SMSC offer these."""
    inbox, desk = Inbox("a", options_from_url(f"smpp://u@h?{options}")), Desk(books)
    for pdu in pdus:
        inbox.store(pdu, desk)
    return desk


def inbox_of(books: Books) -> int:
    with books.store.read() as connection:
        found: int = connection.execute(
            select(func.count()).select_from(tables.received)
        ).scalar_one()
    return found


FORM = "id:{} sub:001 dlvrd:001 submit date:2701151200 done date:2701151200 stat:{} err:000 text:Hi"


def text(id: str = "AB_1", stat: str = "DELIVRD", codec: str = "ascii") -> bytes:
    return FORM.format(id, stat).encode(codec)


def by_text(octets: bytes, *, esm_class: int = 4, data_coding: int = 0, **more: Any) -> DeliverSm:
    given = {"source_addr": OURS, "destination_addr": "8000"} | more
    return DeliverSm(esm_class=esm_class, data_coding=data_coding, short_message=octets, **given)


def by_tlvs(id: str = "AB_1", state: int = 2, octets: bytes = b"", **more: Any) -> DeliverSm:
    tlvs = ((tlv.RECEIPTED_MESSAGE_ID, id.encode("latin-1") + b"\0"),) if id else ()
    return by_text(octets, tlvs=(*tlvs, (tlv.MESSAGE_STATE, bytes([state]))), **more)


@dataclass(frozen=True, kw_only=True)
class Form:
    """A receipt for the message with the id AB_1, and what becomes of it."""

    #: For the page.
    receipt: str
    pdu: DeliverSm | DataSm
    becomes: State
    #: The id in the answer.
    id: str = "AB_1"
    options: str = ""
    #: Kept, as it may be for a message whose answer is still to come.
    kept: bool = False
    #: Handed to the customer.
    messages: int = 0

    @property
    def row(self) -> str:
        more = (
            ", and the receipt is kept" * self.kept + ", and the text is a message" * self.messages
        )
        return f"| {self.receipt} | {self.becomes}{more} |"


ODD = ("a-b.c/d+e=", "12@smsc$3", "[7]{8}", "f00:ba4:1")
TABLE = [
    Form(receipt="text as in the standard, id `AB_1`", pdu=by_text(text()), becomes=D),
    *(
        Form(
            receipt=f"the same with data_coding {n}", pdu=by_text(text(), data_coding=n), becomes=D
        )
        for n in (1, 3, 4, 8, 0xF1)
    ),
    Form(
        receipt="UTF-16 under data_coding 8",
        pdu=by_text(text(codec="utf-16-be"), data_coding=8),
        becomes=D,
    ),
    *(Form(receipt=f"id `{id}`", id=id, pdu=by_text(text(id)), becomes=D) for id in ODD),
    Form(receipt="a NUL at the end", pdu=by_text(text() + b"\0"), becomes=D),
    Form(receipt="NULs behind the id", pdu=by_text(text("AB_1\0\0")), becomes=D),
    Form(
        receipt="an octet in the id that is no ASCII: that id is none, and the number decides",
        pdu=by_text(text("AB\xe9", codec="latin-1")),
        becomes=D,
    ),
    Form(
        receipt="in message_payload",
        pdu=by_text(b"", tlvs=((tlv.MESSAGE_PAYLOAD, text()),)),
        becomes=D,
    ),
    Form(
        receipt="data_sm",
        pdu=DataSm(esm_class=4, source_addr=OURS, tlvs=((tlv.MESSAGE_PAYLOAD, text()),)),
        becomes=D,
    ),
    Form(receipt="parameters only", pdu=by_tlvs(esm_class=0), becomes=D),
    Form(receipt="parameters only, UNDELIVERABLE", pdu=by_tlvs(state=5), becomes=U),
    Form(
        receipt="id in parameters unknown, in the text right",
        pdu=by_tlvs("77", octets=text()),
        becomes=D,
    ),
    Form(
        receipt="id in parameters right, in the text unknown",
        pdu=by_tlvs(octets=text("77")),
        becomes=D,
    ),
    Form(receipt="no id, the only message to the number", pdu=by_tlvs(""), becomes=D),
    Form(receipt="no id in the text either", pdu=by_text(b"stat:UNDELIV err:001"), becomes=U),
    Form(
        receipt="esm_class 0, text only, id and number ours",
        pdu=by_text(text(), esm_class=0),
        becomes=D,
    ),
    Form(
        receipt="esm_class 0, text only, id unknown",
        pdu=by_text(text("77"), esm_class=0),
        becomes=S,
        messages=1,
    ),
    Form(
        receipt="esm_class 0, text only, the number is another's",
        pdu=by_text(text(), esm_class=0, source_addr="32494999999"),
        becomes=S,
        messages=1,
    ),
    Form(
        receipt="number in national form", pdu=by_text(text(), source_addr="0494000000"), becomes=D
    ),
    Form(receipt="number with 00", pdu=by_text(text(), source_addr=f"00{OURS}"), becomes=D),
    Form(receipt="number with +", pdu=by_text(text(), source_addr=f"+{OURS}"), becomes=D),
    Form(
        receipt="the two addresses swapped",
        pdu=by_text(text(), source_addr="Shop", destination_addr=OURS),
        becomes=D,
    ),
    Form(
        receipt="swapped, from a number of ours",
        pdu=by_text(text(), source_addr="32470999999", destination_addr=OURS),
        becomes=D,
    ),
    Form(
        receipt="no number",
        pdu=by_text(text(), source_addr="", destination_addr="32470999999"),
        becomes=D,
    ),
    Form(
        receipt="our id with another number",
        pdu=by_text(text(), source_addr=OTHER),
        becomes=S,
        kept=True,
    ),
    Form(receipt="id unknown", pdu=by_text(text("77")), becomes=S, kept=True),
    Form(receipt="id in capitals, small in the answer", id="ab_1", pdu=by_text(text()), becomes=D),
    Form(
        receipt="id in decimal, hexadecimal in the answer",
        id="1A2B3C",
        pdu=by_text(text("1715004")),
        becomes=D,
    ),
    *(
        Form(receipt=f"`{word}`", pdu=by_text(text(stat=word)), becomes=state)
        for word, state in {
            "DELIVERED": D,
            "UNDELIVERED": U,
            "NOROUTE": U,
            "EXPIRD": E,
            "REJECTED": F,
            "ENROUTE": S,
            "ACCEPTD": S,
            "DELIVERYFAILED": S,
            "NEWWORD": S,
        }.items()
    ),
    Form(
        receipt="`NEWWORD` with `receipt_words=NEWWORD:undeliverable`",
        options="receipt_words=NEWWORD:undeliverable",
        pdu=by_text(text(stat="NEWWORD")),
        becomes=U,
    ),
]


@pytest.fixture
def books(store: Store) -> Books:
    return Books(store)


@pytest.mark.parametrize("form", TABLE, ids=lambda form: form.receipt)
def test_a_receipt_of_this_form_tells_of_its_message_only(books: Books, form: Form) -> None:
    other = submitted(books, "AB", f"+{OTHER}")
    ours = submitted(books, form.id, f"+{OURS}")
    offer(books, form.pdu, options=form.options)
    assert books.state(ours) is form.becomes
    assert books.state(other) is S
    assert (books.early(), inbox_of(books)) == (int(form.kept), form.messages)
    # Offered again it changes nothing more.
    offer(books, form.pdu, options=form.options)
    books.write(Beat(now=NOW + SECOND))
    assert (books.state(ours), books.state(other)) == (form.becomes, S)


def test_the_page_shows_the_table() -> None:
    page = PAGE.read_text("utf-8")
    assert "\n".join(form.row for form in TABLE) in page


def test_a_cut_id_is_not_anothers(books: Books) -> None:
    anothers = submitted(books, "AB", f"+{OTHER}")
    ours = submitted(books, "AB_1", f"+{OURS}")
    # 0x11 is what the alphabet of texts has for the underscore.
    offer(books, by_text(text("AB_1")), by_text(text("AB\x111"), source_addr=""))
    assert books.state(anothers) is S
    assert books.state(ours) is D


def test_a_text_in_the_form_of_a_receipt_before_its_answer_is_kept_for_it(books: Books) -> None:
    ours = books.accept(f"+{OURS}")
    (delivery,) = books.claim()
    offer(books, by_text(text(), esm_class=0, source_addr="0494000000"))
    assert (books.early(), inbox_of(books)) == (1, 0)
    books.settle(delivery, ACCEPTED, ids=["AB_1"])
    books.write(Beat(now=NOW + SECOND))
    assert books.state(ours) is D
    assert (books.early(), inbox_of(books)) == (0, 0)


def test_a_text_in_the_form_of_a_receipt_in_the_batch_of_its_answer_is_one(books: Books) -> None:
    ours = books.accept(f"+{OURS}")
    (delivery,) = books.claim()
    pdu = by_text(text(), esm_class=0)
    incoming = dataclasses.replace(incoming_of(pdu, "gsm7"), receipt=receipt_of(pdu))
    came = MessageCame(upstream="a", incoming=incoming, now=NOW)
    books.write(came, books.settled(delivery, ACCEPTED, ids=["AB_1"]))
    assert books.state(ours) is D
    assert inbox_of(books) == 0


def test_a_text_in_the_form_of_a_receipt_of_the_silent_answer_answers(books: Books) -> None:
    ours = books.accept(f"+{OURS}")
    (delivery,) = books.claim()
    books.settle(delivery, UNANSWERED)
    offer(books, by_text(text(), esm_class=0))
    assert inbox_of(books) == 0
    books.write(Beat(now=NOW + 61 * SECOND))
    assert books.state(ours) is D


def test_a_new_word_is_told_once_and_without_numbers(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    submitted(books, "AB_1")
    words = [
        "NEWWORD",
        "newer",
        "NEWWORD",
        "TO32494000000",
        *(f"W{chr(65 + n)}" for n in range(60)),
    ]
    offer(books, *(by_text(text(stat=word)) for word in words))
    told = [
        str(facts(r)["word"]) for r in caplog.records if "a word that nobody knows" in r.message
    ]
    assert told[:3] == ["NEWWORD", "newer", "TO"]
    assert len(told) == len(set(told)) == 50
