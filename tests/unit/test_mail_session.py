"""The session of a mail client, in this process: real SMTP, the real gateway, both databases."""

import logging
import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from support import accounts, mail_face
from support.certificates import self_signed
from support.mail_face import DOMAIN, Client, MailFace
from support.running import wait_for

from email_gateway.session import MOST_ERRORS
from sms_gateway.accounts import Rate
from sms_gateway.store import Store, tables
from sms_gateway.store import accounts as account_statements

RECORDED = Path(__file__).parents[1] / "recorded" / "mail"
NUMBER = "+32494000001"
#: For what is about SMTP alone.
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
MAIL = b"Subject: +32494000001\r\nMessage-ID: <1@example.org>\r\n\r\nHello"


@pytest.fixture
def face(store: Store) -> Iterator[MailFace]:
    with mail_face.serve(store) as running:
        yield running


@pytest.fixture
def client(face: MailFace) -> Iterator[Client]:
    with Client(face.port) as connected:
        yield connected


def address(store: Store, name: str = "acme", **options: Any) -> str:
    """The local part of a new key's address."""
    _, account = accounts.create(store, name, **({"rate": None} | options))
    return account.mail_address


def mail(subject: str = NUMBER, body: str = "Hello", id: str = "") -> bytes:
    head = f"Subject: {subject}\r\n" + (f"Message-ID: <{id}>\r\n" if id else "")
    return f"{head}\r\n{body}".encode()


def sent(store: Store) -> list[tuple[str, str]]:
    """What was accepted: number and text of each delivery."""
    message, delivery = tables.message, tables.delivery
    with store.read() as connection:
        rows = connection.execute(
            select(delivery.c.recipient, message.c.text)
            .join(message, message.c.id == delivery.c.message_id)
            .order_by(message.c.id, delivery.c.id)
        )
        return [(row.recipient, row.text) for row in rows]


def test_a_mail_is_an_sms_on_disk_before_it_is_acknowledged(
    store: Store, database: str, client: Client
) -> None:
    answer = client.mail(address(store), MAIL)
    told = re.fullmatch(
        r"250 2\.0\.0 0 The message is sent without error \(([0-9a-f]{32})\)", answer
    )
    assert told
    other = Store(database)
    with other.read() as connection:
        assert connection.execute(select(tables.message.c.id)).scalars().all() == [told[1]]
    other.close()
    assert sent(store) == [(NUMBER, "Hello")]


def test_the_mails_of_real_programs_are_sent_by_the_standard_librarys_client(
    store: Store, face: MailFace
) -> None:
    to = f"{address(store, multi=True)}@{DOMAIN.upper()}"
    files = ["gmail-web", "thunderbird-fr", "outlook-web-html", "becky-japanese"]
    with smtplib.SMTP("127.0.0.1", face.port) as smtp:
        for name in files:
            octets = (RECORDED / f"{name}.eml").read_bytes()
            assert smtp.sendmail("jean@example.org", [to], octets) == {}
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "jean@example.org", to, NUMBER
        message.set_content("Dès 8 h : l’été ☀\n")
        message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="a.pdf")
        assert smtp.send_message(message) == {}
    assert sent(store) == [
        ("+32494000001", "Le technicien passe demain à 8h30."),
        ("+32494000002", "Le technicien passe demain à 8h30."),
        (
            NUMBER,
            "Elle ouvre à 7 h, le grand bassin est de nouveau en service, mais sans les "
            "plongeoirs.",
        ),
        (NUMBER, "The price is now 12,50 € per unit.\n\nOrder before Friday & save."),
        ("+819012345678", "会議は三時からです。"),
        (NUMBER, "Dès 8 h : l’été ☀"),
    ]


def test_addresses_are_checked_one_by_one(store: Store, client: Client) -> None:
    known = address(store)
    off = address(store, "off")
    with store.write() as connection:
        account_statements.change(connection, "off", enabled=False)
    assert client.say("MAIL FROM:<a@example.org>") == "250 2.1.0 OK"
    for recipient, answer in {
        f"1000000000000000@{DOMAIN}": "550 5.1.1 No such address",
        f"{off}@{DOMAIN}": "550 5.1.1 No such address",
        f"{known}x@{DOMAIN}": "550 5.1.1 No such address",
        f"postmaster@{DOMAIN}": "550 5.1.1 No such address",
        f'"{known} "@{DOMAIN}': "550 5.1.1 No such address",
        known: "550 5.1.1 No such address",
        f"{known}@example.org": "550 5.7.1 Relaying denied",
        f"{known}@{DOMAIN}@example.org": "553 5.1.3 Error: malformed address",
        f"{known}@{DOMAIN}": "250 2.1.5 OK",
        f"{known}@{DOMAIN.title()}": "250 2.1.5 OK",
    }.items():
        assert client.say(f"RCPT TO:<{recipient}>") == answer


def test_nobody_is_told_that_an_address_is_unknown_while_the_store_is_away(
    store: Store, client: Client
) -> None:
    known = address(store)
    assert client.begin(known).startswith("354")
    with store.write() as connection:
        connection.execute(text("ALTER TABLE account RENAME TO account_away"))
    client.send(MAIL + b"\r\n.\r\n")
    assert client.answer() == "451 4.3.0 30 Internal error - Contact technical support"
    assert client.begin(known) == "451 4.3.0 Cannot be told now, try again later"
    client.say("RSET")
    with store.write() as connection:
        connection.execute(text("ALTER TABLE account_away RENAME TO account"))
    assert client.mail(known, MAIL).startswith("250 2.0.0 0 ")
    assert sent(store) == [(NUMBER, "Hello")]


def test_each_recipient_has_a_mail_and_an_answer_of_its_own(store: Store, client: Client) -> None:
    good, bad = address(store), address(store, "closed", countries=frozenset({"FR"}))
    client.say("MAIL FROM:<a@example.org>")
    assert client.say(f"RCPT TO:<{good}@{DOMAIN}>") == "250 2.1.5 OK"
    assert client.say(f"RCPT TO:<{good}@{DOMAIN}>") == "250 2.1.5 OK"
    assert client.say(f"RCPT TO:<{bad}@{DOMAIN}>").startswith("452 4.5.3 One address a mail")
    assert client.say("DATA").startswith("354")
    client.send(MAIL + b"\r\n.\r\n")
    assert client.answer().startswith("250 2.0.0 0 ")
    assert client.mail(bad, MAIL).startswith("554 5.4.4 99 ")
    assert sent(store) == [(NUMBER, "Hello")]


@pytest.mark.parametrize(
    ("subject", "body", "answer"),
    [
        ("", "Hello", "554 5.6.0 7 there is no number"),
        ("lunch?", "Hello", '554 5.6.0 7 the subject has the letter "l" before any digit: write'),
        (f"Jos\u00e9 {NUMBER}", "Hello", '554 5.6.0 7 the subject has the letter "J" before any '),
        (
            f"{NUMBER}\u043e",
            "Hello",
            "554 5.6.0 7 the subject has the letter U+043E after 11 digits",
        ),
        (f"1\r\nSubject: {NUMBER}", "Hello", "554 5.6.0 7 the mail has two subjects, and "),
        (
            NUMBER,
            "-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA5\r\n-----END PGP MESSAGE-----",
            "554 5.6.0 7 the text is encrypted or signed inline (PGP); send it without encryption",
        ),
        (NUMBER, "", "554 5.6.0 7 there is no text in the mail"),
        (NUMBER, "a\x01b", "554 5.6.0 7 the text has a control character (U+0001)"),
        (NUMBER, "four\r\n" * 400, "554 5.6.0 7 The message is too long: 14 parts, at most 10"),
        (f"{NUMBER},+32494000002", "Hello", "554 5.7.1 80 The account does not allow multiple sen"),
        ("+31612345678", "Hello", "554 5.4.4 99 The destination country is not reachable at the "),
    ],
)
def test_what_the_api_refuses_is_refused_with_its_code_and_sentence(
    store: Store, client: Client, subject: str, body: str, answer: str
) -> None:
    assert client.mail(address(store), mail(subject, body)).startswith(answer)
    assert sent(store) == []


def test_five_numbers_are_too_many(store: Store, client: Client) -> None:
    numbers = ", ".join(f"+3249400000{n}" for n in range(5))
    assert client.mail(address(store, multi=True), mail(numbers)) == (
        "554 5.5.3 70 More than 4 numbers in one request"
    )


def test_a_limit_of_the_key_is_for_now_only(store: Store, client: Client) -> None:
    to = address(store, rate=Rate.parse("1/min"))
    assert client.mail(to, mail(body="one")).startswith("250 ")
    assert client.mail(to, mail(body="two")) == (
        "451 4.7.1 100 Exceeding the limit of one SMS per minute"
    )
    assert sent(store) == [(NUMBER, "one")]


def test_a_repeat_by_its_message_id_sends_nothing(store: Store, client: Client) -> None:
    to, other = address(store, rate=Rate.parse("1/min")), address(store, "other")
    first = client.mail(to, mail(id="1@example.org"))
    assert first.startswith("250 2.0.0 0 ")
    assert client.mail(to, mail(id="1@example.org")) == first
    assert client.mail(to, b"Received: by x\r\n" + mail(id="1@example.org")) == first
    assert sent(store) == [(NUMBER, "Hello")]
    # With other content, or for another key, it is another message.
    assert client.mail(to, mail(id="1@example.org", body="Bye")).startswith("451 4.7.1 100 ")
    assert client.mail(other, mail(id="1@example.org")).startswith("250 2.0.0 0 ")
    # Without a Message-ID nothing can be known.
    assert client.mail(other, mail()).startswith("250 2.0.0 0 ")
    assert client.mail(other, mail()).startswith("250 2.0.0 0 ")
    assert len(sent(store)) == 4


@on_sqlite
@pytest.mark.parametrize("name", ["postfix-bounce", "gmail-vacation", "exchange-out-of-office"])
def test_reports_and_answers_by_machines_vanish(store: Store, client: Client, name: str) -> None:
    octets = (RECORDED / f"{name}.eml").read_bytes()
    answer = client.mail(address(store), octets, sender="")
    assert answer == "250 2.0.0 Discarded: an automatic answer becomes no SMS"
    assert sent(store) == []


TEXTS_THAT_STAY = [
    "Temperature\n> 40 C in room 2",
    "Facture\nDe : 100 EUR\nDate : 12/12/2026\nÀ : payer",
    "Menu:\n--\nSoup",
    "FYI\n\n---------- Forwarded message ---------\nFrom: J <j@example.org>\n\nThe lift is out",
    "> only quoted",
]


def test_a_text_that_quotes_nothing_is_sent_whole(store: Store, client: Client) -> None:
    to = address(store)
    for words in TEXTS_THAT_STAY:
        assert client.mail(to, mail(body=words.replace("\n", "\r\n"))).startswith("250 ")
    assert [words for _, words in sent(store)] == TEXTS_THAT_STAY


def test_a_key_may_ask_for_bodies_as_they_are(store: Store, client: Client) -> None:
    answer = "Yes\r\n\r\nOn 5 Jan 2026 at 10:00, Jean <a@b.c> wrote:\r\n> Now?\r\n-- \r\nMarie"
    new, whole = address(store), address(store, "whole", mail_whole=True)
    for to in (new, whole):
        assert client.mail(to, mail(f"Re: {NUMBER}", answer)).startswith("250 ")
    with store.write() as connection:
        account_statements.change(connection, "acme", mail_whole=True)
    assert client.mail(new, mail(f"Re: {NUMBER}", answer)).startswith("250 ")
    everything = answer.replace("\r\n", "\n").replace("-- \n", "--\n")
    assert [words for _, words in sent(store)] == ["Yes", everything, everything]


MACHINES = (
    "Auto-Submitted: auto-generated\r\nPrecedence: bulk\r\nList-Unsubscribe: <mailto:a@b>\r\n"
)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({}, "554"),
        ({"mail_senders": frozenset({"jean@example.org"})}, "250"),
        ({"mail_senders": frozenset({"@example.com"})}, "554"),
        ({"mail_senders": frozenset({"jean@example.org"}), "mail_machines": False}, "554"),
        ({"mail_machines": True}, "250"),
    ],
)
def test_alerts_of_machines_are_taken_by_choice_of_the_key(
    store: Store, client: Client, options: dict[str, Any], status: str
) -> None:
    to = address(store, **options)
    assert client.mail(to, MACHINES.encode() + mail(body="disk full")).startswith(status)
    assert sent(store) == ([(NUMBER, "disk full")] if status == "250" else [])
    # What a machine answers by itself becomes no SMS whatever the key says.
    for header, answer in {
        "Auto-Submitted: auto-replied\r\n": "250 2.0.0 Discarded",
        "X-Autoreply: yes\r\n": "250 2.0.0 Discarded",
        "Precedence: list\r\n": "554 5.6.0 7 An automatic mail",
    }.items():
        assert client.mail(to, header.encode() + mail(body="away")).startswith(answer)
    assert client.mail(to, MACHINES.encode() + mail(body="x"), sender="").startswith("250 2.0.0 D")
    assert len(sent(store)) == (status == "250")


def test_a_subject_may_have_what_programs_and_people_put_around_a_number(
    store: Store, client: Client
) -> None:
    to = address(store, multi=True)
    for subject in (
        f"[EXTERNAL] {NUMBER}",
        f"RV: {NUMBER}",
        f"SMS to tel:{NUMBER}",
        f'WG: R: "Dupont, Jean" <{NUMBER}>, Marie <+32494000002>',
    ):
        assert client.mail(to, mail(subject)).startswith("250 "), subject
    assert [number for number, _ in sent(store)] == [NUMBER] * 4 + ["+32494000002"]


@on_sqlite
@pytest.mark.parametrize("name", ["mailman-list", "cron"])
def test_lists_and_automatic_mails_are_refused(store: Store, client: Client, name: str) -> None:
    octets = (RECORDED / f"{name}.eml").read_bytes()
    assert client.mail(address(store), octets).startswith("554 5.6.0 7 An automatic mail, or one")
    assert sent(store) == []


def test_a_key_may_say_who_may_write_to_it(store: Store, client: Client) -> None:
    to = address(store, mail_senders=frozenset({"jean@example.org", "@example.com"}))
    for sender, status in {
        "jean@example.org": "250",
        "JEAN@Example.org": "250",
        "anybody@example.com": "250",
        "marie@example.org": "554",
        "jean@example.org.evil.example": "554",
        "anybody@sub.example.com": "554",
        "@example.com": "5",
    }.items():
        assert client.mail(to, mail(), sender).startswith(status), sender
    assert client.mail(to, mail(), "marie@example.org") == (
        "554 5.6.0 7 This sender may not write to this address"
    )
    # What a header says counts for nothing.
    forged = b"From: jean@example.org\r\nSender: jean@example.org\r\n" + mail()
    assert client.mail(to, forged, "marie@example.org").startswith("554 ")
    assert len(sent(store)) == 3


@on_sqlite
def test_starttls_begins_anew_and_nobody_logs_in(store: Store, tmp_path: Path) -> None:
    cert, key = self_signed(tmp_path, DOMAIN)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    to = address(store)
    with mail_face.serve(store, tls=context) as face, Client(face.port) as client:
        assert "250-STARTTLS" in client.say("EHLO client.example.org").splitlines()
        assert client.say("AUTH PLAIN AGEAYg==")[0] == "5"
        # What was said in the clear after STARTTLS is not taken for said under TLS.
        client.send(b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n")
        assert client.answer().startswith("220")
        client.socket = ssl.create_default_context(cafile=str(cert)).wrap_socket(
            client.socket, server_hostname=DOMAIN
        )
        client._file = client.socket.makefile("rb")
        assert client.say(f"RCPT TO:<{to}@{DOMAIN}>").startswith("503 ")
        greeting = client.say("EHLO client.example.org")
        assert "STARTTLS" not in greeting
        assert "AUTH" not in greeting
        assert client.say("AUTH PLAIN AGEAYg==")[0] == "5"
        assert client.mail(to, MAIL).startswith("250 2.0.0 0 ")
        with smtplib.SMTP("127.0.0.1", face.port) as smtp:
            smtp._host = DOMAIN  # type: ignore[attr-defined]
            smtp.starttls(context=ssl.create_default_context(cafile=str(cert)))
            smtp.sendmail("jean@example.org", f"{to}@{DOMAIN}", mail(body="by smtplib"))
    assert [words for _, words in sent(store)] == ["Hello", "by smtplib"]


@on_sqlite
def test_a_handshake_that_is_none_ends_the_connection_and_is_no_error(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = self_signed(tmp_path, DOMAIN)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    caplog.set_level(logging.INFO)
    with mail_face.serve(store, tls=context) as face:
        with Client(face.port) as client:
            assert client.say("STARTTLS").startswith("220")
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            assert client.is_closed()
        # A client that does not trust the certificate, and one that goes away.
        with Client(face.port) as client:
            assert client.say("STARTTLS").startswith("220")
            with pytest.raises(ssl.SSLError):
                ssl.create_default_context().wrap_socket(client.socket, server_hostname=DOMAIN)
        with Client(face.port) as client:
            assert client.say("STARTTLS").startswith("220")
        wait_for(lambda: face.connections() == 0, 60)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert "STARTTLS failed" in caplog.text


@pytest.mark.parametrize(
    "begins",
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /sendsms/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n",
        b"\r\nOPTIONS * HTTP/1.0\r\n",
        b"CONNECT mail.example.com:25 HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"BREW /pot HTTP/1.1\r\n",
        b"GET http://sms.example.com/ HTTP/1.1\r\n",
        # Longer than any command, without an end.
        b"GET /" + b"a" * 5_000,
    ],
    ids=lambda begins: begins[:16].decode().strip(),
)
@on_sqlite
def test_http_ends_the_connection_before_the_mail_in_it_is_heard(
    store: Store, face: MailFace, begins: bytes
) -> None:
    to = address(store)
    hidden = f"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<{to}@{DOMAIN}>\r\nDATA\r\n".encode()
    for pieces in ([begins + hidden + MAIL + b"\r\n.\r\n"], [begins[:1], begins[1:], hidden]):
        with Client(face.port, greet=False) as client:
            for piece in pieces:
                try:
                    client.send(piece)
                except OSError:  # it is gone already
                    break
                time.sleep(0.1)
            assert client.is_closed()
    # Not only at the beginning.
    with Client(face.port) as client:
        assert client.say("EHLO client.example.org").startswith("250")
        client.send(b"POST / HTTP/1.1\r\n" + hidden)
        assert client.is_closed()
    assert sent(store) == []


@on_sqlite
def test_a_mail_may_begin_as_http_does(store: Store, client: Client) -> None:
    text = b"Subject: +32494000001\r\n\r\nGET / HTTP/1.1"
    assert client.mail(address(store), text).startswith("250 2.0.0 0 ")
    assert sent(store) == [(NUMBER, "GET / HTTP/1.1")]


@on_sqlite
def test_without_a_certificate_there_is_no_starttls(client: Client) -> None:
    assert "STARTTLS" not in client.say("EHLO client.example.org")
    assert client.say("STARTTLS")[0] in "45"


@on_sqlite
def test_a_mail_that_is_too_large_is_refused_as_soon_as_it_is_known(store: Store) -> None:
    to = address(store)
    with mail_face.serve(store, max_size=10_000) as face, Client(face.port) as client:
        assert "250-SIZE 10000" in client.say("EHLO client.example.org").splitlines()
        assert client.say("MAIL FROM:<a@example.org> SIZE=10001").startswith("552 ")
        large = mail() + b"\r\n" + b"x" * 70 * 200
        lines = re.sub(rb"(x{70})", rb"\1\r\n", large)
        answer = client.mail(to, lines)
        assert answer == "552 5.3.4 The mail is too large, at most 10000 octets"
        assert client.mail(to, mail()).startswith("250 ")
        # Nobody listens to it for long.
        assert client.begin(to).startswith("354")
        try:
            for _ in range(1_000):
                client.send(b"x" * 70 + b"\r\n")
        except ConnectionError:
            pass
        assert client.is_closed()
    assert len(sent(store)) == 1


@on_sqlite
def test_a_line_that_is_too_long_is_refused(store: Store, client: Client) -> None:
    to = address(store)
    for length in (1_000, 1_001, 2_000, 5_000):
        octets = mail() + b"\r\n" + b"x" * length + b"\r\nend"
        assert client.mail(to, octets).startswith("554 5.6.0 A line is too long"), length
    assert client.mail(to, mail() + b"\r\n-- \r\n" + b"x" * 998).startswith("250 ")
    assert client.say("NOOP " + "x" * 600).startswith("500 ")
    assert client.say("NOOP " + "x" * 5_000).startswith("500 ")
    assert client.say("NOOP").startswith("250 ")


END_OF_DATA_BY_NO_STANDARD = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r\n\x00.\r\n",
    b"\n\n.\r\n\n",
]


@on_sqlite
@pytest.mark.parametrize("end", END_OF_DATA_BY_NO_STANDARD)
def test_no_second_mail_is_smuggled_in_behind_a_false_end(
    store: Store, client: Client, end: bytes
) -> None:
    to = address(store)
    assert client.begin(to).startswith("354")
    second = f"MAIL FROM:<evil@example.org>\r\nRCPT TO:<{to}@{DOMAIN}>\r\nDATA\r\n".encode()
    client.send(mail(body="first") + end + second + mail(body="second") + b"\r\n.\r\n")
    answer = client.answer()
    assert answer.startswith("554 5.6.0 ")
    if b"\0" not in end:
        assert "Lines have to end in CR LF" in answer
    # There was one mail, so there is one answer.
    assert client.say("NOOP") == "250 OK"
    assert sent(store) == []


@on_sqlite
def test_dots_are_unstuffed(store: Store, client: Client) -> None:
    assert client.mail(address(store), mail(body="..dot\r\n...\r\nend")).startswith("250 ")
    assert sent(store) == [(NUMBER, ".dot\n..\nend")]


@on_sqlite
def test_commands_may_come_all_at_once(store: Store, face: MailFace) -> None:
    to = address(store)
    with Client(face.port, greet=False) as client:
        client.send(
            f"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<{to}@{DOMAIN}>\r\nDATA\r\n".encode()
            + MAIL
            + b"\r\n.\r\nQUIT\r\n"
        )
        answers = [client.answer()[:3] for _ in range(7)]
    assert answers == ["220", "250", "250", "250", "354", "250", "221"]
    assert sent(store) == [(NUMBER, "Hello")]


@on_sqlite
def test_a_network_has_so_many_connections_and_no_more(store: Store) -> None:
    limits = {"max_connections": 3, "max_connections_per_network": 2}
    with mail_face.serve(store, **limits) as face, Client(face.port) as first, Client(face.port):
        with Client(face.port, greet=False) as third:
            assert third.answer().startswith("421 4.7.0 Too many connections")
            assert third.is_closed()
        assert first.say("NOOP") == "250 OK"
        assert first.say("QUIT") == "221 Bye"
        wait_for(lambda: face.connections() == 1, 60)
        with Client(face.port) as fourth:
            assert fourth.say("NOOP") == "250 OK"


@on_sqlite
def test_a_network_may_begin_so_many_mails_a_minute(store: Store) -> None:
    to = address(store)
    too_many = "451 4.7.1 Too many mails from your network, try again later"
    with mail_face.serve(store, mails_per_minute=4) as face, Client(face.port) as client:
        assert client.mail(to, mail()).startswith("250 ")
        # An address that does not exist counts twice: guesses are dear.
        assert client.mail("1000000000000000", mail()).startswith("550 ")
        assert client.mail(to, mail()).startswith("250 ")
        assert client.mail(to, mail()) == too_many
        with Client(face.port) as other:
            assert other.mail(to, mail()) == too_many
    assert len(sent(store)) == 2
    with mail_face.serve(store, mails_per_minute=0) as face, Client(face.port) as client:
        for _ in range(10):
            assert client.mail(to, mail()).startswith("250 ")


@on_sqlite
def test_a_client_that_makes_mistake_after_mistake_is_sent_away(face: MailFace) -> None:
    with Client(face.port) as client:
        for _ in range(MOST_ERRORS):
            assert client.say("")[0] == "5"
        assert client.answer() == "421 4.7.0 Too many errors"
        assert client.is_closed()


@on_sqlite
@pytest.mark.parametrize(
    "octets",
    [
        b"\r\n" * 50,
        b"\x00" * 5_000 + b"\r\n",
        b"\xff\xfe\r\n",
        b"MAIL FROM:<\r\n",
        b"MAIL FROM:<" + b"(" * 400 + b">\r\n",
        b"MAIL FROM:<\xff@\xff>\r\n",
        b"MAIL FROM:<a@[aaa\r\nMAIL FROM:<a@[\t\r\n",
        b"MAIL FROM:<a@b> SIZE=99999999999999999999\r\n",
        b"MAIL FROM:<a@b> BODY=BINARYMIME\r\n",
        b"RCPT TO:<a@b>\r\nDATA\r\n",
        b"MAIL FROM:<a@b>\r\nRCPT TO:<\r\nRCPT TO:<@>\r\nRCPT TO:<\x00@sms.example.com>\r\n",
        b"MAIL FROM:<a@b>\r\nRCPT TO:<\xc3\xa9@sms.example.com>\r\nDATA\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n",
        b"HELP\r\nVRFY a\r\nEXPN a\r\nTURN\r\nAUTH\r\n",
        b"NOOP\r\n" * 1_500,
    ],
)
def test_whatever_a_client_says_others_are_served(
    store: Store, face: MailFace, octets: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Client(face.port) as client:
        try:
            client.send(octets)
            client.send(b"QUIT\r\n")
        except ConnectionError:
            pass
        assert client.is_closed()
    with Client(face.port) as client:
        assert client.mail(address(store), MAIL).startswith("250 ")
    wait_for(lambda: face.connections() == 0, 60)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@on_sqlite
def test_a_client_that_says_nothing_is_sent_away(store: Store) -> None:
    to = address(store)
    with mail_face.serve(store, timeout=300) as face:
        with Client(face.port, greet=False) as silent, Client(face.port) as halfway:
            assert silent.answer().startswith("220")
            assert halfway.begin(to).startswith("354")
            halfway.send(b"Subject: ")
            face.pass_(301)
            assert silent.answer() == "421 4.4.2 Timeout"
            assert silent.is_closed()
            assert halfway.answer() == "421 4.4.2 Timeout"
            assert halfway.is_closed()
        # Nor does one stay that asks and asks, and never reads an answer.
        with Client(face.port) as deaf:
            deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            deaf.send(b"HELP\r\n" * 15)

            def is_sent_away() -> bool:
                face.pass_(301)
                return face.connections() == 0

            wait_for(is_sent_away, 60)
    assert sent(store) == []


@on_sqlite
def test_a_client_that_goes_away_in_the_middle_leaves_nothing(store: Store, face: MailFace) -> None:
    to = address(store)
    with Client(face.port) as client:
        assert client.begin(to).startswith("354")
        client.send(MAIL)
    wait_for(lambda: face.connections() == 0, 60)
    assert sent(store) == []


@pytest.mark.parametrize("patient", [True, False])
def test_a_stop_answers_what_was_taken_and_sends_all_others_away(
    store: Store, face: MailFace, patient: bool
) -> None:
    _, account = accounts.create(store)
    with Client(face.port) as idle, Client(face.port) as sending, Client(face.port) as begun:
        assert begun.begin(account.mail_address).startswith("354")
        begun.send(b"Subject: ")
        assert sending.begin(account.mail_address).startswith("354")
        with store.write() as connection:
            # The gateway waits for this row, or for the whole database.
            account_statements.current(connection, [account.id], lock=True)
            sending.send(MAIL + b"\r\n.\r\n")
            sending.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                sending.socket.recv(1)
            sending.socket.settimeout(60)
            stopping = face.stop(grace=10 if patient else 0.1)
            assert idle.answer() == "421 4.3.2 The service stops, try again later"
            assert idle.is_closed()
            assert begun.answer() == "421 4.3.2 The service stops, try again later"
            assert begun.is_closed()
            if patient:
                assert stopping.is_alive()
            else:
                assert sending.is_closed()
        if patient:
            stream = sending.socket.makefile("rb")
            assert stream.readline().startswith(b"250 2.0.0 0 ")
            assert stream.readline().startswith(b"421 4.3.2 ")
            stream.close()
        stopping.join()
        with pytest.raises(ConnectionError):
            Client(face.port)
    # Taken or not, it is in the database: without an answer the client sends it once more, and
    # then its Message-ID tells.
    wait_for(lambda: sent(store) == [(NUMBER, "Hello")], 60)


def test_the_log_shows_no_address_number_or_text(
    store: Store, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    to = address(store)
    client.mail(to, mail(body="a secret text"))
    client.mail(to, mail("+3249400000", body="a secret text"))
    client.mail(to, b"Auto-Submitted: auto-replied\r\n" + mail(body="a secret text"))
    client.mail("1000000000000000", mail(body="a secret text"))
    client.say("a secret text " + to)
    with store.write() as connection:
        connection.execute(text("ALTER TABLE account RENAME TO account_away"))
    client.mail(to, mail(body="a secret text"))
    records = [record.__dict__ for record in caplog.records if record.name != "asyncio"]
    assert [record["message"] for record in records] == [
        "mail answered",
        "mail answered",
        "mail without SMS",
        "address cannot be looked up",
    ]
    for secret in (to, NUMBER, "32494", "secret", "jean", "example.org"):
        assert secret not in str(records)
    assert to[-4:] in str(records)


def test_many_clients_at_once_each_get_the_answer_to_their_own_mail(
    store: Store, face: MailFace
) -> None:
    to, answers = address(store), {}

    def run(number: int) -> None:
        with Client(face.port) as client:
            for each in range(5):
                body = f"{number} {each}"
                answers[body] = client.mail(to, mail(body=body))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as connection:
        rows = connection.execute(select(tables.message.c.id, tables.message.c.text))
        stored = {row.text: row.id for row in rows}
    assert len(stored) == 60
    assert {body: answer[-33:-1] for body, answer in answers.items()} == stored
