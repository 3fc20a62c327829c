"""Sends messages by an operator's Parlay X services (ETSI ES 202 391-4, 3GPP TS 29.199-4).

we ── sendSms ────────────────────────────► SendSms
we ── getSmsDeliveryStatus ───────────────► SendSms, where nothing is pushed
we ── startSmsNotification, stop… ────────► SmsNotificationManager
we ◄─ notifySmsDeliveryReceipt, notifySmsReception ── SmsNotification, at our push address
"""

import asyncio
import base64
import hashlib
import logging
import re
from contextlib import suppress
from dataclasses import replace
from typing import Literal

from ..backoff import pause, spread
from ..log import error_facts
from ..moments import now
from ..remote.answers import Answer, InvalidAnswerError
from ..sms.message import State
from ..sms.receipt import Receipt
from . import Delivery, Incoming, Outcome, Sink
from .http import HttpUpstream
from .http_contract import Judgement, Request, by_status, idempotency_key, message_id
from .http_poll import NoReceiptError
from .parlayx_options import ParlayXOptions, options_from_url
from .parlayx_xml import Header, Item, Read, envelope, local, read_envelope, response
from .push import Heard, Push, PushError, receipt

log = logging.getLogger(__name__)

_REFUSED = Judgement(outcome=Outcome.REFUSED)
_LOCKED_OUT = Judgement(outcome=Outcome.RETRY, is_locked_out=True)
#: The faults of the standard (ES 202 391-1, annex; the numbers above 0200 ES 202 391-4, clause 10).
FAULTS = {
    "SVC0001": Judgement(outcome=Outcome.RETRY),  # service error
    "SVC0002": _REFUSED,  # invalid input value
    "SVC0003": _REFUSED,  # invalid input value, with the valid ones
    "SVC0004": _REFUSED,  # no valid addresses
    "SVC0005": Judgement(outcome=Outcome.ACCEPTED),  # duplicate correlator: it has this message
    "SVC0006": _LOCKED_OUT,  # invalid group
    "SVC0280": _REFUSED,  # message too long
    "SVC0283": _LOCKED_OUT,  # delivery receipt not supported
    "POL0001": _LOCKED_OUT,  # policy error
    "POL0002": _REFUSED,  # privacy error
    "POL0003": _REFUSED,  # too many addresses
    "POL0006": _REFUSED,  # groups not allowed
    "POL0008": _LOCKED_OUT,  # charging not supported
}
#: None: more is to come (ES 202 391-4, clause 8.1).
STATES = {
    "DeliveredToNetwork": None,
    "MessageWaiting": None,
    "DeliveredToTerminal": State.DELIVERED,
    "DeliveryImpossible": State.UNDELIVERABLE,
    "DeliveryUncertain": State.UNKNOWN,
    "DeliveryNotificationNotSupported": State.UNKNOWN,
}
_FAULT_ID = re.compile(r"[A-Z]{3}[0-9]{4}")
_CLIENT = re.compile(r"(?:[\w.-]*:)?Client(?:\..*)?")
_ADDRESSES = {"tel+": "tel:+", "tel": "tel:", "plus": "+", "digits": ""}
#: Notifications are started anew so often, seconds: an operator may have forgotten them.
_AGAIN = 3_600.0


class ParlayX:
    """An operator's services, as a `Provider` that `TakesPushes`."""

    receipts_of: Literal["first"] = "first"

    def __init__(self, options: ParlayXOptions) -> None:
        self.options = options
        #: Where the operator notifies us; empty: nowhere.
        self.address = ""
        self._headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
        if options.auth == "basic":
            told = base64.b64encode(f"{options.user}:{options.password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {told}"

    def request(self, delivery: Delivery) -> Request:
        """See `Provider.request`. UnsendableError for a character that XML does not have."""
        options = self.options
        to = self._written(delivery.recipient)
        correlator = idempotency_key(delivery)[:32]
        items: list[Item] = [
            ("addresses", to),
            ("senderName", delivery.sender or options.sender_name or None),
            ("message", delivery.text),
        ]
        if self.address:
            items.append(("receiptRequest", self._reference(correlator)))
        request = self._asked("send", options.version, options.path, "sendSms", items, to)
        return Request(
            path=request.path,
            headers=request.headers,
            body=request.body,
            # Receipts that are pushed have the correlator, and never the operator's own id.
            message_id=correlator if self.address else "",
        )

    def judge(self, answer: Answer) -> Judgement:
        """See `Provider.judge`."""
        found = self._read(answer)
        if found is None:
            return by_status(answer)
        if found.name == "sendSmsResponse" and answer.status == 200:
            id = found.text("result")
            return Judgement(outcome=Outcome.ACCEPTED, ids=() if self.address else (id,))
        if found.name != "Fault":
            raise InvalidAnswerError("it is neither an answer nor a fault")
        return self._fault(found)

    def _fault(self, fault: Read) -> Judgement:
        id = fault.text("messageId", "")
        if not _FAULT_ID.fullmatch(id):
            # Whether our fault or theirs, it is none of the standard's.
            if _CLIENT.fullmatch(fault.text("faultcode", "")):
                return Judgement(
                    outcome=Outcome.RETRY,
                    reason="the service refuses the request",
                    is_locked_out=True,
                )
            raise InvalidAnswerError("it is a fault without a number")
        known = FAULTS.get(id, Judgement(outcome=Outcome.RETRY))
        if known.outcome is Outcome.ACCEPTED and not self.address:
            # No correlator of ours was in the request.
            known = Judgement(outcome=Outcome.RETRY)
        return replace(known, reason="" if known.outcome is Outcome.ACCEPTED else f"fault {id}")

    def hear(self, push: Push) -> Heard:
        """See `TakesPushes.hear`."""
        try:
            found = read_envelope(push.body)
        except ValueError:
            raise PushError(400, "the body is no SOAP envelope") from None
        receipts: list[Receipt] = []
        messages: list[Incoming] = []
        match found.name:
            case "notifySmsDeliveryReceipt":
                correlator = found.text("correlator")
                for each in found.all("deliveryStatus"):
                    if len(each.element):
                        state = STATES[each.text("deliveryStatus")] or State.SUBMITTED
                        receipts.append(receipt(correlator, state, each.text("address")))
            case "notifySmsReception":
                messages.append(_incoming(found))
            case _:
                raise PushError(400, "the operation is none that is notified")
        return Heard(
            receipts=receipts,
            messages=messages,
            media_type="text/xml; charset=utf-8",
            answer=response(found),
        )

    def notification(self, operation: Literal["start", "stop"], number: str) -> Request:
        """The request that starts or stops the notifications of messages to a number."""
        options = self.options
        # The same at each start: the operator has one subscription for it.
        told = f"{self.address.rpartition('/')[0]} {number}".encode()
        correlator = hashlib.sha256(told).hexdigest()[:32]
        items: list[Item] = [("correlator", correlator)]
        if operation == "start":
            items = [
                ("reference", self._reference(correlator)),
                ("smsServiceActivationNumber", self._written(f"+{number}", short=number)),
                ("criteria", options.criteria or None),
            ]
        return self._asked(
            "notification_manager",
            options.manager_version,
            options.manager,
            f"{operation}SmsNotification",
            items,
        )

    def is_started(self, answer: Answer) -> bool:
        """Whether the operator notifies us now. SVC0005: it does already."""
        found = self._read(answer)
        if found is None:
            return False
        return found.name == "startSmsNotificationResponse" or (
            found.name == "Fault" and found.text("messageId", "") == "SVC0005"
        )

    def _reference(self, correlator: str) -> list[Item]:
        return [
            ("endpoint", self.address),
            ("interfaceName", "SmsNotification"),
            ("correlator", correlator),
        ]

    def _asked(
        self, service: str, version: str, path: str, operation: str, items: list[Item], to: str = ""
    ) -> Request:
        options = self.options
        header = Header(
            auth=options.auth,
            user=options.user,
            password=options.password,
            service_id=options.service_id,
            address=to,
            at=now(),
        )
        body = envelope(local(service, version), operation, items, header)
        return Request(path=path, headers=self._headers, body=body)

    def _written(self, recipient: str, short: str = "") -> str:
        """A number as the operator wants it; up to six digits are a short code."""
        if short and len(short) <= 6:
            return short
        return _ADDRESSES[self.options.address] + recipient.removeprefix("+")

    def _read(self, answer: Answer) -> Read | None:
        """The envelope of an answer; None where there is none and the status has to do."""
        if answer.status not in (200, 202, 500):
            with suppress(ValueError):
                found = read_envelope(answer.body)
                return found if found.name == "Fault" and found.text("messageId", "") else None
            return None
        try:
            return read_envelope(answer.body)
        except ValueError:
            raise InvalidAnswerError("it is no SOAP envelope") from None


class AskedParlayX(ParlayX):
    """Services that are asked what became of messages (`IsAsked`)."""

    def question(self, id: str) -> Request:
        """See `IsAsked.question`."""
        options = self.options
        return self._asked(
            "send",
            options.version,
            options.path,
            "getSmsDeliveryStatus",
            [("requestIdentifier", id)],
        )

    def state(self, answer: Answer, id: str, recipient: str) -> State | None:
        """See `IsAsked.state`."""
        found = self._read(answer)
        if found is None:
            raise InvalidAnswerError(f"its status is {answer.status}")
        if found.name == "Fault" and found.text("messageId", "") in ("SVC0002", "SVC0003"):
            raise NoReceiptError
        states = [
            STATES[each.text("deliveryStatus")]
            for each in found.all("result")
            if _digits(each.text("address")) == _digits(recipient)
        ]
        return states[0] if states else None

    def id_of(self, key: str) -> str:
        """See `IsAsked.id_of`. The store keeps ids in lower case and without leading zeros: the
        operator may not know such an id any more."""
        return message_id(key)


class ParlayXUpstream(HttpUpstream):
    """The services, as an `Upstream` that starts the notifications of messages."""

    def __init__(self, name: str, provider: ParlayX) -> None:
        """See `HttpUpstream`."""
        super().__init__(name, provider)
        self._parlayx = provider

    async def run(self, sink: Sink) -> None:
        """See `Upstream.run`."""
        options = self._parlayx.options
        numbers = options.numbers.split(",") if options.manager else []
        started = [asyncio.create_task(self._start(number)) for number in numbers]
        try:
            await super().run(sink)
        finally:
            for task in started:
                task.cancel()
            await asyncio.gather(*started, return_exceptions=True)
            if options.stop_notification and numbers:
                # Not by asyncio.timeout: before Python 3.12 it is none in a task that is cancelled.
                stopping = [asyncio.create_task(self._stop(number)) for number in numbers]
                await asyncio.wait(stopping, timeout=options.stop_timeout)
                for task in stopping:
                    task.cancel()

    async def _start(self, number: str) -> None:
        """Keep the notifications of a number started."""
        options, failures = self._parlayx.options, 0
        while True:
            try:
                answer = await self.exchange(self._parlayx.notification("start", number))
                if not self._parlayx.is_started(answer):
                    raise InvalidAnswerError(f"its status is {answer.status}")
                failures = 0
                log.info("notifications started", extra={"upstream": self.name})
                await asyncio.sleep(_AGAIN)
            except Exception as error:
                failures += 1
                facts = {"upstream": self.name, **error_facts(error)}
                log.warning("notifications not started", extra=facts)
                wait = pause(failures, options.reconnect_delay, options.reconnect_delay_max)
                await asyncio.sleep(spread(wait))

    async def _stop(self, number: str) -> None:
        try:
            await self.exchange(self._parlayx.notification("stop", number))
        except Exception as error:
            facts = {"upstream": self.name, **error_facts(error)}
            log.warning("notifications not stopped", extra=facts)


def provider(url: str) -> ParlayX:
    """The services that a URL of the settings describes; ValueError as `options_from_url`."""
    options = options_from_url(url)
    return (AskedParlayX if options.receipts else ParlayX)(options)


def _incoming(found: Read) -> Incoming:
    sender, text = found.text("senderAddress"), _message(found)
    at = found.text("dateTime", "")
    # Huawei's name for one notification; without that, the moment tells two equal texts apart.
    id = found.header.get("traceUniqueID", "")
    if not id and at:
        told = f"{sender} {at} {text}".encode("utf-8", "surrogatepass")
        id = hashlib.sha256(told).hexdigest()
    return Incoming(
        sender=_number(sender),
        recipient=_number(found.text("smsServiceActivationNumber")),
        text=text,
        id=id,
    )


def _message(found: Read) -> str:
    """The text of a message: the element `message` inside of the element `message`."""
    for each in found.all("message"):
        if not len(each.element):
            return each.element.text or ""
    raise KeyError("message")


def _number(address: str) -> str:
    """A number as it is kept: `tel:+32…` and `tel:32…` are E.164, a short code is as it is."""
    number = address.removeprefix("tel:").removeprefix("short:")
    is_long = number.isascii() and number.isdigit() and len(number) > 6 and number[0] != "0"
    return f"+{number}" if is_long else number


def _digits(address: str) -> str:
    return "".join(sign for sign in address if sign.isdigit())
