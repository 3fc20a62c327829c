"""Opens connections to PostgreSQL: directly or by a pooler, with a limit for each wait.

A host that vanishes without a reset leaves its peers waiting: TCP repeats for a quarter of an hour
what is not acknowledged, and waits for an answer without end.

The limits of each side:

 we    connect_timeout, tcp_user_timeout, keepalives of TCP ─► the host is away
       patience ─► the host is there, and its server hangs (or a pooler that lost its server)
 server  statement_timeout, lock_timeout ─► it ends the statement, and says so
         idle_in_transaction_session_timeout, keepalives, client_connection_check_interval ─► we are
         away: it ends the transaction, and frees its locks
"""

import math
import os
import select
import socket
from typing import Any

from psycopg import Connection, OperationalError
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry

from .limits import Limits
from .pipeline import Pipeline

# How a generator of psycopg names what it waits for (psycopg.waiting).
_EVENTS = {1: select.POLLIN, 2: select.POLLOUT, 3: select.POLLIN | select.POLLOUT}
#: How often a vanished peer is tried again before the connection ends, a second between tries.
_PROBES = 3


class SilentError(OperationalError):
    """The server was silent for as long as it may be. The connection is closed."""


class Session(Connection[Any]):
    """A connection that is closed when its server is silent for too long."""

    #: The longest silence, seconds. The pool sets it to that of `Limits` at each checkout.
    patience: float = math.inf
    #: Whether it was closed because of a silence.
    gave_up = False

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """See `psycopg.Connection`; raises SilentError besides."""
        if self.patience == math.inf:
            return super().wait(gen, *args, **options)
        try:
            wanted = next(gen)
            while True:
                ready = self.poll(_EVENTS[wanted])
                wanted = gen.send(bool(ready & ~select.POLLOUT) | bool(ready & select.POLLOUT) * 2)
        except StopIteration as end:
            return end.value

    def poll(self, events: int) -> int:
        """Wait for events of the socket (select.POLLIN and POLLOUT), and return them.

        SilentError when there are none within `patience`.
        """
        ready = select.poll()
        ready.register(self.pgconn.socket, events)
        found = ready.poll(None if self.patience == math.inf else self.patience * 1_000)
        if not found:
            self.give_up()
            raise SilentError(f"the database was silent for {self.patience:g} seconds")
        return found[0][1]

    def give_up(self) -> None:
        """Close the connection at once, with nothing sent and nothing awaited."""
        with socket.socket(fileno=os.dup(self.pgconn.socket)) as link:
            link.shutdown(socket.SHUT_RDWR)
        self.pgconn.finish()
        self.gave_up = True


def open_engine(url: URL, limits: Limits) -> Engine:
    """An engine with these limits; what the URL says itself stays as it is."""
    engine = create_engine(
        url,
        hide_parameters=True,  # no message texts in exceptions
        # Replaces a connection that died while idle before it is used.
        pool_pre_ping=True,
        pool_size=min(5, limits.connections),
        max_overflow=max(0, limits.connections - 5),
        pool_timeout=limits.silence,
        connect_args={
            "client_encoding": "utf8",
            # The driver's cursors prepare nothing: with each rollback they would also drop the
            # statements that `Pipeline` has prepared.
            "prepare_threshold": None,
            **{name: value for name, value in _of_tcp(limits).items() if name not in url.query},
        },
    )
    session = _of_session(limits, str(url.query.get("options", "")))

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Session:
        return Session.connect(*arguments, **options)

    @event.listens_for(engine, "connect")
    def _configure(connection: Session, record: ConnectionPoolEntry) -> None:
        connection.patience = limits.silence
        is_direct = _configured(connection, session)
        record.info["session"] = connection
        record.info["is_direct"] = is_direct
        record.info["pipeline"] = Pipeline(connection, prepares=is_direct)

    @event.listens_for(engine, "checkout")
    def _checkout(connection: Session, _record: Any, _proxy: Any) -> None:
        # Longer than the server lets a statement run: it says so itself.
        connection.patience = limits.statement + limits.silence

    @event.listens_for(engine, "checkin")
    def _checkin(connection: Session | None, _record: Any) -> None:
        if connection is not None:
            connection.patience = limits.silence  # of the look whether it is still alive

    return engine


def _of_tcp(limits: Limits) -> dict[str, int]:
    """The time-outs of libpq. With several hosts, that which can be written to is chosen."""
    seconds = max(2, math.ceil(limits.silence))
    return {
        "connect_timeout": seconds,
        "tcp_user_timeout": seconds * 1_000,
        "keepalives_idle": max(1, seconds - _PROBES),
        "keepalives_interval": 1,
        "keepalives_count": _PROBES,
    }


def _of_session(limits: Limits, options: str) -> dict[str, str]:
    """The parameters of a session, except those that the URL's `options` have."""
    seconds = max(2, math.ceil(limits.silence))
    wanted = {
        "statement_timeout": _ms(limits.statement),
        "lock_timeout": _ms(limits.lock),
        "idle_in_transaction_session_timeout": _ms(limits.statement),
        "client_connection_check_interval": _ms(limits.silence),
        "tcp_user_timeout": _ms(seconds),
        "tcp_keepalives_idle": str(max(1, seconds - _PROBES)),
        "tcp_keepalives_interval": "1",
        "tcp_keepalives_count": str(_PROBES),
    }
    return {name: value for name, value in wanted.items() if f"{name}=" not in options}


def _ms(seconds: float) -> str:
    return f"{seconds * 1_000:.0f}ms"


def _configured(connection: Session, parameters: dict[str, str]) -> bool:
    """Set the parameters of a session; False, and nothing is set, if a pooler is in between.

    A pooler gives its clients numbers of its own. A session may serve another client after each
    transaction (PgBouncer's transaction mode): it must get no parameters, no names of prepared
    statements, and no locks of ours.
    """
    number = connection.info.backend_pid
    connection.autocommit = True
    asked = connection.execute(
        "SELECT pg_backend_pid() = %s, CASE WHEN pg_backend_pid() = %s"
        " THEN (SELECT count(set_config(name, value, false)) FROM unnest(%s::text[], %s::text[])"
        " AS wanted (name, value) JOIN pg_settings USING (name)"
        # Other systems cannot look whether a client is there.
        " WHERE name <> 'client_connection_check_interval' OR version() LIKE '%%linux%%') END",
        (number, number, list(parameters), list(parameters.values())),
    )
    row = asked.fetchone()
    connection.autocommit = False
    return row is not None and bool(row[0])


def unhurried(connection: Any) -> None:
    """Lift the limits of a connection of SQLAlchemy, which has to be invalidated afterwards."""
    connection.info["session"].patience = math.inf
    if connection.info["is_direct"]:
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET {name} = 0")
        connection.commit()
