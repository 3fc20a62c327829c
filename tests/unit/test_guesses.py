"""Wrong keys are counted by network, together by all processes, and the table is bounded."""

import os

import pytest

from sms_gateway.web.guesses import Guesses


def test_a_network_has_its_tries_and_one_more_after_a_while() -> None:
    guesses = Guesses(tries=3, seconds=10)
    assert [guesses.count("a", 100.0) for _ in range(3)] == [(0.0, False)] * 3
    assert guesses.count("a", 100.0) == (10.0, True)
    assert guesses.count("b", 100.0) == (0.0, False)
    # Of the fourth 30 s are over: the next is the fourth again.
    assert guesses.count("a", 120.0) == (0.0, False)
    assert guesses.count("a", 120.0) == (10.0, False)


def test_it_is_told_of_once_until_it_was_quiet() -> None:
    guesses = Guesses(tries=2, seconds=10)
    told = [guesses.count("a", now)[1] for now in (0, 0, 0, 0, 10, 20, 30, 40)]
    assert told == [False, False, True, False, False, False, False, False]
    told = [guesses.count("a", now)[1] for now in (1_000, 1_000, 1_000)]
    assert told == [False, False, True]


def test_the_wait_has_an_end() -> None:
    guesses = Guesses(tries=2, seconds=10)
    waits = [guesses.count("a", 0.0)[0] for _ in range(1_000)]
    assert max(waits) == 20
    assert guesses.count("a", 40.0) == (0.0, False)


def test_processes_count_together() -> None:
    guesses = Guesses(tries=100, seconds=10)
    children = []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            for _ in range(50):
                guesses.count("a", 0.0)
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    # 200, capped: 100 of them are over what it may.
    assert guesses.count("a", 0.0) == (1_000.0, False)
    assert guesses.count("b", 0.0) == (0.0, False)


def test_a_process_that_dies_keeps_nobody_from_counting() -> None:
    guesses = Guesses()
    pid = os.fork()
    if not pid:
        with guesses._alone():
            os._exit(0)
    os.waitpid(pid, 0)
    assert guesses.count("a", 0.0) == (0.0, False)


@pytest.mark.parametrize("networks", [100_000])
def test_the_table_is_bounded_and_forgets_who_was_quiet_longest(networks: int) -> None:
    guesses = Guesses(tries=1, seconds=10)
    size = os.fstat(guesses._file).st_size
    guesses.count("loud", 1e9)
    for number in range(networks):
        guesses.count(str(number), float(number))
    assert os.fstat(guesses._file).st_size == size
    assert guesses.count("loud", 1e9) == (10.0, True)
