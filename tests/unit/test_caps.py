"""Caps and kinds of numbers: what is counted, what is refused, on both databases."""

import asyncio
import itertools
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from sqlalchemy import select, text, update
from support import accounts as support
from support.accepting import BELGIAN, FOUR, rows
from support.clock import Clock
from support.forgetting import forget

from sms_gateway.accept.caps import charges
from sms_gateway.accept.gateway import Gateway
from sms_gateway.accounts import FREE_RATE, Rate
from sms_gateway.backend import Reply, Submission
from sms_gateway.caps import Cap, Counts, OperatorCaps, Period
from sms_gateway.codes import Code
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.sms import kinds, numbering
from sms_gateway.sms.kinds import Kind
from sms_gateway.sms.message import State
from sms_gateway.store import Store, counters, tables
from sms_gateway.words import words
from sms_gateway.words.reasons import in_words

EVERYWHERE = Routes([Route(prefix="", upstreams=("a",))])
PREMIUM, SATELLITE = "+19002345678", "+881612345678"


def milliseconds(year: int, month: int, *rest: int) -> int:
    day, hour, minute, second = (*rest, *(1, 0, 0, 0)[len(rest) :])
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()) * 1_000


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        (Period.MINUTE, (2028, 2, 29, 23, 59), (2028, 3, 1)),
        (Period.HOUR, (2028, 2, 29, 23), (2028, 3, 1)),
        (Period.DAY, (2028, 2, 29), (2028, 3, 1)),
        (Period.MONTH, (2028, 2, 1), (2028, 3, 1)),
    ],
)
def test_windows_are_those_of_the_calendar_in_utc(
    period: Period, start: tuple[int, ...], end: tuple[int, ...]
) -> None:
    now = milliseconds(2028, 2, 29, 23, 59, 59) + 999
    assert period.start(now) == milliseconds(*start)
    assert period.end(period.start(now)) == milliseconds(*end) > now


def test_windows_of_december_and_of_months_with_31_days_end_with_them() -> None:
    for month, after in (((2027, 12, 1), (2028, 1, 1)), ((2028, 1, 1), (2028, 2, 1))):
        assert Period.MONTH.end(milliseconds(*month)) == milliseconds(*after)


@pytest.mark.parametrize("text", ["5/min", "20/h", "500/day", "10000/month"])
def test_a_cap_reads_as_it_is_written(text: str) -> None:
    assert str(Cap.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["0/h", "5", "5/s", "-1/h", "5 / h", "1234567890/h", "none", "٥/h"]
)
def test_what_is_no_cap_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a cap is written"):
        Cap.parse(text)


# -- kinds --


def test_the_first_digits_of_a_number_never_hide_that_its_kind_is_closed() -> None:
    chance = random.Random(979)
    seen: Counter[Kind] = Counter()
    for code in map(str, COUNTRY_CODE_TO_REGION_CODE):
        for plan in numbering.plans(code):
            for pattern, _ in kinds._kinds(code, plan.country)[0]:
                # Nothing is in it that `_leading` does not know.
                assert "".join(kinds._PIECE.findall(pattern.pattern)) == pattern.pattern
        for length in sorted(numbering.lengths_of(code)):
            for _ in range(100):
                digits = code + "".join(chance.choices("0123456789", k=length))
                if numbering.international(digits) == (f"+{digits}", plan.country):
                    kind = kinds.kind(f"+{digits}")
                    closed = kind if kind in kinds.CLOSED else None
                    assert kinds.closed_kind(f"+{digits}") is closed, digits
                    seen[kind] += 1
    assert seen.keys() > kinds.CLOSED - {Kind.PAGER}
    assert sum(seen[kind] for kind in kinds.CLOSED) > 300


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (PREMIUM, Kind.PREMIUM),
        ("+979123456789", Kind.PREMIUM),
        ("+3290312345", Kind.PREMIUM),
        (SATELLITE, Kind.SATELLITE),
        ("+870773111632", Kind.SATELLITE),
        ("+882161234567", Kind.SATELLITE),
        ("+80812345678", Kind.SHARED_COST),
        ("+3278791234", Kind.SHARED_COST),
        ("+3278051234", Kind.UNIVERSAL),
        ("+878101234567890", Kind.PERSONAL),
        ("+447012345678", Kind.PERSONAL),
        ("+447640123456", Kind.PAGER),
        ("+80012345678", None),
        ("+12015550123", None),
        ("+32494000000", None),
        ("+3225551212", None),
    ],
)
def test_closed_kinds(number: str, kind: Kind | None) -> None:
    assert kinds.closed_kind(number) is kind


async def started(store: Store, clock: Clock, routes: Routes = EVERYWHERE, **caps: Any) -> Gateway:
    gateway = Gateway(store, routes, clock=clock, caps=OperatorCaps(**caps))
    await gateway.start()
    return gateway


async def sent(
    gateway: Gateway, key: str, recipients: str = BELGIAN, message: str = "hi", **more: Any
) -> Reply:
    return await gateway.sendsms(Submission(recipients, message, key, **more))


OPEN = Routes(
    [
        Route(prefix="", upstreams=("a",)),
        Route(prefix="1900", upstreams=("a",), kinds=frozenset({Kind.PREMIUM})),
    ]
)


@pytest.mark.parametrize(
    ("routes", "options", "number", "code"),
    [
        (EVERYWHERE, {}, PREMIUM, Code.UNREACHABLE),
        (EVERYWHERE, {}, SATELLITE, Code.UNREACHABLE),
        (EVERYWHERE, {"kinds": {Kind.PREMIUM}}, PREMIUM, Code.SENT),
        (EVERYWHERE, {"kinds": {Kind.PREMIUM}}, SATELLITE, Code.UNREACHABLE),
        (EVERYWHERE, {"kinds": {Kind.PREMIUM}, "free": True}, PREMIUM, Code.SENT),
        (EVERYWHERE, {"test": True}, PREMIUM, Code.SENT),
        (OPEN, {}, PREMIUM, Code.SENT),
        (OPEN, {"free": True}, PREMIUM, Code.UNREACHABLE),
        (OPEN, {}, SATELLITE, Code.UNREACHABLE),
        (EVERYWHERE, {"multi": True}, f"{BELGIAN},{PREMIUM}", Code.UNREACHABLE),
    ],
)
async def test_kinds_are_closed_unless_a_route_or_the_key_opens_them(
    store: Store, clock: Clock, routes: Routes, options: dict[str, Any], number: str, code: Code
) -> None:
    gateway = await started(store, clock, routes)
    key, _ = support.create(store, **options)
    checked = await gateway.check(Submission(number, "hi", key))
    reply = await sent(gateway, key, number)
    await gateway.aclose()
    assert (checked.error, reply.error) == (code, code)
    assert rows(store)[0] == (code is Code.SENT)
    if code:
        kind = "satellite" if number == SATELLITE else "premium rate"
        assert reply.note == f"Numbers of this kind are closed: {kind}"
        assert in_words(reply.note, words("fr")).startswith("Les numéros de ce type sont fermés : ")


# -- caps of a key --

TWO_PARTS, TEN_PARTS = "a" * 200, "a" * 1_500


@pytest.mark.parametrize(
    ("option", "said"),
    [("parts_per_minute", "a minute"), ("parts_per_day", "a day"), ("parts_per_month", "a month")],
)
async def test_a_key_sends_as_many_parts_as_its_cap_and_not_one_more(
    store: Store, clock: Clock, option: str, said: str
) -> None:
    gateway = await started(store, clock)
    options: dict[str, Any] = {option: 12}
    key, account = support.create(store, rate=None, multi=True, **options)
    assert (await sent(gateway, key, message=TEN_PARTS)).error is Code.SENT
    refused = await sent(gateway, key, FOUR)
    assert (refused.error, refused.sent) == (Code.TOO_FAST, 0)
    assert refused.note.startswith(f"Exceeding the limit of 12 parts {said}, until 20")
    assert in_words(refused.note, words("fr")).startswith("La limite de 12 parties ")
    assert (await sent(gateway, key, message=TWO_PARTS)).error is Code.SENT
    assert (await sent(gateway, key)).error is Code.TOO_FAST
    await gateway.aclose()
    assert counted(store, f"key {account.id}") == 12
    assert rows(store)[0] == 2
    # It ends with its window, and the next one is whole.
    backdate(store)
    gateway = await started(store, clock)
    assert (await sent(gateway, key, message=TEN_PARTS)).error is Code.SENT
    await gateway.aclose()


async def test_a_batch_of_one_transaction_is_counted_message_by_message(
    store: Store, clock: Clock
) -> None:
    gateway = await started(store, clock)
    key, _ = support.create(store, rate=None, parts_per_day=7)
    replies = await asyncio.gather(*(sent(gateway, key, message=TWO_PARTS) for _ in range(50)))
    await gateway.aclose()
    assert sorted(r.error for r in replies) == [Code.SENT] * 3 + [Code.TOO_FAST] * 47


async def test_repeats_refusals_and_trials_do_not_count(store: Store, clock: Clock) -> None:
    gateway = await started(store, clock)
    key, account = support.create(store, rate=Rate(1, 60_000), parts_per_day=5)
    scope = f"key {account.id}"
    assert (await gateway.check(Submission(BELGIAN, TWO_PARTS, key))).error is Code.SENT
    assert counted(store, scope) == 0
    first = await sent(gateway, key, message=TWO_PARTS, idempotency_key="k")
    for _ in range(5):
        assert await sent(gateway, key, message=TWO_PARTS, idempotency_key="k") == first
    refusals = [await sent(gateway, key), await sent(gateway, key, "rubbish")]
    assert [each.error for each in refusals] == [Code.TOO_FAST, Code.NOT_SENT]
    assert counted(store, scope) == 2
    clock.pass_(minutes=1)
    # What the cap refuses costs nothing of the rate.
    assert (await sent(gateway, key, message=TEN_PARTS)).error is Code.TOO_FAST
    assert (await sent(gateway, key, message=TWO_PARTS)).error is Code.SENT
    await gateway.aclose()
    assert counted(store, scope) == 4


async def test_sending_again_counts_what_ended_and_not_what_waits(
    store: Store, clock: Clock
) -> None:
    gateway = await started(store, clock)
    key, account = support.create(store, rate=None, parts_per_day=5)
    reply = await sent(gateway, key, message=TWO_PARTS)
    assert (await gateway.resendsms(key, reply.id)).error is Code.SENT
    assert counted(store, f"key {account.id}") == 2
    for total, code in ((4, Code.SENT), (4, Code.TOO_FAST)):
        with store.write() as connection:
            connection.execute(update(tables.delivery).values(state=State.FAILED))
        assert (await gateway.resendsms(key, reply.id)).error is code
        assert counted(store, f"key {account.id}") == total
    await gateway.aclose()
    with store.read() as connection:
        assert connection.execute(select(tables.delivery.c.state)).scalar_one() == State.FAILED
        assert counters.refusals(connection)[Counts.KEY] == (1, 2)


# -- caps of the operator --


@pytest.mark.parametrize(
    ("caps", "numbers", "said"),
    [
        ({"total": Cap(3, Period.DAY)}, ("+32494000000", "+33612345678"), "for this service"),
        ({"prefixes": {"225": Cap(3, Period.HOUR), "2250": Cap(9, Period.HOUR)}},
         ("+2250700000001", "+2250100000002"), "for this destination"),
        ({"number": Cap(3, Period.HOUR)}, ("+32494000000",), "for this number"),
        ({"range": Cap(3, Period.HOUR)}, ("+32494000001", "+32494000999"), "for numbers like"),
    ],
)  # fmt: skip
async def test_what_the_operator_caps_holds_for_all_keys_together(
    store: Store, clock: Clock, caps: dict[str, Any], numbers: tuple[str, ...], said: str
) -> None:
    gateway = await started(store, clock, **caps)
    keys = [support.create(store, f"key {n}", rate=None)[0] for n in range(3)]
    replies = []
    for key, number in zip(itertools.cycle(keys), itertools.cycle(numbers), strict=False):
        replies.append(await sent(gateway, key, number))
        if len(replies) == 6:
            break
    elsewhere = await sent(gateway, keys[0], "+390612345678")
    await gateway.aclose()
    assert [r.error for r in replies] == [Code.SENT] * 3 + [Code.TOO_FAST] * 3
    assert all(said in r.note for r in replies[3:])
    # How much is allowed is nobody's business.
    assert not any(" 3 " in r.note for r in replies[3:])
    assert elsewhere.error is (Code.TOO_FAST if "total" in caps else Code.SENT)


async def test_free_keys_have_caps_of_their_own_and_others_do_not_see_them(
    store: Store, clock: Clock
) -> None:
    gateway = await started(
        store, clock, free_key=Cap(4, Period.DAY), free_number=Cap(2, Period.HOUR),
        free_range=Cap(5, Period.HOUR), free_countries=frozenset({"BE"}),
    )  # fmt: skip
    a, _ = support.create(store, "a", rate=None, free=True)
    b, _ = support.create(store, "b", rate=None, free=True)
    paying, _ = support.create(store, "c", rate=None)
    for key, number, code in (
        (a, "+32494000000", Code.SENT),
        (b, "+32494000000", Code.SENT),
        (b, "+32494000000", Code.TOO_FAST),  # of the number
        (a, "+32494000001", Code.SENT),
        (a, "+32494000002", Code.SENT),
        (a, "+32494000003", Code.SENT),
        (a, "+32495000000", Code.TOO_FAST),  # of the key
        (b, "+32494000004", Code.TOO_FAST),  # of the range
        (b, "+32495000000", Code.SENT),
        (b, "+33612345678", Code.UNREACHABLE),
        (paying, "+32494000000", Code.SENT),
        (paying, "+33612345678", Code.SENT),
    ):
        assert (await sent(gateway, key, number)).error is code, (number, code)
    await gateway.aclose()


def test_messages_of_test_keys_reach_no_carrier_and_count_for_nothing_but_their_own_caps(
    store: Store,
) -> None:
    _, account = support.create(store, test=True, parts_per_day=9, parts_per_month=20)
    everything = OperatorCaps(
        total=Cap(1, Period.DAY), number=Cap(1, Period.DAY), range=Cap(1, Period.DAY),
        prefixes={"3": Cap(1, Period.DAY)},
    )  # fmt: skip
    found = charges(account, everything, [("+32494000000", 3)])
    assert [(c.scope, str(c.cap), c.parts) for c in found] == [
        (f"key {account.id}", "9/day", 3),
        (f"key {account.id}", "20/month", 3),
    ]


async def test_who_has_no_caps_leaves_no_counters(store: Store, clock: Clock) -> None:
    gateway = await started(store, clock, free_number=Cap(2, Period.HOUR))
    key, _ = support.create(store, rate=None)
    for _ in range(3):
        assert (await sent(gateway, key)).error is Code.SENT
    await gateway.aclose()
    assert everything_counted(store) == []


async def test_a_submission_that_is_refused_leaves_no_counter_behind(
    store: Store, clock: Clock
) -> None:
    """Or a stranger could fill the disk by asking for ever more numbers."""
    gateway = await started(
        store, clock, free_key=Cap(1, Period.DAY), free_number=Cap(2, Period.HOUR)
    )
    key, account = support.create(store, rate=None, free=True)
    slow, _ = support.create(store, "slow", rate=FREE_RATE, free=True)
    for number in range(5):
        await sent(gateway, key, f"+3249400000{number}")
        await sent(gateway, slow, f"+3249500000{number}")
    await gateway.aclose()
    scopes = sorted(scope for scope, _, parts in everything_counted(store) if parts)
    assert len(scopes) == 4
    assert len(everything_counted(store)) == 4
    assert f"key {account.id}" in scopes


# -- what is told of them --


async def test_refusals_are_counted_once_a_window_and_lifting_lets_through_again(
    store: Store, clock: Clock
) -> None:
    gateway = await started(store, clock)
    key, account = support.create(store, rate=None, parts_per_day=3)
    replies = [await sent(gateway, key, message=TWO_PARTS) for _ in range(4)]
    assert [r.error for r in replies] == [Code.SENT] + [Code.TOO_FAST] * 3
    with store.read() as connection:
        (row,) = connection.execute(select(tables.cap_trip)).all()
        assert counters.refusals(connection)[Counts.KEY] == (3, 6)
    assert (row.scope, row.period, row.parts) == (f"key {account.id}", "day", 3)
    assert (row.account_id, row.refusals, row.refused_parts) == (account.id, 3, 6)
    with store.write() as connection:
        assert counters.lift(connection, [f"key {account.id}"], clock.now) == 1
    assert (await sent(gateway, key, message=TWO_PARTS)).error is Code.SENT
    assert (await sent(gateway, key, message=TWO_PARTS)).error is Code.TOO_FAST
    await gateway.aclose()
    with store.read() as connection:
        assert connection.execute(select(tables.cap_trip.c.lifted_at)).scalar_one() is not None


async def test_what_is_over_is_swept_and_the_sums_of_refusals_stay(
    store: Store, clock: Clock
) -> None:
    gateway = await started(store, clock, number=Cap(1, Period.HOUR))
    key, _ = support.create(store, rate=None, parts_per_month=50)
    for _ in range(3):
        await sent(gateway, key)
    await gateway.aclose()
    with store.write() as connection:
        for due in counters.claim(connection, now=clock.now, lease=1, most=9):
            counters.told(connection, due, failure="", again_at=None)
        # Nothing is over; then a day and an hour later, and long after.
        assert counters.sweep(connection, clock.now) == 0
    for back, left in ((90_000_000, ["month"]), (70 * 86_400_000, [])):
        with store.write() as connection:
            for table in (tables.counter, tables.cap_trip):
                connection.execute(
                    update(table).where(table.c.start > 0).values(start=table.c.start - back)
                )
            assert counters.sweep(connection, clock.now)
        assert [period for _, period, _ in everything_counted(store)] == left
        with store.read() as connection:
            assert counters.refusals(connection)[Counts.NUMBER] == (2, 2)
            scopes = connection.execute(select(tables.cap_trip.c.scope)).scalars().all()
            assert scopes == ["number"]


async def test_a_person_who_is_forgotten_is_in_no_counter(store: Store, clock: Clock) -> None:
    gateway = await started(store, clock, number=Cap(1, Period.HOUR))
    key, _ = support.create(store, rate=None, free=True)
    for _ in range(2):
        await sent(gateway, key)
    await gateway.aclose()
    with store.write() as connection:
        forget(connection, "+32494000000", clock.now)
    assert everything_counted(store) == []
    with store.read() as connection:
        assert connection.execute(select(tables.cap_trip)).all() == []


def test_windows_of_postgresql_are_those_of_its_clock(store: Store, clock: Clock) -> None:
    with store.write() as connection:
        now = counters.clock(connection, clock.now)
        held = counters.hold(connection, [("total", period) for period in Period], clock.now)
    assert store.is_sqlite == (now == clock.now)
    assert {period: each.start for (_, period), each in held.items()} == {
        period: period.start(now) for period in Period
    }


# -- many processes --

PROCESSES, EACH = 3, 60
_HAMMER = Path(__file__).parents[1] / "support" / "hammer.py"


def test_no_cap_is_exceeded_by_one_part_however_many_processes_accept(
    store: Store, database: str
) -> None:
    caps = {"total": 101, "number": 20, "range": 60, "free_number": 13, "free_key": 31}
    keys = [
        support.create(store, name, rate=None, multi=True, **options)[0]
        for name, options in (
            ("capped", {"parts_per_day": 37, "parts_per_minute": 29}),
            ("free", {"free": True}),
            ("open", {}),
        )
    ]
    known = [f"{name}={parts}" for name, parts in caps.items()]
    hammers = [
        subprocess.Popen(
            [sys.executable, str(_HAMMER), database, str(EACH), str(seed), ",".join(keys), *known],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(PROCESSES)
    ]
    codes = [line for h in hammers for line in h.communicate(timeout=300)[0].split()]
    assert [h.returncode for h in hammers] == [0] * PROCESSES
    assert set(codes) == {"0", "100"}
    with store.read() as connection:
        windows = connection.execute(select(tables.counter)).all()
        said: dict[str, int] = dict(
            connection.execute(
                text(
                    "SELECT name, sum(delivery.parts) FROM account JOIN message ON"
                    " message.account_id = account.id JOIN delivery ON delivery.message_id ="
                    " message.id GROUP BY name"
                )
            ).all()
        )
        by_number = connection.execute(
            text("SELECT recipient, sum(parts) FROM delivery GROUP BY recipient")
        ).all()
    allowed = {"total": 101, "number": 20, "range": 60, "free-number": 13}
    for row in windows:
        word, _, name = row.scope.partition(" ")
        by_key = {"1": {"day": 37, "minute": 29}, "2": {"day": 31}}
        most = by_key[name][row.period] if word == "key" else allowed[word]
        assert 0 < row.parts <= most, row
    # What is counted is what is stored; a run may cross midnight, and then it has two windows.
    assert sum(r.parts for r in windows if r.scope == "total") == sum(said.values())
    counted_days = {r.scope: 0 for r in windows}
    for row in windows:
        if row.scope.startswith("key ") and row.period == "day":
            counted_days[row.scope] += row.parts
    assert counted_days["key 1"] == said["capped"]
    assert counted_days["key 2"] == said["free"]
    for number, parts in by_number:
        assert sum(r.parts for r in windows if r.scope == f"number {number}") == parts
    # The caps were reached, not only approached: the smallest submission has one part.
    assert max(r.parts for r in windows if r.scope == "total") == 101


# -- helpers --


def everything_counted(store: Store) -> list[tuple[str, str, int]]:
    with store.read() as connection:
        rows = connection.execute(select(tables.counter)).all()
    return [(row.scope, row.period, row.parts) for row in rows]


def counted(store: Store, scope: str) -> int:
    return sum(parts for each, _, parts in everything_counted(store) if each == scope)


def backdate(store: Store) -> None:
    """Make all windows those of a year ago."""
    with store.write() as connection:
        connection.execute(
            update(tables.counter).values(start=tables.counter.c.start - 366 * 86_400_000)
        )
