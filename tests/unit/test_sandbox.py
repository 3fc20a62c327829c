"""The sandbox's magic numbers and options."""

import pytest
from support.upstreams import RecordingSink, a_delivery, running

from sms_gateway.sms.message import State
from sms_gateway.upstream import Outcome
from sms_gateway.upstream.sandbox import MAGIC, SandboxUpstream

# By the last five digits: the answers of three attempts, the states of the receipts, and how many
# messages come back.
A, R, N, U = Outcome.ACCEPTED, Outcome.RETRY, Outcome.REFUSED, Outcome.UNANSWERED
CASES = {
    "00000": ([A, A, A], [State.DELIVERED] * 3, 0),
    "00001": ([A, A, A], [State.UNDELIVERABLE] * 3, 0),
    "00002": ([A, A, A], [State.EXPIRED] * 3, 0),
    "00003": ([N, N, N], [], 0),
    "00004": ([R, R, A], [State.DELIVERED], 0),
    "00005": ([U, U, U], [], 0),
    "00006": ([A, A, A], [], 0),
    "00007": ([A, A, A], [State.DELIVERED] * 3, 0),
    "00008": ([A, A, A], [State.DELIVERED] * 6, 0),
    "00009": ([A, A, A], [State.DELIVERED] * 3, 3),
    "12345": ([A, A, A], [State.DELIVERED] * 3, 0),
}


def test_every_magic_number_is_tried_here_and_has_a_sentence():
    assert set(MAGIC) <= set(CASES)
    sentences = [behaviour.sentence for behaviour in MAGIC.values()]
    assert all(sentences)
    assert len(set(sentences)) == len(sentences)


@pytest.mark.parametrize("digits", CASES)
@pytest.mark.parametrize("country", ["+32494", "+1201555"])
async def test_the_last_five_digits_say_what_happens(country, digits):
    outcomes, states, incoming = CASES[digits]
    sink = RecordingSink()
    upstream = SandboxUpstream("sandbox", delay=0.01, timeout=0.02)
    attempts = [a_delivery(recipient=country + digits, attempt=number) for number in (1, 2, 3)]
    async with running(upstream, sink):
        for delivery in attempts:
            upstream.submit(delivery)
            await sink.answers_to(delivery)
    # Leaving has made everything happen that still was to.
    assert [outcome for delivery in attempts for outcome in sink.outcomes(delivery)] == outcomes
    assert [receipt.state for receipt in sink.receipts] == states
    assert len(sink.messages) == incoming


async def test_a_message_comes_back_once_however_long_the_text_was():
    sink = RecordingSink()
    upstream = SandboxUpstream("sandbox", delay=0)
    async with running(upstream, sink):
        delivery = a_delivery("é" * 400, recipient="+32494000009", sender="8111")
        upstream.submit(delivery)
        upstream.submit(a_delivery(recipient="+32494000009", sender=""))
        await sink.until(lambda: len(sink.messages) == 2)
    assert sink.messages[0].sender == "+32494000009"
    assert sink.messages[0].recipient == "8111"
    assert sink.messages[1].recipient.isdigit()


async def test_the_receipt_that_comes_first_is_there_before_the_answer():
    sink = RecordingSink()
    upstream = SandboxUpstream("sandbox", delay=0.01)
    async with running(upstream, sink):
        upstream.submit(a_delivery(recipient="+32494000007"))
        await sink.until(lambda: sink.receipts)
        assert sink.answers == []
        await sink.until(lambda: sink.answers)
    assert sink.receipts[0].smsc_id == sink.answers[0].smsc_id


async def test_two_sandboxes_never_give_the_same_id():
    ids = set()
    for _ in range(2):
        sink = RecordingSink()
        upstream = SandboxUpstream("sandbox")
        async with running(upstream, sink):
            await upstream.ready()
            for _ in range(50):
                upstream.submit(a_delivery(recipient="+32494000000"))
        ids |= {answer.smsc_id for answer in sink.answers}
    assert len(ids) == 100


async def test_what_was_handed_over_before_it_ran_is_answered_when_it_does():
    sink = RecordingSink()
    upstream = SandboxUpstream("sandbox")
    delivery = a_delivery(recipient="+32494000000")
    upstream.submit(delivery)
    async with running(upstream, sink):
        await sink.answers_to(delivery)
    assert sink.outcomes(delivery) == [Outcome.ACCEPTED]


async def test_a_stop_gives_receipts_to_a_store_that_is_away_up_and_says_so(caplog):
    sink = RecordingSink()
    sink.is_down = True
    upstream = SandboxUpstream("sandbox", delay=60)
    async with running(upstream, sink):
        upstream.submit(a_delivery(recipient="+32494000008"))
        await sink.until(lambda: sink.answers)
    assert sink.receipts == []
    (record,) = caplog.records
    assert record.getMessage() == "receipts lost"
    assert record.lost == 2


async def test_the_options_of_the_url_are_obeyed():
    upstream = SandboxUpstream.from_url("test", "sandbox:?delay=0&window=3&timeout=0.01")
    sink = RecordingSink()
    async with running(upstream, sink):
        await upstream.ready()
        assert upstream.name == "test"
        assert upstream.free() == 3
        silent = a_delivery(recipient="+32494000005")
        upstream.submit(silent)
        await sink.answers_to(silent)
        upstream.submit(a_delivery(recipient="+32494000000"))
        await sink.until(lambda: sink.receipts)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("sandbox://host", "host"),
        ("sandbox:path", "path"),
        ("sandbox:?delays=1", "delays"),
        ("sandbox:?delay=", "delay"),
        ("sandbox:?delay=soon", "delay"),
        ("sandbox:?delay=-1", "delay"),
        ("sandbox:?delay=nan", "delay"),
        ("sandbox:?timeout=0", "timeout"),
        ("sandbox:?window=0", "window"),
        ("sandbox:?window=1.5", "window"),
    ],
)
def test_a_wrong_option_is_named(url, named):
    with pytest.raises(ValueError, match=named):
        SandboxUpstream.from_url("test", url)


def test_without_options_it_is_the_default_sandbox():
    assert SandboxUpstream.from_url("test", "sandbox:").name == "test"
