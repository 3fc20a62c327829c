"""The SMPP upstream against node-smpp, with every fault that an SMSC has been seen to have."""

import asyncio
import dataclasses
import itertools
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import uvloop
from support.certificates import self_signed
from support.clock import LoopClock
from support.smsc import Smsc, start_smsc
from support.upstreams import RecordingSink, a_delivery, eventually, running

from sms_gateway.sms.encoding import Encoding
from sms_gateway.sms.message import State
from sms_gateway.sms.receipt import Receipt
from sms_gateway.upstream import Delivery, Incoming, Outcome
from sms_gateway.upstream.smpp import SmppUpstream
from sms_gateway.upstream.smpp_options import options_from_url

ACCEPTED, RETRY, REFUSED = Outcome.ACCEPTED, Outcome.RETRY, Outcome.REFUSED
UNANSWERED, NOT_WRITTEN = Outcome.UNANSWERED, Outcome.NOT_WRITTEN
BUSY = Outcome.BUSY

_accounts = itertools.count(1)

# No timer runs out unless a test lets its time pass, and nothing has to be waited for.
RESPONSE, ENQUIRE = 600, 3_600
OPTIONS = {
    "response_timeout": RESPONSE,
    "late_timeout": 86_400,
    "enquire_interval": ENQUIRE,
    "reconnect_delay": 0.02,
    "reconnect_delay_max": 0.2,
    "locked_out_delay": 0.1,
    "stop_timeout": 60,
}


@pytest.fixture(scope="module")
def smsc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smsc]:
    """An SMSC that does as the messages say."""
    with start_smsc(tmp_path_factory.mktemp("smsc")) as started:
        yield started


class Bind:
    """An upstream bound to an SMSC under an account of its own, and what it reports."""

    def __init__(self, smsc: Smsc, **options: Any) -> None:
        self.smsc = smsc
        self.sink = RecordingSink()
        self.account = f"esme{next(_accounts)}"
        url = options.pop("url", smsc.url.replace("esme:", f"{self.account}:"))
        self.options = dataclasses.replace(options_from_url(url), **(OPTIONS | options))
        self.upstream = SmppUpstream("carrier", self.options)

    async def submit(self, text: str, **fields: Any) -> Delivery:
        """Hand over a delivery as soon as there is room."""
        async with asyncio.timeout(60):
            await self.upstream.ready()
        delivery = a_delivery(text, **fields)
        self.upstream.submit(delivery)
        return delivery

    def submits(self, *deliveries: Delivery) -> list[dict[str, Any]]:
        """What the SMSC saw of these deliveries."""
        numbers = {delivery.recipient.lstrip("+") for delivery in deliveries}
        return [entry for entry in self.smsc.submits() if entry["destination"] in numbers]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Events of this name on the connections of this account, in order."""
        binds = [entry for entry in self.smsc.journal("bind") if entry["system_id"] == self.account]
        connections = {entry["connection"] for entry in binds}
        return [e for e in self.smsc.journal(name) if e["connection"] in connections]


@asynccontextmanager
async def bound(smsc: Smsc, **options: Any) -> AsyncIterator[Bind]:
    bind = Bind(smsc, **options)
    async with running(bind.upstream, bind.sink):
        async with asyncio.timeout(60):
            await bind.upstream.ready()
        yield bind


# How an SMSC answers.


@pytest.mark.parametrize(
    ("text", "outcomes", "reason"),
    [
        ("Hello", [ACCEPTED], ""),
        ("#throttled", [RETRY], "0x00000058 throttling error"),
        ("#queue-full", [BUSY], "0x00000014 message queue full"),
        ("#system-error", [RETRY], "0x00000008 system error"),
        ("#invalid-destination", [REFUSED], "0x0000000b invalid destination address"),
        ("#vendor", [RETRY], "0x000004ff vendor-specific error"),
        ("#nack", [RETRY], "0x00000003 invalid command id"),
        ("#wrong-sequence", [ACCEPTED], ""),
        ("#unknown-tlv", [ACCEPTED], ""),
        ("#mo", [ACCEPTED], ""),
        ("#unbind", [ACCEPTED], ""),
        ("#silent", [UNANSWERED], "no answer in time"),
        ("#nack-0", [UNANSWERED], "no answer in time"),
        ("#drop", [UNANSWERED], "connection lost"),
        ("#truncated", [UNANSWERED], "command_length is 5"),
        ("#oversized", [UNANSWERED], "command_length is 2147483647"),
    ],
)
async def test_each_part_is_answered_once_and_the_next_message_goes(
    loop_clock: LoopClock, smsc: Smsc, text: str, outcomes: list[Outcome], reason: str
) -> None:
    async with bound(smsc) as bind:
        first = await bind.submit(text)
        await eventually(lambda: bind.submits(first))
        if reason == "no answer in time":
            loop_clock.pass_(RESPONSE)
        await bind.sink.answers_to(first)
        # Whatever happened to the connection, and however slow it is now.
        second = await bind.submit("Hello again")
        await bind.sink.answers_to(second)
    assert bind.sink.outcomes(first) == outcomes
    assert bind.sink.of(first)[0].reason == reason
    assert bind.sink.outcomes(second) == [ACCEPTED]
    assert [entry["text"] for entry in bind.submits(first, second)] == [text, "Hello again"]


async def test_the_id_of_the_smsc_comes_with_the_acceptance(smsc: Smsc) -> None:
    async with bound(smsc) as bind:
        delivery = await bind.submit("Hello")
        (answer,) = await bind.sink.answers_to(delivery)
    assert answer.smsc_id == bind.submits(delivery)[0]["id"] != ""


async def test_a_late_answer_follows_the_missing_one(loop_clock: LoopClock, smsc: Smsc) -> None:
    async with bound(smsc) as bind:
        delivery = await bind.submit("#held")
        await eventually(lambda: bind.submits(delivery))
        loop_clock.pass_(RESPONSE)
        await bind.sink.answers_to(delivery)
        smsc.command("release")
        await bind.sink.answers_to(delivery, times=2)
    assert bind.sink.outcomes(delivery) == [UNANSWERED, ACCEPTED]
    assert bind.sink.of(delivery)[1].smsc_id == bind.submits(delivery)[0]["id"]


async def test_throttling_slows_the_bind_down(smsc: Smsc, caplog: pytest.LogCaptureFixture) -> None:
    async with bound(smsc, rate=400) as bind:
        throttled = [await bind.submit("#throttled") for _ in range(5)]
        for delivery in throttled:
            assert (await bind.sink.answers_to(delivery))[0].outcome is RETRY
    slowed = [record for record in caplog.records if record.message == "slowed down"]
    assert {vars(record)["status"] for record in slowed} == {"0x00000058 throttling error"}
    assert all(vars(record)["rate"] < 400 for record in slowed)


async def test_what_is_throttled_goes_in_the_end(tmp_path) -> None:
    with start_smsc(tmp_path, throttle_over=40) as smsc:
        async with bound(smsc, window=20) as bind:
            waiting = [a_delivery(f"Hello {number}") for number in range(60)]
            tries = 0
            while waiting:
                await bind.upstream.ready()
                deliveries = waiting[: bind.upstream.free()]
                del waiting[: len(deliveries)]
                for delivery in deliveries:
                    bind.upstream.submit(delivery)
                for delivery in deliveries:
                    tries += 1
                    await bind.sink.until(partial(bind.sink.of, delivery))
                    if bind.sink.outcomes(delivery) != [ACCEPTED]:
                        assert bind.sink.outcomes(delivery) == [RETRY]
                        # As a worker would hand it over again.
                        bind.sink.answers.remove(bind.sink.of(delivery)[0])
                        waiting.append(delivery)
        accepted = [entry for entry in smsc.submits() if entry["status"] == 0]
    assert len(accepted) == 60
    # A window or two ran into it, and little more.
    assert tries < 120


# What is written.


@pytest.mark.parametrize(
    ("text", "data_coding", "parts"),
    [
        ("Hello @£ {[€]} ~ ÄÖ", 0, 1),
        ("a" * 160, 0, 1),
        ("a" * 161, 0, 2),
        ("{" * 200, 0, 3),
        ("Привет, 世界", 8, 1),
        ("😀" * 40, 8, 2),
    ],
)
async def test_a_text_arrives_as_it_was_written(
    smsc: Smsc, text: str, data_coding: int, parts: int
) -> None:
    async with bound(smsc) as bind:
        delivery = await bind.submit(text)
        await bind.sink.answers_to(delivery)
    seen = sorted(bind.submits(delivery), key=lambda entry: entry["part"])
    assert "".join(entry["text"] for entry in seen) == text
    assert [entry["part"] for entry in seen] == list(range(1, parts + 1))
    assert {entry["data_coding"] for entry in seen} == {data_coding}
    assert {entry["parts"] for entry in seen} == {parts}
    assert {entry["esm_class"] for entry in seen} == {0x40 if parts > 1 else 0}
    assert {entry["reference"] for entry in seen} == {delivery.id % 256 if parts > 1 else 0}
    assert [answer.part for answer in bind.sink.of(delivery)] == list(range(1, parts + 1))


async def test_addresses_and_wishes_arrive(smsc: Smsc) -> None:
    async with bound(smsc, service_type="OTA", validity="absolute") as bind:
        delivery = await bind.submit("Hello", sender="8888", recipient="+32494000000")
        await bind.sink.answers_to(delivery)
    seen = [entry for entry in bind.submits(delivery) if entry["source"] == "8888"][-1]
    assert (seen["source_ton"], seen["source_npi"]) == (3, 0)
    assert (seen["destination"], seen["destination_ton"], seen["destination_npi"]) == (
        "32494000000",
        1,
        1,
    )
    assert (seen["registered_delivery"], seen["service_type"]) == (1, "OTA")
    assert seen["validity"][:4].isdigit()


async def test_a_message_with_more_parts_than_the_window_goes_as_answers_come(smsc: Smsc) -> None:
    async with bound(smsc, window=2) as bind:
        delivery = await bind.submit("a" * 153 * 9)
        assert bind.upstream.free() == 0
        await bind.sink.answers_to(delivery)
    assert bind.sink.outcomes(delivery) == [ACCEPTED] * 9
    assert [entry["part"] for entry in bind.submits(delivery)] == list(range(1, 10))


async def test_parts_that_were_accepted_before_are_not_written_again(smsc: Smsc) -> None:
    async with bound(smsc) as bind:
        delivery = await bind.submit("a" * 400, accepted=frozenset({1, 3}))
        await bind.sink.until(lambda: bind.sink.of(delivery))
    assert [(answer.part, answer.outcome) for answer in bind.sink.answers] == [(2, ACCEPTED)]
    assert [entry["part"] for entry in bind.submits(delivery)] == [2]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": "\ud800", "encoding": Encoding.UCS2}, "a character is not in the alphabet"),
        ({"parts": 3}, "takes 1 parts in the carrier's alphabet and was counted as 3"),
        ({"sender": "A\0B"}, "source_addr has a NUL in it"),
        ({"sender": "A" * 30}, "source_addr is longer than 20 octets"),
    ],
)
async def test_what_cannot_be_written_is_refused_for_good(
    smsc: Smsc, fields: dict[str, Any], reason: str
) -> None:
    async with bound(smsc) as bind:
        bad = dataclasses.replace(a_delivery("Hello"), **fields)
        bind.upstream.submit(bad)
        good = await bind.submit("Hello")
        await bind.sink.answers_to(bad)
        await bind.sink.answers_to(good)
    assert bind.sink.outcomes(bad) == [REFUSED] * bad.parts
    assert bind.sink.of(bad)[0].reason == reason
    assert bind.sink.outcomes(good) == [ACCEPTED]


async def test_parts_are_paced_not_messages(smsc: Smsc) -> None:
    async with bound(smsc, rate=50, window=20) as bind:
        began = asyncio.get_running_loop().time()
        delivery = await bind.submit("a" * 153 * 15)
        await bind.sink.answers_to(delivery)
        # Five parts may go at once, and ten take their time.
        assert asyncio.get_running_loop().time() - began > 0.15
    assert bind.sink.outcomes(delivery) == [ACCEPTED] * 15


def test_a_rate_is_kept_on_the_event_loop_of_the_worker(smsc: Smsc) -> None:
    async def submit_many() -> Bind:
        async with bound(smsc, rate=3_000, window=50) as bind:
            deliveries = [await bind.submit("Hello " * 60) for _ in range(600)]
            for delivery in deliveries:
                await bind.sink.answers_to(delivery)
        return bind

    bind = uvloop.run(submit_many())
    assert {answer.outcome for answer in bind.sink.answers} == {ACCEPTED}
    assert len(bind.events("bind")) == 1


# Connections that come and go.


async def test_a_dropped_connection_tells_what_was_written_from_what_was_not(smsc: Smsc) -> None:
    async with bound(smsc, window=3) as bind:
        await bind.sink.answers_to(await bind.submit("Hello"))
        first = await bind.submit("#drop")
        silent = a_delivery("#silent")
        waiting = a_delivery("Hello " * 80)
        bind.upstream.submit(silent)
        bind.upstream.submit(waiting)
        for delivery in (first, silent, waiting):
            await bind.sink.answers_to(delivery)
    assert bind.sink.outcomes(first) == bind.sink.outcomes(silent) == [UNANSWERED]
    assert sorted(bind.sink.outcomes(waiting)) == sorted([UNANSWERED] + [NOT_WRITTEN] * 3)
    assert len(bind.submits(waiting)) <= 1


async def test_nothing_is_written_without_a_connection(tmp_path) -> None:
    with start_smsc(tmp_path) as smsc:
        bind = Bind(smsc, reconnect_delay=0.05)
    async with running(bind.upstream, bind.sink):
        assert bind.upstream.free() == 0
        early = a_delivery("Hello")
        bind.upstream.submit(early)
        assert bind.sink.answers == []
        await bind.sink.answers_to(early)
        with start_smsc(tmp_path, port=smsc.port):
            delivery = await bind.submit("Hello")
            await bind.sink.answers_to(delivery)
    assert bind.sink.outcomes(early) == [NOT_WRITTEN]
    assert bind.sink.outcomes(delivery) == [ACCEPTED]
    assert bind.submits(early) == []


async def test_an_smsc_that_does_not_answer_enquire_link_is_left(
    loop_clock: LoopClock, tmp_path
) -> None:
    with start_smsc(tmp_path, enquire_link=False) as smsc:
        async with bound(smsc) as bind:
            loop_clock.pass_(ENQUIRE)
            await eventually(lambda: bind.events("enquire_link"))
            loop_clock.pass_(RESPONSE)
            await eventually(lambda: len(bind.events("bind")) > 1)
            smsc.set(enquire_link=True)
            delivery = await bind.submit("Hello")
            await bind.sink.answers_to(delivery)
        assert bind.sink.outcomes(delivery) == [ACCEPTED]
        assert {entry["answered"] for entry in bind.events("enquire_link")[:1]} == {False}


async def test_a_live_connection_is_kept(tmp_path) -> None:
    with start_smsc(tmp_path) as smsc:
        async with bound(smsc, enquire_interval=0.05) as bind:
            await eventually(lambda: len(bind.events("enquire_link")) > 3)
        assert len(bind.events("bind")) == 1


async def test_an_smsc_that_unbinds_is_answered_and_bound_again(smsc: Smsc) -> None:
    async with bound(smsc) as bind:
        await bind.sink.answers_to(await bind.submit("#unbind"))
        await eventually(lambda: len(bind.events("bind")) == 2)
    assert [entry["to"] for entry in bind.events("answer")] == ["unbind"]


@pytest.mark.parametrize("status", [0x0E, 0x0F])
async def test_a_refused_bind_keeps_the_messages_and_says_so(
    tmp_path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    with start_smsc(tmp_path, bind_status=status) as smsc:
        bind = Bind(smsc)
        async with running(bind.upstream, bind.sink):
            await eventually(lambda: len(bind.events("bind")) > 1)
            assert bind.upstream.free() == 0
            smsc.set(bind_status=0)
            delivery = await bind.submit("Hello")
            await bind.sink.answers_to(delivery)
        assert [entry["destination"] for entry in smsc.submits()] == [delivery.recipient[1:]]
    refusals = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert {record.message for record in refusals} == {"bind refused"}
    assert {vars(record)["upstream"] for record in refusals} == {"carrier"}
    assert all(
        vars(record)["status"].startswith(f"0x0000000{status:x} invalid") for record in refusals
    )


async def test_a_wrong_password_is_refused_and_never_shown(
    tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with start_smsc(tmp_path, system_id="esme", password="right") as smsc:
        bind = Bind(smsc, url=smsc.url, password="wr0ng-one")
        async with running(bind.upstream, bind.sink):
            await eventually(lambda: smsc.journal("bind"))
            await eventually(lambda: caplog.records)
            smsc.set(password="wr0ng-one")
            await bind.sink.answers_to(await bind.submit("Hello"))
        assert smsc.journal("bind")[0]["status"] == 0x0E
    shown = "".join(str(vars(record)) for record in caplog.records) + repr(vars(bind.upstream))
    assert "invalid password" in shown
    assert "wr0ng-one" not in shown


async def test_a_bind_that_is_refused_for_now_is_tried_again_soon(tmp_path) -> None:
    with start_smsc(tmp_path, bind_status=0x0D) as smsc:
        bind = Bind(smsc, locked_out_delay=3_000)
        async with running(bind.upstream, bind.sink):
            await eventually(lambda: len(bind.events("bind")) > 1)
            smsc.set(bind_status=0)
            await bind.sink.answers_to(await bind.submit("Hello"))


async def test_tls_is_verified(tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    cert, key = self_signed(tmp_path, "localhost")
    with start_smsc(tmp_path, tls={"cert": str(cert), "key": str(key)}) as smsc:
        url = f"smpps://esme:secret@localhost:{smsc.port}"
        distrusting = Bind(smsc, url=url)
        async with running(distrusting.upstream, distrusting.sink):
            await eventually(lambda: caplog.records)
        assert {record.message for record in caplog.records} == {"cannot connect"}
        assert smsc.journal("bind") == []
        async with bound(smsc, url=url, cafile=str(cert)) as bind:
            delivery = await bind.submit("Hello")
            await bind.sink.answers_to(delivery)
        elsewhere = url.replace("localhost", "127.0.0.1")
        other_name = Bind(smsc, url=elsewhere, cafile=str(cert))
        caplog.clear()
        async with running(other_name.upstream, other_name.sink):
            await eventually(lambda: caplog.records)
        assert len(smsc.journal("bind")) == 1
    assert bind.sink.outcomes(delivery) == [ACCEPTED]


# Receipts.


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("Hello", [State.DELIVERED]),
        ("#stat:UNDELIV", [State.UNDELIVERABLE]),
        ("#stat:EXPIRED", [State.EXPIRED]),
        ("#stat:REJECTD", [State.FAILED]),
        ("#twice", [State.DELIVERED, State.DELIVERED]),
        ("#before", [State.DELIVERED]),
        ("#tlv-only", [State.DELIVERED]),
        ("#tlv-only #stat:UNDELIV", [State.UNDELIVERABLE]),
        ("#seconds", [State.DELIVERED]),
        ("#unknown-tlv", [State.DELIVERED]),
    ],
)
async def test_receipts_are_read_stored_and_acknowledged(
    smsc: Smsc, text: str, states: list[State]
) -> None:
    async with bound(smsc) as bind:
        delivery = await bind.submit(text)
        await bind.sink.answers_to(delivery)
        await bind.sink.until(lambda: len(bind.sink.receipts) == len(states))
        await eventually(lambda: len(bind.events("receipt")) == len(states))
    assert bind.sink.outcomes(delivery) == [ACCEPTED]
    assert [receipt.state for receipt in bind.sink.receipts] == states
    assert {receipt.smsc_id for receipt in bind.sink.receipts} == {bind.sink.answers[0].smsc_id}
    assert {receipt.recipient for receipt in bind.sink.receipts} == {delivery.recipient[1:]}
    assert {entry["status"] for entry in bind.events("receipt")} == {0}
    if text == "#seconds":
        (receipt,) = bind.sink.receipts
        assert receipt.error == "00B"
        assert receipt.done_at > 0


async def test_no_receipt_is_no_trouble(smsc: Smsc) -> None:
    async with bound(smsc) as bind:
        none = await bind.submit("#no-receipt")
        await bind.sink.answers_to(none)
        await bind.sink.answers_to(await bind.submit("Hello"))
        await bind.sink.until(lambda: bind.sink.receipts)
    assert bind.sink.of(none)[0].smsc_id not in {r.smsc_id for r in bind.sink.receipts}


async def test_an_id_in_decimal_comes_as_it_stands(smsc: Smsc) -> None:
    async with bound(smsc) as bind:
        delivery = await bind.submit("#decimal")
        (answer,) = await bind.sink.answers_to(delivery)
        await bind.sink.until(lambda: bind.sink.receipts)
    assert answer.smsc_id.startswith("00")
    assert bind.sink.receipts[0].smsc_id == str(int(answer.smsc_id, 16))


async def test_a_receipt_is_acknowledged_only_after_it_is_stored(smsc: Smsc) -> None:
    async with bound(smsc) as bind:
        bind.sink.is_quick.clear()
        await bind.submit("Hello")
        await bind.sink.until(lambda: bind.sink.waiting)
        # The connection goes on meanwhile.
        for _ in range(3):
            await bind.sink.answers_to(await bind.submit("#no-receipt"))
        assert bind.events("receipt") == []
        bind.sink.is_quick.set()
        await eventually(lambda: bind.events("receipt"))
    assert [entry["status"] for entry in bind.events("receipt")] == [0]


async def test_a_receipt_is_offered_again_when_the_store_was_away(smsc: Smsc) -> None:
    async with bound(smsc) as bind:
        bind.sink.is_down = True
        await bind.submit("Hello")
        await eventually(lambda: bind.events("receipt"))
        await bind.sink.answers_to(await bind.submit("#no-receipt"))
        bind.sink.is_down = False
        await bind.sink.until(lambda: bind.sink.receipts)
        await eventually(lambda: bind.events("receipt")[-1]["status"] == 0)
    statuses = [entry["status"] for entry in bind.events("receipt")]
    assert statuses == [0x08] * (len(statuses) - 1) + [0]
    assert len(bind.sink.receipts) == 1
    assert len(bind.events("bind")) == 1


async def test_a_failure_of_the_sink_is_refused_for_now_too(
    smsc: Smsc, caplog: pytest.LogCaptureFixture
) -> None:
    class FailingOnce(RecordingSink):
        # It fails as it is called, not as it is awaited.
        def received_receipt(self, receipt: Receipt) -> Coroutine[Any, Any, None]:
            if not self.waiting:
                self.waiting = 1
                raise RuntimeError("a fault")
            return super().received_receipt(receipt)

    bind = Bind(smsc)
    bind.sink = FailingOnce()
    async with running(bind.upstream, bind.sink):
        await bind.submit("Hello")
        await bind.sink.until(lambda: bind.sink.receipts)
        await eventually(lambda: len(bind.events("receipt")) == 2)
    assert [entry["status"] for entry in bind.events("receipt")] == [0x08, 0]
    assert [record.message for record in caplog.records] == ["cannot take an offer"]


async def test_a_receipt_without_an_id_is_not_wanted_again(
    tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    with start_smsc(tmp_path) as smsc:
        async with bound(smsc):
            smsc.offer(esm_class=4, short_message=b"stat:DELIVRD err:000")
            await eventually(smsc.receipts)
        assert [entry["status"] for entry in smsc.receipts()] == [0]
    assert "receipt without an id or a number" in {record.message for record in caplog.records}


async def test_a_message_in_the_form_of_a_receipt_carries_what_it_says(smsc: Smsc) -> None:
    text = b"id:AB_1 sub:001 dlvrd:001 stat:DELIVRD err:000 text:Hi"
    async with bound(smsc) as bind:
        smsc.offer(esm_class=0, source_addr="32494000000", short_message=text)
        smsc.offer(esm_class=0, source_addr="32494000000", short_message=b"id:AB_1 is it")
        await bind.sink.until(lambda: len(bind.sink.messages) == 2)
    first, second = bind.sink.messages
    # As a message it is read in the alphabet of messages.
    assert first.text == text.decode().replace("_", "§")
    assert first.receipt is not None
    assert (first.receipt.smsc_id, first.receipt.recipient) == ("AB_1", "32494000000")
    assert second.receipt is None


# Received messages.


async def test_a_message_of_a_handset_is_received_while_sending(smsc: Smsc) -> None:
    async with bound(smsc) as bind:
        delivery = await bind.submit("#mo #no-receipt", sender="32494000001")
        await bind.sink.answers_to(delivery)
        await bind.sink.until(lambda: bind.sink.messages)
        await eventually(lambda: bind.events("receipt"))
    assert bind.sink.messages == [
        Incoming(sender="+32494999999", recipient="32494000001", text="Hello from a handset")
    ]
    assert [entry["status"] for entry in bind.events("receipt")] == [0]


MESSAGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"short_message": b"\x04\x16", "data_coding": 8}, {"text": "Ж"}),
    (
        {"short_message": b"\x05\x00\x03\x07\x02\x01He", "esm_class": 0x40},
        {"text": "He", "reference": 7, "total": 2, "number": 1},
    ),
    (
        {
            "short_message": b"llo",
            "sar_msg_ref_num": 300,
            "sar_total_segments": 2,
            "sar_segment_seqnum": 2,
        },
        {"text": "llo", "reference": 300, "total": 2, "number": 2},
    ),
    (
        {"short_message": b"\x03\x24\x01\x01\x1bg", "esm_class": 0x40},
        {"text": "ğ"},
    ),
    (
        {"short_message": b"\x05\x00\x03\x08\x02\x01He"},
        {"text": "He", "reference": 8, "total": 2, "number": 1},
    ),
    ({"short_message": b"\xff\xfe\x16\x04", "data_coding": 8}, {"text": "Ж"}),
    ({"short_message": b"\xe9t\xe9", "data_coding": 1}, {"text": "été"}),
    ({"message_payload": b"Hello" * 100}, {"text": "Hello" * 100}),
    ({"command": "data_sm", "message_payload": b"Hello"}, {"text": "Hello"}),
]


async def test_messages_of_every_form_are_read_and_acknowledged(tmp_path) -> None:
    with start_smsc(tmp_path) as smsc:
        async with bound(smsc) as bind:
            for pdu, _ in MESSAGES:
                smsc.offer(**{"source_addr": "8888", **pdu})
            await bind.sink.until(lambda: len(bind.sink.messages) == len(MESSAGES))
            await eventually(lambda: len(smsc.receipts()) == len(MESSAGES))
        assert {entry["status"] for entry in smsc.receipts()} == {0}
    expected = [Incoming(sender="8888", recipient="", **fields) for _, fields in MESSAGES]
    assert bind.sink.messages == expected


async def test_packed_septets_and_national_numbers_are_read_by_the_settings(tmp_path) -> None:
    with start_smsc(tmp_path) as smsc:
        async with bound(smsc, incoming_septets="packed", region="BE") as bind:
            smsc.offer(
                source_addr="0494000009",
                source_addr_ton=2,
                destination_addr="028850000",
                short_message=bytes.fromhex("c8329bfd06"),
            )
            await bind.sink.until(lambda: bind.sink.messages)
    assert bind.sink.messages == [
        Incoming(sender="+32494000009", recipient="+3228850000", text="Hello")
    ]


async def test_more_offers_than_can_be_kept_are_refused_for_now(tmp_path) -> None:
    with start_smsc(tmp_path, receipt_window=10_000, receipt_retry=50) as smsc:
        async with bound(smsc) as bind:
            bind.sink.is_quick.clear()
            for number in range(2_500):
                smsc.offer(source_addr="8888", short_message=b"%d" % number)
            await eventually(lambda: len(smsc.receipts()) >= 400)
            assert {entry["status"] for entry in smsc.receipts()} == {0x14}
            assert bind.sink.waiting == 2_000
            bind.sink.is_quick.set()
            await bind.sink.until(lambda: len(bind.sink.messages) == 2_500)
            texts = {message.text for message in bind.sink.messages}
    assert len(texts) == 2_500


# Things nobody asked for.


async def test_other_pdus_are_ignored_or_nacked(smsc: Smsc) -> None:
    async with bound(smsc) as bind:
        smsc.command("write", command="alert_notification", pdu={"source_addr": "32494"})
        smsc.command("write", command="outbind", pdu={"system_id": "smsc"})
        smsc.command("raw", hex="00000012" + "00000777" + "00000000" + "00000009" + "0102")
        smsc.command("raw", hex="00000010" + "80000777" + "00000000" + "0000000a")
        smsc.command("raw", hex="00000010" + "00000005" + "00000000" + "0000000b")
        await eventually(lambda: len(bind.events("generic_nack")) >= 2)
        delivery = await bind.submit("Hello")
        await bind.sink.answers_to(delivery)
    nacks = [(entry["sequence"], entry["status"]) for entry in bind.events("generic_nack")]
    assert nacks == [(9, 0x03), (11, 0x02)]
    assert bind.sink.outcomes(delivery) == [ACCEPTED]
    assert len(bind.events("bind")) == 1


# Stopping.


async def test_stopping_waits_for_answers_and_says_goodbye(smsc: Smsc) -> None:
    async with bound(smsc) as bind:
        await bind.sink.answers_to(await bind.submit("Hello"))
        written = await bind.submit("#late:300")
        await eventually(lambda: bind.submits(written))
    assert bind.sink.outcomes(written) == [ACCEPTED]
    assert bind.upstream.free() == 0
    assert len(bind.events("unbind")) == 1


async def test_stopping_reports_the_rest(smsc: Smsc) -> None:
    async with bound(smsc, window=2, stop_timeout=0.1) as bind:
        await bind.sink.answers_to(await bind.submit("Hello"))
        silent = await bind.submit("#silent " * 60)
        await eventually(lambda: len(bind.submits(silent)) == 2)
        after = a_delivery("Hello")
    assert silent.parts == 4
    assert bind.sink.outcomes(silent) == [NOT_WRITTEN] * 2 + [UNANSWERED] * 2
    assert [answer.part for answer in bind.sink.of(silent)] == [3, 4, 1, 2]
    bind.upstream.submit(after)
    await bind.sink.answers_to(after)
    assert bind.sink.outcomes(after) == [NOT_WRITTEN]


async def test_stopping_does_not_wait_for_an_smsc_that_is_gone(tmp_path) -> None:
    with start_smsc(tmp_path) as smsc:
        bind = Bind(smsc, reconnect_delay=3_000, reconnect_delay_max=3_000)
        async with running(bind.upstream, bind.sink):
            await bind.upstream.ready()
            smsc.process.kill()
            await eventually(lambda: not bind.upstream.is_bound())
    assert bind.upstream.free() == 0


# Many.


async def test_many_messages_are_each_submitted_and_reported_once(tmp_path) -> None:
    count = 3_000
    with start_smsc(tmp_path) as smsc:
        async with bound(smsc, window=50) as bind:
            deliveries: list[Delivery] = []
            while len(deliveries) < count:
                await bind.upstream.ready()
                for _ in range(min(bind.upstream.free(), count - len(deliveries))):
                    deliveries.append(a_delivery(f"Hello {len(deliveries)}"))
                    bind.upstream.submit(deliveries[-1])
            await bind.sink.until(lambda: len(bind.sink.answers) == count)
            await bind.sink.until(lambda: len(bind.sink.receipts) == count)
        submitted = smsc.submits()
    assert {answer.outcome for answer in bind.sink.answers} == {ACCEPTED}
    assert sorted(entry["destination"] for entry in submitted) == sorted(
        delivery.recipient[1:] for delivery in deliveries
    )
    ids = {answer.smsc_id for answer in bind.sink.answers}
    assert len(ids) == count
    assert {receipt.smsc_id for receipt in bind.sink.receipts} == ids
