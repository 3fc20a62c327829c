"""The SOAP face with a backend that records what it is given; in this process or under gunicorn."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sms_gateway.backend import (
    Backend,
    DeliveryStatus,
    Inbox,
    MessageStatus,
    OnReply,
    ReceivedMessage,
    Reply,
    Step,
    Submission,
    call_back,
)
from sms_gateway.codes import Code
from sms_gateway.web.app import by_request_line
from sms_gateway.web.express import Application
from soap_server import SoapApp

from .backends import code
from .serving import Server, serve

ENDPOINT = "/sendsms/soap/"
WSDL = "/sendsms/wsdl/sendSmsNow.wsdl"
ID = "0190a7b2c3d47e5f8a9b0c1d2e3f4a5b"


#: Why something is refused, with what a header cannot hold.
NOTE = "Number 2 of 3 is 100 % wrong: ß\r\nX-Evil: yes 😀"

#: 2026-01-02 03:04:05.678 UTC.
AT = 1_767_323_045_678
#: Longer than any one answer is to be.
INBOX = tuple(
    ReceivedMessage(2**40 + n, "+32494000000", "+32490000000", f"{n}: Grüße €, 😀, & < >", AT + n)
    for n in range(3000)
)
STATUS = MessageStatus(
    Reply(Code.SENT, 2, ID),
    state="delivered",
    accepted_at=AT,
    parts=2,
    deliveries=(
        DeliveryStatus(
            "+32494000000",
            "delivered",
            (Step(AT, 1, "submitted", "id <1>"), Step(AT + 1, 0, "delivered", "")),
        ),
        DeliveryStatus("+32494000001", "delivered", ()),
    ),
)


class RecordingBackend(Backend):
    """Checks what every gateway checks first, then takes the message.

    An API key `code-N` is answered with code N, `busy` with 30 and seven seconds to wait, `odd`
    with what XML cannot hold; with `fails` it raises what holds all that it was given.
    """

    def __init__(self, journal: Path | None = None) -> None:
        self.calls: list[Submission] = []
        self._last_was_at_once = False
        self._journal = journal

    def submit(self, submission: Submission, on_reply: OnReply) -> None:
        """See `Backend.submit`; replies at once and later in turn."""
        reply = self._send(submission)
        self._last_was_at_once = not self._last_was_at_once
        if self._last_was_at_once:
            on_reply(reply)
        else:
            call_back(_later(reply), on_reply)

    def _send(self, submission: Submission) -> Reply:
        self.calls.append(submission)
        if self._journal:
            with self._journal.open("a") as journal:
                journal.write(json.dumps(submission) + "\n")
        return self._reply(submission)

    async def resendsms(self, apikey: str, id: str) -> Reply:
        return self._known(apikey, id) or Reply(Code.SENT, 2, id)

    async def getsms(self, apikey: str, *, after: int = 0, limit: int = 100) -> Inbox:
        if reply := self._known(apikey, ID):
            return Inbox(reply)
        if not (0 <= after < 2**63 and 0 <= limit <= 1000):
            return Inbox(Reply(Code.NOT_SENT))
        return Inbox(Reply(Code.SENT), tuple(m for m in INBOX if m.id > after)[:limit])

    async def status(self, apikey: str, id: str) -> MessageStatus:
        reply = self._known(apikey, id)
        return MessageStatus(reply) if reply else STATUS

    async def deletesms(
        self, apikey: str, *, id: str | None = None, before: int | None = None
    ) -> Reply:
        reply = self._known(apikey, ID if id is None else id)
        return reply or Reply(Code.SENT, 1)

    def _known(self, apikey: str, id: str) -> Reply | None:
        """Why a request about a message is refused, or None."""
        reply = self._reply(Submission("1", "-", apikey))
        if reply.error:
            return reply
        return None if id == ID else Reply(Code.ID_UNKNOWN if id else Code.ID_MISSING)

    def _reply(self, call: Submission) -> Reply:
        if not call.apikey:
            return Reply(Code.KEY_MISSING)
        if call.apikey.startswith("code-"):
            return Reply(code(int(call.apikey.removeprefix("code-"))))
        if call.apikey == "noted":
            return Reply(Code.NOT_SENT, note=NOTE)
        if call.apikey == "busy":
            return Reply(Code.INTERNAL, retry_after=7)
        if call.apikey == "odd":
            return Reply(Code.SENT, 1, "\0<&>\ud800\ufffe]]>")
        if call.apikey == "fails":
            raise RuntimeError(f"cannot send {call}")
        numbers = call.recipients.replace(" ", "").split(",")
        if not call.message or not all(each.lstrip("+").isdecimal() for each in numbers):
            return Reply(Code.NOT_SENT)
        return Reply(Code.SENT, len(numbers), ID)


async def _later(reply: Reply) -> Reply:
    return reply


def app(journal: str, public_url: str) -> Application:
    """For gunicorn: the calls go to a file, as they are made in another process."""
    backend = RecordingBackend(Path(journal))
    soap = SoapApp(backend, public_url)
    entries = by_request_line({("POST", ENDPOINT): soap.answer})
    return Application(soap, entries, soap.unreadable)


@dataclass(frozen=True, slots=True)
class Face:
    """A SOAP face under gunicorn."""

    server: Server
    journal: Path

    @property
    def endpoint(self) -> str:
        return self.server.url + ENDPOINT

    def calls(self) -> list[Submission]:
        """All that the backend was given so far."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return [Submission(*json.loads(line)) for line in lines]


@contextmanager
def soap_face(directory: Path, public_url: str = "http://localhost:8000") -> Iterator[Face]:
    """A running SOAP face; its files go to `directory`."""
    journal = directory / "calls"
    with serve(f"support.soap_face:app({str(journal)!r}, {public_url!r})") as server:
        yield Face(server, journal)
