"""A whole gateway with its database, its carriers, its disk and its clock, kept running."""

import asyncio
import contextlib
import random
import re
import shutil
import struct
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from support import running
from support.difficult import RESENT
from support.disk import Disk

from sms_gateway.store import Store

from .parts import Carrier, Command, Part, Postgresql, lasting_port

_SETTINGS = """
upstream = "{north}"
lease = "2s"
mail_bind = "127.0.0.1:{mail_port}"
mail_domain = "sms.example"
mail_rate = 0
mail_per_network = 100

[upstreams]
south = "{south}"

[[routes]]
prefix = "{resent}"
upstreams = ["south"]
uncertain = "resend"
"""
#: How many parts may be under way to one carrier, and how a bind behaves: quick in all it does.
WINDOW = 20
_BIND = f"?window={WINDOW}&response_timeout=2&late_timeout=10&reconnect_delay=0.1"
_BIND += "&reconnect_delay_max=1&locked_out_delay=1&connect_timeout=2"
#: Megabytes: what is written in a run, and as much again.
_DISK = {"sqlite": 1_500, "postgresql": 2_500}

_HERE = Path(__file__).parent.parent


class Scene:
    """Everything that is running. Whatever ends is started again until `close`."""

    def __init__(self, database: str, random: random.Random) -> None:
        self._random = random
        # A socket's path has to be short.
        self.folder = Path(tempfile.mkdtemp(prefix="chaos"))
        self.folder.chmod(0o755)
        self.disk = Disk(self.folder / "disk", _DISK[database])
        self._clock = self.folder / "clock"
        self._clock.write_bytes(bytes(8))
        self._true_time = 0
        self.postgresql: Postgresql | None = None
        if database == "postgresql":
            self.postgresql = Postgresql(self.disk.folder, self.folder / "postgresql.log")
            self.database = self.postgresql.url
        else:
            self.database = f"sqlite:///{self.disk.folder / 'sms.sqlite3'}"
        self.carriers = [Carrier(name, self.folder / name) for name in ("north", "south")]
        self.parts: list[Part] = [*self.carriers]
        if self.postgresql is not None:
            self.parts.append(self.postgresql)
        self._keeping: asyncio.Task[None] | None = None
        self.complaints: list[str] = []

    async def open(self) -> None:
        """Start the gateway; returns when it is ready."""
        north, south = (f"{carrier.smsc.url}{_BIND}" for carrier in self.carriers)
        settings = self.folder / "settings.toml"
        self.port, self.mail_port = lasting_port(), lasting_port()
        settings.write_text(
            _SETTINGS.format(
                north=north,
                south=south,
                resent=RESENT.removeprefix("+"),
                mail_port=self.mail_port,
            )
        )
        env = running.environment(
            self.database, bind=f"127.0.0.1:{self.port}", config=str(settings)
        )
        clock = {"SHIFTED_CLOCK": str(self._clock)}
        clock["PYTHONPATH"] = f"{_HERE / 'support' / 'shifted_clock'}:{env['PYTHONPATH']}"
        log = self.folder / "gateway.log"
        serve = Command("serve", env | clock, log, "serve")
        serve.start()
        self.parts.append(serve)
        url = f"http://127.0.0.1:{self.port}"
        await asyncio.to_thread(
            running.wait_for, lambda: not serve.is_alive or running.is_ready(url), 120
        )
        assert serve.is_alive, log.read_text()
        self.apikey = running.sendsmsnow(env, "key", "create", "chaos", "--rate", "none", "--multi")
        self.apikey = self.apikey.strip()
        shown = running.sendsmsnow(env, "key", "show", "chaos")
        (self.mail_address,) = re.findall(r"\S+@sms\.example", shown)
        if self.postgresql is not None:
            # More workers than one: each sees what becomes of the others' claims.
            second = Command("second worker", env | clock, log, "worker")
            second.start()
            self.parts.append(second)
        self.store = Store(self.database)
        self._keeping = asyncio.create_task(self._keep())

    def set_clock(self, milliseconds: int) -> None:
        """Let the gateway's clock be so much fast from now on."""
        with self._clock.open("r+b") as clock:  # it stays the same file, which others have mapped
            clock.write(struct.pack("<q", self._true_time + milliseconds))

    def pass_time(self, milliseconds: int) -> None:
        """Let the gateway's clock be right, and so much time have passed."""
        if self.postgresql is not None:
            self.postgresql.pass_time(milliseconds)
        self._true_time += milliseconds
        self.set_clock(0)

    def victims(self) -> dict[str, list[int]]:
        """What can be killed now: names, and the processes that each comes to."""
        return {name: pids for part in self.parts for name, pids in part.victims().items()}

    def check(self) -> None:
        """Raises when nobody starts again what ends."""
        if self._keeping is not None and self._keeping.done():
            self._keeping.result()

    async def _keep(self) -> None:
        restarts: dict[str, asyncio.Task[None]] = {}
        while True:
            for part in self.parts:
                restart = restarts.get(part.name)
                if not part.is_alive and (restart is None or restart.done()):
                    restarts[part.name] = asyncio.create_task(self._restart(part))
            await asyncio.sleep(0.05)

    async def _restart(self, part: Part) -> None:
        await asyncio.sleep(self._random.uniform(0, 1))
        try:
            if isinstance(part, Carrier):
                await asyncio.to_thread(part.start)
            else:
                part.start()
        except (AssertionError, OSError) as error:
            # Its port may be another's for a moment. It is tried again.
            print(f"{part.name} does not start: {error!r}", file=sys.stderr)

    async def close(self) -> None:
        """Stop everything in good order."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        for part in reversed(self.parts):
            status = await asyncio.to_thread(part.stop)
            if status:
                self.complaints.append(f"{part.name} stopped with status {status}")
        if hasattr(self, "store"):
            self.store.close()
        self.disk.unmount()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def scene(database: str, random: random.Random) -> AsyncIterator[Scene]:
    """A running gateway; its folder, with all logs, stays when something goes wrong."""
    made = Scene(database, random)
    try:
        await made.open()
        yield made
    finally:
        await made.close()
