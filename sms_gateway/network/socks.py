"""Connections through a SOCKS 5 server (RFC 1928), with a password where it asks (RFC 1929)."""

import asyncio
import socket
from dataclasses import dataclass, field
from ipaddress import ip_address

from ..errors import GatewayError
from .errors import Trouble

_VERSION, _NO_AUTHENTICATION, _PASSWORD = 5, 0x00, 0x02
_CONNECT, _IPV4, _NAME, _IPV6 = 0x01, 0x01, 0x03, 0x04
#: Octets of the addresses in an answer, by type; those of a name come after their count.
_LENGTHS = {_IPV4: 4, _IPV6: 16}

_CHECK = "check socks"
_NOT_SOCKS = Trouble("the proxy does not speak SOCKS 5", _CHECK)
_NO_METHOD = Trouble(
    "the SOCKS server accepts neither no password nor ours",
    "set socks_user and socks_password, or ask who runs it",
)
_WRONG_PASSWORD = Trouble(
    "the SOCKS server refuses our password", "set socks_user and socks_password"
)
# RFC 1928 section 6.
REPLIES = {
    1: Trouble("the SOCKS server failed", "look into its log"),
    2: Trouble("the SOCKS server does not allow this connection", "ask who runs it to allow it"),
    3: Trouble("the SOCKS server has no way to the network", "look at its routes and firewalls"),
    4: Trouble("the SOCKS server does not reach the host", "check the host"),
    5: Trouble("nothing listens there, says the SOCKS server", "check host and port"),
    6: Trouble("the SOCKS server had no answer in time", "check host and port"),
    7: Trouble("the SOCKS server does not connect for others", "ask who runs it"),
    8: Trouble("the SOCKS server does not know this type of address", "write the host as a name"),
}


class SocksError(GatewayError, OSError):
    """A SOCKS server did not connect us, for this reason."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.what)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Socks:
    """A SOCKS server."""

    host: str
    port: int
    user: str = field(default="", repr=False, kw_only=True)
    password: str = field(default="", repr=False, kw_only=True)

    async def open(self, connection: socket.socket, host: str, port: int) -> None:
        """Have a connection to the server lead on to a host, which it looks up. SocksError."""
        try:
            await self._greet(connection)
            await self._connect(connection, host, port)
        except EOFError:
            raise SocksError(_NOT_SOCKS) from None

    async def _greet(self, connection: socket.socket) -> None:
        methods = (_NO_AUTHENTICATION, _PASSWORD) if self.user else (_NO_AUTHENTICATION,)
        await _send(connection, bytes((_VERSION, len(methods), *methods)))
        version, method = await _receive(connection, 2)
        if version != _VERSION:
            raise SocksError(_NOT_SOCKS)
        if method == _PASSWORD and self.user:
            user, password = self.user.encode(), self.password.encode()
            pieces = bytes((1, len(user))), user, bytes((len(password),)), password
            await _send(connection, b"".join(pieces))
            if (await _receive(connection, 2))[1] != 0:
                raise SocksError(_WRONG_PASSWORD)
        elif method != _NO_AUTHENTICATION:
            raise SocksError(_NO_METHOD)

    async def _connect(self, connection: socket.socket, host: str, port: int) -> None:
        request = bytes((_VERSION, _CONNECT, 0)) + _address(host) + port.to_bytes(2, "big")
        await _send(connection, request)
        version, reply, _, kind = await _receive(connection, 4)
        if version != _VERSION:
            raise SocksError(_NOT_SOCKS)
        if reply != 0:
            raise SocksError(REPLIES.get(reply, REPLIES[1]))
        length = _LENGTHS.get(kind) or (await _receive(connection, 1))[0]
        await _receive(connection, length + 2)


def _address(host: str) -> bytes:
    """A host as SOCKS writes it. UnicodeError for one that no machine can have."""
    try:
        found = ip_address(host)
    except ValueError:
        name = host.encode("idna")
        return bytes((_NAME, len(name))) + name
    return bytes((_IPV4 if found.version == 4 else _IPV6,)) + found.packed


async def _send(connection: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(connection, data)


async def _receive(connection: socket.socket, count: int) -> bytes:
    """So many octets, and none of those that follow; EOFError where there are not so many."""
    data = b""
    while len(data) < count:
        more = await asyncio.get_running_loop().sock_recv(connection, count - len(data))
        if not more:
            raise EOFError
        data += more
    return data
