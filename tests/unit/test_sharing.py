"""Limits that workers share: who gets how much, and that it never is too much."""

import math
import random

import pytest
from sqlalchemy import update

from sms_gateway.store import Store, allotments, tables
from sms_gateway.store.allotments import Held
from sms_gateway.upstream.allotment import Allotment, Ask, Limits, fair_shares
from sms_gateway.upstream.pace import Pace

LEASE = 3_600_000
LIMITS = Limits(rate=100, window=10)


def ask(limits: Limits = LIMITS, **changed: float) -> Ask:
    """Of a worker that could use everything."""
    hungry = {
        "ready": True,
        "rate": math.inf,
        "window": math.inf,
        "under_way": 0,
        "speed": 0.0,
        "ceiling": math.inf,
    }
    return Ask(limits=limits, **(hungry | changed))  # type: ignore[arg-type]


class Workers:
    """Workers that each take and give back as `Sharing` does."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.held: dict[int, Held] = {}
        self.fair: dict[int, Held] = {}
        self.whole = 0.0

    def turn(self, number: int, asked: Ask) -> Held:
        before, fair = self.held.get(number, Held()), self.fair.get(number, Held())
        offer = Held(min(before.rate, fair.rate), min(before.window, fair.window))
        with self.store.write() as connection:
            came = allotments.exchange(connection, number, {"a": (offer, asked)}, lease=LEASE)
        self.held[number], self.fair[number] = came["a"].held, came["a"].fair
        self.whole = came["a"].whole
        return self.held[number]


@pytest.mark.parametrize(
    ("total", "wants", "ready", "shares"),
    [
        (10, [10], [False], [10]),
        (10, [10, 10], [True, True], [5, 5]),
        (10, [10, 10, 10], [True] * 3, [3, 3, 4]),
        (10, [2, 10], [True, True], [2, 8]),
        (10, [1, 2], [True, True], [4, 6]),  # what nobody wants is spare
        (10, [0, 1], [False, True], [0, 10]),
        (10, [0, 0], [False, False], [5, 5]),
        (1, [1, 1, 1], [True] * 3, [0, 0, 1]),
        (0, [1, 1], [True] * 2, [0, 0]),
    ],
)
def test_shares_are_fair(
    total: int, wants: list[int], ready: list[bool], shares: list[int]
) -> None:
    assert fair_shares(total, wants, ready) == shares


def test_one_worker_has_the_whole_at_once(store: Store) -> None:
    assert Workers(store).turn(1, ask(ready=False, rate=0, window=0)) == Held(10, 10)


def test_one_that_joins_gets_an_even_share_when_it_was_given_back(store: Store) -> None:
    workers = Workers(store)
    workers.turn(1, ask())
    assert workers.turn(2, ask()) == Held(0, 0)
    workers.turn(1, ask())
    assert workers.turn(1, ask()) == Held(5, 5)
    assert workers.turn(2, ask()) == Held(5, 5)


def test_what_one_does_not_need_another_gets(store: Store) -> None:
    workers = Workers(store)
    for _ in range(3):
        workers.turn(1, ask(rate=12, window=1))
        workers.turn(2, ask())
    assert workers.held == {1: Held(2, 1), 2: Held(8, 9)}


def test_the_share_of_a_dead_worker_is_free_when_its_lease_has_ended(store: Store) -> None:
    workers = Workers(store)
    workers.turn(1, ask())
    assert workers.turn(2, ask()) == Held(0, 0)
    with store.write() as connection:
        connection.execute(
            update(tables.allotment).where(tables.allotment.c.worker == 1), {"until": 1}
        )
    assert workers.turn(2, ask()) == Held(10, 10)


def test_workers_that_come_and_go_never_hold_more_than_there_is(store: Store) -> None:
    chance = random.Random(15)
    workers = Workers(store)
    for _ in range(150):
        number = chance.randrange(1, 5)
        if chance.random() < 0.1 and number in workers.held:
            with store.write() as connection:
                allotments.dismiss(connection, number)
            del workers.held[number], workers.fair[number]
            continue
        is_ready, rate, window = chance.random() < 0.9, chance.randrange(120), chance.randrange(12)
        workers.turn(number, ask(ready=is_ready, rate=float(rate), window=float(window)))
        assert sum(held.rate for held in workers.held.values()) <= 10
        assert sum(held.window for held in workers.held.values()) <= 10


def test_what_throttling_taught_one_slows_the_others(store: Store) -> None:
    workers = Workers(store)
    workers.turn(1, ask(ceiling=40))
    workers.turn(2, ask())
    assert workers.whole == 40
    # Two that were throttled by the same second are no reason to go four times slower.
    workers.turn(2, ask(ceiling=45))
    assert workers.whole == 40


def allotted(pace: Pace, rate: float, now: float, *, whole: float = 100, others: float = 0) -> None:
    pace.ask(now, 0)
    share = Allotment(rate=rate, window=5, whole=whole, others=others, until=now + 3)
    pace.allot(share, now)


def test_a_share_that_others_had_begins_with_nothing_saved_up() -> None:
    pace = Pace(100)
    allotted(pace, 0, 5000.0)
    assert pace.free(5002.0) == 0
    allotted(pace, 50, 5002.0)
    assert pace.free(5002.0) == 0
    assert pace.free(5002.02) == 1


def test_a_share_that_is_not_renewed_ends() -> None:
    pace = Pace(100, 10)
    allotted(pace, 100, 5000.0)
    assert pace.room(5002.9, 0) == 5
    assert pace.room(5003.0, 0) == 0
    allotted(pace, 100, 5004.0)
    assert pace.room(5004.1, 0) == 5


def test_throttling_teaches_the_rate_of_all_workers() -> None:
    pace = Pace(None)
    allotted(pace, math.inf, 5000.0, whole=math.inf, others=60)
    pace.written(40, 5000.5)
    assert pace.slow_down(5000.6)
    assert pace.ask(5000.7, 0).ceiling == pytest.approx(50, rel=0.01)
    assert pace.rate == 20
    # It was throttled before it asked: the allotment knows.
    pace.allot(Allotment(rate=25, window=5, whole=50, others=60, until=5003.0), 5000.8)
    assert pace.rate == 25
    assert 55 < pace.ask(5003.7, 0).ceiling < 60


def test_one_that_had_enough_asks_for_what_it_used() -> None:
    pace = Pace(100, 10)
    allotted(pace, 100, 5000.0)
    assert pace.ask(5001.0, 0).rate == math.inf  # it has just begun
    for tenth in range(30):
        now = 5001.0 + tenth / 10
        allotted(pace, 100, now)
        pace.room(now, 2)
        pace.written(1, now)
    asked = pace.ask(5004.0, 0)
    assert 10 <= asked.rate < 20
    assert 2 <= asked.window < 5
