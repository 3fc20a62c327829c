"""How many parts a worker claims ahead."""

from sms_gateway.deliver.ahead import Ahead


def claims(ahead: Ahead, *, per_second: float, took: float, start: float = 5000.0) -> int:
    """What it says after two seconds of claims one after the other."""
    found, owed, now = 0, 0.0, start
    while now < start + 2:
        owed += per_second * took
        while owed >= 1:
            ahead.answered()
            owed -= 1
        now += took
        found = ahead.claimed(now - took, now)
    return found


def test_nothing_is_claimed_ahead_of_a_carrier_that_does_not_answer() -> None:
    assert claims(Ahead(), per_second=0, took=0.005) == 0


def test_as_much_is_claimed_ahead_as_gets_room_during_a_claim_and_half_of_it_more() -> None:
    assert claims(Ahead(), per_second=500, took=0.004) in (3, 4)
    assert claims(Ahead(), per_second=2_000, took=0.01) in (29, 30, 31)


def test_it_falls_silent_when_the_carrier_does() -> None:
    ahead = Ahead()
    assert claims(ahead, per_second=500, took=0.02) > 10
    assert claims(ahead, per_second=0, took=0.02, start=5002.0) == 0
