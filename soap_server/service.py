"""The service: its operations, each handed on to the backend.

An operation added here is served and described; its types are in `types`, what reads and writes
them in `protocol`.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from spyne import Service, rpc

from sms_gateway.backend import Backend, Reply, content_key
from sms_gateway.codes import Code

from .failures import log_failure
from .headers import Addressing
from .types import SendSmsResult, String
from .versions import SOAP11, Version

#: The name of the service, of its port type, and the start of its actions.
NAME = "sendSmsNow"
PORT_TYPE = "sendSmsNowPortType"


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request and its answer: what is beside the operation's own parameters and result."""

    backend: Backend
    #: HTTP headers of the request, as they came.
    content_type: str = ""
    content_encoding: str = ""
    idempotency_key: str = ""
    #: A password that came by HTTP Basic or WS-Security; it may be the API key.
    password: str = ""
    #: The version to answer in.
    version: Version = SOAP11
    addressing: Addressing | None = None
    #: Seconds to put into the answer's Retry-After; 0 for none.
    retry_after: int = 0

    def idempotency(self, recipients: str, message: str) -> str:
        """The key under which a repeat of this request with this content is known; or empty.

        What the HTTP header says counts before the name that WS-Addressing gives the message.
        """
        if not self.idempotency_key and self.addressing and self.addressing.message_id:
            return content_key(self.addressing.message_id, recipients, message)
        return self.idempotency_key

    async def reply(self, call: Awaitable[Reply]) -> Reply:
        """What the backend replies; code 30 if it fails, which it is not to do."""
        try:
            reply = await call
        except Exception as error:
            log_failure("backend failed", error)
            return Reply(Code.INTERNAL)
        self.retry_after = reply.retry_after
        return reply


Result = SendSmsResult.customize(min_occurs=1, nillable=False)


class SmsService(Service):  # type: ignore[misc]
    """What can be called. spyne calls it and gets a coroutine; the transport awaits that."""

    __service_name__ = NAME
    __port_types__ = (PORT_TYPE,)

    @rpc(  # type: ignore[untyped-decorator]
        String,
        String,
        String,
        _returns=Result,
        _out_variable_name="return",
        _port_type=PORT_TYPE,
    )
    async def sendSms(context: Any, recipients: str, message: str, apikey: str) -> Reply:
        """recipients: phone numbers separated by commas; message: text; apikey: account key."""
        exchange: Exchange = context.udc
        return await exchange.reply(
            exchange.backend.sendsms(
                recipients,
                message,
                apikey.strip() or exchange.password,
                idempotency_key=exchange.idempotency(recipients, message),
            )
        )
