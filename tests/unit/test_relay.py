"""The relay: what becomes of a message that another server answers, or does not."""

import dataclasses
import json
import re
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook
from support.relay_peer import Peer, peer
from support.upstreams import RecordingSink, a_delivery, running, sent

from sms_gateway.codes import Code
from sms_gateway.sms.message import State
from sms_gateway.upstream import Outcome
from sms_gateway.upstream.http import HttpUpstream
from sms_gateway.upstream.http_contract import idempotency_key
from sms_gateway.upstream.push import Heard, Push, PushError
from sms_gateway.upstream.relay import MEANINGS, provider
from sms_gateway.upstream.relay_options import options_from_url

LONG = "Long enough for three parts. " * 15


@pytest.fixture
async def other():
    async with peer() as started:
        yield started


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


def relay(other: Peer, options: str = "") -> HttpUpstream:
    quick = "response_timeout=1&reconnect_delay=0.05&locked_out_delay=0.1&stop_timeout=0.1"
    return HttpUpstream("relay", provider(f"{other.url}&{quick}&{options}"))


def test_every_code_has_a_meaning() -> None:
    assert MEANINGS.keys() == set(Code)


@pytest.mark.parametrize("code", [c for c in Code if c not in (Code.SENT, Code.TIMED_OUT)], ids=str)
async def test_a_code_means_what_the_table_says(other, sink, code) -> None:
    upstream = relay(other)
    async with running(upstream, sink):
        told, reason = await sent(upstream, sink, f"#code-{code:d} hello")
    assert told is MEANINGS[code].outcome
    assert reason == f"{code:d} {code.sentence}"


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("#silent hello", "", Outcome.UNANSWERED),
        ("#drop hello", "", Outcome.UNANSWERED),
        ("#odd hello", "", Outcome.UNANSWERED),
        ("#status-502 hello", "", Outcome.UNANSWERED),
        ("#code-6 hello", "", Outcome.UNANSWERED),
        # The same key makes the next attempt safe.
        ("#silent hello", "idempotent=1", Outcome.RETRY),
        ("#drop hello", "idempotent=1", Outcome.RETRY),
        ("#odd hello", "idempotent=1", Outcome.RETRY),
        ("#code-6 hello", "idempotent=1", Outcome.RETRY),
        # Nothing of these was accepted by anybody.
        ("#status-404 hello", "", Outcome.RETRY),
        ("#status-302 hello", "", Outcome.RETRY),
    ],
)
async def test_what_nobody_knows_is_unanswered_unless_it_may_be_said_again(
    other, sink, text, options, expected
) -> None:
    upstream = relay(other, options)
    async with running(upstream, sink):
        assert (await sent(upstream, sink, text))[0] is expected


async def test_a_second_attempt_with_the_same_key_sends_nothing_twice(other, sink) -> None:
    upstream = relay(other, "idempotent=1")
    delivery = a_delivery("#drop #once hello")
    async with running(upstream, sink):
        await upstream.ready()
        upstream.submit(delivery)
        await sink.answers_to(delivery)
        await upstream.ready()
        upstream.submit(dataclasses.replace(delivery, attempt=2))
        await sink.answers_to(delivery, 2)
    assert sink.outcomes(delivery) == [Outcome.RETRY, Outcome.ACCEPTED]
    assert len(other.requests) == 2
    assert len({request["key"] for request in other.requests}) == 1


def test_the_key_is_the_same_for_every_attempt_and_another_for_a_resend() -> None:
    delivery = a_delivery()
    again = dataclasses.replace(delivery, attempt=5, possible_duplicate=True)
    assert idempotency_key(again) == idempotency_key(delivery)
    # A resend by the sender begins a new validity.
    resent = dataclasses.replace(delivery, expires_at=delivery.expires_at + 1)
    neighbour = dataclasses.replace(delivery, recipient="+32494999999")
    assert len({idempotency_key(d) for d in (delivery, resent, neighbour)}) == 3
    assert delivery.recipient[1:] not in idempotency_key(delivery)


@pytest.mark.parametrize("text", ["#code-50 #once hello", "#status-403 #once hello"])
async def test_a_wrong_key_keeps_all_messages_until_it_is_right(other, sink, text) -> None:
    upstream = relay(other, "idempotent=1")
    delivery = a_delivery(text)
    async with running(upstream, sink):
        await upstream.ready()
        assert upstream.is_bound()
        upstream.submit(delivery)
        await sink.answers_to(delivery)
        assert sink.outcomes(delivery) == [Outcome.RETRY]
        assert (upstream.is_bound(), upstream.free()) == (False, 0)
        await upstream.ready()
        assert upstream.free() == 1  # one shows whether it is right now
        upstream.submit(delivery)
        await sink.answers_to(delivery, 2)
        assert upstream.is_bound()
        assert upstream.free() > 1
    assert sink.outcomes(delivery)[1] is Outcome.ACCEPTED


async def test_what_cannot_be_reached_takes_nothing_and_is_tried_again(other, sink) -> None:
    port = other.port
    other.port = 1  # where nobody listens
    upstream = relay(other)
    async with running(upstream, sink):
        told, reason = await sent(upstream, sink, "hello")
        assert (told, reason) == (Outcome.NOT_WRITTEN, "not reached")
        assert not upstream.is_bound()
        await upstream.ready()
        assert upstream.free() == 1
    assert port not in (0, 1)
    assert not other.requests


async def test_a_text_of_which_another_carrier_took_a_part_is_left_to_it(other, sink) -> None:
    upstream = relay(other)
    delivery = a_delivery(LONG, accepted=frozenset({1, 3}), attempt=2)
    async with running(upstream, sink):
        await upstream.ready()
        upstream.submit(delivery)
        await sink.until(lambda: sink.answers)
    assert [(a.part, a.outcome) for a in sink.answers] == [(2, Outcome.RETRY)]
    assert not other.requests


async def test_a_message_is_asked_about_until_its_end_is_known(other, sink) -> None:
    other.state = "submitted"
    upstream = relay(other, "receipts=1&poll_interval=0.02")
    delivery = a_delivery(LONG)
    async with running(upstream, sink):
        await upstream.ready()
        upstream.submit(delivery)
        answers = await sink.answers_to(delivery)
        assert not sink.receipts
        other.state = "undeliverable"
        await sink.until(lambda: len(sink.receipts) == 3)
    assert {r.state for r in sink.receipts} == {State.UNDELIVERABLE}
    assert {r.smsc_id for r in sink.receipts} == {a.smsc_id for a in answers}


async def test_after_a_restart_it_asks_about_what_was_submitted_before(other, sink) -> None:
    first = relay(other)
    delivery = a_delivery(LONG)
    async with running(first, sink):
        await first.ready()
        first.submit(delivery)
        answers = await sink.answers_to(delivery)
    assert not sink.receipts
    second = relay(other, "receipts=1&poll_interval=0.02")
    # As the store names them: without leading zeros.
    owed = [(a.smsc_id.lstrip("0"), delivery.recipient, delivery.expires_at) for a in answers]
    async with running(second, sink):
        second.ask_for(owed)
        await sink.until(lambda: len(sink.receipts) == 3)
    assert {r.smsc_id for r in sink.receipts} == {name for name, _, _ in owed}


async def test_too_fast_slows_it_down(other, sink) -> None:
    upstream = relay(other)
    async with running(upstream, sink):
        assert (await sent(upstream, sink, "#code-100 hello"))[0] is Outcome.RETRY
        assert upstream.free() == 0


@pytest.mark.parametrize(
    ("url", "host", "key"),
    [
        ("https://sms.example.com/sendsms/?apikey=abc", "https://sms.example.com/sendsms/", "abc"),
        ("https://:a%40b@sms.example.com:8443/", "https://sms.example.com:8443/", "a@b"),
        ("http://[::1]:80/x?apikey=abc&idempotent=1", "http://[::1]:80/x", "abc"),
    ],
)
def test_a_url_says_where_and_with_which_key(url: str, host: str, key: str) -> None:
    options = options_from_url(url)
    assert (options.url, options.apikey) == (host, key)
    assert key not in repr(options)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://sms.example.com/", "the apikey is missing"),
        ("https://me:hush@sms.example.com/", "the key is written"),
        ("https://h/?apikey=hush&apikey=other", "apikey: given twice"),
        ("https://h/?apikey=hush&windows=3", "windows: no such parameter; allowed are "),
        ("https://h/?apikey=hush&window=0", "window=0: allowed is 1 to 10000"),
        ("https://h/?apikey=hush&idempotent=yes", "idempotent=yes: allowed is 0 or 1"),
        ("https://h:x/?apikey=hush", "host and port cannot be read"),
        ("https:///?apikey=hush", "a relay's address begins with"),
    ],
)
def test_a_url_that_is_wrong_is_told_without_the_key(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        options_from_url(url)
    assert "hush" not in str(caught.value)


async def test_what_is_refused_for_now_to_one_recipient_slows_nobody(other, sink) -> None:
    upstream = relay(other)
    async with running(upstream, sink):
        for _ in range(20):
            assert (await sent(upstream, sink, "#code-30 hello"))[0] is Outcome.RETRY
            assert (await sent(upstream, sink, "hello"))[0] is Outcome.ACCEPTED
        assert upstream.free() == 10


@pytest.mark.parametrize(
    ("options", "sender"), [("", None), ("sender=0", None), ("sender=1", "Test")]
)
async def test_a_sender_is_passed_on_where_the_other_end_takes_it(
    other: Peer, sink: RecordingSink, options: str, sender: str | None
) -> None:
    upstream = relay(other, options)
    async with running(upstream, sink):
        await sent(upstream, sink, "hello")
    (request,) = other.requests
    assert request.get("sender") == sender
    assert "reference" not in request


# What the other end pushes.

PUSHING = "push_secret=abcdefghijklmnopqrstuvwxyz"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "0194a22ccde3bf700099a4d513bc849c"


def told(kind: str, **data: object) -> bytes:
    return json.dumps({"type": kind, "timestamp": "2026-11-30T12:00:00Z", "data": data}).encode()


def hear(body: bytes, options: str = "", at: int = 0, **headers: str) -> Heard:
    """What a relay hears in a callback, signed by the library of Standard Webhooks."""
    signed_at = datetime.now(UTC)
    given = {
        "content-type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(signed_at.timestamp())),
        "webhook-signature": Webhook(WHSEC).sign("msg_1", signed_at, body.decode()),
    }
    url = f"https://h/?apikey=k&{PUSHING}&{options}"
    relay = provider(url)
    came_at = 1_000 * (int(signed_at.timestamp()) + at)
    return relay.hear(Push(url="https://us/", headers=given | headers, body=body, at=came_at))


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("delivery.delivered", State.DELIVERED),
        ("delivery.undeliverable", State.UNDELIVERABLE),
        ("delivery.expired", State.EXPIRED),
        ("delivery.failed", State.FAILED),
        ("delivery.unknown", State.UNKNOWN),
        ("delivery.submitted", State.SUBMITTED),
        # That may still change, either way.
        ("delivery.uncertain", None),
        ("delivery.cancelled", None),
        ("key.rotated", None),
    ],
)
def test_a_callback_of_the_other_end_is_a_receipt(kind: str, state: State | None) -> None:
    heard = hear(told(kind, id=ID, recipient="+32494000000", state=kind[9:], parts=2))
    assert [receipt.state for receipt in heard.receipts] == ([state] if state else [])
    for receipt in heard.receipts:
        assert (receipt.smsc_id, receipt.recipient) == (ID, "32494000000")
    assert heard.messages == ()


def test_a_callback_of_the_other_end_is_a_received_message() -> None:
    fields = {"id": 7, "from": "+32494000000", "to": "+3228850000", "message": "Grüße"}
    (message,) = hear(told("message.received", **fields)).messages
    assert (message.sender, message.recipient) == ("+32494000000", "+3228850000")
    assert (message.text, message.id) == ("Grüße", "7")


@pytest.mark.parametrize(
    ("at", "headers"),
    [
        (0, {"webhook-signature": "v1,AAAA"}),
        (0, {"webhook-signature": ""}),
        (0, {"webhook-id": "msg_2"}),
        (0, {"webhook-timestamp": "1"}),
        (0, {"webhook-timestamp": "x"}),
        (301, {}),
        (-301, {}),
    ],
)
def test_a_callback_with_another_signature_is_refused(at: int, headers: dict[str, str]) -> None:
    body = told("delivery.delivered", id=ID, recipient="+32494000000")
    signed = f"callback_secret={WHSEC}"
    assert hear(body, signed).receipts
    assert hear(body, signed, at=299).receipts
    with pytest.raises(PushError) as caught:
        hear(body, signed, at, **headers)
    assert caught.value.status == 403


def test_one_of_several_signatures_is_enough() -> None:
    """As while the other end changes its secret."""
    body = told("delivery.delivered", id=ID, recipient="+32494000000")
    right = Webhook(WHSEC).sign("msg_1", now := datetime.now(UTC), body.decode())
    stamp = str(int(now.timestamp()))
    more = {"webhook-signature": f"v1,AAAA {right}", "webhook-timestamp": stamp}
    assert hear(body, f"callback_secret={WHSEC}", 0, **more).receipts


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("push_secret=short", "push_secret: allowed are up to 3 secrets"),
        ("push_secret=" + "x/" * 20, "push_secret: allowed are up to 3 secrets"),
        ("push_secret=" + ",".join(["x" * 30] * 4), "push_secret: allowed are up to 3 secrets"),
        (f"{PUSHING}&callback_secret=hush", "callback_secret: allowed is the whsec_"),
        (f"{PUSHING}&callback_secret=whsec_hush!", "callback_secret: allowed is the whsec_"),
        (f"callback_secret={WHSEC}", "callback_secret: it goes with push_secret"),
    ],
)
def test_a_secret_that_is_none_is_told_without_it(options: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        options_from_url(f"https://h/?apikey=k&{options}")
    for hidden in ("hush", "x/x", "short", WHSEC):
        assert hidden not in str(caught.value)
    assert "abcdefgh" not in repr(options_from_url(f"https://h/?apikey=k&{PUSHING}"))
