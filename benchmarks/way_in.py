"""What a message passes on its way in: `python -m benchmarks.way_in`.

The functions, their files, and how often the way comes back to a file that it had left; of an
accepted message by HTTP, by SOAP whose envelope is known, by SOAP that spyne reads, and by mail.
All in this process, on SQLite, on connections without sockets. With `--rounds N` it makes N rounds
of 16 requests between os.getloadavg() and os.ctermid(), for callgrind to count their instructions:

    valgrind --tool=callgrind --zero-before=getloadavg --dump-before=ctermid \
        python -m benchmarks.way_in --only http --rounds 40
"""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import uvloop
from gunicorn.config import Config
from sqlalchemy import select

from email_gateway.handler import Handler, MailEnvelope
from sms_gateway.backend import MailChoices
from sms_gateway.bootstrap.gateway import gateway
from sms_gateway.bootstrap.web import web_app
from sms_gateway.serving.express_worker import ExpressWorker
from sms_gateway.settings import Settings
from sms_gateway.settings.values import SecretUrl
from sms_gateway.store import GroupCommit, Store, tables
from sms_gateway.web.guesses import Guesses

from . import ours

KINDS = ("http", "soap", "spyne", "mail")
_AT_ONCE = 16
_ROOT = str(ours.ROOT)
_PARTS = ("sms_gateway/", "soap_server/", "email_gateway/", "gunicorn/", "spyne/", "aiosmtpd/")

#: Makes a round of so many requests at once.
Round = Callable[[int], Awaitable[None]]


class Transport(asyncio.Transport):
    """Keeps what is written, and tells that it was."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.answered.set_result(bytes(data))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is kept."""


def _worker(app: Any) -> Any:
    """A worker of gunicorn's without a process of its own."""
    worker = ExpressWorker.__new__(ExpressWorker)
    worker.cfg = Config()
    worker.cfg.set("keepalive", 75)
    worker.loop, worker.log = asyncio.get_running_loop(), logging.getLogger(__name__)
    worker.alive, worker.nr_conns = True, 0
    worker.app = SimpleNamespace(wsgi=lambda: app)
    worker.load_wsgi()
    return worker


def _requests(kind: str, key: str) -> Iterator[bytes]:
    head = "HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"
    number = 0
    while True:
        number += 1
        if kind == "http":
            query = f"recipients=%2B32494000000&message=Hello+number+{number}&apikey={key}"
            yield f"GET /sendsms/?{query} {head}\r\n".encode()
            continue
        text = f"Hello number {number}"
        text = f"<![CDATA[{text}]]>" if kind == "spyne" else text
        body = ours.ENVELOPE % ("+32494000000", text, key)
        headers = "".join(f"{name}: {value}\r\n" for name, value in ours.SOAP_HEADERS.items())
        length = f"Content-Length: {len(body)}\r\n"
        yield f"POST {ours.SOAP_PATH} {head}{headers}{length}\r\n{body}".encode()


async def _web(kind: str, url: str, key: str, use: Callable[[Round], Awaitable[None]]) -> None:
    app = web_app(Settings(database_url=SecretUrl(url)), Guesses())
    worker, requests = _worker(app), _requests(kind, key)
    asked: asyncio.Queue[Any] = asyncio.Queue()
    told: asyncio.Queue[Any] = asyncio.Queue()
    life: asyncio.Task[Any] = asyncio.create_task(app({"type": "lifespan"}, asked.get, told.put))  # type: ignore[arg-type]
    await asked.put({"type": "lifespan.startup"})
    await told.get()
    connections: list[Any] = []
    for _ in range(_AT_ONCE):
        connection = worker.connection(worker)
        connection.connection_made(Transport())
        connections.append(connection)

    async def round_(count: int) -> None:
        for connection in connections[:count]:
            connection.transport.answered = asyncio.get_running_loop().create_future()
            connection.data_received(next(requests))
        for connection in connections[:count]:
            answer = await connection.transport.answered
            assert b"<error>0</error><sent>1</sent>" in answer, answer

    await use(round_)
    for connection in connections:
        connection.connection_lost(None)
    await asked.put({"type": "lifespan.shutdown"})
    await life


async def _mail(url: str, use: Callable[[Round], Awaitable[None]]) -> None:
    store = Store(url)
    with store.read() as connection:
        address = connection.execute(select(tables.account.c.mail_address)).scalar_one()
    accepting = gateway(Settings(database_url=SecretUrl(url)), store)
    await accepting.start()
    handler = Handler(accepting, _NoLimits(), domain="example.com", backend_timeout=20)  # type: ignore[arg-type]

    async def round_(count: int) -> None:
        for number in range(count):
            envelope = MailEnvelope()
            envelope.rcpt_tos, envelope.mail_from = [address], "a@example.com"
            envelope.choices = MailChoices()
            envelope.original_content = (
                f"From: a@example.com\r\nSubject: +32494000000\r\n\r\nHello number {number}\r\n"
            ).encode()
            answer = await handler.handle_DATA(None, None, envelope)  # type: ignore[arg-type]
            assert answer.startswith("250 "), answer

    await use(round_)
    await accepting.aclose()
    store.close()


class _NoLimits:
    def admit(self, network: str, now: float) -> bool:
        return True


def passed(calls: list[tuple[str, str]]) -> str:
    """What these calls, by file and function, come to."""
    files = [file for file, _ in calls]
    visits = [file for at, file in enumerate(files) if not at or files[at - 1] != file]
    return (
        f"{len(set(calls))} functions in {len(set(files))} files, "
        f"{len(visits) - len(set(visits))} returns to a file that it had left"
    )


async def _trace(kind: str, round_: Round, *, show: bool) -> None:
    for _ in range(5):  # the account is known, the envelope too
        await round_(1)
    calls: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        name, path = frame.f_code.co_qualname, frame.f_code.co_filename
        # Not the bodies of comprehensions.
        if event == "call" and not frame.f_code.co_name.startswith("<"):
            file = path.removeprefix(f"{_ROOT}/").rpartition("site-packages/")[2]
            if file.startswith(_PARTS):
                calls.append((file, name))

    threading.setprofile(note)
    sys.setprofile(note)
    await round_(1)
    sys.setprofile(None)
    threading.setprofile(None)
    own = [call for call in calls if call[0].startswith(_PARTS[:3])]
    print(f"{kind}: {passed(own)}; with libraries {passed(calls)}")
    if show:
        for at, (file, name) in enumerate(calls):
            if not at or calls[at - 1][0] != file:
                print(f"  {file}")
            print(f"      {name}")


async def _count(rounds: int, round_: Round) -> None:
    for _ in range(30):
        await round_(_AT_ONCE)
    os.getloadavg()
    for _ in range(rounds):
        await round_(_AT_ONCE)
    os.ctermid()


async def _run(kind: str, use: Callable[[Round], Awaitable[None]]) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        url = ours.sqlite_url(Path(folder))
        (key,) = ours.prepared(url)
        await (_mail(url, use) if kind == "mail" else _web(kind, url, key, use))


def main() -> None:
    """Trace, or count."""
    parser = argparse.ArgumentParser(prog="benchmarks.way_in", description=__doc__)
    parser.add_argument("--only", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--show", action="store_true", help="print each function")
    options = parser.parse_args()
    # However slow it is here, as under valgrind, it is written to in the loop's own thread.
    GroupCommit.QUICK = 3600.0
    for kind in options.only:

        async def use(round_: Round, kind: str = kind) -> None:
            if options.rounds:
                await _count(options.rounds, round_)
            else:
                await _trace(kind, round_, show=options.show)

        uvloop.run(_run(kind, use))


if __name__ == "__main__":
    main()
