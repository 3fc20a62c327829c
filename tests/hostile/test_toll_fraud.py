"""One person asks for as many free keys as there are to be had, and sends what costs most."""

import email
import email.policy
import json
import re
import socket
import threading
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from sqlalchemy import func, select
from standardwebhooks import Webhook
from support import databases
from support.pages import Browser
from support.running import Running, get_json, serve, wait_for

from sms_gateway.store import Store, tables

SECRET = "whsec_" + "5eC3" * 12
TEN_PARTS = "a" * 1_500
#: Of the networks that the person has: at home, and a telephone's.
NETWORKS = ("198.51.100.7", "203.0.113.9")


class Mailbox:
    """Takes all mails, and keeps their texts."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.texts.append(str(mail.get_content()))
        return "250 OK"


@contextmanager
def receiving() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The operator's address, and what came there with the right signature."""
    came: list[dict[str, Any]] = []

    class Operator(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append(Webhook(SECRET).verify(body, dict(self.headers)))
            assert "authorization" not in {name.lower() for name in self.headers}
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Operator) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://:{SECRET}@127.0.0.1:{server.server_port}/caps", came
        server.shutdown()


def ask(gateway: Running, mailbox: Mailbox, network: str, address: str) -> str | None:
    """A key for an address, by a mail and its link; None when there is none to be had."""
    browser = Browser(gateway, network)
    before = len(mailbox.texts)
    if browser.post("/apikey/", address=address)[0] != 200:
        return None
    wait_for(lambda: len(mailbox.texts) > before, 60)
    link = re.search(r"/apikey/confirm/[0-9a-f]+", mailbox.texts[-1])
    if link is None:  # there is a key already
        return None
    shown = browser.post(link[0])[1]
    found = re.search(r"\b[0-9a-f]{40}\b", shown)
    return found and found[0]


def send(gateway: Running, key: str, number: str) -> tuple[int, str]:
    fields = {"apikey": key, "recipients": number, "message": TEN_PARTS, "format": "json"}
    result = get_json(f"{gateway.url}/sendsms/?{urllib.parse.urlencode(fields)}")["result"]
    return result["error"], result.get("note", "")


def look_at_pages(gateway: Running, key: str) -> None:
    """The holder of a key is told why, in their language."""
    browser = Browser(gateway, "192.0.2.1")
    browser.sign_in(key)
    account = browser.get("/account/", Accept_Language="fr")[1]
    assert "<dt>Parties par jour (UTC)</dt><dd>100 au plus ; 100 acceptées jusqu’ici" in account
    assert "<dt>Parts a day (UTC)</dt><dd>at most 100; 100 accepted" in browser.get("/account/")[1]
    for number, french in (
        ("+19002345678", "Les numéros de ce type sont fermés : numéro surtaxé."),
        ("+22507123456780"[:14], "La limite de 100 parties par jour est dépassée, jusqu’à 20"),
    ):
        form = browser.get("/sendsms/test/")[1]
        token = re.search('name="form_token" value="([0-9a-f]+)"', form)
        assert token is not None
        fields = {"apikey": key, "recipients": number, "message": "a", "form_token": token[1]}
        data = urllib.parse.urlencode(fields | {"check": "yes"}).encode()
        assert french in browser.get("/sendsms/test/", data, Accept_Language="fr")[1], number


def test_a_burst_by_one_persons_free_keys_ends_at_the_caps(tmp_path: Path) -> None:
    mailbox = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    relay = Controller(mailbox, hostname="127.0.0.1", port=port, server_hostname="relay.example")
    relay.start()
    database = databases.fresh_sqlite(tmp_path)
    try:
        with (
            receiving() as (url, came),
            serve(
                tmp_path, database, smtp_relay=f"smtp://127.0.0.1:{port}",
                mail_from="SMS <sms@example.com>", operator_callback=url,
                callback_allow_private="127.0.0.0/8",
            ) as gateway,
        ):  # fmt: skip
            # Of one mailbox with plus-addresses, and of addresses of a domain.
            keys = []
            asked = 0
            for network, address in zip(NETWORKS, ("eve+{}@mail.example", "{}@eve.example"),
                                        strict=True):  # fmt: skip
                for each in range(8):
                    asked += 1
                    key = ask(gateway, mailbox, network, address.format(each))
                    keys += [key] if key else []
            assert len(keys) == 6, keys
            # As if days of one SMS a minute passed within the hour.
            names = json.loads(gateway.run("key", "list", "--json"))
            for name in names:
                assert name["free"]
                gateway.run("key", "set", name["name"], "--rate", "none")
            outcomes, last = Counter[str](), ""
            costly = ["+979123456789", "+19002345678", "+881612345678"]
            neighbours = [f"+22507000{n:05}" for n in range(0, 40)]
            elsewhere = [f"+2250{700000000 + n * 1000}" for n in range(1, 30)]
            for number in (*costly, *["+32494000000"] * 3, *neighbours, *elsewhere):
                for key in keys:
                    code, note = send(gateway, key, number)
                    outcomes[f"{code}"] += 1
                    last = note or last
            look_at_pages(gateway, keys[0])
            trips = [json.loads(line) for line in
                     gateway.run("cap", "list", "--json").splitlines()]  # fmt: skip
            reached = Counter(each["counts"] for each in trips if each["refusals"])
            wait_for(lambda: len(came) >= reached.total(), 60)
            refused = json.loads(gateway.run("cap", "list", "--refusals", "--json").splitlines()[0])
    finally:
        relay.stop()
    store = Store(database)
    with store.read() as connection:
        delivery = tables.delivery.c
        parts = dict(
            connection.execute(
                select(delivery.recipient, func.sum(delivery.parts)).group_by(delivery.recipient)
            ).all()
        )
    store.close()
    in_range = sum(most for number, most in parts.items() if number.startswith("+22507000000"))
    print(
        f"\nasked {asked} times: {len(keys)} keys; submitted {outcomes.total()} texts: "
        f"{dict(outcomes)}; accepted {sum(parts.values())} parts; to one number at most "
        f"{max(parts.values())}, to one range {in_range}, to closed kinds 0; "
        f"reached {dict(reached)}; told {len(came)}"
    )
    assert not any(number in parts for number in costly)
    assert outcomes["99"] == len(keys) * len(costly)
    assert max(parts.values()) == 20
    assert in_range == 100
    # All that six keys may have in a day, and not one part more.
    assert sum(parts.values()) == 100 * len(keys) == 10 * outcomes["0"]
    assert outcomes["0"] + outcomes["99"] + outcomes["100"] == outcomes.total()
    assert last.startswith("Exceeding the limit of 100 parts a day, until ")
    assert reached["key"] == len(keys)
    assert refused == {"counts": "key", "refusals": refused["refusals"],
                       "refused_parts": 10 * refused["refusals"]}  # fmt: skip
    # The operator was told of each cap once, by callback and in the log.
    assert len(came) == reached.total()
    assert Counter(each["data"]["counts"] for each in came) == reached
    log = (tmp_path / "serve.log").read_text()
    assert log.count("cap reached") == reached.total()
    for key in keys:
        assert key not in log
    for number in parts:
        assert number not in log
