"""Where callbacks may go."""

import socket

import aiohttp
import pytest

from sms_gateway.callbacks.networks import check_url, connector, is_allowed, networks

PUBLIC = ["8.8.8.8", "193.190.198.2", "2001:4860:4860::8888", "64:ff9b::808:808"]
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "0.0.0.0",
    "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1",
    "ff02::1", "ff0e::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe", "2001:db8::1",
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
