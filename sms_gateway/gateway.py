"""The rules: who may send what where, and that an accepted message is on disk."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from .accounts import Account, key_hash
from .backend import (
    MOST_RECEIVED,
    DeliveryStatus,
    Inbox,
    MessageStatus,
    ReceivedMessage,
    Reply,
    Step,
)
from .codes import MAX_RECIPIENTS, Code
from .routes import TEST, Route, Routes
from .sms.address import Address, BadAddress, TooManyNumbers, parse_recipients
from .sms.encoding import Encoding
from .sms.ids import new_id
from .sms.message import State
from .sms.segments import BadText, count, validate_text
from .store import GroupCommit, QueueFull, Store, erase, history, inbox, intake, resend
from .store import accounts as account_statements

log = logging.getLogger(__name__)


#: How many accounts are kept in memory between requests; the rest are read again.
MOST_ACCOUNTS_IN_MEMORY = 10_000


#: What a sender shows, and the statement that finds its account.
_Credential = tuple[Callable[[Connection, Any], Account | None], bytes | str]


class Refused(Exception):
    """A request that is answered with a code other than 0."""

    def __init__(self, code: Code, note: str = "") -> None:
        super().__init__(code.name)
        self.reply = Reply(code, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that passed every check but those that need the transaction."""

    account: Account
    message_id: str
    recipients: tuple[tuple[Address, Route], ...]
    text: str
    encoding: Encoding
    parts: int
    #: What its idempotency key and its content are stored as; None when no key came.
    repeat: tuple[bytes, bytes] | None
    #: Unix milliseconds.
    now: int


class Gateway:
    """The Backend in process. Use `start` on the running loop first, and `aclose` at the end."""

    def __init__(
        self,
        store: Store,
        routes: Routes,
        *,
        default_region: str | None = None,
        max_parts: int = 10,
        validity: int = 48 * 3_600_000,
        queue_limit: int = 10_000,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store = store
        self._routes = routes
        self._region = default_region
        self._max_parts = max_parts
        self._validity = validity
        self._queue_limit = queue_limit
        self._clock = clock
        self._accounts: dict[_Credential, Account] = {}
        self._commits: GroupCommit[Request, Reply | None] | None = None

    async def start(self) -> None:
        """Begin to accept on the running loop."""
        self._commits = GroupCommit(self._store, self._accept, limit=self._queue_limit)

    async def aclose(self) -> None:
        """Finish what was accepted."""
        if self._commits is not None:
            await self._commits.aclose()

    async def sendsms(
        self, recipients: str, message: str, apikey: str, *, idempotency_key: str = ""
    ) -> Reply:
        """See `Backend.sendsms`."""
        try:
            return await self._send(_by_key(apikey), recipients, message, idempotency_key)
        except Exception as error:
            return _failure(error)

    async def knows(self, address: str) -> bool:
        """See `MailBackend.knows`."""
        try:
            account = await self._load(_by_mail(address))
        except Refused:
            return False
        return account.enabled

    async def sendmail(
        self,
        address: str,
        sender: str,
        recipients: str,
        message: str,
        *,
        idempotency_key: str = "",
    ) -> Reply:
        """See `MailBackend.sendmail`."""
        try:
            credential = _by_mail(address)
            account = await self._load(credential)
            if not _may_write(sender, account.mail_senders):
                raise Refused(Code.NOT_SENT, "This sender may not write to this address")
            return await self._send(credential, recipients, message, idempotency_key)
        except Exception as error:
            return _failure(error)

    async def resendsms(self, apikey: str, id: str) -> Reply:
        """See `Backend.resendsms`."""
        try:
            account = await self._fresh(apikey)
            if not id:
                raise Refused(Code.ID_MISSING)
            return await asyncio.to_thread(self._resend, account, id)
        except Exception as error:
            return _failure(error)

    async def getsms(self, apikey: str, *, after: int = 0, limit: int = 100) -> Inbox:
        """See `Backend.getsms`."""
        try:
            account = await self._fresh(apikey)
            if not 0 <= after < 2**63:
                raise Refused(Code.NOT_SENT, "after is not what an answer had as next")
            if not 0 <= limit <= MOST_RECEIVED:
                raise Refused(Code.NOT_SENT, f"limit is not 0 to {MOST_RECEIVED}")

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
            account = await self._fresh(apikey)
            if not id:
                raise Refused(Code.ID_MISSING)

            def read() -> history.MessageHistory | None:
                with self._store.read() as connection:
                    return history.of_message(connection, id)

            found = await asyncio.to_thread(read)
            if found is None or found.account_id != account.id or found.erased:
                raise Refused(Code.ID_UNKNOWN)
            return _status(found)
        except Exception as error:
            return MessageStatus(_failure(error))

    async def deletesms(
        self, apikey: str, *, id: str | None = None, before: int | None = None
    ) -> Reply:
        """See `Backend.deletesms`."""
        try:
            account = await self._fresh(apikey)
            if id == "":
                raise Refused(Code.ID_MISSING)
            if before is not None and before < 0:
                raise Refused(Code.NOT_SENT, "before is no date or time")
            deleted = await asyncio.to_thread(self._erase, account, id, before)
            if id and not deleted:
                raise Refused(Code.ID_UNKNOWN)
            return Reply(Code.SENT, sent=deleted)
        except Exception as error:
            return _failure(error)

    async def _fresh(self, apikey: str) -> Account:
        """The account of a key as it is stored now; raises Refused."""
        account = await self._load(_by_key(apikey))
        if not account.enabled:
            raise Refused(Code.KEY_DISABLED)
        return account

    def _resend(self, account: Account, id: str) -> Reply:
        now = self._clock()
        with self._store.write() as connection:
            # The account first, in the order in which accepting locks.
            current = account_statements.current(connection, [account.id], lock=True)
            unfinished = resend.unfinished(connection, account.id, id)
            if unfinished is None:
                raise Refused(Code.ID_UNKNOWN)
            if not unfinished:
                raise Refused(Code.ALREADY_SENT)
            routes = [
                (delivery, TEST if account.test else self._routes.find(delivery.recipient))
                for delivery in unfinished
            ]
            if any(route is None or route.closed for _, route in routes):
                raise Refused(Code.UNREACHABLE)
            if account.rate is not None:
                _, next_free = current[account.id]
                charged = account.rate.admit(next_free, now * 1_000, len(unfinished))
                if charged is None:
                    raise Refused(Code.TOO_FAST, _limit(account))
                account_statements.charge(connection, {account.id: charged})
            resend.queue_again(
                connection,
                [(delivery, route.prefix) for delivery, route in routes if route is not None],
                now=now,
                expires_at=now + self._validity,
            )
        return Reply(Code.SENT, sent=len(unfinished), id=id)

    def _erase(self, account: Account, id: str | None, before: int | None) -> int:
        total = 0
        while True:
            with self._store.write() as connection:
                erased = erase.erase_messages(
                    connection,
                    now=self._clock(),
                    account_id=account.id,
                    message_id=id,
                    before=before,
                )
            if not erased:
                break
            total += erased
        if total:
            self._store.scrub()
        return total

    async def _send(
        self, credential: _Credential, recipients: str, message: str, idempotency_key: str
    ) -> Reply:
        assert self._commits is not None, "start() comes first"
        account = self._accounts.get(credential)
        while True:
            fresh = account is None
            if account is None:
                account = await self._load(credential)
            repeat = _repeat(account, idempotency_key, recipients, message)
            try:
                request = self._check(account, recipients, message, repeat)
            except Refused as refused:
                if fresh:
                    return await self._refusal(account, repeat, refused)
            else:
                reply = await self._commits.submit(request)
                if reply is not None:
                    return reply
            # The copy in memory is out of date, or may be the reason for a refusal.
            account = None

    async def _load(self, credential: _Credential) -> Account:
        statement, value = credential

        def read() -> Account | None:
            with self._store.read() as connection:
                return statement(connection, value)

        account = await asyncio.to_thread(read)
        if account is None:
            self._accounts.pop(credential, None)
            raise Refused(Code.KEY_WRONG)
        while len(self._accounts) >= MOST_ACCOUNTS_IN_MEMORY:
            self._accounts.pop(next(iter(self._accounts)))
        self._accounts[credential] = account
        return account

    def _check(
        self,
        account: Account,
        recipients: str,
        message: str,
        repeat: tuple[bytes, bytes] | None,
    ) -> Request:
        """Everything that can be told without the transaction, in the order of the contract."""
        if not account.enabled:
            raise Refused(Code.KEY_DISABLED)
        try:
            addresses = parse_recipients(recipients, self._region)
            validate_text(message)
            segments = count(message)
        except TooManyNumbers:
            raise Refused(Code.TOO_MANY if account.multi else Code.NOT_MULTIPLE) from None
        except (BadAddress, BadText) as bad:
            raise Refused(Code.NOT_SENT, str(bad)) from None
        if segments.parts > self._max_parts:
            raise Refused(
                Code.NOT_SENT,
                f"The message is too long: {segments.parts} parts, at most {self._max_parts}",
            )
        if len(addresses) > 1 and not account.multi:
            raise Refused(Code.NOT_MULTIPLE)
        if len(addresses) > MAX_RECIPIENTS:
            raise Refused(Code.TOO_MANY)
        now = self._clock()
        return Request(
            account=account,
            message_id=new_id(now),
            recipients=tuple((address, self._route(account, address)) for address in addresses),
            text=message,
            encoding=segments.encoding,
            parts=segments.parts,
            repeat=repeat,
            now=now,
        )

    def _route(self, account: Account, address: Address) -> Route:
        if account.countries is not None and address.country not in account.countries:
            raise Refused(Code.UNREACHABLE)
        if account.test:
            return TEST
        route = self._routes.find(address.number)
        if route is None or route.closed:
            raise Refused(Code.UNREACHABLE)
        return route

    async def _refusal(
        self, account: Account, repeat: tuple[bytes, bytes] | None, refused: Refused
    ) -> Reply:
        """The reply to a refused request: that of its first copy, if that one was accepted."""
        if repeat is None or refused.reply.error is Code.KEY_DISABLED:
            return refused.reply
        id, content = repeat

        def read() -> intake.Accepted | None:
            with self._store.read() as connection:
                return intake.accepted_before(connection, [id], self._clock()).get(id)

        first = await asyncio.to_thread(read)
        return refused.reply if first is None else _again(first, content)

    def _accept(
        self, connection: Connection, requests: Sequence[Request]
    ) -> Sequence[Reply | None]:
        """Accept a batch within one transaction; None for requests with an outdated account."""
        limited = {r.account.id for r in requests if r.account.rate is not None}
        unlimited = {r.account.id for r in requests} - limited
        current = {
            id: state
            for ids, lock in ((limited, True), (unlimited, False))
            if ids
            for id, state in account_statements.current(connection, ids, lock=lock).items()
        }
        keys = {r.repeat[0] for r in requests if r.repeat is not None}
        before = intake.accepted_before(connection, keys, self._clock()) if keys else {}

        replies: dict[int, Reply | None] = {}
        accepted: dict[int, Request] = {}
        busy_until: dict[int, int] = {}
        for number, request in enumerate(requests):
            account = request.account
            version, next_free = current.get(account.id, (None, 0))
            if version != account.version:
                replies[number] = None
                continue
            if request.repeat is not None:
                first = before.get(request.repeat[0])
                if first is not None:
                    replies[number] = _again(first, request.repeat[1])
                    continue
            if account.rate is not None:
                charged = account.rate.admit(
                    busy_until.get(account.id, next_free),
                    request.now * 1_000,
                    len(request.recipients),
                )
                if charged is None:
                    replies[number] = Reply(Code.TOO_FAST, note=_limit(account))
                    continue
                busy_until[account.id] = charged
            accepted[number] = request
            if request.repeat is not None:
                before[request.repeat[0]] = intake.Accepted(
                    content_hash=request.repeat[1],
                    message_id=request.message_id,
                    sent=len(request.recipients),
                )
        # Between reading the repeats and recording them another process may have been first.
        lost = _record_repeats(connection, accepted)
        for number, request in enumerate(requests):
            if request.repeat is not None:
                first = lost.get(request.repeat[0])
                if first is not None:
                    accepted.pop(number, None)
                    replies[number] = _again(first, request.repeat[1])
        if accepted:
            self._insert(connection, accepted.values())
        if busy_until:
            account_statements.charge(connection, busy_until)
        return [
            replies[number] if number in replies else _accepted(accepted[number])
            for number in range(len(requests))
        ]

    def _insert(self, connection: Connection, requests: Collection[Request]) -> None:
        intake.add_messages(
            connection,
            [
                {
                    "id": r.message_id,
                    "account_id": r.account.id,
                    "sender": r.account.sender,
                    "text": r.text,
                    "encoding": r.encoding,
                    "parts": r.parts,
                    "accepted_at": r.now,
                }
                for r in requests
            ],
        )
        intake.add_deliveries(
            connection,
            [
                {
                    "message_id": r.message_id,
                    "recipient": address.number,
                    "route": route.prefix,
                    "parts": r.parts,
                    "state": State.QUEUED,
                    "due_at": r.now,
                    "expires_at": r.now + self._validity,
                    "attempts": 0,
                    "possible_duplicate": False,
                }
                for r in requests
                for address, route in r.recipients
            ],
        )


def _by_key(apikey: str) -> _Credential:
    if not apikey:
        raise Refused(Code.KEY_MISSING)
    return account_statements.by_key, key_hash(apikey)


def _by_mail(address: str) -> _Credential:
    return account_statements.by_mail_address, address


def _may_write(sender: str, allowed: frozenset[str] | None) -> bool:
    """Whether a mail's sender is on an account's list of addresses and `@domains`."""
    sender = sender.lower()
    return allowed is None or sender in allowed or "@" + sender.rpartition("@")[2] in allowed


def _failure(error: Exception) -> Reply:
    """The reply to a request that raised."""
    match error:
        case Refused():
            return error.reply
        case QueueFull():
            return Reply(Code.INTERNAL, note="Too busy - try again shortly", retry_after=1)
    # Its words may hold what was sent; its kind does not.
    log.error("request failed", extra={"error": type(error).__name__})
    return Reply(Code.INTERNAL, retry_after=5)


def _status(found: history.MessageHistory) -> MessageStatus:
    return MessageStatus(
        Reply(Code.SENT, sent=len(found.deliveries), id=found.id),
        state=found.state,
        accepted_at=found.accepted_at,
        parts=found.parts,
        deliveries=tuple(
            DeliveryStatus(
                d.recipient,
                d.state,
                tuple(Step(s.at, s.part, s.event, s.detail) for s in d.steps),
            )
            for d in found.deliveries
        ),
    )


def _accepted(request: Request) -> Reply:
    return Reply(Code.SENT, sent=len(request.recipients), id=request.message_id)


def _repeat(
    account: Account, idempotency_key: str, recipients: str, message: str
) -> tuple[bytes, bytes] | None:
    if not idempotency_key:
        return None
    content = intake.digest(f"{len(recipients)}:{recipients}{message}")
    return intake.repeat_id(account.id, idempotency_key), content


def _record_repeats(
    connection: Connection, accepted: Mapping[int, Request]
) -> dict[bytes, intake.Accepted]:
    """Record the idempotency keys of accepted requests; returns what was accepted under those
    that another process has recorded meanwhile."""
    rows = {
        request.repeat[0]: {
            "id": request.repeat[0],
            "content_hash": request.repeat[1],
            "message_id": request.message_id,
            "sent": len(request.recipients),
            "created_at": request.now,
        }
        for request in accepted.values()
        if request.repeat is not None
    }
    if not rows:
        return {}
    taken = rows.keys() - intake.remember(connection, list(rows.values()))
    now = next(iter(accepted.values())).now
    return intake.accepted_before(connection, taken, now) if taken else {}


def _again(first: intake.Accepted, content_hash: bytes) -> Reply:
    """The first reply once more, unless the key came back with something else."""
    if first.content_hash != content_hash:
        return Reply(Code.NOT_SENT, note="This idempotency key was used before for another message")
    return Reply(Code.SENT, sent=first.sent, id=first.message_id)


def _limit(account: Account) -> str:
    """The words of code 100; the table's own for the limit that they name."""
    limit = str(account.rate)
    return "" if limit == "1/min" else f"Exceeding the limit of {limit}"
