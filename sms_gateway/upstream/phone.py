"""Sends messages by Android telephones with the app SMSGate.

The app (github.com/capcom6/android-sms-gateway) has a server of its own; its cloud server and
private ones speak the same API (docs.sms-gate.app, and swagger.json in the app's source). A
telephone reports by webhooks, which are registered at every start, or is asked.

PhoneUpstream ──┬─ SIM 1 of telephone 1: HttpUpstream ── POST /message, GET /message/ID
                ├─ SIM 2 of telephone 1: HttpUpstream      each with a window and a rate
                └─ SIM 1 of telephone 2: HttpUpstream
"""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from ..backoff import pause, spread
from ..log import error_facts
from ..moments import now, read_iso
from ..remote.answers import Answer, InvalidAnswerError
from ..sms.message import State
from . import Delivery, Incoming, Outcome, Sink
from .http import HttpUpstream
from .http_contract import Judgement, Request, by_status, idempotency_key, json_request, message_id
from .http_poll import NoReceiptError
from .phone_options import PhoneOptions, options_from_url
from .push import Heard, Push, PushError, receipt
from .webhook import TOLERANCE

log = logging.getLogger(__name__)

#: The events of webhooks that are registered (docs.sms-gate.app/features/webhooks).
EVENTS = ("sms:received", "sms:sent", "sms:delivered", "sms:failed")
#: The states of a message; None: more is to come (docs.sms-gate.app/features/status-tracking).
STATES = {
    "Pending": None,
    "Processed": None,
    "Cancelling": None,
    "Sent": None,
    "Delivered": State.DELIVERED,
    "Failed": State.UNDELIVERABLE,
    "Cancelled": State.FAILED,
}
#: The same by events. Of a long text `sms:delivered` comes for each part; the first one counts, as
#: for the app's own state.
_HEARD = {
    "sms:sent": State.SUBMITTED,
    "sms:delivered": State.DELIVERED,
    "sms:failed": State.UNDELIVERABLE,
    "sms:cancelled": State.FAILED,
}
#: When a telephone gets its message no more: the reason of a failure (MessagesService.kt).
_EXPIRED = "TTL expired"
#: The names that Android has for failures, such as RESULT_ERROR_NO_SERVICE.
_RESULT = re.compile(r"RESULT_[A-Z_]{1,60}")
#: Ids of ours have 32 digits, of the 36 that are allowed.
_DIGITS = 32
#: The least `ttl`, seconds.
_LEAST_TTL = 5
#: Webhooks are registered anew so often, seconds: an app that was installed again has none.
_AGAIN = 3_600.0


class Phone:
    """One SIM of a telephone, as a `Provider`."""

    receipts_of: Literal["first"] = "first"

    def __init__(self, options: PhoneOptions) -> None:
        self.options = options
        # The app's own server has had the first name for longer.
        is_app = not urlsplit(options.url).path.strip("/")
        self.messages = "/message" if is_app else "/messages"
        told = f"{options.user}:{options.password}".encode()
        self._headers = {"Authorization": f"Basic {base64.b64encode(told).decode()}"}

    def request(self, delivery: Delivery) -> Request:
        """See `Provider.request`. UnicodeEncodeError for half a surrogate pair."""
        delivery.text.encode()
        options = self.options
        id = idempotency_key(delivery)[:_DIGITS]
        told: dict[str, Any] = {
            "id": id,
            "textMessage": {"text": delivery.text},
            "phoneNumbers": [delivery.recipient],
            "withDeliveryReport": options.delivery_report,
            "ttl": max(_LEAST_TTL, (delivery.expires_at - now()) // 1_000),
        }
        if options.sim:
            told["simNumber"] = options.sim
        if options.device:
            told["deviceId"] = options.device
        if options.priority:
            told["priority"] = options.priority
        # The number was checked before it was accepted; the app would read it by its own country.
        return json_request(
            f"{self.messages}?skipPhoneValidation=true", told, self._headers, message_id=id
        )

    def judge(self, answer: Answer) -> Judgement:
        """See `Provider.judge`. 409: the telephone has a message of this id already."""
        if answer.status in (202, 409):
            return Judgement(outcome=Outcome.ACCEPTED)
        if answer.status == 503 and _message(answer):
            return Judgement(
                outcome=Outcome.RETRY, reason="the telephone's queue is full", is_throttled=True
            )
        if answer.status == 400 and "device" in _message(answer).lower():
            return Judgement(
                outcome=Outcome.RETRY,
                reason="the server knows no such telephone",
                is_locked_out=True,
            )
        return by_status(answer)

    def webhook(self, event: str, address: str) -> Request:
        """The request that registers a webhook in the place of an earlier one for the event."""
        told = {"id": _webhook_id(event, address), "url": address, "event": event}
        if self.options.device:
            told["deviceId"] = self.options.device
        return json_request("/webhooks", told, self._headers)


class AskedPhone(Phone):
    """A SIM of a telephone that is asked what became of messages (`IsAsked`)."""

    def question(self, id: str) -> Request:
        """See `IsAsked.question`."""
        return Request(method="GET", path=f"{self.messages}/{id}", headers=self._headers)

    def state(self, answer: Answer, id: str, recipient: str) -> State | None:
        """See `IsAsked.state`."""
        if answer.status == 404:
            raise NoReceiptError
        if answer.status != 200:
            raise InvalidAnswerError(f"its status is {answer.status}")
        told = json.loads(answer.body)
        if told["id"] != id:
            raise InvalidAnswerError("it is about another message")
        state = STATES[told["state"]]
        errors = [each.get("error") for each in told["recipients"]]
        return State.EXPIRED if _EXPIRED in errors else state

    def id_of(self, key: str) -> str:
        """See `IsAsked.id_of`."""
        return message_id(key).zfill(_DIGITS)


class Phones:
    """The telephones of an upstream, which push to one address (`TakesPushes`)."""

    receipts_of: Literal["first"] = "first"

    def __init__(self, phones: Sequence[Sequence[PhoneOptions]]) -> None:
        """`phones`: the SIMs of each telephone, from `options_from_url`."""
        self.phones = [
            [AskedPhone(each) if each.receipts else Phone(each) for each in sims] for sims in phones
        ]
        self.options = phones[0][0]

    def hear(self, push: Push) -> Heard:
        """See `TakesPushes.hear`. The query of the address says which telephone it is."""
        query = parse_qs(urlsplit(push.url).query)
        number = int(query.get("phone", ["0"])[0])
        if not 0 <= number < len(self.phones):
            raise PushError(403, "there is no such telephone")
        sims = [each.options for each in self.phones[number]]
        if sims[0].signing_key:
            _verify(push, sims[0].signing_key)
        told = push.json()
        kind, payload = told["event"], told["payload"]
        if kind == "sms:received":
            incoming = Incoming(
                sender=payload.get("sender") or payload["phoneNumber"],
                recipient=payload.get("recipient") or _own(sims, payload.get("simNumber")),
                text=payload["message"],
                # That of the event: the message's own is made of its text.
                id=told["id"],
            )
            return Heard(messages=[incoming])
        state = _HEARD.get(kind)
        if state is None:
            return Heard()
        reason = payload.get("reason") or ""
        result = _RESULT.search(reason)
        return Heard(
            receipts=[
                receipt(
                    payload["messageId"],
                    State.EXPIRED if reason == _EXPIRED else state,
                    payload.get("recipient") or payload["phoneNumber"],
                    error=result[0] if result else "",
                    done_at=_moment(payload),
                )
            ]
        )


class PhoneUpstream:
    """Telephones, as an `Upstream`: each message goes by the SIM with the most room."""

    def __init__(self, name: str, phones: Phones, address: str) -> None:
        """`address`: the URL that telephones push to; empty: they are asked only. ValueError for an
        address that no telephone calls."""
        parts = urlsplit(address)
        if address and parts.scheme != "https" and parts.hostname != "127.0.0.1":
            raise ValueError(
                "push_secret: telephones call https:// or http://127.0.0.1 only; set public_url to "
                "such an address, or leave push_secret out: then the telephones are asked"
            )
        self.name = name
        self._phones = phones
        self._address = address
        self._lines = [[HttpUpstream(name, sim) for sim in sims] for sims in phones.phones]
        self._sims = [sim for sims in self._lines for sim in sims]

    @property
    def is_alone(self) -> bool:
        """See `Repeats`."""
        return self._sims[0].is_alone

    @is_alone.setter
    def is_alone(self, is_alone: bool) -> None:
        for sim in self._sims:
            sim.is_alone = is_alone

    def is_bound(self) -> bool:
        """See `Upstream.is_bound`."""
        return any(sim.is_bound() for sim in self._sims)

    def trouble(self) -> str:
        """See `TellsTrouble.trouble`."""
        return next((each for each in (sim.trouble() for sim in self._sims) if each), "")

    def receipts_of(self) -> Literal["first"]:
        """See `SaysReceipts.receipts_of`."""
        return self._phones.receipts_of

    def free(self) -> int:
        """See `Upstream.free`."""
        return sum(sim.free() for sim in self._sims)

    async def ready(self) -> None:
        """See `Upstream.ready`."""
        waiting = [asyncio.ensure_future(sim.ready()) for sim in self._sims]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    def submit(self, delivery: Delivery) -> None:
        """See `Upstream.submit`."""
        max(self._sims, key=lambda sim: (sim.free(), sim.is_bound())).submit(delivery)

    def ask_for(self, smsc_ids: Sequence[tuple[str, str, int]]) -> None:
        """See `AsksForReceipts.ask_for`. Each telephone is asked: one knows the message."""
        for sims in self._lines:
            sims[0].ask_for(smsc_ids)

    async def run(self, sink: Sink) -> None:
        """See `Upstream.run`."""
        async with asyncio.TaskGroup() as group:
            for sim in self._sims:
                group.create_task(sim.run(sink))
            for number, sims in enumerate(self._lines if self._address else ()):
                group.create_task(self._register(number, sims[0]))

    async def _register(self, number: int, sim: HttpUpstream) -> None:
        """Keep the webhooks of a telephone registered."""
        phone, options = self._phones.phones[number][0], sim.provider.options
        address = f"{self._address}?phone={number}"
        failures = 0
        while True:
            try:
                for event in EVENTS:
                    answer = await sim.exchange(phone.webhook(event, address))
                    if answer.status not in (200, 201):
                        raise InvalidAnswerError(f"its status is {answer.status}")
                failures = 0
                log.info("webhooks registered", extra={"upstream": self.name, "phone": number})
                await asyncio.sleep(_AGAIN)
            except Exception as error:
                failures += 1
                facts = {"upstream": self.name, "phone": number, **error_facts(error)}
                log.warning("webhooks not registered", extra=facts)
                wait = pause(failures, options.reconnect_delay, options.reconnect_delay_max)
                await asyncio.sleep(spread(wait))


def provider(url: str) -> Phones:
    """The telephones that a URL of the settings describes; ValueError as `options_from_url`."""
    return Phones(options_from_url(url))


def _verify(push: Push, key: str) -> None:
    """PushError (403) unless a push is signed with this key, and was not signed long ago."""
    timestamp = push.headers.get("x-timestamp", "")
    right = hmac.new(key.encode(), push.body + timestamp.encode(), hashlib.sha256).hexdigest()
    given = push.headers.get("x-signature", "").lower()
    is_ours = hmac.compare_digest(given.encode(), right.encode())
    is_fresh = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12
    if not is_ours or not is_fresh or abs(push.at - 1_000 * int(timestamp)) > TOLERANCE:
        raise PushError(403, "the signature is wrong or old")


def _message(answer: Answer) -> str:
    """The `message` of an error; empty for a body that is no error of the app's."""
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    message = told.get("message") if isinstance(told, dict) else ""
    return message if isinstance(message, str) else ""


def _own(sims: Sequence[PhoneOptions], sim: int | None) -> str:
    """The number of the SIM that got a message, as the options have it."""
    known = {each.sim: each.number for each in sims}
    return known.get(sim or 0) or (sims[0].number if len(sims) == 1 else "") or f"sim{sim or 0}"


def _moment(payload: dict[str, Any]) -> int:
    """When the telephone came to know a state, Unix milliseconds; 0 where that is not told."""
    names = "sentAt", "deliveredAt", "failedAt", "cancelledAt"
    told = next((payload[name] for name in names if name in payload), None)
    with suppress(ValueError, TypeError):
        return read_iso(told or "")
    return 0


def _webhook_id(event: str, address: str) -> str:
    """The same at each registration; the secret in the address is no part of it."""
    parts = urlsplit(address)
    upstream = parts.path.rpartition("/")[0]
    told = f"{parts.netloc}{upstream}?{parts.query} {event}"
    return f"sendsmsnow-{hashlib.sha256(told.encode()).hexdigest()[:20]}"
