"""In which network a client is."""

import pytest

from sms_gateway.network.clients import address_of, network_of


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.25", "192.0.2.0/24"),
        ("::ffff:192.0.2.25", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("[2001:db8:1:2::3]", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", ""),
        ("/run/socket", ""),
        ("192.0.2.25:80", ""),
    ],
)
def test_a_network_is_what_one_customer_commonly_has(host: str, network: str) -> None:
    assert network_of(address_of(host)) == network
