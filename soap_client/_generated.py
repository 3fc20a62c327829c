"""The service of sendSmsNow.wsdl in types.

Written by `python -m soap_client.generate`, not by hand.
"""

from dataclasses import dataclass
from typing import Any

SERVICE = "sendSmsNow"
PORT = "sendSmsNowPort"
BINDING = "{urn:sendSmsNow}sendSmsNowBinding"


def _int(value: int | None) -> int:
    if value is None:
        raise ValueError("the answer lacks a number")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class SendSmsResult:
    """The type `SendSmsResult` of the WSDL, field by field."""

    error: int
    sent: int
    id: str


def _send_sms_result(answer: Any) -> SendSmsResult:
    if answer is None:
        raise ValueError("the answer lacks its SendSmsResult")
    return SendSmsResult(
        error=_int(answer.error),
        sent=_int(answer.sent),
        id=answer.id or "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """The type `ReceivedMessage` of the WSDL, field by field."""

    id: int
    from_: str
    to: str
    message: str
    received: str


def _received_message(answer: Any) -> ReceivedMessage:
    if answer is None:
        raise ValueError("the answer lacks its ReceivedMessage")
    return ReceivedMessage(
        id=_int(answer.id),
        from_=answer["from"] or "",
        to=answer.to or "",
        message=answer.message or "",
        received=answer.received or "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSmsResult:
    """The type `GetSmsResult` of the WSDL, field by field."""

    error: int
    messages: tuple[ReceivedMessage, ...]


def _get_sms_result(answer: Any) -> GetSmsResult:
    if answer is None:
        raise ValueError("the answer lacks its GetSmsResult")
    return GetSmsResult(
        error=_int(answer.error),
        messages=tuple(_received_message(each) for each in answer.messages or ()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The type `Step` of the WSDL, field by field."""

    at: str
    part: int
    event: str
    detail: str


def _step(answer: Any) -> Step:
    if answer is None:
        raise ValueError("the answer lacks its Step")
    return Step(
        at=answer.at or "",
        part=_int(answer.part),
        event=answer.event or "",
        detail=answer.detail or "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The type `Delivery` of the WSDL, field by field."""

    recipient: str
    state: str
    steps: tuple[Step, ...]


def _delivery(answer: Any) -> Delivery:
    if answer is None:
        raise ValueError("the answer lacks its Delivery")
    return Delivery(
        recipient=answer.recipient or "",
        state=answer.state or "",
        steps=tuple(_step(each) for each in answer.steps or ()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GetStatusResult:
    """The type `GetStatusResult` of the WSDL, field by field."""

    error: int
    state: str
    accepted: str
    parts: int
    deliveries: tuple[Delivery, ...]


def _get_status_result(answer: Any) -> GetStatusResult:
    if answer is None:
        raise ValueError("the answer lacks its GetStatusResult")
    return GetStatusResult(
        error=_int(answer.error),
        state=answer.state or "",
        accepted=answer.accepted or "",
        parts=_int(answer.parts),
        deliveries=tuple(_delivery(each) for each in answer.deliveries or ()),
    )


class Operations:
    """The operations; `service` is a zeep ServiceProxy."""

    def __init__(self, service: Any) -> None:
        self._service = service

    def send_sms(self, *, recipients: str, message: str, apikey: str) -> SendSmsResult:
        """recipients: phone numbers separated by commas; message: text; apikey: account key."""
        answer = self._service.sendSms(
            recipients=recipients,
            message=message,
            apikey=apikey,
        )
        return _send_sms_result(answer)

    def resend_sms(self, *, apikey: str, id: str) -> SendSmsResult:
        """apikey: account key; id: of a message, to be sent where it was not sent yet."""
        answer = self._service.resendSms(
            apikey=apikey,
            id=id,
        )
        return _send_sms_result(answer)

    def get_sms(self, *, apikey: str, after: int, limit: int) -> GetSmsResult:
        """apikey: account key; after: the last id seen, or 0; limit: how many at most, or 0."""
        answer = self._service.getSms(
            apikey=apikey,
            after=after,
            limit=limit,
        )
        return _get_sms_result(answer)

    def get_status(self, *, apikey: str, id: str) -> GetStatusResult:
        """apikey: account key; id: of a message."""
        answer = self._service.getStatus(
            apikey=apikey,
            id=id,
        )
        return _get_status_result(answer)


class AsyncOperations:
    """The operations; `service` is a zeep AsyncServiceProxy."""

    def __init__(self, service: Any) -> None:
        self._service = service

    async def send_sms(self, *, recipients: str, message: str, apikey: str) -> SendSmsResult:
        """recipients: phone numbers separated by commas; message: text; apikey: account key."""
        answer = await self._service.sendSms(
            recipients=recipients,
            message=message,
            apikey=apikey,
        )
        return _send_sms_result(answer)

    async def resend_sms(self, *, apikey: str, id: str) -> SendSmsResult:
        """apikey: account key; id: of a message, to be sent where it was not sent yet."""
        answer = await self._service.resendSms(
            apikey=apikey,
            id=id,
        )
        return _send_sms_result(answer)

    async def get_sms(self, *, apikey: str, after: int, limit: int) -> GetSmsResult:
        """apikey: account key; after: the last id seen, or 0; limit: how many at most, or 0."""
        answer = await self._service.getSms(
            apikey=apikey,
            after=after,
            limit=limit,
        )
        return _get_sms_result(answer)

    async def get_status(self, *, apikey: str, id: str) -> GetStatusResult:
        """apikey: account key; id: of a message."""
        answer = await self._service.getStatus(
            apikey=apikey,
            id=id,
        )
        return _get_status_result(answer)
