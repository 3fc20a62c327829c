"""The pages over real HTTP: what they give programs, and what attackers do not get."""

import csv
import html
import io
import json
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support import databases
from support.needs import lacking
from support.pages import Browser, send
from support.running import Running, serve, wait_for

import sms_gateway

pytestmark = pytest.mark.once

EVIL = "<img src=x onerror=alert(1)>\"'</td>"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("gateway")
    with serve(folder, databases.fresh_sqlite(folder)) as running:
        yield running


def form_token(page: str) -> str:
    found = re.search('name="form_token" value="([0-9a-f]+)"', page)
    assert found is not None
    return found[1]


def test_no_form_is_taken_without_its_token_or_with_that_of_another_browser(gateway):
    key = gateway.create_key("--rate", "none", name="forged")
    id = send(gateway, key, "+32494000000", "stays")
    victim, attacker = Browser(gateway), Browser(gateway)
    assert "forged" in victim.sign_in(key)[1]
    page = attacker.get("/account/")[1]
    token = form_token(page)
    for path, fields in (
        ("/account/delete", {"sure": "yes", "what": "all"}),
        ("/account/key", {"old": "now"}),
        ("/account/address", {}),
        ("/account/signout", {}),
        (f"/account/message/{id}", {}),
        ("/account/", {"apikey": key}),
        ("/sendsms/test/", {"apikey": key, "recipients": "+32494000000", "message": "m"}),
        ("/apikey/", {"address": "a@example.com"}),
    ):
        assert victim.post_raw(path, **fields)[0] == 403
        assert victim.post_raw(path, form_token=token, **fields)[0] == 403
    assert "stays" in victim.get("/account/")[1]
    own = form_token(victim.get("/account/key")[1])
    body = urllib.parse.urlencode({"form_token": own}).encode()
    assert victim.get("/account/key", body, Sec_Fetch_Site="cross-site")[0] == 403
    assert victim.get("/account/key", body, Sec_Fetch_Site="same-site")[0] == 403


def test_what_others_wrote_is_shown_and_never_run(gateway):
    key = gateway.create_key("--rate", "none", name="<b>evil</b>")
    id = send(gateway, key, "+32494000000", EVIL)
    browser = Browser(gateway)
    pages = [browser.sign_in(key)[1], browser.get(f"/account/message/{id}")[1]]
    pages.append(browser.get("/account/?search=" + urllib.parse.quote(EVIL))[1])
    for page in pages:
        assert html.escape(EVIL, quote=False).replace('"', "&#34;").replace("'", "&#39;") in page
        assert "<img" not in page
        assert "<b>evil" not in page
    policy = browser.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_nobody_sees_or_touches_what_is_anothers(gateway):
    mine = gateway.create_key("--rate", "none", name="mine")
    theirs = gateway.create_key("--rate", "none", name="theirs")
    id = send(gateway, theirs, "+32494000000", "secret of theirs")
    browser = Browser(gateway)
    browser.sign_in(mine)
    assert browser.get(f"/account/message/{id}")[0] == 404
    _, page = browser.post(f"/account/message/{id}", page="/account/key")
    assert "secret" not in page
    browser.post("/account/delete", page="/account/key", sure="yes", what="all")
    other = Browser(gateway)
    assert "secret of theirs" in other.sign_in(theirs)[1]
    assert browser.get(f"/sendsms/test/{id}/{'0' * 64}")[0] == 404
    for path in ("/account/received", "/account/sent.csv", "/account/delete", "/account/key"):
        assert "Sign in with your API key" in Browser(gateway).get(path)[1]


def test_signing_in_goes_nowhere_else(gateway):
    key = gateway.create_key(name="redirected")
    for query in ("?next=https://evil.example/", "?redirect=//evil.example", "//evil.example"):
        browser = Browser(gateway)
        browser.get("/account/" + query)
        browser.post("/account/" + (query if query[0] == "?" else ""), apikey=key)
        assert "evil.example" not in str(browser.headers)


def test_guessing_keys_is_slowed_down_for_one_network_and_right_keys_are_not(gateway):
    key = gateway.create_key(name="guessed")
    guesser = Browser(gateway, "203.0.113.5")
    statuses = [guesser.post("/account/", apikey=f"wrong{n}")[0] for n in range(11)]
    assert statuses[:10] == [403] * 10
    assert statuses[10] == 429
    assert int(guesser.headers["retry-after"]) >= 1
    # Who is no proxy is not believed: the last one in the list is who the proxy saw.
    liar = Browser(gateway, "192.0.2.1, 203.0.113.5")
    assert liar.sign_in("wrong")[0] == 429
    assert Browser(gateway, "203.0.114.5").sign_in("wrong")[0] == 403
    # Others behind the same address have keys that are right.
    assert Browser(gateway, "203.0.113.77").sign_in(key)[0] == 200


def test_the_cookie_cannot_be_read_by_scripts_or_planted(gateway):
    key = gateway.create_key(name="cookies")
    browser = Browser(gateway)
    browser.get("/account/")
    before = [cookie.value for cookie in browser.cookies]
    browser.sign_in(key)
    (cookie,) = browser.cookies
    assert [cookie.value] != before
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "lax"
    stolen = Browser(gateway)
    stolen.cookies.set_cookie(cookie)
    browser.post("/account/signout", page="/account/")
    assert "Sign in with your API key" in stolen.get("/account/")[1]


def test_every_address_gets_the_same_answer(gateway):
    gateway.create_key(name="known@example.com")
    answers = set()
    for address in ("known@example.com", "fresh@example.com", "fresh@example.com"):
        status, page = Browser(gateway, "198.51.100.77").post("/apikey/", address=address)
        assert status == 200
        answers.add(re.sub("[0-9a-f]{64}", "", page.replace(address, "")))
    assert len(answers) == 1


def test_without_a_relay_the_operator_approves(gateway):
    browser = Browser(gateway, "198.51.101.1")
    assert "waits for the operator" in browser.post("/apikey/", address="bob@example.com")[1]
    assert "bob@example.com" in gateway.run("key", "requests")
    key = gateway.run("key", "approve", "BOB@example.com").strip()
    assert "bob@example.com" not in gateway.run("key", "requests")
    assert "bob@example.com" in browser.sign_in(key)[1]


def test_one_network_cannot_ask_for_many_keys(gateway):
    statuses = [
        Browser(gateway, "198.51.102.1").post("/apikey/", address=f"n{n}@example.com")[0]
        for n in range(6)
    ]
    assert statuses == [200] * 5 + [429]
    assert Browser(gateway, "198.51.102.1").post("/apikey/", address="nonsense")[0] == 400


def test_countries_come_as_json_and_xml_too(gateway):
    browser = Browser(gateway)
    listed = json.loads(browser.get("/countries/", Accept="application/json")[1])["countries"]
    belgium = {"code": "BE", "name": "Belgium", "dialling_code": "32", "state": "open"}
    assert belgium in listed
    root = ElementTree.fromstring(browser.get("/countries/?format=xml&search=belgi")[1])
    assert [(c.text, c.attrib["dialling_code"]) for c in root] == [("Belgium", "32")]
    french = json.loads(
        browser.get("/countries/?format=json&search=0032", Accept_Language="fr-BE")[1]
    )
    assert [country["name"] for country in french["countries"]] == ["Belgique"]


def test_the_history_comes_as_csv_in_which_nothing_is_a_formula(gateway):
    key = gateway.create_key("--rate", "none", name="csv")
    texts = ["=1+1", "+cmd|'x'!A1", "-1", "@SUM(A1)", " =1", 'plain, "quoted"\nlines']
    for text in texts:
        send(gateway, key, "+32494000000", text)
    browser = Browser(gateway)
    browser.sign_in(key)
    _, body = browser.get("/account/sent.csv")
    assert body.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(body.removeprefix("\ufeff"), newline="")))
    assert [row["message"] for row in reversed(rows)] == [
        *(f"'{text}" for text in texts[:-1]),
        texts[-1],
    ]
    assert {row["recipient"] for row in rows} == {"32494000000"}
    assert not [cell for row in rows for cell in row.values() if cell[:1] in tuple("=+-@")]


# The samples, as they stand on the page.

RUN = {
    "curl.sh": ["sh"],
    "php.php": ["php", "-d", "soap.wsdl_cache_enabled=0"],
    "python.txt": [sys.executable],
    "Send.java": ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto"],
}


@pytest.mark.parametrize("file", RUN)
def test_a_sample_sends_the_message(gateway, tmp_path, file):
    program = RUN[file][0]
    if shutil.which(program) is None:
        lacking(f"there is no {program}")
    if program == "php" and "soap" not in subprocess.check_output(["php", "-m"], text=True):
        lacking("this PHP has no SOAP extension")
    key = gateway.create_key("--rate", "none", name=f"sample {file}")
    _, page = Browser(gateway).get("/")
    shown = re.search(rf'data-file="{re.escape(file)}"[^>]*><code>(.*?)</code>', page, re.S)
    assert shown is not None
    script = tmp_path / file
    script.write_text(html.unescape(shown[1]).replace("YOUR_KEY", key))
    done = subprocess.run(
        [*RUN[file], str(script)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    (id,) = re.findall("[0-9a-f]{32}", done.stdout)
    wait_for(lambda: "delivered" in gateway.run("message", "show", id), 30)


def test_every_sample_has_this_servers_address_and_is_whole(gateway):
    _, page = Browser(gateway).get("/")
    samples = re.findall(r'data-file="([^"]+)"[^>]*><code>(.*?)</code>', page, re.S)
    assert len(samples) == 7  # this server takes no mail
    for file, sample in samples:
        assert gateway.url in sample, file
        assert "YOUR_KEY" in sample, file
    folder = Path(sms_gateway.__path__[0]) / "web/templates/samples"
    assert {file for file, _ in samples} | {"mail.txt"} == {f.name for f in folder.iterdir()}
