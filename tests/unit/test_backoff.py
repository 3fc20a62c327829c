"""How long is waited before the next try."""

import pytest

from sms_gateway.backoff import pause, spread


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (10**9, 60)],
)
def test_a_pause_doubles_up_to_the_longest(failures: int, seconds: float) -> None:
    assert pause(failures, 1, 60) == seconds
    assert pause(failures, 0.5, 30) == seconds / 2
    assert pause(failures, 1_000, 60_000) == seconds * 1_000


def test_a_longest_pause_below_the_first_is_kept() -> None:
    assert pause(1, 5, 2) == 2


def test_pauses_are_spread_around_what_they_are() -> None:
    spreads = [spread(100.0) for _ in range(1_000)]
    assert 80 <= min(spreads) < 90 < 110 < max(spreads) <= 120
    assert all(90 <= spread(100.0, 0.1) <= 110 for _ in range(1_000))
