"""What every way out promises the worker, whatever it speaks to its carrier.

A new upstream gets a function that opens it and says how its carrier is asked to behave, and is
named in WAYS.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from support.asgi_server import free_port, serving
from support.clock import LoopClock
from support.courier import Courier, CourierOptions
from support.courier_peer import TOKEN, courier_peer
from support.modem import dummy_modem
from support.parlayx_peer import parlayx_peer
from support.phone_peer import KEY, phone_peer
from support.provider_peer import NAMES, provider_peer, settings_of
from support.relay_peer import peer
from support.smsc import start_smsc
from support.upstreams import RecordingSink, a_delivery, eventually, running

from sms_gateway.sms.message import State
from sms_gateway.upstream import (
    Delivery,
    Outcome,
    SaysReceipts,
    Sink,
    Upstream,
    http_kinds,
    modem_options,
    pending_parts,
)
from sms_gateway.upstream import parlayx as parlayx_provider
from sms_gateway.upstream import phone as phone_provider
from sms_gateway.upstream import relay as relay_provider
from sms_gateway.upstream.http import HttpUpstream
from sms_gateway.upstream.modem import ModemUpstream
from sms_gateway.upstream.push import Heard, TakesPushes
from sms_gateway.upstream.sandbox import SandboxUpstream
from sms_gateway.upstream.smpp import SmppUpstream
from sms_gateway.upstream.smpp_options import options_from_url
from sms_gateway.web.pushes import Pushes, address, door_of

LONG = "Long enough for three parts. " * 15
WINDOW = 4
#: How long an answer is waited for, in seconds: longer than any machine is busy.
RESPONSE = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """An upstream with a window of four parts, not running yet."""

    upstream: Upstream
    #: The numbers to which the carrier behaves in a way of its own.
    numbers: Mapping[str, str] = field(default_factory=dict)
    #: The words in a text that make it behave so.
    words: Mapping[str, str] = field(default_factory=dict)
    #: What its carrier never does, and why.
    never: Mapping[str, str] = field(default_factory=dict)
    #: Each part goes by itself; otherwise the whole text goes at once.
    in_parts: bool = True

    def delivery(self, what: str = "accept", text: str = "Hello", **fields: Any) -> Delivery:
        """A delivery for which the carrier does this; skips the test where it never does."""
        if what in self.never:
            pytest.skip(f"does not {what}: {self.never[what]}")
        if what in self.numbers:
            fields["recipient"] = self.numbers[what]
        return a_delivery(f"{self.words.get(what, '')}{text}", **fields)


@asynccontextmanager
async def sandbox() -> AsyncIterator[Way]:
    yield Way(
        upstream=SandboxUpstream("sandbox", delay=0.02, timeout=0.1, window=WINDOW),
        numbers={
            "accept": "+32494000000",
            "refuse": "+32494000003",
            "throttle": "+32494000004",
            "be silent": "+32494000005",
            "report before answering": "+32494000007",
            "report twice": "+32494000008",
            "send a message": "+32494000009",
        },
    )


@asynccontextmanager
async def smpp() -> AsyncIterator[Way]:
    async with smpp_with(f"window={WINDOW}", {"bind_transceiver": 1}) as way:
        yield way


@asynccontextmanager
async def smpp_with(binding: str, binds: Mapping[str, int]) -> AsyncIterator[Way]:
    """Binds as the options say, to an SMSC that allows no others."""
    options = f"{binding}&response_timeout={RESPONSE}&stop_timeout=0.3"
    with (
        TemporaryDirectory() as folder,
        start_smsc(Path(folder), receipt_latency=20, binds=binds) as smsc,
    ):
        yield Way(
            upstream=SmppUpstream("smpp", options_from_url(f"{smsc.url}?{options}")),
            words={
                "refuse": "#invalid-destination ",
                "throttle": "#throttled:1 ",
                "be silent": "#silent ",
                "report before answering": "#before ",
                "report twice": "#twice ",
                "send a message": "#mo ",
            },
        )


@asynccontextmanager
async def smpp_separate() -> AsyncIterator[Way]:
    """Two transmitters, whose windows come to that of all others, and two receivers."""
    options = f"bind=separate&binds=2&receivers=2&window={WINDOW // 2}"
    async with smpp_with(options, {"bind_transmitter": 2, "bind_receiver": 2}) as way:
        yield way


@asynccontextmanager
async def relay() -> AsyncIterator[Way]:
    options = f"window={WINDOW}&response_timeout={RESPONSE}&stop_timeout=0.3"
    options += "&receipts=1&poll_interval=0.05"
    async with peer() as running_peer:
        url = f"{running_peer.url}&{options}"
        yield Way(
            upstream=HttpUpstream("relay", relay_provider.provider(url)),
            words={
                "refuse": "#code-7 ",
                "throttle": "#code-100 #once ",
                "be silent": "#silent ",
            },
            never={
                "report before answering": "it is asked for receipts after its answer",
                "report twice": "it is asked no more when it has reported",
                "send a message": "it is not asked for received messages",
            },
            in_parts=False,
        )


@asynccontextmanager
async def door(
    name: str, provider: TakesPushes, sink: Callable[[], Sink | None], port: int = 0
) -> AsyncIterator[str]:
    """The address at which a provider may push; what comes there goes to the sink."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    secrets = provider.options.push_secrets()

    async def keep(_: str, heard: Heard) -> None:
        opened = sink()
        assert opened is not None
        for receipt in heard.receipts:
            await opened.received_receipt(receipt)
        for message in heard.messages:
            await opened.received_message(message)

    doors = {name: door_of(provider)}
    pushes = Pushes(doors, keep, public_url=url, patience=RESPONSE)
    async with serving(pushes, port):
        yield address(url, name, secrets[0])


#: The words in a text by which servers of tests behave in a way of their own.
WORDS = {
    "refuse": "#bad ",
    "throttle": "#throttle ",
    "be silent": "#silent ",
    "report before answering": "#before ",
    "report twice": "#twice ",
    "send a message": "#mo ",
}


@asynccontextmanager
async def courier() -> AsyncIterator[Way]:
    async with courier_peer() as peer:
        options = CourierOptions(
            url=peer.url,
            token=TOKEN,
            window=WINDOW,
            response_timeout=RESPONSE,
            stop_timeout=0.3,
            push_secret="s" * 32,
        )
        provider = Courier(options)
        upstream = HttpUpstream("courier", provider)
        async with door("courier", provider, lambda: upstream._sink) as peer.address:
            yield Way(upstream=upstream, words=WORDS, in_parts=False)


@asynccontextmanager
async def phone() -> AsyncIterator[Way]:
    options = f"window={WINDOW}&response_timeout={RESPONSE}&stop_timeout=0.3&receipts=0"
    options += f"&push_secret={'s' * 32}&signing_keys={KEY}&reconnect_delay=0.05"
    async with phone_peer() as peer:
        # What is unanswered by a telephone alone is repeated; what a server chose a telephone for
        # is not.
        url = f"{peer.url()}3rdparty/v1?{options}"
        phones = phone_provider.provider(url)
        async with door("phone", phones, lambda: upstream._sims[0]._sink) as address:
            upstream = phone_provider.PhoneUpstream("phone", phones, address)
            async with running(upstream, RecordingSink()):
                await eventually(lambda: len(peer.webhooks) == len(phone_provider.EVENTS))
            yield Way(upstream=upstream, words=WORDS, in_parts=False)


@asynccontextmanager
async def parlayx() -> AsyncIterator[Way]:
    options = f"window={WINDOW}&response_timeout={RESPONSE}&stop_timeout=0.3"
    options += f"&push_secret={'s' * 32}"
    async with parlayx_peer() as operator:
        services = parlayx_provider.provider(f"{operator.url()}?{options}")
        upstream = parlayx_provider.ParlayXUpstream("parlayx", services)
        async with door("parlayx", services, lambda: upstream._sink) as services.address:
            yield Way(upstream=upstream, words=WORDS, in_parts=False)


#: What only providers that push can do.
PUSHED = ("report before answering", "report twice", "send a message")


def named_provider(name: str) -> Callable[[], AbstractAsyncContextManager[Way]]:
    """A provider that a table describes, in front of a server that its documentation describes."""

    @asynccontextmanager
    async def way() -> AsyncIterator[Way]:
        async with provider_peer(name) as peer, AsyncExitStack() as stack:
            port = free_port()
            quick = {"window": WINDOW, "response_timeout": RESPONSE, "stop_timeout": 0.3}
            entries = settings_of(peer) | quick | {"rate": 10_000, "poll_interval": 0.05}
            entries["idempotent"] = False
            provider = http_kinds.provider(
                entries, lambda secret: address(f"http://127.0.0.1:{port}", name, secret)
            )
            upstream = HttpUpstream(name, provider)
            never = {}
            if provider.options.push_secret:
                opened = door(name, provider, lambda: upstream._sink, port)
                peer.address = await stack.enter_async_context(opened)
            else:
                never = dict.fromkeys(PUSHED, "it is asked what became of messages")
            yield Way(upstream=upstream, words=WORDS, in_parts=False, never=never)
            assert peer.complaints == []

    way.__name__ = name
    return way


@asynccontextmanager
async def modem() -> AsyncIterator[Way]:
    options = f"connection=none&model=dummy&window={WINDOW}&number=32470000001&poll_interval=0.05"
    options += f"&response_timeout={RESPONSE}&reconnect_delay=0.05&stop_timeout=0.3"
    with TemporaryDirectory() as folder:
        found = modem_options.options_from_url(f"modem:{folder}?{options}")
        yield Way(
            upstream=ModemUpstream("modem", found, command=dummy_modem()),
            words=WORDS,
            never={"report before answering": "it is read for receipts after its answer"},
        )


WAYS: list[Callable[[], AbstractAsyncContextManager[Way]]] = [
    sandbox,
    smpp,
    smpp_separate,
    relay,
    courier,
    phone,
    parlayx,
    *map(named_provider, NAMES),
    modem,
]


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
