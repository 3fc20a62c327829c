"""The picture of the account page in the README: Chromium, a gateway, thirty days of history.

`tox -e tables` takes it anew. Otherwise the page is opened all the same, and the picture has to
be of its size.
"""

import os
import struct
import time
from functools import partial
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from support import databases, running
from support.browser import browser, look
from support.pages import send

from sms_gateway.sms.ids import new_id
from sms_gateway.sms.message import State
from sms_gateway.store import Store, accounts, intake, tables

pytestmark = pytest.mark.once

PICTURE = Path(__file__).parents[2] / "docs/images/account.png"
WIDTH, HEIGHT = 1000, 1200
DAY = 86_400_000
#: How the messages of a day end; the busier the day, the more of them.
FATES = [State.DELIVERED] * 6 + [State.UNDELIVERABLE, State.DELIVERED, State.UNKNOWN]


#: What is sent on the day itself; the sandbox never answers for the third.
SENT = (
    ("+32494000001", "Hello World"),
    ("+32494000000,+33612345678", "The meeting begins at ten"),
    ("+32494000005", "Your table is ready"),
    ("+33612345678", "Your code is 482 915"),
)


def fill(store: Store, account: int) -> None:
    """Messages of the last thirty days, fewer at week-ends, as if sent at noon."""
    now = time.time_ns() // 1_000_000
    for days in range(1, 30):
        at = now - days * DAY
        for number in range(4 if (at // DAY) % 7 in (2, 3) else 9 + 5 * days % 8):
            id = new_id(at + number)
            with store.write() as connection:
                intake.add_messages(
                    connection,
                    [(id, account, "", "Your parcel comes today", "gsm7", 1, at + number, "", 0)],
                )
                connection.execute(
                    tables.delivery.insert(),
                    {
                        "message_id": id,
                        "recipient": f"+324940001{number:02}",
                        "route": "default",
                        "parts": 1,
                        "state": FATES[number % len(FATES)],
                        "due_at": 2**60,
                        "expires_at": 2**60,
                        "attempts": 1,
                        "possible_duplicate": False,
                    },
                )


def has_ended(url: str, key: str, id: str) -> bool:
    state = running.get_json(f"{url}/status/?apikey={key}&id={id}")["result"]["state"]
    return state not in ("queued", "submitting", "submitted")


def taken(url: str, key: str) -> bytes:
    """The account page as a PNG."""
    with browser() as driver:
        look(driver, width=WIDTH)
        metrics = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        driver.get(f"{url}/account/")
        driver.find_element(By.NAME, "apikey").send_keys(key)
        driver.find_element(By.XPATH, "//main//button[normalize-space()='Sign in']").click()
        driver.find_element(By.XPATH, "//*[contains(text(), 'Hello World')]")
        return driver.get_screenshot_as_png()


def size(png: bytes) -> tuple[int, int]:
    """Width and height (PNG, second edition, §11.2.2)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_the_picture_in_the_readme_is_of_the_account_page(tmp_path: Path) -> None:
    url = databases.fresh_sqlite(tmp_path)
    with running.serve(tmp_path, url) as gateway:
        key = gateway.create_key("--rate", "20/s", "--multi", "--countries", "BE,FR")
        store = Store(url)
        with store.read() as connection:
            account = accounts.by_name(connection, "acme")
        assert account is not None
        fill(store, account.id)
        store.close()
        ids = [send(gateway, key, recipients, text) for recipients, text in SENT]
        for id in ids:
            running.wait_for(partial(has_ended, gateway.url, key, id), 60)
        png = taken(gateway.url, key)
    if os.environ.get("SENDSMSNOW_TEST_TABLES") == "1":
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_bytes(png)
    assert size(PICTURE.read_bytes()) == size(png)
    assert len(PICTURE.read_bytes()) < 150_000
