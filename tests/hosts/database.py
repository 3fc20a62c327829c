"""PostgreSQL as Debian has it, on one of the hosts: a primary, or the standby of another."""

import pwd
import shutil
import subprocess
import time
from pathlib import Path

from .network import Network
from .parts import Part

#: Where Debian's packages put the programs: /usr/lib/postgresql/15/bin.
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
#: The name by which a primary knows its standby.
_STANDBY = "standby"
# No test takes the machine's power away. Five seconds until a silent peer is given up.
_SETTINGS = """
listen_addresses = '*'
unix_socket_directories = '{folder}'
fsync = off
shared_buffers = '64MB'
max_wal_size = '128MB'
max_connections = 60
wal_sender_timeout = '5s'
wal_receiver_timeout = '5s'
wal_retrieve_retry_interval = '500ms'
include_if_exists = 'synchronous.conf'
"""
_ACCESS = "local all all trust\nhost all all 10.203.0.0/24 trust\n"
_ACCESS += "host replication all 10.203.0.0/24 trust\n"


def programs() -> Path | None:
    """The folder with PostgreSQL's programs; None where there are none."""
    return _PROGRAMS[-1].parent if _PROGRAMS else None


class Database(Part):
    """A PostgreSQL server. Made empty; `make` or `follow` gives it data."""

    def __init__(self, network: Network, host: str, folder: Path) -> None:
        """`folder` has to exist; it may be a small disk."""
        super().__init__(network, host, host, folder.parent / f"{host}.log")
        found = programs()
        assert found is not None
        self._programs = found
        self._user = pwd.getpwnam("postgres")
        self._folder = folder
        shutil.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self.data = folder / "data"

    def make(self) -> None:
        """Make a cluster with an empty database `sms`, and start it."""
        self._run("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "-D", str(self.data))
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS.format(folder=self._folder))
        (self.data / "pg_hba.conf").write_text(_ACCESS)
        self.start()
        self.ask("CREATE DATABASE sms", database="postgres")

    def follow(self, primary: "Database") -> None:
        """Become the standby of a primary, and have it wait for this one from then on."""
        shutil.rmtree(self.data, ignore_errors=True)
        address = self._network.address(primary.host)
        peer = f"host={address} user=postgres application_name={_STANDBY}"
        self._run(
            *("pg_basebackup", "-d", peer, "-D", str(self.data), "--write-recovery-conf"),
            *("--checkpoint=fast", "--no-sync"),
        )
        (self.data / "synchronous.conf").unlink(missing_ok=True)
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(f"unix_socket_directories = '{self._folder}'\n")
        self.start()
        primary.wait_for_standby(_STANDBY)

    def wait_for_standby(self, name: str) -> None:
        """Acknowledge nothing that the standby has not; with "" do so alone."""
        (self.data / "synchronous.conf").write_text(f"synchronous_standby_names = '{name}'\n")
        self._run("pg_ctl", "reload", "-D", str(self.data))

    def promote(self) -> None:
        """Let the standby be the primary; returns when it is."""
        self._run("pg_ctl", "promote", "-w", "-D", str(self.data))

    def start(self) -> None:
        self.launch([str(self._programs / "postgres"), "-D", str(self.data)])
        deadline = time.monotonic() + 60
        while not self._is_ready():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop as an operator does: sessions are cut off."""
        self.is_wanted = False
        self._run("pg_ctl", "stop", "-m", "fast", "-D", str(self.data))
        self.ended()

    def ask(self, statement: str, database: str = "sms") -> str:
        """What psql prints for a statement, asked on the host itself."""
        words = ["-h", str(self._folder), "-U", "postgres", "-d", database, "-Atc", statement]
        return self._run("psql", "-v", "ON_ERROR_STOP=1", *words)

    def _is_ready(self) -> bool:
        command = [str(self._programs / "pg_isready"), "-q", "-h", str(self._folder)]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [*self.inside(), str(self._programs / program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        assert done.returncode == 0, (program, done.stderr)
        return done.stdout.strip()

    def inside(self) -> list[str]:
        return [*super().inside(), f"--setuid={self._user.pw_uid}", f"--setgid={self._user.pw_gid}"]
