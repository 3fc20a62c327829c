"""Defines the rights of processes in PostgreSQL that have database roles of their own.

GRANTS has every table with the rights of each role. Extend it with each new table, and whenever a
process needs more rights. `sendsmsnow grants` prints the rights as SQL; docs/postgresql/grants.sql
has it for the schema of this version. The owner of the tables, who migrates, needs no grants.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Literal, NamedTuple, get_args

from sqlalchemy import Connection, text

from .engine import ERASED_IN
from .tables import metadata

#: The processes that open the database, and the commands of the operator.
Role = Literal["web", "worker", "mail", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)


class Rights(NamedTuple):
    """The rights of a role on a table.

    Columns are `*` for all, their names separated by blanks, or `* - ` and the excluded names. A
    role that locks rows (FOR UPDATE) needs the right to update at least one column.
    """

    select: str = ""
    insert: str = ""
    update: str = ""
    delete: bool = False


_SHOWN = "* - key_hash callback_secret callback_failing_since"
_ERASED = "text sender reference erased_at"
_COUNTED = Rights("*", insert="*", update="parts", delete=True)
_TRIPPED = Rights(
    "scope period start refusals refused_parts", insert="*", update="refusals refused_parts"
)
_REMEMBERED = Rights("*", insert="*", update="* - id")
_NEW_DELIVERY = (
    "id message_id recipient route parts state due_at expires_at attempts"
    " possible_duplicate binding country"
)
_NEW_IN_QUEUE = "* - claimed_by upstream"
_STEP = "* - id"
_STOPPED = Rights("*", insert="*", delete=True)
_PARTS_THAT_CAME = Rights("*", insert="*", update="received_at joined_at", delete=True)

GRANTS: Mapping[str, Mapping[Role, Rights]] = {
    "account": {
        # For free keys, rotated keys, and pushed STOPs. Of a free key web can insert only the
        # columns that the page sets: no kinds of numbers, no callback.
        "web": Rights(
            "* - callback_secret callback_failing_since",
            insert="name key_hash key_hint enabled multi test free rate_count rate_period countries"
            " sender mail_address version next_free created_at",
            update="key_hash key_hint mail_address next_free stops version",
        ),
        "worker": Rights(
            "* - key_hash",
            # `name`: to free the name of a deleted account.
            update="name stops version callback_failing_since callback_paused_at"
            " callback_paused_reason",
        ),
        "mail": Rights(_SHOWN, update="next_free"),
        "operator": Rights("*", insert="*", update="*"),
    },
    "old_key": {
        "web": Rights("*", insert="*", update="valid_until", delete=True),
        "operator": Rights("*", insert="*", update="valid_until", delete=True),
    },
    "message": {
        "web": Rights("*", insert="* - erased_at", update=_ERASED),
        # The worker updates texts only to erase them.
        "worker": Rights("*", update=_ERASED, delete=True),
        "mail": Rights(insert="* - erased_at"),
        # `route check` inserts a message and rolls back.
        "operator": Rights("*", insert="* - erased_at", update=_ERASED),
    },
    "delivery": {
        "web": Rights(
            "*",
            insert=_NEW_DELIVERY,
            update="recipient binding route parts state due_at expires_at attempts "
            "possible_duplicate",
        ),
        "worker": Rights("*", update="* - id message_id parts expires_at", delete=True),
        "mail": Rights(insert=_NEW_DELIVERY),
        "operator": Rights("*", insert=_NEW_DELIVERY, update="recipient binding state"),
    },
    # Without `claim`, web cannot claim.
    "queue": {
        "web": Rights("*", insert="*", update="due_at", delete=True),
        "worker": Rights("*", insert="*", update="due_at lane route", delete=True),
        "mail": Rights(insert=_NEW_IN_QUEUE),
        "operator": Rights("*", insert=_NEW_IN_QUEUE, delete=True),
    },
    "claim": {
        "web": Rights("*"),
        # It locks the claims of dead workers.
        "worker": Rights("*", insert="*", update="claimed_by", delete=True),
        "operator": Rights("*"),
    },
    "awaited": {
        "web": Rights("*", insert="*", update="expires_at", delete=True),
        "worker": Rights("*", insert="*", update="expires_at", delete=True),
        "operator": Rights("*", delete=True),
    },
    "lease": {"worker": Rights("*", insert="*", update="holder until", delete=True)},
    "part": {
        "web": Rights("*", insert="*", update="upstream smsc_key state", delete=True),
        "worker": Rights("*", insert="*", update="upstream smsc_key state", delete=True),
    },
    "step": {
        "web": Rights("*", insert=_STEP),
        "worker": Rights("delivery_id", insert=_STEP, delete=True),
        "operator": Rights("*", insert=_STEP),
    },
    "early_receipt": {
        "web": Rights(insert="* - id"),
        "worker": Rights("*", insert="* - id", update="given_up", delete=True),
        "operator": Rights("id recipient", delete=True),
    },
    "number": {
        "web": Rights("digits account_id"),
        "worker": Rights("digits account_id"),
        "operator": Rights("*", insert="*", delete=True),
    },
    "keyword": {
        "web": Rights("digits word account_id"),
        "worker": Rights("digits word account_id"),
        "operator": Rights("*", insert="*", delete=True),
    },
    "received": {
        "web": Rights("*", insert="* - id"),
        "worker": Rights("*", insert="* - id", delete=True),
        "operator": Rights("*", insert="* - id", delete=True),
    },
    "incoming_part": {
        "web": _PARTS_THAT_CAME,
        "worker": _PARTS_THAT_CAME,
        "operator": Rights("sender recipient", delete=True),
    },
    "idempotency": {
        "web": _REMEMBERED,
        "worker": Rights("id created_at", insert="*", update="created_at", delete=True),
        "mail": _REMEMBERED,
    },
    "worker": {
        "worker": Rights("*", insert="*", update="alive_until leaving", delete=True),
        "operator": Rights("*"),
    },
    "allotment": {
        "worker": Rights("*", insert="*", update="* - scope worker", delete=True),
    },
    "stop": {
        "web": _STOPPED,
        "worker": _STOPPED,
        "mail": Rights("account_id recipient"),
        "operator": Rights("*", delete=True),
    },
    "event": {
        "web": Rights(insert="*"),
        "worker": Rights("*", insert="*", update="due_at attempts failure", delete=True),
        "operator": Rights("*", update="due_at attempts", delete=True),
    },
    "session": {
        "web": Rights("*", insert="*", delete=True),
        "operator": Rights("account_id", delete=True),
    },
    "key_request": {
        "web": Rights(
            "*",
            insert="address language network requested_at expires_at mail_due_at attempts failure",
            update="granted_at token_hash mail_due_at",
            delete=True,
        ),
        "worker": Rights("*", update="token_hash mail_due_at attempts failure"),
        "operator": Rights("*", update="granted_at token_hash mail_due_at", delete=True),
    },
    "counter": {
        "web": _COUNTED,
        "worker": Rights("period start", delete=True),
        "mail": _COUNTED,
        "operator": _COUNTED,
    },
    "cap_trip": {
        "web": _TRIPPED,
        "worker": Rights(
            "*", insert="*", update="refusals refused_parts due_at attempts failure", delete=True
        ),
        "mail": _TRIPPED,
        "operator": Rights("*", insert="*", update="refusals refused_parts lifted_at", delete=True),
    },
    "daily_count": {
        "web": Rights("*"),
        "worker": Rights("*", insert="*", update="deliveries parts"),
        "operator": Rights("*"),
    },
    # The worker changes periods by FUNCTIONS.
    "period": dict.fromkeys(ROLES, Rights("*")),
    # Each process notes the key of its own file. `encryption rekey` is for the owner.
    "encryption_key": dict.fromkeys(ROLES, Rights("name check_value", insert="*")),
    "audit": {
        "web": Rights("*", insert="* - id"),
        # The worker removes old entries.
        "worker": Rights("id at", insert="* - id", delete=True),
        # SQLAlchemy reads the id of an inserted row.
        "mail": Rights("id", insert="* - id"),
        "operator": Rights("*", insert="* - id"),
    },
    # The triggers of the trail read it, with the rights of the deleting role.
    "audit_retention": {"worker": Rights("before", insert="*", delete=True)},
}

#: The functions that a worker changes partitions by, with the owner's rights.
FUNCTIONS = ("history_make", "history_enter", "history_detach", "history_drop")

#: The roles that call `Store.scrub`, which vacuums. Before PostgreSQL 17 only owners can vacuum;
#: for other roles autovacuum does it later.
SCRUBBERS: tuple[Role, ...] = ("web", "worker", "operator")


class Right(NamedTuple):
    """A privilege of PostgreSQL on a table, a sequence, a function or some columns of a table."""

    privilege: str
    relation: str
    #: None: the whole relation.
    columns: tuple[str, ...] | None = None


def rights(role: Role) -> Iterator[Right]:
    """All rights of a role, without MAINTAIN for SCRUBBERS."""
    yield Right("SELECT", "alembic_version")
    for name, given in GRANTS.items():
        if role not in given:
            continue
        select, insert, update, delete = given[role]
        for privilege, columns in (("SELECT", select), ("INSERT", insert), ("UPDATE", update)):
            if columns:
                yield Right(privilege, name, _columns(name, columns))
        if delete:
            yield Right("DELETE", name)
        if insert and (sequence := _sequence(name)):
            yield Right("USAGE", sequence)
    if role == "worker":
        for name in FUNCTIONS:
            yield Right("EXECUTE", name)


def _columns(table: str, columns: str) -> tuple[str, ...] | None:
    if columns == "*":
        return None
    everything = [column.name for column in metadata.tables[table].columns]
    first, *others = columns.split()
    named = set(others) - {"-"} if first == "*" else {first, *others}
    if unknown := named - set(everything):
        raise ValueError(f"{table} has no column {', '.join(sorted(unknown))}")
    return tuple(name for name in everything if (name in named) == (first != "*"))


def _sequence(table: str) -> str | None:
    """The name of the sequence of a table in PostgreSQL; None if it has none."""
    column = metadata.tables[table].autoincrement_column
    return None if column is None else f"{table}_{column.name}_seq"


def sql(roles: Mapping[Role, str]) -> str:
    """The SQL that gives database roles of these names exactly their rights, in one transaction."""
    names = {role: _quoted(name) for role, name in roles.items()}
    everybody = ", ".join(names.values())
    sequences = [sequence for name in GRANTS if (sequence := _sequence(name))]
    to_everybody = everybody.replace("'", "''")
    return "\n".join(
        [
            "-- Rights for the processes of sendSmsNow, each with a role of its own in PostgreSQL.",
            "-- `sendsmsnow grants` prints them. The owner of the tables applies them, once more",
            "-- after each `sendsmsnow migrate`: what is not granted here is taken away.",
            "BEGIN;",
            "DO $$ BEGIN",
            "    EXECUTE 'GRANT USAGE ON SCHEMA ' || quote_ident(current_schema())",
            f"        || ' TO {to_everybody}';",
            "END $$;",
            f"REVOKE ALL ON {_wrapped(['alembic_version', *GRANTS])}",
            f"    FROM PUBLIC, {everybody};",
            f"REVOKE ALL ON SEQUENCE {_wrapped(sequences)}",
            f"    FROM PUBLIC, {everybody};",
            f"REVOKE ALL ON FUNCTION {_wrapped(FUNCTIONS)}",
            f"    FROM PUBLIC, {everybody};",
            *(line for role, name in names.items() for line in _grants(role, name)),
            "",
            "-- Who erases texts gives their pages back at once. PostgreSQL 17 knows that right;",
            "-- before, it is the owner's, and autovacuum does so later.",
            "DO $$ BEGIN",
            "    IF current_setting('server_version_num')::int >= 170000 THEN",
            f"        GRANT MAINTAIN ON {_wrapped(ERASED_IN)}",
            f"            TO {', '.join(names[role] for role in SCRUBBERS)};",
            "    END IF;",
            "END $$;",
            "COMMIT;",
            "",
        ]
    )


def _grants(role: Role, name: str) -> Iterator[str]:
    yield f"\n-- {role}"
    for relation, given in groupby(rights(role), key=lambda right: right.relation):
        each = [
            privilege if columns is None else f"{privilege} ({_wrapped(columns)})"
            for privilege, _, columns in given
        ]
        kinds = {"USAGE": "SEQUENCE ", "EXECUTE": "FUNCTION "}
        on = kinds.get(each[0], "") + relation
        what = ",\n    ".join(each)
        yield f"GRANT {what}\n    ON {on} TO {name};"


#: The most characters of a line of names.
_WIDTH = 80


def _wrapped(names: Iterable[str]) -> str:
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > _WIDTH:
            lines.append("")
        lines[-1] += f"{name}, "
    return "\n        ".join(line.rstrip() for line in lines).rstrip(",")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_MISSING = text(
    """
    SELECT DISTINCT privilege, relation
    FROM unnest(CAST(:privileges AS text[]), CAST(:relations AS text[]), CAST(:columns AS text[]))
        AS needed (privilege, relation, name)
    LEFT JOIN pg_attribute ON attrelid = to_regclass(relation) AND attname = name
    WHERE NOT CASE
        WHEN privilege = 'USAGE'
            THEN has_sequence_privilege(to_regclass(relation)::oid, privilege)
        WHEN privilege = 'EXECUTE'
            THEN has_function_privilege(to_regproc(relation)::oid, privilege)
        WHEN name IS NULL THEN has_table_privilege(to_regclass(relation)::oid, privilege)
        ELSE has_column_privilege(attrelid, attnum, privilege)
    END
    ORDER BY relation, privilege
    """
)


def missing(connection: Connection, role: Role) -> list[str]:
    """The rights of a role that the user of this connection lacks, as `DELETE on counter`.

    Missing tables are ignored. On SQLite the list is empty.
    """
    if connection.dialect.name == "sqlite":
        return []
    needed = [
        (privilege, relation, column)
        for privilege, relation, columns in rights(role)
        for column in (columns or (None,))
    ]
    privileges, relations, columns = map(list, zip(*needed, strict=True))
    given = {"privileges": privileges, "relations": relations, "columns": columns}
    return [f"{row.privilege} on {row.relation}" for row in connection.execute(_MISSING, given)]
