"""One SMTP connection: aiosmtpd's, with bounds on the cost of a client."""

import asyncio
import re
import ssl
from collections import defaultdict
from typing import Any, Protocol

from aiosmtpd.smtp import SMTP, Envelope, syntax

from sms_gateway.backend import MailChoices
from sms_gateway.network.clients import address_of, network_of

from .limits import Limits

#: After so many refusals the client is sent away.
MOST_ERRORS = 20
#: How often a command may come in one connection. A client with more mails may connect again.
_CALLS = {"*": 20} | dict.fromkeys(("MAIL", "RCPT", "DATA", "RSET", "NOOP"), 1_000)
#: The methods of HTTP (RFC 9110, section 9.3; RFC 5789), and what HTTP/2 begins with.
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI")
# The first line of an HTTP request (RFC 9112, section 3), as soon as it can be told.
_HTTP = re.compile(
    rb"(?:\r?\n)*(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^ \r\n]+ HTTP/[0-9]|(?:"
    + "|".join(_METHODS).encode()
    + rb") (?:/|\*|https?:|[^ \r\n]+:[0-9]))"
)
# The most of a first line that is looked at.
_MOST_LOOKED_AT = 8 * 1024
#: Of a mail that is too large so many times its limit is still read, for the client to be told.
_PATIENCE = 4


class Registry(Protocol):
    """All connections of a server, with what they may have together."""

    limits: Limits
    connections: "set[Connection]"


class MailEnvelope(Envelope):
    """SMTP's facts about one mail, and the options of the key that it is for."""

    def __init__(self) -> None:
        super().__init__()
        self.choices = MailChoices()


class Connection(SMTP):
    """The protocol of one client."""

    def __init__(
        self,
        handler: object,
        registry: Registry,
        *,
        hostname: str,
        tls: ssl.SSLContext | None,
        max_size: int,
        timeout: float,
    ) -> None:
        # In aiosmtpd all connections share one, which each new one empties and each EHLO raises.
        self.command_size_limits = defaultdict(lambda: SMTP.command_size_limit)
        super().__init__(
            handler,
            hostname=hostname,
            ident="sendSmsNow",
            data_size_limit=max_size,
            enable_SMTPUTF8=True,
            tls_context=tls,
            timeout=timeout,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            command_call_limit=_CALLS,
            loop=asyncio.get_running_loop(),
        )
        self._registry = registry
        self._max_size = max_size
        self._errors = 0
        #: The first line, as long as it is coming.
        self._first: bytes | None = b""
        # What browsers can be made to send to any port says it is HTTP, with a mail in its body.
        self._smtp_methods |= dict.fromkeys(_METHODS, self._hang_up)
        #: Whether the backend has a mail of this client, whose answer must still be written.
        self._busy = False
        self._leaving = False
        #: Set once it is no more.
        self.lost = asyncio.Event()
        #: By which its limits are counted; None while it is not counted.
        self.network: str | None = None

    def _create_envelope(self) -> Envelope:
        return MailEnvelope()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.transport is not None:  # once more, after STARTTLS
            self._first = b""
            super().connection_made(transport)
            return
        assert isinstance(transport, asyncio.Transport)
        peer = transport.get_extra_info("peername")
        network = network_of(address_of(peer[0])) if isinstance(peer, tuple) else ""
        if not self._registry.limits.connect(network):
            transport.write(b"421 4.7.0 Too many connections, try again later\r\n")
            transport.close()
            return
        self.network = network
        self._registry.connections.add(self)
        super().connection_made(transport)
        assert self._handler_coroutine is not None
        self._handler_coroutine.add_done_callback(_seen)

    def data_received(self, data: bytes) -> None:
        """Take what comes, unless it begins as HTTP does."""
        if self._first is not None:
            self._first += data
            if _HTTP.match(self._first):
                self._first = b""
                self.abort()
                return
            if self._first.strip(b"\r\n").find(b"\n") >= 0 or len(self._first) > _MOST_LOOKED_AT:
                self._first = None
        super().data_received(data)

    async def _hang_up(self, arg: str | None) -> None:
        """A later line that is one of HTTP's."""
        self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self.network is None:  # was never taken, or has been lost before
            return
        self._registry.limits.disconnect(self.network)
        self._registry.connections.discard(self)
        self.network = None
        self.lost.set()
        super().connection_lost(error)

    def leave(self) -> None:
        """Close the connection: at once, or when the mail that is being handed on is answered."""
        self._leaving = True
        if not self._busy:
            self._part("421 4.3.2 The service stops, try again later")

    def abort(self) -> None:
        """Close the connection whatever is going on."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    async def push(self, status: Any) -> None:
        """Answer; the client that makes too many mistakes is sent away."""
        await super().push(status)
        if str(status).startswith("5"):
            self._errors += 1
            if self._errors >= MOST_ERRORS:
                self._part("421 4.7.0 Too many errors")

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:
        """Take a mail (RFC 5321 §4.1.1.4). A line ends in CRLF and nothing else (§2.3.8)."""
        assert self.envelope is not None
        if await self.check_helo_needed():
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content, problem = await self._content()
        if content is None:
            self._part(problem)
            return
        if problem:
            await self.push(problem)
        else:
            self.envelope.content = self.envelope.original_content = content
            self._busy = True
            # The time that the client took to send is none of the backend's.
            self._reset_timeout()
            try:
                await self.push(await self._call_handler_hook("DATA"))
            finally:
                self._busy = False
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        if self._leaving:
            self._part("421 4.3.2 The service stops, try again later")

    async def _content(self) -> tuple[bytes | None, str]:
        """A mail's octets, dots unstuffed, or why there are none; None to end the connection."""
        content = bytearray()
        problem = ""
        size = 0
        whole = True  # so far every line was
        while True:
            try:
                line = await self._reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as overrun:
                line = await self._reader.readexactly(overrun.consumed)
            if whole and line == b".\r\n":
                return bytes(content), problem
            size += len(line)
            if size > _PATIENCE * self._max_size:
                return None, "552 5.3.4 The mail is too large"
            if problem:
                pass
            elif size > self._max_size:
                problem = f"552 5.3.4 The mail is too large, at most {self._max_size} octets"
            elif not line.endswith(b"\r\n") or not whole or len(line) > self.line_length_limit:
                problem = "554 5.6.0 A line is too long, at most 998 octets (RFC 5321 4.5.3.1.6)"
            elif line.count(b"\n") > 1 or line.count(b"\r") > 1:
                problem = "554 5.6.0 Lines have to end in CR LF and nothing else (RFC 5321 2.3.8)"
            else:
                content += line[line.startswith(b".") :]
            whole = line.endswith(b"\r\n")
            if problem:
                content.clear()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        try:
            return super()._getaddr(arg)
        except Exception:  # the standard library's parser stumbles in many ways
            return None, None

    def _timeout_cb(self) -> None:
        # A transport that is only closed waits for ever for a client that reads nothing.
        self._part("421 4.4.2 Timeout")
        self.abort()

    def _part(self, status: str) -> None:
        if isinstance(self.transport, asyncio.Transport) and not self.transport.is_closing():
            self.transport.write(status.encode("ascii") + b"\r\n")
            self.transport.close()


def _seen(task: "asyncio.Task[None]") -> None:
    """A client that goes away is no error to tell of."""
    if not task.cancelled():
        task.exception()
