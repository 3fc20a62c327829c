"""The pages as a person uses them, in Chromium, in front of a gateway with all its processes."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from selenium import webdriver
from selenium.webdriver.common.by import By
from support import databases
from support.browser import browser, look
from support.judgement import mistakes, violations
from support.pages import send
from support.running import Running, serve

# Its outcome does not hang on the version of Python.
pytestmark = pytest.mark.once

#: The sandbox refuses numbers with this end for good.
REFUSED = "+32494000003"


class Mailbox:
    """Keeps what comes by SMTP."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 taken"


class World:
    def __init__(self, gateway: Running, mailbox: Mailbox) -> None:
        self.gateway = gateway
        self.mailbox = mailbox
        self.url = gateway.url
        self.key = gateway.create_key("--rate", "none", "--multi", name="acme")

    def mail_to(self, address: str) -> Any:
        """The mail to an address, once it has come."""
        return until(lambda: next((m for m in self.mailbox.mails if m["To"] == address), None))


def until(condition: Callable[[], Any]) -> Any:
    """What a condition gives, once it gives something."""
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("gateway")
    mailbox = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    relay = Controller(mailbox, hostname="127.0.0.1", port=port, server_hostname="relay.example")
    relay.start()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        mail_port = probe.getsockname()[1]
    settings = {
        "smtp_relay": f"smtp://127.0.0.1:{port}",
        "mail_from": "SMS <sms@example.com>",
        "mail_bind": f"127.0.0.1:{mail_port}",
        "mail_domain": "sms.example.com",
    }
    try:
        with serve(folder, databases.fresh_sqlite(folder), **settings) as gateway:
            yield World(gateway, mailbox)
    finally:
        relay.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    with browser() as opened:
        yield opened


@pytest.fixture
def page(chromium: webdriver.Chrome, world: World) -> Iterator["Page"]:
    opened = Page(chromium, world.url)
    chromium.delete_all_cookies()
    yield opened
    # Nothing was blocked by the page's own policy, and no script failed.
    log = [entry for entry in chromium.get_log("browser") if entry["level"] != "DEBUG"]
    assert [entry for entry in log if "status of 4" not in entry["message"]] == []


class Page:
    """What a person sees and does."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, path: str) -> None:
        self.driver.get(path if path.startswith("http") else self.url + path)

    def type(self, name: str, text: str) -> None:
        field = self.driver.find_element(By.NAME, name)
        field.clear()
        field.send_keys(text)

    def press(self, words: str) -> None:
        """Press a button or follow a link, and wait for the page that comes."""
        path = f"(//main//*[self::button or self::a][normalize-space()='{words}'])[last()]"
        before = self.driver.find_element(By.TAG_NAME, "html")
        self.driver.find_element(By.XPATH, path).click()
        until(lambda: self.driver.find_element(By.TAG_NAME, "html") != before)

    def says(self, words: str) -> None:
        deadline = time.monotonic() + 30
        while words not in self.text:
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)

    @property
    def text(self) -> str:
        return str(self.driver.find_element(By.TAG_NAME, "body").text)

    def sign_in(self, key: str) -> None:
        self.open("/account/")
        self.type("apikey", key)
        self.press("Sign in")


def test_a_person_tries_a_key_and_follows_the_message_to_its_receipt(world, page):
    page.open("/sendsms/test/")
    page.type("apikey", world.key)
    page.type("recipients", "+32494000000")
    page.type("message", "Hello {}")
    page.says("GSM 7-bit · 10 characters · 1 part")
    page.type("message", "Здравей")
    page.says("UCS-2 · 7 characters · 1 part (63 left")
    page.press("Check without sending")
    page.says("It would be accepted. Nothing was sent or stored.")
    assert "<error>0</error><sent>1</sent><id></id>" in page.text
    page.type("apikey", world.key)
    page.press("Send")
    page.says("Accepted for delivery. What becomes of it is shown below.")
    page.says("delivered")  # which it was while the page was open
    page.press("Follow it to its receipt")
    page.says("delivered")
    assert "+32494000000" in page.text


def test_a_person_asks_for_a_key_confirms_the_address_and_signs_in(world, page):
    page.open("/apikey/")
    page.type("address", "Anna@Example.com")
    page.press("Ask for a key")
    page.says("A mail is on its way to anna@example.com")
    mail = world.mail_to("anna@example.com")
    assert mail["Subject"] == "Confirm your address for a free API key"
    assert mail["Auto-Submitted"] == "auto-generated"
    (link,) = re.findall(r"http\S+", mail.get_content())[:1]
    page.open(link)
    page.open(link)  # looking at it twice changes nothing
    page.press("Confirm and show the key")
    key = page.driver.find_element(By.ID, "key").text
    assert re.fullmatch("[0-9a-f]{40}", key)
    page.open(link)
    page.says("This link is of no use any more")
    page.sign_in(key)
    page.says("anna@example.com")
    page.says("1/min")


def test_a_person_finds_resends_and_deletes_messages(world, page):
    page.open("/sendsms/test/")
    page.type("apikey", world.key)
    page.type("recipients", f"+32494000000, {REFUSED}")
    page.type("message", "An unlucky one")
    page.press("Send")
    page.sign_in(world.key)
    page.type("search", "unlucky")
    page.press("Search")
    page.driver.find_element(By.CSS_SELECTOR, ".list a").click()

    def heading() -> str:
        return str(page.driver.find_element(By.TAG_NAME, "h1").text)

    # While it is looked at, the heading goes along with the message.
    until(lambda: "1 failed 1 delivered" in heading())
    page.press("Resend to those it did not reach")
    page.says("Accepted for another try. What becomes of it is shown below.")
    page.says("resend")
    until(lambda: page.text.count("refused") == 2)
    until(lambda: "1 failed 1 delivered" in heading())
    page.driver.find_element(By.CSS_SELECTOR, "#again button")
    page.open("/account/")
    assert "1 failed 1 delivered" in page.driver.find_element(By.CSS_SELECTOR, ".list").text
    page.driver.find_element(By.CSS_SELECTOR, ".list a").click()
    page.press("Delete")
    page.driver.find_element(By.CSS_SELECTOR, "[value=all]").click()
    page.press("Go on")
    page.says("Are you sure?")
    page.press("Keep them")
    assert "An unlucky one" in page.text
    page.open("/account/delete?what=all")
    page.press("Delete")
    page.says("deleted.")
    assert "An unlucky one" not in page.text
    page.says("Nothing yet.")


def test_a_new_key_takes_the_place_of_the_old_one_after_a_day(world, page):
    old = world.gateway.create_key("--rate", "none", name="rotating")
    page.sign_in(old)
    page.press("New key")
    page.press("Make a new key")
    page.says(f"The key before, which ends in …{old[-4:]}, works until")
    new = page.driver.find_element(By.ID, "key").text
    for key in (old, new):
        assert send(world.gateway, key, "+32494000000", "by either key")
    page.open("/account/")
    page.says("Sign in with your API key")
    page.type("apikey", old)
    page.press("Sign in")
    page.says("A new key has taken the place of this one: sign in with the new one")
    page.sign_in(new)
    page.says("rotating")
    page.says(f"The key before, which ends in …{old[-4:]}, works until")
    page.press("Sign out")
    page.says("Sign in with your API key")


def test_a_new_key_takes_the_place_of_the_old_ones_at_once(world, page):
    old = world.gateway.create_key(name="leaked")
    page.sign_in(old)
    page.press("New key")
    page.driver.find_element(By.CSS_SELECTOR, "[value=now]").click()
    page.press("Make a new key")
    page.says("No other key of this account works any more.")
    new = page.driver.find_element(By.ID, "key").text
    page.open("/account/")
    page.type("apikey", old)
    page.press("Sign in")
    page.says("API key is not correct")
    page.sign_in(new)
    page.says("leaked")


def test_a_new_mail_address_takes_the_place_of_the_old_one(world, page):
    page.sign_in(world.gateway.create_key(name="written to"))
    pattern = r"[0-9]{16}@sms\.example\.com"
    old = re.findall(pattern, page.text)[0]
    page.press("New key")
    page.says("Mails to this address become messages of this account.")
    assert old in page.text
    page.press("Take a new mail address")
    page.says("Mails to the one before are refused.")
    new = re.findall(pattern, page.text)[0]
    assert new != old
    assert old not in page.text


def test_countries_are_filtered_while_a_person_types(page):
    page.open("/countries/")
    rows = page.driver.find_elements(By.CSS_SELECTOR, "#countries tbody tr")
    assert len(rows) > 200
    page.type("search", "belg")
    until(lambda: [row.text for row in rows if row.is_displayed()] == ["Belgium BE +32 open"])
    page.type("search", "nowhere at all")
    page.says("No country fits.")


def test_a_sample_is_copied_by_its_button(world, page):
    page.open("/")
    permission = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    page.driver.execute_cdp_cmd("Browser.grantPermissions", permission)
    page.driver.find_element(By.CSS_SELECTOR, "[data-copy=sample-1]").click()
    page.says("Copied")
    assert page.driver.execute_script("return navigator.clipboard.readText()") == (
        page.driver.find_element(By.ID, "sample-1").text
    )


OPEN_PAGES = ("/", "/sendsms/test/", "/countries/?search=be", "/apikey/", "/account/", "/nowhere")
SIGNED_IN = (
    "/account/",
    "/account/received",
    "/account/activity",
    "/account/key",
    "/account/delete",
    "/account/delete?what=all",
    "/account/delete?before=tomorrow",
)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_page_is_valid_and_accessible_light_and_dark_wide_and_narrow(
    world: World, tmp_path: Path, language: str
) -> None:
    with browser(language) as driver:
        page = Page(driver, world.url)
        wrong: list[str] = []

        def judge(name: str) -> None:
            for dark, width in ((False, 1200), (True, 1200), (False, 360), (True, 360)):
                look(driver, dark=dark, width=width)
                where = f"{name} {'dark' if dark else 'light'} {width}"
                wrong.extend(f"{where}: {line}" for line in violations(driver))
                wide = driver.execute_script("return document.documentElement.scrollWidth")
                if wide > width:
                    wrong.append(f"{where}: wider than the screen: {wide}")
            source = driver.execute_async_script(
                "fetch(location.href, {headers: {Accept: 'text/html'}})"
                ".then(a => a.text()).then(arguments[0])"
            )
            assert f'<html lang="{language}">' in source
            (tmp_path / f"{name}.html").write_text(source)

        for number, path in enumerate(OPEN_PAGES):
            page.open(path)
            judge(f"open-{number}")
        send = {"en": "Send", "fr": "Envoyer"}[language]
        page.open("/sendsms/test/")
        page.type("apikey", world.key)
        page.type("recipients", f"+32494000000, {REFUSED}")
        page.type("message", '<script>alert("1")</script> & Ω')
        page.press(send)
        judge("sent")
        page.driver.find_element(By.CSS_SELECTOR, "a.button").click()
        judge("followed")
        page.open("/account/")
        page.type("apikey", world.key)
        page.press({"en": "Sign in", "fr": "Se connecter"}[language])
        for number, path in enumerate(SIGNED_IN):
            page.open(path)
            judge(f"account-{number}")
        page.open("/account/")
        page.driver.find_element(By.CSS_SELECTOR, ".list a").click()
        judge("message")
        page.open("/account/key")
        page.press({"en": "Make a new key", "fr": "Créer une nouvelle clé"}[language])
        judge("new-key")
        world.key = page.driver.find_element(By.ID, "key").text
        page.open("/account/")
        page.type("apikey", world.key)
        page.press({"en": "Sign in", "fr": "Se connecter"}[language])
        for name, path in (("two-keys", "/account/"), ("one-more-key", "/account/key")):
            page.open(path)
            judge(name)
        wrong.extend(mistakes(tmp_path))
        assert wrong == [], "\n".join(wrong)
