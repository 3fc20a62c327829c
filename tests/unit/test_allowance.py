"""How often something may be done."""

import pytest

from sms_gateway.allowance import Allowances, admit


@pytest.mark.parametrize(
    ("free_at", "now", "count", "after"),
    [
        (0, 100, 1, 110),
        (0, 100, 3, 130),
        (110, 100, 1, 120),
        (120, 100, 1, 130),
        # What is left is enough for more than that; then nothing is left for long.
        (120, 100, 4, 160),
        (121, 100, 1, None),
        (130, 100, 1, None),
        (130, 109, 1, None),
        (130, 110, 1, 140),
    ],
)
def test_three_at_once_and_one_every_ten(free_at: int, now: int, count: int, after: int | None):
    assert admit(free_at, now, 10, 3, count) == after


def test_what_is_admitted_one_by_one_is_what_all_at_once_costs() -> None:
    state = 0
    for _ in range(3):
        state = admit(state, 100, 10, 3) or pytest.fail("there was some left")
    assert state == admit(0, 100, 10, 3, 3)


def test_an_allowance_is_used_up_and_comes_back() -> None:
    allowances = Allowances(6, 10.0)
    assert [allowances.admit("a", 0.0) for _ in range(7)] == [True] * 6 + [False]
    assert allowances.admit("b", 0.0)
    assert allowances.wait("a", 9.9) == pytest.approx(0.1, abs=0.02)
    assert not allowances.admit("a", 9.9)
    assert allowances.wait("a", 10.0) == 0
    assert allowances.admit("a", 10.0)
    assert not allowances.admit("a", 10.0)
    assert [allowances.admit("a", 100.0) for _ in range(7)] == [True] * 6 + [False]


def test_what_was_done_all_the_same_counts() -> None:
    allowances = Allowances(2, 10.0)
    waits = []
    for _ in range(4):
        waits.append(allowances.wait("a", 0.0))
        allowances.use("a", 0.0)
    assert waits == pytest.approx([0, 0, 10.0, 20.0], abs=0.02)


def test_the_names_that_were_quiet_longest_are_forgotten() -> None:
    allowances = Allowances(1, 60.0)
    assert allowances.admit("first", 0.0)
    assert allowances.admit("second", 0.0)
    for number in range(Allowances.MOST - 1):
        assert allowances.admit(str(number), 0.0)
    assert not allowances.admit("second", 0.0)
    assert allowances.admit("first", 0.0)


@pytest.mark.parametrize("most", [1, 7, 11, 30, 33, 60, 1_000])
def test_a_burst_has_all_that_it_may_though_fractions_add_up_badly(most: int) -> None:
    allowances = Allowances(most, 60 / most)
    assert sum(allowances.admit("a", 12_345.678) for _ in range(most + 5)) == most
