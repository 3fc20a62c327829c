"""Where callbacks may go."""

import socket

import aiohttp
import pytest

from sms_gateway.callbacks.networks import (
    ForbiddenPortError,
    check_url,
    is_allowed,
    networks,
    ports,
)
from sms_gateway.callbacks.posting import connector

PUBLIC = [
    "8.8.8.8",
    "193.190.198.2",
    "2001:4860:4860::8888",
    "64:ff9b::808:808",
    "::ffff:8.8.8.8",
    "2001:200::1",
    "2003::1",
    "2620:4f:7fff::1",
    "3fff:1000::1",
    # An interface identifier like any other, and an ISATAP one of a public address.
    "2a00::1:5efe:a00:1",
    "2a00::5efe:808:808",
    "2a00::200:5efe:808:808",
]
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "0.0.0.0",
    "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1",
    "ff02::1", "ff0e::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe", "2001:db8::1",
    # The other documentation and benchmark ranges, and what IETF protocols have.
    "198.51.100.1", "203.0.113.1", "198.19.255.255", "192.0.0.9", "192.0.0.170", "192.88.99.1",
    "192.31.196.1", "192.52.193.1", "192.175.48.1", "3fff::1", "3fff:fff::1", "2001:2::1",
    "2001:20::1", "2001:30::1", "2001:1::1", "2001:4:112::1", "2620:4f:8000::1", "3ffe::1",
    # Old, local, and outside of what hosts have.
    "fec0::1", "feff::1", "febf::1", "fdff::1", "100::1", "100:0:0:1::1", "5f00::1", "4000::1",
    "1::1", "::2",
    # IPv4 inside: compatible, translated, mapped, 6to4 and Teredo of public addresses, too.
    "::8.8.8.8", "::10.0.0.1", "::ffff:0:8.8.8.8", "2002:808:808::1",
    "2001:0:808:808:8000:63bf:f7f7:f7f7", "64:ff9b::10.0.0.1", "64:ff9b::192.0.2.1",
    # Translation for local use: at each place of RFC 6052, with a public address at all others.
    "64:ff9b:1:a00:0:100:808:808", "64:ff9b:1:808:8:800::", "64:ff9b:1::808:808",
    "64:ff9b:1:0a:00:0001:808:808", "64:ff9b:1:808:808:808:808:808", "64:ff9b:1:ffff::",
    # ISATAP.
    "2a00::5efe:10.0.0.1", "2a00::200:5efe:169.254.169.254", "2a00::300:5efe:7f00:1",
    "fe80::5efe:8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_other_addresses_are_not(address: str) -> None:
    assert not is_allowed(address)


def test_a_setting_lets_networks_through() -> None:
    allowed = networks("10.0.0.0/8,::1/128")
    assert is_allowed("10.1.2.3", allowed)
    assert is_allowed("::ffff:10.1.2.3", allowed)
    assert is_allowed("::1", allowed)
    assert not is_allowed("192.168.1.1", allowed)
    assert is_allowed("8.8.8.8", allowed)


def test_an_address_that_holds_another_needs_both() -> None:
    assert not is_allowed("64:ff9b:1::a00:1", networks("10.0.0.0/8"))
    assert is_allowed("64:ff9b:1::a00:1", networks("64:ff9b:1::/48"))
    assert is_allowed("64:ff9b::a00:1", networks("10.0.0.0/8"))
    assert not is_allowed("fd00::5efe:10.0.0.1", networks("fd00::/8"))
    assert is_allowed("fd00::5efe:10.0.0.1", networks("fd00::/8,10.0.0.0/8"))
    assert not is_allowed("2002:a00:1::", networks("10.0.0.0/8"))


@pytest.mark.parametrize("port", [22, 25, 110, 143, 587, 1, 1023])
def test_ports_of_other_services_are_not_called(port: int) -> None:
    with pytest.raises(ValueError, match="callback_ports"):
        check_url(f"https://example.com:{port}/")
    check_url(f"https://example.com:{port}/", (), ports(f"80,{port}"))


async def test_a_port_that_is_not_allowed_gets_no_connection() -> None:
    """Also where the settings have changed since the callback was set."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        loopback = networks("127.0.0.0/8")
        refusing = connector(loopback, most=1, ports=ports("80,443"))
        async with aiohttp.ClientSession(connector=refusing) as session:
            with pytest.raises(aiohttp.ClientConnectorError) as caught:
                await session.get(f"http://127.0.0.1:{port}/")
        assert isinstance(caught.value.os_error, ForbiddenPortError)
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "0", "[::1]",
     "[::ffff:127.0.0.1]"],
)  # fmt: skip
async def test_no_spelling_of_a_private_address_gets_a_connection(host: str) -> None:
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        port = listener.getsockname()[1]
        async with aiohttp.ClientSession(connector=connector((), most=1)) as session:
            with pytest.raises(aiohttp.ClientError) as caught:
                await session.get(f"http://{host}:{port}/")
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert isinstance(caught.value, aiohttp.ClientConnectorError | aiohttp.InvalidURL)


@pytest.mark.parametrize(
    "url",
    ["https://example.com/x?y=z", "http://example.com:8080/", "https://8.8.8.8/",
     "https://[2001:4860:4860::8888]/"],
)  # fmt: skip
def test_a_callback_is_an_http_url(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    ["", "example.com", "ftp://example.com/", "https://", "https://user:secret@example.com/",
     "https://example.com/#x", "https://example.com:99999/", "https://example.com/ x",
     "https://exämple.com/", "http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/",
     "https://example.com/" + "x" * 2_000],
)  # fmt: skip
def test_other_urls_are_not_and_the_reason_quotes_nothing_secret(url: str) -> None:
    with pytest.raises(ValueError, match=r"callback|address|host") as caught:
        check_url(url)
    assert "secret" not in str(caught.value)
