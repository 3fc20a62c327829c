"""Telephones with the app SMSGate: their options, what they are asked, and what they push."""

import asyncio
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.phone_peer import KEY, MINE, Phone, incoming, phone_peer
from support.upstreams import RecordingSink, a_delivery, eventually, running, sent

from sms_gateway.bootstrap.upstreams import pushing, upstreams
from sms_gateway.deliver.worker import Worker
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.settings import Settings, SettingsError
from sms_gateway.sms.message import State
from sms_gateway.store import Store
from sms_gateway.upstream import Outcome
from sms_gateway.upstream.phone import EVENTS, Phones, PhoneUpstream, provider
from sms_gateway.upstream.phone_options import options_from_url
from sms_gateway.upstream.push import Push, PushError, checked

QUICK = "response_timeout=0.3&reconnect_delay=0.05&locked_out_delay=0.1&stop_timeout=0.1"
SECRET = "s" * 32


@pytest.fixture
async def phone() -> AsyncIterator[Phone]:
    async with phone_peer() as started:
        yield started


@pytest.fixture
async def other() -> AsyncIterator[Phone]:
    async with phone_peer() as started:
        yield started


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


def opened(url: str, address: str = "") -> PhoneUpstream:
    return PhoneUpstream("phone", provider(url), address)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("smsgate://u:p@10.0.0.2/", [("http://10.0.0.2:8080", "", 0, None, True)]),
        ("smsgate://u:p@[::1]:80/?rate=2", [("http://[::1]:80", "", 0, 2.0, True)]),
        # A server chooses the telephone, so that a repeat may go by another one.
        (
            "smsgates://u:p@h.example/3rdparty/v1/",
            [("https://h.example/3rdparty/v1", "", 0, None, False)],
        ),
        (
            "smsgates://u:p@h.example/3rdparty/v1?devices=a-1",
            [("https://h.example/3rdparty/v1", "a-1", 0, None, True)],
        ),
        (
            "smsgate://u:p@a,v:q@b:81/?sims=1:0.5,2;1:0.2&rate=3",
            [
                ("http://a:8080", "", 1, 0.5, False),
                ("http://a:8080", "", 2, 3.0, False),
                ("http://b:81", "", 1, 0.2, False),
            ],
        ),
        (
            "smsgates://u:p@h/v1?devices=a,b&sims=1",
            [("https://h/v1", "a", 1, None, False), ("https://h/v1", "b", 1, None, False)],
        ),
    ],
)
def test_a_url_names_telephones_and_sims(url: str, found: list[Any]) -> None:
    flat = [each for sims in options_from_url(url) for each in sims]
    assert [(e.url, e.device, e.sim, e.rate, e.idempotent) for e in flat] == found


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("smsgate://10.0.0.2/", "user and password are missing"),
        ("smsgate://u:p@10.0.0.2:x/", "host and port cannot be read"),
        ("smsgate://u:p@/", "begins with smsgate://"),
        ("smsgate://u:p@h/?sims=4", "sims: allowed are SIM:RATE:NUMBER"),
        ("smsgate://u:p@h/?sims=1,1", "sims: allowed are SIM:RATE:NUMBER"),
        ("smsgate://u:p@h/?sims=0,1", "it stands alone"),
        ("smsgate://u:p@h/?sims=1;1", "sims: allowed are those of all 1 telephones"),
        ("smsgate://u:p@a,u:p@b/?devices=x", "devices: they are of one server"),
        ("smsgate://u:p@a/?devices=x,x", "devices: allowed are ids"),
        ("smsgate://u:p@a/?priority=200", "priority=200: allowed is -128 to 127"),
        ("smsgate://u:p@a/?signing_keys=a,b&push_secret=" + SECRET, "one for each of the 1"),
        ("smsgate://u:p@a/?signing_keys=a", "they go with push_secret"),
        ("smsgate://u:p@a/?password=a", "password: no such parameter"),
        ("smsgate://u:p@a/?push_secret=short", "push_secret: allowed are"),
        ("smsgate://u:p@a/?push_secret=" + SECRET, "telephones call https:// or http://127.0.0.1"),
    ],
)
def test_a_wrong_option_is_refused_at_start_without_secrets(url: str, why: str) -> None:
    settings = Settings.model_validate({"upstream": url, "public_url": "http://sms.example"})
    with pytest.raises(SettingsError) as refused:
        upstreams(settings)
    assert why in str(refused.value)
    assert "u:p@" not in str(refused.value)
    assert SECRET not in str(refused.value)


def test_its_webhooks_go_to_the_address_of_the_upstream() -> None:
    url = f"smsgate://u:p@a,u:p@b/?push_secret={SECRET}"
    settings = Settings.model_validate({"upstream": url, "public_url": "https://sms.example"})
    assert list(pushing(settings)) == ["default"]
    assert isinstance(upstreams(settings)["default"], PhoneUpstream)


async def test_a_repeat_of_a_message_that_it_has_is_taken_for_the_first(
    phone: Phone, sink: RecordingSink
) -> None:
    upstream = opened(f"{phone.url()}?{QUICK}&receipts=0")
    delivery = a_delivery("#lost #quiet hello")
    async with running(upstream, sink):
        for attempt in (1, 2):
            await upstream.ready()
            upstream.submit(delivery)
            await sink.answers_to(delivery, attempt)
    assert sink.outcomes(delivery) == [Outcome.RETRY, Outcome.ACCEPTED]
    assert list(phone.taken) == [sink.answers[1].smsc_id]
    assert len(phone.requests) == 2


async def test_what_one_of_several_left_unanswered_goes_by_no_other(
    phone: Phone, other: Phone, sink: RecordingSink
) -> None:
    hosts = f"{phone.url()[:-1]},{other.url().removeprefix('smsgate://')}"
    upstream = opened(f"{hosts}?{QUICK}&receipts=0")
    async with running(upstream, sink):
        outcome, _ = await sent(upstream, sink, "#lost #quiet hello")
    assert outcome is Outcome.UNANSWERED
    assert len(phone.taken) + len(other.taken) == 1


async def test_what_another_carrier_could_send_is_not_repeated(
    phone: Phone, sink: RecordingSink, store: Store
) -> None:
    upstream = opened(f"{phone.url()}?{QUICK}&receipts=0")
    others = {"phone": upstream, "other": opened(f"{phone.url()}?{QUICK}")}
    Worker(store, others, Routes([Route(prefix="", upstreams=("phone",))]))
    assert upstream.is_alone
    Worker(store, others, Routes([Route(prefix="", upstreams=("phone", "other"))]))
    async with running(upstream, sink):
        outcome, _ = await sent(upstream, sink, "#lost #quiet hello")
    assert outcome is Outcome.UNANSWERED


async def test_each_sim_has_its_rate_and_the_others_take_over(
    phone: Phone, other: Phone, sink: RecordingSink
) -> None:
    hosts = f"{phone.url()[:-1]},{other.url().removeprefix('smsgate://')}"
    upstream = opened(f"{hosts}?{QUICK}&sims=1:0.01,2:0.01;3:0.01")
    async with running(upstream, sink):
        await upstream.ready()
        # One each, and no more for a hundred seconds.
        assert upstream.free() == 3
        for _ in range(3):
            upstream.submit(a_delivery("#quiet hello"))
        assert upstream.free() == 0
        await sink.until(lambda: len(sink.answers) == 3)
    assert sorted(each["simNumber"] for each in phone.requests) == [1, 2]
    assert [each["simNumber"] for each in other.requests] == [3]


async def test_a_telephone_that_is_away_leaves_the_messages_to_the_other(
    phone: Phone, sink: RecordingSink
) -> None:
    upstream = opened(f"smsgate://u:p@127.0.0.1:1,{phone.url()[10:]}?{QUICK}&window=1")
    async with running(upstream, sink):
        taken = 0
        while taken < 3:
            taken += (await sent(upstream, sink, "#quiet hello"))[0] is Outcome.ACCEPTED
            assert upstream.is_bound()
        assert "nothing listens there" in upstream.trouble()
    assert len(phone.taken) == 3


@pytest.mark.parametrize(
    ("text", "state"),
    [("#late", State.DELIVERED), ("#fail", State.UNDELIVERABLE)],
)
async def test_what_became_of_a_message_is_asked(
    phone: Phone, sink: RecordingSink, text: str, state: State
) -> None:
    upstream = opened(f"{phone.url()}?{QUICK}&poll_interval=0.02")
    async with running(upstream, sink):
        await sent(upstream, sink, f"{text} hello")
        await sink.until(lambda: sink.receipts)
    (told,) = sink.receipts
    assert (told.state, told.smsc_id) == (state, sink.answers[0].smsc_id)


async def test_after_a_restart_each_telephone_is_asked(
    phone: Phone, other: Phone, sink: RecordingSink
) -> None:
    hosts = f"{phone.url()[:-1]},{other.url().removeprefix('smsgate://')}"
    first = opened(f"{hosts}?{QUICK}&receipts=0")
    async with running(first, sink):
        await sent(first, sink, "#quiet hello")
    # As the store has it.
    name = sink.answers[0].smsc_id.lstrip("0").lower()
    later = opened(f"{hosts}?{QUICK}&poll_interval=0.02")
    later.ask_for([(name, "+32494000000", int(time.time() * 1_000) + 60_000)])
    async with running(later, sink):
        await sink.until(lambda: sink.receipts)
    assert sink.receipts[0].smsc_id == name


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("#bad", "", (Outcome.REFUSED, "HTTP status 400")),
        ("#throttle", "", (Outcome.RETRY, "the telephone's queue is full")),
        (
            "hello",
            "&devices=another",
            (Outcome.RETRY, "the server knows no such telephone"),
        ),
        ("half \ud83d", "", (Outcome.REFUSED, "its request could not be made")),
    ],
)
async def test_its_errors_are_judged_and_no_number_is_told(
    phone: Phone, sink: RecordingSink, text: str, options: str, expected: tuple[Outcome, str]
) -> None:
    upstream = opened(f"{phone.url()}3rdparty/v1?{QUICK}{options}")
    async with running(upstream, sink):
        assert await sent(upstream, sink, text) == expected
        assert upstream.is_bound() == ("devices" not in options)


async def test_a_request_says_what_the_options_say(phone: Phone, sink: RecordingSink) -> None:
    query = f"{QUICK}&devices={phone.device}&sims=2&priority=100&delivery_report=0"
    upstream = opened(f"{phone.url()}3rdparty/v1?{query}")
    async with running(upstream, sink):
        assert await sent(upstream, sink, "Grüße €") == (Outcome.ACCEPTED, "")
    (told,) = phone.requests
    assert told.pop("ttl") in range(3_500, 3_601)
    assert told == {
        "id": sink.answers[0].smsc_id,
        "textMessage": {"text": "Grüße €"},
        "phoneNumbers": told["phoneNumbers"],
        "deviceId": phone.device,
        "simNumber": 2,
        "priority": 100,
        "withDeliveryReport": False,
    }


async def test_webhooks_are_registered_until_it_succeeds_and_in_the_place_of_earlier_ones(
    phone: Phone, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    phone.webhook_status = 400
    url = f"{phone.url()}?{QUICK}&push_secret={SECRET}"
    for secret in (SECRET, SECRET[1:] + "t"):
        address = f"https://sms.example/upstream/phone/{secret}"
        upstream = opened(url, address)
        async with running(upstream, sink):
            if secret == SECRET:
                await eventually(lambda: "webhooks not registered" in caplog.text)
                phone.webhook_status = 201
            while {each["url"] for each in phone.webhooks.values()} != {f"{address}?phone=0"}:
                await asyncio.sleep(0.01)
            await eventually(lambda: len(phone.webhooks) == len(EVENTS))
    logged = str([vars(record) for record in caplog.records])
    assert SECRET not in logged
    assert phone.url() not in logged


def phones() -> Phones:
    sims = "sims=1::32470000001,2::32470000002;1::32470000003"
    secrets = f"push_secret={SECRET}&signing_keys={KEY},other"
    return provider(f"smsgate://u:p@a,u:p@b/?{sims}&{secrets}")


def push(event: str, payload: Any, number: int = 0, key: str = KEY, old: int = 0) -> Push:
    told = {"event": event, "id": "e1", "payload": payload, "deviceId": "d", "webhookId": "w"}
    body, at = json.dumps(told).encode(), int(time.time())
    stamp = str(at - old)
    return Push(
        url=f"https://sms.example/upstream/phone/{SECRET}?phone={number}",
        headers={
            "content-type": "application/json",
            "x-timestamp": stamp,
            "x-signature": hmac.new(key.encode(), body + stamp.encode(), "sha256").hexdigest(),
        },
        body=body,
        at=at * 1_000,
    )


@pytest.mark.parametrize(
    ("number", "key", "old"), [(0, "other", 0), (1, KEY, 0), (0, KEY, 301), (2, KEY, 0)]
)
def test_a_webhook_that_another_telephone_or_nobody_signed_is_refused(
    number: int, key: str, old: int
) -> None:
    with pytest.raises(PushError) as refused:
        phones().hear(push("sms:received", incoming("+32494000000"), number, key, old))
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("number", "payload", "ours"),
    [
        (0, {}, MINE),
        (0, {"recipient": None, "simNumber": 2}, "+32470000002"),
        (1, {"recipient": None, "simNumber": None}, "+32470000003"),
        # Which of two SIMs it was, nobody knows.
        (0, {"recipient": None, "simNumber": None}, "sim0"),
    ],
)
def test_a_message_came_to_the_number_of_its_sim(
    number: int, payload: dict[str, Any], ours: str
) -> None:
    key = (KEY, "other")[number]
    heard = phones().hear(push("sms:received", incoming("+32494000000", **payload), number, key))
    (message,) = checked(heard).messages
    assert (message.sender, message.recipient, message.text) == ("+32494000000", ours, "Hi €")
    assert message.id == "e1"


@pytest.mark.parametrize(
    ("event", "more", "state", "error"),
    [
        ("sms:sent", {"sentAt": "2026-02-18T02:05:00.000+07:00"}, State.SUBMITTED, ""),
        ("sms:delivered", {"deliveredAt": "2026-02-18T02:05:00.000+07:00"}, State.DELIVERED, ""),
        ("sms:failed", {"reason": "Network error"}, State.UNDELIVERABLE, ""),
        (
            "sms:failed",
            {"reason": "Send result: RESULT_ERROR_LIMIT_EXCEEDED"},
            State.UNDELIVERABLE,
            "RESULT_ERROR_LIMIT_EXCEEDED",
        ),
        ("sms:failed", {"reason": "TTL expired"}, State.EXPIRED, ""),
        ("sms:cancelled", {}, State.FAILED, ""),
    ],
)
def test_a_webhook_tells_a_state(
    event: str, more: dict[str, Any], state: State, error: str
) -> None:
    payload = {"messageId": "0a" * 16, "recipient": "+32494000000", **more}
    (told,) = checked(phones().hear(push(event, payload))).receipts
    assert (told.smsc_id, told.state, told.error) == ("0a" * 16, state, error)
    assert told.recipient == "32494000000"
    if "At" in str(more):
        assert told.done_at == 1_771_355_100_000


def test_other_events_say_nothing() -> None:
    assert phones().hear(push("system:ping", {"health": {}})).receipts == ()
