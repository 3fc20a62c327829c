"""Accepting, sending again, the test page and `route check` answer the same questions alike."""

import html
import json
import os
import re
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import insert
from support import accounts as support
from support.pages import Browser
from support.running import Running, serve

from sms_gateway.accounts import Account, Rate
from sms_gateway.cli.routes import route
from sms_gateway.codes import Code
from sms_gateway.sms.address import AddressError, TooManyNumbersError, parse_recipients
from sms_gateway.sms.ids import new_id
from sms_gateway.sms.segments import plain
from sms_gateway.store import Store, accounts, stops, tables

SETTINGS = """
default_region = "BE"
max_parts = 3
[upstreams]
latin = "smpp://u:p@127.0.0.1:1?default_alphabet=latin1"
[[routes]]
prefix = ""
upstreams = ["default"]
[[routes]]
prefix = "33"
closed = true
[[routes]]
prefix = "39"
upstreams = ["latin"]
[[routes]]
prefix = "49"
upstreams = ["default"]
senders = "number"
sender = "8000"
[[routes]]
prefix = "31"
upstreams = ["default"]
quiet_hours = "00:00-23:59"
[[routes]]
prefix = "3247"
closed = true
[[routes]]
prefix = "32"
name = "closed-to-shop"
closed = true
when = { sender = "^SHOP$" }
[[routes]]
prefix = ["32", "39"]
name = "stamped"
upstreams = ["default"]
when = { text = "^STAMP ", parts = "1-2" }
rewrite = [{ of = "text", pattern = "^STAMP (.*)", replacement = 'ж \\1' }]
"""
BELGIAN, STOPPED, ITALIAN, GERMAN = (
    "+32494000000",
    "+32494000001",
    "+393331234567",
    "+4915112345678",
)
#: The options of the keys by name.
KEYS: dict[str, dict[str, Any]] = {
    "single": {},
    "multi": {"multi": True},
    "disabled": {"enabled": False},
    "french": {"countries": frozenset({"FR"})},
    "european": {"countries": frozenset({"BE", "DE", "IT", "NL"})},
    "test": {"test": True},
    "test of one country": {"test": True, "countries": frozenset({"BE"})},
    "limited": {"rate": Rate(1, 3_600_000)},
    "brief": {"validity": 60_000},
    "named": {"sender": "ACME", "senders": frozenset({"8001", "SHOP"})},
}
NUMBERS = (
    BELGIAN, STOPPED, ITALIAN, GERMAN, "0032494000000", "32494000000", "0494 00 00 00",
    "0494/00.00.00", "(0)494-00-00-00", "+32 2 511 22 33", "02 511 22 33", "+32470123456",
    "+33612345678", "+33 1 42 68 53 00", "+31612345678", "+31201234567", "+14155550123",
    "+12125550123", "+881612345678", "+882161234567", "+80012345678", "+3290012345",
    "+442079460000", "+390612345678", "+8613812345678", "+٣٢٤٩٤٠٠٠٠٠٠", "112", "8000",
    "0", "+", "+0", "", "no number",
    "+324940000000000000000", "+999123456789", "+3249400000", "32494000000x", "+32494000000;ext=5",
    "'+32494000000",
)  # fmt: skip
TEXTS = (
    "Hello", "", " ", "\n", "a" * 160, "a" * 161, "a" * 459, "a" * 460, "ж" * 70,
    "ж" * 201, "ж" * 202, "€" * 229, "€" * 230, "ç" * 153, "ç" * 480, "é" * 459, "[" * 200,
    "[" * 229, "[" * 230, "[" * 450,
    "\u20ac\u0416", "👍" * 100, "👍" * 101, "a\u0001", "\f", "\ufeff", "\ufeffHello", "one\r\ntwo",
    "ø" * 1_500, "\ufffe",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    key: str
    numbers: str
    text: str = "Hello"
    #: The test page has no field for it.
    sender: str = ""

    @property
    def is_one(self) -> bool:
        """Whether `route check`, which takes one number, can be asked."""
        return bool(self.numbers) and "," not in self.numbers

    @property
    def stored(self) -> list[str]:
        """The numbers as a message has them; none when no message can have them."""
        try:
            return [address.number for address in parse_recipients(self.numbers, "BE")]
        except AddressError:
            return []
        except TooManyNumbersError:
            return self.numbers.split(",")


QUESTIONS = (
    *(Question("single", number) for number in NUMBERS),
    *(
        Question(key, number)
        for key, number in product(KEYS, (BELGIAN, STOPPED, ITALIAN, "+33612345678"))
    ),
    *(Question("single", number, text) for number, text in product((BELGIAN, ITALIAN), TEXTS)),
    # Rewritten to UCS-2: three parts, and more than are allowed.
    Question("single", BELGIAN, "STAMP " + "a" * 199),
    Question("single", BELGIAN, "STAMP " + "a" * 200),
    Question("multi", f"{BELGIAN},{GERMAN}", "STAMP " + "a" * 200),
    Question("disabled", "", ""),
    Question("limited", STOPPED),
    Question("limited", "+33612345678", ""),
    *(
        Question(key, numbers)
        for key, numbers in product(
            ("single", "multi", "limited"),
            (
                f"{BELGIAN},{ITALIAN}",
                f"{BELGIAN},{BELGIAN}",
                f"{BELGIAN},+33612345678",
                f"{BELGIAN},{STOPPED}",
                ",".join(f"+3249400001{n}" for n in range(5)),
            ),
        )
    ),
    *(
        Question("named", number, sender=sender)
        for number, sender in product((BELGIAN, GERMAN, STOPPED), ("8001", "SHOP"))
    ),
)  # fmt: skip

Answer = tuple[int, str]
#: What a reply says that has no note of its own.
SENTENCES = {code.sentence for code in Code} | {""}


class Askers:
    """Those who are asked, about the keys and messages of one database."""

    def __init__(self, gateway: Running, store: Store, config: str) -> None:
        self._gateway, self._store, self._config = gateway, store, config
        self._keys: dict[str, tuple[str, Account]] = {}
        for name, options in KEYS.items():
            given = {"rate": None} | options
            key, account = support.create(
                store, name, **{n: v for n, v in given.items() if n != "enabled"}
            )
            with store.write() as connection:
                if not given.get("enabled", True):
                    accounts.change(connection, name, enabled=False)
                if account.rate is not None:
                    tomorrow = time.time_ns() // 1_000 + 86_400_000_000
                    accounts.charge(connection, {account.id: tomorrow})
                stops.add(connection, account.id, STOPPED, 0)
            self._keys[name] = key, account
        self._browser = Browser(gateway)
        page = self._browser.get("/sendsms/test/")[1]
        token = re.search('name="form_token" value="([0-9a-f]+)"', page)
        assert token is not None
        self._token = token[1]

    def _ask(self, path: str, **fields: str) -> Answer:
        data = urllib.parse.urlencode(fields | {"format": "json"}).encode()
        with urllib.request.urlopen(self._gateway.url + path, data, timeout=60) as answer:
            return _answer(json.loads(answer.read()))

    def accepting(self, question: Question) -> Answer:
        return self._ask(
            "/sendsms/",
            apikey=self._keys[question.key][0],
            recipients=question.numbers,
            message=question.text,
            **({"sender": question.sender} if question.sender else {}),
        )

    def sending_again(self, question: Question) -> Answer:
        """Of a message that had been accepted when the settings were others."""
        key, account = self._keys[question.key]
        now = time.time_ns() // 1_000_000
        id = new_id(now)
        with self._store.write() as connection:
            connection.execute(
                insert(tables.message).values(
                    id=id,
                    account_id=account.id,
                    sender=question.sender or account.sender,
                    text=plain(question.text),
                    encoding="gsm7",
                    parts=1,
                    accepted_at=now,
                    reference="",
                )
            )
            for number in question.stored:
                connection.execute(
                    insert(tables.delivery).values(
                        message_id=id,
                        recipient=number,
                        route="",
                        parts=1,
                        state="failed",
                        due_at=now,
                        expires_at=now,
                        attempts=1,
                        possible_duplicate=False,
                    )
                )
        return self._ask("/resendsms/", apikey=key, id=id)

    def test_page(self, question: Question) -> Answer:
        status, page = self._browser.post_raw(
            "/sendsms/test/",
            form_token=self._token,
            apikey=self._keys[question.key][0],
            recipients=question.numbers,
            message=question.text,
            check="1",
        )
        shown = re.search(r"<code>(\{.*?\})\s*</code>", page, re.DOTALL)
        assert status == 200
        assert shown is not None, page
        return _answer(json.loads(html.unescape(shown[1])))

    def route_check(self, question: Question) -> Answer:
        """Its words begin within a sentence; where the number is none, it is wrong use."""
        arguments = ["check", "--config", self._config, "--key", question.key]
        arguments += ["--message", question.text, "--sender", question.sender]
        done = CliRunner(env=NO_SETTINGS).invoke(route, [*arguments, "--", question.numbers])
        if done.exit_code == 2:
            return Code.NOT_SENT, done.output.partition("NUMBER: ")[2].strip()
        if done.exit_code == 0:
            return Code.SENT, ""
        found = re.fullmatch(r"it would be refused: code ([0-9]+), (.+)", str(done.exception))
        assert found is not None, done.output
        return int(found[1]), found[2]


def _answer(document: dict[str, Any]) -> Answer:
    return document["result"]["error"], document["result"].get("note", "")


# For a command in this process: the settings of the tests' own run are none of its.
NO_SETTINGS: dict[str, str | None] = {
    name: None for name in os.environ if name.startswith("SENDSMSNOW_")
}


@pytest.fixture
def askers(database: str, store: Store, tmp_path: Path) -> Iterator[Askers]:
    config = tmp_path / "sms.toml"
    config.write_text(f'database_url = "{database}"\n{SETTINGS}')
    with serve(tmp_path, database, config=str(config)) as gateway:
        yield Askers(gateway, store, str(config))


def test_all_answer_alike(askers: Askers) -> None:
    codes: Counter[int] = Counter()
    others: list[tuple[Question, str, Answer, Answer]] = []
    for question in QUESTIONS:
        accepted = askers.accepting(question)
        codes[accepted[0]] += 1
        answers = {"route check": askers.route_check(question)} if question.is_one else {}
        if not question.sender:
            answers["test page"] = askers.test_page(question)
        if question.stored:
            answers["sending again"] = askers.sending_again(question)
        others += [
            (question, name, answer, accepted)
            for name, answer in answers.items()
            if not is_alike(answer, accepted)
        ]
    assert others == [], "\n".join(map(str, others))
    assert codes.total() > 100
    assert codes.keys() == {
        Code.SENT, Code.NOT_SENT, Code.KEY_DISABLED, Code.NOT_MULTIPLE, Code.TOO_MANY,
        Code.UNREACHABLE, Code.TOO_FAST,
    }  # fmt: skip


def is_alike(answer: Answer, accepted: Answer) -> bool:
    """The operator is told more where a reply says no more than its code."""
    (code, why), (expected, note) = answer, accepted
    return code == expected and (note in SENTENCES or why.lower() == note.lower())
