"""What every way out promises the worker, whatever it speaks to its carrier: `support.ways`."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from support import tables
from support.clock import LoopClock
from support.upstreams import RecordingSink, eventually, running
from support.ways import LONG, RESPONSE, WAYS, WINDOW, Way

from sms_gateway.sms.message import State
from sms_gateway.upstream import Delivery, Outcome, SaysReceipts, pending_parts
from sms_gateway.upstream.http_contract import IsAsked


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
async def way(request) -> AsyncIterator[Way]:
    async with request.param() as opened:
        yield opened


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


async def given_up(loop_clock: LoopClock, sink: RecordingSink, delivery: Delivery) -> None:
    """Lets time pass until no answer for a delivery is waited for any more."""
    while not sink.of(delivery):
        await asyncio.sleep(0.05)
        loop_clock.pass_(RESPONSE / 10)


async def test_something_is_free_only_while_it_runs(way, sink):
    assert way.upstream.free() == 0
    async with running(way.upstream, sink):
        await way.upstream.ready()
        assert 0 < way.upstream.free() <= WINDOW
    assert way.upstream.free() == 0


async def test_each_part_is_accepted_once_under_an_id_of_its_own_and_reported_on(way, sink):
    delivery = way.delivery(text=LONG)
    assert delivery.parts == 3
    async with running(way.upstream, sink):
        await way.upstream.ready()
        way.upstream.submit(delivery)
        answers = await sink.answers_to(delivery)
        ids = {answer.smsc_id for answer in answers}
        # Some report the whole, which is known by the name of its first part.
        says = way.upstream.receipts_of() if isinstance(way.upstream, SaysReceipts) else "each"
        told = {each.smsc_id for each in answers if says != "first" or each.part == 1}
        await sink.until(lambda: len(sink.receipts) == len(told))
    assert sorted(answer.part for answer in answers) == [1, 2, 3]
    assert {answer.outcome for answer in answers} == {Outcome.ACCEPTED}
    assert len(ids) == 3
    assert {receipt.smsc_id for receipt in sink.receipts} == told
    for receipt in sink.receipts:
        assert receipt.state is State.DELIVERED
        assert receipt.recipient in ("", delivery.recipient.removeprefix("+"))
        assert delivery.text[:10] not in receipt.raw


async def test_parts_accepted_before_are_not_submitted_again(way, sink):
    if not way.in_parts:
        pytest.skip("sends a text as a whole: tests/unit/test_relay.py says what becomes of it")
    delivery = way.delivery(text=LONG, accepted=frozenset({1, 3}), attempt=2)
    async with running(way.upstream, sink):
        await way.upstream.ready()
        way.upstream.submit(delivery)
        await sink.until(lambda: sink.receipts)
    assert [(answer.part, answer.outcome) for answer in sink.answers] == [(2, Outcome.ACCEPTED)]


@pytest.mark.parametrize(
    ("what", "outcome"),
    [
        ("refuse", Outcome.REFUSED),
        ("throttle", Outcome.RETRY),
        ("be silent", Outcome.UNANSWERED),
    ],
)
async def test_a_part_that_is_not_accepted_is_answered_once_with_a_reason(
    loop_clock, way, sink, what, outcome
):
    delivery = way.delivery(what)
    async with running(way.upstream, sink):
        await way.upstream.ready()
        way.upstream.submit(delivery)
        if outcome is Outcome.UNANSWERED:
            await given_up(loop_clock, sink, delivery)
        await sink.answers_to(delivery)
    (answer,) = sink.answers
    assert answer.outcome is outcome
    assert answer.smsc_id == ""
    assert answer.reason
    assert delivery.recipient[1:] not in answer.reason
    assert delivery.text not in answer.reason


async def test_what_was_throttled_is_accepted_in_a_later_attempt(way, sink):
    first = way.delivery("throttle")
    later = replace(first, id=first.id + 1_000_000, attempt=3)
    async with running(way.upstream, sink):
        await way.upstream.ready()
        way.upstream.submit(first)
        await sink.answers_to(first)
        await way.upstream.ready()
        way.upstream.submit(later)
        await sink.until(lambda: sink.outcomes(later) == [Outcome.ACCEPTED])


async def test_a_full_window_is_not_free_until_answers_make_it_so(loop_clock, way, sink):
    # Some open their window only once the carrier has answered.
    silent = [way.delivery("be silent") for _ in range(WINDOW)]
    async with running(way.upstream, sink):
        await way.upstream.ready()
        while way.upstream.free() < WINDOW:
            answered = [way.delivery() for _ in range(WINDOW)]
            for delivery in answered:
                way.upstream.submit(delivery)
            for delivery in answered:
                await sink.answers_to(delivery)
        for number, delivery in enumerate(silent):
            assert way.upstream.free() == WINDOW - number
            way.upstream.submit(delivery)
        assert way.upstream.free() == 0
        await given_up(loop_clock, sink, silent[0])
        await way.upstream.ready()
        assert way.upstream.free() > 0
        assert Outcome.UNANSWERED in sink.outcomes(silent[0])


async def test_more_than_the_window_is_written_all_the_same(way, sink):
    delivery = way.delivery(text=LONG * 3)
    assert delivery.parts > WINDOW
    async with running(way.upstream, sink):
        await way.upstream.ready()
        way.upstream.submit(delivery)
        answers = await sink.answers_to(delivery)
    assert sorted(answer.part for answer in answers) == list(range(1, delivery.parts + 1))


async def test_a_receipt_may_come_before_the_answer(way, sink):
    delivery = way.delivery("report before answering")
    async with running(way.upstream, sink):
        await way.upstream.ready()
        way.upstream.submit(delivery)
        (answer,) = await sink.answers_to(delivery)
        await sink.until(lambda: sink.receipts)
    assert answer.outcome is Outcome.ACCEPTED
    assert sink.receipts[0].smsc_id == answer.smsc_id


async def test_a_receipt_may_come_twice(way, sink):
    delivery = way.delivery("report twice")
    async with running(way.upstream, sink):
        await way.upstream.ready()
        way.upstream.submit(delivery)
        await sink.until(lambda: len(sink.receipts) == 2)
    (answer,) = sink.answers
    assert [receipt.smsc_id for receipt in sink.receipts] == [answer.smsc_id] * 2


async def test_a_message_may_come_in(way, sink):
    delivery = way.delivery("send a message")
    async with running(way.upstream, sink):
        await way.upstream.ready()
        way.upstream.submit(delivery)
        await sink.until(lambda: sink.messages)
        await sink.answers_to(delivery)
    (message,) = sink.messages
    assert message.sender
    assert message.recipient
    assert message.text
    assert (message.total, message.number) == (1, 1)


async def test_what_the_store_could_not_take_is_offered_again(way, sink):
    sink.is_down = True
    sink.is_quick.clear()
    delivery = way.delivery("send a message")
    async with running(way.upstream, sink):
        await way.upstream.ready()
        way.upstream.submit(delivery)
        await sink.answers_to(delivery)
        await sink.until(lambda: sink.waiting == 2)
        sink.is_quick.set()
        await eventually(lambda: sink.waiting == 0)
        assert sink.receipts == sink.messages == []
        sink.is_down = False
        await sink.until(lambda: sink.receipts and sink.messages)
    assert len(sink.answers) == 1


async def test_a_slow_store_holds_no_answer_back(way, sink):
    sink.is_quick.clear()
    first, second = way.delivery(), way.delivery()
    async with running(way.upstream, sink):
        await way.upstream.ready()
        way.upstream.submit(first)
        await sink.until(lambda: sink.waiting)
        way.upstream.submit(second)
        await sink.answers_to(second)
        assert sink.receipts == []
        sink.is_quick.set()
        await sink.until(lambda: len(sink.receipts) == 2)


async def test_a_stop_leaves_no_part_without_an_answer(way, sink):
    deliveries = [way.delivery("be silent"), way.delivery(), way.delivery("be silent", text=LONG)]
    async with running(way.upstream, sink):
        await way.upstream.ready()
        for delivery in deliveries:
            way.upstream.submit(delivery)
    for delivery in deliveries:
        assert sorted(a.part for a in sink.of(delivery)) == list(pending_parts(delivery))
        assert set(sink.outcomes(delivery)) <= {
            Outcome.ACCEPTED,
            Outcome.UNANSWERED,
            Outcome.NOT_WRITTEN,
        }
    assert Outcome.ACCEPTED not in sink.outcomes(deliveries[0])


async def test_what_is_handed_over_after_the_stop_is_not_written(way, sink):
    async with running(way.upstream, sink):
        await way.upstream.ready()
    delivery = way.delivery(text=LONG)
    way.upstream.submit(delivery)
    await sink.answers_to(delivery)
    assert sink.outcomes(delivery) == [Outcome.NOT_WRITTEN] * 3


async def test_it_can_be_run_again(way, sink):
    for _ in range(2):
        delivery = way.delivery()
        async with running(way.upstream, sink):
            await way.upstream.ready()
            way.upstream.submit(delivery)
            await sink.answers_to(delivery)
        assert sink.outcomes(delivery) == [Outcome.ACCEPTED]


@pytest.mark.once
async def test_the_table_says_what_became_of_each_case(
    loop_clock, way, sink, record_property, request
):
    told: dict[str, str] = {}
    async with running(way.upstream, sink):
        for what in ("accept", "refuse", "throttle", "be silent", "cut off"):
            delivery = way.delivery("be silent" if what == "cut off" else what)
            await way.upstream.ready()
            way.upstream.submit(delivery)
            if what == "cut off":
                await way.cut_off()
            elif what == "be silent":
                await given_up(loop_clock, sink, delivery)
            (answer,) = await sink.answers_to(delivery)
            told[what] = str(answer.outcome)
        await sink.until(lambda: sink.receipts)
        if "send a message" not in way.never:
            delivery = way.delivery("send a message")
            await way.upstream.ready()
            way.upstream.submit(delivery)
            await sink.until(lambda: sink.messages)
    assert [*told.values()] == ["accepted", "refused", "retry", "unanswered", "unanswered"]
    asked = isinstance(getattr(way.upstream, "provider", None), IsAsked)
    receipts = "asked for" if asked else "as they come"
    if isinstance(way.upstream, SaysReceipts) and way.upstream.receipts_of() == "first":
        receipts += ", for the whole"
    messages = "no" if "send a message" in way.never else "yes"
    cells = [request.node.callspec.id, *told.values(), way.repeats, receipts, messages]
    record_property("work/ways-out", cells)
    if os.environ.get("SENDSMSNOW_TEST_TABLES") != "1":
        assert cells in tables.rows("work/ways-out"), "run tox -e tables"
