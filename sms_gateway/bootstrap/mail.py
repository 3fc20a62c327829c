"""Runs the e-mail face, in front of the gateway."""

import asyncio
import socket

from email_gateway import MailServer

from ..settings import Settings
from ..store import Store
from .gateway import gateway


async def take_mail(settings: Settings, store: Store, listener: socket.socket) -> None:
    """Take mails at a listening socket until cancelled, then answer the mails that were taken."""
    accepting = gateway(settings, store)
    server = MailServer(
        accepting,
        domain=settings.mail_domain or "",
        tls=settings.mail_tls_context(),
        max_size=settings.mail_max_size,
        timeout=settings.mail_timeout.total_seconds(),
        backend_timeout=settings.backend_timeout.total_seconds(),
        max_connections=settings.mail_connections,
        max_connections_per_network=settings.mail_per_network,
        mails_per_minute=settings.mail_rate,
    )
    await accepting.start()
    try:
        await server.start(listener)
        async with store.clock.kept():
            await asyncio.get_running_loop().create_future()
    finally:
        await server.stop()
        await accepting.aclose()
