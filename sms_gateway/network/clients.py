"""In which network a client is, by which limits count, and whose word on it is believed."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

#: The most hops that are looked at of those that proxies say a request came by.
MOST_HOPS = 32

# What one customer of a provider commonly has.
_PREFIX = {4: 24, 6: 48}

Address = IPv4Address | IPv6Address
Headers = Iterable[tuple[bytes, bytes]]


class Networks:
    """The networks of clients, as far as proxies that are believed tell."""

    def __init__(self, proxies: Sequence[str] = ()) -> None:
        """`proxies` are networks; of none is anything believed."""
        self._proxies = [ip_network(proxy) for proxy in proxies]

    def client(self, host: str, headers: Headers) -> str:
        """Where a request that this peer hands over comes from, as `network_of` has it; the
        nearest proxy that names nobody stands for its clients. Empty when it cannot be told."""
        return network_of(self._first(host, headers))

    def beyond(self, host: str, headers: Headers) -> str:
        """The same, but empty where all that is known is a proxy: that stands for many clients."""
        address = self._first(host, headers)
        return "" if self._believed(address) else network_of(address)

    def by_https(self, host: str, headers: Headers) -> bool:
        """Whether a proxy that is believed says that a request came to it by HTTPS, and by nothing
        else on its way (X-Forwarded-Proto)."""
        if not self._believed(address_of(host)):
            return False
        told = [value for name, value in headers if name == b"x-forwarded-proto"]
        hops = b",".join(told).lower().split(b",")
        return all(hop.strip() == b"https" for hop in hops)

    def _first(self, host: str, headers: Headers) -> Address | None:
        address, named = address_of(host), hops(headers)
        # Each proxy adds whom it got the request from; who is believed is asked for the one before.
        while self._believed(address):
            hop = next(named, None)
            if hop is None:
                break
            address = address_of(hop)
        return address

    def _believed(self, address: Address | None) -> bool:
        return address is not None and any(address in proxy for proxy in self._proxies)


def network_of(address: Address | None) -> str:
    """The network of an address, by which limits count: a /24, or a /48 of IPv6; empty for no
    address."""
    if address is None:
        return ""
    return str(ip_network((address, _PREFIX[address.version]), strict=False))


def hops(headers: Headers) -> Iterator[str]:
    """The addresses that proxies say a request came by (X-Forwarded-For), the nearest first."""
    lines = [value for name, value in headers if name == b"x-forwarded-for"]
    if lines:
        found = b",".join(lines[-MOST_HOPS:]).rsplit(b",", MOST_HOPS)[-MOST_HOPS:]
        for hop in reversed(found):
            yield hop.strip().decode("latin-1")


@lru_cache(maxsize=1024)
def address_of(host: str) -> Address | None:
    """The address that a host is, an IPv4 one where an IPv6 one stands for it (RFC 4291, section
    2.5.5.2); None for a host that is no address."""
    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
