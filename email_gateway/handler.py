"""Handles a mail: finds its account and its text, and hands them to the backend."""

import asyncio
import logging

from aiosmtpd.smtp import Envelope, TLSSetupException
from aiosmtpd.smtp import Session as SmtpSession

from sms_gateway.backend import MailBackend, MailChoices, Reply, Submission, content_key
from sms_gateway.codes import Code
from sms_gateway.log import log_error

from .answers import answer
from .automatic import Automatic, automatic
from .limits import Limits
from .mail import Mail, read
from .mime import part
from .session import Connection, MailEnvelope
from .subject import refuse_letters
from .unreadable import UnreadableMailError

log = logging.getLogger(__name__)

# aiosmtpd's word for the null sender.
_NULL = "<>"
_TOO_FAST = "451 4.7.1 Too many mails from your network, try again later"
_UNKNOWN = "550 5.1.1 No such address"
_AUTOMATIC = (
    "An automatic mail, or one to a list, becomes no SMS; the key may allow alerts: key set NAME "
    "--mail-machines on"
)
_AWAY = "451 4.3.0 Cannot be told now, try again later"


class Handler:
    """aiosmtpd's hooks: `handle_` and the command."""

    def __init__(
        self, backend: MailBackend, limits: Limits, *, domain: str, backend_timeout: float
    ) -> None:
        self._backend = backend
        self._limits = limits
        self._domain = domain.lower()
        self._backend_timeout = backend_timeout

    async def handle_EHLO(
        self,
        server: Connection,
        session: SmtpSession,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        """Greet. There is nobody to log in as, so AUTH is not offered."""
        session.host_name = hostname
        return [line for line in responses if not line.startswith("250-AUTH")]

    async def handle_MAIL(
        self,
        server: Connection,
        session: SmtpSession,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Begin a mail, as often as the network may."""
        if not self._admits(server):
            return _TOO_FAST
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self,
        server: Connection,
        session: SmtpSession,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Take one address. DATA has one answer, so a second address is for another mail."""
        local, _, domain = address.rpartition("@")
        if local and domain.lower() != self._domain:
            return "550 5.7.1 Relaying denied"
        if not (local.isascii() and local.isalnum()):
            return _UNKNOWN
        try:
            async with asyncio.timeout(self._backend_timeout):
                choices = await self._backend.knows(local)
        except Exception as error:
            log_error(log, "address cannot be looked up", error)
            return _AWAY
        if choices is None:
            # Each unknown address counts as a mail of its network: guessing uses up the allowance.
            self._admits(server)
            return _UNKNOWN
        if envelope.rcpt_tos and envelope.rcpt_tos != [local]:
            return "452 4.5.3 One address a mail, send it again for the others"
        envelope.rcpt_tos[:] = [local]
        assert isinstance(envelope, MailEnvelope)
        envelope.choices = choices
        return "250 2.1.5 OK"

    async def handle_DATA(
        self, server: Connection, session: SmtpSession, envelope: Envelope
    ) -> str:
        """Send what a mail says as an SMS; the answer is what the backend replies."""
        (address,) = envelope.rcpt_tos
        content = envelope.original_content or b""
        sender = envelope.mail_from or ""
        sender = "" if sender == _NULL else sender
        assert isinstance(envelope, MailEnvelope)
        choices = envelope.choices
        try:
            # Megabytes of HTML take their time, and others need not wait for it.
            found = await asyncio.to_thread(_read, content, sender, choices)
        except UnreadableMailError as unreadable:
            reply = Reply(Code.NOT_SENT, note=str(unreadable))
        else:
            if isinstance(found, Automatic):
                return _without_sms(found, address)
            reply = await self._send(address, sender, found)
        facts = {"address": _masked(address), "error": int(reply.error), "message_id": reply.id}
        log.info("mail answered", extra=facts)
        return answer(reply)

    async def handle_exception(self, error: Exception) -> str:
        """Answer for what nobody expected."""
        if isinstance(error, TLSSetupException):
            # The client's doing, as whoever knocks at the port can have it; the connection ends.
            log.info("STARTTLS failed", extra={"error": type(error.__cause__ or error)})
            return ""
        log_error(log, "mail failed", error)
        return answer(Reply(Code.INTERNAL))

    async def _send(self, address: str, sender: str, mail: Mail) -> Reply:
        key = content_key(mail.id, mail.recipients, mail.text) if mail.id else ""
        try:
            async with asyncio.timeout(self._backend_timeout):
                submission = Submission(mail.recipients, mail.text, idempotency_key=key)
                return await self._backend.sendmail(address, sender, submission)
        except TimeoutError:
            return Reply(Code.TIMED_OUT)

    def _admits(self, server: Connection) -> bool:
        now = asyncio.get_running_loop().time()
        return self._limits.admit(server.network or "", now)


def _read(content: bytes, sender: str, choices: MailChoices) -> Mail | Automatic:
    whole = part(content)
    found = automatic(whole, sender, machines=choices.machines)
    if found is not None:
        return found
    mail = read(whole, body_as_it_is=choices.body_as_it_is)
    refuse_letters(mail.recipients)
    return mail


def _without_sms(found: Automatic, address: str) -> str:
    log.info("mail without SMS", extra={"address": _masked(address), "because": found.value})
    if found is Automatic.DISCARD:
        return "250 2.0.0 Discarded: an automatic answer becomes no SMS"
    return answer(Reply(Code.NOT_SENT, note=_AUTOMATIC))


def _masked(address: str) -> str:
    """An account's address for the log, cut: the whole address is a secret that lets one send."""
    return f"…{address[-4:]}" if len(address) > 8 else "…"
