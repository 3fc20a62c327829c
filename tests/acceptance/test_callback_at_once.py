"""What happens right after `key set --callback` is told, on both databases."""

import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support.pages import send
from support.running import serve, wait_for


def test_no_event_after_the_command_is_lost(database: str, tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.append((event["data"]["id"], event["type"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{receiver.server_address[1]}/"
    with serve(tmp_path, database, callback_allow_private="127.0.0.0/8") as gateway:
        for name in ("first", "second", "third"):
            key = gateway.create_key("--rate", "none", name=name)
            gateway.run("key", "set", name, "--callback", url)
            id = send(gateway, key, "+32494000000", "hi")
            expected = {(id, "delivery.submitted"), (id, "delivery.delivered")}
            wait_for(partial(expected.issubset, told), 30)
    receiver.shutdown()
    receiver.server_close()
