"""The command line: what it prints, what it changes, and how it ends."""

import io
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from support import command, queued

from sms_gateway import __version__, log
from sms_gateway.accounts import Account, Rate, key_hash
from sms_gateway.cli import COMMANDS, deleting, main
from sms_gateway.settings import reference
from sms_gateway.signup.requests import Signup
from sms_gateway.store import Store, accounts, counts, deletion, engine, inbox, tables


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


Sendsmsnow = Callable[..., Ended]


@pytest.fixture
def sendsmsnow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Sendsmsnow]:
    """Runs a command in this process, with no settings but those a test adds."""
    loggers = [logging.getLogger(name) for name in ("", *log.OURS)]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    for name in set(command.os.environ) - set(command.environment()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["sendsmsnow", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, captured.out, captured.err)

    yield run
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture
def keys(sendsmsnow: Sendsmsnow, monkeypatch: pytest.MonkeyPatch, database: str) -> Sendsmsnow:
    """`sendsmsnow key …`, on each kind of database."""
    monkeypatch.setenv("SENDSMSNOW_DATABASE_URL", database)
    return lambda *arguments: sendsmsnow("key", *arguments)


def stored(store: Store, name: str) -> Account:
    with store.read() as connection:
        account = accounts.by_name(connection, name)
    assert account is not None
    return account


GROUPS = {
    "key": ["create", "list", "show", "set", "enable", "disable", "rotate", "address", "delete"],
    "message": ["show"],
    "number": ["assign", "list", "release", "unowned"],
}


@pytest.mark.parametrize(
    "words",
    [[], *([name] for name in COMMANDS), *([g, name] for g in GROUPS for name in GROUPS[g])],
    ids=" ".join,
)
def test_every_command_has_its_help(sendsmsnow: Sendsmsnow, words: list[str]) -> None:
    ended = sendsmsnow(*words, "--help")
    assert ended.status == 0
    assert ended.out.startswith(f"Usage: {' '.join(['sendsmsnow', *words])} ")
    assert "--lifeline" not in ended.out


def test_the_version_is_that_of_the_package(sendsmsnow: Sendsmsnow) -> None:
    assert sendsmsnow("--version") == Ended(0, f"sendsmsnow {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["fly"], "sendsmsnow: No such command 'fly'. (see sendsmsnow --help)"),
        (["key", "create"], "sendsmsnow key create: Missing argument 'NAME'. (see"),
        (["serve", "--port", "1"], "sendsmsnow serve: No such option"),
        (["send", "1", "Hello"], "sendsmsnow send: Missing option '--apikey'. (see"),
        (["soap"], "sendsmsnow soap: Missing option '--backend'. (see"),
        (["serve", "--bind", "here"], "sendsmsnow: bind = 'here' (from --bind) is wrong; allowed:"),
        (
            ["web", "--workers", "0"],
            "sendsmsnow: workers = '0' (from --workers) is wrong; allowed:",
        ),
        (
            ["--config", "/no/file", "worker"],
            "sendsmsnow: config = '/no/file': No such file or dir",
        ),
        (
            ["migrate", "--config", "/no/file"],
            "sendsmsnow: config = '/no/file': No such file or dir",
        ),
        (["soap", "--backend", "ftp://u:p@h"], "sendsmsnow: --backend 'ftp://u:***@h': is no http"),
        (["key", "create", "a", "--rate", "5"], "sendsmsnow key create: --rate '5': a rate is wri"),
        (["key", "create", "a", "--countries", "XX"], "sendsmsnow key create: --countries 'XX': "),
        (["key", "create", "a", "--countries", ""], "sendsmsnow key create: --countries '': a cou"),
        (["key", "create", "a", "--sender", "longer than 11"], "sendsmsnow key create: --sender "),
        (["key", "create", " "], "sendsmsnow key create: NAME has 1 to 100 characters"),
        (["key", "set", "a"], "sendsmsnow key set: say what to change: --multi,"),
    ],
)
def test_wrong_use_is_told_in_one_line_and_ends_with_status_2(
    sendsmsnow: Sendsmsnow, arguments: list[str], line: str
) -> None:
    ended = sendsmsnow(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(line)
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("name", ["serve", "web", "worker", "soap", "migrate", "key", "settings"])
def test_a_wrong_setting_stops_every_command_with_one_line_and_status_2(
    sendsmsnow: Sendsmsnow, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SENDSMSNOW_DATABASE_URL", "mysql://me:hunter2@host/sms")
    more = {"soap": ["--backend", "http://h"], "key": ["list"]}
    ended = sendsmsnow(name, *more.get(name, []))
    assert ended == Ended(
        2,
        "",
        "sendsmsnow: database_url = 'mysql://me:***@host/sms' (from SENDSMSNOW_DATABASE_URL) is "
        "wrong; allowed: sqlite:///FILE (sqlite:////FILE from the root) or "
        "postgresql://USER:PASSWORD@HOST/NAME, with several hosts HOST:PORT,HOST:PORT\n",
    )


@pytest.mark.parametrize("name", ["serve", "worker"])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sandbox:?colour=red", "colour: no such parameter"),
        ("smpp://me:hunter2@host:2775?window=0", "window=0: allowed is 1 to 10000"),
        ("smpps://me:hunter2@host?cafile=/no/file", "cafile"),
    ],
)
def test_an_upstream_that_is_described_wrongly_is_told(
    sendsmsnow: Sendsmsnow, monkeypatch: pytest.MonkeyPatch, name: str, url: str, reason: str
) -> None:
    sendsmsnow("migrate")
    monkeypatch.setenv("SENDSMSNOW_UPSTREAM", url)
    ended = sendsmsnow(name)
    assert (ended.status, ended.out) == (2, "")
    last = ended.err.splitlines()[-1]
    assert last.startswith("sendsmsnow: upstream = ")
    assert reason in last
    assert "hunter2" not in ended.err


def test_a_database_is_made_by_migrate_and_by_nothing_else(
    sendsmsnow: Sendsmsnow, tmp_path: Path
) -> None:
    file = tmp_path / "sendsmsnow/sendsmsnow.sqlite3"
    for arguments in (["key", "list"], ["web"], ["worker"], ["message", "show", "x"]):
        ended = sendsmsnow(*arguments)
        assert ended == Ended(
            1, "", f"sendsmsnow: there is no database {file}; run sendsmsnow migrate\n"
        )
    assert not file.parent.exists()

    assert re.fullmatch(rf"sqlite:///{file}: now at \d+\n", sendsmsnow("migrate").out)
    assert sendsmsnow("migrate") == Ended(0, f"sqlite:///{file}: up to date\n", "")
    assert sendsmsnow("key", "list").status == 0


def test_a_database_of_another_schema_is_not_touched(
    sendsmsnow: Sendsmsnow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "empty.sqlite3"
    file.touch()
    monkeypatch.setenv("SENDSMSNOW_DATABASE_URL", f"sqlite:///{file}")
    ended = sendsmsnow("key", "list")
    assert (ended.status, ended.out) == (1, "")
    assert "is not at the schema of this version" in ended.err
    assert ended.err.endswith("run sendsmsnow migrate\n")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite:////proc/no/such/file.sqlite3", "No such file or directory"),
        ("postgresql://me:hunter2@127.0.0.1:1/sms", "onnection refused"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_in_one_line(
    sendsmsnow: Sendsmsnow, monkeypatch: pytest.MonkeyPatch, url: str, reason: str
) -> None:
    monkeypatch.setenv("SENDSMSNOW_DATABASE_URL", url)
    ended = sendsmsnow("migrate")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("sendsmsnow: the database ")
    assert reason in ended.err
    assert ended.err.count("\n") == 1
    assert "hunter2" not in ended.err


def test_a_new_key_is_printed_alone_and_has_the_free_options(
    keys: Sendsmsnow, store: Store
) -> None:
    ended = keys("create", "acme")
    assert (ended.status, ended.err) == (0, "")
    assert re.fullmatch(r"[0-9a-f]{40}\n", ended.out)
    account = stored(store, "acme")
    assert account.enabled
    assert not account.multi
    assert not account.test
    assert account.rate == Rate(1, 60_000)
    assert account.countries is None
    assert account.sender == ""
    with store.read() as connection:
        assert accounts.by_key(connection, key_hash(ended.out.strip()), 0) == account


def test_a_new_key_has_the_options_it_is_given(keys: Sendsmsnow, store: Store) -> None:
    options = ["--multi", "--rate", "20/s", "--countries", "be, FR", "--sender", "ACME", "--test"]
    made = json.loads(keys("create", "acme", *options, "--json").out)
    account = stored(store, "acme")
    assert account.multi
    assert account.test
    assert account.rate == Rate(20, 1_000)
    assert account.countries == frozenset({"BE", "FR"})
    assert account.sender == "ACME"
    key = made.pop("key")
    assert key.endswith(made["key_hint"])
    assert made == json.loads(keys("show", "acme", "--json").out)
    assert made["countries"] == ["BE", "FR"]
    assert made["rate"] == "20/s"


@pytest.mark.parametrize(
    ("given", "shown"),
    [("ACME, +8000", ["8000", "ACME"]), ("any", ["any"]), ("none", [])],
)
def test_a_key_is_told_which_senders_its_requests_may_name(
    keys: Sendsmsnow, store: Store, given: str, shown: list[str]
) -> None:
    assert json.loads(keys("create", "acme", "--senders", "Before", "--json").out)["senders"]
    assert keys("set", "acme", "--senders", given).status == 0
    assert json.loads(keys("show", "acme", "--json").out)["senders"] == shown
    for sender, may in (("8000", given != "none"), ("Before", given == "any")):
        assert stored(store, "acme").may_show(sender) is may


def test_a_name_is_given_once(keys: Sendsmsnow) -> None:
    assert keys("create", "acme").status == 0
    assert keys("create", "acme") == Ended(
        1, "", "sendsmsnow: there is a key named 'acme' already\n"
    )
    assert len(json.loads(keys("list", "--json").out)) == 1


def test_what_is_not_named_stays_as_it_is(keys: Sendsmsnow, store: Store) -> None:
    keys("create", "acme", "--multi", "--countries", "BE", "--sender", "32494000000")
    ended = keys("set", "acme", "--rate", "none", "--countries", "all")
    assert ended.status == 0
    assert "rate       none\n" in ended.out
    account = stored(store, "acme")
    assert account.rate is None
    assert account.countries is None
    assert account.multi
    assert account.sender == "32494000000"

    keys("set", "acme", "--no-multi", "--sender", "")
    account = stored(store, "acme")
    assert not account.multi
    assert account.sender == ""
    assert account.rate is None


def test_a_key_is_disabled_and_enabled(keys: Sendsmsnow, store: Store) -> None:
    keys("create", "acme")
    assert "enabled    no\n" in keys("disable", "acme").out
    assert not stored(store, "acme").enabled
    assert "enabled    yes\n" in keys("enable", "acme").out
    assert stored(store, "acme").enabled


@pytest.mark.parametrize("verb", ["show", "enable", "disable"])
def test_a_key_that_does_not_exist_is_told(keys: Sendsmsnow, verb: str) -> None:
    assert keys(verb, "nobody") == Ended(
        1, "", "sendsmsnow: there is no key named 'nobody'; sendsmsnow key list shows all\n"
    )


def test_all_keys_are_listed_without_the_keys_themselves(keys: Sendsmsnow) -> None:
    made = [keys("create", name, "--rate", "100/h").out.strip() for name in ("b", "a")]
    ended = keys("list")
    lines = ended.out.splitlines()
    assert lines[0].split()[:3] == ["NAME", "KEY", "ENABLED"]
    assert [line.split()[0] for line in lines[1:]] == ["a", "b"]
    assert "100/h" in lines[1]
    assert not any(key in ended.out for key in made)


def test_the_settings_are_shown_with_their_origin_and_their_reference(
    sendsmsnow: Sendsmsnow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('upstream = "smpp://me:hunter2@smsc"\n')
    monkeypatch.setenv("SENDSMSNOW_MAX_PARTS", "3")
    out = sendsmsnow("settings", "--config", str(file)).out
    assert f"upstream         smpp://me:***@smsc  ({file})\n" in out
    assert "max_parts        3  (SENDSMSNOW_MAX_PARTS)\n" in out
    assert out == sendsmsnow("--config", str(file), "settings").out
    assert sendsmsnow("settings", "--reference").out == reference()


def test_a_message_that_does_not_exist_is_told(
    sendsmsnow: Sendsmsnow, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    monkeypatch.setenv("SENDSMSNOW_DATABASE_URL", database)
    assert sendsmsnow("message", "show", "x") == Ended(
        1, "", "sendsmsnow: there is no message 'x'\n"
    )


def test_a_gateway_that_is_not_there_is_told_with_code_30(
    sendsmsnow: Sendsmsnow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDSMSNOW_PUBLIC_URL", "http://127.0.0.1:1")
    ended = sendsmsnow("send", "0032494000000", "Hello", "--apikey", "k")
    assert (ended.status, ended.out) == (1, "error=30 sent=0 id=\n")
    assert ended.err.startswith("sendsmsnow: 30: Internal error")
    assert ended.err.endswith("; tried http://127.0.0.1:1/sendsms/soap/\n")
    assert ended.err.count("\n") == 1


@pytest.fixture
def gateway(keys: Sendsmsnow, sendsmsnow: Sendsmsnow) -> Sendsmsnow:
    """`sendsmsnow …`, on each kind of database, with keys named a and b."""
    for name in ("a", "b"):
        keys("create", name)
    return sendsmsnow


def test_what_came_to_a_number_that_nobody_has_is_listed_and_given_when_asked(
    gateway: Sendsmsnow, store: Store
) -> None:
    rows = [
        {"account_id": None, "upstream": "x", "sender": "+32494000009", "recipient": recipient}
        | {"text": text, "received_at": at}
        for recipient, text, at in (
            ("0494000000", "national", 1_000),
            ("+32494000000", "international", 2_000),
            ("8850", "short", 3_000),
        )
    ]
    with store.write() as connection:
        inbox.add_received(connection, rows)
    listed = json.loads(gateway("number", "unowned", "--json").out)
    assert [(row["number"], row["messages"]) for row in listed] == [
        ("+32494000000", 1),
        ("0494000000", 1),
        ("8850", 1),
    ]
    assert listed[2]["last_at"] == "1970-01-01T00:00:03Z"
    told = gateway("number", "assign", "8850", "a")
    assert "messages that had come before: 1, kept for nobody" in told.err
    told = gateway("number", "assign", "+32494000000", "a", "--with-unowned")
    assert told.err == "messages that had come before: 2, given to it\n"
    with store.read() as connection:
        account = stored(store, "a").id
        page = inbox.page(connection, account, after=3, most=9)
    assert [message.text for message in page] == ["national", "international"]
    assert gateway("number", "unowned").out.split()[3] == "8850"


def test_a_number_is_given_to_one_key_at_a_time(gateway: Sendsmsnow) -> None:
    assert gateway("number", "assign", "+32 494 00-00.00", "a") == Ended(0, "32494000000 a\n", "")
    assert gateway("number", "assign", "8850", "a").out == "8850 a\n"
    for key in ("a", "b"):
        assert gateway("number", "assign", "0032494000000", key) == Ended(
            1, "", "sendsmsnow: the number 32494000000 has been given to a\n"
        )
    listed = json.loads(gateway("number", "list", "--json").out)
    assert [(row["number"], row["key"]) for row in listed] == [("32494000000", "a"), ("8850", "a")]
    lines = gateway("number", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["NUMBER", "32494000000", "8850"]
    assert gateway("number", "release", "32494000000") == Ended(0, "", "")
    assert gateway("number", "assign", "32494000000", "b").out == "32494000000 b\n"


def test_keys_share_a_number_by_keywords(gateway: Sendsmsnow) -> None:
    assert gateway("number", "assign", "8850", "a").status == 0
    assert gateway("number", "assign", "8850", "b", "--keyword", "Shöp!").out == "8850 shop b\n"
    assert gateway("number", "assign", "8850", "a", "--keyword", "SHOP") == Ended(
        1, "", "sendsmsnow: the keyword shop of 8850 has been given to b\n"
    )
    listed = json.loads(gateway("number", "list", "--json").out)
    assert [(row["number"], row["keyword"], row["key"]) for row in listed] == [
        ("8850", "", "a"),
        ("8850", "shop", "b"),
    ]
    assert gateway("number", "release", "8850", "--keyword", "shop") == Ended(0, "", "")
    assert "has no keyword shop" in gateway("number", "release", "8850", "--keyword", "shop").err
    assert gateway("number", "assign", "8850", "b", "--keyword", "shop").status == 0
    assert gateway("number", "release", "8850").status == 0
    assert json.loads(gateway("number", "list", "--json").out) == []


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (("assign", "8850", "a", "--keyword", "shop"), 1, "nobody has the number 8850"),
        (("assign", "8850", "a", "--keyword", "two words"), 2, "allowed is one word"),
        (("assign", "8850", "nobody"), 1, "there is no key named 'nobody'"),
        (("assign", "12", "a"), 2, "'12' is neither an international number nor a short code"),
        (("assign", "abc", "a"), 2, "'abc' is neither"),
        (("assign", "32494000000,32494000001", "a"), 2, "is neither"),
        (("release", "8850"), 1, "nobody has the number 8850"),
    ],
)
def test_a_number_that_cannot_be_given_or_taken_is_told_in_one_line(
    gateway: Sendsmsnow, words: tuple[str, ...], status: int, complaint: str
) -> None:
    ended = gateway("number", *words)
    assert (ended.status, ended.out) == (status, "")
    assert complaint in ended.err
    assert ended.err.count("\n") == 1


def written_to(store: Store, number: str, text: str, *, state: str = "delivered") -> str:
    """A message that key `a` has sent to a number."""
    account_id, now = stored(store, "a").id, time.time_ns() // 1_000_000
    with store.write() as connection:
        id = queued.accept(connection, account_id, number, lane="a", at=now, text=text)
        theirs = select(tables.delivery.c.id).where(tables.delivery.c.message_id == id)
        queued.bring_to(connection, connection.execute(theirs).scalar_one(), state)
    return id


def received_from(store: Store, number: str, text: str) -> None:
    with store.write() as connection:
        row = {"account_id": stored(store, "a").id, "upstream": "x", "sender": number}
        rest = {"recipient": "8850", "text": text, "received_at": time.time_ns() // 1_000_000}
        inbox.add_received(connection, [row | rest])


def test_a_person_is_forgotten_after_a_yes(
    gateway: Sendsmsnow, store: Store, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [
        written_to(store, "+32494000000", "confidential to them"),
        written_to(store, "+32494000000", "confidential for later", state="queued"),
        written_to(store, "+32494000001", "something for another"),
    ]
    received_from(store, "+32494000000", "confidential from them")
    received_from(store, "+32494000001", "something from another")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    ended = gateway("forget", "0032494000000")
    assert (ended.status, ended.out) == (130, "")
    assert "Erase everything to and from +32494000000?" in ended.err
    assert "+32494000000: delivered" in gateway("message", "show", ids[0]).out
    assert gateway("forget", "0032494000000", "--yes") == Ended(
        0, "sent=2 received=1 cancelled=1\n", ""
    )
    for id in ids[:2]:
        shown = gateway("message", "show", id).out
        assert "its text and numbers are erased" in shown
        assert "to (erased): " in shown
    assert "erased" not in gateway("message", "show", ids[2]).out
    with store.read() as connection:
        texts = connection.execute(select(tables.received.c.text)).scalars().all()
    assert texts == ["something from another"]
    if store.is_sqlite:
        file = Path(database.removeprefix("sqlite:///"))
        on_disk = b"".join(each.read_bytes() for each in file.parent.glob(file.name + "*"))
        assert b"something for another" in on_disk
        assert b"confidential" not in on_disk
        assert b"494000000" not in on_disk
    assert gateway("forget", "0032494000000", "--yes").out == "sent=0 received=0 cancelled=0\n"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("12", "it is too short for a number"),
        ("0494 00 00 00", "no country's calling code begins so"),
        ("nobody", "has a letter or sign"),
        ("", "there is no number"),
        ("+32494000000,+32494000001", "that is more than one number"),
    ],
)
def test_why_a_number_cannot_be_forgotten_is_told(
    gateway: Sendsmsnow, written: str, reason: str
) -> None:
    ended = gateway("forget", "--yes", "--", written)
    assert (ended.status, ended.out) == (2, "")
    assert "NUMBER: " in ended.err
    assert reason in ended.err


def test_a_mail_address_that_is_none_cannot_be_forgotten(gateway: Sendsmsnow) -> None:
    ended = gateway("forget", "a@b", "--yes")
    assert (ended.status, ended.out) == (2, "")
    assert "'a@b' is no mail address" in ended.err


def test_somebody_at_a_mail_address_is_forgotten_after_a_yes(
    gateway: Sendsmsnow, store: Store, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "alice.confidential@example.com"
    Signup(store, by_mail=False).ask(address, language="en", network="192.0.2.0/24")
    assert gateway("key", "create", address).status == 0
    listed = f"{address},bob@example.com"
    assert gateway("key", "set", "a", "--mail-senders", listed).status == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    ended = gateway("forget", address)
    assert (ended.status, ended.out) == (130, "")
    assert f"Erase everything of {address} with the key {address!r} and its history?" in ended.err
    ended = gateway("forget", address.upper(), "--yes")
    assert ended == Ended(0, "requests=1 keys=1 lists=1 sent=0 received=0\n", "")
    assert json.loads(gateway("key", "show", "a", "--json").out)["mail_senders"] == [
        "bob@example.com"
    ]
    assert gateway("key", "requests").out == ""
    assert address not in gateway("key", "list").out
    if store.is_sqlite:
        file = Path(database.removeprefix("sqlite:///"))
        on_disk = b"".join(each.read_bytes() for each in file.parent.glob(file.name + "*"))
        assert b"confidential" not in on_disk
    assert gateway("forget", "bob@example.com", "--yes").out.startswith("requests=0 keys=0 lists=1")
    assert re.search("^mail from +nobody$", gateway("key", "show", "a").out, re.MULTILINE)


def test_a_key_is_rotated_with_an_end_for_the_old_one(keys: Sendsmsnow, store: Store) -> None:
    first = keys("create", "acme").out.strip()
    ended = keys("rotate", "acme")
    second = ended.out.strip()
    assert re.fullmatch("[0-9a-f]{40}", second)
    told = re.fullmatch(rf"…{first[-4:]} is valid until (\S+)\n", ended.err)
    assert told is not None
    lasts = datetime.fromisoformat(told[1]).timestamp() - time.time()
    assert 86_300 < lasts <= 86_400
    old = [{"key_hint": first[-4:], "valid_until": told[1]}]
    assert json.loads(keys("show", "acme", "--json").out)["old_keys"] == old
    assert json.loads(keys("list", "--json").out)[0]["old_keys"] == old
    for command_ in (["show", "acme"], ["list"]):
        assert f"…{first[-4:]} until {told[1]}" in keys(*command_).out
    made = json.loads(keys("rotate", "acme", "--overlap", "2h", "--json").out)
    assert {each["key_hint"] for each in made["old_keys"]} == {first[-4:], second[-4:]}
    ended = keys("rotate", "acme", "--overlap", "0")
    assert (ended.status, ended.err) == (0, "no other key is valid\n")
    with store.read() as connection:
        found = [
            accounts.by_key(connection, key_hash(key), 0)
            for key in (first, second, made["key"], ended.out.strip())
        ]
    assert [each is not None for each in found] == [False, False, False, True]
    assert json.loads(keys("show", "acme", "--json").out)["old_keys"] == []


def test_a_wrong_rotation_is_refused_in_words(keys: Sendsmsnow) -> None:
    ended = keys("rotate", "nobody")
    assert (ended.status, ended.out) == (1, "")
    assert "there is no key named 'nobody'" in ended.err
    keys("create", "acme")
    for overlap in ("soon", "-1h", "31d", "none", ""):
        ended = keys("rotate", "acme", f"--overlap={overlap}")
        assert (ended.status, ended.out) == (2, "")
        assert f"--overlap {overlap!r}: allowed: 1m to 30d, or 0" in ended.err


def test_a_key_gets_a_new_mail_address(keys: Sendsmsnow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDSMSNOW_MAIL_DOMAIN", "sms.example.com")
    keys("create", "acme")
    before = json.loads(keys("show", "acme", "--json").out)["mail_address"]
    ended = keys("address", "acme")
    assert re.fullmatch(r"[0-9]{16}@sms\.example\.com\n", ended.out)
    assert ended.out.strip() != before
    assert json.loads(keys("show", "acme", "--json").out)["mail_address"] == ended.out.strip()
    assert "there is no key named 'nobody'" in keys("address", "nobody").err


def test_a_key_is_deleted_after_a_yes_with_all_that_it_has(
    gateway: Sendsmsnow, store: Store, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [
        written_to(store, "+32494000000", "confidential and sent"),
        written_to(store, "+32494000001", "confidential and waiting", state="queued"),
    ]
    received_from(store, "+32494000000", "confidential and received")
    assert gateway("number", "assign", "8850", "a").status == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    ended = gateway("key", "delete", "a")
    assert (ended.status, ended.out) == (130, "")
    for words in (
        "messages sent              2\n",
        "of these waiting           1 (not sent any more)",
        "messages received          1\n",
        "numbers                    8850 (nobody's then)",
        "Delete all of it?",
    ):
        assert words in ended.err
    assert "+32494000000: delivered" in gateway("message", "show", ids[0]).out
    ended = gateway("key", "delete", "a", "--yes")
    assert ended == Ended(0, "sent=2 received=1 cancelled=1\n", "")
    assert "there is no key named 'a'" in gateway("key", "delete", "a", "--yes").err
    for id in ids:
        shown = gateway("message", "show", id).out
        assert "from (a deleted key): 1 part" in shown
        assert "to (erased): " in shown
    assert "8850" not in gateway("number", "list").out
    if store.is_sqlite:
        file = Path(database.removeprefix("sqlite:///"))
        on_disk = b"".join(each.read_bytes() for each in file.parent.glob(file.name + "*"))
        assert b"confidential" not in on_disk
        assert b"4940000" not in on_disk
    assert gateway("key", "create", "a").status == 0


def test_a_name_that_is_being_deleted_is_not_given_to_another(
    gateway: Sendsmsnow, store: Store
) -> None:
    written_to(store, "+32494000000", "confidential")
    with store.write() as connection:
        assert deletion.close(connection, "a", 0) is not None
    ended = gateway("key", "create", "a")
    assert ended.status == 1
    assert "sendsmsnow key delete 'a' finishes that" in ended.err
    # Nothing is asked for what has been said once.
    assert gateway("key", "delete", "a").out == "sent=1 received=0 cancelled=0\n"
    assert gateway("key", "create", "a").status == 0


def test_a_deletion_says_when_a_worker_has_some_still(
    gateway: Sendsmsnow, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "_LOOKS", 2)
    monkeypatch.setattr(deleting, "_LOOK_PAUSE", 0.01)
    written_to(store, "+32494000000", "confidential", state="submitting")
    for command_ in (("key", "delete", "a"), ("forget", "+32494000000")):
        ended = gateway(*command_, "--yes")
        assert (ended.status, ended.out) == (1, "")
        assert "a worker is still handing 1 messages to a carrier" in ended.err
    with store.write() as connection:
        connection.execute(tables.claim.delete())
        connection.execute(tables.delivery.update().values(state="delivered"))
    assert gateway("key", "delete", "a", "--yes").out == "sent=1 received=0 cancelled=0\n"


def test_what_a_reader_keeps_in_the_log_is_told(
    gateway: Sendsmsnow, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not store.is_sqlite:
        pytest.skip("PostgreSQL has no such log of its own")
    monkeypatch.setattr(engine, "_SCRUBS", 2)
    written_to(store, "+32494000000", "confidential")
    with store.read() as connection:
        connection.execute(select(tables.message)).all()
        ended = gateway("forget", "+32494000000", "--yes")
    assert ended.out == "sent=1 received=0 cancelled=0\n"
    assert "what was erased is still in its -wal file; run the command again later" in ended.err
    assert gateway("forget", "+32494000000", "--yes").err == ""


def test_deliveries_are_counted_by_day_key_country_and_outcome(
    keys: Sendsmsnow, sendsmsnow: Sendsmsnow, store: Store
) -> None:
    keys("create", "acme")
    id, day = stored(store, "acme").id, 20_000
    kept = {counts.Count(id, day, "BE", "delivered"): (3, 4)}
    with store.write() as connection:
        counts.add(connection, kept)
        counts.add(connection, kept | {counts.Count(id, day + 1, "", "failed"): (1, 1)})
    asked = ("counts", "--since", "2024-10-04", "--until", "2024-10-05")
    assert sendsmsnow(*asked, "--csv").out.splitlines() == [
        "day,key,country,outcome,deliveries,parts",
        "2024-10-04,acme,BE,delivered,6,8",
        "2024-10-05,acme,,failed,1,1",
    ]
    assert len(sendsmsnow(*asked).out.splitlines()) == 3
    assert len(sendsmsnow(*asked, "--key", "nobody").out.splitlines()) == 1
    assert len(sendsmsnow("counts").out.splitlines()) == 1
    for wrong in (("--since", "yesterday"), ("--since", "2024-10-05", "--until", "2024-10-04")):
        assert sendsmsnow("counts", *wrong).status == 2
