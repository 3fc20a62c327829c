"""Jasmin's /send, on Twisted: its queue is RabbitMQ's, and as Jasmin asks for it not durable."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ..client import RECIPIENTS, Request
from ..contenders import Contender
from ..processes import Missing, free_port, listening, program, started, wait_for

# Everything on this machine only, logs for errors only.
_CONFIGURATION = """
[amqp-broker]
port = {amqp}
spec = {spec}
[redis-client]
port = {redis}
[http-api]
bind = 127.0.0.1
port = {http}
log_level = ERROR
access_log = /dev/null
[jcli]
port = {cli}
authentication = False
[router]
bind = 127.0.0.1
port = {router}
store_path = {folder}
log_level = ERROR
[client-management]
bind = 127.0.0.1
port = {clients}
store_path = {folder}
log_level = ERROR
[smpp-server]
bind = 127.0.0.1
port = {smpp}
[smpp-server-pb]
bind = 127.0.0.1
port = {smpp_control}
"""

_PORTS = (
    "amqp", "dist", "epmd", "redis", "http", "cli", "router", "clients", "smpp", "smpp_control",
    "nobody",
)  # fmt: skip

# A user, and a route to an SMSC that nobody serves, so that what is accepted stays in the queue.
_COMMANDS = (
    ("group -a", "gid bench", "ok"),
    ("user -a", "username bench", "password bench", "gid bench", "uid bench", "ok"),
    ("smppccm -a", "cid nobody", "port {nobody}", "ok"),
    ("mtrouter -a", "type defaultroute", "connector smppc(nobody)", "rate 0", "ok"),
)


@contextlib.contextmanager
def queueing(folder: Path) -> Iterator[Contender]:
    folder.mkdir()
    jasmind = shutil.which("jasmind.py")
    if jasmind is None:
        raise Missing("jasmind.py is not on the path; pip install jasmin, in an environment apart")
    ports = {name: free_port() for name in _PORTS}
    with _broker(folder, ports) as broker, _redis(folder, ports) as redis:
        python = _python(jasmind)
        configuration = folder / "jasmin.cfg"
        configuration.write_text(_CONFIGURATION.format(folder=folder, spec=_amqp(python), **ports))
        env = {**os.environ, "LOG_PATH": str(folder / "log"), "CONFIG_PATH": str(folder)}
        with started(
            [python, jasmind, "--config", str(configuration)],
            folder / "jasmin.out",
            env=env,
            ready=lambda: listening(ports["http"]) and listening(ports["cli"]),
        ) as process:
            for dialogue in _COMMANDS:
                _tell(ports["cli"], [line.format(**ports) for line in dialogue])
            yield Contender(
                name="Jasmin",
                does="HTTP GET, authenticated; RabbitMQ, not durable",
                version=f"Jasmin {_version(python)} (with its RabbitMQ and Redis)",
                port=ports["http"],
                request=Request(
                    method="GET",
                    path="/send?username=bench&password=bench&to=%s&content=%s",
                    right="Success",
                    recipients=tuple(number.removeprefix("+") for number in RECIPIENTS),
                    text="Hello+number+",
                ),
                roots=[process.pid, broker, redis],
            )


@contextlib.contextmanager
def _broker(folder: Path, ports: dict[str, int]) -> Iterator[int]:
    # The system's own command changes the user; this one is behind it.
    server = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    if not server.exists():
        raise Missing("RabbitMQ is not installed; apt-get install rabbitmq-server redis-server")
    env = {
        **os.environ,
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "RABBITMQ_NODENAME": "bench@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(ports["amqp"]),
        "RABBITMQ_DIST_PORT": str(ports["dist"]),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
    }
    with (
        # Erlang would start one by itself, and leave it behind.
        started(
            [program("epmd", "erlang-base")],
            folder / "epmd.out",
            env=env,
            ready=lambda: listening(ports["epmd"]),
        ),
        started(
            [str(server)],
            folder / "rabbitmq.out",
            env=env,
            ready=lambda: listening(ports["amqp"]),
        ) as process,
    ):
        yield process.pid


@contextlib.contextmanager
def _redis(folder: Path, ports: dict[str, int]) -> Iterator[int]:
    command = [
        program("redis-server", "redis-server"), "--bind", "127.0.0.1",
        "--port", str(ports["redis"]), "--save", "", "--dir", str(folder),
    ]  # fmt: skip
    with started(command, folder / "redis.out", ready=lambda: listening(ports["redis"])) as process:
        yield process.pid


def _tell(port: int, lines: list[str]) -> None:
    """One dialogue with Jasmin's console, which asks line by line."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as console:
        said = b""

        def prompted(prompt: bytes) -> bool:
            nonlocal said
            said += console.recv(4096)
            return prompt in said

        wait_for(lambda: prompted(b"Session ref"), 10, what="Jasmin's console")
        for number, line in enumerate(lines):
            said = b""
            console.sendall(line.encode() + b"\r\n")
            last = number == len(lines) - 1
            prompt = b"Successfully added" if last else b"> "
            wait_for(partial(prompted, prompt), 10, what=line)
        time.sleep(0.1)


def _python(jasmind: str) -> str:
    """The Python of the environment that Jasmin is installed in."""
    return Path(jasmind).read_text("utf-8").splitlines()[0].removeprefix("#!")


def _amqp(python: str) -> str:
    """The description of AMQP 0-9-1, which comes with a library of Jasmin's."""
    where = _asked(python, "import txamqp; print(txamqp.__path__[0])")
    return f"{where}/specs/standard/amqp0-9-1.stripped.xml"


def _version(python: str) -> str:
    return _asked(python, "import importlib.metadata as m; print(m.version('jasmin'))")


def _asked(python: str, program: str) -> str:
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()
