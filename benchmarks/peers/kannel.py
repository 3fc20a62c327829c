"""Kannel's sendsms, in C: its queue is a spool of files, which are never synced."""

import contextlib
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

from ..client import RECIPIENTS, Request
from ..contenders import Contender
from ..processes import free_port, listening, program, started

# The SMSC is one that nobody serves, so that what is accepted stays in the spool.
_CONFIGURATION = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = bench
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
box-allow-ip = "127.0.0.1"
store-type = spool
store-location = "{spool}"
log-file = "{folder}/bearerbox.log"
log-level = 3

group = smsc
smsc = smpp
smsc-id = nobody
host = 127.0.0.1
port = {nobody}
smsc-username = nobody
smsc-password = nobody
system-type = ""
transceiver-mode = true
reconnect-delay = 3600

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
log-file = "{folder}/smsbox.log"
log-level = 3

group = sendsms-user
username = bench
password = bench
max-messages = 1
default-sender = bench
"""


@contextlib.contextmanager
def spooling(folder: Path) -> Iterator[Contender]:
    folder.mkdir()
    spool = folder / "spool"
    spool.mkdir()
    ports = {name: free_port() for name in ("admin", "boxes", "sendsms", "nobody")}
    configuration = folder / "kannel.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, spool=spool, **ports))
    bearerbox, smsbox = (program(name, "kannel") for name in ("bearerbox", "smsbox"))
    seen = 0

    def missing(ids: Collection[str]) -> int:
        # Kannel's answers name no message, so files are counted.
        nonlocal seen
        files = sum(1 for file in spool.rglob("*") if file.is_file())
        fresh, seen = files - seen, files
        return max(0, len(ids) - fresh)

    with (
        started(
            [bearerbox, str(configuration)],
            folder / "bearerbox.out",
            ready=lambda: listening(ports["boxes"]),
        ) as first,
        started(
            [smsbox, str(configuration)],
            folder / "smsbox.out",
            ready=lambda: listening(ports["sendsms"]),
        ) as second,
    ):
        yield Contender(
            name="Kannel",
            does="HTTP GET, authenticated; a file per message, never synced",
            version=_version(bearerbox),
            port=ports["sendsms"],
            request=Request(
                method="GET",
                path="/cgi-bin/sendsms?username=bench&password=bench&to=%s&text=%s",
                right=": ",
                recipients=tuple(number.replace("+", "%2B") for number in RECIPIENTS),
                text="Hello+number+",
            ),
            roots=[first.pid, second.pid],
            missing=missing,
        )


def _version(bearerbox: str) -> str:
    done = subprocess.run([bearerbox, "--version"], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return "Kannel " + next(line.split("`")[1].strip("'.") for line in lines if "version" in line)
