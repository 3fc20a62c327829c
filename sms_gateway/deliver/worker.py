"""Serves all upstreams of a worker process, each with a feeder, until it is stopped."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from .. import moments
from ..log import log_error
from ..routing.routes import Routes
from ..sms.stop_words import StopWords
from ..store import GroupCommit, Store, allotments, leases, receipts, workers
from ..store.wakes import Topic, Wakes
from ..upstream import (
    AsksForReceipts,
    Delivery,
    Repeats,
    SaysReceipts,
    TellsTrouble,
    Upstream,
)
from ..upstream.allotment import KeepsLimits
from .dispatch import Dispatch
from .feeder import Feeder
from .housekeeper import Housekeeper
from .ledger import Beat, Event, Ledger
from .sharing import Sharing

log = logging.getLogger(__name__)

#: How often to check which upstreams are bound, seconds.
_WATCH = 0.2


class Worker:
    """Serves all upstreams of one process."""

    def __init__(
        self,
        store: Store,
        upstreams: Mapping[str, Upstream],
        routes: Routes,
        *,
        lease: int = 15_000,
        poll: float = 0.05,
        wakes: Wakes | None = None,
        failover_after: float = 10.0,
        stop_words: StopWords | None = None,
        aside: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        """`lease` (milliseconds): how long the claims of a worker that died still hold. `poll`
        (seconds): how often an idle worker looks for work that nobody tells of. `wakes`: what
        tells, also those of `aside`. `failover_after` (seconds): how long
        an upstream may be away or failing before it is failed over. `stop_words`: the words by
        which recipients ask for no more messages. `aside`: tasks that run until the worker stops,
        such as the sending of events."""
        self._store = store
        self._upstreams = upstreams
        self._routes = routes
        self._lease = lease
        self._wakes = Wakes(store, poll=poll) if wakes is None else wakes
        self._dispatch = Dispatch(routes, upstreams, grace=failover_after)
        self._stop_words = stop_words
        self._aside = aside
        shared = {
            name for route in routes.all() if len(route.upstreams) > 1 for name in route.upstreams
        }
        for name, upstream in upstreams.items():
            if isinstance(upstream, Repeats):
                upstream.is_alone = name not in shared

    async def run(self) -> None:
        """Work until cancelled, then stop cleanly: each written part is answered or recorded as
        uncertain, and no delivery stays claimed."""
        number = await asyncio.to_thread(self._enroll)
        ledger = self._ledger(number)
        commits: GroupCommit[Event, list[Delivery] | None] = GroupCommit(
            self._store, ledger.apply, limit=1_000_000
        )
        counters = [
            Feeder(
                upstream,
                commits,
                self._dispatch,
                resending=self._routes.resending(),
                waiter=self._wakes.waiter(Topic.QUEUE),
            )
            for upstream in self._upstreams.values()
        ]
        sharing = Sharing(self._store, number, self._limited())
        log.info("worker started", extra={"worker": number, "upstreams": list(self._upstreams)})
        await self._ask_for_receipts()
        feeding = [asyncio.create_task(counter.feed()) for counter in counters]
        feeding.append(asyncio.create_task(self._watch(sharing)))
        feeding.append(asyncio.create_task(sharing.run()))
        feeding.append(asyncio.create_task(self._wakes.run()))
        feeding += [asyncio.create_task(_forever(work)) for work in self._aside]
        links = [asyncio.create_task(c.upstream.run(c), name=c.upstream.name) for c in counters]
        beating = asyncio.create_task(self._beat(commits))
        housekeeper = Housekeeper(self._store, self._ledger(number), number)
        feeding.append(asyncio.create_task(housekeeper.run()))
        try:
            await _first_failure([*feeding, *links, beating])
        finally:
            await asyncio.shield(
                asyncio.create_task(self._stop(number, commits, counters, feeding, links, beating))
            )

    def _ledger(self, number: int) -> Ledger:
        return Ledger(
            self._routes,
            worker=number,
            lease=self._lease,
            stop_words=self._stop_words,
            receipts_of={
                upstream.name: upstream.receipts_of()
                for upstream in self._upstreams.values()
                if isinstance(upstream, SaysReceipts)
            },
        )

    async def _stop(
        self,
        number: int,
        commits: GroupCommit[Event, list[Delivery] | None],
        counters: list["Feeder"],
        feeding: list[asyncio.Task[None]],
        links: list[asyncio.Task[None]],
        beating: asyncio.Task[None],
    ) -> None:
        await _cancelled(feeding)
        await _cancelled(links)
        await asyncio.gather(*(counter.flushed() for counter in counters))
        await _cancelled([beating])
        await commits.aclose()
        await asyncio.to_thread(self._dismiss, number)
        log.info("worker stopped", extra={"worker": number})

    async def _ask_for_receipts(self) -> None:
        """Ask for the receipts of deliveries that were submitted before the last stop."""
        for upstream in self._upstreams.values():
            if isinstance(upstream, AsksForReceipts):
                owed = await asyncio.to_thread(self._owed, upstream.name)
                upstream.ask_for(owed)

    def _owed(self, upstream: str) -> list[tuple[str, str, int]]:
        with self._store.read() as connection:
            return receipts.open_parts(connection, upstream, moments.now())

    def _limited(self) -> dict[str, KeepsLimits]:
        """What has limits that all workers keep together, by their names for it."""
        upstreams = self._upstreams.values()
        found = {f"upstream {u.name}": u for u in upstreams if isinstance(u, KeepsLimits)}
        routes = self._dispatch.limited()
        return found | {f"route {prefix}": route for prefix, route in routes.items()}

    async def _watch(self, sharing: Sharing) -> None:
        """Tell the dispatch again and again which upstreams are bound."""
        loop = asyncio.get_running_loop()
        were_bound: set[str] = set()
        while True:
            are_bound = {name for name, each in self._upstreams.items() if each.is_bound()}
            if are_bound - were_bound:
                sharing.hurry()
            were_bound = are_bound
            for upstream in self._upstreams.values():
                bound = upstream.name in are_bound
                why = upstream.trouble() if isinstance(upstream, TellsTrouble) else ""
                self._dispatch.noticed(upstream.name, bound=bound, now=loop.time(), why=why)
            await asyncio.sleep(_WATCH)

    async def _beat(self, commits: GroupCommit[Event, list[Delivery] | None]) -> None:
        while True:
            try:
                failed = self._dispatch.failed_over(asyncio.get_running_loop().time())
                await commits.submit(Beat(now=moments.now(), failed_over=tuple(failed)))
            except Exception as error:
                log_error(log, "store unavailable", error)
            await asyncio.sleep(min(1.0, self._lease / 3_000))

    def _enroll(self) -> int:
        with self._store.write() as connection:
            return workers.enroll(connection, now=moments.now(), lease=self._lease)

    def _dismiss(self, number: int) -> None:
        with self._store.write() as connection:
            leases.give_back(connection, number)
            workers.dismiss(connection, number)
            allotments.dismiss(connection, number)


async def _forever(work: Callable[[], Awaitable[None]]) -> None:
    """Restart a task when it ends or fails, so that it does not end the worker."""
    while True:
        try:
            await work()
        except Exception as error:
            log_error(log, "task failed", error)
        await asyncio.sleep(1)


async def _first_failure(tasks: list[asyncio.Task[None]]) -> None:
    """Wait until one of the endless tasks fails, and raise its error."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            log_error(log, "task ended with an error", result)
