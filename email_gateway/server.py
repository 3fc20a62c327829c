"""The SMTP server: it listens, and stops when everything it took is answered."""

import asyncio
import logging
import socket
import ssl

from sms_gateway.backend import MailBackend

from .handler import Handler
from .limits import Limits
from .session import Connection

log = logging.getLogger(__name__)

#: Seconds that mails that are being handed on have to be answered when the server stops.
GRACE = 15.0


class MailServer:
    """Takes mails for the accounts of a backend. `start` on the running loop, `stop` at the end."""

    def __init__(
        self,
        backend: MailBackend,
        *,
        domain: str,
        tls: ssl.SSLContext | None = None,
        max_size: int = 5_000_000,
        timeout: float = 300.0,
        backend_timeout: float = 20.0,
        max_connections: int = 100,
        max_connections_per_network: int = 20,
        mails_per_minute: int = 100,
    ) -> None:
        """`domain` is what follows the @ of all addresses.

        `max_size` counts octets of a mail; `timeout` is the seconds that a client has for a
        command or a whole mail, `backend_timeout` those for the backend. A network may begin
        `mails_per_minute`, 0 being no limit.
        """
        self.limits = Limits(
            connections=max_connections,
            per_network=max_connections_per_network,
            mails_per_minute=mails_per_minute,
        )
        self.connections: set[Connection] = set()
        self._domain = domain
        self._tls = tls
        self._max_size = max_size
        self._timeout = timeout
        self._handler = Handler(
            backend, self.limits, domain=domain, backend_timeout=backend_timeout
        )
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to take mails at a listening socket."""
        # aiosmtpd logs addresses and whatever a client sends.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, sock=listener)
        host, port = listener.getsockname()[:2]
        facts = {"bind": f"{host}:{port}", "domain": self._domain, "starttls": bool(self._tls)}
        log.info("listening", extra=facts)

    async def stop(self, grace: float = GRACE) -> None:
        """Take no new mail, answer those taken, close all connections within `grace` seconds."""
        if self._server is None:
            return
        self._server.close()
        connections = list(self.connections)
        for connection in connections:
            connection.leave()
        try:
            async with asyncio.timeout(grace):
                for connection in connections:
                    await connection.lost.wait()
        except TimeoutError:
            for connection in connections:
                connection.abort()

    def _connection(self) -> Connection:
        return Connection(
            self._handler,
            self,
            hostname=self._domain,
            tls=self._tls,
            max_size=self._max_size,
            timeout=self._timeout,
        )
