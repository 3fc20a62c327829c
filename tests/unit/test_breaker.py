"""The circuit breaker: when it opens, how it is tried, when it closes."""

import pytest

from sms_gateway.breaker import Breaker, Circuit

GRACE = 10.0


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(failures=3, grace=GRACE, pause=1, longest=4)


def opened(breaker: Breaker) -> Breaker:
    for now in (0, 5, GRACE):
        breaker.failed(now)
    return breaker


def test_it_opens_after_many_failures_that_have_lasted(breaker: Breaker) -> None:
    breaker.failed(0)
    breaker.failed(GRACE - 1)
    assert breaker.circuit(GRACE) is Circuit.CLOSED
    breaker.failed(GRACE)
    assert breaker.circuit(GRACE) is Circuit.OPEN
    assert not breaker.admits(GRACE)


def test_many_failures_in_a_short_time_do_not_open_it(breaker: Breaker) -> None:
    # A window full of throttled answers is nothing unusual.
    for _ in range(100):
        breaker.failed(1.0)
    assert breaker.circuit(2.0) is Circuit.CLOSED


def test_a_success_between_makes_them_count_anew(breaker: Breaker) -> None:
    breaker.failed(0)
    breaker.failed(5)
    breaker.succeeded(6)
    breaker.failed(7)
    breaker.failed(20)
    assert breaker.circuit(20) is Circuit.CLOSED


def test_after_a_pause_one_trial_at_a_time_may_be_made(breaker: Breaker) -> None:
    opened(breaker)
    assert not breaker.admits(GRACE + 0.9)
    assert breaker.circuit(GRACE + 1) is Circuit.HALF_OPEN
    assert breaker.admits(GRACE + 1)
    breaker.trying()
    assert not breaker.admits(GRACE + 1)
    breaker.undecided()
    assert breaker.admits(GRACE + 1)


def test_a_trial_that_succeeds_closes_it(breaker: Breaker) -> None:
    opened(breaker)
    breaker.trying()
    breaker.succeeded(GRACE + 1)
    assert breaker.circuit(GRACE + 1) is Circuit.CLOSED


def test_the_pause_doubles_with_each_trial_that_fails_up_to_the_longest(breaker: Breaker) -> None:
    opened(breaker)
    now, pauses = GRACE + 1, []
    for _ in range(4):
        breaker.trying()
        breaker.failed(now)
        pause = next(p for p in range(100) if breaker.circuit(now + p) is Circuit.HALF_OPEN)
        pauses.append(pause)
        now += pause
    assert pauses == [2, 4, 4, 4]


def test_failures_of_what_was_under_way_do_not_put_the_trial_off(breaker: Breaker) -> None:
    opened(breaker)
    breaker.failed(GRACE + 0.9)
    assert breaker.circuit(GRACE + 1) is Circuit.HALF_OPEN


def test_a_late_success_brings_the_trial_forward(breaker: Breaker) -> None:
    opened(breaker)
    breaker.succeeded(GRACE + 0.1)
    assert breaker.circuit(GRACE + 0.1) is Circuit.HALF_OPEN


def test_a_short_absence_does_nothing(breaker: Breaker) -> None:
    breaker.absent(0)
    breaker.absent(GRACE - 1)
    breaker.present(GRACE - 0.5)
    breaker.absent(GRACE)
    assert breaker.circuit(GRACE) is Circuit.CLOSED


def test_a_long_absence_opens_it_and_the_return_allows_a_trial_at_once(breaker: Breaker) -> None:
    breaker.absent(0)
    breaker.absent(GRACE)
    assert breaker.circuit(GRACE + 1_000) is Circuit.OPEN
    breaker.present(GRACE + 1_001)
    assert breaker.circuit(GRACE + 1_001) is Circuit.HALF_OPEN
    breaker.trying()
    breaker.succeeded(GRACE + 1_002)
    assert breaker.circuit(GRACE + 1_002) is Circuit.CLOSED


def test_what_succeeds_while_it_is_away_does_not_bring_it_back(breaker: Breaker) -> None:
    breaker.absent(0)
    breaker.absent(GRACE)
    breaker.succeeded(GRACE + 1)
    assert breaker.circuit(GRACE + 1) is Circuit.OPEN
