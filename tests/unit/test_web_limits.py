"""What networks are counted as, and how many connections a process can hold."""

import logging
import resource

import pytest

from sms_gateway.serving import http_server
from sms_gateway.web.crowd import Crowd, Limits


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.254", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("2001:db8:1::1", "2001:db8:1:ffff::2", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        # What a listener for both families sees of IPv4.
        ("::ffff:192.0.2.1", "192.0.2.9", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_connections_are_counted_by_network(one: str, other: str, same: bool) -> None:
    crowd = Crowd(Limits(connections_per_network=1))
    network = crowd.enter(one)
    assert network
    assert (crowd.enter(other) is None) is same
    crowd.leave(network)
    assert crowd.enter(one) == network


def test_a_peer_without_an_address_and_a_proxy_are_not_counted() -> None:
    crowd = Crowd(Limits(connections_per_network=1, proxies=["10.0.0.0/8"]))
    assert [crowd.enter(host) for host in ("", "", "10.1.1.1", "10.1.1.2")] == [""] * 4


@pytest.mark.parametrize(
    ("octets", "seconds", "late"),
    [(0, 10, False), (0, 10.1, True), (399, 12, True), (400, 12, False), (10**6, 60, False)],
)
def test_a_request_may_be_slow_for_ten_seconds(octets: int, seconds: float, late: bool) -> None:
    assert Limits().too_slow(octets, seconds) is late


@pytest.mark.parametrize(
    ("files", "possible"),
    [(4200, 2000), (4199, 1999), (1024, 412), (100, 1), (resource.RLIM_INFINITY, 2000)],
)
def test_fewer_connections_are_held_where_files_are_few_and_a_warning_says_so(
    files: int, possible: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert http_server.connections_within(2000, files) == possible
    assert ("LimitNOFILE" in caplog.text) is (possible < 2000)


def test_the_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] - 1, before[1]))
    assert http_server.open_files() == before[1]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
