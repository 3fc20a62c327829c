"""node's `soap`: a server that answers and stores nothing."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import wsdl
from tests.support import npm

from .. import ours
from ..contenders import Contender
from ..processes import Missing, free_port, listening, started

_HERE = Path(__file__).parent


@contextlib.contextmanager
def echo(folder: Path) -> Iterator[Contender]:
    folder.mkdir()
    modules = npm.installed(_HERE)
    if modules is None:
        raise Missing("the npm registry does not answer; npm install soap")
    port = free_port()
    contract = folder / "sendSmsNow.wsdl"
    contract.write_bytes(wsdl.document(f"http://127.0.0.1:{port}{ours.SOAP_PATH}"))
    env = {**os.environ, "NODE_PATH": str(modules), "NODE_ENV": "production"}
    command = [npm.node(), str(_HERE / "node_soap.js"), str(port), str(contract)]
    with started(command, folder / "node.log", env=env, ready=lambda: listening(port)) as process:
        node = subprocess.run([npm.node(), "--version"], capture_output=True, text=True, check=True)
        yield Contender(
            name="node soap",
            does="an echo; stores nothing",
            version=f"soap {npm.version(modules, 'soap')}, node {node.stdout.strip()}",
            port=port,
            request=replace(ours.SOAP, right="error>0</", id=None),
            roots=[process.pid],
        )
