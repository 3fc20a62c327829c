"""Tries an upstream step by step, and says what the other side answered and what to set."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..moments import now
from ..network.connecting import ConnectError, Host
from ..network.errors import Stage, explain
from ..sms.message import TERMINAL
from ..sms.receipt import Receipt, id_candidates, id_key
from ..sms.segments import count
from . import Answer, Delivery, Incoming, Outcome, TellsTrouble, Upstream

#: Finds the final state that a running gateway was pushed for one of some ids; empty if none was.
Stored = Callable[[Sequence[str]], str]

#: How often to look whether an upstream is bound, seconds.
_LOOK = 0.05
#: How long a message of a check is valid, milliseconds.
_VALIDITY = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a check."""

    #: "resolve", "connect", "TLS", "sign in", "bind", "send", "receipt".
    name: str
    #: None: it could not be tried.
    is_ok: bool | None
    #: What the other side answered, and what to do about it.
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server of an upstream."""

    name: str
    port: int
    host: Host
    is_tls: bool = False


@runtime_checkable
class HasServer(Protocol):
    """An upstream that connects to a server."""

    def server(self) -> Server:
        """The server."""
        ...


@runtime_checkable
class SignsInOnce(Protocol):
    """An upstream that signs in with each request, and can try it without sending."""

    def sign_in(self) -> AsyncIterator[Step]:
        """The steps of signing in."""
        ...


async def steps(upstream: Upstream, within: float) -> AsyncIterator[Step]:
    """Try an upstream without sending; it ends after the first step that fails.

    `within`: the seconds that each step may take.
    """
    if isinstance(upstream, HasServer):
        async for step in _connecting(upstream.server(), within):
            yield step
            if step.is_ok is False:
                return
    if isinstance(upstream, SignsInOnce):
        async for step in upstream.sign_in():
            yield step
    else:
        async with _running(upstream, Watch("")):
            yield await _bound(upstream, within)


async def _connecting(server: Server, within: float) -> AsyncIterator[Step]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within):
            found = await loop.getaddrinfo(server.name, server.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        yield Step(name="resolve", is_ok=False, told=str(explain(error, Stage.LOOKUP)))
        return
    addresses = sorted({each[4][0] for each in found}, key=str)
    yield Step(name="resolve", is_ok=True, told=", ".join(map(str, addresses)))
    try:
        link, (address, port) = await server.host.connect(_Link, within)
    except ConnectError as error:
        yield Step(name="connect", is_ok=False, told=str(error.trouble))
        return
    yield Step(name="connect", is_ok=True, told=f"{address} port {port}")
    if server.is_tls:
        yield Step(name="TLS", is_ok=True, told=f"{link.tls}, the certificate is right")
    link.close()


class _Link(asyncio.Protocol):
    """A connection on which nothing is said."""

    tls = ""
    _transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        opened = transport.get_extra_info("ssl_object")
        self.tls = (opened and opened.version()) or ""

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Watch:
    """A sink that knows one message. Whatever else comes is left to the carrier, which offers it
    to a worker later."""

    def __init__(self, number: str) -> None:
        self._number = number.removeprefix("+")
        self.answers: list[Answer] = []
        self.receipts: list[Receipt] = []
        self.changed = asyncio.Event()

    def answered(self, answer: Answer) -> None:
        """See `Sink.answered`."""
        self.answers.append(answer)
        self.changed.set()

    async def received_receipt(self, receipt: Receipt) -> None:
        """See `Sink.received_receipt`."""
        # A receipt may come before the answer that tells its id.
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while not self._is_ours(receipt):
                    self.changed.clear()
                    await self.changed.wait()
        if not self._is_ours(receipt):
            raise NotOursError
        self.receipts.append(receipt)
        self.changed.set()

    def _is_ours(self, receipt: Receipt) -> bool:
        ours = {id_key(each.smsc_id) for each in self.answers if each.smsc_id}
        return bool(ours & set(id_candidates(receipt.smsc_id)))

    async def received_message(self, incoming: Incoming) -> None:
        """See `Sink.received_message`."""
        raise NotOursError


class NotOursError(Exception):
    """A receipt or a message that is not of the check."""


@asynccontextmanager
async def _running(upstream: Upstream, watch: Watch) -> AsyncIterator[None]:
    run = asyncio.create_task(upstream.run(watch))
    try:
        yield
    finally:
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run


async def _bound(upstream: Upstream, within: float) -> Step:
    """Whether the other side lets us in."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while not upstream.is_bound():
                trouble = upstream.trouble() if isinstance(upstream, TellsTrouble) else ""
                if trouble:
                    return Step(name="bind", is_ok=False, told=trouble)
                await asyncio.sleep(_LOOK)
            return Step(name="bind", is_ok=True, told="it takes messages")
    return Step(name="bind", is_ok=False, told="no answer in time")


async def send(
    upstream: Upstream,
    number: str,
    text: str,
    *,
    sender: str,
    within: float,
    wait: float,
    stored: Stored | None = None,
) -> AsyncIterator[Step]:
    """Send a real message to a number (E.164), and wait so many seconds for its receipt.

    `stored`: finds the states of receipts that were pushed to a running gateway.
    """
    watch = Watch(number)
    segments = count(text)
    delivery = Delivery(
        id=1,
        message_id=f"{secrets.randbits(128):032x}",
        sender=sender,
        recipient=number,
        text=text,
        encoding=segments.encoding,
        parts=segments.parts,
        expires_at=now() + _VALIDITY,
    )
    async with _running(upstream, watch):
        bound = await _bound(upstream, within)
        if not bound.is_ok:
            yield bound
            return
        await upstream.ready()
        upstream.submit(delivery)
        while len(watch.answers) < segments.parts:
            watch.changed.clear()
            await watch.changed.wait()
        refused = [each for each in watch.answers if each.outcome is not Outcome.ACCEPTED]
        if refused:
            told = f"{refused[0].outcome}: {refused[0].reason}"
            yield Step(name="send", is_ok=False, told=told)
            return
        ids = [each.smsc_id for each in watch.answers]
        yield Step(name="send", is_ok=True, told=f"accepted as {ids[0]}")
        yield await _receipt(watch, ids, wait, stored)


async def _receipt(watch: Watch, ids: Sequence[str], wait: float, stored: Stored | None) -> Step:
    with suppress(TimeoutError):
        async with asyncio.timeout(wait):
            while True:
                told = next((each.state for each in watch.receipts if each.state in TERMINAL), "")
                if not told and stored is not None:
                    told = await asyncio.to_thread(stored, ids)
                if told:
                    return Step(name="receipt", is_ok=True, told=told)
                watch.changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await watch.changed.wait()
    told = f"none within {wait:g} s; see whether the upstream asks for receipts, or is pushed them"
    return Step(name="receipt", is_ok=None, told=told)
