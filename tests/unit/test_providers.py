"""Providers that are known by name: their tables, pages, errors, signatures and options."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jsonschema
import pytest
from support import provider_pages
from support.asgi_server import free_port, serving
from support.provider_peer import FOLDER, NAMES, provider_peer, record
from support.upstreams import a_delivery

from sms_gateway import settings
from sms_gateway.bootstrap import upstreams
from sms_gateway.remote.answers import Answer, InvalidAnswerError
from sms_gateway.settings import SettingsError
from sms_gateway.sms.message import State
from sms_gateway.upstream import Outcome
from sms_gateway.upstream.http_kinds import provider
from sms_gateway.upstream.http_provider import HttpProvider
from sms_gateway.upstream.http_table import meaning_of, named, names
from sms_gateway.upstream.push import Heard, Push
from sms_gateway.web.pushes import Pushes, address, door_of

SECRET = "s" * 32
OUTCOMES = {
    "refused": Outcome.REFUSED,
    "retry": Outcome.RETRY,
    "throttled": Outcome.RETRY,
    "busy": Outcome.BUSY,
    "locked": Outcome.RETRY,
    "uncertain": Outcome.UNANSWERED,
}


def made(kind: str, **more: Any) -> HttpProvider:
    entries = {"push_secret": SECRET, **record(kind)["options"], **more}
    return provider(entries, lambda secret: f"https://sms.example.com/upstream/x/{secret}")


def test_each_provider_is_recorded_and_has_a_page():
    assert set(names()) <= set(NAMES)
    assert all("2026-" in named(kind).verified for kind in names())
    pages = {file.stem for file in provider_pages.FOLDER.glob("*.md")}
    assert pages == {*names(), "index"}


@pytest.mark.parametrize("kind", names())
def test_the_page_is_that_of_the_table(kind):
    written = (provider_pages.FOLDER / f"{kind}.md").read_text("utf-8")
    assert written == provider_pages.page(kind), "python tests/support/provider_pages.py"
    assert all(source.startswith("https://") for source in named(kind).sources)


def test_the_index_is_that_of_the_tables():
    assert (provider_pages.FOLDER / "index.md").read_text("utf-8") == provider_pages.index()


def document(where: str, value: str) -> Any:
    """JSON with a value at a place."""
    made: Any = value
    for step in reversed(where.strip("/").split("/")):
        made = [made] if step == "0" else {step: made}
    return made


@pytest.mark.parametrize(
    ("kind", "code"), [(kind, code) for kind in names() for code in named(kind).errors]
)
def test_each_error_means_what_the_table_says(kind, code):
    table = named(kind)
    where = (table.error,) if isinstance(table.error, str) else table.error
    told = document(where[0], code)
    if table.accepted.each:
        told = document(table.accepted.each, "") | {table.accepted.each.strip("/"): [told]}
    judgement = made(kind).judge(Answer(418, None, json.dumps(told).encode()))
    meaning, words = meaning_of(table.errors[code])
    assert judgement.outcome is OUTCOMES[meaning]
    assert judgement.is_throttled == (meaning == "throttled")
    assert judgement.is_locked_out == (meaning == "locked")
    assert judgement.reason.endswith(words)


@pytest.mark.parametrize(
    ("kind", "status", "told", "outcome"),
    [
        # The same text went there a moment before: the pace is not at fault.
        ("clicksend", 200, {"data": {"messages": [{"status": "THROTTLED"}]}}, Outcome.BUSY),
        ("clicksend", 200, {"data": {"messages": [{"status": "NEW_WORD"}]}}, None),
        ("clickatell", 207, {"messages": [{"accepted": False, "errorCode": 999}]}, Outcome.REFUSED),
        ("clickatell", 202, {"messages": [{"errorCode": 999}]}, None),
        # The first request with this id may have been accepted.
        (
            "infobip",
            200,
            {
                "messages": [
                    {
                        "status": {
                            "name": "REJECTED_DUPLICATE_MESSAGE_ID",
                            "groupName": "REJECTED",
                        }
                    }
                ]
            },
            Outcome.UNANSWERED,
        ),
        (
            "infobip",
            200,
            {"messages": [{"messageId": "m", "status": {"groupName": "ACCEPTED"}}]},
            Outcome.ACCEPTED,
        ),
        ("telnyx", 500, {"errors": [{"code": "10007"}]}, Outcome.UNANSWERED),
        ("messagebird", 500, {"errors": [{"code": 99}]}, None),
    ],
)
def test_what_is_not_known_for_sure_is_no_refusal(kind, status, told, outcome):
    answer = Answer(status, None, json.dumps(told).encode())
    if outcome is None:
        with pytest.raises(InvalidAnswerError):
            made(kind).judge(answer)
    else:
        assert made(kind).judge(answer).outcome is outcome


@pytest.mark.parametrize(
    ("word", "code", "state"),
    [
        ("RECEIVED_BY_RECIPIENT", 4, State.DELIVERED),
        # What another of its APIs calls 4 is not delivered yet.
        ("SENT_TO_SUPPLIER", 4, State.SUBMITTED),
        ("DEVICE_ACK", 5, State.DELIVERED),
        ("ERROR_DELIVERING_MESSAGE", 7, State.UNDELIVERABLE),
    ],
)
def test_the_word_of_clickatell_counts_before_its_number(word, code, state):
    told = {"messageId": "a", "statusCode": code, "status": word, "to": "32494123456"}
    headers = {"content-type": "application/json"}
    push = Push(url="https://us/", headers=headers, body=json.dumps(told).encode(), at=0)
    (receipt,) = made("clickatell").hear(push).receipts
    assert receipt.state is state


def test_46elks_is_answered_with_nothing_as_it_would_send_that_to_the_sender():
    assert named("46elks").push.answer == ""


def test_bulksms_can_try_our_address_with_nothing():
    headers = {"content-type": "application/json"}
    heard = made("bulksms").hear(Push(url="https://us/", headers=headers, body=b"[]", at=0))
    assert (*heard.receipts, *heard.messages) == ()


@pytest.mark.parametrize("kind", [kind for kind in names() if named(kind).signature])
async def test_what_is_signed_wrong_is_refused(kind):
    kept: list[Heard] = []

    async def keep(_: str, heard: Heard) -> None:
        kept.append(heard)

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    pushes = Pushes({kind: door_of(made(kind))}, keep, public_url=url, patience=60)
    async with serving(pushes, port), provider_peer(kind) as peer:
        peer.address = address(url, kind, SECRET)
        for what in ("receipt", "message"):
            facts = {"id": "a1", "to": "32494123456"}
            told = dict.fromkeys(("text",), "Hi") | facts
            spoils = what == "message" or record(kind)["signature"] != "vonage"
            if spoils:
                assert await peer.push_once(what, told, spoilt=True) == 403
                assert kept == []
            assert await peer.push_once(what, told) == 200
            (heard,) = kept
            assert len([*heard.receipts, *heard.messages]) == 1
            kept.clear()


def test_requests_to_twilio_are_those_of_its_openapi_file():
    schema = json.loads((FOLDER.parent / "openapi/twilio.json").read_text("utf-8"))
    request = made("twilio", service="MG0123456789abcdef0123456789abcdef").request(a_delivery())
    assert request.path == schema["path"].replace(
        "{AccountSid}", record("twilio")["options"]["sid"]
    )
    fields: dict[str, Any] = dict(parse_qsl(request.body.decode()))
    types = {"integer": int, "boolean": bool}
    for name, value in fields.items():
        fields[name] = types.get(schema["properties"][name]["type"], str)(value)
    jsonschema.validate(fields, schema | {"type": "object", "additionalProperties": False})


def test_a_repeat_is_safe_where_the_provider_knows_it():
    assert [kind for kind in names() if made(kind, push_secret="").options.idempotent] == [
        "bulksms"
    ]
    delivery = a_delivery()
    assert made("bulksms").request(delivery).path == made("bulksms").request(delivery).path


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('kind = "twillio"', "upstreams.a: kind: 'twillio' is unknown; allowed: http, 46elks"),
        ("x = 1", "upstreams.a = a dict (from FILE) is wrong; it has no kind"),
        ('kind = "bulksms"', "upstreams.a: token_id: it is missing: the ID of the token"),
        (
            'kind = "bulksms"\ntoken_id = "a"\ntoken_secret = "b"\ntoken = "c"',
            "upstreams.a: token: there is no such option; allowed: token_id, token_secret",
        ),
        (
            'kind = "sinch"\nplan = "a"\ntoken = "t"\nregion = "mars"',
            "upstreams.a: region: it is not the region of the plan",
        ),
        (
            'kind = "telnyx"\napi_key = "k"\npublic_key = "AA=="\npush_secret = "SECRET"',
            "upstreams.a: signature: key: it is no public key of Ed25519",
        ),
        (
            f'kind = "vonage"\napi_key = "k"\napi_secret = "s"\npush_secret = "{"s" * 80}"',
            "upstreams.a: push_secret: the address for receipts has 113 characters, of which the "
            "provider takes 100; shorten public_url",
        ),
        (
            'kind = "bulksms"\ntoken_id = "a"\ntoken_secret = "b"\nwindow = 0',
            "upstreams.a: window=0: allowed is 1 to 10000",
        ),
        (
            'kind = "bulksms"\ntoken_id = "a"\ntoken_secret = "b"\nstates.SEEN = "read"',
            "upstreams.a: states.SEEN: allowed are submitted",
        ),
    ],
)
def test_a_wrong_option_is_refused_at_start_with_a_line(tmp_path: Path, table, complaint):
    file = tmp_path / "settings.toml"
    text = f"[upstreams.a]\n{table}\n".replace("SECRET", SECRET)
    file.write_text(text + '[[routes]]\nprefix = "32"\nupstreams = ["a"]\n')
    with pytest.raises(SettingsError) as refused:
        upstreams.check(settings.load(file, {}, {}))
    assert str(refused.value).startswith(complaint.replace("FILE", str(file)))


def test_a_provider_can_be_a_url_of_the_environment():
    given = {"SENDSMSNOW_UPSTREAM": "bulksms:?token_id=a&token_secret=b%26c&window=3"}
    loaded = settings.load(None, {}, given)
    assert "b%26c" not in str(loaded.upstream)
    (made, _) = upstreams.upstreams(loaded).values()
    assert made.name == "default"
    found = upstreams.described("default", loaded.upstream)
    assert found is not None
    assert (found.options.window, found.options.idempotent) == (3, True)


def test_what_is_missing_in_a_table_can_be_added_in_the_settings():
    table = made("telnyx", errors={"49999": "busy: something new"}, states={"seen": "delivered"})
    told = json.dumps({"errors": [{"code": "49999"}]}).encode()
    assert table.judge(Answer(400, None, told)).outcome is Outcome.BUSY
    assert (
        table.judge(Answer(400, None, told.replace(b"49999", b"40310"))).outcome is Outcome.REFUSED
    )
