"""The rules of accepting a message: what is checked, in which order, and what is stored."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from .accounts import Account
from .backend import ID_KEY, Reply
from .codes import MAX_RECIPIENTS, Code
from .routes import TEST, Route, Routes
from .sms.address import Address, BadAddress, TooManyNumbers, parse_recipients
from .sms.encoding import Encoding
from .sms.ids import new_id
from .sms.segments import BadText, Segments, count, measure, plain
from .store import accounts as account_statements
from .store import intake, stops


class Refused(Exception):
    """A request that is answered with a code other than 0."""

    def __init__(self, code: Code, note: str = "") -> None:
        super().__init__(code.name)
        self.reply = Reply(code, note=note)


class Request(NamedTuple):
    """A request that passed every check but those that need the transaction."""

    account: Account
    message_id: str
    #: Each with its route, and the parts that the text takes there.
    recipients: tuple[tuple[Address, Route, int], ...]
    text: str
    encoding: Encoding
    parts: int
    #: What its idempotency key and its content are stored as; None when no key came, or one that
    #: is its id.
    repeat: tuple[bytes, bytes] | None
    #: Whether its idempotency key is its id.
    is_named: bool
    #: Unix milliseconds.
    now: int


class Acceptance:
    """The rules of one gateway: `check` before the transaction, `accept` within it."""

    def __init__(
        self,
        routes: Routes,
        *,
        default_region: str | None,
        max_parts: int,
        validity: int,
        clock: Callable[[], int],
    ) -> None:
        """`validity` and what `clock` tells are in milliseconds."""
        self._routes = routes
        self._region = default_region
        self._max_parts = max_parts
        self._validity = validity
        self._clock = clock

    def check(
        self,
        account: Account,
        recipients: str,
        message: str,
        idempotency_key: str,
    ) -> Request:
        """Everything that can be told without the transaction, in the order of the contract."""
        if not account.enabled:
            raise Refused(Code.KEY_DISABLED)
        message = plain(message)
        try:
            addresses = parse_recipients(recipients, self._region)
            segments = measure(message)
        except TooManyNumbers:
            raise Refused(Code.TOO_MANY if account.multi else Code.NOT_MULTIPLE) from None
        except (BadAddress, BadText) as bad:
            raise Refused(Code.NOT_SENT, str(bad)) from None
        if segments.parts > self._max_parts:
            raise Refused(Code.NOT_SENT, _too_long(segments.parts, self._max_parts))
        if len(addresses) > 1 and not account.multi:
            raise Refused(Code.NOT_MULTIPLE)
        if len(addresses) > MAX_RECIPIENTS:
            raise Refused(Code.TOO_MANY)
        leaving = []
        for address in addresses:
            route = self.route(account, address)
            leaving.append((address, route, self._parts(message, segments, route)))
        now = self._clock()
        name, repeat = "", None
        if idempotency_key:
            name = _name(idempotency_key, now)
            repeat = None if name else _repeat(account, idempotency_key, recipients, message)
        return Request(
            account,
            name or new_id(now),
            tuple(leaving),
            message,
            segments.encoding,
            segments.parts,
            repeat,
            bool(name),
            now,
        )

    def _parts(self, message: str, segments: Segments, route: Route) -> int:
        """The parts that a text takes on a route, whose carriers may lack some characters."""
        if route.alphabet is None:
            return segments.parts
        try:
            parts = count(message, route.alphabet).parts
        except BadText as bad:
            raise Refused(Code.NOT_SENT, str(bad)) from None
        if parts > self._max_parts:
            raise Refused(Code.NOT_SENT, _too_long(parts, self._max_parts))
        return parts

    def worth(self, account: Account, route: Route) -> int:
        """How long a message is worth delivering, milliseconds: the least that anybody says."""
        worth = self._validity
        for limit in (account.validity, route.validity):
            if limit is not None and limit < worth:
                worth = limit
        return worth

    def route(self, account: Account, address: Address) -> Route:
        """The way out for a number; raises Refused when the account may not send there."""
        if account.countries is not None and address.country not in account.countries:
            raise Refused(Code.UNREACHABLE)
        if account.test:
            return TEST
        route = self._routes.find(address.number)
        if route is None or route.closed:
            raise Refused(Code.UNREACHABLE)
        return route

    def accept(self, connection: Connection, requests: Sequence[Request]) -> Sequence[Reply | None]:
        """Accept a batch within one transaction; None for requests with an outdated account."""
        limited = {r.account.id for r in requests if r.account.rate is not None}
        unlimited = {r.account.id for r in requests} - limited
        current = {
            id: state
            for ids, lock in ((limited, True), (unlimited, False))
            if ids
            for id, state in account_statements.current(connection, ids, lock=lock).items()
        }
        now = self._clock()
        keys = {r.repeat[0] for r in requests if r.repeat is not None}
        before = intake.accepted_before(connection, keys, now) if keys else {}
        names = {r.message_id for r in requests if r.is_named}
        named = intake.accepted_as(connection, names) if names else {}
        stopped = _stopped(connection, requests)

        replies: list[Reply | None] = []
        accepted: list[Request] = []
        repeats: dict[bytes, intake.Accepted] = {}
        busy_until: dict[int, int] = {}
        for request in requests:
            account = request.account
            version, next_free = current.get(account.id, (None, 0))
            if version != account.version:
                replies.append(None)
                continue
            if request.repeat is not None:
                key, content = request.repeat
                first = before.get(key) or repeats.get(key)
                if first is not None:
                    replies.append(_again(first, content))
                    continue
            id = request.message_id
            if id in named:
                replies.append(_again_named(id, named[id], _content(request)))
                continue
            if id in stopped:
                replies.append(Reply(Code.NOT_SENT, note=STOPPED))
                continue
            if account.rate is not None:
                charged = account.rate.admit(
                    busy_until.get(account.id, next_free),
                    request.now * 1_000,
                    len(request.recipients),
                )
                if charged is None:
                    replies.append(Reply(Code.TOO_FAST, note=limit_words(account)))
                    continue
                busy_until[account.id] = charged
            replies.append(Reply(Code.SENT, len(request.recipients), id))
            accepted.append(request)
            if request.repeat is not None:
                repeats[key] = intake.Accepted(
                    content_hash=content,
                    message_id=id,
                    sent=len(request.recipients),
                )
            elif request.is_named:
                named[id] = _content(request)
        # Between reading the repeats and recording them another process may have been first.
        taken = repeats.keys() - intake.remember(connection, repeats, now) if repeats else ()
        if taken:
            lost = intake.accepted_before(connection, taken, now)
            for number, request in enumerate(requests):
                if request.repeat is not None and request.repeat[0] in lost:
                    replies[number] = _again(lost[request.repeat[0]], request.repeat[1])
            accepted = [r for r in accepted if r.repeat is None or r.repeat[0] not in lost]
        if accepted:
            self._insert(connection, accepted)
        if busy_until:
            account_statements.charge(connection, busy_until)
        return replies

    def before(
        self,
        connection: Connection,
        account: Account,
        recipients: str,
        message: str,
        idempotency_key: str,
    ) -> Reply | None:
        """The reply to a request's first copy, if that one was accepted."""
        now, message = self._clock(), plain(message)
        if name := _name(idempotency_key, now):
            named = intake.accepted_as(connection, [name]).get(name)
            if named is None:
                return None
            try:
                addresses = parse_recipients(recipients, self._region)
            except (BadAddress, TooManyNumbers):
                return _ANOTHER
            numbers = tuple([address.number for address in addresses])
            return _again_named(name, named, intake.Content(account.id, message, numbers))
        key, content = _repeat(account, idempotency_key, recipients, message)
        first = intake.accepted_before(connection, [key], now).get(key)
        return None if first is None else _again(first, content)

    def _insert(self, connection: Connection, requests: Sequence[Request]) -> None:
        intake.add_messages(
            connection,
            [
                (
                    r.message_id,
                    r.account.id,
                    r.account.sender,
                    r.text,
                    # SQLite's driver takes a detour for whatever is not exactly a str.
                    r.encoding.value,
                    r.parts,
                    r.now,
                )
                for r in requests
            ],
        )
        intake.add_deliveries(
            connection,
            [
                (
                    r.message_id,
                    address.number,
                    route.prefix,
                    parts,
                    r.now,
                    r.now + self.worth(r.account, route),
                )
                for r in requests
                for address, route, parts in r.recipients
            ],
        )


#: The note of code 7 for a blocked recipient.
STOPPED = stops.REASON.capitalize()


def _stopped(connection: Connection, requests: Sequence[Request]) -> set[str]:
    """The messages with a recipient who has asked their account to stop."""
    # Few accounts have any such recipient, and only they pay for it.
    asked = [r for r in requests if r.account.stops]
    if not asked:
        return set()
    numbers = {address.number for r in asked for address, _, _ in r.recipients}
    pairs = stops.blocked(connection, {r.account.id for r in asked}, numbers)
    return {
        r.message_id
        for r in asked
        if any((r.account.id, address.number) in pairs for address, _, _ in r.recipients)
    }


def _too_long(parts: int, most: int) -> str:
    return f"The message is too long: {parts} parts, at most {most}"


_NAME = re.compile(ID_KEY + "([0-9a-f]{12})(7[0-9a-f]{3}[89ab][0-9a-f]{15})")


def _name(idempotency_key: str, now: int) -> str:
    """The id that a key names its message; empty when it names none.

    An id tells its time. One that is wrong by more than a day makes the key one like any other:
    what is old is looked for, and erased, by its id.
    """
    named = _NAME.fullmatch(idempotency_key)
    if named is None or abs(int(named[1], 16) - now) > intake.REMEMBERED:
        return ""
    return named[1] + named[2]


def _repeat(
    account: Account, idempotency_key: str, recipients: str, message: str
) -> tuple[bytes, bytes]:
    """What a request's idempotency key and its content are stored as."""
    content = intake.digest(f"{len(recipients)}:{recipients}{message}")
    return intake.repeat_id(account.id, idempotency_key), content


def _again(first: intake.Accepted, content_hash: bytes) -> Reply:
    """The first reply once more, unless the key came back with something else."""
    if first.content_hash != content_hash:
        return _ANOTHER
    return Reply(Code.SENT, sent=first.sent, id=first.message_id)


def _again_named(name: str, first: intake.Content, content: intake.Content) -> Reply:
    """The same for a key that is the message's id."""
    if not first.is_repeated_by(content):
        return _ANOTHER
    return Reply(Code.SENT, sent=len(first.recipients), id=name)


_ANOTHER = Reply(Code.NOT_SENT, note="This idempotency key was used before for another message")


def _content(request: Request) -> intake.Content:
    numbers = tuple([address.number for address, _, _ in request.recipients])
    return intake.Content(request.account.id, request.text, numbers)


def limit_words(account: Account) -> str:
    """The words of code 100; the table's own for the limit that they name."""
    limit = str(account.rate)
    return "" if limit == "1/min" else f"Exceeding the limit of {limit}"
