"""The subjects of mails, read as the numbers they are for."""

import time

import pytest

from email_gateway.mail import read
from email_gateway.mime import part
from email_gateway.subject import (
    ANSWER_PREFIXES,
    AUTOMATIC_PREFIXES,
    FORWARD_PREFIXES,
    NUMBER_PREFIXES,
    TAG_WORDS,
    Said,
    is_automatic_subject,
    read_subject,
    refuse_letters,
)
from email_gateway.unreadable import UnreadableMailError
from sms_gateway.sms.address import parse_recipients

ONE, TWO = "+32494000001", "+32494000002"


@pytest.mark.parametrize(
    ("subject", "recipients"),
    [
        (ONE, ONE),
        ("  0032494000001 ", "0032494000001"),
        (f"Re: RE: Fwd: TR : AW: Antw: {ONE}", ONE),
        (f"Re[2]: {ONE}", ONE),
        (f"RE(3): Re^2: {ONE}", ONE),
        ("=?utf-8?B?KzMyNDk0MDAwMDAx?=", ONE),
        ("=?iso-8859-1?Q?+32_494_00?= =?iso-8859-1?Q?0001?=", "+32 494 000001"),
        ("=?utf-8*fr?q?+32494000001?=", ONE),
        (f"{ONE},\r\n {TWO}", f"{ONE}, {TWO}"),
        ("=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        (f"{ONE} Re: {TWO}", f"{ONE} Re: {TWO}"),
        ("réunion", "réunion"),
        ("r\udce9union", "réunion"),
        ("", ""),
    ],
)
def test_the_subject_is_the_numbers(subject: str, recipients: str) -> None:
    octets = f"Subject: {subject}\r\n\r\nHello".encode("utf-8", "surrogateescape")
    assert read(part(octets)).recipients == recipients


WRITTEN = [
    *(f"[EXTERNAL] {ONE}", f"[EXT] {ONE}", f"[Externe]{ONE}", f"[SPAM?] {ONE}", f"{{Spam?}} {ONE}"),
    *(f"***SPAM*** {ONE}", f"*** EXTERNAL *** {ONE}", f"(EXTERNAL) {ONE}", f"<EXTERN> {ONE}"),
    *(
        f"EXTERNAL: {ONE}",
        f"[EXTERNAL] RE: {ONE}",
        f"RE: [EXTERNAL] {ONE}",
        f"{ONE} [EXTERNAL]",
        f"{ONE}***SPAM*** (ext)",
    ),
    *(f"[Ticket] Fwd: [EXT] Re: {ONE}", f"RV: {ONE}", f"R: {ONE}", f"I: {ONE}", f"WG: {ONE}"),
    *(f"SMS to {ONE}", f"SMS {ONE}", f"sms: {ONE}", f"SMS an {ONE}", f"SMS à : {ONE}"),
    *(f"tel:{ONE}", f"TEL: {ONE}", f"Tél. : {ONE}", f"sms:{ONE}", f"smsto:{ONE}", f"GSM: {ONE}"),
    *(f"Tel. {ONE}", f"GSM {ONE}", f"Fwd: mobile {ONE}"),
    *(f"SMS to tel:{ONE}", f"SMS to Jean <{ONE}>", f"SMS to: tel: {ONE}"),
    *(f"tel://{ONE}", f"To: {ONE}", f"Jean <{ONE}>", f'"Dupont, Jean" <{ONE}>', f"<{ONE}>"),
    *(
        f"Jean Dupont <tel:{ONE}>",
        f"Room 12 <{ONE}>",
        f"{ONE} <{ONE}>",
        f"Re： {ONE}",
        f"回复：{ONE}",
    ),
    *(f"RE: SMS to: Jean <{ONE}>", f"АW: {ONE}".replace("А", "A"), f"İLT: {ONE}", f"ynt: {ONE}"),
]


@pytest.mark.parametrize("written", WRITTEN)
def test_what_programs_and_people_put_around_a_number_is_nothing(written: str) -> None:
    recipients = read_subject(written).recipients
    assert recipients == ONE
    refuse_letters(recipients)


@pytest.mark.parametrize(
    "written",
    [
        f"{ONE}, {TWO}",
        f"tel:{ONE}, tel:{TWO}",
        f'"Dupont, Jean" <{ONE}>, Marie <{TWO}>',
        f"Jean <{ONE}>; Marie <tel:{TWO}>",
        f"Jean <{ONE}> Marie <{TWO}>",
        f"SMS to {ONE}; {TWO}",
    ],
)
def test_several_numbers_stay_several(written: str) -> None:
    found = parse_recipients(read_subject(written).recipients, None)
    assert [each.number for each in found] == [ONE, TWO]


@pytest.mark.parametrize(
    ("prefixes", "said"),
    [
        (ANSWER_PREFIXES, Said.ANSWER),
        (FORWARD_PREFIXES, Said.FORWARD),
        (NUMBER_PREFIXES, Said.NOTHING),
        (TAG_WORDS, Said.NOTHING),
        (("vs",), Said.NOTHING),
    ],
)
def test_every_prefix_of_the_tables_is_passed_over(prefixes: tuple[str, ...], said: Said) -> None:
    for prefix in prefixes:
        for form in (
            f"{prefix}: {ONE}",
            f"{prefix.upper()} : {ONE}",
            f"[x] {prefix.title()}：{ONE}",
        ):
            assert read_subject(form) == (ONE, said), form


def test_the_first_prefix_says_what_the_mail_is() -> None:
    assert read_subject(f"Re: Fwd: {ONE}").said is Said.ANSWER
    assert read_subject(f"[EXT] WG: AW: {ONE}").said is Said.FORWARD
    assert read_subject(ONE).said is Said.NOTHING


@pytest.mark.parametrize("prefix", AUTOMATIC_PREFIXES)
def test_what_machines_answer_by_themselves_is_known(prefix: str) -> None:
    assert is_automatic_subject(f"{prefix.capitalize()}: {ONE}")
    assert not is_automatic_subject(ONE)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("lunch?", 'the letter "l" before any digit'),
        (f"{ONE}x12", 'the letter "x" after 11 digits'),
        ("+32 494 O0 00 01", 'the letter "O" after 5 digits'),
        ("+3249400000l", 'the letter "l" after 10 digits'),
        (f"Xyz: {ONE}", 'the letter "X" before any digit'),
        (f"Jean {ONE}", 'the letter "J" before any digit'),
        ("réunion", 'the letter "r" before any digit'),
        ("+32494о00001", "the letter U+043E after 5 digits"),
        (f"{ONE}!", 'the sign "!" after 11 digits'),
        (f"jean@{ONE}", 'the letter "j"'),
        (f"[not {ONE}] {TWO}", 'the letter "n" before any digit'),
        (f"0494 00 00 01 <{TWO}>", 'the sign "<" after 10 digits'),
        (f"Jean <{ONE}", 'the letter "J" before any digit'),
        (f"Jean <no number> {ONE}", 'the letter "J" before any digit'),
        (f"{ONE} [not this one]", 'the letter "n" after 11 digits'),
        (f"{ONE};ext=12", 'the letter "e" after 11 digits'),
    ],
)
def test_a_refusal_names_the_letter_and_no_number(written: str, why: str) -> None:
    with pytest.raises(UnreadableMailError) as caught:
        refuse_letters(read_subject(written).recipients)
    assert why in str(caught.value)
    assert "494000001" not in str(caught.value)
    assert "494000002" not in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        ONE,
        "0494/00.00.01",
        "(0494) 00-00-01",
        "+32 494 000 001; 0032494000002",
        "\u202a+32494000001\u202c",
    ],
)
def test_the_ways_to_write_a_number_are_left_to_the_rules(written: str) -> None:
    refuse_letters(read_subject(written).recipients)


@pytest.mark.parametrize(
    "piece",
    ["a ", "<", '"', "[a", "*", "re:", "[a] ", "tel:", "a<1", '"a"<1>', "sms to ", "]", "1 <2>"],
)
def test_no_subject_takes_long(piece: str) -> None:
    written = (piece * 8_000)[:8_000]
    before = time.process_time()
    read_subject(written)
    read_subject("1" + written)
    is_automatic_subject(written)
    # The slowest takes a twentieth of a second.
    assert time.process_time() - before < 2
