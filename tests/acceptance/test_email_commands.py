"""The e-mail face as it is run: `mail` alone, in `serve`, and what `key` says of addresses."""

import json
import logging
import os
import re
import signal
import smtplib
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from support import accounts, command
from support.certificates import self_signed
from support.running import serve, wait_for

from sms_gateway import log
from sms_gateway.cli import main
from sms_gateway.store import Store, tables

DOMAIN = "sms.example.com"
MAIL = b"Subject: +32494000000\r\nMessage-ID: <1@example.org>\r\n\r\nHello"


Sendsmsnow = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sendsmsnow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], database: str
) -> Iterator[Sendsmsnow]:
    """Runs a command in this process: exit status and what it wrote."""
    loggers = [logging.getLogger(name) for name in ("", *log.OURS)]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    for name in set(os.environ) - set(command.environment()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("SENDSMSNOW_DATABASE_URL", database)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sendsmsnow", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out, captured.err

    yield run
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def test_a_key_shows_its_address_and_who_may_write_to_it(
    sendsmsnow: Sendsmsnow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDSMSNOW_MAIL_DOMAIN", DOMAIN)
    made = json.loads(sendsmsnow("key", "create", "acme", "--json")[1])
    assert re.fullmatch(rf"[0-9]{{16}}@{DOMAIN}", made["mail_address"])
    assert made["mail_senders"] is None
    shown = sendsmsnow("key", "set", "acme", "--mail-senders", "A@b.example, @C.example")[1]
    assert "mail from  @c.example,a@b.example\n" in shown
    assert f"mail       {made['mail_address']}\n" in shown
    assert "mail from  any\n" in sendsmsnow("key", "set", "acme", "--mail-senders", "any")[1]
    assert "mail body  new\nmachines   listed\n" in shown
    shown = sendsmsnow("key", "set", "acme", "--mail-body", "whole", "--mail-machines", "on")[1]
    assert "mail body  whole\nmachines   on\n" in shown
    shown = sendsmsnow("key", "set", "acme", "--mail-body", "new", "--mail-machines", "off")[1]
    assert "mail body  new\nmachines   off\n" in shown
    made = json.loads(sendsmsnow("key", "set", "acme", "--mail-machines", "listed", "--json")[1])
    assert (made["mail_body"], made["mail_machines"]) == ("new", "listed")
    # Without a domain the address is the digits alone.
    monkeypatch.delenv("SENDSMSNOW_MAIL_DOMAIN")
    digits = made["mail_address"].partition("@")[0]
    assert f"mail       {digits}\n" in sendsmsnow("key", "show", "acme")[1]
    # A list of all keys shows nothing to send with.
    for words in (["key", "list"], ["key", "list", "--json"]):
        status, listed, _ = sendsmsnow(*words)
        assert (status, digits in listed) == (0, False)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("senders", ["", "b.example", "a@", "a@b@c", "a@b..c", "any,a@b.example"])
def test_a_writer_is_an_address_or_a_domain(sendsmsnow: Sendsmsnow, senders: str) -> None:
    status, _, complaint = sendsmsnow("key", "set", "acme", "--mail-senders", senders)
    assert status == 2
    assert complaint.startswith(f"sendsmsnow key set: --mail-senders {senders!r}: allowed: ")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_mail_command_wants_to_know_where_to_listen(sendsmsnow: Sendsmsnow) -> None:
    assert sendsmsnow("mail") == (
        2,
        "",
        "sendsmsnow: mail_bind is not set: it says where mails come in\n",
    )


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_mail_command_takes_mails_with_starttls_and_stops_cleanly(
    tmp_path: Path, database: str, store: Store
) -> None:
    cert, private = self_signed(tmp_path, DOMAIN)
    settings = {
        "database_url": database,
        "mail_bind": "127.0.0.1:0",
        "mail_domain": DOMAIN,
        "mail_certfile": str(cert),
        "mail_keyfile": str(private),
    }
    to = f"{accounts.create(store)[1].mail_address}@{DOMAIN}"
    with command.running("mail", **settings) as mail:
        mail.wait_for(
            r" listening  bind=127\.0\.0\.1:[0-9]+ domain=sms\.example\.com starttls=True"
        )
        port = int(re.findall(r"bind=127\.0\.0\.1:([0-9]+)", mail.output())[0])
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as smtp:
            smtp._host = DOMAIN  # type: ignore[attr-defined]
            smtp.starttls(context=ssl.create_default_context(cafile=str(cert)))
            assert smtp.sendmail("jean@example.org", [to], MAIL) == {}
            assert mail.stop(signal.SIGTERM) == 0
            # Whoever is still there is told.
            assert smtp.noop()[0] == 421
        assert "ERROR" not in mail.output()


def test_the_whole_gateway_delivers_a_mail(tmp_path: Path, database: str, store: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = {"mail_bind": f"127.0.0.1:{port}", "mail_domain": DOMAIN}
    with serve(tmp_path, database, **settings) as gateway:
        gateway.create_key("--mail-senders", "@example.org")
        shown = gateway.run("key", "show", "acme")
        to = re.findall(rf"^mail       ([0-9]{{16}}@{DOMAIN})$", shown, re.M)[0]
        assert "mail from  @example.org\n" in shown
        octets = MAIL
        # The socket is the supervisor's: nobody is refused while the process is away.
        gateway.kill("mail")
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as smtp:
            assert smtp.sendmail("jean@example.org", [to], octets) == {}
            with pytest.raises(smtplib.SMTPDataError) as refused:
                smtp.sendmail("jean@example.com", [to], octets)
        assert refused.value.smtp_code == 554
        said: Any = refused.value.smtp_error  # bytes
        assert said.endswith(b"This sender may not write to this address")
        wait_for(lambda: delivered(store) == 1, 30)
        id = stored_id(store)
        assert "delivered" in gateway.run("message", "show", id)
        assert set(gateway.children()) == {"web", "worker", "mail"}
    assert "mail answered" in (tmp_path / "serve.log").read_text("utf-8")
    assert to.partition("@")[0] not in (tmp_path / "serve.log").read_text("utf-8")


def delivered(store: Store) -> int:
    with store.read() as connection:
        query = select(func.count()).where(tables.delivery.c.state == "delivered")
        count: int = connection.execute(query).scalar_one()
    return count


def stored_id(store: Store) -> str:
    with store.read() as connection:
        id: str = connection.execute(select(tables.message.c.id)).scalar_one()
    return id
