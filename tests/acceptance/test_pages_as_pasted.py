"""The commands of the tutorial, the README and the page on troubles work as they are pasted."""

import os
import re
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from support import running
from support.pages import send
from support.smsc import start_smsc

# Their outcome does not hang on the version of Python.
pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
CARRIER = "smpp://USER:PASSWORD@smsc.example.net:2775"
#: Done already: the tests are in an environment of their own.
INSTALLED = ("python3 -m venv .venv && .venv/bin/pip install .\n", "source .venv/bin/activate\n")


def blocks(page: str) -> list[str]:
    """The blocks of a page that are to be pasted into a shell."""
    return re.findall(r"^```sh\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.M | re.S)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


class Shell:
    """Bash in an empty folder, with the `sendsmsnow` that is tested and settings of nobody."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "shell.log"
        self.port = free_port()
        own = {k: v for k, v in os.environ.items() if not k.startswith("SENDSMSNOW_")}
        self._env = own | {
            "PATH": f"{Path(sys.executable).parent}:{own['PATH']}",
            "XDG_DATA_HOME": str(folder),
            "SENDSMSNOW_BIND": f"127.0.0.1:{self.port}",
        }

    def use(self, settings: dict[str, str]) -> None:
        """The settings of a gateway that runs already."""
        self._env |= {k: v for k, v in settings.items() if k.startswith(("SENDSMSNOW_", "PYTHON"))}

    def script(self, *pasted: str, **instead: str) -> str:
        """What is run: the blocks, with the reader's own things and free ports."""
        script = "".join(pasted)
        for done in INSTALLED:
            script = script.replace(done, "")
        for theirs, ours in {"127.0.0.1:8000": f"127.0.0.1:{self.port}", **instead}.items():
            script = script.replace(theirs, ours)
        return script

    def run(self, script: str) -> str:
        """What it prints; nothing that it started is left. What fails ends it."""
        with self._log.open("w") as log:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=self._folder,
                env=self._env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            status = process.wait(200)
        finally:
            self._end(process.pid)
            process.wait()
        printed = self._log.read_text()
        assert status == 0, printed
        return printed

    def start(self, script: str) -> "subprocess.Popen[bytes]":
        """A terminal in which something goes on."""
        return subprocess.Popen(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _end(self, group: int) -> None:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass


def test_the_tutorial_leads_to_a_delivered_message_and_a_callback(tmp_path: Path) -> None:
    pasted = blocks("docs/use/tutorial.md")
    assert CARRIER in "".join(pasted)
    (tmp_path / "smsc").mkdir()
    with start_smsc(tmp_path / "smsc", system_id="USER", password="PASSWORD") as smsc:
        shell = Shell(tmp_path)
        listener = free_port()
        instead = {CARRIER: smsc.url, "127.0.0.1:9000": f"127.0.0.1:{listener}", "9000": listener}
        printed = shell.run(shell.script(*pasted, **instead))
        (submitted,) = smsc.submits()
    assert submitted["text"] == "Hello World"
    assert submitted["destination"] == "32494000000"
    assert '"error": 0' in printed
    assert re.search(r"receipt +delivered", printed)
    events = (tmp_path / "told.log").read_text()
    (id,) = set(re.findall(r"[0-9a-f]{32}", events))
    assert sorted(events.split()) == sorted(["delivery.submitted", id, "delivery.delivered", id])
    # It holds the carrier's password.
    assert (tmp_path / "sms.toml").stat().st_mode & 0o077 == 0


UNCERTAIN = "+32494000005"
#: What becomes of a number in the sandbox, by its end (docs/adding-an-upstream.md).
ENDS = {
    "+32494000001": "undeliverable",
    "+32494000003": "failed",
    UNCERTAIN: "uncertain",
    "+32494000006": "submitted",
}


def test_the_commands_against_troubles_work_where_there_are_some(tmp_path: Path) -> None:
    pasted = blocks("docs/use/troubleshooting.md")
    with running.serve(tmp_path, f"sqlite:///{tmp_path}/sms.sqlite3") as gateway:
        key = gateway.create_key("--rate", "none")
        shell = Shell(tmp_path)
        shell.port = str(gateway.port)
        shell.use(gateway.env)
        ids = {number: send(gateway, key, number, "Hello World") for number in ENDS}
        for number, id in ids.items():
            running.wait_for(partial(has_come_to, gateway.url, key, id, ENDS[number]), 60)
        shows = "".join(f"ID={id}\n{pasted[0]}" for id in ids.values())
        given = f"ID={ids[UNCERTAIN]} KEY={key} TO={UNCERTAIN}\n"
        printed = shell.run(shows + given + shell.script(*pasted[1:]))
    for number, id in ids.items():
        assert f"{id}  {ENDS[number]}" in printed
    assert "<error>0</error><sent>1</sent>" in printed


def has_come_to(url: str, key: str, id: str, state: str) -> bool:
    """Whether a message is in this state."""
    status = running.get_json(f"{url}/status/?apikey={key}&id={id}")
    return bool(status["result"]["state"] == state)


def test_the_readme_leads_to_a_message_by_every_face_that_it_shows(tmp_path: Path) -> None:
    in_one_terminal, in_another = blocks("README.md")
    shell = Shell(tmp_path)
    serving = shell.start(shell.script(in_one_terminal))
    try:
        running.wait_for(lambda: running.is_ready(f"http://127.0.0.1:{shell.port}"), 90)
        printed = shell.run(shell.script(in_another))
    finally:
        os.killpg(serving.pid, signal.SIGTERM)
        serving.wait(90)
    assert re.search(r"accepted .* from acme: 1 part, gsm7", printed)
    assert "<error>0</error><sent>1</sent>" in printed
