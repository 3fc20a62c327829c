"""Numbers that are put off: how long, and who tries. `now` is a number of milliseconds."""

import pytest

from sms_gateway.deliver.busy_numbers import BusyNumbers

NUMBER, OTHER = "+32494000000", "+32494000001"
NOW = 1_800_000_000_000


def pauses(busy: BusyNumbers, times: int) -> list[float]:
    """The pauses in seconds of a number that is tried and refused whenever it may be tried."""
    now, found = NOW, []
    for _ in range(times):
        assert busy.hold(NUMBER, now) == 0
        until = busy.refused(NUMBER, now + 50)
        found.append((until - now - 50) / 1_000)
        now = until
    return found


def test_a_number_that_nobody_has_refused_is_free() -> None:
    busy = BusyNumbers()
    assert busy.hold(NUMBER, NOW) == 0
    busy.answered(NUMBER)
    assert busy.hold(NUMBER, NOW) == 0


def test_the_pause_of_a_number_doubles_up_to_five_minutes() -> None:
    expected = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert pauses(BusyNumbers(), 11) == pytest.approx(expected, rel=0.21)


def test_all_that_goes_to_a_busy_number_waits_and_nothing_else() -> None:
    busy = BusyNumbers()
    until = busy.refused(NUMBER, NOW)
    assert busy.hold(NUMBER, NOW) == busy.hold(NUMBER, until - 1) == until
    assert busy.hold(OTHER, NOW) == 0


def test_when_the_pause_is_over_one_delivery_tries_and_others_wait_for_it() -> None:
    busy = BusyNumbers()
    until = busy.refused(NUMBER, NOW)
    assert busy.hold(NUMBER, until) == 0
    assert busy.hold(NUMBER, until) > until
    # What became of it is never told, as after a restart of the carrier: somebody else tries.
    assert busy.hold(NUMBER, until + 2_000) == 0


def test_refusals_of_what_was_under_way_are_one_refusal() -> None:
    busy = BusyNumbers()
    untils = {busy.refused(NUMBER, NOW + each) for each in range(50)}
    assert len(untils) == 1
    assert untils.pop() - NOW < 1_300


def test_a_number_that_takes_a_message_begins_anew() -> None:
    busy = BusyNumbers()
    pauses(busy, 6)
    busy.answered(NUMBER)
    assert busy.hold(NUMBER, NOW) == 0
    assert pauses(busy, 1) == pytest.approx([1], rel=0.21)


def test_a_delivery_remembers_its_attempts_where_the_process_does_not() -> None:
    assert BusyNumbers().refused(NUMBER, NOW, attempt=9) - NOW > 200_000


def test_the_numbers_that_were_refused_longest_ago_are_forgotten() -> None:
    busy = BusyNumbers(most=2)
    for number in (NUMBER, OTHER, "+32494000002"):
        busy.refused(number, NOW)
    assert busy.hold(NUMBER, NOW) == 0
    assert busy.hold(OTHER, NOW) > NOW
