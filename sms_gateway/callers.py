"""Keeps the caller of the present task, for the audit trail and for counting wrong keys.

A face sets the caller of each request, and a command its operator. Code that runs for it, in its
task or in a thread of that, reads the caller here. So the contract between faces and gateway does
not need to pass it on.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


class Face(StrEnum):
    """The face by which a request came in."""

    COMMAND = "command"
    PAGE = "page"
    #: HTTP and SOAP.
    API = "api"
    #: The gateway itself.
    GATEWAY = "gateway"


def _nowhere() -> str:
    return ""


def _unheld(is_held: bool) -> None:
    pass


@dataclass(slots=True, kw_only=True)
class Caller:
    """The caller of a request or a command."""

    face: Face = Face.GATEWAY
    #: Who ran the command: the user of the operating system, and the host.
    operator: str = ""
    #: The network of the client, a /24 or a /48 of IPv6; empty when it is unknown, or that of many
    #: clients. A function, so that it is computed only when needed.
    network: Callable[[], str] = _nowhere
    #: How many calls with a key share the request, and how many of the keys were wrong so far.
    calls: int = 1
    wrong: int = 0
    #: Called with True when a known answer is held back, and with False when that ends.
    hold: Callable[[bool], None] = _unheld


#: Computes the caller, only when needed.
Source = Callable[[], Caller]

_CURRENT: ContextVar[Source] = ContextVar("caller", default=Caller)


def current() -> Caller:
    """The caller of the present task; by default the gateway itself."""
    return _CURRENT.get()()


def is_now(caller: Caller) -> None:
    """Set the caller of this task or process."""
    _CURRENT.set(lambda: caller)


#: As `is_now`, with a source, which must return an equal caller each time.
will_say = _CURRENT.set
