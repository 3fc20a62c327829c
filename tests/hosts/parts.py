"""What runs on the hosts, each a program that can be killed, stopped and started again."""

import contextlib
import pwd
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.smsc import Smsc, start_smsc

from .network import Network


class Part(ABC):
    """A program on a host."""

    def __init__(self, network: Network, host: str, name: str, log: Path) -> None:
        self._network = network
        self.host = host
        self.name = name
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        #: Whether it is to be started again when it ends.
        self.is_wanted = False

    def inside(self) -> list[str]:
        """The words before its command."""
        return self._network.inside(self.host)

    def launch(self, command: list[str], env: Mapping[str, str] | None = None) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.inside(), *command],
                env=env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.is_wanted = True

    @abstractmethod
    def start(self) -> None:
        """Start the process, and return when it is ready."""

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """SIGTERM; an error where it does not end in good order."""
        self.is_wanted = False
        assert self.process is not None
        self.process.terminate()
        self.ended()

    def ended(self) -> None:
        """Wait for an end that was asked for."""
        assert self.process is not None
        status = self.process.wait(90)
        assert status == 0, (
            f"{self.name} ended with status {status}: {self.log.read_text()[-2000:]}"
        )


class Program(Part):
    """A `sendsmsnow` command of this version, or of another whose source is in `source`."""

    def __init__(
        self, network: Network, host: str, folder: Path, env: Mapping[str, str], *command: str
    ) -> None:
        super().__init__(network, host, f"{command[0]} on {host}", folder / f"{host}.log")
        self._env = dict(env)
        self._command = command

    def start(self) -> None:
        self.launch([sys.executable, "-P", "-m", "sms_gateway", *self._command], self._env)

    def become(self, env: Mapping[str, str]) -> None:
        """Be another version from the next start on."""
        self._env = dict(env)


class Carrier(Part):
    """The SMSC. Its journal is its disk: another process goes on where one was killed."""

    PORT = 2775

    def __init__(self, network: Network, host: str, folder: Path) -> None:
        super().__init__(network, host, "smsc", folder / "smsc.log")
        self._folder = folder
        self._context = contextlib.ExitStack()
        self._smsc: Smsc | None = None

    @property
    def journal(self) -> Path:
        return self._folder / "smsc.jsonl"

    def start(self) -> None:
        self._context.close()
        options: dict[str, Any] = {
            "durable": True,
            "latency": 2,
            "receipt_spread": 300,
            "host": "0.0.0.0",
        }
        started = start_smsc(self._folder, inside=self.inside(), port=self.PORT, **options)
        self._smsc = self._context.enter_context(started)
        self.is_wanted = True

    @property
    def smsc(self) -> Smsc:
        assert self._smsc is not None
        return self._smsc

    @property
    def is_alive(self) -> bool:
        return self._smsc is not None and self._smsc.process.poll() is None

    def stop(self) -> None:
        self.is_wanted = False
        self._context.close()


class Pooler(Part):
    """PgBouncer in transaction mode, on a host of its own."""

    PORT = 6432

    def __init__(self, network: Network, host: str, folder: Path, server: str) -> None:
        """`server`: the address of PostgreSQL."""
        super().__init__(network, host, host, folder / f"{host}.log")
        self._settings = folder / "pgbouncer.ini"
        users = folder / "pgbouncer.txt"
        users.write_text('"postgres" ""\n')
        self._settings.write_text(_POOLER.format(server=server, port=self.PORT, users=users))

    def inside(self) -> list[str]:
        user = pwd.getpwnam("postgres")  # it does not run as root
        return [*super().inside(), f"--setuid={user.pw_uid}", f"--setgid={user.pw_gid}"]

    def start(self) -> None:
        self.launch(["pgbouncer", str(self._settings)])


_POOLER = """
[databases]
sms = host={server} port=5432

[pgbouncer]
listen_addr = *
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = 10
max_client_conn = 300
server_login_retry = 1
"""
