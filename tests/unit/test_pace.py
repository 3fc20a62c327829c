"""The token bucket of a bind: `now` is a number."""

import math

from sms_gateway.upstream.pace import Pace


def drained(rate: float | None, now: float) -> Pace:
    pace = Pace(rate)
    pace.written(int(pace.free(now)), now)
    return pace


def written_between(pace: Pace, start: float, seconds: float, step: float = 0.01) -> int:
    """How many parts go in this time when as many are written as may be."""
    total = 0
    for turn in range(round(seconds / step)):
        now = start + turn * step
        free = int(pace.free(now))
        pace.written(free, now)
        total += free
    return total


def test_parts_go_at_the_rate() -> None:
    for rate in (1, 20, 1000):
        pace = drained(rate, 5000.0)
        assert abs(written_between(pace, 5000.0, 10) - rate * 10) <= 1 + rate * 0.1


def test_no_more_than_a_tenth_of_a_second_goes_at_once() -> None:
    pace = Pace(100)
    assert pace.free(5000.0) == 10
    assert pace.free(9000.0) == 10
    assert Pace(3).free(5000.0) == 1


def test_the_delay_is_when_the_next_part_may_go() -> None:
    pace = drained(4, 5000.0)
    assert pace.free(5000.0) == 0
    delay = pace.delay(5000.0)
    assert math.isclose(delay, 0.25)
    assert pace.free(5000.0 + delay) == 1
    assert pace.delay(5000.0 + delay) == 0


def test_without_a_rate_there_is_no_limit() -> None:
    pace = Pace(None)
    assert pace.free(5000.0) == math.inf
    pace.written(1_000_000, 5000.0)
    assert pace.free(5000.0) == math.inf


def test_throttling_halves_the_rate_and_it_comes_back_slowly() -> None:
    pace = drained(100, 5000.0)
    written_between(pace, 5000.0, 3)
    assert pace.slow_down(5003.0)
    assert math.isclose(pace.rate, 50)
    assert pace.free(5003.0) == 0
    assert 50 <= written_between(pace, 5003.0, 1) <= 55
    pace.free(5010.0)
    assert 65 < pace.rate < 75
    pace.free(5030.0)
    assert pace.rate == 100


def test_a_throttled_window_counts_once() -> None:
    pace = drained(100, 5000.0)
    written_between(pace, 5000.0, 3)
    assert [pace.slow_down(5003.0 + each / 100) for each in range(50)] == [True] + [False] * 49
    assert math.isclose(pace.rate, 50)
    assert pace.slow_down(5004.1)
    assert pace.rate < 30


def test_throttling_without_a_rate_starts_from_what_was_written() -> None:
    pace = Pace(None)
    for tenth in range(30):
        pace.written(40, 5000.0 + tenth / 10)
    pace.slow_down(5003.0)
    assert math.isclose(pace.rate, 200)
    pace.free(5013.0)
    assert 300 < pace.rate < 350
    for day in range(1, 4):
        pace.free(5013.0 + day * 86_400)
    assert pace.free(1_000_000.0) > 1_000_000


def test_throttling_of_a_few_parts_does_not_stop_the_many() -> None:
    pace = drained(400, 5000.0)
    pace.slow_down(5100.0)
    assert pace.rate == 5
    pace.slow_down(5101.1)
    assert 2.5 < pace.rate < 2.7


def test_a_rate_never_falls_to_nothing() -> None:
    for given, least in ((100, 1), (0.5, 0.5), (None, 1)):
        pace = drained(given, 5000.0) if given else Pace(None)
        for second in range(60):
            pace.slow_down(5000.0 + second * 1.01)
        assert least <= pace.rate <= 2
