"""What an SMSC offers: receipts and messages, stored before they are acknowledged."""

import asyncio
import logging
from typing import Any

from ..smpp.pdu import DataSm, DeliverSm
from ..smpp.status import OK, QUEUE_FULL, SYSTEM_ERROR, Status
from ..sms.encoding import DefaultAlphabet
from . import Sink, StoreUnavailable
from .smpp_link import Link
from .smpp_messages import incoming_of, is_receipt, receipt_of

log = logging.getLogger(__name__)

#: How many are being stored at a time, and how many may wait for that before the SMSC is told to
#: keep them.
_STORING, _WAITING = 100, 2_000


class Inbox:
    """Stores many offers at a time, but not any number."""

    def __init__(self, upstream: str, alphabet: DefaultAlphabet) -> None:
        self._upstream = upstream
        self._alphabet = alphabet
        self._offers: asyncio.Queue[tuple[Link[Any], DeliverSm | DataSm]] = asyncio.Queue(_WAITING)

    def put(self, link: Link[Any], pdu: DeliverSm | DataSm) -> None:
        """Take an offer; the link will hear of it."""
        try:
            self._offers.put_nowait((link, pdu))
        except asyncio.QueueFull:
            link.respond(pdu, QUEUE_FULL)

    async def emptied(self) -> None:
        """Returns when every offer is acknowledged or refused."""
        await self._offers.join()

    def start(self, sink: Sink) -> "list[asyncio.Task[None]]":
        """Begin to store; what is waiting stays where it is when the tasks are cancelled."""
        return [asyncio.create_task(self._store_offers(sink)) for _ in range(_STORING)]

    async def _store_offers(self, sink: Sink) -> None:
        while True:
            link, pdu = await self._offers.get()
            try:
                # On a new connection the SMSC offers again what was not acknowledged on the last.
                if link.is_open:
                    link.respond(pdu, await self._store(sink, pdu))
            finally:
                self._offers.task_done()

    async def _store(self, sink: Sink, pdu: DeliverSm | DataSm) -> Status:
        try:
            if not is_receipt(pdu):
                await sink.received_message(incoming_of(pdu, self._alphabet))
            elif receipt := receipt_of(pdu, self._alphabet):
                await sink.received_receipt(receipt)
            else:
                # Nobody could ever say which message it is for; offered again it would not either.
                log.warning("receipt without an id", extra={"upstream": self._upstream})
        except StoreUnavailable:
            return SYSTEM_ERROR
        except Exception:
            log.exception("cannot take an offer", extra={"upstream": self._upstream})
            return SYSTEM_ERROR
        return OK
