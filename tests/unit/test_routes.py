"""Routes: which upstream takes what, who a message is from, which countries are reached."""

import pytest

from sms_gateway.routing.routes import (
    NOWHERE,
    TEST,
    Route,
    Routes,
    Senders,
    reachable_countries,
)

ORDERED = Route(prefix="32", upstreams=("a", "b", "c"))
WEIGHTED = Route(prefix="33", upstreams=("a", "b", "c"), weights=(70, 20, 10))


def takers(route: Route, left: tuple[str, ...] = ()) -> dict[str, set[str]]:
    """The upstreams that claim what is planned for each."""
    routes = Routes([route])
    found: dict[str, set[str]] = {}
    for name in route.upstreams:
        for share in routes.shares(name, failed=left):
            found.setdefault(share.lane.upstreams[0], set()).add(name)
    return found


@pytest.mark.parametrize(
    ("left", "taker"),
    [((), "a"), (("a",), "b"), (("a", "b"), "c"), (("b",), "a"), (("a", "b", "c"), None)],
)
def test_in_order_the_first_that_works_takes_all(left, taker) -> None:
    assert takers(ORDERED, left) == ({} if taker is None else {"a": {taker}})


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ((), {"a": {"a"}, "b": {"b"}, "c": {"c"}}),
        (("a",), {"a": {"b", "c"}, "b": {"b"}, "c": {"c"}}),
        (("a", "c"), {"a": {"b"}, "b": {"b"}, "c": {"b"}}),
        (("a", "b", "c"), {}),
    ],
)
def test_by_weight_those_that_work_share_what_others_leave(left, expected) -> None:
    assert takers(WEIGHTED, left) == expected


def test_deliveries_are_planned_by_weight_and_each_upstream_has_its_turns_spread() -> None:
    routes = Routes([WEIGHTED])
    planned = [routes.lane("33")[0] for _ in range(100)]
    assert [planned.count(name) for name in "abc"] == [70, 20, 10]
    assert [planned[:10].count(name) for name in "abc"] == [7, 2, 1]


def test_routes_with_the_same_upstreams_share_a_lane_unless_they_have_limits() -> None:
    routes = Routes(
        [
            Route(prefix="32", upstreams=("a", "b")),
            Route(prefix="33", upstreams=("a", "b")),
            Route(prefix="34", upstreams=("a", "b"), weights=(1, 1)),
            Route(prefix="35", upstreams=("a", "b"), rate=5),
            Route(prefix="36", upstreams=("a",)),
            closed("37"),
        ]
    )
    lanes = [routes.lane(prefix) for prefix in ("32", "33", "34", "35", "36")]
    assert lanes[0] == lanes[1]
    assert len(set(lanes)) == 4
    assert routes.lane("37") == NOWHERE
    assert routes.leads(lanes[0], "33")
    assert not routes.leads(lanes[0], "34")
    assert routes.place("99", "+32494000000") == ("32", lanes[0])
    assert routes.place("99", "+44") == ("99", NOWHERE)


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
    (share,) = Routes([]).shares("test")
    assert Routes([]).leads(share.lane.name, TEST.prefix)


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
