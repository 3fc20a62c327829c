"""The SMPP upstream against peers that are no SMSC at all."""

import asyncio
import itertools
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from support.clock import LoopClock
from support.upstreams import RecordingSink, a_delivery, eventually, running

from sms_gateway.smpp.codec import Decoder, encode
from sms_gateway.smpp.pdu import (
    BindTransceiver,
    BindTransceiverResp,
    EnquireLink,
    SubmitSm,
    SubmitSmResp,
)
from sms_gateway.upstream import Outcome
from sms_gateway.upstream.smpp import SmppUpstream
from sms_gateway.upstream.smpp_options import SmppOptions

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """Something that listens, and how often it was called, and when (by the loop's clock)."""

    def __init__(self, talk: Talk) -> None:
        self.connections = self.open = 0
        self.called_at: list[float] = []
        self.port = 0
        self._talk = talk

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.called_at.append(asyncio.get_running_loop().time())
        self.open += 1
        try:
            with suppress(ConnectionError):
                await self._talk(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self.open -= 1


@asynccontextmanager
async def peer(talk: Talk) -> AsyncIterator[Peer]:
    listening = Peer(talk)
    server = await asyncio.start_server(listening.serve, "127.0.0.1", 0)
    listening.port = server.sockets[0].getsockname()[1]
    try:
        yield listening
    finally:
        server.close()
        for _ in range(10):  # what has just been accepted is a connection some turns later
            await asyncio.sleep(0)
        await eventually(lambda: not listening.open)


def an_upstream(
    port: int,
    *,
    response_timeout: float = 0.1,
    reconnect_delay: float = 0.02,
    reconnect_delay_max: float = 0.1,
) -> SmppUpstream:
    options = SmppOptions(
        host="127.0.0.1",
        port=port,
        system_id="esme",
        password="secret",
        response_timeout=response_timeout,
        enquire_interval=0.1,
        late_timeout=0.3,
        reconnect_delay=reconnect_delay,
        reconnect_delay_max=reconnect_delay_max,
        stop_timeout=0.1,
    )
    return SmppUpstream("carrier", options)


@pytest.fixture(autouse=True)
def nothing_escapes(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """asyncio logs exceptions that nobody caught as errors."""
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def bind(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let the caller in."""
    decoder = Decoder()
    while (pdu := decoder.next()) is None:
        decoder.feed(await reader.read(1000))
    assert isinstance(pdu, BindTransceiver)
    writer.write(encode(BindTransceiverResp(sequence=pdu.sequence)))


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Closes at once."""


async def bind_and_hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await bind(reader, writer)


async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)


async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    await reader.read(-1)


async def make_noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await bind(reader, writer)
    noise = random.Random(1)
    for _ in range(100):
        # Short lengths, so that it is not over with the first PDU.
        body = noise.randbytes(noise.randrange(12, 60))
        writer.write((len(body) + 4).to_bytes(4, "big") + body)
    writer.write(noise.randbytes(1000))
    await reader.read(-1)


@pytest.mark.parametrize("talk", [hang_up, bind_and_hang_up, be_silent, speak_http, make_noise])
async def test_a_peer_that_is_no_smsc_is_called_less_and_less_often(
    loop_clock: LoopClock, talk: Talk
) -> None:
    sink = RecordingSink()
    async with peer(talk) as listening:
        upstream = an_upstream(
            listening.port, response_timeout=10, reconnect_delay=100, reconnect_delay_max=400
        )
        async with running(upstream, sink):
            for _ in range(1_000):
                await asyncio.sleep(0.002)
                if len(listening.called_at) == 5:
                    break
                loop_clock.pass_(5)
            assert sink.answers == []
    pauses = [later - earlier for earlier, later in itertools.pairwise(listening.called_at)]
    # Each doubles, up to the longest, and varies by a fifth; a silent peer is waited for besides.
    # A call may come a step of the clock late.
    for pause, delay in zip(pauses, (100, 200, 400, 400), strict=True):
        assert delay * 0.8 - 5 <= pause <= delay * 1.2 + 60


async def test_parts_for_a_peer_that_is_no_smsc_are_told_apart() -> None:
    async def take_one_part(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await bind(reader, writer)
        decoder = Decoder()
        while not isinstance(decoder.next(), SubmitSm):
            decoder.feed(await reader.read(1000))
        writer.write(b"\0\0\0\0")

    sink = RecordingSink()
    async with peer(take_one_part) as listening:
        upstream = an_upstream(listening.port, response_timeout=60)
        async with running(upstream, sink):
            await upstream.ready()
            # Only one part is trusted to a connection that has not answered any.
            assert upstream.free() == 1
            delivery = a_delivery("a" * 400)
            upstream.submit(delivery)
            await sink.answers_to(delivery)
    assert [(answer.part, answer.outcome) for answer in sink.answers] == [
        (1, Outcome.UNANSWERED),
        (2, Outcome.NOT_WRITTEN),
        (3, Outcome.NOT_WRITTEN),
    ]


async def test_an_echo_is_not_answered_for_ever() -> None:
    echoed = 0

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal echoed
        await bind(reader, writer)
        while data := await reader.read(1000):
            echoed += len(data)
            writer.write(data)

    sink = RecordingSink()
    async with peer(echo) as listening:
        upstream = an_upstream(listening.port, response_timeout=60)
        async with running(upstream, sink):
            await upstream.ready()
            delivery = a_delivery()
            upstream.submit(delivery)
            await sink.answers_to(delivery)
            await asyncio.sleep(0.3)
    # It comes back as a request, which is nacked; the nack comes back as the answer.
    assert sink.outcomes(delivery) == [Outcome.RETRY]
    assert echoed < 1_000


async def test_a_peer_that_asks_and_does_not_read_is_not_listened_to() -> None:
    sent = 0

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await bind(reader, writer)
        while True:
            writer.write(encode(EnquireLink(sequence=1)) * 4_000)
            sent += 64_000
            await writer.drain()

    sink = RecordingSink()
    async with peer(ask) as listening:
        upstream = an_upstream(listening.port)
        async with running(upstream, sink):
            await eventually(lambda: listening.connections >= 2)
            # What the sockets hold between them, and not a memory's worth.
            assert sent < 50_000_000


async def test_what_waits_for_room_goes_with_the_answer_that_makes_it() -> None:
    taken: list[int] = []
    answers: asyncio.Queue[int] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await bind(reader, writer)

        async def answer() -> None:
            for number in itertools.count():
                sequence = taken[await answers.get()]
                writer.write(encode(SubmitSmResp(message_id=f"{number}", sequence=sequence)))

        answering = asyncio.create_task(answer())
        decoder = Decoder()
        while data := await reader.read(1000):
            decoder.feed(data)
            while (pdu := decoder.next()) is not None:
                if isinstance(pdu, SubmitSm):
                    taken.append(pdu.sequence)
        answering.cancel()

    sink = RecordingSink()
    async with peer(take) as smsc:
        upstream = an_upstream(smsc.port, response_timeout=60)
        upstream.ahead = 3
        assert upstream.free() == 0
        async with running(upstream, sink):
            await eventually(upstream.is_bound)
            # One part until the first answer, and those ahead.
            assert upstream.free() == 4
            deliveries = [a_delivery() for _ in range(4)]
            for each in deliveries:
                upstream.submit(each)
            await eventually(lambda: taken)
            assert (len(taken), upstream.free()) == (1, 0)
            answers.put_nowait(0)
            await eventually(lambda: len(taken) == 4)
            assert upstream.free() == 10 - 3 + 3
            upstream.ahead = 1_000
            assert upstream.free() == 10 - 3 + 10  # no more than a window
            for _ in range(17):
                upstream.submit(a_delivery())
            await eventually(lambda: len(taken) == 1 + 10)
    # What was never written is known not to be: after a stop it is no part of what is uncertain.
    outcomes = [answer.outcome for answer in sink.answers]
    assert outcomes.count(Outcome.UNANSWERED) == 10
    assert outcomes.count(Outcome.NOT_WRITTEN) == 10
