"""Routes: which upstream takes what, who a message is from, which countries are reached."""

import pytest

from sms_gateway.routing.routes import TEST, Route, Routes, Senders, reachable_countries

ORDERED = Route(prefix="32", upstreams=("a", "b", "c"))
WEIGHTED = Route(prefix="33", upstreams=("a", "b", "c"), weights=(70, 20, 10))


def shares(route: Route, left: tuple[str, ...] = ()) -> dict[str, tuple[int, int, int]]:
    routes = Routes([route])
    return {
        name: (share.first, share.last, share.of)
        for name in route.upstreams
        for share in routes.shares(name, failed=left)
    }


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ((), {"a": (0, 1, 1)}),
        (("a",), {"b": (0, 1, 1)}),
        (("a", "b"), {"c": (0, 1, 1)}),
        (("b",), {"a": (0, 1, 1)}),
        (("a", "b", "c"), {}),
    ],
)
def test_in_order_the_first_that_works_takes_all(left, expected) -> None:
    assert shares(ORDERED, left) == expected


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ((), {"a": (0, 70, 100), "b": (70, 90, 100), "c": (90, 100, 100)}),
        (("a",), {"b": (0, 20, 30), "c": (20, 30, 30)}),
        (("b",), {"a": (0, 70, 80), "c": (70, 80, 80)}),
        (("a", "c"), {"b": (0, 20, 20)}),
        (("a", "b", "c"), {}),
    ],
)
def test_by_weight_those_that_work_share_everything(left, expected) -> None:
    found = shares(WEIGHTED, left)
    assert found == expected
    # Every number is one upstream's and no other's.
    for number in range(200):
        takers = [n for n, (a, b, of) in found.items() if a <= number % of < b]
        assert len(takers) == bool(found)


def test_one_that_was_left_tries_where_it_would_be_needed() -> None:
    routes = Routes([ORDERED])
    assert routes.shares("a", failed=["a"], trial=True)
    assert not routes.shares("b", failed=["b"], trial=True)
    assert routes.shares("b", failed=["a", "b"], trial=True)
    assert Routes([WEIGHTED]).shares("c", failed=["c"], trial=True)


@pytest.mark.parametrize(("left", "untried"), [(["a"], True), (["a", "b", "c"], False)])
def test_a_trial_takes_nothing_twice_that_others_would_deliver(left, untried) -> None:
    (share,) = Routes([ORDERED]).shares("a", failed=left, trial=True)
    assert share.untried is untried


def test_test_keys_have_a_route_of_their_own() -> None:
    assert [share.route for share in Routes([]).shares("test")] == [TEST]


@pytest.mark.parametrize(
    ("senders", "wanted", "shown"),
    [
        (Senders.ANY, "ACME", "ACME"),
        (Senders.ANY, "", "8000"),
        (Senders.NUMBER, "+32494000000", "+32494000000"),
        (Senders.NUMBER, "4444", "4444"),
        (Senders.NUMBER, "ACME", "8000"),
        (Senders.ALPHANUMERIC, "ACME 24", "ACME 24"),
        (Senders.ALPHANUMERIC, "32494000000", "8000"),
        (Senders.OWN, "ACME", "8000"),
    ],
)
def test_a_sender_that_does_not_fit_gives_way_to_the_routes_own(senders, wanted, shown) -> None:
    route = Route(prefix="", upstreams=("a",), senders=senders, sender="8000")
    assert route.sender_for(wanted) == shown


def closed(prefix: str) -> Route:
    return Route(prefix=prefix, upstreams=(), closed=True)


def open_(prefix: str) -> Route:
    return Route(prefix=prefix, upstreams=("a",))


@pytest.mark.parametrize(
    ("routes", "reached", "not_reached"),
    [
        ([open_("32")], {"BE"}, {"NL", "FR"}),
        ([open_("")], {"BE", "US", "CA", "KZ", "VA"}, {"001"}),
        ([open_(""), closed("33")], {"BE"}, {"FR"}),
        ([open_("3"), closed("32"), open_("32494")], {"FR", "BE"}, {"US"}),
        # Countries that share a calling code.
        ([open_("1242")], {"BS"}, {"US", "CA"}),
        ([open_("1"), closed("1242")], {"US", "CA", "JM"}, {"BS"}),
        ([open_("77")], {"KZ"}, {"RU"}),
        ([open_("7"), closed("77")], {"RU"}, {"KZ"}),
        ([closed("")], set(), {"BE"}),
    ],
)
def test_countries_with_an_open_route_are_reached(routes, reached, not_reached) -> None:
    found = reachable_countries(routes)
    assert reached <= found
    assert not not_reached & found
