"""Daily counts of deleted history; on PostgreSQL history is partitioned by time.

message, delivery, part and step become partitioned tables. The tables of before are their first
partitions (`…_before`): no row is copied, and others write meanwhile. store/periods.py explains it.
"""

import time
from typing import Any

import sqlalchemy as sa
from alembic import op

from sms_gateway.moments import now

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_DAY = 86_400_000
# As in store/periods.py.
_ID_BITS = 34
# Ids that clients choose may be a day ahead. Until then new messages go to the tables of before.
_FROM = 2 * _DAY
# The first periods are made before a worker tells how long history is kept: two weeks.
_FIRST, _LONG = 2, 7 * _DAY

# The column that each table is partitioned by.
_KEYS = {"message": "id", "delivery": "id", "part": "delivery_id", "step": "delivery_id"}
# What deletions and `forget` look for: name to table, columns and condition.
_INDEXES: dict[str, tuple[str, list[Any], str | None]] = {
    "event_delivery": ("event", ["delivery_id"], None),
    "event_received": ("event", ["received_id"], None),
    "received_sender": ("received", ["sender"], None),
    "message_erased": ("message", ["erased_at"], "erased_at IS NOT NULL"),
}
# As store/lookup.py asks for it.
_NUMBERS: dict[str, tuple[str, list[Any], str | None]] = {
    "delivery_number": ("delivery", [sa.text("(id >> 14)"), "recipient"], None)
}

# The owner of the tables makes and drops partitions: a worker with a role of its own calls these.
_AS_OWNER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT"
_FUNCTIONS = {
    # Turns the tables into partitioned ones, whose first partitions are the tables of before.
    "history_begin(first_start bigint, first_number bigint) RETURNS void LANGUAGE plpgsql": """
DECLARE
    name text;
    of text;
    bound text;
    each record;
    made text[] := '{}';
BEGIN
    -- In the order in which accepting locks.
    LOCK TABLE account, message, delivery, part, step, event IN ACCESS EXCLUSIVE MODE;
    FOR each IN
        SELECT conrelid::regclass AS relation, conname FROM pg_constraint
        WHERE contype = 'f' AND (
            conrelid = ANY (ARRAY['message', 'delivery', 'part', 'step']::regclass[])
            OR confrelid IN ('message'::regclass, 'delivery'::regclass))
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', each.relation, each.conname);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['message', 'delivery', 'part', 'step'] LOOP
        of := CASE WHEN name IN ('message', 'delivery') THEN 'id' ELSE 'delivery_id' END;
        bound := CASE name WHEN 'message'
            THEN quote_literal(history_id(first_start)) ELSE (first_number << 34)::text END;
        made := '{}';
        FOR each IN
            SELECT tgname, pg_get_triggerdef(oid) AS definition FROM pg_trigger
            WHERE tgrelid = name::regclass AND NOT tgisinternal
        LOOP
            made := made || each.definition;
            EXECUTE format('DROP TRIGGER %I ON %I', each.tgname, name);
        END LOOP;
        IF name = 'part' THEN
            made := made || 'ALTER TABLE part ADD PRIMARY KEY (delivery_id, number)'::text;
        ELSIF name <> 'step' THEN
            made := made || format('ALTER TABLE %I ADD PRIMARY KEY (id)', name);
        END IF;
        FOR each IN
            SELECT relname, pg_get_indexdef(indexrelid) AS definition, indisprimary
            FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
            -- These are for programs of before, which find all of theirs in the table of before.
            WHERE indrelid = name::regclass AND relname NOT IN ('delivery_recipient',
                'delivery_queued', 'delivery_submitting', 'delivery_expiring', 'delivery_uncertain')
        LOOP
            IF NOT each.indisprimary THEN
                made := made || each.definition;
            END IF;
            EXECUTE format('ALTER INDEX %I RENAME TO %I', each.relname, each.relname || '_before');
        END LOOP;
        EXECUTE format('ALTER TABLE %I RENAME TO %I', name, name || '_before');
        EXECUTE format(
            'CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING STORAGE)'
            ' PARTITION BY RANGE (%I)',
            name, name || '_before', of);
        FOREACH bound IN ARRAY made || format(
            'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%s)',
            name, name || '_before', bound)
        LOOP
            EXECUTE bound;
        END LOOP;
        EXECUTE format(
            'ALTER TABLE %I DROP CONSTRAINT %I', name || '_before', name || '_is_before');
        FOR each IN
            SELECT attname FROM pg_attribute
            WHERE attrelid = (name || '_before')::regclass AND attnum > 0 AND attstattarget = 0
        LOOP
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET STATISTICS 0', name, each.attname);
        END LOOP;
        IF name IN ('delivery', 'step') THEN
            EXECUTE format('ALTER SEQUENCE %I OWNED BY %I.id', name || '_id_seq', name);
        END IF;
        -- The rights of roles.
        FOR each IN
            SELECT given.grantee, given.privilege_type, '' AS columns
            FROM pg_class, aclexplode(relacl) AS given
            WHERE oid = (name || '_before')::regclass AND given.grantee <> relowner
            UNION ALL
            SELECT given.grantee, given.privilege_type, format('(%I)', attname)
            FROM pg_attribute, aclexplode(attacl) AS given
            WHERE attrelid = (name || '_before')::regclass
        LOOP
            EXECUTE format('GRANT %s %s ON %I TO %s', each.privilege_type, each.columns, name,
                CASE each.grantee WHEN 0 THEN 'PUBLIC' ELSE each.grantee::regrole::text END);
        END LOOP;
    END LOOP;
    CREATE TABLE message_rest PARTITION OF message DEFAULT;
    PERFORM history_like('message_rest', 'message', 'message_before');
END""",
    # The smallest id of a message of this time.
    "history_id(at bigint) RETURNS text LANGUAGE sql IMMUTABLE": """
    SELECT lpad(to_hex(at), 12, '0') || repeat('0', 20)""",
    # Gives a partition what CREATE TABLE does not copy.
    "history_like(made text, parent text, predecessor text) RETURNS void LANGUAGE plpgsql": """
DECLARE
    each record;
BEGIN
    FOR each IN
        SELECT attname FROM pg_attribute
        WHERE attrelid = parent::regclass AND attnum > 0 AND attstattarget = 0
    LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET STATISTICS 0', made, each.attname);
    END LOOP;
    FOR each IN
        SELECT option_name, option_value FROM pg_class, pg_options_to_table(reloptions)
        WHERE oid = predecessor::regclass
    LOOP
        EXECUTE format('ALTER TABLE %I SET (%I = %L)', made, each.option_name, each.option_value);
    END LOOP;
END""",
    # Makes the partitions of a period. Nobody waits for it.
    f"history_make(made bigint, start_at bigint, end_at bigint) RETURNS void {_AS_OWNER}": """
DECLARE
    name text;
    low text;
    high text;
    partition text;
BEGIN
    FOREACH name IN ARRAY ARRAY['message', 'delivery', 'part', 'step'] LOOP
        partition := name || '_p' || made;
        low := CASE name WHEN 'message'
            THEN quote_literal(history_id(start_at)) ELSE (made << 34)::text END;
        high := CASE name WHEN 'message'
            THEN quote_literal(history_id(end_at)) ELSE ((made + 1) << 34)::text END;
        EXECUTE format(
            'CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING INDEXES)',
            partition, name);
        PERFORM history_like(partition, name, name || '_before');
        IF name = 'message' THEN
            -- Usually none: the period is not yet begun.
            EXECUTE format('WITH moved AS (DELETE FROM message_rest WHERE id >= %s AND id < %s'
                ' RETURNING *) INSERT INTO %I SELECT * FROM moved', low, high, partition);
        END IF;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
            name, partition, low, high);
    END LOOP;
    INSERT INTO period (number, start_at, end_at) VALUES (made, start_at, end_at);
END""",
    # From now on new deliveries get ids of this period.
    f"history_enter(entered bigint, at bigint) RETURNS void {_AS_OWNER}": """
BEGIN
    UPDATE period SET entered_at = at WHERE number = entered AND entered_at IS NULL;
    IF FOUND AND (SELECT last_value FROM delivery_id_seq) < entered << 34 THEN
        PERFORM setval('delivery_id_seq', entered << 34);
    END IF;
END""",
    # Counts what a period has and detaches its partitions; returns the number of its messages, or
    # NULL when something in it may still change.
    f"history_detach(over bigint, quiet_since bigint) RETURNS bigint {_AS_OWNER}": """
DECLARE
    low bigint := over << 34;
    high bigint := (over + 1) << 34;
    first text;
    last text;
    waits boolean;
    messages bigint;
    -- Of the period by the message and not by the delivery, or the other way round.
    stray_deliveries bigint[];
    stray_messages text[];
    tries integer := 0;
BEGIN
    SELECT history_id(start_at), history_id(end_at) INTO first, last
    FROM period WHERE number = over FOR UPDATE;
    IF first IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('LOCK TABLE message_p%s, delivery_p%s IN SHARE ROW EXCLUSIVE MODE', over, over);
    stray_deliveries := ARRAY(SELECT id FROM delivery
        WHERE message_id >= first AND message_id < last AND NOT (id >= low AND id < high));
    stray_messages := ARRAY(SELECT DISTINCT message_id FROM delivery
        WHERE id >= low AND id < high AND NOT (message_id >= first AND message_id < last));
    SELECT EXISTS (SELECT FROM delivery
        WHERE (id >= low AND id < high OR id = ANY (stray_deliveries))
        AND (state IN ('queued', 'submitting', 'submitted')
            OR state = 'uncertain' AND expires_at > quiet_since)) INTO waits;
    IF waits THEN
        RETURN NULL;
    END IF;
    INSERT INTO daily_count AS old (day, account_id, country, state, deliveries, parts)
    SELECT accepted_at / 86400000, account_id, country, state, count(*), sum(parts)
    FROM (
        SELECT accepted_at, account_id, coalesce(country, '') AS country, state, delivery.parts
        FROM delivery JOIN message ON message.id = message_id
        WHERE delivery.id >= low AND delivery.id < high
            AND message.id >= first AND message.id < last
        UNION ALL
        SELECT accepted_at, account_id, coalesce(country, ''), state, delivery.parts
        FROM delivery JOIN message ON message.id = message_id
        WHERE delivery.id >= low AND delivery.id < high AND message.id = ANY (stray_messages)
        UNION ALL
        SELECT accepted_at, account_id, coalesce(country, ''), state, delivery.parts
        FROM delivery JOIN message ON message.id = message_id
        WHERE delivery.id = ANY (stray_deliveries)
    ) AS ended
    GROUP BY 1, 2, 3, 4
    ON CONFLICT (account_id, day, country, state) DO UPDATE
        SET deliveries = old.deliveries + excluded.deliveries, parts = old.parts + excluded.parts;
    SELECT count(*) INTO messages FROM message WHERE id >= first AND id < last;
    DELETE FROM awaited WHERE delivery_id >= low AND delivery_id < high
        OR delivery_id = ANY (stray_deliveries);
    DELETE FROM event WHERE delivery_id >= low AND delivery_id < high
        OR delivery_id = ANY (stray_deliveries);
    DELETE FROM part WHERE delivery_id = ANY (stray_deliveries);
    DELETE FROM step WHERE delivery_id = ANY (stray_deliveries);
    DELETE FROM delivery WHERE id = ANY (stray_deliveries);
    DELETE FROM message WHERE id = ANY (stray_messages) AND NOT EXISTS (
        SELECT FROM delivery
        WHERE message_id = message.id AND NOT (delivery.id >= low AND delivery.id < high));
    LOOP
        BEGIN
            SET LOCAL lock_timeout = '100ms';
            LOCK TABLE message, delivery, part, step IN ACCESS EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            tries := tries + 1;
            IF tries > 100 THEN
                RAISE;
            END IF;
            PERFORM pg_sleep(0.3);
        END;
    END LOOP;
    EXECUTE format('ALTER TABLE message DETACH PARTITION message_p%s', over);
    EXECUTE format('ALTER TABLE delivery DETACH PARTITION delivery_p%s', over);
    EXECUTE format('ALTER TABLE part DETACH PARTITION part_p%s', over);
    EXECUTE format('ALTER TABLE step DETACH PARTITION step_p%s', over);
    DELETE FROM period WHERE number = over;
    RETURN messages;
END""",
    # Drops the partitions that are detached.
    f"history_drop() RETURNS void {_AS_OWNER}": """
DECLARE
    each record;
BEGIN
    FOR each IN
        SELECT relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
            AND NOT relispartition AND relname ~ '^(message|delivery|part|step)_p[0-9]+$'
    LOOP
        EXECUTE format('DROP TABLE %I', each.relname);
    END LOOP;
END""",
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _add_tables()
        op.add_column("delivery", sa.Column("country", sa.Text(), nullable=True))
        for name, (table, columns, where) in _INDEXES.items():
            op.create_index(name, table, columns, sqlite_where=where and sa.text(where))
        return
    # Each statement by itself, as it keeps others away for a moment. All may be done once more,
    # where a migration was interrupted.
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        kind = "SELECT relkind FROM pg_class WHERE oid = 'message'::regclass"
        if connection.exec_driver_sql(kind).scalar() == "p":
            return
        _add_tables()
        _quickly("ALTER TABLE delivery ADD COLUMN IF NOT EXISTS country text")
        for name, (table, columns, where) in (_INDEXES | _NUMBERS).items():
            op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
            op.create_index(
                name,
                table,
                columns,
                postgresql_where=where and sa.text(where),
                postgresql_concurrently=True,
            )
        for head, body in _FUNCTIONS.items():
            op.execute(f"CREATE OR REPLACE FUNCTION {head} AS $${body}$$")
            op.execute(f"REVOKE ALL ON FUNCTION {head.partition('(')[0]} FROM PUBLIC")
        _partition(connection)


def _add_tables() -> None:
    op.create_table(
        "daily_count",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("deliveries", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "day", "country", "state"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "period",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("end_at", sa.BigInteger(), nullable=False),
        sa.Column("entered_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        if_not_exists=True,
    )


def _partition(connection: sa.Connection) -> None:
    newest, last = connection.exec_driver_sql(
        "SELECT (SELECT max(id) FROM message), (SELECT coalesce(max(id), 0) FROM delivery)"
    ).one()
    begin = max(now(), _time_in(newest)) + _FROM
    start, number = begin // _DAY * _DAY, (last >> _ID_BITS) + 1
    # With these proofs, attaching the tables of before reads no rows.
    for name, key in _KEYS.items():
        bound = f"'{start:012x}{'0' * 20}'" if name == "message" else number << _ID_BITS
        _quickly(
            f"ALTER TABLE {name} DROP CONSTRAINT IF EXISTS {name}_is_before,"
            f" ADD CONSTRAINT {name}_is_before CHECK ({key} < {bound}) NOT VALID"
        )
        connection.exec_driver_sql(f"ALTER TABLE {name} VALIDATE CONSTRAINT {name}_is_before")
    periods = [(number + n, start + n * _LONG, start + (n + 1) * _LONG) for n in range(_FIRST)]
    calls = [f"history_begin({start}, {number})"] + [
        f"history_make({n}, {first}, {end})" for n, first, end in periods
    ]
    _quickly(f"SELECT {', '.join(calls)}")
    op.execute("DROP FUNCTION history_begin")


def _time_in(id: str | None) -> int:
    """The time in the id of a message, milliseconds; 0 without one."""
    try:
        return int((id or "")[:12], 16)
    except ValueError:
        return 0


def _quickly(statement: str) -> None:
    """Execute a statement that locks tables.

    While it waits for others, who comes after it waits too. So it gives up soon, and tries again
    after a pause.
    """
    connection = op.get_bind()
    for _ in range(_TRIES):
        try:
            # One message to the server is one transaction.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '100ms'; {statement}")
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", "") not in _LOCKED:
                raise
            time.sleep(_PAUSE)
        else:
            return
    raise RuntimeError("another program keeps message, delivery, part or step locked: stop it")


_TRIES, _PAUSE = 1_000, 0.3
# lock_not_available and deadlock_detected.
_LOCKED = ("55P03", "40P01")
