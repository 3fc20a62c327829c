"""Defines the operations of the service, which call the backend.

An operation that is added here is served, and is in the WSDL. Its types are in `types`; `protocol`
reads and writes them.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from spyne import Service, rpc

from sms_gateway.backend import Backend, Inbox, MessageStatus, Reply, Submission, content_key
from sms_gateway.codes import Code
from sms_gateway.log import log_error
from sms_gateway.moments import iso

from . import types
from .headers import Addressing
from .types import GetSmsResult, GetStatusResult, Int, Long, SendSmsResult, String
from .versions import SOAP11, Version

log = logging.getLogger("soap_server")

#: The name of the service, of its port type, and the start of its actions.
NAME = "sendSmsNow"
PORT_TYPE = "sendSmsNowPortType"

#: The limit of received messages when the request has none (0).
USUAL_LIMIT = 100

_Answer = TypeVar("_Answer", Reply, Inbox, MessageStatus)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """The facts of a request and its answer besides the parameters and the result."""

    backend: Backend
    #: This and the next two are HTTP headers of the request.
    content_type: str = ""
    content_encoding: str = ""
    idempotency_key: str = ""
    #: The password of HTTP Basic or WS-Security, which may be the API key.
    password: str = ""
    #: The SOAP version of the answer.
    version: Version = SOAP11
    addressing: Addressing | None = None
    #: The namespace of the Security header that has a Timestamp; empty when there is none.
    timestamped: str = ""
    #: The Retry-After of the answer, seconds; 0 for none.
    retry_after: int = 0
    #: The note of the reply, for which the result has no field; empty for none.
    note: str = ""

    def idempotency(self, recipients: str, message: str) -> str:
        """The idempotency key of this request with this content; empty for none.

        The HTTP header takes precedence over the MessageID of WS-Addressing.
        """
        if not self.idempotency_key and self.addressing and self.addressing.message_id:
            return content_key(self.addressing.message_id, recipients, message)
        return self.idempotency_key

    def key(self, apikey: str) -> str:
        """The API key of a call: its parameter, or else the password."""
        return apikey.strip() or self.password.strip()

    async def answer(
        self, call: Awaitable[_Answer], without: Callable[[Reply], _Answer]
    ) -> _Answer:
        """Await the answer of the backend, and keep its note and `retry_after`.

        A backend should not raise. If it does, the answer has code 30.
        """
        try:
            answer = await call
        except Exception as error:
            log_error(log, "backend failed", error)
            answer = without(Reply(Code.INTERNAL))
        reply = answer if isinstance(answer, Reply) else answer.reply
        self.retry_after, self.note = reply.retry_after, reply.note
        return answer


def operation(*parameters: Any, result: Any) -> Any:
    """The decorator of spyne for an operation of the contract."""
    return rpc(
        *parameters,
        _returns=types.one(result),
        _out_variable_name="return",
        _port_type=PORT_TYPE,
    )


class SmsService(Service):  # type: ignore[misc]
    """The operations. spyne calls one and gets a coroutine, which the transport awaits."""

    __service_name__ = NAME
    __port_types__ = (PORT_TYPE,)

    @operation(String, String, String, result=SendSmsResult)  # type: ignore[untyped-decorator]
    async def sendSms(context: Any, recipients: str, message: str, apikey: str) -> Reply:
        """recipients: phone numbers separated by commas; message: text; apikey: account key."""
        exchange: Exchange = context.udc
        key, repeat = exchange.key(apikey), exchange.idempotency(recipients, message)
        submission = Submission(recipients, message, key, repeat)
        return await exchange.answer(exchange.backend.sendsms(submission), itself)

    @operation(String, String, result=SendSmsResult)  # type: ignore[untyped-decorator]
    async def resendSms(context: Any, apikey: str, id: str) -> Reply:
        """apikey: account key; id: of a message, to be sent where it was not sent yet."""
        exchange: Exchange = context.udc
        return await exchange.answer(
            exchange.backend.resendsms(exchange.key(apikey), id.strip()), itself
        )

    @operation(String, Long, Int, result=GetSmsResult)  # type: ignore[untyped-decorator]
    async def getSms(context: Any, apikey: str, after: int, limit: int) -> Any:
        """apikey: account key; after: the last id seen, or 0; limit: how many at most, or 0."""
        exchange: Exchange = context.udc
        return _received(
            await exchange.answer(
                exchange.backend.getsms(
                    exchange.key(apikey), after=after, limit=limit or USUAL_LIMIT
                ),
                Inbox,
            )
        )

    @operation(String, String, result=GetStatusResult)  # type: ignore[untyped-decorator]
    async def getStatus(context: Any, apikey: str, id: str) -> Any:
        """apikey: account key; id: of a message."""
        exchange: Exchange = context.udc
        return _status(
            await exchange.answer(
                exchange.backend.status(exchange.key(apikey), id.strip()), MessageStatus
            )
        )


def itself(reply: Reply) -> Reply:
    return reply


def _received(inbox: Inbox) -> GetSmsResult:
    return GetSmsResult(
        error=inbox.reply.error,
        messages=[
            types.ReceivedMessage(
                id=message.id,
                to=message.recipient,
                message=message.text,
                received=iso(message.received_at),
                **{"from": message.sender},
            )
            for message in inbox.messages
        ],
    )


def _status(status: MessageStatus) -> GetStatusResult:
    return GetStatusResult(
        error=status.reply.error,
        state=status.state,
        accepted=iso(status.accepted_at) if status.accepted_at else "",
        parts=status.parts,
        deliveries=[
            types.Delivery(
                recipient=delivery.recipient,
                state=delivery.state,
                steps=[
                    types.Step(
                        at=iso(step.at), part=step.part, event=step.event, detail=step.detail
                    )
                    for step in delivery.steps
                ],
            )
            for delivery in status.deliveries
        ],
    )
