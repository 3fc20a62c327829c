"""A server that is told to stop while its processes start: `python -m support.early_stop JOURNAL`.

Each process writes to the journal when it starts, and when its application is stopped.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from sms_gateway.serving import http_server
from sms_gateway.settings import Settings


def started(journal: Path) -> Callable[..., Awaitable[None]]:
    """The application, which takes its time to be made."""
    with journal.open("a") as file:
        file.write("started\n")
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(1)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        with journal.open("a") as file:
            file.write("stopped\n")

    return app


if __name__ == "__main__":
    settings = Settings(workers=2)
    http_server.serve(
        settings, socket.create_server(("127.0.0.1", 0)), partial(started, Path(sys.argv[1]))
    )
