"""Whose word on where a request comes from is taken: that of configured proxies only."""

import pytest
from starlette.requests import Request

from sms_gateway.web.pages.site import Site

PROXIES = ["127.0.0.0/8", "::1/128", "10.1.2.3/32"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "network"),
    [
        ("198.51.100.7", [], "198.51.100.7/32"),
        # Strangers are not believed, however they say it.
        ("198.51.100.7", ["203.0.113.9"], "198.51.100.7/32"),
        ("198.51.100.7", ["127.0.0.1, 203.0.113.9"], "198.51.100.7/32"),
        ("10.1.2.4", ["203.0.113.9"], "10.1.2.4/32"),
        # Proxies are, each of the one before it.
        ("127.0.0.1", ["203.0.113.9"], "203.0.113.9/32"),
        ("127.0.0.1", ["192.0.2.1, 203.0.113.9"], "203.0.113.9/32"),
        ("127.0.0.1", ["192.0.2.1", "203.0.113.9"], "203.0.113.9/32"),
        ("127.0.0.1", ["203.0.113.9, 10.1.2.3"], "203.0.113.9/32"),
        ("127.0.0.1", ["192.0.2.1, 203.0.113.9, 10.1.2.3"], "203.0.113.9/32"),
    ],
)
def test_a_request_comes_from_whom_trusted_proxies_name(peer, forwarded, network):
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    scope = {"type": "http", "client": (peer, 1234), "headers": headers}
    site = Site("https://sms.example.com", proxies=PROXIES)
    found = site.visit(Request(scope)).network
    address, _, _ = network.partition("/")
    assert found.startswith(address.rpartition(".")[0])
    assert (
        Site("https://sms.example.com")
        .visit(Request(scope))
        .network.startswith(peer.rpartition(".")[0])
    )
