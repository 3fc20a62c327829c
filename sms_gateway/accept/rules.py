"""Checks messages by the rules of the contract, and stores those that are accepted."""

import re
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from ..accounts import Account
from ..backend import IN_A_CIRCLE, MOST_HOPS, Reply, Submission
from ..caps import OperatorCaps
from ..codes import MAX_RECIPIENTS, Code
from ..routing.conditions import Case
from ..routing.routes import SENDER, TEST, Route, Routes
from ..sms import kinds
from ..sms.address import Address, AddressError, TooManyNumbersError, parse_recipients
from ..sms.ids import new_id
from ..sms.message import State
from ..sms.segments import Segments, TextError, count, measure, plain, validate_text
from ..store import Store, intake, queue, resend, sealed
from ..store import accounts as account_statements
from ..store.bulk import release
from . import repeats
from .batch import Batch
from .request import RefusedError, Request

#: The facts that depend on the first digits of a number: its route, and whether its kind may be
#: closed.
_Way = tuple[Route | None, bool]
#: How many first characters of a number decide its way, the plus sign included: `may_be_closed`
#: looks at six digits.
_LEADING = 8
#: How many ways are cached: a megabyte or two.
_MOST_WAYS = 16_384


class Acceptance:
    """The rules of one gateway: `check` before the transaction, `accept` within it."""

    def __init__(
        self,
        routes: Routes,
        *,
        default_region: str | None,
        max_parts: int,
        validity: int,
        caps: OperatorCaps,
        clock: Callable[[], int],
    ) -> None:
        """`validity` and the result of `clock` are in milliseconds."""
        self._routes = routes
        self._region = default_region
        self._max_parts = max_parts
        self._validity = validity
        self.caps = caps
        self._ways: dict[str, _Way] = {}
        self._clock = clock

    def check(self, account: Account, submission: Submission) -> Request:
        """Make all checks that need no transaction, in the order of the contract.

        Raises RefusedError.
        """
        if not account.enabled:
            raise RefusedError(Code.KEY_DISABLED, for_operator="the key is disabled")
        # Unpacked once, as reading a field by its name costs more.
        recipients, message, _, key, wanted, reference, hops, priority = submission
        if hops > MOST_HOPS:
            raise RefusedError(Code.NOT_SENT, IN_A_CIRCLE)
        message = plain(message)
        addresses, segments = self._read(account, recipients, self._region, message)
        if reference:
            _check_reference(reference)
        sender = _chosen(account, wanted) if wanted else account.sender
        leaving = self._leaving(account, addresses, message, segments, wanted)
        now = self._clock()
        if account.valid_until is not None and account.valid_until <= now:
            # The old key has expired since the account was cached; the caller then reads it again.
            raise RefusedError(Code.KEY_WRONG)
        name, repeat = "", None
        if key:
            name = repeats.name_of(key, now)
            repeat = None if name else repeats.repeat_of(account, submission, message)
        return Request(
            account,
            name or new_id(now),
            leaving,
            message,
            segments.encoding,
            segments.parts,
            sender,
            reference,
            repeat,
            bool(name),
            now,
            hops,
            priority,
        )

    def _read(
        self, account: Account, recipients: str, region: str | None, message: str
    ) -> tuple[Sequence[Address], Segments]:
        """The numbers of a message, and the segments of its text; raises RefusedError."""
        try:
            addresses = parse_recipients(recipients, region)
            segments = measure(message)
        except TooManyNumbersError:
            raise RefusedError(Code.TOO_MANY if account.multi else Code.NOT_MULTIPLE) from None
        except (AddressError, TextError) as bad:
            raise RefusedError(Code.NOT_SENT, str(bad)) from None
        if segments.parts > self._max_parts:
            raise RefusedError(Code.NOT_SENT, _too_long(segments.parts, self._max_parts))
        return addresses, segments

    def _leaving(
        self,
        account: Account,
        addresses: Sequence[Address],
        message: str,
        segments: Segments,
        wanted: str,
    ) -> tuple[tuple[Address, Route, int], ...]:
        """The route of each number, and the parts that the text takes there; raises RefusedError.

        `wanted`: the sender that the request names; empty leaves it to the route.
        """
        if len(addresses) > 1 and not account.multi:
            raise RefusedError(Code.NOT_MULTIPLE)
        if len(addresses) > MAX_RECIPIENTS:
            raise RefusedError(Code.TOO_MANY)
        leaving = []
        for address in addresses:
            route = self.route(account, address, wanted or account.sender, message, segments.parts)
            if wanted and route.sender_for(wanted) != route.sender_after_rules(wanted):
                raise RefusedError(Code.NOT_SENT, "This sender cannot be shown at this number")
            # Nearly all routes use the GSM alphabet, and leave texts as they are.
            usual = route.alphabet is None and not route.rewrites
            parts = segments.parts if usual else self._parts(message, route)
            leaving.append((address, route, parts))
        return tuple(leaving)

    def _parts(self, message: str, route: Route) -> int:
        """The parts that a text takes on a route that rewrites it, or whose carriers have their
        own alphabet."""
        try:
            leaving = route.text_for(message)
            validate_text(leaving)
            parts = count(leaving, route.alphabet or "gsm7").parts
        except TextError as bad:
            raise RefusedError(Code.NOT_SENT, str(bad)) from None
        if parts > self._max_parts:
            raise RefusedError(Code.NOT_SENT, _too_long(parts, self._max_parts))
        return parts

    def validity(self, account: Account, route: Route) -> int:
        """The validity of a message, milliseconds: the least of settings, account and route."""
        validity = self._validity
        if (limit := account.validity) is not None and limit < validity:
            validity = limit
        if (limit := route.validity) is not None and limit < validity:
            validity = limit
        return validity

    def route(
        self, account: Account, address: Address, sender: str, message: str, parts: int
    ) -> Route:
        """The route of a message to a number; RefusedError when the account may not send there.

        Accepting, trials, resending and `route check` all ask here.
        """
        if account.countries is not None and address.country not in account.countries:
            told = f"the key may not send to {address.country}"
            raise RefusedError(Code.UNREACHABLE, for_operator=told)
        if account.free and not self.caps.reach(address.country):
            told = f"free keys may not send to {address.country}"
            raise RefusedError(Code.UNREACHABLE, for_operator=told)
        if account.test:
            return TEST
        number = address.number
        if self._routes.conditional:
            case = Case(number, account.name, sender, message, parts, self._clock())
            special = self._routes.special(case)
            if special is not None:
                return self._opened(account, special, kinds.may_be_closed(number), number)
        # A tuple and a subscript: reading a field by its name costs as much as the whole look-up.
        try:
            route, may_be_closed = self._ways[number[:_LEADING]]
        except KeyError:
            route, may_be_closed = self._way(number)
        return self._opened(account, route, may_be_closed, number)

    def _opened(
        self, account: Account, route: Route | None, may_be_closed: bool, number: str
    ) -> Route:
        """The route, if it is open for a number; RefusedError otherwise."""
        if route is None or route.closed:
            told = "the route is closed" if route else "no route has this prefix"
            raise RefusedError(Code.UNREACHABLE, for_operator=told)
        if may_be_closed and (why := closed_words(account, route, number)):
            raise RefusedError(Code.UNREACHABLE, why)
        return route

    def _way(self, number: str) -> _Way:
        """The way of a number, cached by its first digits when these decide it."""
        way = self._routes.find(number), kinds.may_be_closed(number)
        if self._routes.longest < _LEADING:
            if len(self._ways) >= _MOST_WAYS:
                self._ways.clear()
            self._ways[number[:_LEADING]] = way
        return way

    def accept(self, connection: Connection, requests: Sequence[Request]) -> Sequence[Reply | None]:
        """Accept a batch in one transaction; None for a request whose account is out of date."""
        now = self._clock()
        batch = Batch(connection, requests, now, self.caps)
        replies = [batch.reply_to(request) for request in requests]
        if batch.repeats:
            batch.give_way(connection, requests, replies, now)
        # What limits allow is charged and free for others before this batch waits for the disk. An
        # idempotency key has to be recorded together with its message.
        if batch.charge(connection) and batch.accepted and not batch.repeats:
            release(connection)
        if batch.accepted:
            self._insert(connection, batch.accepted)
        return replies

    def try_out(self, store: Store, request: Request) -> Reply | None:
        """The reply that `accept` would give; rolls the transaction back."""
        with store.write() as connection:
            (reply,) = self.accept(connection, [request])
            connection.rollback()
        return reply

    def resend(self, connection: Connection, account: Account, id: str) -> Reply | None:
        """Queue the unsent deliveries of a message again, by the rules for a new message.

        None when the account is out of date. Raises RefusedError.
        """
        now = self._clock()
        # The account is locked first, as by accepting.
        account_statements.current(connection, [account.id], lock=True)
        stored = resend.unfinished(connection, account.id, id)
        if stored is None:
            raise RefusedError(Code.ID_UNKNOWN)
        if not stored.deliveries:
            raise RefusedError(Code.ALREADY_SENT)
        numbers = [delivery.recipient for delivery in stored.deliveries]
        if not sealed.is_readable(*numbers, stored.text):
            raise RefusedError(Code.INTERNAL, "The message cannot be decrypted")
        addresses, segments = self._read(account, ",".join(numbers), None, stored.text)
        wanted = repeats.asked_sender(account, stored.sender)
        request = Request(
            account,
            id,
            self._leaving(account, addresses, stored.text, segments, wanted),
            stored.text,
            segments.encoding,
            segments.parts,
            stored.sender,
            "",
            None,
            False,
            now,
            0,
            queue.NORMAL,
        )
        # A queued delivery is counted already, and will be sent once.
        waiting = frozenset(
            [each.recipient for each in stored.deliveries if each.state is State.QUEUED]
        )
        batch = Batch(connection, [request], now, self.caps, waiting)
        reply = batch.reply_to(request)
        if batch.accepted:
            again = [
                resend.Again(
                    delivery,
                    route.prefix,
                    self._routes.lane(route.prefix),
                    parts,
                    now,
                    now + self.validity(account, route),
                )
                for delivery, (_, route, parts) in zip(
                    stored.deliveries, request.recipients, strict=True
                )
            ]
            resend.queue_again(
                connection,
                again,
                message_id=id,
                account_id=account.id,
                priority=queue.NORMAL,
                now=now,
            )
        batch.charge(connection)
        return reply

    def before(
        self, connection: Connection, account: Account, submission: Submission
    ) -> Reply | None:
        """The first reply, if this repeats an accepted request."""
        return repeats.before(connection, account, submission, self._region, self._clock())

    def _insert(self, connection: Connection, requests: Sequence[Request]) -> None:
        intake.add_messages(
            connection,
            [
                (
                    r.message_id,
                    r.account.id,
                    r.sender,
                    r.text,
                    # SQLite's driver is slower with subclasses of str.
                    r.encoding.value,
                    r.parts,
                    r.now,
                    r.reference,
                    r.hops,
                )
                for r in requests
            ],
        )
        rows, queued, waits = [], [], []
        for r in requests:
            for address, route, parts in r.recipients:
                prefix, due = route.prefix, r.now
                lane = self._routes.lane(prefix)
                if route.quiet is not None and (end := route.quiet.until(address.number, due)):
                    waits.append((r.message_id, end, due, queue.quiet_words(end)))
                    due, lane = end, queue.lane_until(lane, end, due)
                ends = r.now + self.validity(r.account, route)
                country = address.country
                rows.append((r.message_id, address.number, prefix, parts, due, ends, country))
                queued.append((r.account.id, lane, r.priority))
        intake.add_deliveries(connection, rows, queued)
        if waits:
            intake.tell_put_off(connection, waits)


def closed_words(account: Account | None, route: Route, number: str) -> str:
    """The reason why a number is closed by its kind; empty if it is open.

    A route opens a kind to the keys that the operator has made, not to free keys.
    """
    closed = kinds.closed_kind(number)
    if closed is None or (account is not None and closed in account.kinds):
        return ""
    if closed in route.kinds and not (account is not None and account.free):
        return ""
    return f"Numbers of this kind are closed: {closed}"


#: The most characters of a reference.
MOST_REFERENCE = 100
# Characters that XML (1.0, section 2.2) and every database can hold, without control characters.
_REFERENCE = re.compile("[^\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]*")


def _check_reference(reference: str) -> None:
    if len(reference) > MOST_REFERENCE:
        raise RefusedError(Code.NOT_SENT, "The reference is longer than 100 characters")
    if not _REFERENCE.fullmatch(reference):
        raise RefusedError(Code.NOT_SENT, "The reference has a control character in it")


def _chosen(account: Account, sender: str) -> str:
    """The sender that a request names; RefusedError when the account may not use it."""
    if not SENDER.fullmatch(sender):
        raise RefusedError(
            Code.NOT_SENT, "The sender is not up to 15 digits, or up to 11 letters and digits"
        )
    if not account.may_show(sender):
        raise RefusedError(Code.NOT_SENT, "This key may not name this sender")
    return sender


def _too_long(parts: int, most: int) -> str:
    return f"The message is too long: {parts} parts, at most {most}"
