"""Connections to PostgreSQL: several hosts, limits of time, silence, and a pooler in between."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from support import accounts, needs
from support.accepting import BELGIAN, ROUTES
from support.asgi_server import free_port
from support.postgresql_proxy import NEVER_ANSWERED, NEVER_ARRIVES, proxy

from sms_gateway.accept.gateway import Gateway
from sms_gateway.accounts import Rate
from sms_gateway.backend import Submission
from sms_gateway.codes import Code
from sms_gateway.store import (
    Limits,
    OutcomeUnknownError,
    Store,
    database_file,
    database_url,
    migrate,
    pending_migration,
)

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@pytest.mark.parametrize(
    ("hosts", "host", "port", "attributes"),
    [
        ("h1:5433,h2", "h1,h2", "5433,5432", "read-write"),
        ("me:p%40ss@h1,h2:1", "h1,h2", "5432,1", "read-write"),
        ("[::1]:5433,[fe80::2],10.0.0.1:7", "::1,fe80::2,10.0.0.1", "5433,5432,7", "read-write"),
        ("h1,h2", "h1,h2", "5432,5432", "any"),
    ],
)
def test_a_url_may_have_several_hosts(hosts: str, host: str, port: str, attributes: str) -> None:
    own = "" if attributes == "read-write" else f"?target_session_attrs={attributes}"
    asked = f"postgresql://{hosts}/db{own}"
    assert database_file(asked) is None
    url = database_url(asked)
    assert url.database == "db"
    assert (url.query["host"], url.query["port"]) == (host, port)
    assert url.query["target_session_attrs"] == attributes
    assert url.password == ("p@ss" if "@" in hosts else None)


@pytest.mark.parametrize("hosts", ["h1,", "h1:x,h2", "h1 ,h2"])
def test_hosts_that_are_none_are_no_url(hosts: str) -> None:
    with pytest.raises(ValueError, match="a host is"):
        database_url(f"postgresql://{hosts}/db")


def shown(store: Store, *names: str) -> list[str]:
    with store.read() as connection:
        return [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]


@on_postgresql
def test_the_limits_apply_unless_the_url_says_otherwise(database: str) -> None:
    limits = Limits(silence=7, statement=20, lock=2)
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    store = Store(database, limits=limits)
    assert shown(store, *names, "client_connection_check_interval") == ["20s", "2s", "20s", "7s"]
    with store.unhurried() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "0"
    assert shown(store, *names) == ["20s", "2s", "20s"]
    store.close()
    own = make_url(database).update_query_dict(
        {"options": "-c statement_timeout=9s", "connect_timeout": "3"}
    )
    store = Store(own.render_as_string(hide_password=False), limits=limits)
    assert shown(store, *names) == ["9s", "2s", "20s"]
    with store.read() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        found = driver.info.get_parameters()
    assert (found["connect_timeout"], found["tcp_user_timeout"]) == ("3", "7000")
    store.close()


@on_postgresql
def test_a_lock_of_somebody_else_is_not_waited_for_without_end(store: Store, database: str) -> None:
    account = accounts.create(store)[1]
    asked = text("SELECT id FROM account WHERE id = :id FOR UPDATE")
    quick = Store(database, limits=Limits(lock=0.2))
    with store.write() as holder:
        holder.execute(asked, {"id": account.id})
        with pytest.raises(OperationalError, match="lock timeout"), quick.write() as waiting:
            waiting.execute(asked, {"id": account.id})
    quick.close()


@asynccontextmanager
async def gateway_at(url: str, limits: Limits) -> AsyncIterator[Gateway]:
    store = Store(url, limits=limits)
    gateway = Gateway(store, ROUTES)
    await gateway.start()
    yield gateway
    await gateway.aclose()
    store.close()


def texts(store: Store) -> set[str]:
    with store.read() as connection:
        return set(connection.execute(text("SELECT text FROM message")).scalars())


@on_postgresql
async def test_a_limited_account_is_free_for_other_hosts_before_the_commit_is_on_disk(
    store: Store, database: str
) -> None:
    key, account = accounts.create(store, rate=Rate.parse("10/min"))

    def next_free() -> int:
        # LockNotAvailable if the row is locked.
        with store.write() as other:
            asked = text("SELECT next_free FROM account WHERE id = :id FOR UPDATE NOWAIT")
            return int(other.execute(asked, {"id": account.id}).scalar_one())

    async with gateway_at(database, Limits(lock=30)) as gateway:
        with store.write() as holder:
            holder.exec_driver_sql("LOCK TABLE delivery IN SHARE MODE")
            replies = asyncio.ensure_future(
                asyncio.gather(
                    *(gateway.sendsms(Submission(BELGIAN, f"{n}", key)) for n in range(12))
                )
            )
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while not holder.exec_driver_sql(waiting).scalar_one():
                await asyncio.sleep(0.01)
            assert await asyncio.to_thread(next_free) > 0
            assert not replies.done()
        codes = [reply.error for reply in await replies]
    assert sorted(codes) == [Code.SENT] * 10 + [Code.TOO_FAST] * 2
    assert len(texts(store)) == 10


#: Short, and yet longer than a busy machine takes.
IMPATIENT = Limits(silence=0.5, statement=2)


@on_postgresql
async def test_a_writer_that_hears_nothing_is_given_up_and_the_next_is_opened(
    store: Store, database: str
) -> None:
    key, _ = accounts.create(store, rate=None)
    with proxy(database) as between:
        async with gateway_at(between.url, IMPATIENT) as gateway:
            before = await gateway.sendsms(Submission(BELGIAN, "before", key))
            between.hush()
            lost = await gateway.sendsms(Submission(BELGIAN, "lost", key))
            after = await gateway.sendsms(Submission(BELGIAN, "after", key))
    assert [before.error, lost.error, after.error] == [Code.SENT, Code.INTERNAL, Code.SENT]
    assert texts(store) == {"before", "after"}


@on_postgresql
@pytest.mark.parametrize(
    ("message", "code"), [(NEVER_ANSWERED, Code.SENT), (NEVER_ARRIVES, Code.INTERNAL)]
)
async def test_a_commit_that_is_followed_by_silence_is_looked_up(
    store: Store, database: str, message: str, code: Code
) -> None:
    key, _ = accounts.create(store, rate=None)
    with proxy(database) as between:
        between.hushes = True
        async with gateway_at(between.url, IMPATIENT) as gateway:
            await gateway.sendsms(Submission(BELGIAN, "before", key))
            reply = await gateway.sendsms(Submission(BELGIAN, message, key))
            after = await gateway.sendsms(Submission(BELGIAN, "after", key))
        assert between.cuts == 1
    assert (reply.error, after.error) == (code, Code.SENT)
    assert (message in texts(store)) is (code is Code.SENT)


@on_postgresql
def test_a_connection_that_fell_silent_while_idle_is_replaced(database: str) -> None:
    with proxy(database) as between:
        store = Store(between.url, limits=IMPATIENT)
        assert shown(store, "lock_timeout") == ["3s"]
        between.hush()
        assert shown(store, "lock_timeout") == ["3s"]
        with store.engine.connect() as connection:
            between.hush()
            with pytest.raises(OperationalError, match="silent"):
                connection.exec_driver_sql("SELECT 1")
        store.close()


@on_postgresql
def test_a_transaction_of_another_timeline_is_not_looked_up(store: Store) -> None:
    # A promoted standby may have given the same number to another transaction.
    with store.read() as connection:
        since = "extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time())"
        name = f"SELECT pg_current_xact_id(), {since}"
        number, since = connection.exec_driver_sql(name).one()
    assert store.is_committed(f"{number} 00000001 {since}") is True
    with pytest.raises(OutcomeUnknownError):
        store.is_committed(f"{number} 00000002 {since}")


@pytest.fixture
def pooled(database: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a PgBouncer in transaction mode, with a single session for all clients."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        needs.lacking("PgBouncer (Debian: pgbouncer) is not installed")
    url, port = make_url(database), free_port()
    (tmp_path / "pgbouncer.ini").write_text(
        f"""
[databases]
* = host={url.query["host"]} user={url.username or "postgres"}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
"""
    )
    # It does not run as root, and only the server's own user may enter the folder of its socket.
    user = ("--user", Path(str(url.query["host"])).owner()) if os.geteuid() == 0 else ()
    shared = [each for each in tmp_path.parents if each.is_relative_to(tempfile.gettempdir())]
    for folder in (tmp_path, *shared[:-1]):
        folder.chmod(0o755)
    with subprocess.Popen(
        [program, *user, str(tmp_path / "pgbouncer.ini")], stderr=subprocess.DEVNULL
    ) as process:
        yield f"postgresql://postgres@127.0.0.1:{port}/{url.database}"
        process.terminate()


@on_postgresql
async def test_pgbouncer_in_transaction_mode_is_found_out_and_given_no_state(
    store: Store, pooled: str
) -> None:
    key, _ = accounts.create(store, rate=None)
    stores = [Store(pooled) for _ in range(3)]
    migrate(stores[0])
    assert pending_migration(stores[1]) is None
    gateways = [Gateway(each, ROUTES) for each in stores]
    for gateway in gateways:
        await gateway.start()
    for first in range(0, 60, 20):
        replies = await asyncio.gather(
            *(
                gateways[n % 3].sendsms(Submission(BELGIAN, f"text {n}", key))
                for n in range(first, first + 20)
            )
        )
        assert {reply.error for reply in replies} == {Code.SENT}
    for gateway, each in zip(gateways, stores, strict=True):
        await gateway.aclose()
        each.close()
    assert texts(store) == {f"text {n}" for n in range(60)}
    with store.read() as connection:
        prepared = "SELECT count(*) FROM pg_prepared_statements"
        assert connection.exec_driver_sql(prepared).scalar_one() == 0
