"""A client of the service, made from its WSDL: `SmsClient("key").send("+32494000000", "Hello")`."""

from ._generated import SendSmsResult
from .client import AsyncSmsClient, SmsClient
from .errors import SmsError

__all__ = ["AsyncSmsClient", "SendSmsResult", "SmsClient", "SmsError"]
