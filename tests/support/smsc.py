"""Runs an SMSC on a codec that is not ours: node-smpp, in its own process (see smsc/smsc.js)."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import npm
from .needs import lacking

_HERE = Path(__file__).parent / "smsc"


class Smsc:
    """A running SMSC and its journal."""

    def __init__(
        self, port: int, process: "subprocess.Popen[str]", journal: Path, credentials: str
    ) -> None:
        self.port = port
        self.process = process
        self._journal = journal
        self._credentials = credentials

    @property
    def url(self) -> str:
        """For the setting UPSTREAM; parameters may be added after it."""
        return f"smpp://{self._credentials}@127.0.0.1:{self.port}"

    def journal(self, event: str = "") -> list[dict[str, Any]]:
        """All that happened so far, or all events of this name, in order (see smsc.js)."""
        # The last line may be half written.
        lines = self._journal.read_text().split("\n")[:-1]
        entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if event in ("", entry["event"])]

    def submits(self) -> list[dict[str, Any]]:
        """Every part that was submitted: `text`, `destination`, `part` of `parts`, `status`, ..."""
        return self.journal("submit")

    def receipts(self) -> list[dict[str, Any]]:
        """Every answer to a receipt or message that was offered: `facts` of it and its `status`."""
        return self.journal("receipt")

    def offer(
        self, command: str = "deliver_sm", facts: Mapping[str, Any] | None = None, **pdu: Any
    ) -> None:
        """Offer a PDU to whoever is bound, or binds next, until it is accepted."""
        fields = {name: _json(value) for name, value in pdu.items()}
        self.command("offer", command=command, pdu=fields, facts=dict(facts or {}))

    def set(self, **options: Any) -> None:
        """Change options while it runs."""
        self.command("set", options=options)

    def command(self, do: str, **arguments: Any) -> None:
        """One of the commands of smsc.js; returns when it is done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps({"do": do, **arguments}), file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "{}\n", "the SMSC ended; see its stderr"


@contextmanager
def start_smsc(tmp_path: Path, *, inside: Sequence[str] = (), **options: Any) -> Iterator[Smsc]:
    """An SMSC with these options (see smsc.js), which ends with the context or with this process.

    Its journal in `tmp_path` is carried on if there is one. Skips the test where neither cache nor
    registry has node-smpp; with CI=true that is a failure. `inside`: the words before its
    command, where it runs on another host (tests/hosts).
    """
    modules = _node_modules()
    journal = tmp_path / "smsc.jsonl"
    journal.touch()
    given = {"journal": str(journal), **options}
    with subprocess.Popen(
        [*inside, npm.node(), str(_HERE / "smsc.js"), json.dumps(given)],
        env={**os.environ, "NODE_PATH": str(modules)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, "the SMSC did not start; see its stderr"
            credentials = f"{options.get('system_id', 'esme')}:{options.get('password', 'secret')}"
            yield Smsc(json.loads(line)["port"], process, journal, credentials)
        finally:
            process.kill()


def evaluate(expression: str) -> str:
    """The value of a JavaScript expression, a string, with node-smpp as `smpp`."""
    done = subprocess.run(
        [npm.node(), "-p", f"const smpp = require('smpp'); {expression}"],
        env={**os.environ, "NODE_PATH": str(_node_modules())},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _node_modules() -> Path:
    """The folder with node-smpp; skips the test, or fails it in CI, where there is none."""
    folder = npm.installed(_HERE)
    if folder is not None:
        return folder
    lacking("node-smpp cannot be installed: the npm registry does not answer")


def _json(value: Any) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value
