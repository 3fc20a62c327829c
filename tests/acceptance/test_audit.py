"""The audit trail of a running gateway, on both databases: every way by which it grows."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.accounts import create
from support.command import environment
from support.pages import Browser, send
from support.running import Running, get_json, serve, wait_for

from sms_gateway.callers import Caller
from sms_gateway.store import Store, accounts, audit
from sms_gateway.store.audit import Action

NUMBER = "+32494123456"
NETWORK = "198.51.100.0/24"
AT_HOME = {"X-Forwarded-For": "198.51.100.7"}


@pytest.fixture
def gateway(database: str, tmp_path: Path) -> Iterator[Running]:
    # The sandbox refuses numbers with this end for good, so that a message can be sent again.
    with serve(tmp_path, database, log_level="warning") as running:
        yield running


def trail(gateway: Running, *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gateway.run("audit", "--json", *options).splitlines()]


def actions(gateway: Running, *options: str) -> list[str]:
    return [entry["action"] for entry in trail(gateway, *options)]


def test_who_did_what_is_told_and_nothing_secret(gateway: Running) -> None:
    key = gateway.create_key("--rate", "20/s", "--sender", "32494777888")
    gateway.run("key", "set", "acme", "--callback", "https://example.com/hook?token=hidden")
    gateway.run("key", "set", "acme", "--countries", "BE,FR", "--mail-senders", "eve@example.com")
    gateway.run("key", "disable", "acme")
    gateway.run("key", "enable", "acme")
    gateway.run("number", "assign", "+32494555555", "acme")
    gateway.run("number", "release", "+32494555555")
    id = send(gateway, key, "+32494000003", "my secret text")
    wait_for(lambda: "failed" in gateway.run("message", "show", id), 60)
    api = f"{gateway.url}/resendsms/?apikey={key}&id={id}"
    assert get_json(api)["result"]["error"] == 0
    browser = Browser(gateway)
    assert browser.sign_in("0" * 40)[0] == 403
    assert browser.sign_in(key)[0] == 200
    wait_for(lambda: "failed" in gateway.run("message", "show", id), 60)
    browser.post(f"/account/message/{id}")
    wait_for(lambda: "failed" in gateway.run("message", "show", id), 60)
    browser.post("/account/delete", sure="yes", what="all")
    new = re.search("[0-9a-f]{40}", browser.post("/account/key", old="now")[1])
    assert new is not None
    gateway.run("forget", NUMBER, "--yes")
    wait_for(lambda: "session.refuse" in actions(gateway), 30)
    assert sorted(actions(gateway)) == sorted([
        "gateway.start", "key.create", "key.change", "key.change", "key.disable", "key.enable",
        "number.assign", "number.release", "message.resend", "session.begin", "session.refuse",
        "message.resend", "history.delete", "key.rotate", "person.forget",
    ])  # fmt: skip
    by = {entry["action"]: entry for entry in trail(gateway)}
    assert by["key.create"]["face"] == "command"
    assert re.fullmatch(r"[^@]+@\S+", by["key.create"]["operator"])
    assert by["key.create"]["facts"] == {
        "multi": False, "rate": "20/s", "countries": "all", "test": False, "set": "sender",
    }  # fmt: skip
    assert by["key.change"]["facts"] == {"countries": "BE,FR", "set": "mail_senders"}
    assert by["number.assign"]["facts"]["number"] == "…555"
    assert by["person.forget"]["facts"]["number"] == "…456"
    assert (by["key.rotate"]["face"], by["key.rotate"]["network"]) == ("page", NETWORK)
    assert (by["session.refuse"]["network"], by["session.refuse"]["key"]) == (NETWORK, "")
    resent = [entry for entry in trail(gateway) if entry["action"] == "message.resend"]
    assert [entry["face"] for entry in resent] == ["api", "page"]
    assert resent[0]["facts"] == {"message": id, "recipients": 1}
    started = by["gateway.start"]["facts"]
    assert started["command"] == "serve"
    assert started["settings"] == "bind,database_url,log_level"
    written = json.dumps(trail(gateway))
    for secret in (
        key, new[0], key[-4:], "my secret text", NUMBER[1:], "32494777888", "32494000003",
        "hidden", "whsec", "eve@", "0" * 40,
    ):  # fmt: skip
        assert secret not in written
    # For people, and of one key only.
    assert "key.rotate  acme  page 198.51.100.0/24" in gateway.run("audit")
    assert {entry["key"] for entry in trail(gateway, "--key", "acme")} == {"acme"}
    assert actions(gateway, "--since", "2099-01-01") == []
    assert "key.create" in actions(gateway, "--since", "1h")


def test_the_owner_sees_their_part_page_by_page(gateway: Running, database: str) -> None:
    key = gateway.create_key(name="mine")
    store = Store(database)
    _, theirs = create(store, "theirs")
    browser = Browser(gateway)
    browser.sign_in(key)
    with store.write() as connection:
        audit.record(connection, Action.KEY_DISABLE, theirs, now=0)
    page = browser.get("/account/activity")[1]
    assert page.count("<tr>") == 3  # with the head
    assert "key made" in page
    assert "the operator" in page
    assert "signed in" in page
    assert NETWORK in page
    assert "@" not in page
    assert "disabled" not in page
    with store.write() as connection:
        mine = accounts.by_name(connection, "mine")
        for at in range(26):
            audit.record(
                connection, Action.KEY_DISABLE, mine, {"number": "…123"}, now=at, caller=Caller()
            )
    first = browser.get("/account/activity")[1]
    assert first.count("<tr>") == 26
    assert "number=…123" in first
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older is not None
    second = browser.get(older[1])[1]
    assert second.count("<tr>") == 4
    assert "key made" in second
    assert 'rel="next"' not in second
    assert "Newest" in second
    french = browser.get("/account/activity", Accept_Language="fr")[1]
    assert "clé désactivée" in french
    assert "la passerelle" in french
    assert browser.get("/account/activity?before=x")[0] == 404
    assert "Sign in" in Browser(gateway).get("/account/activity")[1]
    # The command removes what is old, as these entries of 1970 are, and nothing else.
    assert gateway.run("audit", "--prune") == "27 removed\n"
    assert sorted(actions(gateway)) == sorted(
        ["gateway.start", "key.create", "session.begin", "audit.prune"]
    )
    store.close()


@pytest.mark.parametrize("since", ["yesterday", "7", "0d", "2026-13-01", "9999999d"])
def test_what_is_no_time_is_wrong_use(since: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sms_gateway", "audit", "--since", since],
        capture_output=True, text=True, check=False, timeout=60, env=environment(),
    )  # fmt: skip
    assert done.returncode == 2
    assert "write 24h, 30d" in done.stderr
