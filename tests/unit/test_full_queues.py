"""Is it a handset or the bind that is full? `now` is a number of seconds."""

import random

import pytest

from sms_gateway.upstream.full_queues import FullQueues

NOW = 5000.0


def answer(queues: FullQueues, numbers: range, *, full: bool, every: float = 0.001) -> list[bool]:
    """What is said of the bind after an answer to each of these numbers."""
    found = []
    for number in numbers:
        now = NOW + number * every
        if full:
            found.append(queues.is_bind_full(str(number), now))
        else:
            queues.accepted(str(number), now)
    return found


def test_nine_different_numbers_say_nothing_about_the_bind_and_ten_do() -> None:
    assert answer(FullQueues(), range(10), full=True) == [False] * 9 + [True]


def test_one_number_says_nothing_however_often_it_is_asked() -> None:
    queues = FullQueues()
    assert not any(queues.is_bind_full("1", NOW + each / 100) for each in range(1_000))


def test_numbers_over_a_longer_time_say_nothing() -> None:
    # Fewer than one a second: no bind is slower than that.
    assert not any(answer(FullQueues(), range(100), full=True, every=1.2))


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.2])
def test_full_handsets_among_others_are_never_taken_for_the_bind(share: float) -> None:
    queues, chance = FullQueues(), random.Random(12)
    for number in range(20_000):
        full = chance.random() < share
        said = answer(queues, range(number, number + 1), full=full, every=0.0005)
        assert not any(said)


def test_full_handsets_that_are_tried_again_when_nothing_else_goes_are_no_news() -> None:
    queues = FullQueues()
    for number in range(2_000):
        answer(queues, range(number, number + 1), full=number % 100 == 0)
    for attempt in range(20):
        for number in range(0, 2_000, 100):
            now = NOW + 60 + attempt * 300 + number / 100_000
            assert not queues.is_bind_full(str(number), now)


def test_a_bind_that_becomes_full_is_seen_within_fifty_answers() -> None:
    queues = FullQueues()
    answer(queues, range(10_000), full=False)
    said = answer(queues, range(10_000, 10_050), full=True)
    assert said.index(True) <= 25
    assert all(said[25:])


def test_a_bind_that_takes_less_than_half_of_what_it_is_given_is_full() -> None:
    queues = FullQueues()
    for number in range(0, 200, 5):
        answer(queues, range(number, number + 2), full=False)
        said = answer(queues, range(number + 2, number + 5), full=True)
    assert all(said)


def test_a_bind_that_has_room_again_is_full_no_longer() -> None:
    queues = FullQueues()
    answer(queues, range(100), full=True)
    answer(queues, range(100, 150), full=False)
    assert not any(answer(queues, range(150, 170), full=True))


def test_a_number_that_was_full_in_a_full_bind_counts_again() -> None:
    queues = FullQueues()
    # The first nine are taken for handsets; the others know better.
    answer(queues, range(40), full=True)
    later = [queues.is_bind_full(str(number), NOW + 60) for number in range(40)]
    assert not any(later[:18])
    assert all(later[18:])
