"""Claims the deliveries of the queue that are due, in turn between accounts."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from ..routing.routes import Routes, Share
from ..sms.encoding import Encoding
from ..sms.message import State
from ..upstream import Delivery
from .bulk import later, run
from .bulk_rows import BulkRows
from .queue import CARRIED, lane_until, leave, moment, move, put_off, quiet_words
from .sealed import CANNOT_BE_DECRYPTED, is_readable, looks_stored, seal_of
from .tables import part


class Turns:
    """Whose turn it is: where an upstream's claims have come in the ring of accounts."""

    def __init__(self) -> None:
        #: The account that was served last.
        self.account = -1
        #: How many accounts had something due.
        self.accounts = 1


# The accounts of a lane come in two lists: those after the last that was served, then the others.
# `head` skips from account to account by the index. An account is given as many rows as are its
# share, and its rows are then taken in turn with those of others: `earlier` counts the parts of an
# account's rows before this one.
_ACCOUNTS = """
    , rank (priority) AS (VALUES (0), (1), (2)), head AS (
        SELECT lane, priority, turn, upto, most, 1 AS n, (
            SELECT queue.account_id FROM queue
            WHERE queue.lane = given.lane AND queue.priority = rank.priority
                AND queue.account_id > given.after AND queue.account_id <= given.upto
            ORDER BY queue.account_id LIMIT 1
        ) AS account_id FROM given CROSS JOIN rank
        UNION ALL
        SELECT lane, priority, turn, upto, most, n + 1, (
            SELECT queue.account_id FROM queue
            WHERE queue.lane = head.lane AND queue.priority = head.priority
                AND queue.account_id > head.account_id AND queue.account_id <= head.upto
            ORDER BY queue.account_id LIMIT 1
        ) FROM head WHERE account_id IS NOT NULL AND n < CAST(? AS integer)
    )
"""
_DUE = """
    WHERE queue.lane = head.lane AND queue.priority = head.priority
        AND queue.account_id = head.account_id
        AND queue.due_at <= CAST(? AS bigint) AND queue.expires_at > CAST(? AS bigint)
        AND coalesce(queue.upstream, '') <> CAST(? AS text)
    ORDER BY queue.due_at, queue.delivery_id LIMIT CAST(? AS integer)
"""
_WAITING = {
    # Deliveries that another worker is claiming at this moment are skipped.
    "postgresql": f"""JOIN LATERAL (
        SELECT * FROM queue {_DUE} FOR UPDATE SKIP LOCKED
    ) queue ON true""",  # noqa: S608 - names of ours
    "sqlite": f"JOIN queue ON queue.delivery_id IN (SELECT delivery_id FROM queue {_DUE})",  # noqa: S608
}
_CHOSEN = """
    , chosen AS (
        SELECT *, sum(parts) OVER (
            PARTITION BY lane ORDER BY priority, earlier, turn, account_id, due_at, delivery_id
            ROWS UNBOUNDED PRECEDING
        ) - parts AS of_lane FROM (
            SELECT queue.*, head.turn, head.most, sum(queue.parts) OVER (
                PARTITION BY queue.priority, queue.account_id
                ORDER BY queue.due_at, queue.delivery_id ROWS UNBOUNDED PRECEDING
            ) - queue.parts AS earlier
            FROM head %s WHERE head.account_id IS NOT NULL
        ) waiting
    )
    SELECT seen.deepest, entry.* FROM (
        SELECT max(n) AS deepest FROM head WHERE account_id IS NOT NULL
    ) seen LEFT JOIN (
        SELECT chosen.delivery_id, chosen.message_id, chosen.account_id, chosen.lane, chosen.route,
            chosen.parts, chosen.expires_at, chosen.attempts, chosen.possible_duplicate,
            delivery.state, delivery.recipient, delivery.binding,
            message.sender, message.text, message.encoding, message.hops,
            chosen.priority, chosen.earlier, chosen.turn, chosen.due_at
        FROM (
            SELECT * FROM chosen WHERE of_lane < most
            ORDER BY priority, earlier, turn, account_id, due_at, delivery_id
            LIMIT CAST(? AS integer)
        ) chosen @content@
    ) entry ON true
    ORDER BY entry.priority, entry.earlier, entry.turn, entry.account_id, entry.due_at,
        entry.delivery_id
"""
# Always by the primary keys: PostgreSQL cannot know how few rows there are.
_CONTENT = {
    "postgresql": """
        CROSS JOIN LATERAL (
            SELECT * FROM delivery WHERE delivery.id = chosen.delivery_id OFFSET 0
        ) delivery
        CROSS JOIN LATERAL (
            SELECT * FROM message WHERE message.id = chosen.message_id OFFSET 0
        ) message
    """,
    "sqlite": """
        JOIN delivery ON delivery.id = chosen.delivery_id
        JOIN message ON message.id = chosen.message_id
    """,
}
_CLAIM = {
    name: BulkRows(
        _ACCOUNTS + (_CHOSEN % waiting).replace("@content@", _CONTENT[name]),
        lane="text",
        after="bigint",
        upto="bigint",
        turn="integer",
        most="integer",
    )
    for name, waiting in _WAITING.items()
}


class _Entry(NamedTuple):
    """A delivery that is due, with what it needs to be submitted."""

    delivery_id: int
    message_id: str
    account_id: int
    lane: str
    route: str
    parts: int
    expires_at: int
    attempts: int
    possible_duplicate: bool
    state: str
    recipient: str
    binding: str | None
    sender: str
    text: str
    encoding: str
    hops: int


_TAKE = BulkRows(
    f"""
    INSERT INTO claim ({", ".join(CARRIED)})
    SELECT {", ".join(f"queue.{name}" for name in CARRIED[:-3])}, queue.possible_duplicate,
        CAST(? AS bigint), CAST(? AS text)
    FROM given JOIN queue ON queue.delivery_id = given.id
    """.replace("queue.attempts", "queue.attempts + 1"),  # noqa: S608
    id="bigint",
)
_RECORD_TAKE = BulkRows(
    """
    INSERT INTO step (delivery_id, at, part, event, detail)
    SELECT id, ?, 0, 'claimed', ? FROM given
    """,
    id="bigint",
)


def claim_due(
    connection: Connection,
    *,
    shares: Sequence[Share],
    routes: Routes,
    upstream: str,
    worker: int,
    parts: int,
    now: int,
    turns: Turns,
    hold: Callable[[str, int], int] | None = None,
) -> list[Delivery]:
    """Claim due deliveries of these shares for an upstream that has room for `parts` parts.

    Those of a higher priority come first. Those of one priority come in turn from each account,
    each account's in the order in which they are due.

    A delivery with more parts than there is room for is claimed only when it is the first, so that
    every claimed delivery is written at once. Put off instead are deliveries in the quiet hours of
    their route, those that `hold` makes wait for their number, and those that cannot be decrypted.
    A delivery whose route leads elsewhere by now changes its lane.
    """
    left = {
        share.lane.name: parts if share.most is None else min(parts, share.most) for share in shares
    }
    tried_by = upstream if any(share.untried for share in shares) else _NONE
    most, heads = parts, parts + _MORE_ACCOUNTS
    each = min(parts, 1 + 2 * parts // turns.accounts)
    room, least, taken = parts, 0, list[_Entry]()
    for _ in range(_LOOKS if room > 0 else 0):
        wanted = {lane: max(n, least) for lane, n in left.items() if n > 0}
        deepest, entries = _due(
            connection, wanted, turns, now, tried_by, each=each, heads=heads, most=most
        )
        aside = _Aside(now)
        chosen: list[_Entry] = []
        served: set[str] = set()
        for entry in entries:
            lane = entry.lane
            if aside.has_put(entry, routes):
                continue
            if entry.parts > room and (taken or chosen):
                break
            if entry.parts > left[lane] and lane in served:
                continue
            # Last: a delivery that `hold` lets go may be the one trial of its number.
            until = hold(entry.recipient, now) if hold is not None else 0
            if until:
                why = f"the number is busy until {moment(until)}"
                aside.put_off(entry, until, why)
                continue
            chosen.append(entry)
            served.add(lane)
            left[lane] -= entry.parts
            room -= entry.parts
        aside.write(connection)
        if chosen:
            _take(connection, chosen, upstream, worker, now)
            taken += chosen
            turns.account = chosen[-1].account_id
        of_account = Counter(entry.account_id for entry in entries)
        turns.accounts = max(1, len(of_account))
        seen_all = deepest < heads and max(of_account.values(), default=0) < max(each, parts)
        if room <= 0 or (seen_all and not aside):
            break
        most = each = least = max(room, _MORE)
        heads *= _MORE_ACCOUNTS
    return _deliveries(connection, [(entry, entry.attempts + 1) for entry in taken])


#: A claim looks at most _LOOKS times: again at _MORE rows after putting deliveries aside, so that
#: ten thousand deliveries to one busy number do not block the queue, and at more accounts where
#: the first had nothing due. A look puts at most 100 aside, which keeps the transaction short.
_LOOKS, _MORE = 4, 100
#: How many accounts more than there is room for are looked at, and how many times more in the next
#: look: most accounts in the queue have something due.
_MORE_ACCOUNTS = 8
#: For how long a delivery that cannot be decrypted is put off, ms: an operator may add the key.
_UNREADABLE_FOR = 15 * 60_000


def _due(
    connection: Connection,
    wanted: Mapping[str, int],
    turns: Turns,
    now: int,
    tried_by: str,
    *,
    each: int,
    heads: int,
    most: int,
) -> tuple[int, list[_Entry]]:
    """The next due deliveries of some lanes, and how many accounts were looked at in a lane.

    `wanted`: how many parts of each lane. `each`, `heads`, `most`: the most deliveries
    of an account, accounts of a lane, and deliveries.
    """
    given = [
        (lane, after, upto, turn, parts)
        for lane, parts in wanted.items()
        for after, upto, turn in ((turns.account, _LAST, 0), (-1, turns.account, 1))
    ]
    if not given:
        return 0, []
    statement = _CLAIM[connection.dialect.name]
    rows = list(statement.run(connection, given, heads, now, now, tried_by, each, most))
    entries = [_Entry(*row[1 : 1 + len(_Entry._fields)]) for row in rows if row[1] is not None]
    return rows[0][0] or 0, _opened(connection, entries)


_LAST = 2**62
# No upstream has this name.
_NONE = " "


class _Aside:
    """The due deliveries that a claim cannot take."""

    def __init__(self, now: int) -> None:
        self._now = now
        self._waiting: list[tuple[int, int, str, str]] = []
        self._moved: list[tuple[int, str, str, str]] = []
        self._ended: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._waiting or self._moved or self._ended)

    def has_put(self, entry: _Entry, routes: Routes) -> bool:
        """Whether a delivery cannot be claimed; it is then put aside."""
        if entry.state != State.SUBMITTING:
            # Ended, by a receipt for one of its parts.
            self._ended.append(entry.delivery_id)
            return True
        if not _is_readable(entry):
            self.put_off(entry, self._now + _UNREADABLE_FOR, CANNOT_BE_DECRYPTED)
            return True
        if not routes.leads(entry.lane, entry.route):
            prefix, lane = routes.place(entry.route, entry.recipient)
            self._moved.append((entry.delivery_id, entry.route, prefix, lane))
            return True
        quiet = routes.of_prefix(entry.route).quiet
        until = quiet and quiet.until(entry.recipient, self._now)
        if until:
            self.put_off(entry, until, quiet_words(until))
        return bool(until)

    def put_off(self, entry: _Entry, until: int, why: str) -> None:
        """A delivery waits until a time."""
        lane = lane_until(entry.lane, until, self._now)
        self._waiting.append((entry.delivery_id, until, lane, why))

    def write(self, connection: Connection) -> None:
        """Write what was put aside."""
        now = self._now
        if self._ended:
            leave(connection, self._ended)
        if self._waiting:
            put_off(connection, self._waiting, now)
        if self._moved:
            move(connection, self._moved, now)


def _take(
    connection: Connection, entries: Sequence[_Entry], upstream: str, worker: int, now: int
) -> None:
    """Move deliveries from the queue to the claims of a worker."""
    ids = [entry.delivery_id for entry in entries]
    given = [(id,) for id in ids]
    _TAKE.run(connection, given, worker, upstream)
    leave(connection, ids)
    _RECORD_TAKE.run(connection, given, now, upstream, execute=later)


def _opened(connection: Connection, entries: list[_Entry]) -> list[_Entry]:
    """Deliveries with their values decrypted."""
    seal = seal_of(connection.dialect)
    if seal is None:
        return entries
    return [
        entry._replace(
            recipient=seal.recipient(entry.message_id, entry.recipient, entry.binding),
            text=seal.opened("message.text", entry.text, entry.message_id),
            sender=seal.opened("message.sender", entry.sender),
        )
        for entry in entries
    ]


def _is_readable(entry: _Entry) -> bool:
    """Whether the recipient, text and sender could be decrypted."""
    # Without a seal the encrypted values would be sent.
    readable = is_readable(entry.recipient, entry.text, entry.sender)
    return readable and not looks_stored(entry.recipient)


_CLAIMED = f"""
    SELECT {", ".join(f"claim.{name}" for name in _Entry._fields[:9])}, delivery.state,
        delivery.recipient, delivery.binding, message.sender, message.text, message.encoding,
        message.hops
    FROM claim JOIN delivery ON delivery.id = claim.delivery_id
    JOIN message ON message.id = claim.message_id
    WHERE claim.claimed_by = ? AND claim.upstream = ? ORDER BY claim.delivery_id
"""  # noqa: S608


def claimed(
    connection: Connection, *, upstream: str, worker: int, but: Collection[int]
) -> list[Delivery]:
    """The deliveries that a worker has claimed for an upstream, except those in `but`."""
    rows = [_Entry(*row) for row in run(connection, _CLAIMED, (worker, upstream))]
    ours = [
        entry
        for entry in _opened(connection, rows)
        if entry.delivery_id not in but and _is_readable(entry)
    ]
    return _deliveries(connection, [(entry, entry.attempts) for entry in ours])


_ACCEPTED = select(part.c.delivery_id, part.c.number).where(
    part.c.delivery_id.in_(bindparam("ids", expanding=True))
)


def _deliveries(connection: Connection, entries: Sequence[tuple[_Entry, int]]) -> list[Delivery]:
    """Make deliveries of entries, each with its attempt number."""
    accepted: dict[int, set[int]] = {}
    again = [entry.delivery_id for entry, attempt in entries if attempt > 1]
    if again:
        for delivery_id, number in connection.execute(_ACCEPTED, {"ids": again}):
            accepted.setdefault(delivery_id, set()).add(number)
    return [
        Delivery(
            id=entry.delivery_id,
            message_id=entry.message_id,
            sender=entry.sender,
            recipient=entry.recipient,
            text=entry.text,
            encoding=Encoding(entry.encoding),
            parts=entry.parts,
            accepted=frozenset(accepted.get(entry.delivery_id, ())),
            expires_at=entry.expires_at,
            route=entry.route,
            attempt=attempt,
            possible_duplicate=bool(entry.possible_duplicate),
            hops=entry.hops,
        )
        for entry, attempt in entries
    ]
