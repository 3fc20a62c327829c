"""One bind of an SMPP upstream, kept up for as long as it runs.

connecting ──TCP, TLS──► binding ──let in──► bound
   ▲   │                    │ refused          │ lost, unbound
   │   └── no connection ───┴───────► waiting ◄┘
   └── reconnect_delay, doubled; ────────┘
       locked_out_delay
"""

import asyncio
import logging
import math
import ssl
from typing import NamedTuple, Protocol

from ..backoff import pause, spread
from ..network.connecting import ConnectError, Host
from ..network.errors import Stage, Trouble, explain, first_words
from ..network.socks import Socks
from ..smpp.events import (
    Answered,
    BindRefused,
    Bound,
    Closed,
    Event,
    Offered,
    ProtocolViolation,
    Unanswered,
)
from ..smpp.pdu import (
    Bind,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    DataSm,
    DeliverSm,
)
from ..smpp.session import Session, State
from ..smpp.status import Status, Verdict
from .smpp_bind import advice, is_lasting
from .smpp_link import Link
from .smpp_options import INTERFACE_VERSION, SmppOptions, socks_address, ton_npi

log = logging.getLogger(__name__)

#: How long the SMSC's answer to unbind is waited for. Seconds.
_UNBIND_TIMEOUT = 2.0


class Part(NamedTuple):
    """The parts of a delivery that one answer is for."""

    delivery_id: int
    attempt: int
    numbers: tuple[int, ...]
    recipient: str


class Owner(Protocol):
    """The upstream of a connection."""

    def submit_waiting(self, session: Session[Part], now: float) -> float:
        """See `smpp_link.Owner.submit_waiting`; parts go by any of the connections."""
        ...

    def answered(self, event: Answered[Part]) -> None: ...

    def unanswered(self, event: Unanswered[Part]) -> None: ...

    def offered(self, link: Link[Part], pdu: DeliverSm | DataSm) -> None: ...

    def changed(self) -> None:
        """A connection was bound or lost."""
        ...


class Turns:
    """Lets the binds of one kind be opened one after the other, and none while the account is
    locked out: many tries at a time with a wrong password get it barred."""

    def __init__(self) -> None:
        self.binding = asyncio.Lock()
        #: When the next may try, by the loop's clock.
        self.locked_until = -math.inf


class Connection:
    """A bind to an SMSC."""

    def __init__(
        self,
        upstream: str,
        kind: type[Bind],
        options: SmppOptions,
        host: Host,
        owner: Owner,
        turns: Turns,
    ) -> None:
        self.sends = kind is not BindReceiver
        self.trouble = ""
        self.link: Link[Part] | None = None
        self._facts = {"upstream": upstream, "bind": _NAMES[kind]}
        self._kind = kind
        self._options = options
        #: What it connects to.
        self.host = host
        self._owner = owner
        self._turns = turns
        self._stopping = False
        # About the connection there is, or was last.
        self._was_useful = self._was_strange = self._was_bound = False
        self._refusal: Status | None = None
        #: Set once it is known whether it is let in.
        self._settled = asyncio.Event()

    @property
    def is_bound(self) -> bool:
        """Whether it is let in."""
        return self.link is not None and self.link.session.state is State.BOUND

    @property
    def free(self) -> int:
        """How many parts more may be under way on it."""
        return 0 if self.link is None else self.link.session.free

    @property
    def pending(self) -> int:
        """How many parts wait for their answer on it."""
        return 0 if self.link is None else self.link.session.pending

    async def stay(self) -> None:
        """Connect, stay connected, reconnect, until cancelled."""
        options, turns = self._options, self._turns
        failures = 0
        self._stopping = False
        while True:
            async with turns.binding:
                await asyncio.sleep(max(0.0, turns.locked_until - _now()))
                began = _now()
                self._was_useful = self._was_strange = self._was_bound = False
                self._refusal = None
                connected = await self._connect()
                if connected is not None:
                    await self._settled.wait()
            if connected is not None:
                link, address = connected
                await link.closed.wait()
                if self._was_bound:
                    self.host.praise()
                else:
                    # Another of its addresses may let us in.
                    self.host.blame(address)
            if self._was_useful or _now() - began > options.reconnect_delay_max:
                failures = 0
            failures += 1
            wait = pause(failures, options.reconnect_delay, options.reconnect_delay_max)
            if self._refusal is not None and is_lasting(self._refusal):
                wait = options.locked_out_delay
            # Spread, so that not all gateways come back at once to a carrier that was away.
            wait = spread(wait)
            if self._refusal is not None and self._refusal.verdict is Verdict.LOCKED_OUT:
                turns.locked_until = _now() + wait
            await asyncio.sleep(wait)

    def stop(self) -> None:
        """Say goodbye, or hang up where there was no welcome yet."""
        self._stopping = True
        if self.link is not None:
            self.link.unbind()

    async def stopped(self) -> None:
        """Returns when the connection is gone, and every unanswered part has its outcome."""
        link = self.link
        if link is None:
            return
        try:
            async with asyncio.timeout(_UNBIND_TIMEOUT):
                await link.closed.wait()
        except TimeoutError:
            pass
        finally:
            link.abort("stopped")
            await link.closed.wait()

    async def _connect(self) -> tuple[Link[Part], tuple[str, int]] | None:
        options = self._options
        ton, npi = ton_npi(options.ton_address_range)
        bind = self._kind(
            system_id=options.system_id,
            password=options.password,
            system_type=options.system_type,
            interface_version=INTERFACE_VERSION[options.version],
            addr_ton=ton,
            addr_npi=npi,
            address_range=options.address_range if self._kind is not BindTransmitter else "",
        )

        def link() -> Link[Part]:
            session: Session[Part] = Session(
                bind,
                window=options.window,
                response_timeout=options.response_timeout,
                enquire_interval=options.enquire_interval,
                late_timeout=options.late_timeout,
                inactivity_timeout=options.inactivity_timeout or math.inf,
            )
            return Link(session, self)

        self._settled.clear()
        try:
            return await self.host.connect(link, options.connect_timeout)
        except ConnectError as error:
            self.trouble = str(error.trouble)
            facts = {"error": error.__cause__, "why": self.trouble}
            log.warning("cannot connect", extra={**self._facts, **facts})
            return None

    # Called by the link.

    def connected(self, link: Link[Part]) -> None:
        """See `smpp_link.Owner.connected`."""
        self.link = link

    def disconnected(self, link: Link[Part]) -> None:
        """See `smpp_link.Owner.disconnected`."""
        if self.link is link:
            self.link = None
        self._settled.set()
        self._owner.changed()

    def submit_waiting(self, session: Session[Part], now: float) -> float:
        """See `smpp_link.Owner.submit_waiting`."""
        return self._owner.submit_waiting(session, now)

    def happened(self, link: Link[Part], event: Event[Part]) -> None:
        """See `smpp_link.Owner.happened`."""
        if isinstance(event, Answered):
            self._was_useful = True
            self._owner.answered(event)
        elif isinstance(event, Unanswered):
            self._owner.unanswered(event)
        elif isinstance(event, Offered):
            self._was_useful = True
            self._owner.offered(link, event.pdu)
        elif isinstance(event, Bound):
            version = {} if event.version is None else {"version": f"{event.version:#04x}"}
            log.info("bound", extra=self._facts | version)
            self._was_bound = True
            self.trouble = ""
            self._settled.set()
            self._owner.changed()
        elif isinstance(event, BindRefused):
            self._note_refusal(event.status)
        elif isinstance(event, ProtocolViolation):
            # Once a connection: a peer that talks nonsense talks a lot of it.
            if not self._was_strange:
                log.warning("strange PDU", extra=self._facts | {"what": event.what})
            self._was_strange = True
        elif isinstance(event, Closed) and not self._stopping and self._refusal is None:
            self._note_end(link, event.reason)

    def _note_refusal(self, status: Status) -> None:
        self._refusal = status
        why = advice(status, self._options, self._kind)
        self.trouble = f"bind refused: {status}; {why}"
        facts: dict[str, object] = {**self._facts, "status": str(status), "why": why}
        if is_lasting(status):
            # Nothing is lost, and nothing goes, until somebody changes a setting.
            facts["next_try_in"] = self._options.locked_out_delay
            log.error("bind refused", extra=facts)
        else:
            log.warning("bind refused", extra=facts)

    def _note_end(self, link: Link[Part], reason: str) -> None:
        facts = self._facts | {"reason": reason}
        trouble = None if self._was_bound else _why_not_bound(link)
        self.trouble = f"link closed: {reason}"
        if trouble is not None:
            self.trouble = facts["why"] = str(trouble)
        log.warning("link closed", extra=facts)


def connections(
    upstream: str, options: SmppOptions, tls: ssl.SSLContext | None, owner: Owner
) -> list[Connection]:
    """The connections that the options ask for; those that send come first."""

    def opened(kind: type[Bind], count: int, host: str, port: int) -> list[Connection]:
        turns = Turns()
        return [
            Connection(upstream, kind, options, _host(host, port, options, tls), owner, turns)
            for _ in range(count)
        ]

    sends = BindTransceiver if options.bind == "transceiver" else BindTransmitter
    found = opened(sends, options.binds, options.host, options.port)
    if options.bind == "separate":
        host, port = options.receiver_host or options.host, options.receiver_port or options.port
        found += opened(BindReceiver, options.receivers, host, port)
    return found


def _host(host: str, port: int, options: SmppOptions, tls: ssl.SSLContext | None) -> Host:
    proxy = None
    if options.socks:
        proxy = Socks(
            *socks_address(options.socks), user=options.socks_user, password=options.socks_password
        )
    return Host(
        host,
        port,
        tls=tls,
        tls_name=options.tls_name,
        local_address=options.local_address,
        proxy=proxy,
    )


_NAMES: dict[type[Bind], str] = {
    BindTransceiver: "transceiver",
    BindTransmitter: "transmitter",
    BindReceiver: "receiver",
}


def _now() -> float:
    return asyncio.get_running_loop().time()


_ADVICE = (
    "check the port, whether it is for TLS (smpps://), whether the operator asks for a client "
    "certificate (certfile), and with the operator that this machine's address is allowed"
)
_SILENT = Trouble("the bind is not answered", _ADVICE)
_HUNG_UP = Trouble("the other side hung up before it answered the bind", _ADVICE)


def _why_not_bound(link: Link[Part]) -> Trouble | None:
    """Why a connection ended before there was an answer to the bind."""
    if isinstance(link.error, ssl.SSLError):
        # In TLS 1.3 a server looks at our certificate when the handshake is over for us.
        return explain(link.error, Stage.TLS)
    if link.heard and (found := first_words(link.heard)) is not None:
        return found
    if link.is_gone:
        return _HUNG_UP
    return None if link.heard else _SILENT
