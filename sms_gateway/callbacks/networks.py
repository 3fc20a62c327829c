"""Where callbacks may go: addresses of the public internet, and networks that a setting allows.

An account chooses its URL. Without this check it could have the gateway call machines that only
the gateway can reach. The very address that a socket is opened to is checked: neither a name that
resolves to another address a moment later nor an unusual spelling gets around it.
"""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

import aiohttp

from ..errors import GatewayError

Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address

#: IPv4 inside IPv6 for translators (RFC 6052, RFC 8215).
_TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))


def networks(setting: str) -> list[Network]:
    """The networks of a setting, separated by commas."""
    return [ip_network(each) for each in setting.split(",") if each]


class ForbiddenError(GatewayError, OSError):
    """The address is none that a callback may go to."""

    def __init__(self) -> None:
        super().__init__("the address is not public")


def is_allowed(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether a callback may go to an address: a public one, or one of these networks."""
    parsed = ip_address(address.partition("%")[0])
    carried = _carried(parsed)
    if any(each in network for network in allowed for each in (parsed, carried)):
        return True
    return _is_public(carried)


def _is_public(address: _Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved


def _carried(address: _Address) -> _Address:
    """The IPv4 address inside an IPv6 one, or else itself."""
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _TRANSLATED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (address,))[-1]


def connector(allowed: Sequence[Network], *, most: int) -> aiohttp.TCPConnector:
    """Connections to allowed addresses only, at most so many to one host."""

    def open_socket(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        if not is_allowed(str(address[0]), allowed):
            raise ForbiddenError
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        return opened

    return aiohttp.TCPConnector(
        socket_factory=open_socket, limit=0, limit_per_host=most, use_dns_cache=False
    )


def check_url(url: str, allowed: Sequence[Network] = ()) -> None:
    """ValueError, in one line, for a URL that no callback can have."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("host and port cannot be read") from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError("a callback is https://HOST/PATH, or http://")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("a callback has no user, password or #fragment; its signature proves us")
    if len(url) > 2_000 or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("a callback has at most 2000 visible ASCII characters")
    try:
        literal = ip_address(host)
    except ValueError:
        return  # a name is checked when it is resolved
    if not is_allowed(str(literal), allowed):
        raise ValueError("the address is not public; the setting callback_allow_private lists more")
