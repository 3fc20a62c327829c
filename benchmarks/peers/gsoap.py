"""gSOAP, in C: a server that answers and stores nothing."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from .. import ours
from ..contenders import Contender
from ..processes import free_port, listening, program, started

_HERE = Path(__file__).parent


@contextlib.contextmanager
def echo(folder: Path) -> Iterator[Contender]:
    folder.mkdir()
    server = _built(folder)
    port = free_port()
    with started(
        [str(server), str(port)], folder / "gsoap.log", ready=lambda: listening(port)
    ) as process:
        yield Contender(
            name="gSOAP",
            does="an echo in C; stores nothing",
            version=f"gSOAP {_version()} (40 threads)",
            port=port,
            request=replace(ours.SOAP, path="/", right="error>0</", id=None),
            roots=[process.pid],
        )


def _built(folder: Path) -> Path:
    """The server, compiled from what gSOAP makes of its header file."""
    generate = [program("soapcpp2", "gsoap"), "-S", "-c", "-L", "-x", str(_HERE / "gsoap.h")]
    program("gcc", "gcc libgsoap-dev")
    compile = [
        "gcc", "-O2", "-I", str(folder), "-o", "server", str(_HERE / "gsoap.c"),
        "soapC.c", "soapServer.c", "-lgsoap", "-lpthread",
    ]  # fmt: skip
    for step in (generate, compile):
        done = subprocess.run(step, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{step[0]} failed:\n{done.stdout}{done.stderr}")
    return folder / "server"


def _version() -> str:
    command = [program("soapcpp2", "gsoap"), "-V"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).split()[-1]
