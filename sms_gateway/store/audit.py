"""The audit trail: who did what when. Rows are added, in the transaction of what they tell of, and
never changed; triggers of the database see to that (migration 0008).

No text, key, secret or whole number stands in it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from .. import callers
from ..accounts import Account
from ..callers import Caller, Face
from ..moments import iso
from .tables import audit, audit_retention


class Action(StrEnum):
    """What can stand in the trail; WORDS has each in words."""

    KEY_CREATE = "key.create"
    KEY_CHANGE = "key.change"
    KEY_ENABLE = "key.enable"
    KEY_DISABLE = "key.disable"
    KEY_ROTATE = "key.rotate"
    KEY_DELETE = "key.delete"
    KEY_REFUSE = "key.refuse"
    CAP_LIFT = "cap.lift"
    SESSION_BEGIN = "session.begin"
    SESSION_END = "session.end"
    SESSION_REFUSE = "session.refuse"
    NUMBER_ASSIGN = "number.assign"
    NUMBER_RELEASE = "number.release"
    STOP_LIFT = "stop.lift"
    MESSAGE_RESEND = "message.resend"
    HISTORY_DELETE = "history.delete"
    PERSON_FORGET = "person.forget"
    EVENT_REPLAY = "event.replay"
    GATEWAY_START = "gateway.start"
    SCHEMA_MIGRATE = "schema.migrate"
    ENCRYPTION_REKEY = "encryption.rekey"
    AUDIT_PRUNE = "audit.prune"


#: Each action in words, as pages and the command line show it.
WORDS: dict[Action, str] = {
    Action.KEY_CREATE: "key made",
    Action.KEY_CHANGE: "key changed",
    Action.KEY_ENABLE: "key enabled",
    Action.KEY_DISABLE: "key disabled",
    Action.KEY_ROTATE: "new key for the old one",
    Action.KEY_DELETE: "key deleted",
    Action.KEY_REFUSE: "wrong key",
    Action.CAP_LIFT: "limit lifted",
    Action.SESSION_BEGIN: "signed in",
    Action.SESSION_END: "signed out",
    Action.SESSION_REFUSE: "sign-in refused",
    Action.NUMBER_ASSIGN: "number assigned",
    Action.NUMBER_RELEASE: "number taken back",
    Action.STOP_LIFT: "stop lifted",
    Action.MESSAGE_RESEND: "message sent again",
    Action.HISTORY_DELETE: "history deleted",
    Action.PERSON_FORGET: "person forgotten",
    Action.EVENT_REPLAY: "events sent again",
    Action.GATEWAY_START: "gateway started",
    Action.SCHEMA_MIGRATE: "database migrated",
    Action.ENCRYPTION_REKEY: "encrypted anew",
    Action.AUDIT_PRUNE: "audit trail shortened",
}

#: The most entries that one transaction removes, so that nobody waits long for its end.
AT_ONCE = 500
# The most characters of one fact.
_LONGEST = 500
_NONE: Mapping[str, object] = {}


def record(
    connection: Connection,
    action: Action,
    account: Account | None = None,
    facts: Mapping[str, object] = _NONE,
    *,
    now: int,
    caller: Caller | None = None,
) -> None:
    """Add to the trail what is being done in this transaction, and who does it.

    `account` is whom it concerns, if it concerns one; `now` is in Unix milliseconds. Facts that are
    None are left out; a number among them is to be `masked`. The caller is the current one unless
    another is named.
    """
    caller = caller or callers.current()
    told = {name: _told(value) for name, value in facts.items() if value is not None}
    connection.execute(
        insert(audit).values(
            at=now,
            action=action.value,
            face=caller.face.value,
            operator=caller.operator,
            network=caller.network(),
            account_id=account and account.id,
            account=account.name if account else "",
            facts=json.dumps(told, ensure_ascii=False),
        )
    )


def _told(value: object) -> object:
    if isinstance(value, bool | int):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        value = ",".join(sorted(map(str, value)))
    return str(value)[:_LONGEST]


def masked(number: str) -> str:
    """A number that nobody can call: its last digits, at most a third of them."""
    digits = number.removeprefix("+")
    return "…" + digits[len(digits) - min(3, len(digits) // 3) :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the trail."""

    id: int
    #: Unix milliseconds.
    at: int
    #: An `Action` by its value, or one that a later version knew.
    action: str
    face: Face
    #: Who ran the command: user and host; empty for other faces.
    operator: str
    #: Where the request came from; empty where that is not known.
    network: str
    #: The name of the account that it concerns; empty for none.
    account: str
    facts: dict[str, Any]

    @property
    def words(self) -> str:
        """What was done, in words."""
        return WORDS[Action(self.action)] if self.action in _KNOWN else self.action


_KNOWN = frozenset(Action)


def page(connection: Connection, account_id: int, *, before: int, most: int) -> Sequence[Entry]:
    """What concerns an account, newest first, before the entry with this id."""
    rows = connection.execute(
        select(audit)
        .where(audit.c.account_id == account_id, audit.c.id < before)
        .order_by(audit.c.id.desc())
        .limit(most)
    )
    return [_entry(row) for row in rows]


def listed(
    connection: Connection, *, since: int, name: str | None = None, after: int = 0, most: int
) -> Sequence[Entry]:
    """Entries since a time (Unix milliseconds), oldest first, of one account or all; go on `after`
    the id of the last."""
    chosen: list[ColumnElement[bool]] = [audit.c.at >= since, audit.c.id > after]
    if name is not None:
        chosen.append(audit.c.account == name)
    rows = connection.execute(select(audit).where(*chosen).order_by(audit.c.id).limit(most))
    return [_entry(row) for row in rows]


def _entry(row: Any) -> Entry:
    return Entry(
        id=row.id,
        at=row.at,
        action=row.action,
        face=Face(row.face),
        operator=row.operator,
        network=row.network,
        account=row.account,
        facts=json.loads(row.facts),
    )


def prune(connection: Connection, *, before: int, now: int) -> int:
    """Remove entries from before a time (Unix milliseconds); how many they were.

    At most AT_ONCE of the oldest: call again until it is 0. That entries were removed is one.
    """
    oldest = select(audit.c.id).where(audit.c.at < before).order_by(audit.c.at).limit(AT_ONCE)
    ids = list(connection.execute(oldest).scalars())
    if ids:
        # The triggers let go what is older than this, and nothing else.
        connection.execute(insert(audit_retention).values(before=before))
        connection.execute(delete(audit).where(audit.c.id.in_(ids)))
        connection.execute(delete(audit_retention))
        facts = {"entries": len(ids), "before": iso(before, "seconds")}
        record(connection, Action.AUDIT_PRUNE, None, facts, now=now)
    return len(ids)
