"""Workers and web processes on machines whose clocks are ten minutes fast and slow."""

import contextlib
import os
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from support import databases, running
from support.asgi_server import free_port

from sms_gateway.store import Store

pytestmark = pytest.mark.once

MESSAGES = 20


class Machine:
    """A process on a machine with a clock of its own."""

    def __init__(self, folder: Path, env: dict[str, str], command: str, seconds: int) -> None:
        self._clock = folder / f"{command}{seconds}.clock"
        self._log = folder / f"{command}{seconds}.log"
        self.set_clock(seconds)
        shifted = running.ROOT / "tests" / "support" / "shifted_clock"
        env = env | {
            "SHIFTED_CLOCK": str(self._clock),
            "PYTHONPATH": f"{shifted}{os.pathsep}{env['PYTHONPATH']}",
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sms_gateway", command], env=env, stdout=log, stderr=log
            )

    def set_clock(self, seconds: int) -> None:
        mode = "r+b" if self._clock.exists() else "wb"
        with self._clock.open(mode) as clock:
            clock.write(struct.pack("<q", seconds * 1_000))

    def says(self, words: str) -> bool:
        return words in self._log.read_text()

    def stop(self) -> None:
        self._process.terminate()
        assert self._process.wait(60) == 0, self._log.read_text()


@contextlib.contextmanager
def machine(folder: Path, env: dict[str, str], command: str, seconds: int) -> Iterator[Machine]:
    started = Machine(folder, env, command, seconds)
    try:
        yield started
    finally:
        started.stop()


def test_workers_with_wrong_clocks_expire_and_resend_nothing(tmp_path: Path) -> None:
    with (
        databases.fresh("postgresql", tmp_path) as database,
        contextlib.closing(Store(database)) as store,
        running.serve(
            tmp_path, database, validity="5m", upstream="sandbox:?delay=0.5&window=20", workers="1"
        ) as gateway,
        machine(tmp_path, gateway.env, "worker", 600) as fast,
        machine(tmp_path, gateway.env, "worker", -600) as slow,
    ):
        key = gateway.create_key("--rate", "none")
        aside = "this process goes on by itself"
        running.wait_for(lambda: fast.says(aside) and slow.says(aside), 60)
        for number in range(MESSAGES):
            to = f"apikey={key}&recipients=32494000000&message=Hello+{number}"
            with urllib.request.urlopen(f"{gateway.url}/sendsms/?{to}", timeout=30) as response:
                assert response.status == 200

        def events() -> dict[str, int]:
            with store.read() as connection:
                counted = "SELECT event, count(*) FROM step GROUP BY event"
                return {row[0]: row[1] for row in connection.execute(text(counted))}

        running.wait_for(lambda: events().get("receipt", 0) >= MESSAGES, 90)
        # Each was claimed and submitted once, and none expired.
        assert events() == dict.fromkeys(("claimed", "submitted", "receipt"), MESSAGES)
        assert not fast.says("worker started")
        assert not slow.says("worker started")
        fast.set_clock(0)
        running.wait_for(lambda: fast.says("worker started"), 60)
        fast.set_clock(600)
        running.wait_for(lambda: fast.says("worker stopped"), 60)


def test_a_web_process_with_a_wrong_clock_is_not_ready_and_says_what_to_do(tmp_path: Path) -> None:
    with databases.fresh("postgresql", tmp_path) as database:
        port = free_port()
        env = running.environment(database, bind=f"127.0.0.1:{port}", workers="1")
        key = running.sendsmsnow(env, "key", "create", "acme").strip()
        url = f"http://127.0.0.1:{port}"
        with machine(tmp_path, env, "web", 600) as web:
            running.wait_for(lambda: web.says("listening"), 60)
            with pytest.raises(urllib.error.HTTPError) as not_ready:
                urllib.request.urlopen(f"{url}/readyz", timeout=30)
            with not_ready.value as answer:
                said = answer.read().decode()
            assert "600 seconds ahead of that of the database: set the one that is wrong" in said
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(
                    f"{url}/sendsms/?apikey={key}&recipients=32494000000&message=Hi", timeout=30
                )
            with refused.value as answer:
                assert (answer.code, answer.headers["retry-after"]) == (503, "30")
            web.set_clock(0)
            running.wait_for(lambda: running.is_ready(url), 60)
