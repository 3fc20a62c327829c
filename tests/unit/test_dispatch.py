"""Dispatch: who is left, who stands in, how fast and how much a route takes."""

import pytest
from support.upstreams import a_delivery

from sms_gateway.deliver.dispatch import Dispatch
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.upstream import Outcome

GRACE = 10.0


def dispatch(*routes: Route) -> Dispatch:
    return Dispatch(Routes(routes), ["a", "b"], grace=GRACE)


def lanes(books: Dispatch, upstream: str, now: float, room: int = 10) -> list[str]:
    shares = books.shares(upstream, room, now)
    books.claimed(upstream, shares, (), now)
    return [share.lane.name for share in shares]


ORDERED = Route(prefix="32", upstreams=("a", "b"))


def fail(books: Dispatch, upstream: str, outcome: Outcome = Outcome.RETRY) -> None:
    for number in range(11):
        books.answered(upstream, outcome, number * GRACE / 10)


@pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.UNANSWERED])
def test_an_upstream_that_fails_with_everything_is_left_for_the_next(outcome) -> None:
    books = dispatch(ORDERED)
    assert (lanes(books, "a", 0), lanes(books, "b", 0)) == (["a>b"], [])
    fail(books, "a", outcome)
    assert books.failed_over(GRACE) == ["a"]
    assert (lanes(books, "a", GRACE), lanes(books, "b", GRACE)) == ([], ["a>b"])


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.NOT_WRITTEN, Outcome.BUSY])
def test_an_answer_for_good_and_none_at_all_are_no_failures(outcome) -> None:
    books = dispatch(ORDERED)
    fail(books, "a", outcome)
    assert books.failed_over(GRACE) == []


def test_an_upstream_that_is_not_bound_for_longer_than_the_grace_is_left() -> None:
    books = dispatch(ORDERED)
    books.noticed("a", bound=False, now=0)
    books.noticed("a", bound=False, now=GRACE - 1)
    assert lanes(books, "b", GRACE - 1) == []
    books.noticed("a", bound=False, now=GRACE)
    assert lanes(books, "b", GRACE) == ["a>b"]
    books.noticed("a", bound=True, now=GRACE + 1)
    # While one delivery shows whether it works, the other goes on.
    trial = books.shares("a", 10, GRACE + 1)
    assert [share.most for share in trial] == [1]
    assert books.shares("a", 10, GRACE + 1) == []
    assert lanes(books, "b", GRACE + 1) == ["a>b"]
    books.answered("a", Outcome.ACCEPTED, GRACE + 2)
    assert (lanes(books, "a", GRACE + 2), lanes(books, "b", GRACE + 2)) == (["a>b"], [])


def test_a_trial_for_which_there_is_nothing_to_send_may_be_made_again() -> None:
    books = dispatch(ORDERED)
    fail(books, "a")
    assert lanes(books, "a", GRACE + 1) == ["a>b"]
    assert lanes(books, "a", GRACE + 1) == ["a>b"]


def test_a_trial_that_meets_a_busy_number_is_made_again_with_another() -> None:
    books = dispatch(ORDERED)
    fail(books, "a")
    shares = books.shares("a", 10, GRACE + 1)
    books.claimed("a", shares, [a_delivery(route="32")], GRACE + 1)
    assert books.shares("a", 10, GRACE + 1) == []
    books.answered("a", Outcome.BUSY, GRACE + 1)
    assert lanes(books, "a", GRACE + 1) == ["a>b"]
    assert books.failed_over(GRACE + 1) == ["a"]


def test_a_route_has_at_most_its_window_under_way() -> None:
    books = dispatch(Route(prefix="32", upstreams=("a", "b"), weights=(1, 1), window=5))
    (share,) = books.shares("a", 10, 0)
    assert share.most == 5
    # Both claim at the same time: what the one may take is not the other's too.
    assert books.shares("b", 10, 0) == []
    deliveries = [a_delivery(route="32") for _ in range(3)]
    books.claimed("a", [share], deliveries, 0)
    (share,) = books.shares("b", 10, 0)
    assert share.most == 2
    books.claimed("b", [share], (), 0)
    for delivery in deliveries:
        books.ended(delivery)
    assert books.shares("b", 10, 0)[0].most == 5


def test_a_route_has_its_rate_in_parts() -> None:
    rate, poll, seconds = 40.0, 0.05, 20
    books = dispatch(Route(prefix="32", upstreams=("a",), rate=rate))
    parts, now = 0, 0.0
    while now < seconds:
        shares = books.shares("a", 100, now)
        taken = [a_delivery("x" * 300, route="32")] if shares else []  # of two parts
        books.claimed("a", shares, taken, now)
        for delivery in taken:
            parts += delivery.parts
            books.ended(delivery)
        now += min(poll, max(books.pause("a", now), 0.001)) if not shares else 0.001
    assert parts == pytest.approx(rate * seconds, rel=0.02)


def test_a_route_without_limits_waits_for_nothing() -> None:
    books = dispatch(ORDERED)
    assert books.pause("a", 0) == float("inf")
    assert books.shares("a", 7, 0)[0].most == 7
