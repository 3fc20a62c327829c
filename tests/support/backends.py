"""What several of the backends of tests have in common."""

from sms_gateway.backend import Backend, Inbox, MessageStatus, Reply
from sms_gateway.codes import Code


def code(number: int) -> Code:
    """The reply code with this number. A type checker reads `Code(number)` as a new member."""
    return next(each for each in Code if each == number)


class OnlySends(Backend):
    """The operations of a `Backend` besides sending, where a test is about sending alone: there is
    no message and nothing came in."""

    async def resendsms(self, apikey: str, id: str) -> Reply:
        return Reply(Code.ID_UNKNOWN)

    async def getsms(self, apikey: str, *, after: int = 0, limit: int = 100) -> Inbox:
        return Inbox(Reply(Code.SENT))

    async def status(self, apikey: str, id: str) -> MessageStatus:
        return MessageStatus(Reply(Code.ID_UNKNOWN))

    async def deletesms(
        self, apikey: str, *, id: str | None = None, before: int | None = None
    ) -> Reply:
        return Reply(Code.ID_UNKNOWN)
