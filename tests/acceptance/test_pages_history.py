"""What the pages of an account tell about its messages, over real HTTP, on both databases."""

import csv
import html
import io
import re
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from support import databases
from support.pages import Browser, send
from support.reasons import reasons
from support.running import Running, get_json, serve, wait_for

from sms_gateway.codes import Code
from sms_gateway.smpp.status import STATUSES
from sms_gateway.sms.ids import new_id
from sms_gateway.sms.message import State
from sms_gateway.store import Store, accounts, intake, queue, tables
from sms_gateway.words import words
from sms_gateway.words.reasons import SENTENCES, in_words

pytestmark = pytest.mark.once

#: Unix milliseconds: the 1st of March, 2026; a message each second.
BEGIN = 1_772_323_200_000
OLDEST = "+32494000000"


#: French numbers go to a carrier that is away, so that they stay queued.
AWAY = """
[upstreams]
away = "smpp://user:password@127.0.0.1:9"

[[routes]]
prefix = "33"
upstreams = ["away"]
"""


class World:
    def __init__(self, gateway: Running, store: Store) -> None:
        self.gateway = gateway
        self.store = store

    def account(self, name: str, *options: str) -> tuple[Browser, int]:
        """A new account: a browser that is signed in, and its id."""
        key = self.gateway.create_key("--rate", "none", "--multi", *options, name=name)
        browser = Browser(self.gateway)
        browser.sign_in(key)
        with self.store.read() as connection:
            account = accounts.by_name(connection, name)
        assert account is not None
        return browser, account.id


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway that several tests share, on SQLite."""
    folder = tmp_path_factory.mktemp("gateway")
    url = databases.fresh_sqlite(folder)
    config = folder / "gateway.toml"
    config.write_text(AWAY, "utf-8")
    with serve(folder, url, config=str(config)) as gateway:
        store = Store(url)
        yield World(gateway, store)
        store.close()


@pytest.fixture
def world(database: str, tmp_path: Path) -> Iterator[World]:
    with serve(tmp_path, database, default_region="BE") as gateway:
        store = Store(database)
        yield World(gateway, store)
        store.close()


def fill(store: Store, account_id: int, count: int) -> list[str]:
    """Messages of long ago, each to a number of its own, the oldest to OLDEST; their ids."""
    ids = [new_id(BEGIN + 1_000 * number) for number in range(count)]
    text = "Your parcel comes today"
    for first in range(0, count, 10_000):
        some = range(first, min(first + 10_000, count))
        with store.write() as connection:
            intake.add_messages(
                connection,
                [(ids[n], account_id, "", text, "gsm7", 1, BEGIN + 1_000 * n, "", 0) for n in some],
            )
            intake.add_deliveries(
                connection,
                [(ids[n], f"+32494{n:06}", "", 1, 2**60, 2**60, "BE") for n in some],
                [(account_id, "asleep", 1) for _ in some],
            )
    return ids


def search(browser: Browser, words: str, *, language: str = "en", more: str = "") -> str:
    """What the page says to a search, in one line."""
    query = urllib.parse.urlencode({"search": words})
    status, page = browser.get(f"/account/?{query}{more}", Accept_Language=language)
    assert status == 200
    return said(page)


def said(page: str) -> str:
    main = page[page.index("<main") : page.index("</main>")]
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", main)).split())


def test_a_number_among_the_oldest_of_100_000_messages_is_found_in_every_form(world: World) -> None:
    browser, account_id = world.account("acme")
    other, other_id = world.account("other")
    ids = fill(world.store, account_id, 100_000)
    fill(world.store, other_id, 10)
    for written in (OLDEST, "0032494000000", "32494000000", "0494 00 00 00", "0494/00.00.00"):
        text = search(browser, written)
        assert f"From the whole history, the messages to {OLDEST}." in text, written
        assert text.count("Your parcel") == 1
        assert "1 Mar 2026, 00:00:00 UTC" in text
    assert "queued" in search(browser, ids[0])
    # The other account has that number once, too.
    assert search(other, OLDEST).count("Your parcel") == 1
    text = search(browser, "0494999999")
    assert "In the whole history there is no message to +32494999999." in text

    # Texts are searched from the newest, for about a second at a time, until all are.
    far = f"/account/?{urllib.parse.urlencode({'search': 'no such words'})}"
    counted = 0
    while far:
        _, page = browser.get(far)
        text = said(page)
        if link := re.search('href="([^"]+)">Search further', page):
            assert "Nothing was found so far." in text
            told = re.search(r"(\d+) messages were searched for this text, back to .* UTC\.", text)
        else:
            assert "Nothing was found." in text
            told = re.search(
                r"(\d+) messages were searched for this text, back to the oldest", text
            )
        assert told, text
        counted += int(told[1])
        far = html.unescape(link[1]) if link else ""
    assert counted == 100_000

    french = search(browser, "0494000000", language="fr")
    assert f"De tout l’historique, les messages à {OLDEST}." in french


def arrange(
    store: Store, account_id: int, *messages: list[str], to: str = "+3249400000"
) -> list[str]:
    """Messages of today with deliveries that stand so, each state a recipient; their ids."""
    now = time.time_ns() // 1_000_000
    ids = [new_id(now) for _ in messages]
    with store.write() as connection:
        rows = [(id, account_id, "", "Hello", "gsm7", 1, now, "", 0) for id in ids]
        intake.add_messages(connection, rows)
        for id, states in zip(ids, messages, strict=True):
            for number, state in enumerate(states):
                delivery = {
                    "message_id": id,
                    "recipient": f"{to}{number}",
                    "route": "nowhere",
                    "parts": 1,
                    "state": state,
                    "due_at": 2**60,
                    "expires_at": 2**60,
                    "attempts": 1,
                    "possible_duplicate": False,
                }
                connection.execute(tables.delivery.insert(), delivery)
    return ids


def test_what_nobody_knows_is_no_failure_in_chart_counts_and_csv(pages: World) -> None:
    browser, account_id = pages.account("no receipts")
    # A carrier without receipts, and one that answers not always.
    arrange(pages.store, account_id, ["unknown"], ["unknown"], ["uncertain"])
    # What was counted before is shown for a while.
    wait_for(lambda: "in all 3 " in said(browser.get("/account/")[1]), 60)
    _, page = browser.get("/account/")
    assert "in all 3 delivered 0 failed 0 not known 3 on its way 0" in said(page)
    assert 'class="not-known"' in page
    assert 'rect class="failed"' not in page
    # In words, too, not by colours alone.
    assert re.search(r"<title>[^<]*: 3, not known 3</title>", page)
    _, body = browser.get("/account/sent.csv", Accept="*/*")
    lines = list(csv.DictReader(io.StringIO(body.removeprefix("\ufeff"))))
    assert {line["outcome"] for line in lines} == {"not known"}
    assert {line["state"] for line in lines} == {"unknown", "uncertain"}
    _, page = browser.get("/account/", Accept_Language="fr")
    assert "au total 3 livré 0 échoué 0 issue inconnue 3 en route 0" in said(page)


def test_every_state_is_in_the_csv_with_its_outcome(pages: World) -> None:
    browser, account_id = pages.account("all states")
    arrange(pages.store, account_id, *([state.value] for state in State if state != "queued"))
    _, body = browser.get("/account/sent.csv", Accept="*/*")
    lines = list(csv.DictReader(io.StringIO(body.removeprefix("\ufeff"))))
    outcomes = {line["state"]: line["outcome"] for line in lines}
    assert outcomes == {
        "submitting": "on its way",
        "submitted": "on its way",
        "delivered": "delivered",
        "undeliverable": "failed",
        "expired": "failed",
        "failed": "failed",
        "uncertain": "not known",
        "unknown": "not known",
    }


def test_recipients_with_different_ends_are_counted_in_list_page_and_command(pages: World) -> None:
    browser, account_id = pages.account("several ends")
    arranged = arrange(
        pages.store,
        account_id,
        ["delivered", "failed"],
        ["delivered", "unknown", "delivered"],
        ["expired", "expired"],
    )
    two, three, same = arranged
    counted = {two: "1 failed 1 delivered", three: "1 unknown 2 delivered", same: "expired"}
    _, page = browser.get("/account/")
    table = page[page.index('<table class="list">') :].partition("</table>")[0]
    rows = {
        id: said(f"<main{row}</main>")
        for row in table.split("<tr>")[2:]
        for id in arranged
        if id in row
    }
    for id, states in counted.items():
        assert rows[id].endswith(states), rows[id]
        _, shown = browser.get(f"/account/message/{id}")
        assert f"Message {states} " in said(shown)
        words = states.replace(" 1 ", ", 1 ").replace(" 2 ", ", 2 ")
        assert pages.gateway.run("message", "show", id).startswith(f"{id}  {words}\n")
    _, page = browser.get(f"/account/message/{three}", Accept_Language="fr")
    assert "1 inconnu 2 livrés" in said(page)


def test_a_message_is_shown_with_its_sender_and_reference(pages: World) -> None:
    browser, account_id = pages.account("named", "--senders", "ACME,8000")
    (id,) = arrange(pages.store, account_id, ["delivered"])
    _, page = browser.get(f"/account/message/{id}")
    assert "Reference" not in said(page)
    with pages.store.write() as connection:
        connection.execute(
            tables.message.update()
            .where(tables.message.c.id == id)
            .values(sender="ACME", reference="order <4711>")
        )
    _, page = browser.get(f"/account/message/{id}")
    assert "Sender ACME Reference order <4711>" in said(page).replace("&lt;", "<").replace(
        "&gt;", ">"
    )
    assert "<4711>" not in page
    _, page = browser.get("/account/")
    assert "Senders in requests 8000, ACME" in said(page)
    _, page = browser.get(f"/account/message/{id}", Accept_Language="fr")
    assert "Référence" in said(page)


def test_what_failed_may_be_sent_again_while_another_recipient_still_waits(pages: World) -> None:
    browser, account_id = pages.account("one of two")
    sent = ["submitted", "failed"], ["submitted", "delivered"]
    failed, none = arrange(pages.store, account_id, *sent, to="+3361234567")
    assert "Resend to those it did not reach" in browser.get(f"/account/message/{failed}")[1]
    assert "Resend to those it did not reach" not in browser.get(f"/account/message/{none}")[1]
    _, page = browser.post(f"/account/message/{failed}")
    assert "1 queued 1 submitted" in said(page)
    assert "Accepted for another try." in said(page)


def test_the_api_has_one_state_for_a_message_and_one_for_each_delivery(pages: World) -> None:
    key = pages.gateway.create_key("--rate", "none", "--multi", name="by program")
    id = send(pages.gateway, key, "+32494000000,+32494000003", "Hello")
    url = f"{pages.gateway.url}/status/?apikey={key}&id={id}"

    def states() -> list[str]:
        result = get_json(url)["result"]
        return [result["state"], *sorted(d["state"] for d in result["deliveries"])]

    wait_for(lambda: states() == ["failed", "delivered", "failed"], 60)


def test_a_french_page_has_every_reason_in_french_and_quotes_what_others_said(pages: World) -> None:
    browser, account_id = pages.account("francophone")
    (id,) = arrange(pages.store, account_id, ["failed"])
    said_by_us = [
        *reasons(),
        *(f"00A1 {status}" for status in STATUSES.values()),
        *(f"{code:d} {code.sentence}" for code in Code if code),
    ]
    quote = "Absent subscriber, call later"
    events = ("put off", "refused", "not answered", "not written", "pushed", "not pushed", "failed")
    with pages.store.write() as connection:
        query = select(tables.delivery.c.id).where(tables.delivery.c.message_id == id)
        delivery_id = connection.execute(query).scalar_one()
        steps = [(detail, events[n % len(events)]) for n, detail in enumerate(said_by_us)]
        queue.record_steps(
            connection,
            [
                (delivery_id, 1_772_323_200_000, 0, event, detail)
                for detail, event in [*steps, (quote, "refused"), ("carrier-1", "claimed")]
            ],
        )
    _, page = browser.get(f"/account/message/{id}", Accept_Language="fr")
    text = said(page)
    assert 'lang="en"' not in page
    assert f"refusé « {quote} »" in text
    assert "pris en charge carrier-1" in text
    french = words("fr")
    for detail, event in steps:
        assert f"{french.gettext(event)} {' '.join(in_words(detail, french).split())}" in text, (
            detail
        )
    # No English sentence is left, but for quotations.
    ours = re.sub("« .*? »", "", text)
    left = {s for s in (*SENTENCES, *(code.sentence for code in Code)) if " " in s and s in ours}
    assert left == set()


def test_a_french_trial_page_says_in_french_why_a_message_is_refused(pages: World) -> None:
    key = pages.gateway.create_key("--rate", "none", name="en essai")
    browser = Browser(pages.gateway)
    browser.get("/sendsms/test/")

    def refused(recipients: str, message: str) -> str:
        _, page = browser.post("/sendsms/test/", apikey=key, recipients=recipients, message=message)
        token = re.search('name="form_token" value="([0-9a-f]+)"', page)
        assert token is not None
        fields = urllib.parse.urlencode(
            {
                "form_token": token[1],
                "apikey": key,
                "recipients": recipients,
                "message": message,
            }
        )
        _, page = browser.get("/sendsms/test/", fields.encode(), Accept_Language="fr")
        return said(page).partition("Tel qu")[0]

    assert "Le numéro a une lettre ou un signe que" in refused("call me", "Hello")
    assert "Le texte est vide" in refused("+32494000000", " ")
    assert "Le texte a un caractère de commande (U+0001)" in refused("+32494000000", "a\x01b")
    assert "Accepté pour livraison. La suite s’affiche ci-dessous." in refused(
        "+32494000000", "Bonjour"
    )
