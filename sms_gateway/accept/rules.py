"""The rules of accepting a message: what is checked, in which order, and what is stored."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from ..accounts import Account
from ..backend import ID_KEY, Reply, Submission
from ..codes import MAX_RECIPIENTS, Code
from ..errors import GatewayError
from ..routing.routes import SENDER, TEST, Route, Routes
from ..sms.address import Address, AddressError, TooManyNumbersError, parse_recipients
from ..sms.encoding import Encoding
from ..sms.ids import new_id
from ..sms.segments import Segments, TextError, count, measure, plain
from ..store import accounts as account_statements
from ..store import intake, stops


class RefusedError(GatewayError):
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
    #: Who it is from, and what its caller calls it.
    sender: str
    reference: str
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

    def check(self, account: Account, submission: Submission) -> Request:
        """Everything that can be told without the transaction, in the order of the contract."""
        if not account.enabled:
            raise RefusedError(Code.KEY_DISABLED)
        # Each of its fields by name would be asked for several times.
        recipients, message, _, key, wanted, reference = submission
        message = plain(message)
        try:
            addresses = parse_recipients(recipients, self._region)
            segments = measure(message)
        except TooManyNumbersError:
            raise RefusedError(Code.TOO_MANY if account.multi else Code.NOT_MULTIPLE) from None
        except (AddressError, TextError) as bad:
            raise RefusedError(Code.NOT_SENT, str(bad)) from None
        if segments.parts > self._max_parts:
            raise RefusedError(Code.NOT_SENT, _too_long(segments.parts, self._max_parts))
        if reference:
            _check_reference(reference)
        sender = _chosen(account, wanted) if wanted else account.sender
        if len(addresses) > 1 and not account.multi:
            raise RefusedError(Code.NOT_MULTIPLE)
        if len(addresses) > MAX_RECIPIENTS:
            raise RefusedError(Code.TOO_MANY)
        leaving = []
        for address in addresses:
            route = self.route(account, address)
            if wanted and route.sender_for(sender) != sender:
                raise RefusedError(Code.NOT_SENT, "This sender cannot be shown at this number")
            leaving.append((address, route, self._parts(message, segments, route)))
        now = self._clock()
        name, repeat = "", None
        if key:
            name = _name(key, now)
            repeat = None if name else _repeat(account, submission, message)
        return Request(
            account,
            name or new_id(now),
            tuple(leaving),
            message,
            segments.encoding,
            segments.parts,
            sender,
            reference,
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
        except TextError as bad:
            raise RefusedError(Code.NOT_SENT, str(bad)) from None
        if parts > self._max_parts:
            raise RefusedError(Code.NOT_SENT, _too_long(parts, self._max_parts))
        return parts

    def validity(self, account: Account, route: Route) -> int:
        """How long a message is worth delivering, milliseconds: the least that anybody says."""
        validity = self._validity
        for limit in (account.validity, route.validity):
            if limit is not None and limit < validity:
                validity = limit
        return validity

    def route(self, account: Account, address: Address) -> Route:
        """The way out for a number; raises RefusedError when the account may not send there."""
        if account.countries is not None and address.country not in account.countries:
            raise RefusedError(Code.UNREACHABLE)
        if account.test:
            return TEST
        route = self._routes.find(address.number)
        if route is None or route.closed:
            raise RefusedError(Code.UNREACHABLE)
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
                replies.append(_again_named(account, id, named[id], _content(request)))
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
        self, connection: Connection, account: Account, submission: Submission
    ) -> Reply | None:
        """The reply to a request's first copy, if that one was accepted."""
        now, message = self._clock(), plain(submission.message)
        if name := _name(submission.idempotency_key, now):
            named = intake.accepted_as(connection, [name]).get(name)
            if named is None:
                return None
            try:
                addresses = parse_recipients(submission.recipients, self._region)
            except (AddressError, TooManyNumbersError):
                return _ANOTHER
            numbers = tuple([address.number for address in addresses])
            return _again_named(
                account,
                name,
                named,
                intake.Content(
                    account.id,
                    message,
                    numbers,
                    submission.sender or account.sender,
                    submission.reference,
                ),
            )
        key, content = _repeat(account, submission, message)
        first = intake.accepted_before(connection, [key], now).get(key)
        return None if first is None else _again(first, content)

    def _insert(self, connection: Connection, requests: Sequence[Request]) -> None:
        intake.add_messages(
            connection,
            [
                (
                    r.message_id,
                    r.account.id,
                    r.sender,
                    r.text,
                    # SQLite's driver takes a detour for whatever is not exactly a str.
                    r.encoding.value,
                    r.parts,
                    r.now,
                    r.reference,
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
                    r.now + self.validity(r.account, route),
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


#: The most characters of what a caller calls a message.
MOST_REFERENCE = 100
# What XML can hold (1.0, section 2.2), and every database, without control characters.
_REFERENCE = re.compile("[^\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]*")


def _check_reference(reference: str) -> None:
    if len(reference) > MOST_REFERENCE:
        raise RefusedError(Code.NOT_SENT, "The reference is longer than 100 characters")
    if not _REFERENCE.fullmatch(reference):
        raise RefusedError(Code.NOT_SENT, "The reference has a control character in it")


def _chosen(account: Account, sender: str) -> str:
    """A sender that a request names; raises RefusedError when it may not."""
    if not SENDER.fullmatch(sender):
        raise RefusedError(
            Code.NOT_SENT, "The sender is not up to 15 digits, or up to 11 letters and digits"
        )
    if not account.may_show(sender):
        raise RefusedError(Code.NOT_SENT, "This key may not name this sender")
    return sender


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


def _repeat(account: Account, submission: Submission, message: str) -> tuple[bytes, bytes]:
    """What a submission's idempotency key and its content, with this text, are stored as."""
    recipients = submission.recipients
    content = f"{len(recipients)}:{recipients}{message}"
    if submission.sender or submission.reference:
        # No other content begins like this.
        more = f"{submission.sender}:{len(submission.reference)}:{submission.reference}"
        content = f"from {len(submission.sender)}:{more}{content}"
    content_hash = intake.digest(content)
    return intake.repeat_id(account.id, submission.idempotency_key), content_hash


def _again(first: intake.Accepted, content_hash: bytes) -> Reply:
    """The first reply once more, unless the key came back with something else."""
    if first.content_hash != content_hash:
        return _ANOTHER
    return Reply(Code.SENT, sent=first.sent, id=first.message_id)


def _again_named(
    account: Account, name: str, first: intake.Content, content: intake.Content
) -> Reply:
    """The same for a key that is the message's id."""
    first = first._replace(sender=_asked(account, first.sender))
    if not first.is_repeated_by(content._replace(sender=_asked(account, content.sender))):
        return _ANOTHER
    return Reply(Code.SENT, sent=len(first.recipients), id=name)


def _asked(account: Account, sender: str) -> str:
    """The sender that a request has named, as far as the one it got tells: the key's own, which may
    have changed meanwhile, is nobody's wish."""
    return sender if sender != account.sender and account.may_show(sender) else ""


_ANOTHER = Reply(Code.NOT_SENT, note="This idempotency key was used before for another message")


def _content(request: Request) -> intake.Content:
    numbers = tuple([address.number for address, _, _ in request.recipients])
    return intake.Content(
        request.account.id, request.text, numbers, request.sender, request.reference
    )


def limit_words(account: Account) -> str:
    """The words of code 100; the table's own for the limit that they name."""
    limit = str(account.rate)
    return "" if limit == "1/min" else f"Exceeding the limit of {limit}"
