"""A request on its way to the queue: what passed the checks, and what did not."""

from typing import NamedTuple

from ..accounts import Account
from ..backend import Reply
from ..codes import Code
from ..errors import GatewayError
from ..routing.routes import Route
from ..sms.address import Address
from ..sms.encoding import Encoding


class RefusedError(GatewayError):
    """A request that is answered with a code other than 0."""

    def __init__(self, code: Code, note: str = "", *, for_operator: str = "") -> None:
        """`for_operator`: the reason for the command line, where the reply says less."""
        super().__init__(code.name)
        self.reply = Reply(code, note=note)
        self.for_operator = for_operator or note or code.sentence


class Request(NamedTuple):
    """A request that passed all checks that need no transaction."""

    account: Account
    message_id: str
    #: Each recipient with its route, and the parts that the text takes there.
    recipients: tuple[tuple[Address, Route, int], ...]
    text: str
    encoding: Encoding
    parts: int
    #: The sender ID, and the name that the caller gave the message.
    sender: str
    reference: str
    #: The digests of its idempotency key and its content. None without a key, or when the key
    #: contains the message's id.
    repeat: tuple[bytes, bytes] | None
    #: Whether its idempotency key contains the id of the message.
    is_named: bool
    #: Unix milliseconds.
    now: int
    #: See `Submission`.
    hops: int
    priority: int
