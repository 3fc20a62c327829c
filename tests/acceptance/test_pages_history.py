"""What the pages of an account tell about its messages, over real HTTP, on both databases."""

import html
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.pages import Browser
from support.running import Running, serve

from sms_gateway.sms.ids import new_id
from sms_gateway.store import Store, accounts, intake

#: Unix milliseconds: the 1st of March, 2026; a message each second.
BEGIN = 1_772_323_200_000
OLDEST = "+32494000000"


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
                [(ids[n], account_id, "", text, "gsm7", 1, BEGIN + 1_000 * n) for n in some],
            )
            intake.add_deliveries(
                connection, [(ids[n], f"+32494{n:06}", "", 1, 2**60, 2**60) for n in some]
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
