"""The server of PostgreSQL is lost under load and its standby promoted: no message is lost."""

import contextlib
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text
from support import running
from support.standby import server_and_standby

from sms_gateway.store import Store

pytestmark = pytest.mark.once

CLIENTS = 8


class Load:
    """Clients that send one message after the other, and what each was answered."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key
        #: The reply code to each text; None where the connection broke.
        self.codes: dict[str, int | None] = {}
        self._ends = threading.Event()
        self._clients = [
            threading.Thread(target=self._send, args=(number,)) for number in range(CLIENTS)
        ]
        for client in self._clients:
            client.start()

    def accepted(self) -> int:
        return sum(code == 0 for code in [*self.codes.values()])

    def end(self) -> None:
        self._ends.set()
        for client in self._clients:
            client.join()

    def _send(self, client: int) -> None:
        number = 0
        while not self._ends.is_set():
            number += 1
            message = f"text {client} {number}"
            self.codes[message] = self._send_one(message)
            if self.codes[message] != 0:
                time.sleep(0.1)

    def _send_one(self, message: str) -> int | None:
        query = {"apikey": self._key, "recipients": "32494000000", "message": message}
        url = f"{self._url}/sendsms/?{urllib.parse.urlencode(query)}"
        asked = urllib.request.Request(url, headers={"accept": "application/json"})
        try:
            with urllib.request.urlopen(asked, timeout=60) as response:
                body = response.read()
        except urllib.error.HTTPError as error:
            with error:
                body = error.read()
        except OSError:
            return None
        return int(json.loads(body)["result"]["error"])


def test_nothing_acknowledged_is_lost_when_a_standby_takes_over(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        first, second = stack.enter_context(server_and_standby())
        url = f"postgresql://postgres@127.0.0.1:{first.port},127.0.0.1:{second.port}/postgres"
        gateway = stack.enter_context(
            running.serve(tmp_path, url, upstream="sandbox:?delay=0.01", workers="1")
        )
        load = Load(gateway.url, gateway.create_key("--rate", "none"))
        stack.callback(load.end)
        running.wait_for(lambda: load.accepted() >= 200, 60)
        first.kill()
        time.sleep(2)
        before = load.accepted()
        promoted = time.monotonic()
        second.run("pg_ctl", "promote", "-D", str(second.folder))
        running.wait_for(lambda: load.accepted() > before, 60)
        again = time.monotonic() - promoted
        running.wait_for(lambda: load.accepted() >= before + 200, 60)
        load.end()

        store = Store(second.url)
        stack.callback(store.close)
        with store.read() as connection:
            stored = Counter(connection.execute(text("SELECT text FROM message")).scalars())
        told = Counter((code, message in stored) for message, code in load.codes.items())
        print(f"accepting {again:.1f} s after the promotion; code, and whether it is there: {told}")
        assert told[0, False] == 0
        assert told[30, True] == 0
        assert set(stored.values()) == {1}

        def waiting() -> int:
            counted = "SELECT count(*) FROM delivery WHERE state <> 'delivered'"
            with store.read() as connection:
                return int(connection.execute(text(counted)).scalar_one())

        # The worker goes on too. What it had claimed when the server was lost may be uncertain.
        running.wait_for(lambda: waiting() <= 100, 60)
