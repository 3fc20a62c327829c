"""Writes and reads the audit trail: who did what when.

Each row is added in the transaction of the action that it records. Rows are never changed: triggers
of the database refuse that (migration 0008). No row has a text, a key, a secret or a whole number.
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
from .tables import account as accounts
from .tables import audit, audit_retention


class Action(StrEnum):
    """The actions that the trail records; WORDS describes each for people."""

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
    """Record the action of this transaction, and its caller.

    `account`: the account that the action concerns, if any. `now`: Unix milliseconds. Facts that
    are None are left out. Mask numbers among the facts (`masked`). `caller`: default the current
    one.
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
            account=named(account.name) if account else "",
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
    """The last digits of a number: three, or a third of it if that is less."""
    digits = number.removeprefix("+")
    return "…" + digits[len(digits) - min(3, len(digits) // 3) :]


def named(name: str) -> str:
    """A key's name as the trail has it: of one that is a mail address, what erasing a person may
    leave, its first letter and its domain."""
    local, at, domain = name.rpartition("@")
    return f"{local[:1]}…@{domain}" if at else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the trail."""

    id: int
    #: Unix milliseconds.
    at: int
    #: The value of an `Action`, or of one that only a later version has.
    action: str
    face: Face
    #: The user and host that ran the command; empty for other faces.
    operator: str
    #: The network that the request came from; empty when unknown.
    network: str
    #: The name of the account that the action concerns; empty for none.
    account: str
    facts: dict[str, Any]

    @property
    def words(self) -> str:
        """The action, described for people."""
        return WORDS[Action(self.action)] if self.action in _KNOWN else self.action


_KNOWN = frozenset(Action)


def page(connection: Connection, account_id: int, *, before: int, most: int) -> Sequence[Entry]:
    """The entries about an account that are older than the entry `before`, newest first."""
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
    """Entries since a time (Unix milliseconds), of one account or all, oldest first.

    `after`: the id after which to go on.
    """
    chosen: list[ColumnElement[bool]] = [audit.c.at >= since, audit.c.id > after]
    if name is not None:
        # By its id too: the trail has no mail address whole.
        id = select(accounts.c.id).where(accounts.c.name == name).scalar_subquery()
        chosen.append((audit.c.account == name) | (audit.c.account_id == id))
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
    """Remove the oldest entries from before a time (Unix milliseconds); returns how many.

    A call removes at most AT_ONCE: call again until it returns 0. The removal itself is recorded.
    """
    oldest = select(audit.c.id).where(audit.c.at < before).order_by(audit.c.at).limit(AT_ONCE)
    ids = list(connection.execute(oldest).scalars())
    if ids:
        # The triggers allow only entries older than this to be deleted.
        connection.execute(insert(audit_retention).values(before=before))
        connection.execute(delete(audit).where(audit.c.id.in_(ids)))
        connection.execute(delete(audit_retention))
        facts = {"entries": len(ids), "before": iso(before, "seconds")}
        record(connection, Action.AUDIT_PRUNE, None, facts, now=now)
    return len(ids)
