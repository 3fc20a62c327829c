"""What a worker claims for an upstream, when, and what it does with the answers."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from sqlalchemy import select, text
from support.books import Books
from support.clock import LoopClock

import sms_gateway.deliver.worker
from sms_gateway.deliver.ledger import Claim
from sms_gateway.deliver.worker import Worker
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.sms.message import State
from sms_gateway.sms.receipt import Receipt
from sms_gateway.store import GroupCommit, Store, history, tables
from sms_gateway.store.outcome import OutcomeUnknownError
from sms_gateway.upstream import Answer, Delivery, Incoming, Outcome, Sink, pending_parts

GRACE = 10.0


class ByHand:
    """An upstream that has the room, and gives the answers, that a test says."""

    def __init__(self, name: str = "a", room: int = 0) -> None:
        self.name = name
        self.room = room
        self.bound = True
        self.given: list[Delivery] = []
        #: The deliveries whose parts have all been answered, each with its attempt.
        self.answered: set[tuple[int, int]] = set()
        self.asked_for: list[tuple[str, str, int]] = []
        #: What `run` raises once this is set.
        self.fails = asyncio.Event()
        self.is_ready = asyncio.Event()
        self.is_ready.set()
        self.sink: Sink | None = None

    def is_bound(self) -> bool:
        return self.bound

    def free(self) -> int:
        return self.room

    async def ready(self) -> None:
        await self.is_ready.wait()

    def submit(self, delivery: Delivery) -> None:
        self.given.append(delivery)
        self.room -= len(pending_parts(delivery))

    async def run(self, sink: Sink) -> None:
        self.sink = sink
        try:
            await self.fails.wait()
            raise ConnectionError
        finally:
            for delivery in self.given:
                if (delivery.id, delivery.attempt) not in self.answered:
                    self.answer(delivery, Outcome.UNANSWERED)

    def ask_for(self, smsc_ids: Sequence[tuple[str, str, int]]) -> None:
        self.asked_for += smsc_ids

    def answer(self, delivery: Delivery, outcome: Outcome, **fields: Any) -> None:
        """Answer for each part."""
        assert self.sink is not None
        self.answered.add((delivery.id, delivery.attempt))
        for number in pending_parts(delivery):
            smsc_id = f"{delivery.id}-{number}" if outcome is Outcome.ACCEPTED else ""
            self.sink.answered(
                Answer(
                    delivery_id=delivery.id,
                    part=number,
                    outcome=outcome,
                    smsc_id=smsc_id,
                    **fields,
                )
            )


@asynccontextmanager
async def worker(
    store: Store,
    *upstreams: ByHand,
    aside: Sequence[Callable[[], Awaitable[None]]] = (),
    **route: Any,
) -> AsyncIterator[asyncio.Task[None]]:
    """A worker of these upstreams, the first before the others; leaving stops it."""
    names = tuple(upstream.name for upstream in upstreams)
    works = Worker(
        store,
        {upstream.name: upstream for upstream in upstreams},
        Routes([Route(prefix="", upstreams=names, **route)]),
        failover_after=GRACE,
        aside=aside,
    )
    run = asyncio.create_task(works.run())
    try:
        await until(lambda: run.done() or all(upstream.sink for upstream in upstreams))
        yield run
    finally:
        run.cancel()
        await asyncio.wait([run])


async def until(condition: Callable[[], Any]) -> None:
    """Returns when the condition is true: the loop's timers and threads need a moment."""
    # By the system's clock: tests put that of the loop forward.
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        await asyncio.sleep(0.002)


def accept(books: Books, *parts: int) -> list[str]:
    """Messages that are due now."""
    now = time.time_ns() // 1_000_000
    return [books.accept(parts=count, at=now - 1_000 + n) for n, count in enumerate(parts or (1,))]


def given(upstream: ByHand) -> list[str]:
    return [delivery.message_id for delivery in upstream.given]


def states(books: Books, ids: Sequence[str]) -> list[State]:
    return [books.state(id) for id in ids]


@contextmanager
def without_journal(store: Store) -> Iterator[None]:
    """Nothing of what a worker writes can be written meanwhile."""
    for name, other in (("step", "away"), ("away", "step")):
        with store.write() as connection:
            connection.execute(text(f"ALTER TABLE {name} RENAME TO {other}"))
        if other == "away":
            yield


# -- how much is claimed, and when --


async def test_no_more_is_claimed_than_there_is_room_for(books: Books, store: Store) -> None:
    ids = accept(books, 1, 2, 1, 1)
    upstream = ByHand(room=3)
    async with worker(store, upstream):
        await until(lambda: given(upstream) == ids[:2])
        await asyncio.sleep(0.2)  # several times as long as it looks for work
        assert given(upstream) == ids[:2]
        assert states(books, ids) == [State.SUBMITTING] * 2 + [State.QUEUED] * 2
        upstream.room = 1
        await until(lambda: given(upstream) == ids[:3])


async def test_an_upstream_without_room_is_asked_again(
    loop_clock: LoopClock, books: Books, store: Store
) -> None:
    ids = accept(books)
    upstream = ByHand(room=0)
    async with worker(store, upstream):
        await asyncio.sleep(0.1)
        assert upstream.given == []
        upstream.room = 10
        await until(lambda: given(upstream) == ids)


async def test_nothing_is_claimed_for_an_upstream_that_is_not_ready(
    books: Books, store: Store
) -> None:
    ids = accept(books)
    upstream = ByHand(room=10)
    upstream.is_ready.clear()
    async with worker(store, upstream):
        await asyncio.sleep(0.1)
        assert states(books, ids) == [State.QUEUED]
        upstream.is_ready.set()
        await until(lambda: given(upstream) == ids)


async def test_what_is_accepted_later_is_found(books: Books, store: Store) -> None:
    upstream = ByHand(room=10)
    async with worker(store, upstream):
        await asyncio.sleep(0.1)
        ids = accept(books)
        await until(lambda: given(upstream) == ids)


async def test_a_route_with_a_rate_goes_on_as_time_passes(
    loop_clock: LoopClock, books: Books, store: Store
) -> None:
    ids = accept(books, *[1] * 5)
    upstream = ByHand(room=100)
    async with worker(store, upstream, rate=0.05):
        await until(lambda: given(upstream) == ids[:1])
        await asyncio.sleep(0.1)
        assert given(upstream) == ids[:1]
        passed = 0
        while given(upstream) == ids[:1]:
            assert passed < 1_000
            # Not at once: a share of the rate is renewed every other second.
            loop_clock.pass_(1)
            passed += 1
            await asyncio.sleep(0.02)
        assert passed > 18
        assert given(upstream) == ids[:2]


async def test_the_parts_under_way_on_a_route_are_no_more_than_its_window(
    books: Books, store: Store
) -> None:
    ids = accept(books, *[1] * 3)
    upstream = ByHand(room=100)
    async with worker(store, upstream, window=2):
        await until(lambda: given(upstream) == ids[:2])
        await asyncio.sleep(0.1)
        assert given(upstream) == ids[:2]
        upstream.answer(upstream.given[0], Outcome.ACCEPTED)
        await until(lambda: given(upstream) == ids)


async def test_the_next_stands_in_for_an_upstream_that_is_away(
    loop_clock: LoopClock, books: Books, store: Store
) -> None:
    ids = accept(books)
    first, second = ByHand("a", room=0), ByHand("b", room=10)
    first.bound = False
    async with worker(store, first, second):
        await asyncio.sleep(0.3)  # it has been seen that the first is away
        assert second.given == []
        loop_clock.pass_(GRACE)
        await until(lambda: given(second) == ids)
    assert first.given == []


# -- what becomes of it --


async def test_an_answer_for_every_part_ends_an_attempt(books: Books, store: Store) -> None:
    (id,) = accept(books, 2)
    upstream = ByHand(room=10)
    async with worker(store, upstream):
        await until(lambda: upstream.given)
        assert upstream.sink is not None
        (delivery,) = upstream.given
        for part in (1, 2):
            assert books.state(id) is State.SUBMITTING
            upstream.sink.answered(
                Answer(
                    delivery_id=delivery.id,
                    part=part,
                    outcome=Outcome.ACCEPTED,
                    smsc_id=f"n{part}",
                )
            )
            await asyncio.sleep(0.05)
        await until(lambda: books.state(id) is State.SUBMITTED)


async def test_an_answer_to_an_attempt_that_is_over_does_not_end_the_next(
    books: Books, store: Store
) -> None:
    (id,) = accept(books)
    upstream = ByHand(room=10)
    async with worker(store, upstream):
        await until(lambda: upstream.given)
        upstream.answer(upstream.given[0], Outcome.NOT_WRITTEN)
        await until(lambda: len(upstream.given) == 2)
        assert [delivery.attempt for delivery in upstream.given] == [1, 2]
        upstream.answer(upstream.given[0], Outcome.REFUSED, attempt=1)
        await asyncio.sleep(0.1)
        assert books.state(id) is State.SUBMITTING
        upstream.answer(upstream.given[1], Outcome.ACCEPTED, attempt=2)
        await until(lambda: books.state(id) is State.SUBMITTED)


async def test_what_goes_to_a_number_that_is_busy_is_put_off(books: Books, store: Store) -> None:
    first, second = accept(books, 1, 1)
    upstream = ByHand(room=1)
    async with worker(store, upstream):
        await until(lambda: upstream.given)
        upstream.answer(upstream.given[0], Outcome.BUSY)
        upstream.room = 10
        await until(lambda: books.steps(second) == ["put off"])
        assert given(upstream) == [first]
        await until(lambda: books.state(first) is State.QUEUED)
        assert books.delivery(first).due_at > time.time_ns() // 1_000_000


async def test_receipts_and_messages_are_done_when_they_are_stored(
    books: Books, store: Store
) -> None:
    (id,) = accept(books)
    upstream = ByHand(room=10)
    async with worker(store, upstream):
        await until(lambda: upstream.given)
        assert upstream.sink is not None
        (delivery,) = upstream.given
        upstream.answer(delivery, Outcome.ACCEPTED)
        await until(lambda: books.state(id) is State.SUBMITTED)
        receipt = Receipt(
            smsc_id=f"{delivery.id}-1",
            state=State.DELIVERED,
            recipient="32494000000",
            error="000",
            done_at=time.time_ns() // 1_000_000,
            raw="id:…",
        )
        await upstream.sink.received_receipt(receipt)
        assert books.state(id) is State.DELIVERED
        incoming = Incoming(sender="+32494000000", recipient="8000", text="Hello")
        await upstream.sink.received_message(incoming)
        with store.read() as connection:
            texts = connection.execute(select(tables.received.c.text)).scalars().all()
        assert texts == ["Hello"]


# -- the store is away --


async def test_a_claim_that_fails_is_tried_again_after_a_second(
    loop_clock: LoopClock, books: Books, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    ids = accept(books)
    upstream = ByHand(room=0)
    async with worker(store, upstream):
        with without_journal(store):
            upstream.room = 10
            await until(lambda: "claim failed" in caplog.messages)
        await asyncio.sleep(0.2)
        assert upstream.given == []
        loop_clock.pass_(1)
        await until(lambda: given(upstream) == ids)
    assert states(books, ids) == [State.UNCERTAIN]


async def test_what_is_under_way_is_not_claimed_again_when_a_claim_fails(
    loop_clock: LoopClock, books: Books, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    ids = accept(books, 1, 1)
    upstream = ByHand(room=1)
    async with worker(store, upstream):
        await until(lambda: given(upstream) == ids[:1])
        with without_journal(store):
            upstream.room = 1
            await until(lambda: "claim failed" in caplog.messages)
        upstream.room = 5
        loop_clock.pass_(1)
        await until(lambda: len(upstream.given) > 1)
        await asyncio.sleep(0.1)
        assert given(upstream) == ids


async def test_a_claim_that_was_committed_all_the_same_is_found(
    loop_clock: LoopClock, books: Books, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unconfirmed(GroupCommit[Any, Any]):
        """One whose first claim is committed, and not confirmed."""

        lost = 0

        def submit(self, item: Any) -> Any:
            done = super().submit(item)
            if isinstance(item, Claim) and not self.lost:
                self.lost += 1
                return self._lose(done)
            return done

        async def _lose(self, done: Awaitable[Any]) -> Any:
            assert await done
            raise OutcomeUnknownError

    monkeypatch.setattr(sms_gateway.deliver.worker, "GroupCommit", Unconfirmed)
    ids = accept(books, 1, 1)
    upstream = ByHand(room=1)
    async with worker(store, upstream):
        await until(lambda: State.SUBMITTING in states(books, ids))
        assert upstream.given == []
        loop_clock.pass_(1)
        await until(lambda: upstream.given)
        assert given(upstream) == ids[:1]
        assert upstream.given[0].attempt == 1
        upstream.answer(upstream.given[0], Outcome.ACCEPTED)
        await until(lambda: books.state(ids[0]) is State.SUBMITTED)


async def test_an_outcome_that_could_not_be_written_is_written_again(
    loop_clock: LoopClock, books: Books, store: Store
) -> None:
    ids = accept(books)
    upstream = ByHand(room=1)
    async with worker(store, upstream):
        await until(lambda: upstream.given)
        with without_journal(store):
            upstream.answer(upstream.given[0], Outcome.ACCEPTED)
            await asyncio.sleep(0.2)
            loop_clock.pass_(1)
            await asyncio.sleep(0.2)
        assert states(books, ids) == [State.SUBMITTING]
        loop_clock.pass_(1)
        await until(lambda: states(books, ids) == [State.SUBMITTED])


async def test_an_outcome_that_could_not_be_written_is_written_before_the_worker_ends(
    loop_clock: LoopClock, books: Books, store: Store
) -> None:
    ids = accept(books)
    upstream = ByHand(room=1)
    async with worker(store, upstream):
        await until(lambda: upstream.given)
        with without_journal(store):
            upstream.answer(upstream.given[0], Outcome.ACCEPTED)
            await asyncio.sleep(0.2)
    assert states(books, ids) == [State.SUBMITTED]


# -- it ends --


async def test_a_claim_that_is_under_way_when_the_worker_stops_is_given_back(
    books: Books, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    claiming = asyncio.Event()

    class Outbox(GroupCommit[Any, Any]):
        def submit(self, item: Any) -> Any:
            if isinstance(item, Claim):
                claiming.set()
            return super().submit(item)

    monkeypatch.setattr(sms_gateway.deliver.worker, "GroupCommit", Outbox)
    ids = accept(books)
    upstream = ByHand(room=0)
    async with worker(store, upstream) as run:
        upstream.room = 10
        await claiming.wait()
        run.cancel()
    assert upstream.given == []
    assert books.steps(ids[0])[0] == "claimed"
    assert states(books, ids) == [State.QUEUED]


async def test_a_worker_ends_when_an_upstream_does_and_is_known_no_more(
    books: Books, store: Store
) -> None:
    upstream = ByHand(room=10)
    async with worker(store, upstream) as run:
        assert len(enrolled(store)) == 2  # with that of the books
        upstream.fails.set()
        with pytest.raises(ConnectionError):
            await run
    assert enrolled(store) == [books.worker]


def enrolled(store: Store) -> list[int]:
    with store.read() as connection:
        return list(connection.execute(select(tables.worker.c.id)).scalars())


async def test_what_runs_beside_it_may_fail_and_is_begun_again(
    loop_clock: LoopClock, store: Store
) -> None:
    begun = 0

    async def fails() -> None:
        nonlocal begun
        begun += 1
        raise ValueError

    async with worker(store, ByHand(), aside=[fails]) as run:
        for times in (1, 2, 3):

            def is_begun(times: int = times) -> bool:
                return begun == times

            await until(is_begun)
            await asyncio.sleep(0.05)
            loop_clock.pass_(1)
        assert not run.done()


async def test_an_upstream_is_told_which_receipts_an_earlier_worker_is_owed(
    books: Books, store: Store
) -> None:
    (id,) = accept(books)
    before = ByHand(room=10)
    async with worker(store, before):
        await until(lambda: before.given)
        before.answer(before.given[0], Outcome.ACCEPTED)
        await until(lambda: books.state(id) is State.SUBMITTED)
    after = ByHand()
    async with worker(store, after):
        with store.read() as connection:
            found = history.of_message(connection, id)
        assert found is not None
        (delivery,) = found.deliveries
        assert [asked[:2] for asked in after.asked_for] == [
            (f"{before.given[0].id}-1", delivery.recipient)
        ]
