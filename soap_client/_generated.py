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
    error: int
    sent: int
    id: str


def _send_sms_result(answer: Any) -> SendSmsResult:
    if answer is None:
        raise ValueError("the answer lacks its result")
    return SendSmsResult(
        error=_int(answer.error),
        sent=_int(answer.sent),
        id=answer.id or "",
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
