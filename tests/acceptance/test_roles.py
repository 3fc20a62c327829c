"""A day of a gateway whose web, worker and mail have roles of their own in PostgreSQL."""

import contextlib
import http.server
import json
import re
import smtplib
import socket
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import select
from support import command, running
from support.command import eventually
from support.pages import Browser
from support.roles import granted

from sms_gateway.callbacks.signature import new_secret
from sms_gateway.store import Store, accounts, grants, tables

pytestmark = [
    pytest.mark.once,
    pytest.mark.parametrize("database", ["postgresql"], indirect=True),
]

DOMAIN = "sms.example.com"
SECRET = "Ab-_" * 8
OURS = "+32488000001"
#: Delivered, reported undeliverable, answered by its handset: what the sandbox makes of them.
DELIVERED, UNDELIVERABLE, ANSWERED = "+32494000000", "+32494000001", "+32494000009"

SETTINGS = """
database_url = "{url}"
bind = "127.0.0.1:0"
workers = "1"
upstream = "sandbox:?delay=0.2"
mail_bind = "127.0.0.1:0"
mail_domain = "sms.example.com"
smtp_relay = "smtp://127.0.0.1:{smtp}"
mail_from = "SMS <sms@example.com>"
callback_allow_private = "127.0.0.0/8"
operator_callback = "http://:whsec_{secret}@127.0.0.1:{callbacks}/operator"
number_cap = "50/day"
total_parts_per_day = "1000"
history_days = "1"

[upstreams]
there = "{there}"

[[routes]]
prefix = "32"
upstreams = ["default"]

[[routes]]
prefix = "352"
upstreams = ["there"]
"""


class Mails:
    """A mail server that keeps what it gets."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.texts.append(mail.get_content())  # type: ignore[attr-defined]
        return "250 OK"


@contextlib.contextmanager
def callbacks() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A server that is called, and what it was told."""
    told: list[dict[str, Any]] = []

    class Called(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append(json.loads(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Called)
    threading.Thread(target=server.serve_forever).start()
    try:
        yield server.server_address[1], told
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The processes, and who they talk to."""

    web: str
    mail_port: int
    mails: Mails
    #: Events of the account and of the operator.
    told: list[dict[str, Any]]
    callback: str
    #: The settings of the operator's commands.
    operator: str
    store: Store

    #: What `Browser` needs.
    @property
    def url(self) -> str:
        return self.web

    def run(self, *arguments: str) -> str:
        done = command.run("--config", self.operator, *arguments)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def ask(self, path: str, **fields: str) -> dict[str, Any]:
        data = urllib.parse.urlencode({**fields, "format": "json"}).encode()
        with urllib.request.urlopen(f"{self.web}{path}", data, timeout=60) as answer:
            result: dict[str, Any] = json.loads(answer.read())["result"]
        return result

    def states(self, id: str) -> list[str]:
        with self.store.read() as connection:
            query = select(tables.delivery.c.state).where(tables.delivery.c.message_id == id)
            return list(connection.execute(query.order_by(tables.delivery.c.id)).scalars())

    def rows(self, table: Any) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(select(table)))

    def are(self, id: str, *states: str) -> None:
        eventually(lambda: self.states(id) == list(states), lambda: str(self.states(id)))


@pytest.fixture
def day(tmp_path: Path, database: str, store: Store) -> Iterator[Day]:
    urls = granted(database)
    (tmp_path / "there").mkdir()
    there_db = f"sqlite:///{tmp_path}/there/sms.sqlite3"
    mails = Mails()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        smtp_port = probe.getsockname()[1]
    smtp = Controller(mails, hostname="127.0.0.1", port=smtp_port, ready_timeout=60)
    with contextlib.ExitStack() as stack:
        port, told = stack.enter_context(callbacks())
        there = stack.enter_context(
            running.serve(
                tmp_path / "there",
                there_db,
                upstream="sandbox:?delay=0.3",
                callback_allow_private="127.0.0.0/8",
            )
        )
        key = there.create_key("--rate", "none", "--sender", OURS)
        secret = new_secret()
        upstream = (
            f"{there.url}/sendsms/?apikey={key}&idempotent=1&push_secret={SECRET}"
            f"&callback_secret={quote(secret, safe='')}"
        )
        smtp.start()
        stack.callback(smtp.stop)
        files: dict[grants.Role, str] = {}
        for role, url in urls.items():
            files[role] = str(tmp_path / f"{role}.toml")
            text = SETTINGS.format(
                url=url, smtp=smtp_port, callbacks=port, there=upstream, secret="0aF9" * 12
            )
            Path(files[role]).write_text(text)
        parts = {
            role: stack.enter_context(command.running("--config", files[role], role))
            for role in ("web", "worker", "mail")
        }
        web = parts["web"].url()
        parts["mail"].wait_for(" listening ")
        mail_port = re.findall(r"bind=127\.0\.0\.1:([0-9]+)", parts["mail"].output())[0]
        theirs = stack.enter_context(contextlib.closing(Store(there_db)))
        with theirs.write() as connection:
            address = f"{web}/upstream/there/{SECRET}"
            accounts.change(connection, "acme", callback_url=address, callback_secret=secret)
        there.run("number", "assign", OURS, "acme")
        yield Day(
            web=web,
            mail_port=int(mail_port),
            mails=mails,
            told=told,
            callback=f"http://127.0.0.1:{port}/account",
            operator=files["operator"],
            store=store,
        )
        for part, process in parts.items():
            assert process.stop() == 0, part
            assert "ERROR" not in process.output(), process.output()
            assert "permission" not in process.output(), process.output()


def _soap(day: Day, key: str, recipient: str) -> str:
    body = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<sendSms xmlns="urn:sendSmsNow"><recipients>{recipient}</recipients>'
        f"<message>by SOAP</message><apikey>{key}</apikey></sendSms></s:Body></s:Envelope>"
    )
    headers = {"Content-Type": "text/xml", "SOAPAction": '"urn:sendSmsNow#sendSms"'}
    request = urllib.request.Request(f"{day.web}/sendsms/soap/", body.encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return re.findall("[0-9a-f]{32}", answer.read().decode())[0]


@pytest.mark.timeout(300)
def test_a_day_of_processes_with_roles_of_their_own(day: Day) -> None:
    options = ("--rate", "none", "--multi", "--sender", OURS, "--senders", "any")
    key = day.run("key", "create", "acme", *options).strip()
    day.run("key", "set", "acme", "--callback", day.callback)
    day.run("number", "assign", OURS, "acme")
    # Until the worker, and the web process, have seen that there is a callback.
    [marked] = day.rows(tables.worker)
    eventually(lambda: day.rows(tables.worker)[0].alive_until > marked.alive_until + 2_000)

    # By HTTP, by SOAP, and by mail; a repeat is known.
    sent = {"apikey": key, "recipients": f"{DELIVERED},{UNDELIVERABLE}", "message": "Hello " * 50}
    first = day.ask("/sendsms/", **sent, reference="one")
    assert first["error"] == 0
    day.are(first["id"], "delivered", "undeliverable")
    day.are(_soap(day, key, ANSWERED), "delivered")
    to = re.findall(rf"[0-9]{{16}}@{DOMAIN}", day.run("key", "show", "acme"))[0]
    mail = f"Subject: {DELIVERED}\r\nMessage-ID: <1@example.org>\r\n\r\nby mail".encode()
    for _ in range(2):
        with smtplib.SMTP("127.0.0.1", day.mail_port, timeout=60) as client:
            assert client.sendmail("jean@example.org", [to], mail) == {}
    mailed = [row.id for row in day.rows(tables.message) if row.text == "by mail"]
    assert len(mailed) == 1
    day.are(mailed[0], "delivered")

    # What a handset answers, and what a provider pushes: a receipt, a message, STOP.
    eventually(lambda: [row.sender for row in day.rows(tables.received)] == [ANSWERED])
    pushed = day.ask("/sendsms/", apikey=key, recipients="+352621000009", message="Moien")
    day.are(pushed["id"], "delivered")
    eventually(lambda: len(day.rows(tables.received)) == 2)
    assert day.ask("/getsms/", apikey=key)["error"] == 0
    kinds = {"delivery.delivered", "delivery.undeliverable", "message.received"}
    eventually(lambda: kinds <= {told["type"] for told in day.told}, lambda: str(day.told))

    # Sending again, status, deleting.
    assert day.ask("/resendsms/", apikey=key, id=first["id"])["sent"] == 1
    day.are(first["id"], "delivered", "undeliverable")
    assert day.ask("/status/", apikey=key, id=first["id"])["error"] == 0
    assert day.ask("/deletesms/", apikey=key, id=mailed[0])["error"] == 0

    _pages(day, key, first["id"])
    _free_key(day)
    _caps(day)

    # The operator.
    assert "delivered" in day.run("message", "show", pushed["id"])
    for words in ("key list", "number list", "number unowned", "stop list", "event list"):
        day.run(*words.split())
    for words in (
        "cap list --all",
        "cap list --refusals",
        "cap lift --total",
        "event replay --key acme",
    ):
        day.run(*words.split())
    day.run("route", "check", DELIVERED, "--key", "acme")
    assert "key.rotate" in day.run("audit")
    day.run("key", "rotate", "acme")
    day.run("key", "disable", "acme")
    day.run("number", "release", OURS)
    day.run("forget", DELIVERED, "--yes")
    day.run("forget", "anna@example.org", "--yes")
    day.run("key", "delete", "small", "--yes")
    assert all(row.recipient != DELIVERED for row in day.rows(tables.delivery))
    assert [row.action for row in day.rows(tables.audit)].count("gateway.start") == 3


def _pages(day: Day, key: str, id: str) -> None:
    browser = Browser(day)  # type: ignore[arg-type]
    assert browser.sign_in(key)[0] == 200
    for path in (
        "/account/",
        "/account/?search=hello",
        f"/account/?search={quote(DELIVERED)}",
        f"/account/message/{id}",
        "/account/sent.csv",
        "/account/received",
        "/account/activity",
        "/countries/",
        "/",
    ):
        assert browser.get(path)[0] == 200, path
    assert "Hello" in browser.get(f"/account/message/{id}")[1]
    assert browser.post("/sendsms/test/", apikey=key, recipients=DELIVERED, message="x")[0] == 200
    assert browser.post("/account/delete", what="all", sure="yes")[0] == 200
    with day.store.read() as connection:
        texts = connection.execute(select(tables.message.c.text)).scalars()
        assert set(texts) <= {"", "x"}
    status, page = browser.post("/account/key", old="day")
    assert status == 200
    new = re.findall(r"\b[0-9a-f]{40}\b", page)[0]
    # The old key sends for a day more; who signs in needs the new one.
    assert day.ask("/sendsms/", apikey=key, recipients=DELIVERED, message="x")["error"] == 0
    assert browser.sign_in(key)[0] == 403
    assert browser.sign_in(new)[0] == 200
    assert browser.post("/account/address", page="/account/")[0] == 200
    assert browser.post("/account/signout", page="/account/")[0] == 200


def _free_key(day: Day) -> None:
    browser = Browser(day)  # type: ignore[arg-type]
    for address in ("anna@example.org", "anna@example.org"):
        assert browser.post("/apikey/", address=address)[0] == 200
    eventually(lambda: bool(day.mails.texts))
    link = re.findall(r"/apikey/confirm/\S+", day.mails.texts[0])[0]
    assert browser.get(link)[0] == 200
    status, _ = browser.post(link)
    assert status == 200
    names = sorted(row.name for row in day.rows(tables.account))
    assert names == ["acme", "anna@example.org"]


def _caps(day: Day) -> None:
    """A cap refuses by HTTP and by mail, and the operator is told."""
    key = day.run("key", "create", "small", "--rate", "1000/s", "--parts-per-day", "1").strip()
    fields = {"apikey": key, "recipients": DELIVERED, "message": "x"}
    assert [day.ask("/sendsms/", **fields)["error"] for _ in range(3)] == [0, 100, 100]
    to = re.findall(rf"[0-9]{{16}}@{DOMAIN}", day.run("key", "show", "small"))[0]
    mail = f"Subject: {DELIVERED}\r\n\r\ncapped".encode()
    with smtplib.SMTP("127.0.0.1", day.mail_port, timeout=60) as client:
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail("jean@example.org", [to], mail)
        day.run("cap", "lift", "small")
        assert client.sendmail("jean@example.org", [to], mail) == {}
    eventually(lambda: any("cap" in told["type"] for told in day.told), lambda: str(day.told))
