"""Posts callbacks: signed, to allowed addresses and ports only, with an end to all waiting."""

import json
import socket
from collections.abc import Mapping, Sequence

import aiohttp

from .. import __version__
from ..network.errors import explain
from .networks import (
    USUAL_PORTS,
    ForbiddenError,
    ForbiddenPortError,
    Network,
    Ports,
    is_allowed,
    is_port_allowed,
)
from .signature import signed_headers

#: Seconds that a receiver has for its answer.
TIMEOUT = 15.0


def session(
    allowed: Sequence[Network], ports: Ports, *, most: int, timeout: float = TIMEOUT
) -> aiohttp.ClientSession:
    """A session for callbacks, with at most so many connections to a host. To be closed.

    `allowed`: networks that are not public and may be called all the same. `timeout`: in seconds.
    """
    return aiohttp.ClientSession(
        connector=connector(allowed, ports=ports, most=most),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout),
        auto_decompress=False,
        headers={"Content-Type": "application/json", "User-Agent": f"sendsmsnow/{__version__}"},
    )


def connector(
    allowed: Sequence[Network], *, most: int, ports: Ports = USUAL_PORTS
) -> aiohttp.TCPConnector:
    """Connections to allowed addresses and ports only, at most so many to one host."""

    def open_socket(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        if not is_allowed(str(address[0]), allowed):
            raise ForbiddenError
        if not is_port_allowed(int(address[1]), ports):
            raise ForbiddenPortError
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        return opened

    return aiohttp.TCPConnector(
        socket_factory=open_socket, limit=0, limit_per_host=most, use_dns_cache=False
    )


async def post(
    session: aiohttp.ClientSession,
    url: str,
    document: Mapping[str, object],
    *,
    secret: str,
    id: str,
    now: int,
) -> tuple[int, str]:
    """The status of the answer to a callback (0 for none), and why it failed; empty for a success.

    `id`: the same for each attempt, so that a receiver can deduplicate. `now`: Unix milliseconds.
    """
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    headers = signed_headers(secret, id, now // 1_000, body)
    try:
        # The body is not read, and no redirect is followed: it could lead anywhere.
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            status = response.status
            response.close()
    except TimeoutError:
        return 0, f"no answer within {session.timeout.total:g} seconds"
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, ForbiddenError):
            return 0, "its address is not public"
        if isinstance(error.os_error, ForbiddenPortError):
            return 0, "its port is not one of callback_ports"
        return 0, f"not reached: {explain(error.os_error).what}"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return 0, f"not reached: {type(error).__name__}"
    if 300 <= status < 400:
        return status, f"HTTP status {status}; redirects are not followed"
    return status, "" if 200 <= status < 300 else f"HTTP status {status}"
