"""Builds the limits for the clients of a web process."""

from ..settings import Settings
from ..web.crowd import Limits


def limits_of(settings: Settings) -> Limits:
    """The limits of each network."""
    return Limits(
        connections_per_network=settings.connections_per_network,
        bodies_per_network=settings.bodies_per_network,
        proxies=proxies_of(settings),
    )


def proxies_of(settings: Settings) -> list[str]:
    """The networks of the trusted proxies."""
    return [network for network in settings.proxies.split(",") if network]
