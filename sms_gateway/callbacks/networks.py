"""Where callbacks may go: addresses of the public internet, and networks that a setting allows.

An account chooses its URL. Without this check it could have the gateway call machines that only
the gateway can reach. The very address that a socket is opened to is checked: neither a name that
resolves to another address a moment later nor an unusual spelling gets around it.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from ..errors import GatewayError

Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address

# IANA IPv4 Special-Purpose Address Registry, of which nothing is a host that somebody may call; and
# multicast (RFC 5771). Blocks that are reached from everywhere stand here, too: anycast services
# (AS112, AMT, 6to4 relays) are no callback's.
_NOT_PUBLIC_4 = [
    ip_network(block)
    for block in (
        "0.0.0.0/8",  # this network (RFC 791)
        "10.0.0.0/8",  # private (RFC 1918)
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598)
        "127.0.0.0/8",  # loopback (RFC 1122)
        "169.254.0.0/16",  # link-local (RFC 3927)
        "172.16.0.0/12",  # private (RFC 1918)
        "192.0.0.0/24",  # IETF protocol assignments (RFC 6890)
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.31.196.0/24",  # AS112 (RFC 7535)
        "192.52.193.0/24",  # AMT (RFC 7450)
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "192.168.0.0/16",  # private (RFC 1918)
        "192.175.48.0/24",  # AS112 (RFC 7534)
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "198.51.100.0/24",  # documentation (RFC 5737)
        "203.0.113.0/24",  # documentation (RFC 5737)
        "224.0.0.0/4",  # multicast (RFC 5771)
        "240.0.0.0/4",  # reserved, and broadcast (RFC 1112, RFC 8190)
    )
]
# What IANA gives out to hosts (RFC 4291, section 2.4), and what of it is special: IANA IPv6
# Special-Purpose Address Registry. Outside of it are loopback, link-local, site-local (fec0::/10),
# private (fc00::/7), multicast, IPv4-compatible and -translated ones, and translation for local use
# (64:ff9b:1::/48, RFC 8215): that holds an IPv4 address of which only its translator knows at which
# of the places of RFC 6052, section 2.2, it stands.
_GLOBAL_6 = ip_network("2000::/3")
_NOT_PUBLIC_6 = [
    ip_network(block)
    for block in (
        "2001::/23",  # IETF protocol assignments (RFC 2928): Teredo, benchmarks, ORCHID, DRIP
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4 (RFC 3056)
        "2620:4f:8000::/48",  # AS112 (RFC 7534)
        "3ffe::/16",  # 6bone, returned (RFC 3701)
        "3fff::/20",  # documentation (RFC 9637)
    )
]
# The one prefix of translators that means the same everywhere (RFC 6052, section 2.1).
_TRANSLATED = ip_network("64:ff9b::/96")
# ISATAP: the interface identifier says to which IPv4 address a packet is tunnelled (RFC 5214,
# section 6.1); two of its bits say whether that is unique, and a group.
_ISATAP, _ISATAP_FLAGS = 0x00005EFE, 0x03000000

#: Ports, each from one to another.
Ports = Sequence[tuple[int, int]]
#: HTTP and HTTPS, and what users may have without being root (RFC 6335, section 6).
USUAL_PORTS: Ports = ((80, 80), (443, 443), (1024, 65535))


def networks(setting: str) -> list[Network]:
    """The networks of a setting, separated by commas."""
    return [ip_network(each) for each in setting.split(",") if each]


def ports(setting: str) -> Ports:
    """The ports of a setting, such as `80,443,8000-8999`."""
    ranges = [each.partition("-") for each in setting.split(",")]
    return [(int(first), int(last or first)) for first, _, last in ranges]


class ForbiddenError(GatewayError, OSError):
    """The address is none that a callback may go to."""

    def __init__(self) -> None:
        super().__init__("the address is not public")


class ForbiddenPortError(GatewayError, OSError):
    """The port is none that a callback may go to."""

    def __init__(self) -> None:
        super().__init__("the port is not one of callback_ports")


def is_port_allowed(port: int, ports: Ports = USUAL_PORTS) -> bool:
    """Whether a callback may go to a port."""
    return any(first <= port <= last for first, last in ports)


def is_allowed(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether a callback may go to an address: a public one, or one of these networks.

    One that holds another may be both, or must not be called.
    """
    return all(
        any(each in network for network in allowed) or _is_public(each)
        for each in _meant(ip_address(address.partition("%")[0]))
    )


def _is_public(address: _Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _NOT_PUBLIC_4)
    return address in _GLOBAL_6 and not any(address in block for block in _NOT_PUBLIC_6)


def _meant(address: _Address) -> Sequence[_Address]:
    """The addresses where a packet to this one may arrive."""
    if isinstance(address, IPv4Address):
        return (address,)
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped or address in _TRANSLATED:
        return (last,)
    if (int(address) >> 32) & 0xFFFFFFFF & ~_ISATAP_FLAGS == _ISATAP:
        return (address, last)
    return (address,)


def check_url(url: str, allowed: Sequence[Network] = (), ports: Ports = USUAL_PORTS) -> None:
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
    if not is_port_allowed(port or (443 if parts.scheme == "https" else 80), ports):
        raise ValueError("the port is not one of the setting callback_ports")
    try:
        literal = ip_address(host)
    except ValueError:
        return  # a name is checked when it is resolved
    if not is_allowed(str(literal), allowed):
        raise ValueError("the address is not public; the setting callback_allow_private lists more")
