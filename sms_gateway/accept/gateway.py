"""Implements the Backend in process: accepts, resends, reads and deletes for an account."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial

from ..accounts import Account
from ..backend import (
    MOST_RECEIVED,
    DeliveryStatus,
    Inbox,
    MailChoices,
    MessageStatus,
    OnReply,
    PageBackend,
    ReceivedMessage,
    Reply,
    Step,
    Submission,
    awaited,
    call_back,
)
from ..caps import NO_CAPS, OperatorCaps
from ..codes import Code
from ..log import log_error
from ..moments import iso, now
from ..routing.routes import Routes
from ..store import (
    ClockError,
    GroupCommit,
    OutcomeUnknownError,
    OverdueError,
    QueueFullError,
    Store,
    audit,
    erase,
    history,
    inbox,
)
from ..store.audit import Action
from . import known_accounts
from .known_accounts import Credential, KnownAccounts
from .request import RefusedError, Request
from .rules import Acceptance

log = logging.getLogger(__name__)


# Unix milliseconds; ISO 8601 ends with the year 9999.
_YEAR_10000 = 253_402_300_800_000


class Gateway(PageBackend):
    """The Backend in process. Use `start` on the running loop first, and `aclose` at the end."""

    def __init__(
        self,
        store: Store,
        routes: Routes,
        *,
        default_region: str | None = None,
        max_parts: int = 10,
        validity: int = 48 * 3_600_000,
        caps: OperatorCaps = NO_CAPS,
        queue_limit: int = 10_000,
        patience: float = math.inf,
        clock: Callable[[], int] = now,
        on_wrong_key: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        """`validity` and the result of `clock` are in milliseconds. `patience`: how long callers
        wait, seconds; a request that has not begun by then is dropped. `on_wrong_key` is awaited
        before an unknown key is refused."""
        self._store = store
        self._rules = Acceptance(
            routes,
            default_region=default_region,
            max_parts=max_parts,
            validity=validity,
            caps=caps,
            clock=clock,
        )
        self._queue_limit = queue_limit
        self._patience = patience
        self._clock = clock
        self._on_wrong_key = on_wrong_key
        self._accounts = KnownAccounts(store, clock)
        self._commits: GroupCommit[Request, Reply | None] | None = None

    async def start(self) -> None:
        """Begin to accept on the running loop."""
        self._commits = GroupCommit(
            self._store, self._rules.accept, limit=self._queue_limit, patience=self._patience
        )

    async def aclose(self) -> None:
        """Write the waiting requests, then stop."""
        if self._commits is not None:
            await self._commits.aclose()

    def submit(self, submission: Submission, on_reply: OnReply) -> None:
        """See `Backend.submit`."""
        if submission.apikey:
            self._submit(known_accounts.by_key(submission.apikey), submission, on_reply)
        else:
            on_reply(Reply(Code.KEY_MISSING))

    def _submit(self, credential: Credential, submission: Submission, on_reply: OnReply) -> None:
        """Submit with the cached account. Without one, or if that is refused, read the account
        again: the cached copy may be out of date."""
        assert self._commits is not None, "start() comes first"
        account = self._accounts.cached(credential)
        if account is not None:
            done = partial(self._on_result, credential, submission, on_reply)
            try:
                self._commits.put(self._rules.check(account, submission), done)
                return
            except RefusedError:
                pass
            except Exception as error:
                on_reply(_failure(error))
                return
        call_back(self._submit_anew(credential, submission), on_reply)

    def _on_result(
        self,
        credential: Credential,
        submission: Submission,
        on_reply: OnReply,
        result: Reply | Exception | None,
    ) -> None:
        if isinstance(result, Reply):
            on_reply(result)
        elif result is not None:
            on_reply(_failure(result))
        else:  # nothing was done, as the cached account is out of date
            call_back(self._submit_anew(credential, submission), on_reply)

    async def _submit_anew(self, credential: Credential, submission: Submission) -> Reply:
        """Submit with the stored account; again, if the account changes meanwhile."""
        assert self._commits is not None, "start() comes first"
        try:
            async with asyncio.timeout(None if self._patience == math.inf else self._patience):
                while True:
                    account = await self._load(credential)
                    try:
                        request = self._rules.check(account, submission)
                    except RefusedError as refused:
                        return await self._refusal(account, submission, refused)
                    reply = await self._commits.submit(request)
                    if reply is not None:
                        return reply
        except TimeoutError:
            return Reply(Code.TIMED_OUT)
        except Exception as error:
            return _failure(error)

    async def knows(self, address: str) -> MailChoices | None:
        """See `MailBackend.knows`."""
        try:
            account = await self._load(known_accounts.by_mail(address))
        except RefusedError:
            return None
        if not account.enabled:
            return None
        return MailChoices(
            body_as_it_is=account.mail_whole, machines=account.takes_mails_of_machines
        )

    async def sendmail(self, address: str, mail_from: str, submission: Submission) -> Reply:
        """See `MailBackend.sendmail`."""
        try:
            credential = known_accounts.by_mail(address)
            account = await self._load(credential)
            if not _may_write(mail_from, account.mail_senders):
                raise RefusedError(Code.NOT_SENT, "This sender may not write to this address")
        except Exception as error:
            return _failure(error)
        return await awaited(self._submit, credential, submission)

    async def resendsms(self, apikey: str, id: str) -> Reply:
        """See `Backend.resendsms`."""
        try:
            return await self._resend_as(_by_key(apikey), id)
        except Exception as error:
            return _failure(error)

    async def resend_for(self, account_id: int, id: str) -> Reply:
        """See `PageBackend.resend_for`."""
        try:
            return await self._resend_as(known_accounts.by_id(account_id), id)
        except Exception as error:
            return _failure(error)

    async def _resend_as(self, credential: Credential, id: str) -> Reply:
        account = await self._fresh(credential)
        if not id:
            raise RefusedError(Code.ID_MISSING)
        return await asyncio.to_thread(self._resend, account, id, self._by())

    async def getsms(self, apikey: str, *, after: int = 0, limit: int = 100) -> Inbox:
        """See `Backend.getsms`."""
        try:
            account = await self._fresh(_by_key(apikey))
            if not 0 <= after < 2**63:
                raise RefusedError(Code.NOT_SENT, "after is not what an answer had as next")
            if not 0 <= limit <= MOST_RECEIVED:
                raise RefusedError(Code.NOT_SENT, f"limit is not 0 to {MOST_RECEIVED}")

            def read() -> list[inbox.Received]:
                with self._store.read() as connection:
                    return inbox.page(connection, account.id, after=after, most=limit)

            messages = tuple(
                ReceivedMessage(m.id, m.sender, m.recipient, m.text, m.received_at)
                for m in await asyncio.to_thread(read)
            )
            return Inbox(Reply(Code.SENT), messages, messages[-1].id if messages else after)
        except Exception as error:
            return Inbox(_failure(error))

    async def status(self, apikey: str, id: str) -> MessageStatus:
        """See `Backend.status`."""
        try:
            account = await self._fresh(_by_key(apikey))
            if not id:
                raise RefusedError(Code.ID_MISSING)

            def read() -> history.MessageHistory | None:
                with self._store.read() as connection:
                    return history.of_message(connection, id)

            found = await asyncio.to_thread(read)
            if found is None or found.account_id != account.id or found.erased:
                raise RefusedError(Code.ID_UNKNOWN)
            return _status(found)
        except Exception as error:
            return MessageStatus(_failure(error))

    async def deletesms(
        self, apikey: str, *, id: str | None = None, before: int | None = None
    ) -> Reply:
        """See `Backend.deletesms`."""
        try:
            return await self._delete_as(_by_key(apikey), id, before)
        except Exception as error:
            return _failure(error)

    async def delete_for(
        self, account_id: int, *, id: str | None = None, before: int | None = None
    ) -> Reply:
        """See `PageBackend.delete_for`."""
        try:
            return await self._delete_as(known_accounts.by_id(account_id), id, before)
        except Exception as error:
            return _failure(error)

    async def _delete_as(self, credential: Credential, id: str | None, before: int | None) -> Reply:
        account = await self._fresh(credential)
        if id == "":
            raise RefusedError(Code.ID_MISSING)
        if before is not None and not 0 <= before < _YEAR_10000:
            raise RefusedError(Code.NOT_SENT, "before is no date or time")
        deleted = await asyncio.to_thread(self._erase, account, id, before, self._by())
        if id and not deleted:
            raise RefusedError(Code.ID_UNKNOWN)
        return Reply(Code.SENT, sent=deleted)

    async def check(self, submission: Submission) -> Reply:
        """See `PageBackend.check`."""
        try:
            account = await self._load(_by_key(submission.apikey))
            try:
                request = self._rules.check(account, submission)
            except RefusedError as refused:
                return await self._refusal(account, submission, refused)
            return await asyncio.to_thread(self._try_out, request)
        except Exception as error:
            return _failure(error)

    def _try_out(self, request: Request) -> Reply:
        reply = _or_busy(self._rules.try_out(self._store, request))
        # The new id belongs to no message: the trial was rolled back.
        return reply._replace(id="") if reply.id == request.message_id else reply

    async def _fresh(self, credential: Credential) -> Account:
        """The account, read from the database; RefusedError if it is unknown or disabled."""
        account = await self._load(credential)
        if not account.enabled:
            raise RefusedError(Code.KEY_DISABLED)
        return account

    def _by(self) -> float:
        """When the caller of a request that begins now stops waiting (time.monotonic)."""
        return time.monotonic() + self._patience

    def _resend(self, account: Account, id: str, by: float) -> Reply:
        with self._store.write(by=by) as connection:
            reply = _or_busy(self._rules.resend(connection, account, id))
            if reply.error is Code.SENT:
                facts = {"message": id, "recipients": reply.sent}
                audit.record(connection, Action.MESSAGE_RESEND, account, facts, now=self._clock())
            return reply

    def _erase(self, account: Account, id: str | None, before: int | None, by: float) -> int:
        total, last = 0, ""
        while True:
            # Once begun, it goes on to the end.
            with self._store.write(by=math.inf if last else by) as connection:
                erased = erase.erase_messages(
                    connection,
                    now=self._clock(),
                    account_id=account.id,
                    message_id=id,
                    before=before,
                    after=last,
                )
                if erased and not last:
                    since = None if before is None else iso(before, "seconds")
                    facts = {"message": id, "before": since}
                    now = self._clock()
                    audit.record(connection, Action.HISTORY_DELETE, account, facts, now=now)
            if not erased:
                break
            total, last = total + len(erased), erased[-1]
        if total:
            self._store.scrub()
        return total

    async def _load(self, credential: Credential) -> Account:
        account = await self._accounts.read(credential)
        if account is None:
            if credential.find is known_accounts.of_keys and self._on_wrong_key is not None:
                await self._on_wrong_key()
            raise RefusedError(Code.KEY_WRONG)
        return account

    async def _refusal(
        self, account: Account, submission: Submission, refused: RefusedError
    ) -> Reply:
        """The reply to a refused request: if it repeats an accepted one, the reply to that."""
        if not submission.idempotency_key or refused.reply.error is Code.KEY_DISABLED:
            return refused.reply

        def read() -> Reply | None:
            with self._store.read() as connection:
                return self._rules.before(connection, account, submission)

        return await asyncio.to_thread(read) or refused.reply


def _or_busy(reply: Reply | None) -> Reply:
    """A reply. For None, which means that the account changed meanwhile, raises RefusedError."""
    if reply is None:
        raise RefusedError(Code.INTERNAL, "Too busy - try again shortly")
    return reply


def _by_key(apikey: str) -> Credential:
    if not apikey:
        raise RefusedError(Code.KEY_MISSING)
    return known_accounts.by_key(apikey)


def _may_write(sender: str, allowed: frozenset[str] | None) -> bool:
    """Whether the sender of a mail is on an account's list of addresses and `@domains`."""
    sender = sender.lower()
    return allowed is None or sender in allowed or "@" + sender.rpartition("@")[2] in allowed


_ASIDE = "The clock of this machine is wrong: nothing is accepted here until it is right"
_UNKNOWN = "The database was lost meanwhile; it is not known whether this was done"


def _failure(error: Exception) -> Reply:
    """The reply to a request that raised this error."""
    match error:
        case RefusedError():
            return error.reply
        case OutcomeUnknownError():
            return Reply(Code.TIMED_OUT, note=_UNKNOWN)
        case ClockError():
            return Reply(Code.INTERNAL, note=_ASIDE, retry_after=30)
        case QueueFullError() | OverdueError():
            return Reply(Code.INTERNAL, note="Too busy - try again shortly", retry_after=1)
    # `log_error` logs the type only: the error's text may contain a message.
    log_error(log, "request failed", error)
    return Reply(Code.INTERNAL, retry_after=5)


def _status(found: history.MessageHistory) -> MessageStatus:
    return MessageStatus(
        Reply(Code.SENT, sent=len(found.deliveries), id=found.id),
        state=found.state,
        accepted_at=found.accepted_at,
        parts=found.parts,
        reference=found.reference,
        deliveries=tuple(
            DeliveryStatus(
                d.recipient,
                d.state,
                tuple(Step(s.at, s.part, s.event, s.detail) for s in d.steps),
            )
            for d in found.deliveries
        ),
    )
