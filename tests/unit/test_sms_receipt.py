import dataclasses
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_gateway.sms.message import State
from sms_gateway.sms.receipt import (
    MESSAGE_STATES,
    Receipt,
    has_form,
    id_candidates,
    id_key,
    parse_receipt,
    receipt_text,
    with_raw,
)
from sms_gateway.sms.receipt_words import STATS, meaning, read_words, shown

#: 2024-01-02 15:31 UTC
MOMENT = 1_704_209_460_000

TEXTS = [
    # as in SMPP 3.4 appendix B
    (
        "id:0123456789 sub:001 dlvrd:001 submit date:2401021530 done date:2401021531 "
        "stat:DELIVRD err:000 text:Hello World",
        ("0123456789", State.DELIVERED, "000", MOMENT),
    ),
    # seconds in the dates, an error that is no number, capital Text
    (
        "id:7b2f sub:001 dlvrd:000 submit date:240102153000 done date:240102153107 "
        "stat:UNDELIV err:00B Text:Hello",
        ("7b2f", State.UNDELIVERABLE, "00B", MOMENT + 7_000),
    ),
    # the century in the dates, with and without seconds
    (
        "id:1 done date:20240102153107 stat:EXPIRED err:1 text:",
        ("1", State.EXPIRED, "1", MOMENT + 7_000),
    ),
    ("id:1 done date:202401021531 stat:EXPIRED", ("1", State.EXPIRED, "", MOMENT)),
    # dates for people
    (
        "id:1 submit date:2024-01-02 15:30:00 done date:2024-01-02 15:31:07 stat:DELIVRD",
        ("1", State.DELIVERED, "", MOMENT + 7_000),
    ),
    ("id:1 done date:24/01/02 15:31 stat:DELIVRD", ("1", State.DELIVERED, "", MOMENT)),
    # other case, more blanks, line breaks, underscores, no sub and dlvrd, no text
    (
        "ID: ABC-9  Submit Date: 2401021530  Done Date:  2401021531  Stat: delivrd  Err: 000",
        ("ABC-9", State.DELIVERED, "000", MOMENT),
    ),
    (
        "id:a\r\ndone_date:2401021531\r\nstat : Expired\r\nerr:000\r\n",
        ("a", State.EXPIRED, "000", MOMENT),
    ),
    ("id:9,stat:REJECTD,err:021,", ("9", State.FAILED, "021", 0)),
    ("id:9; stat:REJECTD; err:021;", ("9", State.FAILED, "021", 0)),
    # fields in another order
    ("stat:DELETED err:3 id:5 done date:2401021531", ("5", State.FAILED, "3", MOMENT)),
    # only an id; empty fields; dates that are none
    ("id:5", ("5", State.SUBMITTED, "", 0)),
    ("id:5 sub: dlvrd: submit date: done date: stat: err: text:", ("5", State.SUBMITTED, "", 0)),
    ("id:5 done date:0000000000 stat:DELIVRD", ("5", State.DELIVERED, "", 0)),
    ("id:5 done date:2413451531 stat:DELIVRD", ("5", State.DELIVERED, "", 0)),
    ("id:5 done date:240102 stat:DELIVRD", ("5", State.DELIVERED, "", 0)),
    ("id:5 done date:never stat:DELIVRD", ("5", State.DELIVERED, "", 0)),
    ("id:5 done date:19600102150000 stat:DELIVRD", ("5", State.DELIVERED, "", 0)),
    # a state that nobody knows
    ("id:5 stat:WHATEVER err:000", ("5", State.SUBMITTED, "000", 0)),
    # what looks like fields in the text of the message is not read
    ("id:5 stat:ENROUTE text:id:6 stat:DELIVRD", ("5", State.SUBMITTED, "", 0)),
    # of a field that comes twice the first counts
    ("id:5 stat:EXPIRED id:6 stat:DELIVRD", ("5", State.EXPIRED, "", 0)),
]


@pytest.mark.parametrize(("text", "fields"), TEXTS)
def test_the_text_of_a_receipt_is_read_in_every_form_carriers_use(text: str, fields):
    receipt = parse_receipt(text)
    assert receipt is not None
    assert (receipt.smsc_id, receipt.state, receipt.error, receipt.done_at) == fields
    # And back: the fields that are kept for people read the same.
    again = parse_receipt(receipt.raw)
    assert again is not None
    assert (again.smsc_id, again.state, again.error, again.done_at) == fields
    assert again.raw == receipt.raw


#: Ids as carriers give them, where the alphabet of texts, or a cut, would make others of them.
ODD_IDS = [
    "AB_1",
    "a-b.c/d+e=",
    "12@smsc$3",
    "[7]{8}",
    "f00:ba4:1",
    "msg-id:55",
    "x,y;z|w",
    "~`!#%^&*()<>?'\"\\",
    "AB_id:7",
    "9" * 64,
]
FORM = "id:{} sub:001 dlvrd:001 submit date:2401021530 done date:2401021531 stat:DELIVRD err:000"


@pytest.mark.parametrize("id", ODD_IDS)
@pytest.mark.parametrize("end", ["", " text:Hello", "\0", " text:\0\0"])
def test_an_id_is_read_whole_whatever_is_in_it(id: str, end: str) -> None:
    for octets in (
        f"{FORM}{end}".format(id).encode("ascii"),
        f"{FORM}{end}".format(id).encode("utf-16-be"),
        f"{FORM}{end}".format(id).encode("utf-16-le"),
        b"\xfe\xff" + f"{FORM}{end}".format(id).encode("utf-16-be"),
        f"{FORM}{end}".format(f"{id}\0\0\0").encode("ascii"),
        f"stat:DELIVRD id:{id}{end}".encode("ascii"),
    ):
        receipt = parse_receipt(receipt_text(octets))
        assert receipt is not None
        assert (receipt.smsc_id, receipt.state) == (id, State.DELIVERED)
        again = parse_receipt(receipt.raw)
        assert again is not None
        assert again.smsc_id == id
    by_parameter = parse_receipt("", receipted_message_id=f"{id}\0", message_state=2)
    assert by_parameter is not None
    assert by_parameter.smsc_id == id


@pytest.mark.parametrize("id", ["AB\xe91", "AB\x111", "AB\x001", "9" * 65, "", "\xa0", "\0"])
def test_what_is_no_whole_id_is_none(id: str) -> None:
    text = FORM.format(id)
    assert parse_receipt(receipt_text(text.encode("latin-1"))) is None
    assert parse_receipt("", receipted_message_id=id, message_state=2) is None
    receipt = parse_receipt(text, recipient="32494000000")
    assert receipt is not None
    assert (receipt.smsc_id, receipt.text_id, receipt.state) == ("", "", State.DELIVERED)


@pytest.mark.parametrize("octets", [b"", b"\0", b"i", b"\0i\0", b"\xff\xfe", b"\xfe\xff\xd8"])
def test_any_octets_are_a_text(octets: bytes) -> None:
    assert isinstance(receipt_text(octets), str)


def test_the_id_of_the_text_is_kept_beside_that_of_the_parameter() -> None:
    receipt = parse_receipt(FORM.format("AB_1"), receipted_message_id="77", message_state=2)
    assert receipt is not None
    assert (receipt.smsc_id, receipt.text_id) == ("77", "AB_1")
    stored = dataclasses.replace(receipt, text_id="", parts=0, delivered=0)
    assert with_raw(stored) == receipt
    same = parse_receipt(FORM.format("AB_1"), receipted_message_id="AB_1")
    assert same is not None
    assert same.text_id == ""


@pytest.mark.parametrize(
    ("sub", "dlvrd", "counts"),
    [("003", "003", (3, 3)), ("3", "1", (3, 1)), ("", "", (0, 0)), ("x", "1000", (0, 0))],
)
def test_the_parts_it_tells_of_are_counted(sub: str, dlvrd: str, counts: tuple[int, int]) -> None:
    receipt = parse_receipt(f"id:5 sub:{sub} dlvrd:{dlvrd} stat:DELIVRD")
    assert receipt is not None
    assert (receipt.parts, receipt.delivered) == counts


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (FORM.format("9001"), True),
        ("id:9001 stat:DELIVRD err:000", True),
        ("id:9001 stat:DELIVRD", False),
        ("my id:9001 is lost", False),
        ("id: stat:DELIVRD err:000", False),
        ("Meet at 10: bring id:5", False),
        ("", False),
    ],
)
def test_a_text_in_the_form_of_a_receipt_is_known_by_three_fields(text: str, is_one: bool) -> None:
    assert has_form(text) is is_one


@pytest.mark.parametrize(
    "text",
    ["", "Hello", "id: stat:DELIVRD", "text:id:5 stat:DELIVRD", "stat:DELIVRD", "paid:5", "id"],
)
def test_a_text_without_an_id_tells_of_a_number_or_nothing(text: str) -> None:
    assert parse_receipt(text, message_state=2) is None
    receipt = parse_receipt(text, message_state=2, recipient="32494000000")
    assert receipt is not None
    assert (receipt.smsc_id, receipt.state) == ("", State.DELIVERED)
    if "stat:" not in text or "text:" in text:
        assert parse_receipt(text, recipient="32494000000") is None


#: What carriers write, and what is sure about it; None: nothing.
WORDS = [
    *((word, state) for word, state in STATS.items()),
    *((word, State.DELIVERED) for word in ("DELIV", "DELIVERD", "DELIVRED", "DLVRD", "Delivered")),
    *(
        (word, State.UNDELIVERABLE)
        for word in ("UNDELIVERED", "UNDELIVRD", "UNDELIVERABL", "UNDEL", "UNDLVRD")
    ),
    *((word, State.UNDELIVERABLE) for word in ("NOTDELIVRD", "NOT_DELIVERED", "NONDELIVERED")),
    *((word, State.EXPIRED) for word in ("EXPIRD", "EXPIRE", "EXPIRY", "expired")),
    *((word, State.FAILED) for word in ("REJECT", "REJ", "REJETED", "FAIL", "FAILURE", "DELETD")),
    *((word, State.SUBMITTED) for word in ("ENROUT", "ACCEPTE", "UNKNOW")),
    *(
        (word, None)
        for word in (
            "DELIVERYFAILED",
            "DELIVERY_FAILED",
            "DELIVERED_TO_SMSC",
            "DELIVEREDTONETWORK",
            "DELIVERING",
            "UNKNOWNSUBSCRIBER",
            "ABSENT",
            "FAILOVER",
            "OK",
            "2",
            "",
        )
    ),
]


@pytest.mark.parametrize(("word", "state"), WORDS)
def test_a_word_means_what_is_sure_about_it(word: str, state: State | None) -> None:
    assert meaning(word, {}) is state
    receipt = parse_receipt(f"id:5 stat:{word} err:000")
    assert receipt is not None
    assert receipt.state is (state or State.SUBMITTED)
    assert receipt.unknown_stat == (word if state is None else "")


def test_a_carriers_own_words_count_for_more() -> None:
    words = read_words("Absent:undeliverable, DELIVRD:SUBMITTED,A:B:failed")
    assert words == {
        "ABSENT": State.UNDELIVERABLE,
        "DELIVRD": State.SUBMITTED,
        "A:B": State.FAILED,
    }
    receipt = parse_receipt("id:5 stat:absent", words=words)
    assert receipt is not None
    assert (receipt.state, receipt.unknown_stat) == (State.UNDELIVERABLE, "")
    assert read_words("") == {}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("NOROUTE", "receipt_words=NOROUTE: allowed are pairs such as"),
        ("NOROUTE:gone", "a word may mean delivered, undeliverable, expired, failed, submitted"),
        ("NO ROUTE:failed", "allowed are pairs"),
        (":failed", "allowed are pairs"),
        ("A:failed,a:expired", "receipt_words: a is given twice"),
    ],
)
def test_words_that_cannot_be_read_are_refused(written: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_words(written)


@pytest.mark.parametrize(
    ("word", "in_log"),
    [
        ("NOROUTE", "NOROUTE"),
        ("A" * 64, "A" * 32),
        ("NO\u2028ROUTE", "NO"),
        ("FOR32494000000", "FOR"),
        ("32494000000", "(no letters)"),
        ("", "(no letters)"),
    ],
)
def test_a_word_in_a_log_holds_no_number(word: str, in_log: str) -> None:
    assert shown(word) == in_log


@pytest.mark.parametrize(
    "text",
    [
        "id:5 stat:DELIVRD err:000 text:secret word",
        "id:5 stat:DELIVRD err:000 TEXT : secret word",
        "id:5 stat:DELIVRD err:000 secret word",
        "id:5 sub:001 secret word dlvrd:001 stat:DELIVRD err:000",
        "id:5 submit date:2401021530 secret word stat:DELIVRD err:000",
        "secret word id:5 stat:DELIVRD err:000",
        "id:5 stat:DELIVRD err: text:secret word",
        "id: text:secret word stat:DELIVRD",
    ],
)
def test_what_is_kept_for_people_has_no_text_of_the_message_in_it(text: str):
    receipt = parse_receipt(text, receipted_message_id="5", message_state=2)
    assert receipt is not None
    assert receipt.smsc_id == "5"
    assert receipt.state is State.DELIVERED
    assert "secret" not in repr(receipt)
    assert "word" not in repr(receipt)


def test_a_receipt_may_come_in_tlvs_alone():
    assert parse_receipt(
        "",
        recipient="+32494000000",
        receipted_message_id="00FF",
        message_state=5,
        network_error_code=b"\x03\x00\x0b",
    ) == Receipt(
        smsc_id="00FF",
        state=State.UNDELIVERABLE,
        recipient="32494000000",
        error="011",
        done_at=0,
        raw="receipted_message_id:00FF message_state:5 network_error_code:03000b",
    )


def test_tlvs_count_for_more_than_the_text_but_for_the_error():
    receipt = parse_receipt(
        "id:255 stat:EXPIRED err:00B",
        receipted_message_id="FF",
        message_state=2,
        network_error_code=b"\x03\x00\x00",
    )
    assert receipt is not None
    assert (receipt.smsc_id, receipt.state, receipt.error) == ("FF", State.DELIVERED, "00B")


@pytest.mark.parametrize(
    ("stat", "message_state", "state"),
    [
        ("DELIVRD", None, State.DELIVERED),
        ("DELIVRD", 1, State.DELIVERED),
        ("DELIVRD", 6, State.DELIVERED),
        ("DELIVRD", 99, State.DELIVERED),
        ("ACCEPTD", 2, State.DELIVERED),
        ("UNKNOWN", 7, State.SUBMITTED),
        ("", 8, State.FAILED),
        ("", None, State.SUBMITTED),
    ],
)
def test_the_final_state_counts_when_text_and_tlv_differ(stat, message_state, state):
    receipt = parse_receipt(f"id:1 stat:{stat}", message_state=message_state)
    assert receipt is not None
    assert receipt.state is state


def test_states_are_named_and_numbered_alike():
    # SMPP 3.4 §5.2.28 and 5.0 §4.7.15, in the order of the numbers
    names = "SCHEDULED ENROUTE DELIVERED EXPIRED DELETED"
    names += " UNDELIVERABLE ACCEPTED UNKNOWN REJECTED SKIPPED"
    for number, name in enumerate(names.split()):
        assert STATS[name] is MESSAGE_STATES[number]
        if name[:7] in STATS:
            assert STATS[name[:7]] is MESSAGE_STATES[number]
    assert len(MESSAGE_STATES) == 10
    allowed = {State.DELIVERED, State.UNDELIVERABLE, State.EXPIRED, State.FAILED, State.SUBMITTED}
    assert {*STATS.values(), *MESSAGE_STATES.values()} == allowed


@pytest.mark.parametrize("name", STATS)
def test_a_state_is_known_in_any_case(name: str):
    for written in (name, name.lower(), name.title()):
        receipt = parse_receipt(f"id:1 stat:{written} err:000")
        assert receipt is not None
        assert receipt.state is STATS[name]


def test_a_date_is_in_the_time_of_the_carriers_clock():
    text = "id:1 done date:2401021531 stat:DELIVRD"
    receipt = parse_receipt(text, zone=timezone(timedelta(hours=2)))
    assert receipt is not None
    assert receipt.done_at == MOMENT - 2 * 3_600_000


@given(st.datetimes(datetime(2013, 1, 1), datetime(2099, 12, 31)))
def test_every_form_of_a_date_is_the_same_time(moment: datetime):
    exact = int(moment.replace(microsecond=0, tzinfo=UTC).timestamp() * 1000)
    minute = exact - moment.second * 1000
    for form, expected in (
        ("%y%m%d%H%M", minute),
        ("%Y%m%d%H%M", minute),
        ("%y%m%d%H%M%S", exact),
        ("%Y%m%d%H%M%S", exact),
        ("%Y-%m-%d %H:%M:%S", exact),
    ):
        receipt = parse_receipt(f"id:1 done date:{moment.strftime(form)} stat:DELIVRD")
        assert receipt is not None
        assert receipt.done_at == expected


_PIECES = st.sampled_from(
    [
        "id",
        "stat",
        "done date",
        "text",
        "err",
        ":",
        " ",
        "DELIVRD",
        "2401021531",
        "0",
        "\x00",
        "é",
        "9" * 30,
    ]
)


@given(
    st.one_of(st.text(), st.lists(_PIECES).map("".join)),
    st.text(max_size=5),
    st.text(max_size=70),
    st.one_of(st.none(), st.integers(0, 255)),
    st.binary(max_size=5),
)
def test_nothing_that_comes_in_is_an_error(text, recipient, message_id, state, network_error):
    receipt = parse_receipt(
        text,
        recipient=recipient,
        receipted_message_id=message_id,
        message_state=state,
        network_error_code=network_error,
    )
    if receipt is not None:
        assert 0 < len(receipt.smsc_id) <= 64 or receipt.recipient
        assert len(receipt.error) <= 64
        assert len(receipt.raw) <= 600
        assert receipt.done_at >= 0
        assert f"{receipt.smsc_id}{receipt.recipient}{receipt.raw}".isascii()
        assert f"{receipt.smsc_id}{receipt.raw}".isprintable()


IDS = [
    # in the answer to submit_sm, in the receipt
    ("0123456789", "123456789"),
    ("123456789", "0000123456789"),
    ("75BCD15", "123456789"),
    ("75bcd15", "0123456789"),
    ("0075BCD15", "0123456789"),
    ("123456789", "75BCD15"),
    ("123456789", "0x75BCD15"[2:]),
    ("ABCDEF", "abcdef"),
    ("c44ab0e7-0b1e-4c1d-9f3e-000000000001", "C44AB0E7-0B1E-4C1D-9F3E-000000000001"),
    ("FFFFFFFFFFFFFFFF", "18446744073709551615"),
    ("18446744073709551615", "ffffffffffffffff"),
    ("0", "00"),
    (" 42 ", "42"),
]


@pytest.mark.parametrize(("answered", "in_receipt"), IDS)
def test_an_id_is_found_in_whichever_form_it_comes_back(answered: str, in_receipt: str):
    assert id_key(answered) in id_candidates(in_receipt)
    assert id_key(in_receipt) in id_candidates(answered)


def test_the_id_as_it_is_comes_first():
    assert id_candidates("0010") == ("10", "a", "16")
    assert id_candidates("00FF") == ("ff", "255")
    assert id_candidates("Msg-7") == ("msg-7",)
    assert id_candidates("9" * 64) == ("9" * 64,)
    assert id_candidates("") == ("",)
    assert id_candidates("000") == ("0",)


@pytest.mark.parametrize(("one", "other"), [("1", "2"), ("10", "100"), ("a", "b"), ("9", "a")])
def test_different_ids_stay_different(one: str, other: str):
    assert id_key(one) != id_key(other)


@given(st.integers(0, 2**64 - 1), st.integers(0, 4))
def test_hexadecimal_and_decimal_find_each_other(number: int, zeros: int):
    decimal, hexadecimal = f"{'0' * zeros}{number}", f"{'0' * zeros}{number:X}"
    assert id_key(decimal) in id_candidates(hexadecimal)
    assert id_key(hexadecimal) in id_candidates(decimal)


@given(st.text(max_size=80))
def test_the_key_of_an_id_is_its_own_key(smsc_id: str):
    key = id_key(smsc_id)
    assert id_key(key) == key
    assert id_candidates(smsc_id)[0] == key
    assert len(id_candidates(smsc_id)) <= 3


@given(
    id=st.text("0123456789abcdefABCDEF", min_size=1, max_size=70),
    date=st.text("0123456789", min_size=9, max_size=15),
    stat=st.sampled_from([*STATS, "delivrd", "NOSUCH"]),
    error=st.sampled_from(["000", "00B", "7", "1234"]),
    end=st.sampled_from(["", " ", "\n", " text:", " text:id:9 stat:EXPIRED", " Text:x", ";"]),
)
def test_the_usual_form_is_read_like_any_other(
    id: str, date: str, stat: str, error: str, end: str
) -> None:
    dates = f"submit date:{date} done date:{date}"
    usual = f"id:{id} sub:001 dlvrd:001 {dates} stat:{stat} err:{error}{end}"
    assert parse_receipt(usual) == parse_receipt(usual.replace("id:", "ID :", 1))
