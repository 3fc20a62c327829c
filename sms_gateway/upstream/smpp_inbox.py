"""Receipts and messages that an SMSC offers: stored before they are acknowledged."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import replace
from functools import partial
from typing import Any

from ..log import log_error
from ..smpp.pdu import DataSm, DeliverSm
from ..smpp.status import OK, QUEUE_FULL, SYSTEM_ERROR
from ..sms.receipt import Receipt
from ..sms.receipt_words import read_words, shown
from . import Incoming, Sink
from .smpp_link import Link
from .smpp_messages import incoming_of, is_receipt, may_be_receipt, receipt_of
from .smpp_options import SmppOptions

log = logging.getLogger(__name__)

#: The most offers being stored at a time; the SMSC has to keep further ones.
_MOST = 2_000
#: The most unknown words for states that the log tells of, for each upstream.
_MOST_WORDS = 50


class Inbox:
    """Stores many offers at a time, but not any number."""

    def __init__(self, upstream: str, options: SmppOptions) -> None:
        self._upstream = upstream
        self._alphabet = options.default_alphabet
        self._packed = options.incoming_septets == "packed"
        self._region = options.region or None
        self._words = read_words(options.receipt_words)
        self._strange_words: set[str] = set()
        self._storing: set[asyncio.Future[None]] = set()

    def put(self, link: Link[Any], pdu: DeliverSm | DataSm, sink: Sink) -> None:
        """Take an offer and answer it over the link once it is stored."""
        if len(self._storing) >= _MOST:
            link.respond(pdu, QUEUE_FULL)
            return
        try:
            stored = self.store(pdu, sink)
        except Exception as error:
            log_error(log, "cannot take an offer", error, upstream=self._upstream)
            link.respond(pdu, SYSTEM_ERROR)
            return
        if stored is None:
            # It names no message. Offered again it would name none either.
            log.warning("receipt without an id or a number", extra={"upstream": self._upstream})
            link.respond(pdu, OK)
            return
        future = asyncio.ensure_future(stored)
        self._storing.add(future)
        future.add_done_callback(partial(self._respond, link, pdu))

    def store(self, pdu: DeliverSm | DataSm, sink: Sink) -> Awaitable[None] | None:
        """Hand an offer to the sink; None for a receipt that tells nothing."""
        if is_receipt(pdu):
            receipt = self._receipt(pdu)
            return None if receipt is None else sink.received_receipt(receipt)
        incoming = self._incoming(pdu)
        if incoming.total == 1 and may_be_receipt(pdu):
            incoming = replace(incoming, receipt=self._receipt(pdu))
        return sink.received_message(incoming)

    def _receipt(self, pdu: DeliverSm | DataSm) -> Receipt | None:
        receipt = receipt_of(pdu, self._words)
        if receipt is not None and receipt.unknown_stat:
            self._tell(shown(receipt.unknown_stat))
        return receipt

    def _tell(self, word: str) -> None:
        """Tell of a word that decides nothing, once."""
        if word in self._strange_words or len(self._strange_words) >= _MOST_WORDS:
            return
        self._strange_words.add(word)
        log.warning(
            "a receipt has a word that nobody knows and ends nothing; receipt_words says what it "
            "means",
            extra={"upstream": self._upstream, "word": word},
        )

    def _incoming(self, pdu: DeliverSm | DataSm) -> Incoming:
        return incoming_of(pdu, self._alphabet, packed=self._packed, region=self._region)

    def _respond(
        self, link: Link[Any], pdu: DeliverSm | DataSm, stored: asyncio.Future[None]
    ) -> None:
        self._storing.discard(stored)
        failed = stored.cancelled() or stored.exception() is not None
        # On a new connection the SMSC offers again what was not acknowledged on the last.
        if link.is_open:
            link.respond(pdu, SYSTEM_ERROR if failed else OK)

    async def emptied(self) -> None:
        """Returns when every offer is acknowledged or refused."""
        if self._storing:
            await asyncio.wait(self._storing)
