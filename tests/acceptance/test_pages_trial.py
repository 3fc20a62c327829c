"""The test page, as a browser without JavaScript uses it."""

import re
import secrets
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from support import databases
from support.http import Answer, ask
from support.running import Running
from support.running import serve as serve_all
from support.serving import Server, serve

from sms_gateway.codes import Code

pytestmark = pytest.mark.once

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
VOID = {"meta", "link", "input", "wbr", "br"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("support.scripted:application()") as running:
        yield running


class Page(HTMLParser):
    """A page taken apart; every element has to be closed in order."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.texts: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(answer.body.decode())
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self._open:
            tag = self._open[-1]
            self.texts[tag] = self.texts.get(tag, "") + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def fields(self) -> dict[str, str]:
        """What the form would send."""
        inputs = {str(i["name"]): str(i.get("value") or "") for i in self.all("input")}
        # A parser drops the first line break of a text area (HTML Standard, section 13.2.6.4.7).
        return inputs | {"message": self.texts["textarea"].removeprefix("\n")}


def post(server: Server | Running, language: str = "en", **fields: str) -> Answer:
    """Fill the form in as a browser does: with the cookie that the page came with."""
    page = ask(server, "/sendsms/test/")
    cookie = page.headers["set-cookie"].partition(";")[0]
    token = Page(page).fields()["form_token"]
    body = urlencode({"form_token": token, **fields}).encode()
    return ask(
        server,
        "/sendsms/test/",
        body,
        headers={**FORM, "Cookie": cookie, "Accept-Language": language},
    )


@pytest.mark.parametrize("path", ["/sendsms/test/", "/sendsms/test"])
def test_the_page_is_a_form_that_posts_to_itself(server, path):
    page = Page(ask(server, path))
    (form,) = page.all("form")
    assert form["method"] == "post"
    # The site is below a path of its proxy.
    assert form["action"] == "/gateway/sendsms/test/"
    fields = page.fields()
    assert {"apikey": "", "recipients": "", "message": ""}.items() <= fields.items()
    labelled = {label["for"] for label in page.all("label")}
    shown: list[dict[str, str | None]] = [
        i for i in [*page.all("input"), *page.all("textarea")] if i.get("type") != "hidden"
    ]
    assert labelled == {field["id"] for field in shown}


def test_sending_shows_the_reply_raw_and_explained(server):
    answer = post(server, recipients="0032494000000", message="Hello World", apikey="TopSecret")
    assert answer.status == 200
    page = Page(answer)
    assert "Accepted for delivery." in page.text
    (box,) = [e for e in page.all("section") if "answer" in str(e.get("class"))]
    # Not the green of what has arrived.
    assert box["class"] == "answer taken"
    assert "1 number was accepted" in page.text
    (name,) = set(re.findall("\\b[0-9a-f]{32}\\b", page.text))
    assert f"<result><error>0</error><sent>1</sent><id>{name}</id></result>" in page.texts["code"]
    assert f'{{"result": {{"error": 0, "sent": 1, "id": "{name}"}}}}' in page.texts["code"]


@pytest.mark.parametrize("code", [code for code in Code if code])
def test_every_refusal_is_shown_with_its_sentence(server, code):
    answer = post(server, recipients="1", message="m", apikey=f"code-{code}")
    assert answer.status == 200
    page = Page(answer)
    assert f"{code.value}: {code.sentence}" in page.text
    assert f"<error>{code.value}</error>" in page.texts["code"]


def test_what_was_typed_stays_but_the_key(server):
    answer = post(server, recipients="1, 2", message="\nTwo\n<lines>", apikey="TopSecret")
    fields = Page(answer).fields()
    assert fields["recipients"] == "1, 2"
    assert fields["message"].replace("\r\n", "\n") == "\nTwo\n<lines>"
    assert b"TopSecret" not in answer.body
    assert not [value for value in answer.headers.values() if "TopSecret" in value]
    assert "TopSecret" not in server.stderr()


NASTY = "\"'></textarea></pre><script>alert(1)</script>{{ 1234 * 5678 }}&lt;"


def test_nothing_that_is_typed_becomes_markup(server):
    answer = post(server, recipients=NASTY, message=NASTY, apikey=f"echo {NASTY}", once=NASTY)
    page = Page(answer)
    assert len(page.all("script")) == 1
    assert b"<script>" not in answer.body
    assert "7006652" not in page.text
    fields = page.fields()
    assert fields["recipients"] == fields["message"] == NASTY


def test_loading_the_answer_again_sends_nothing_but_another_text_does(server):
    once = Page(ask(server, "/sendsms/test/")).fields()["once"]
    fields = {"recipients": "1", "message": "Hello", "apikey": "good", "once": once}

    def name(**changes: str) -> str:
        page = Page(post(server, **(fields | changes)))
        return re.findall("<id>([0-9a-f]{32})", page.texts["code"])[0]

    first = name()
    assert name() == first
    assert name(message="Hello again") != first
    assert name(once="") != first


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("gateway")
    database = databases.fresh_sqlite(folder)
    with serve_all(folder, database, default_region="US", upstream="sandbox:") as running:
        yield running


@pytest.mark.parametrize(
    ("recipients", "language", "told"),
    [
        (
            "(201) 594-6934",
            "en",
            "+12015946934: landline or mobile, United States\n"
            "read as a national number of United States; with + in front it would be +2015946934",
        ),
        (
            "(201) 594-6934",
            "fr",
            "+12015946934 : fixe ou mobile, États-Unis\n"
            "lu comme un numéro national (États-Unis) ; avec + devant, ce serait +2015946934",
        ),
        (
            "32494000000",
            "en",
            "+32494000000: mobile, Belgium\n"
            "read as an international number, as it is no national number of United States",
        ),
        (
            "+3225112233",
            "fr",
            "+3225112233 : ligne fixe, Belgique\n"
            "Beaucoup d’opérateurs refusent les SMS vers les lignes fixes, ou les perdent.",
        ),
        ("+870773111632", "en", "+870773111632: satellite\nTexts to satellite telephones cost"),
    ],
)
@pytest.mark.parametrize("check", ["", "yes"])
def test_how_numbers_were_read_and_their_kinds_are_told(gateway, recipients, language, told, check):
    key = gateway.create_key("--rate", "none", name=f"key-{secrets.token_hex(4)}")
    fields = {"recipients": recipients, "message": "m", "apikey": key}
    answer = post(gateway, **fields, **({"check": check} if check else {}), language=language)
    page = Page(answer)
    lines = [line.strip() for line in page.text.splitlines()]
    assert told in "\n".join(line for line in lines if line)


def test_numbers_are_not_told_to_those_without_a_key_nor_when_they_are_none(gateway):
    key = gateway.create_key("--rate", "none", name=f"key-{secrets.token_hex(4)}")
    for recipients, apikey in (("(201) 594-6934", "wrong"), ("mum", key)):
        page = Page(post(gateway, recipients=recipients, message="m", apikey=apikey))
        assert "The numbers" not in page.text
        assert "The answer" in page.text


def test_an_overloaded_gateway_is_shown_as_that(server):
    answer = post(server, recipients="1", message="m", apikey="busy")
    assert answer.status == 503
    assert "in 7 s" in Page(answer).text


def test_a_failure_is_a_short_page_with_an_incident(server):
    answer = post(server, recipients="1", message="confidential", apikey="fails")
    assert answer.status == 500
    page = Page(answer)
    assert "incident" in page.text
    assert "confidential" not in page.text


def test_a_form_that_cannot_be_read_is_a_short_page(server):
    answer = ask(server, "/sendsms/test/", b"a=1&" * 100, headers=FORM)
    assert answer.status == 400
    assert "Too many parameters" in Page(answer).text


def test_pages_run_no_script_and_load_nothing_from_elsewhere(server):
    for target in ("/sendsms/test/", "/nowhere"):
        answer = ask(server, target, headers={"Accept": "text/html"})
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "'unsafe" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        page = Page(answer)
        assert page.all("style") == page.all("img") == []
        attributes = [attributes for _, attributes in page.elements]
        assert not [a for a in attributes if "style" in a or any(n.startswith("on") for n in a)]
        (script,) = page.all("script")
        assert "script" not in page.texts, "a script in the page itself"
        addresses = [str(script["src"]), *(str(link["href"]) for link in page.all("link"))]
        assert all(re.match(r"/gateway/static/[0-9a-f]{16}/", address) for address in addresses)


def test_the_style_sheet_is_served_for_light_dark_and_small_screens(server):
    sheet = next(link for link in Page(ask(server, "/")).all("link") if link["rel"] == "stylesheet")
    address = str(sheet["href"]).removeprefix("/gateway")
    answer = ask(server, address)
    assert answer.status == 200
    assert "immutable" in answer.headers["cache-control"]
    assert ask(server, re.sub("/[0-9a-f]{16}/", f"/{0:016}/", address)).status == 404
    assert answer.headers["content-type"].startswith("text/css")
    assert b"prefers-color-scheme: dark" in answer.body
    assert b"url(" not in answer.body
    assert b"@import" not in answer.body
    page = Page(ask(server, "/sendsms/test/"))
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )


def test_the_developer_page_has_samples_with_this_servers_address_and_all_codes(server):
    page = Page(ask(server, "/"))
    assert "curl https://sms.example.org/gateway/sendsms/" in page.texts["code"]
    for code in Code:
        assert code.sentence in page.texts["td"]


def test_the_page_takes_no_key_from_the_address(server):
    answer = ask(server, "/sendsms/test/?apikey=TopSecret&message=Hello&recipients=1")
    assert b"TopSecret" not in answer.body
    assert "reply" not in [element.get("id") for element in Page(answer).all("h2")]


def test_only_get_and_post_reach_the_page(server):
    answer = ask(server, "/sendsms/test/", method="DELETE", headers={"Accept": "text/html"})
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    head = ask(server, "/sendsms/test/", method="HEAD")
    assert (head.status, head.body) == (200, b"")
