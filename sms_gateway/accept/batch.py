"""The requests of one transaction: reads what their replies depend on, and decides on each."""

from collections.abc import Sequence

from sqlalchemy import Connection

from ..accounts import Account, Rate
from ..backend import Reply
from ..caps import OperatorCaps
from ..codes import Code
from ..store import accounts as account_statements
from ..store import intake, stops
from . import repeats
from .caps import Tally
from .request import Request


class Batch:
    """The requests of one transaction, with the rows that it read and its decisions so far."""

    __slots__ = (
        "_accepted_before", "_busy_until", "_connection", "_current", "_has_keys", "_named",
        "_stopped", "_tally", "accepted", "repeats",
    )  # fmt: skip

    def __init__(
        self,
        connection: Connection,
        requests: Sequence[Request],
        now: int,
        caps: OperatorCaps,
        waiting: frozenset[str] = frozenset(),
    ) -> None:
        """Read the rows that the replies depend on; the accounts first, as all transactions do.

        `waiting`: numbers whose parts were counted before."""
        self._connection = connection
        # Only requests of keys with caps are counted: few have any.
        counted = (
            requests if caps.is_for_all else [r for r in requests if r.account.caps is not None]
        )
        #: Version and limiter state of each account.
        self._current = _current(connection, requests, counted)
        keys = {r.repeat[0] for r in requests if r.repeat is not None}
        self._accepted_before = intake.accepted_before(connection, keys, now) if keys else {}
        names = {r.message_id for r in requests if r.is_named}
        self._named = intake.accepted_as(connection, names) if names else {}
        #: Whether any request has an idempotency key. Most batches have none, and skip the check.
        self._has_keys = bool(keys or names)
        self._stopped = _stopped(connection, requests)
        self._tally = self._counting(connection, counted, now, caps, waiting) if counted else None
        #: New limiter states (microseconds), by account.
        self._busy_until: dict[int, int] = {}
        self.accepted: list[Request] = []
        #: The replies to accepted idempotency keys, for later repeats.
        self.repeats: dict[bytes, intake.Accepted] = {}

    def reply_to(self, request: Request) -> Reply | None:
        """The reply to the next request; None if its account is out of date. Code 0 accepts it."""
        account, came = request.account, request
        version, next_free = self._current.get(account.id, _GONE)
        if version != account.version:
            return None
        is_stopped = self._stopped and (account.id, request.message_id) in self._stopped
        has_key = self._has_keys and (request.repeat is not None or request.is_named)
        if has_key:
            if request.is_named and request.message_id in self._named:
                own = repeats.own_name(self._connection, account, request.message_id, self._named)
                request = request._replace(message_id=own)
            if (first := self._first_reply(request)) is not None:
                return first
        if is_stopped:
            return Reply(Code.NOT_SENT, note=STOPPED)
        if self._tally is not None and (refusal := self._tally.refusal(id(came))) is not None:
            return refusal
        if account.rate is not None and not self._admit(request, account.rate, next_free):
            return Reply(Code.TOO_FAST, note=limit_words(account))
        self.accepted.append(request)
        if self._tally is not None:
            self._tally.add(id(came))
        if has_key:
            self._remember(request)
        return Reply(Code.SENT, len(request.recipients), request.message_id)

    def _first_reply(self, request: Request) -> Reply | None:
        """The reply to an earlier request with the same idempotency key; None without one."""
        if request.repeat is None:
            named = self._named.get(request.message_id)
            return named and repeats.reply_again_named(
                request.account, request.message_id, named, _content(request)
            )
        key, content = request.repeat
        first = self._accepted_before.get(key) or self.repeats.get(key)
        return None if first is None else repeats.reply_again(first, content)

    def _admit(self, request: Request, rate: Rate, next_free: int) -> bool:
        """Charge a request to the rate limit of its account; False when the limit is reached."""
        id = request.account.id
        charged = rate.admit(
            self._busy_until.get(id, next_free), request.now * 1_000, len(request.recipients)
        )
        if charged is None:
            return False
        self._busy_until[id] = charged
        return True

    def _remember(self, request: Request) -> None:
        """Remember the reply, for a repeat later in the batch."""
        if request.repeat is None:
            self._named[request.message_id] = _content(request)
            return
        key, content = request.repeat
        self.repeats[key] = intake.Accepted(
            content_hash=content, message_id=request.message_id, sent=len(request.recipients)
        )

    def give_way(
        self,
        connection: Connection,
        requests: Sequence[Request],
        replies: list[Reply | None],
        now: int,
    ) -> None:
        """Record the idempotency keys.

        If another process has recorded one since it was read, the reply is that of the other
        process, and the request is not accepted here.
        """
        taken = self.repeats.keys() - intake.remember(connection, self.repeats, now)
        if not taken:
            return
        lost = intake.accepted_before(connection, taken, now)
        for number, request in enumerate(requests):
            if request.repeat is not None and request.repeat[0] in lost:
                key, content = request.repeat
                replies[number] = repeats.reply_again(lost[key], content)
        if self._tally is not None:
            for request in self.accepted:
                if request.repeat is not None and request.repeat[0] in lost:
                    self._tally.take_back(id(request))
        self.accepted = [r for r in self.accepted if r.repeat is None or r.repeat[0] not in lost]

    def _counting(
        self,
        connection: Connection,
        requests: Sequence[Request],
        now: int,
        caps: OperatorCaps,
        waiting: frozenset[str],
    ) -> Tally:
        """The counters of the requests, except those that the rate limit refuses anyway."""
        return Tally(
            connection,
            caps,
            {
                id(r): (
                    r.account,
                    [(a.number, parts) for a, _, parts in r.recipients if a.number not in waiting],
                )
                for r in requests
                if r.account.rate is None
                or r.account.rate.admit(
                    self._current.get(r.account.id, _GONE)[1], r.now * 1_000, len(r.recipients)
                )
                is not None
            },
            now,
        )

    def charge(self, connection: Connection) -> bool:
        """Store the new counters and limiter states; returns whether there are any."""
        if self._tally is not None:
            self._tally.write(connection)
        if self._busy_until:
            account_statements.charge(connection, self._busy_until)
        return self._tally is not None or bool(self._busy_until)


# The version and limiter state of a deleted account.
_GONE = (None, 0)


def _current(
    connection: Connection, requests: Sequence[Request], counted: Sequence[Request]
) -> dict[int, tuple[int | None, int]]:
    """Version and limiter state of the requests' accounts.

    Accounts with a rate limit, and those in `counted`, are locked.
    """
    limited = {r.account.id for r in requests if r.account.rate is not None}
    if counted:
        limited.update(r.account.id for r in counted)
    unlimited = {r.account.id for r in requests} - limited
    return {
        id: state
        for ids, lock in ((limited, True), (unlimited, False))
        if ids
        for id, state in account_statements.current(connection, ids, lock=lock).items()
    }


#: The note of code 7 for a blocked recipient.
STOPPED = stops.REASON.capitalize()


def _stopped(connection: Connection, requests: Sequence[Request]) -> set[tuple[int, str]]:
    """Account and message id of requests with a recipient who asked the account to stop."""
    # Only accounts with stops are searched: few have any.
    asked = [r for r in requests if r.account.stops]
    if not asked:
        return set()
    numbers = {address.number for r in asked for address, _, _ in r.recipients}
    pairs = stops.blocked(connection, {r.account.id for r in asked}, numbers)
    return {
        (r.account.id, r.message_id)
        for r in asked
        if any((r.account.id, address.number) in pairs for address, _, _ in r.recipients)
    }


def limit_words(account: Account) -> str:
    """The note of code 100; empty for 1/min, which the code's own sentence says."""
    limit = str(account.rate)
    return "" if limit == "1/min" else f"Exceeding the limit of {limit}"


def _content(request: Request) -> intake.Content:
    numbers = tuple([address.number for address, _, _ in request.recipients])
    return intake.Content(
        request.account.id, request.text, numbers, request.sender, request.reference
    )
