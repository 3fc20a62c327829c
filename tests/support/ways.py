"""All ways out, each in front of a carrier that behaves as it is asked, and can die.

A new upstream gets a function that opens it and says how its carrier is asked to behave, and is
named in WAYS.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sms_gateway.upstream import (
    Delivery,
    Sink,
    Upstream,
    http_kinds,
    modem_options,
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

from .asgi_server import free_port, serving
from .courier import Courier, CourierOptions
from .courier_peer import TOKEN, courier_peer
from .gate import Gate, gate_to
from .modem import dummy_modem
from .parlayx_peer import parlayx_peer
from .phone_peer import KEY, phone_peer
from .provider_peer import NAMES, provider_peer, settings_of
from .relay_peer import peer
from .smsc import start_smsc
from .upstreams import RecordingSink, a_delivery, eventually, running

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
    #: The numbers that its carrier took, each as often as it did, as it writes them.
    taken: Callable[[], Sequence[str]]
    #: The connections to its carrier; None where there are none.
    gate: Gate | None = None
    #: Its carrier dies and does not come back.
    die: Callable[[], None]
    #: What becomes of what is unanswered, where the carrier knows repeats: tests of each kind.
    repeats: str = "stays uncertain"

    async def cut_off(self) -> None:
        """Ends the connection once the carrier has the request that was written last."""
        before = len(self.taken())
        if self.gate is not None:
            await eventually(lambda: len(self.taken()) > before)
            self.gate.cut()
        elif isinstance(self.upstream, ModemUpstream):
            await eventually(lambda: self.upstream._under_way is not None)  # type: ignore[attr-defined]
            assert self.upstream._process is not None
            self.upstream._process.kill()

    def delivery(self, what: str = "accept", text: str = "Hello", **fields: Any) -> Delivery:
        """A delivery for which the carrier does this; skips the test where it never does."""
        if what in self.never:
            pytest.skip(f"does not {what}: {self.never[what]}")
        if what in self.numbers:
            fields["recipient"] = self.numbers[what]
        return a_delivery(f"{self.words.get(what, '')}{text}", **fields)


class RecordingSandbox(SandboxUpstream):
    """A sandbox that remembers to whom it sent."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.taken: list[str] = []

    def submit(self, delivery: Delivery) -> None:
        if self.is_bound():
            self.taken.append(delivery.recipient)
        super().submit(delivery)


@asynccontextmanager
async def sandbox() -> AsyncIterator[Way]:
    upstream = RecordingSandbox("sandbox", delay=0.02, timeout=0.1, window=WINDOW)

    def die() -> None:
        upstream._bound = False

    yield Way(
        upstream=upstream,
        taken=lambda: upstream.taken,
        die=die,
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
        async with gate_to(smsc.port) as gate:
            smsc.port = gate.port
            yield Way(
                upstream=SmppUpstream("smpp", options_from_url(f"{smsc.url}?{options}")),
                taken=lambda: [each["destination"] for each in smsc.submits()],
                gate=gate,
                die=gate.die,
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
    async with peer() as running_peer, gate_to(running_peer.port) as gate:
        running_peer.port = gate.port
        url = f"{running_peer.url}&{options}"
        yield Way(
            upstream=HttpUpstream("relay", relay_provider.provider(url)),
            taken=lambda: [each["recipients"] for each in running_peer.requests],
            repeats="once, with idempotent=1",
            gate=gate,
            die=gate.die,
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
    async with courier_peer() as peer, gate_to(peer.port) as gate:
        peer.port = gate.port
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
            yield Way(
                upstream=upstream,
                taken=lambda: [each["to"] for each in peer.requests],
                gate=gate,
                die=gate.die,
                words=WORDS,
                in_parts=False,
            )


@asynccontextmanager
async def phone() -> AsyncIterator[Way]:
    options = f"window={WINDOW}&response_timeout={RESPONSE}&stop_timeout=0.3&receipts=0"
    options += f"&push_secret={'s' * 32}&signing_keys={KEY}&reconnect_delay=0.05"
    async with phone_peer() as peer, gate_to(peer.port) as gate:
        peer.port = gate.port
        # What is unanswered by a telephone alone is repeated; what a server chose a telephone for
        # is not.
        url = f"{peer.url()}3rdparty/v1?{options}"
        phones = phone_provider.provider(url)
        async with door("phone", phones, lambda: upstream._sims[0]._sink) as address:
            upstream = phone_provider.PhoneUpstream("phone", phones, address)
            async with running(upstream, RecordingSink()):
                await eventually(lambda: len(peer.webhooks) == len(phone_provider.EVENTS))
            yield Way(
                upstream=upstream,
                taken=lambda: [each["phoneNumbers"][0] for each in peer.taken.values()],
                repeats="once, where one telephone is meant",
                gate=gate,
                die=gate.die,
                words=WORDS,
                in_parts=False,
            )


@asynccontextmanager
async def parlayx() -> AsyncIterator[Way]:
    options = f"window={WINDOW}&response_timeout={RESPONSE}&stop_timeout=0.3"
    options += f"&push_secret={'s' * 32}"
    async with parlayx_peer() as operator, gate_to(operator.port) as gate:
        operator.port = gate.port
        services = parlayx_provider.provider(f"{operator.url()}?{options}")
        upstream = parlayx_provider.ParlayXUpstream("parlayx", services)
        async with door("parlayx", services, lambda: upstream._sink) as services.address:
            yield Way(
                upstream=upstream,
                taken=lambda: list(operator.taken.values()),
                repeats="once, with idempotent=1",
                gate=gate,
                die=gate.die,
                words=WORDS,
                in_parts=False,
            )


#: What only providers that push can do.
PUSHED = ("report before answering", "report twice", "send a message")


def named_provider(name: str) -> Callable[[], AbstractAsyncContextManager[Way]]:
    """A provider that a table describes, in front of a server that its documentation describes."""

    @asynccontextmanager
    async def way() -> AsyncIterator[Way]:
        async with (
            provider_peer(name) as peer,
            gate_to(peer.port) as gate,
            AsyncExitStack() as stack,
        ):
            peer.port = gate.port
            port = free_port()
            quick = {"window": WINDOW, "response_timeout": RESPONSE, "stop_timeout": 0.3}
            entries = settings_of(peer) | quick | {"poll_interval": 0.05}
            usual = http_kinds.provider(entries, lambda secret: "https://sms.example/")
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
            yield Way(
                upstream=upstream,
                taken=lambda: peer.taken,
                repeats="once, by its key" if usual.options.idempotent else "stays uncertain",
                gate=gate,
                die=gate.die,
                words=WORDS,
                in_parts=False,
                never=never,
            )
            assert peer.complaints == []

    way.__name__ = name
    return way


@asynccontextmanager
async def modem() -> AsyncIterator[Way]:
    options = f"connection=none&model=dummy&window={WINDOW}&number=32470000001&poll_interval=0.05"
    options += f"&response_timeout={RESPONSE}&reconnect_delay=0.05&stop_timeout=0.3"
    with TemporaryDirectory() as folder:
        found = modem_options.options_from_url(f"modem:{folder}?{options}")
        upstream = ModemUpstream("modem", found, command=dummy_modem())
        sent = Path(folder, "sent")

        def taken() -> list[str]:
            text = sent.read_text() if sent.exists() else ""
            return [line.split(" ")[0] for line in text.splitlines()]

        def die() -> None:
            Path(folder, "gone").touch()
            assert upstream._process is not None
            upstream._process.kill()

        yield Way(
            upstream=upstream,
            taken=taken,
            die=die,
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
