"""All hosts with what runs on them, kept running, and their books."""

import asyncio
import contextlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from support import command, load, running
from support.difficult import RESENT, messages
from support.disk import Disk
from support.four_books import OPEN, Audit, audit

from sms_gateway.store import Store, tables

from .database import Database
from .names import ZONE
from .network import Network
from .parts import Carrier, Part, Pooler, Program

WEB = ("web1", "web2", "web3")
WORKERS = ("worker1", "worker2")
DATABASES = ("db1", "db2")
#: The first is where the callers are: this process.
HOSTS = ("callers", "names", *DATABASES, *WEB, *WORKERS, "smsc", "pooler")
PORT = 8000
_SETTINGS = """
bind = "0.0.0.0:{port}"
workers = 1
lease = "2s"
upstream = "smpp://esme:secret@smsc.{zone}:{smsc}?window=20&response_timeout=3&late_timeout=10\
&reconnect_delay=0.2&reconnect_delay_max=1&connect_timeout=3"

[[routes]]
prefix = ""
upstreams = ["default"]

[[routes]]
prefix = "{resent}"
upstreams = ["default"]
uncertain = "resend"
"""
#: Megabytes of the disk that can be filled.
_DISK = 700
#: Seconds without an answer after which callers go to another host.
PATIENCE = 4.0
#: The same while nothing is wrong but that the machine may be busy.
CALM = 60.0
#: How long a program may take to start on a busy machine, seconds.
_START = 180.0
#: How long everything may take to come to an end once nothing is wrong any more, seconds.
_QUIET = 240.0
#: Where programs look for the name server.
_RESOLVER = Path("/etc/resolv.conf")


class Laboratory:
    """Everything that is running."""

    def __init__(self, tell: Callable[[str], None], seed: int, kept: Path, patience: float) -> None:
        self.tell = tell
        self._kept = kept
        self._patience = patience
        self._chance = random.Random(seed)
        # A socket's path has to be short, and PostgreSQL's user has to get in.
        self.folder = Path(tempfile.mkdtemp(prefix="hosts"))
        self.folder.chmod(0o755)
        self.network = Network(HOSTS)
        self.disk = Disk(self.folder / "disk", _DISK)
        (self.folder / "db2").mkdir()
        self.primary = Database(self.network, "db1", self.disk.folder)
        self.standby = Database(self.network, "db2", self.folder / "db2")
        self.carrier = Carrier(self.network, "smsc", self.folder)
        self.parts: list[Part] = [self.primary, self.standby, self.carrier]
        self.books: list[load.Book] = [load.Book(), load.Book()]
        #: The hosts that callers choose from.
        self.open = [self.network.address(name) for name in WEB]
        self._sent = 0
        self._keeping: asyncio.Task[None] | None = None

    def url(self, source: str | None = None) -> str:
        """The database, wherever the primary is; for versions that knew no hosts with ports too."""
        if source is None:
            hosts = ",".join(f"{name}.{ZONE}:5432" for name in DATABASES)
            return f"postgresql://postgres@{hosts}/sms"
        old = "&".join(f"host={name}.{ZONE}:5432" for name in DATABASES)
        return f"postgresql://postgres@/sms?{old}&target_session_attrs=read-write"

    def environment(self, host: str, source: str | None = None, *, url: str = "") -> dict[str, str]:
        """What a program on a host runs with: this version, or another from its source."""
        clock = self.folder / f"{host}.clock"
        if not clock.exists():
            clock.write_bytes(bytes(8))
        env = command.environment(
            database_url=url or self.url(source), config=str(self.folder / "settings.toml")
        ) | {"SHIFTED_CLOCK": str(clock)}
        shifted = Path(__file__).parents[1] / "support" / "shifted_clock"
        return env | {"PYTHONPATH": f"{shifted}:{source or env['PYTHONPATH']}"}

    async def start(self, source: str | None = None, *, is_pooled: bool = False) -> None:
        """Start it all, the gateway's programs of this version or another; returns when ready.

        If `is_pooled`, they reach the database by PgBouncer only.
        """
        self._name_the_hosts()
        self.primary.make()
        await asyncio.to_thread(self.standby.follow, self.primary)
        self.carrier.start()
        settings = _SETTINGS.format(
            port=PORT, zone=ZONE, smsc=Carrier.PORT, resent=RESENT.removeprefix("+")
        )
        (self.folder / "settings.toml").write_text(settings)
        self.run("migrate", source=source)
        url = ""
        if is_pooled:
            server = self.network.address(self.primary.host)
            self.parts.append(Pooler(self.network, "pooler", self.folder, server))
            self.parts[-1].start()
            url = f"postgresql://postgres@pooler.{ZONE}:{Pooler.PORT}/sms"
        for host, word in [*((w, "web") for w in WEB), *((w, "worker") for w in WORKERS)]:
            env = self.environment(host, source, url=url)
            program = Program(self.network, host, self.folder, env, word)
            program.start()
            self.parts.append(program)
        self.apikey = self.create_key("callers", "--rate", "none", "--multi", source=source)
        self.store = Store(self.url())
        for host in WEB:
            await self.ready(host)
        self._keeping = asyncio.create_task(self._keep())

    def run(self, *arguments: str, source: str | None = None) -> str:
        """What a command of the operator prints."""
        return running.sendsmsnow(self.environment("callers", source), *arguments)

    def create_key(self, name: str, *options: str, source: str | None = None) -> str:
        return self.run("key", "create", name, *options, source=source).strip()

    def _name_the_hosts(self) -> None:
        names = [f"{name}={self.network.address(name)}" for name in HOSTS]
        server = Program(self.network, "names", self.folder, {}, "names")
        tests = str(Path(__file__).parents[1])
        server.launch([sys.executable, "-m", "hosts.names", *names], {"PYTHONPATH": tests})
        resolver = self.folder / "resolv.conf"
        server_is = self.network.address("names")
        resolver.write_text(f"nameserver {server_is}\noptions timeout:1 attempts:2\n")
        subprocess.run(["mount", "--bind", str(resolver), str(_RESOLVER)], check=True)

    async def ready(self, host: str) -> None:
        url = f"http://{self.network.address(host)}:{PORT}"
        await asyncio.to_thread(running.wait_for, lambda: running.is_ready(url), _START)

    async def idle(self, host: str) -> None:
        """Returns once no request is under way at a host."""
        address = self.network.address(host)
        while any(book.under_way[address] for book in self.books):
            await asyncio.sleep(0.02)

    def on(self, host: str) -> list[Part]:
        """What runs on a host."""
        return [part for part in self.parts if part.host == host]

    def power_off(self, host: str) -> None:
        """kill -9 of all that runs on a host; it stays dark."""
        for part in self.on(host):
            part.is_wanted = False
        self.network.kill(host)

    async def power_on(self, host: str) -> None:
        for part in self.on(host):
            if part.process is not None:
                part.process.wait()
            await asyncio.to_thread(part.start)
        if host in WEB:
            await self.ready(host)

    def set_clock(self, host: str, seconds: float) -> None:
        """Let the clock of a host be so much fast from now on."""
        with (self.folder / f"{host}.clock").open("r+b") as clock:
            clock.write(struct.pack("<q", int(seconds * 1_000)))

    async def fail_over(self) -> None:
        """Let the standby be the primary. The other is cut off: it may still run."""
        await asyncio.to_thread(self.standby.promote)
        self.primary, self.standby = self.standby, self.primary

    async def rebuild(self) -> None:
        """Make the old primary, which nobody reached meanwhile, the standby of the new one."""
        self.power_off(self.standby.host)
        self.network.mend()
        assert self.standby.process is not None
        self.standby.process.wait()
        await asyncio.to_thread(self.standby.follow, self.primary)

    async def accepting(self, hosts: Sequence[str] = WEB) -> float:
        """Seconds until a new message was accepted at each of these hosts."""
        began = time.monotonic()
        await asyncio.gather(*(self._accepting(self.network.address(host)) for host in hosts))
        return time.monotonic() - began

    async def _accepting(self, address: str) -> None:
        book = self.books[1]
        while True:
            (message,) = self.work(1)
            with contextlib.suppress(OSError):
                await load.send_by_soap(
                    PORT,
                    self.apikey,
                    [message],
                    connections=1,
                    book=book,
                    hosts=[address],
                    patience=2.0,
                )
            if message[1] in book.accepted:
                return
            await asyncio.sleep(0.1)

    async def hammer(self, name: str, limit: int, *options: str) -> int:
        """Ask all hosts at once for three times as much as a new key may have; what it got."""
        apikey = await asyncio.to_thread(self.create_key, name, *options)
        book = await load.send_by_soap(
            PORT,
            apikey,
            self._plain(3 * limit),
            connections=12,
            persistent=True,
            repeat=True,
            hosts=self.open,
            patience=PATIENCE,
        )
        self.books.append(load.Book(accepted=book.accepted))
        return len(book.accepted)

    async def repeat(self, count: int) -> int:
        """Give the same requests, with the same idempotency keys, to all hosts; how many ids."""
        work = self._plain(count)
        books = await asyncio.gather(
            *(
                load.send_by_soap(
                    PORT,
                    self.apikey,
                    work,
                    connections=4,
                    persistent=True,
                    repeat=True,
                    hosts=[host],
                    patience=PATIENCE,
                )
                for host in self.open
            )
        )
        self.books.append(books[0])
        ids = {id for book in books for id in book.accepted.values()}
        return len(ids) if all(len(book.accepted) == count for book in books) else -1

    def _plain(self, count: int) -> list[tuple[str, str]]:
        """Messages of one part to one number."""
        first, self._sent = self._sent, self._sent + count
        return [(f"+3247{4 * n:07}", f"message {n}") for n in range(first, first + count)]

    def work(self, count: int) -> list[tuple[str, str]]:
        """New messages: recipients and text."""
        made = list(messages(self._chance, self._sent, count))
        self._sent += count
        return made

    async def under_load(
        self,
        name: str,
        fault: Callable[["Laboratory"], Awaitable[str]],
        count: int,
        rate: float,
        *,
        is_last: bool = False,
    ) -> bool:
        """Let something happen while messages come; whether all books agree afterwards.

        They are `count` messages at least, and more for as long as it takes.
        """
        is_over = asyncio.Event()

        def lasting(work: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
            yield from work
            while not is_over.is_set():
                yield from self.work(1)

        began = time.monotonic()
        work = self.work(count)
        patient, impatient = self.books
        once = count // 8
        before = sum(map(len, self.books))
        sending = [
            asyncio.create_task(
                load.send_by_soap(
                    PORT,
                    self.apikey,
                    share,
                    connections=clients,
                    book=book,
                    persistent=True,
                    repeat=repeat,
                    rate=rate * part,
                    hosts=self.open,
                    patience=self._patience,
                )
            )
            for share, part, clients, book, repeat in (
                (lasting(work[once:]), 7 / 8, 12, patient, True),
                (work[:once], 1 / 8, 4, impatient, False),
            )
        ]
        while sum(map(len, self.books)) - before < count // 4:
            await asyncio.sleep(0.02)
        said = await fault(self)
        is_over.set()
        await asyncio.gather(*sending)
        calm = time.monotonic()
        found = await self.settled(is_last=is_last)
        self.tell(
            f"\n-- {name}: {said or 'done'}"
            f" ({calm - began:.0f} s, and {time.monotonic() - calm:.0f} s until all was quiet)"
        )
        self.tell(str(found))
        return found.is_good

    async def settled(self, *, is_last: bool) -> Audit:
        """The audit once nothing is under way, or after a while as it is.

        A receipt whose answer never came is joined to its delivery after a minute. Only the last
        audit waits for that; the others take what is uncertain for held.
        """
        deadline = time.monotonic() + _QUIET
        while True:
            await self._quiet(deadline)
            found = await asyncio.to_thread(
                audit, self.books, self.store, [self.carrier.journal], are_joined=is_last
            )
            if not found.stuck or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.5)

    async def _quiet(self, deadline: float) -> None:
        """Returns once nothing is under way, or when it is too late for that."""
        while time.monotonic() < deadline:
            states = await asyncio.to_thread(self.states)
            if states is not None and not any(states[state] for state in OPEN):
                return
            await asyncio.sleep(0.3)

    def states(self) -> Counter[str] | None:
        """How many deliveries are in which state; None while the database is away."""
        state = tables.delivery.c.state
        try:
            with self.store.read() as connection:
                rows = connection.execute(select(state, func.count()).group_by(state))
                return Counter({row[0]: row[1] for row in rows})
        except DBAPIError:
            return None

    async def _keep(self) -> None:
        """Start again what has ended by itself, as an init system does."""
        while True:
            for part in self.parts:
                if part.is_wanted and not part.is_alive:
                    with contextlib.suppress(AssertionError, OSError):
                        await asyncio.to_thread(part.start)
            await asyncio.sleep(0.2)

    async def close(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        if hasattr(self, "store"):
            self.store.close()
        subprocess.run(["umount", str(_RESOLVER)], check=False)
        for host in HOSTS[1:]:
            self.power_off(host)

    def keep(self) -> None:
        """Copy what programs have written to where it stays, for whoever looks why it failed."""
        folder = Path(tempfile.mkdtemp(prefix="hosts", dir=self._kept))
        self.tell(f"the logs are in {folder}")
        for pattern in ("*.log", "*.jsonl", "*.toml"):
            for file in self.folder.glob(pattern):
                shutil.copy(file, folder)

    def tracebacks(self) -> list[str]:
        """The lines in which programs said that something went wrong which nobody foresaw."""
        found = []
        for log in sorted(self.folder.glob("*.log")):
            if not log.name.startswith(("db", "pooler")):
                words = re.findall(r"^.*(?:Traceback|unexpected).*$", log.read_text(), re.M)
                found += [f"{log.name}: {line[:200]}" for line in words[:3]]
        return found


@contextlib.asynccontextmanager
async def laboratory(
    tell: Callable[[str], None],
    seed: int,
    kept: Path,
    source: str | None = None,
    *,
    is_pooled: bool = False,
    patience: float = PATIENCE,
) -> AsyncIterator[Laboratory]:
    """A running laboratory. Callers wait `patience` seconds before they ask another host.

    All its files end with the process; where an error ends it, the logs are copied to `kept`.
    """
    made = Laboratory(tell, seed, kept, patience)
    try:
        await made.start(source, is_pooled=is_pooled)
        yield made
    except Exception:
        made.keep()
        raise
    finally:
        await made.close()
