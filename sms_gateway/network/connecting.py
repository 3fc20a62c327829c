"""Connections to a host by whichever of its addresses answers first (RFC 8305, Happy Eyeballs)."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import TypeVar

import aiohappyeyeballs

from ..errors import GatewayError
from .errors import Stage, Trouble, explain
from .socks import Socks, SocksError

#: Seconds until the next address is tried as well (RFC 8305, section 5: Connection Attempt Delay).
_NEXT_ADDRESS = 0.25

Address = tuple[str, int]
_Protocol = TypeVar("_Protocol", bound=asyncio.BaseProtocol)


class ConnectError(GatewayError, OSError):
    """There is no connection, for this reason."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.what)
        self.trouble = trouble


class Host:
    """A peer to connect to. Its name is looked up each time."""

    def __init__(
        self,
        name: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        tls_name: str = "",
        local_address: str = "",
        proxy: Socks | None = None,
    ) -> None:
        """`tls_name` is the name in its certificate, where that is not the host's.

        `local_address`: the address of this machine that connections come from, where that is not
        left to the system. `proxy`: what connections go through; it looks up the host.
        """
        self._name, self._port = name, port
        self._next = (proxy.host, proxy.port) if proxy else (name, port)
        self._local = (local_address, 0) if local_address else None
        self._proxy = proxy
        self._tls = tls
        self._tls_name = (tls_name or name) if tls else None
        #: Addresses that took a connection and never answered on it. They are tried last.
        self._blamed: set[Address] = set()

    async def connect(
        self, factory: Callable[[], _Protocol], within: float | None
    ) -> tuple[_Protocol, Address]:
        """A connection, `within` so many seconds, and its address. Raises ConnectError."""
        stage = Stage.LOOKUP
        address: Address | None = None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within):
                found = await self._addresses()
                stage = Stage.TCP
                opened = await self._open(found)
                address = opened.getpeername()[:2]
                try:
                    if self._proxy is not None:
                        await self._proxy.open(opened, self._name, self._port)
                except BaseException:
                    opened.close()
                    raise
                stage = Stage.TLS if self._tls else Stage.TCP
                _, protocol = await loop.create_connection(
                    factory, sock=opened, ssl=self._tls, server_hostname=self._tls_name
                )
        except (OSError, UnicodeError, RuntimeError) as error:  # uvloop has the last for a socket
            if address is not None:
                self.blame(address)
            trouble = error.trouble if isinstance(error, SocksError) else explain(error, stage)
            raise ConnectError(trouble) from error
        return protocol, address

    def blame(self, address: Address) -> None:
        """A connection to this address was useless: it is tried after the others."""
        self._blamed.add(address)

    def praise(self) -> None:
        """A connection was of use: the addresses have the order again that their name gives."""
        self._blamed.clear()

    async def _addresses(self) -> Sequence[aiohappyeyeballs.AddrInfoType]:
        """All addresses of the host, in the order of the resolver."""
        name, port = self._next
        try:
            family = socket.AF_INET if ip_address(name).version == 4 else socket.AF_INET6
        except ValueError:
            loop = asyncio.get_running_loop()
            return await loop.getaddrinfo(
                name, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
            )
        # An address needs no thread of the resolver.
        sockaddr = (name, port)
        return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", sockaddr)]

    async def _open(self, found: Sequence[aiohappyeyeballs.AddrInfoType]) -> socket.socket:
        good = [each for each in found if each[4][:2] not in self._blamed]
        if not good:
            self._blamed.clear()
        blamed = [each for each in found if each not in good] if good else []
        local = self._local
        return await aiohappyeyeballs.start_connection(
            [*(good or found), *blamed],
            local_addr_infos=None if local is None else [_local_info(local)],
            happy_eyeballs_delay=_NEXT_ADDRESS,
            # By turns of both families, unless some have been found wanting.
            interleave=0 if blamed else 1,
        )


def _local_info(local: Address) -> aiohappyeyeballs.AddrInfoType:
    family = socket.AF_INET if ip_address(local[0]).version == 4 else socket.AF_INET6
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", local)
