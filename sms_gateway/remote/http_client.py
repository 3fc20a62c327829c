"""Sends HTTP/1.1 requests (RFC 9112) to one server, on connections that it keeps.

It does only what the gateway needs, in a fifth of the time of a general HTTP client.
"""

import asyncio
import re
import ssl
from collections.abc import Mapping
from typing import cast
from urllib.parse import SplitResult, quote

from ..errors import GatewayError
from ..network.client_tls import client_context
from ..network.connecting import ConnectError, Host
from ..network.errors import CERTIFICATE_REFUSED, CERTIFICATE_WANTED, Stage, Trouble, explain
from .answers import Answer, InvalidAnswerError

#: The most connections at a time; further requests wait for one.
MOST_CONNECTIONS = 100
#: Seconds; less than servers keep idle connections, so that this end closes them first.
KEEP_IDLE = 30.0
#: The longest head of an answer, in bytes.
LONGEST_HEAD = 64 * 1024
FORM = "application/x-www-form-urlencoded"

# The head of an answer after "HTTP/1.", without the empty line at the end.
_HEAD = re.compile(
    rb"([01]) ([1-5][0-9]{2})(?: [^\r\n\0]*+)?"
    rb"((?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]++:[^\r\n\0]*+)*)"
)
# Valid paths and headers of a request: no character in them begins another line.
_PATH = re.compile(r"[!-~]+")
_FIELDS = re.compile(r"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++: [\t -~]*+\r\n)*+")
_LENGTH = re.compile(rb"[0-9]{1,18}")
# A chunk's size; extensions mean nothing (section 7.1.1).
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*+(?:;.*)?", re.DOTALL)


class UnreachedError(GatewayError):
    """The server cannot be reached: nothing was written."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


class UnwritableError(GatewayError):
    """HTTP cannot carry the path or a header of a request: nothing was written."""


class CutOffError(GatewayError):
    """The connection ended before the answer did: the outcome of the request is unknown."""


class Client:
    """Posts to the paths of a server, each time on a connection that is free, or a new one."""

    def __init__(
        self,
        url: SplitResult,
        headers: Mapping[str, str],
        *,
        connect_timeout: float | None,
        tls: ssl.SSLContext | None = None,
        tls_name: str = "",
    ) -> None:
        """`url`: http or https; its path begins the path of each request. `headers`: for each
        request.

        `connect_timeout`: the seconds that opening a connection may take. `tls`, `tls_name`: the
        TLS context, and the name in the server's certificate, where they are not the usual ones.
        UnicodeError for an impossible host name.
        """
        assert url.hostname is not None
        is_tls = url.scheme == "https"
        #: The server's name and port.
        self.host_name, self.port = url.hostname, url.port or (443 if is_tls else 80)
        self.host = Host(
            self.host_name,
            self.port,
            tls=(tls or client_context()) if is_tls else None,
            tls_name=tls_name,
        )
        self._path = quote(url.path, safe="/%:@!$&'()*+,;=~")
        host = url.netloc.encode("idna").decode("ascii")
        lines = {"Host": host, **headers}
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._connect_timeout = connect_timeout
        self._room = asyncio.Semaphore(MOST_CONNECTIONS)
        #: The idle connections; the one used last is at the end.
        self._idle: list[_Connection] = []

    async def post(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        longest: int,
        *,
        keep: bool,
        media_type: str = FORM,
    ) -> Answer:
        """The answer to a body of this type; see `send`."""
        more = {"Content-Type": media_type, **headers}
        return await self.send("POST", path, body, more, longest, keep=keep)

    async def send(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        longest: int,
        *,
        keep: bool,
    ) -> Answer:
        """The answer to a request; the answer's body has at most `longest` bytes.

        `path` is appended unchanged to the client's own. Without `keep` the request gets a new
        connection, which is closed afterwards. Raises UnwritableError, UnreachedError, CutOffError,
        and InvalidAnswerError for an answer that is no HTTP. There is no time-out for the answer.
        """
        more = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        is_one_each = more.count("\n") == len(headers)
        target = f"{self._path}{path}"
        if not target.startswith("/"):
            target = f"/{target}"
        if not (is_one_each and _FIELDS.fullmatch(more) and _PATH.fullmatch(target)):
            raise UnwritableError
        if not keep:
            more += "Connection: close\r\n"
        if body or method != "GET":
            more += f"Content-Length: {len(body)}\r\n"
        head = f"{method} {target} HTTP/1.1\r\n{self._headers}{more}\r\n"
        request = head.encode("ascii") + body
        async with self._room:
            connection = (keep and self._kept()) or await self._opened()
            try:
                answer = await connection.ask(request, longest)
            except BaseException:
                # Also when the caller gives up: no other request may get the answer to this one.
                connection.close()
                raise
            if keep and connection.is_free():
                self._idle.append(connection)
            else:
                connection.close()
            return answer

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.is_free() and connection.idle() < KEEP_IDLE:
                return connection
            connection.close()
        return None

    async def _opened(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        try:
            connection, _ = await self.host.connect(
                lambda: _Connection(loop), self._connect_timeout
            )
        except ConnectError as error:
            raise UnreachedError(error.trouble) from error
        return connection


class _Connection(asyncio.Protocol):
    """One connection, for one request after the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        #: Bytes that came and were not read yet.
        self._data = bytearray()
        #: Done when more bytes have come, or the connection has ended.
        self._waiting: asyncio.Future[None] | None = None
        self._is_asked = False
        self._is_heard = False
        self._goes_on = True
        #: Why the server refused us after the TLS handshake.
        self._refusal: Trouble | None = None
        self._idle_since = 0.0

    def is_free(self) -> bool:
        """Whether the connection can carry a request; not after bytes that no request asked for."""
        return self._goes_on and self._transport is not None and not self._data

    def idle(self) -> float:
        """Seconds since the last answer."""
        return self._loop.time() - self._idle_since

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, request: bytes, longest: int) -> Answer:
        """The answer to a request. Raises UnreachedError, CutOffError and InvalidAnswerError."""
        if self._transport is None:
            raise self._gone()
        self._is_asked = True
        self._transport.write(request)
        status, fields = await self._head()
        while status < 200:
            # Interim answers may come before the final one (RFC 9110, section 15.2).
            status, fields = await self._head()
        retry_after = fields["retry-after"].decode("latin-1") if "retry-after" in fields else None
        body = await self._body(status, fields, longest)
        self._is_asked, self._idle_since = False, self._loop.time()
        accept_post = fields.get("accept-post", b"").decode("latin-1")
        return Answer(status, retry_after, body, accept_post, fields)

    async def _head(self) -> tuple[int, Mapping[str, bytes]]:
        """The status and the fields of an answer."""
        # Check these bytes first: a server of another protocol may send no more, and wait for us.
        if await self._exactly(7) != b"HTTP/1.":
            raise InvalidAnswerError("it is no HTTP")
        head = _HEAD.fullmatch(await self._until(b"\r\n\r\n"))
        if head is None:
            raise InvalidAnswerError("it is no HTTP")
        minor, status, lines = head.groups()
        fields: dict[str, bytes] = {}
        for line in lines.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            key = name.decode("ascii").lower()
            if key in fields and key in ("content-length", "transfer-encoding"):
                raise InvalidAnswerError("it is framed in two ways")
            fields[key] = value.strip(b" \t")
        closes = b"close" in fields.get("connection", b"").lower()
        self._goes_on = minor == b"1" and not closes
        return int(status), fields

    async def _body(self, status: int, fields: Mapping[str, bytes], longest: int) -> bytes:
        """The body behind a head (section 6.3)."""
        coding, length = fields.get("transfer-encoding"), fields.get("content-length")
        if status in (204, 304):
            return b""
        if coding is not None:
            if coding.lower() != b"chunked" or length is not None:
                raise InvalidAnswerError("it is framed in an unknown way")
            return await self._chunks(longest)
        if length is None:
            self._goes_on = False
            return await self._rest(longest)
        if not _LENGTH.fullmatch(length):
            raise InvalidAnswerError("its length is none")
        return await self._exactly(_within(int(length), longest))

    async def _chunks(self, longest: int) -> bytes:
        """A body in pieces (section 7.1)."""
        body = bytearray()
        while size := _SIZE.fullmatch(await self._until(b"\r\n")):
            if not int(size[1], 16):
                while await self._until(b"\r\n"):
                    pass  # the trailer
                return bytes(body)
            body += await self._exactly(_within(int(size[1], 16), longest - len(body)))
            if await self._exactly(2) != b"\r\n":
                break
        raise InvalidAnswerError("its pieces do not fit")

    async def _rest(self, longest: int) -> bytes:
        """A body that ends with the connection."""
        while self._transport is not None:
            _within(len(self._data), longest)
            await self._more()
        return await self._exactly(_within(len(self._data), longest))

    async def _until(self, end: bytes) -> bytes:
        """The bytes before the next `end`; reads past `end`."""
        while (length := self._data.find(end)) < 0:
            if len(self._data) > LONGEST_HEAD:
                raise InvalidAnswerError("it is no HTTP")
            await self._more()
        return (await self._exactly(length + len(end)))[:length]

    async def _exactly(self, length: int) -> bytes:
        """The next `length` bytes."""
        while len(self._data) < length:
            await self._more()
        found = bytes(self._data[:length])
        del self._data[:length]
        return found

    def _gone(self) -> Exception:
        return CutOffError() if self._refusal is None else UnreachedError(self._refusal)

    async def _more(self) -> None:
        if self._transport is None:
            raise self._gone()
        self._waiting = self._loop.create_future()
        await self._waiting

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # Callbacks of the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        self._is_heard = True
        if self._is_asked:
            self._wake()
        else:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if isinstance(error, ssl.SSLError) and not self._is_heard:
            # In TLS 1.3 a server checks our certificate when the handshake is over for us, and
            # reads our request only if it accepts the certificate (RFC 8446, section 4.4.4).
            trouble = explain(error, Stage.TLS)
            if trouble in (CERTIFICATE_WANTED, CERTIFICATE_REFUSED):
                self._refusal = trouble
        self._wake()


def _within(length: int, longest: int) -> int:
    if length > longest:
        raise InvalidAnswerError("it is too long")
    return length
