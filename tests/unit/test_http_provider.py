"""Providers that tables of the settings describe: requests, judgements, pushes, complaints."""

import base64
import hashlib
import hmac
import json
import time
import tomllib
from typing import Any
from urllib.parse import parse_qs

import pytest
from lxml import etree
from support.upstreams import RecordingSink, a_delivery, eventually, running

from sms_gateway.remote.answers import Answer, InvalidAnswerError
from sms_gateway.sms.message import State
from sms_gateway.upstream import Outcome
from sms_gateway.upstream.http import HttpUpstream
from sms_gateway.upstream.http_contract import IsAsked, SendsParts, UnsendableError
from sms_gateway.upstream.http_kinds import provider
from sms_gateway.upstream.http_poll import NoReceiptError
from sms_gateway.upstream.http_provider import HttpProvider
from sms_gateway.upstream.locate import Items, Place, finder, read
from sms_gateway.upstream.push import Push, PushError

SECRET = "s" * 32
NASTY = 'a&b=c "d" <e> {f} é 😀\n%'


def made(toml: str, /, **more: Any) -> HttpProvider:
    """A provider of a table in TOML, with what every table has."""
    usual = {"kind": "http", "url": "https://api.example.com/v1", "accepted": {"id": "/id"}}
    entries = usual | tomllib.loads(toml) | more
    return provider(entries, lambda secret: f"https://sms.example.com/upstream/x/{secret}")


def answered(made: HttpProvider, status: int, body: str, retry_after: str | None = None) -> Any:
    return made.judge(Answer(status, retry_after, body.encode()))


# Requests.


def test_a_value_is_escaped_for_the_place_where_it_stands():
    delivery = a_delivery(NASTY, sender="A/B?")
    form = made('form = { t = "{text}" }\npath = "/{sender}/send"\nquery = { q = "x {text}" }')
    request = form.request(delivery)
    path, _, query = request.path.partition("?")
    assert path == "/A%2FB%3F/send"
    assert parse_qs(query) == {"q": [f"x {NASTY}"]}
    assert parse_qs(request.body.decode("ascii")) == {"t": [NASTY]}
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"

    told = made("""json = '{"a": [{"t": "say {text}"}]}'""").request(delivery)
    assert json.loads(told.body) == {"a": [{"t": f"say {NASTY}"}]}

    xml = made("""xml = '<m to="{text}"><t>{text}</t></m>'\nmedia_type = "application/soap+xml" """)
    request = xml.request(delivery)
    root = etree.fromstring(request.body)
    assert root.findtext("t") == NASTY
    # A line feed in an attribute is kept by a reference (XML 1.0, section 3.3.3).
    assert root.get("to") == NASTY
    assert request.headers["Content-Type"] == "application/soap+xml"


def test_what_json_has_other_types_for_keeps_its_type():
    told = made(
        'json = { parts = "{parts}", number = "{recipient:int}", unicode = "{encoding}", '
        "flag = true }\n"
        "encodings = { gsm7 = false, ucs2 = true }"
    ).request(a_delivery("ж", recipient="+32494123456"))
    assert json.loads(told.body) == {
        "parts": 1,
        "number": 32494123456,
        "unicode": True,
        "flag": True,
    }


def test_a_field_without_a_value_is_left_out_and_so_is_a_table_without_fields():
    table = (
        'json = { from = "{sender}", hooks = { on = { url = "{callback}" } }, '
        'to = "{recipient}" }\n'
        'headers = { X-From = "by {sender}" }'
    )
    request = made(table).request(a_delivery(sender="", recipient="+32494123456"))
    assert json.loads(request.body) == {"to": "+32494123456"}
    assert "X-From" not in request.headers
    pushed = 'receipts = { id = "/id", status = "/s" }\nstates = { ok = "delivered" }\n'
    request = made(pushed + table, push_secret=SECRET).request(a_delivery(sender="Me"))
    told = json.loads(request.body)
    assert told["hooks"]["on"]["url"] == f"https://sms.example.com/upstream/x/{SECRET}"
    assert request.headers["X-From"] == "by Me"


@pytest.mark.parametrize(
    ("placeholder", "value"),
    [
        ("{recipient}", "+32494123456"),
        ("{recipient:digits}", "32494123456"),
        ("{recipient:zeros}", "0032494123456"),
        ("{recipient:national}", "494123456"),
        ("{sender:plus}", "+32470000000"),
        ("{text:hex}", "48656c6c6f"),
        ("{text:base64}", "SGVsbG8="),
        ("{validity}", 3600),
        ("{validity:minutes}", 60),
        ("{{{id}}}", "{" + "0" * 31 + "7}"),
        ("{udh}", None),
    ],
)
def test_a_placeholder_stands_for_its_value(placeholder, value):
    delivery = a_delivery(
        "Hello",
        recipient="+32494123456",
        sender="32470000000",
        message_id="0" * 31 + "7",
        expires_at=int(time.time() * 1000) + 7_200_000,
    )
    table = f"json = {{ v = '{placeholder}' }}\nvalidity = {{ most = 3600 }}"
    assert json.loads(made(table).request(delivery).body).get("v") == value


def test_the_key_is_the_same_in_each_attempt_and_for_no_other_number():
    keys = made('json = { a = "{key}", b = "{key:short}", c = "{key:uuid}", d = "{key:int}" }')
    first = a_delivery(attempt=1)
    told = keys.request(first).body
    again = a_delivery(
        message_id=first.message_id,
        recipient=first.recipient,
        expires_at=first.expires_at,
        attempt=2,
    )
    other = a_delivery(message_id=first.message_id, expires_at=first.expires_at)
    assert keys.request(again).body == told
    assert not set(json.loads(told).values()) & set(json.loads(keys.request(other).body).values())


def test_each_part_can_go_by_itself_with_its_header():
    table = made(
        'per = "part"\nform = { udh = "{udh}", hex = "{text:hex}", n = "{part}", t = "{text}" }'
    )
    assert isinstance(table, SendsParts)
    assert table.receipts_of == "each"
    delivery = a_delivery("0123456789" * 20)
    parts = [parse_qs(table.part_request(delivery, n).body.decode()) for n in (1, 2)]
    assert [part["n"] for part in parts] == [["1"], ["2"]]
    assert [part["udh"][0][:6] for part in parts] == ["050003", "050003"]
    assert [part["udh"][0][8:] for part in parts] == ["0201", "0202"]
    assert "".join(part["t"][0] for part in parts) == delivery.text
    assert bytes.fromhex("".join(part["hex"][0] for part in parts)).decode() == delivery.text


def test_a_message_that_no_request_can_carry_is_refused_with_a_reason():
    with pytest.raises(UnsendableError, match="no sender"):
        made('sender_required = true\njson = { f = "{sender}" }').request(a_delivery(sender=""))
    with pytest.raises(UnicodeEncodeError):
        made("xml = '<t>{text}</t>'").request(a_delivery("a\x0cb"))


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ('auth = { basic = "u", password = "{p}" }', "Basic " + base64.b64encode(b"u:s3").decode()),
        ('auth = { bearer = "{p}" }', "Bearer s3"),
        ('auth = { header = "Authorization", value = "App {p}" }', "App s3"),
    ],
)
def test_we_sign_in_by_a_header(auth, header):
    request = made(f'{auth}\nsecrets.p = "s3"').request(a_delivery())
    assert request.headers["Authorization"] == header


def test_we_sign_in_by_the_query():
    table = made('auth = { query = "key", value = "{p}" }\nsecrets.p = "s&3"\nquery = { a = "1" }')
    assert table.request(a_delivery()).path == "?a=1&key=s%263"


def test_secrets_can_be_masked():
    entries = tomllib.loads(
        'kind = "http"\nurl = "https://a.example"\naccepted.id = "/id"\n'
        'secrets.p = "s3cret"\nauth.bearer = "{p}"\njson = { k = "{p}" }'
    )
    request = provider(entries, lambda secret: "", masked=True).request(a_delivery())
    assert b"s3cret" not in request.body
    assert request.headers["Authorization"] == "Bearer ***"


# Answers.

ANSWERS = """
accepted = { when = { "/ok" = ["true", "1"] }, id = ["/a/id", "/id"] }
error = "/error/code"
errors.12 = "refused: no such number"
errors.13 = "busy: its handset is full"
errors.14 = "locked: no credit"
errors.15 = "throttled"
errors.E_OPEN = "uncertain: it cannot say"
statuses.409 = "retry: it is at work on the same"
"""


@pytest.mark.parametrize(
    ("status", "body", "outcome", "reason"),
    [
        (200, '{"ok": true, "id": 7}', Outcome.ACCEPTED, ""),
        (201, '{"ok": 1, "a": {"id": "x-1"}}', Outcome.ACCEPTED, ""),
        (400, '{"error": {"code": 12}}', Outcome.REFUSED, "12 no such number"),
        (200, '{"ok": false, "error": {"code": "12"}}', Outcome.REFUSED, "12 no such number"),
        (400, '{"error": {"code": 13}}', Outcome.BUSY, "13 its handset is full"),
        (402, '{"error": {"code": 14}}', Outcome.RETRY, "14 no credit"),
        (400, '{"error": {"code": 15}}', Outcome.RETRY, "15"),
        (500, '{"error": {"code": "e_open"}}', Outcome.UNANSWERED, "e_open it cannot say"),
        (409, "whatever", Outcome.RETRY, "it is at work on the same"),
        (400, '{"error": {"code": 99}}', Outcome.REFUSED, "99 HTTP status 400"),
        # A code that may be a number of somebody is not shown.
        (400, '{"error": {"code": 32494123456}}', Outcome.REFUSED, "HTTP status 400"),
        (429, "", Outcome.RETRY, "HTTP status 429"),
        (401, "", Outcome.RETRY, "HTTP status 401"),
    ],
)
def test_an_answer_means_what_the_table_says(status, body, outcome, reason):
    judgement = answered(made(ANSWERS), status, body)
    assert (judgement.outcome, judgement.reason) == (outcome, reason)
    assert judgement.is_locked_out == (status in (401, 402))
    assert judgement.is_throttled == (status == 429 or reason == "15")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, ""),
        (200, "<html>"),
        (200, "{}"),
        (200, '{"ok": true}'),
        (200, '{"ok": true, "id": null}'),
        (200, '{"ok": false, "error": {"code": 99}}'),
        (500, ""),
        (503, ""),
        (102, ""),
    ],
)
def test_an_answer_that_matches_nothing_is_not_guessed(status, body):
    with pytest.raises(InvalidAnswerError):
        answered(made(ANSWERS), status, body)


def test_any_code_may_have_a_meaning():
    judgement = answered(
        made(ANSWERS + 'errors."*" = "retry: see their page"'), 200, '{"error": {"code": 77}}'
    )
    assert (judgement.outcome, judgement.reason) == (Outcome.RETRY, "77 see their page")


EACH = """
accepted = { each = "/m", when = { "/s" = "0" }, id = "/i" }
error = "/s"
errors.6 = "refused: no"
"""


def test_parts_with_ids_of_their_own_are_accepted_all_or_not():
    each = made(EACH)
    assert each.receipts_of == "each"
    judgement = answered(each, 200, '{"m": [{"s": "0", "i": "a"}, {"s": 0, "i": "b"}]}')
    assert (judgement.outcome, judgement.ids) == (Outcome.ACCEPTED, ("a", "b"))
    judgement = answered(each, 200, '{"m": [{"s": "6"}, {"s": "6"}]}')
    assert (judgement.outcome, judgement.reason) == (Outcome.REFUSED, "6 no")
    judgement = answered(each, 200, '{"m": [{"s": "0", "i": "a"}, {"s": "6"}]}')
    assert judgement.outcome is Outcome.UNANSWERED
    with pytest.raises(InvalidAnswerError):
        answered(each, 200, '{"m": []}')


def test_answers_in_xml_are_read_by_xpath():
    table = made(
        'answer = "xml"\nnamespaces.s = "urn:sms"\nerror = "//s:fault/@code"\n'
        'errors.E7 = "refused: no route"',
        accepted={"id": "//s:id"},
    )
    judgement = answered(table, 200, '<r xmlns="urn:sms"><id> 77 </id></r>')
    assert (judgement.outcome, judgement.ids) == (Outcome.ACCEPTED, ("77",))
    assert answered(table, 200, '<r xmlns="urn:sms"><fault code="E7"/></r>').reason == "E7 no route"
    for body in ("<r", '<!DOCTYPE r [<!ENTITY a "b">]><r xmlns="urn:sms"><id>&a;</id></r>'):
        with pytest.raises(InvalidAnswerError):
            answered(table, 200, body)


def test_answers_in_words_are_read_by_regular_expressions():
    table = made(
        'answer = "text"\nerror = "^ERR: ([0-9]+)"\nerrors.105 = "refused: invalid destination"',
        accepted={"id": "^ID: ([0-9a-f]+)"},
    )
    assert answered(table, 200, "ID: 0ff1ce\n").ids == ("0ff1ce",)
    assert answered(table, 200, "ERR: 105, Invalid").outcome is Outcome.REFUSED
    with pytest.raises(InvalidAnswerError):
        answered(table, 200, "Hello")
    # An expression that takes other engines ages: RE2 needs time in proportion to the text.
    slow = made('answer = "text"', accepted={"id": "^(a+)+$"})
    with pytest.raises(InvalidAnswerError):
        answered(slow, 200, "a" * 100_000 + "!")


def test_a_provider_without_ids_knows_messages_by_ours():
    table = made('json = { ref = "{key:short}" }', accepted={"when": {"/ok": "1"}})
    assert answered(table, 200, '{"ok": 1}').ids == ()
    request = table.request(a_delivery())
    assert json.loads(request.body)["ref"] == request.message_id


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("", None),
        ("/a~1b", "1"),
        ("/m~0n", "2"),
        ("/list/1", "y"),
        ("/list/01", None),
        ("/list/-", None),
        ("/list/2", None),
        ("/none", None),
        ("/flag", "true"),
        ("/deep/x", "z"),
        ("plain", "p"),
    ],
)
def test_json_pointers_are_those_of_rfc_6901(where, found):
    document = {
        "a/b": 1, "m~n": 2, "list": ["x", "y"], "none": None, "flag": True,
        "deep": {"x": "z"}, "plain": "p",
    }  # fmt: skip
    assert Place("json", where, {}).text(document) == found


def test_items_are_those_of_a_list_or_of_an_xpath():
    assert Items("json", "", {}).of([1, 2]) == [1, 2]
    assert Items("json", "/x", {}).of({}) == []
    assert Items("json", None, {}).of([1, 2]) == [[1, 2]]
    assert len(Items("xml", "//m", {}).of(read("xml", b"<r><m/><m/></r>"))) == 2
    with pytest.raises(ValueError, match="XPath"):
        finder("xml", "//[")
    with pytest.raises(ValueError, match="regular expression"):
        finder("text", "(")


# Pushes.

PUSHES = """
states = { Sent = "submitted", OK = "delivered", Gone = "undeliverable" }
[receipts]
when = { "/type" = "dlr" }
each = "/list"
id = "/id"
status = "/s"
recipient = "/to"
error = "/e"
[messages]
when = { "/type" = "mo" }
each = "/list"
id = "/id"
sender = "/from"
recipient = "/to"
text = "/t"
"""


def push(value: Any, **more: Any) -> Push:
    usual: dict[str, Any] = {
        "url": f"https://sms.example.com/upstream/x/{SECRET}",
        "headers": {"content-type": "application/json"},
        "body": value if isinstance(value, bytes) else json.dumps(value).encode(),
        "at": 1_700_000_000_000,
    }
    return Push(**(usual | more))


def test_a_push_is_read_as_the_table_says():
    table = made(PUSHES, push_secret=SECRET, push={"answer": "ok"})
    heard = table.hear(
        push(
            {
                "list": [
                    {"type": "dlr", "id": 5, "s": "OK", "to": "+32494123456", "e": "0"},
                    {"type": "dlr", "id": "6", "s": "gone", "to": None, "e": "12"},
                    {"type": "dlr", "id": "7", "s": "NEW", "to": "1"},
                    {"type": "mo", "id": "8", "from": "+32494", "to": "8000", "t": "Hi"},
                    {"type": "other"},
                ]
            }
        )
    )
    assert [(each.smsc_id, each.state, each.recipient, each.error) for each in heard.receipts] == [
        ("5", State.DELIVERED, "32494123456", "0"),
        ("6", State.UNDELIVERABLE, "", "12"),
    ]
    (message,) = heard.messages
    assert (message.sender, message.recipient, message.text, message.id) == (
        "+32494",
        "8000",
        "Hi",
        "8",
    )
    assert heard.answer == b"ok"
    # Something else that is told is taken and thrown away; what lacks a field is not.
    assert table.hear(push({"hello": 1})).receipts == []
    with pytest.raises(PushError):
        table.hear(push({"list": [{"type": "dlr", "s": "OK"}]}))


def test_a_part_of_a_received_text_is_joined_later():
    table = made(
        'push.format = "form"\nmessages = { sender = "from", recipient = "to", text = "text", '
        'reference = "ref", total = "total", number = "n" }',
        push_secret=SECRET,
    )
    form = {"content-type": "application/x-www-form-urlencoded"}
    heard = table.hear(push(b"from=1&to=2&text=b&ref=77&total=2&n=2", headers=form))
    (part,) = heard.messages
    assert (part.reference, part.total, part.number) == (77, 2, 2)
    (whole,) = table.hear(push(b"from=1&to=2&text=b", headers=form)).messages
    assert (whole.reference, whole.total, whole.number) == (0, 1, 1)


def signed(entries: dict[str, Any]) -> HttpProvider:
    return made(
        PUSHES, push_secret=SECRET, secrets={"k": "key"}, signature={"key": "{k}", **entries}
    )


@pytest.mark.parametrize("hashed", ["sha1", "sha256", "sha512", "md5"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_a_push_has_to_be_signed_with_the_secret(hashed, encoding):
    table = signed({
        "header": "X-Sign", "hash": hashed, "encoding": encoding, "prefix": "v=",
        "of": "{time}.{url}.{body}", "time": "X-Time",
    })  # fmt: skip
    body, at, old = b'{"type": "none"}', "1700000100", "1699999000"

    def given(body: bytes, at: str, key: bytes = b"key") -> dict[str, str]:
        content = f"{at}.https://sms.example.com/upstream/x/{SECRET}.".encode() + body
        digest = hmac.new(key, content, hashed).digest()
        told = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
        return {"content-type": "application/json", "x-sign": f"v={told}", "x-time": at}

    table.hear(push(body, headers=given(body, at)))
    for headers in (
        given(body + b" ", at),
        given(body, at, b"other"),
        given(body, old),
        {**given(body, at), "x-time": "1700000101"},
        {**given(body, at), "x-time": ""},
        {"content-type": "application/json"},
        {**given(body, at), "x-sign": ""},
    ):
        with pytest.raises(PushError) as refused:
            table.hear(push(body, headers=headers))
        assert refused.value.status == 403


def test_a_push_may_be_signed_by_a_jwt():
    table = signed({"header": "Authorization", "kind": "jwt"})
    body = b'{"type": "none"}'

    def token(**claims: Any) -> dict[str, str]:
        claims = {"payload_hash": hashlib.sha256(body).hexdigest(), **claims}
        parts = [
            base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=")
            for each in ({"alg": "HS256", "typ": "JWT"}, claims)
        ]
        digest = hmac.new(b"key", ".".join(parts).encode(), "sha256").digest()
        signature = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        told = f"Bearer {'.'.join(parts)}.{signature}"
        return {"content-type": "application/json", "authorization": told}

    table.hear(push(body, headers=token(exp=1_700_000_300)))
    for headers in (
        token(exp=1_699_999_000),
        token(payload_hash="0"),
        {**token(), "authorization": token()["authorization"][:-6]},
        {**token(), "authorization": "Bearer a.b.c"},
    ):
        with pytest.raises(PushError):
            table.hear(push(body, headers=headers))


def test_a_push_may_be_signed_by_a_key_of_ed25519():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    table = made(
        PUSHES,
        push_secret=SECRET,
        signature={
            "kind": "ed25519", "header": "Sig", "key": public,
            "time": "Time", "of": "{time}|{body}",
        },
    )  # fmt: skip
    body = b'{"type": "none"}'
    right = base64.b64encode(private.sign(b"1700000000|" + body)).decode()
    headers = {"content-type": "application/json", "sig": right, "time": "1700000000"}
    table.hear(push(body, headers=headers))
    for wrong in ({**headers, "sig": "AAAA"}, {**headers, "time": "1700000001"}):
        with pytest.raises(PushError):
            table.hear(push(body, headers=wrong))


# Asking.


def test_states_are_asked_for_where_nothing_is_pushed():
    table = made(
        'poll = { path = "/messages/{id}", status = "/state", id_case = "upper", '
        'id_prefix = "SM" }\n'
        'states = { sent = "submitted", delivered = "delivered" }'
    )
    assert isinstance(table, IsAsked)
    assert table.question("SMA/1").path == "/messages/SMA%2F1"
    assert table.question("x").method == "GET"
    assert table.id_of("sm0abc.2") == "SM0ABC"
    told = table.state(Answer(200, None, b'{"state": "Delivered"}'), "x", "+32")
    assert told is State.DELIVERED
    with pytest.raises(NoReceiptError):
        table.state(Answer(404, None, b""), "x", "+32")
    for answer in (Answer(500, None, b""), Answer(200, None, b'{"state": "?"}')):
        with pytest.raises((InvalidAnswerError, ValueError)):
            table.state(answer, "x", "+32")


# Wrong tables.


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({"kind": "htp"}, "kind: 'htp' is unknown"),
        ({"url": ""}, "url: it is missing"),
        ({"url": "ftp://a"}, "url: it is http"),
        ({"url": "https://user:pass@a/"}, "url: it is http"),
        ({"pth": "/"}, "pth: there is no such option"),
        ({"window": 0}, "window=0: allowed is 1 to 10000"),
        ({"window": "many"}, "window: "),
        ({"path": "/{rec}"}, "path: {rec} is unknown; allowed: attempt, callback"),
        ({"path": "/{"}, "path: a brace stands alone"),
        ({"form": {"a": "b"}, "text": "c"}, "it has one of form, json, xml and text"),
        ({"form": {"a": "{b}"}}, "form.a: {b} is unknown"),
        ({"json": "{"}, "json: it is not JSON"),
        ({"xml": "<a>"}, "xml: it is not XML"),
        ({"accepted": {}}, "accepted: it is missing"),
        ({"accepted": {"idd": "/id"}}, "accepted.idd: there is no such option"),
        ({"answer": "text", "accepted": {"id": "("}}, "accepted.id: '(' is no regular expression"),
        ({"answer": "xml", "accepted": {"id": "//["}}, "accepted.id: '//[' is no XPath"),
        ({"errors": {"1": "no"}, "error": "/c"}, "errors.1: it begins with one of refused"),
        ({"errors": {"1": "refused"}}, "errors goes with error"),
        ({"statuses": {"4xx": "refused"}}, "statuses.4xx: it is no HTTP status"),
        ({"receipts": {"id": "/i"}}, "receipts.status: it is missing"),
        ({"receipts": {"id": "/i", "status": "/s"}}, "states: receipts need a table"),
        ({"states": {"OK": "arrived"}}, "states.OK: allowed are submitted, delivered"),
        ({"push_secret": SECRET}, "push_secret: nothing is pushed"),
        ({"push_secret": "short"}, "push_secret: allowed are"),
        ({"signature": {"header": "X", "key": "k"}}, "signature: it goes with push_secret"),
        ({"signature": {"header": "X", "key": "k", "of": "{txt}"}}, "signature: {txt} is unknown"),
        ({"auth": {}}, "auth: it has one of basic"),
        ({"auth": {"basic": "u"}}, "auth: basic goes with password"),
        ({"auth": {"bearer": "{t}"}}, "auth: {t} is unknown"),
        ({"auth": {"oauth2": "x", "client_id": "i", "client_secret": "s"}}, "auth: oauth2 is"),
        ({"secrets": {"text": "x"}}, "secrets.text: a name is"),
        ({"inbox": {"path": "/in"}}, "inbox goes with receipts or messages"),
        ({"method": "FETCH"}, "method: "),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_in_a_line_that_names_the_entry(entries, complaint):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the words are looked at
        made("", **entries)
    told = str(refused.value)
    assert told.startswith(complaint), told
    assert "\n" not in told


# Over the wire.


async def test_tokens_are_kept_and_renewed_once():
    from aiohttp import web

    asked: list[str] = []
    good = ["first"]

    async def token(request: web.Request) -> web.Response:
        form = await request.post()
        told = [request.headers["Authorization"], form["grant_type"], form["scope"]]
        asked.append(" ".join(map(str, told)))
        return web.json_response({"access_token": good[0], "expires_in": 3600})

    async def send(request: web.Request) -> web.Response:
        if request.headers["Authorization"] != f"Bearer {good[0]}":
            return web.json_response({}, status=401)
        return web.json_response({"id": "x1"})

    app = web.Application()
    app.router.add_post("/token", token)
    app.router.add_post("/send", send)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    auth = {"oauth2": f"{base}/token", "client_id": "me", "client_secret": "{s}", "scope": "sms"}
    table = made('path = "/send"\nsecrets.s = "x:y"', url=base, auth=auth)
    upstream, sink = HttpUpstream("x", table), RecordingSink()
    try:
        async with running(upstream, sink):
            for expected in (1, 1, 2):
                await upstream.ready()
                delivery = a_delivery()
                upstream.submit(delivery)
                await sink.answers_to(delivery)
                assert sink.outcomes(delivery) == [Outcome.ACCEPTED]
                assert len(asked) == expected
                if len(sink.answers) == 2:
                    good[0] = "second"
            basic = base64.b64encode(b"me:x%3Ay").decode()
            assert asked[0] == f"Basic {basic} client_credentials sms"
            # A token that is refused twice is no token.
            good[0] = ""
            delivery = a_delivery()
            await upstream.ready()
            upstream.submit(delivery)
            await sink.answers_to(delivery)
            assert sink.outcomes(delivery) == [Outcome.NOT_WRITTEN]
            assert not upstream.is_bound()
    finally:
        await runner.cleanup()


async def test_an_inbox_is_emptied_message_by_message():
    from aiohttp import web

    kept = {"m1": "Hi", "m2": "Ho"}
    removed: list[str] = []

    async def listed(request: web.Request) -> web.Response:
        return web.json_response(
            [{"id": id, "from": "+32494", "to": "8000", "t": t} for id, t in kept.items()]
        )

    async def remove(request: web.Request) -> web.Response:
        removed.append(request.match_info["id"])
        del kept[request.match_info["id"]]
        return web.Response(status=204)

    app = web.Application()
    app.router.add_get("/inbox", listed)
    app.router.add_delete("/inbox/{id}", remove)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    table = made(
        'inbox = { path = "/inbox", every = 0.05, '
        'done = { method = "DELETE", path = "/inbox/{id}" } }\n'
        'messages = { each = "", id = "/id", sender = "/from", recipient = "/to", text = "/t" }',
        url=f"http://127.0.0.1:{runner.addresses[0][1]}",
    )
    upstream, sink = HttpUpstream("x", table), RecordingSink()
    sink.is_down = True
    try:
        async with running(upstream, sink):
            await eventually(lambda: sink.waiting == 0)
            assert removed == []
            sink.is_down = False
            await eventually(lambda: not kept)
        assert [message.text for message in sink.messages] == ["Hi", "Ho"]
        assert removed == ["m1", "m2"]
    finally:
        await runner.cleanup()
