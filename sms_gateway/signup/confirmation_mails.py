"""Sends the mails that confirm an address, through the configured SMTP relay."""

import asyncio
import logging
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Self
from urllib.parse import unquote, urlsplit

from ..backoff import pause
from ..log import log_error
from ..moments import now
from ..network.errors import explain
from ..store import Store, key_requests
from ..store.key_requests import KeyRequest
from ..words import words
from .requests import LINK_LASTS, is_known
from .sessions import new_token, token_hash

log = logging.getLogger(__name__)

_TIMEOUT = 30.0
#: Lease of a mail that a process is sending, milliseconds.
_LEASE = 5 * 60_000
_HOUR = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """The SMTP relay that takes our mails."""

    host: str
    port: int
    #: TLS from the first octet; otherwise STARTTLS where it is offered.
    tls: bool
    user: str
    password: str

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read `smtp://USER:PASSWORD@HOST:PORT`, or smtps."""
        parts = urlsplit(url)
        tls = parts.scheme == "smtps"
        return cls(
            host=parts.hostname or "",
            port=parts.port or (465 if tls else 587 if parts.username else 25),
            tls=tls,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )

    def send(self, mail: EmailMessage) -> None:
        """Hand over a mail; OSError or SMTPException when the relay does not take it."""
        context = ssl.create_default_context()
        if self.tls:
            session: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=_TIMEOUT, context=context
            )
        else:
            session = smtplib.SMTP(self.host, self.port, timeout=_TIMEOUT)
        with session:
            session.ehlo()
            if not self.tls and session.has_extn("starttls"):
                session.starttls(context=context)
                session.ehlo()
            if self.user:
                if not self.tls and not isinstance(session.sock, ssl.SSLSocket):
                    raise smtplib.SMTPNotSupportedError("the relay has no TLS for the password")
                session.login(self.user, self.password)
            session.send_message(mail)


class Postman:
    """Sends the mails that are due; any number of processes may have a postman."""

    def __init__(
        self,
        store: Store,
        relay: Relay,
        *,
        sender: str,
        public_url: str,
        fold_plus: bool = True,
        poll: float = 1.0,
        clock: Callable[[], int] = now,
    ) -> None:
        """`sender`: the From address of the mails. `fold_plus`: see `Signup`. `poll` is in
        seconds."""
        self._store = store
        self._relay = relay
        self._sender = sender
        self._public_url = public_url
        self._fold_plus = fold_plus
        self._poll = poll
        self._clock = clock

    async def run(self) -> None:
        """Send mails until cancelled."""
        while True:
            try:
                if await asyncio.to_thread(self.send_one):
                    continue
            except Exception as error:
                log_error(log, "postman failed", error)
            await asyncio.sleep(self._poll)

    def send_one(self) -> bool:
        """Send the next mail that is due; False when there is none.

        The link is made now, so that only its digest is ever stored. A mail whose outcome is
        unknown is sent again, with a new link; the link before is then invalid.
        """
        token, now = new_token(), self._clock()
        with self._store.write() as connection:
            request = key_requests.due(connection, now)
            if request is None:
                return False
            known = is_known(connection, request.address, self._fold_plus)
            key_requests.trying(
                connection, request.id, token_hash=token_hash(token), again_at=now + _LEASE
            )
        mail = self._known(request) if known else self._confirm(request, token)
        failure, again_at = "", None
        try:
            self._relay.send(mail)
        except smtplib.SMTPRecipientsRefused as error:
            # 5xx is a permanent refusal (RFC 5321, section 4.2.1).
            status = max(code for code, _ in error.recipients.values())
            failure = f"the relay refused the address ({status})"
            again_at = None if status >= 500 else self._later(request)
        except smtplib.SMTPException as error:
            failure, again_at = type(error).__name__, self._later(request)
        except OSError as error:
            failure = f"the relay is not reached: {explain(error).what}"
            again_at = self._later(request)
        facts = {"request": request.id, "attempt": request.attempts + 1}
        if failure:
            log.warning("mail not sent", extra={**facts, "why": failure})
        else:
            log.info("mail sent", extra=facts)
        with self._store.write() as connection:
            key_requests.mailed(connection, request.id, failure=failure, again_at=again_at)
        return True

    def _later(self, request: KeyRequest) -> int:
        # Half a minute, doubling to an hour, until the request expires.
        return self._clock() + int(pause(request.attempts + 1, 30_000, _HOUR))

    def _confirm(self, request: KeyRequest, token: str) -> EmailMessage:
        _ = words(request.language).gettext
        link = f"{self._public_url}/apikey/confirm/{token}"
        text = (
            _("Somebody, we hope you, asked for a free API key for this address."),
            _("Open this link within %(hours)d hours and confirm, and you get it:")
            % {"hours": LINK_LASTS // _HOUR},
            link,
            _("If it was not you, do nothing: no key is made, and no other mail comes."),
        )
        return self._mail(request, _("Confirm your address for a free API key"), text)

    def _known(self, request: KeyRequest) -> EmailMessage:
        _ = words(request.language).gettext
        text = (
            _("Somebody, we hope you, asked for a free API key for this address."),
            _("There is a key for it already, and nothing has changed."),
            _("If you have lost it, ask the operator of this service for a new one:"),
            f"{self._public_url}/",
        )
        return self._mail(request, _("You have an API key already"), text)

    def _mail(self, request: KeyRequest, subject: str, text: tuple[str, ...]) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = self._sender
        mail["To"] = request.address
        mail["Subject"] = subject
        mail["Date"] = formatdate(self._clock() / 1_000)
        mail["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2].rstrip(">"))
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834, section 5
        mail["Content-Language"] = request.language
        mail.set_content("\n\n".join(text) + "\n")
        return mail
