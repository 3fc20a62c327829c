"""A client of the service, made from its WSDL: `SmsClient("key").send("+32494000000", "Hello")`."""

from ._generated import Delivery, GetStatusResult, ReceivedMessage, SendSmsResult, Step
from .client import AsyncSmsClient, SmsClient
from .errors import SmsError

__all__ = [
    "AsyncSmsClient",
    "Delivery",
    "GetStatusResult",
    "ReceivedMessage",
    "SendSmsResult",
    "SmsClient",
    "SmsError",
    "Step",
]
