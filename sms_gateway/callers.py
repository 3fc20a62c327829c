"""Who is behind what is done now: the audit trail names them, and wrong keys count by them.

Whoever takes a request, or runs a command, says so once; what is done for it, in its task or in a
thread of it, asks here. Nothing of it goes through the contract between faces and gateway.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


class Face(StrEnum):
    """By which way somebody had something done."""

    COMMAND = "command"
    PAGE = "page"
    #: HTTP and SOAP alike.
    API = "api"
    #: The gateway itself, of its own accord.
    GATEWAY = "gateway"


def _nowhere() -> str:
    return ""


def _unheld(is_held: bool) -> None:
    pass


@dataclass(slots=True, kw_only=True)
class Caller:
    """Who has something done."""

    face: Face = Face.GATEWAY
    #: Who runs a command: a user of the operating system, and the host.
    operator: str = ""
    #: Where a request comes from, a /24 or a /48 of IPv6; empty where that is unknown, or stands
    #: for many clients. Asked for only when somebody wants to know.
    network: Callable[[], str] = _nowhere
    #: How many calls with a key share the request, and how many of these keys are nobody's so far.
    calls: int = 1
    wrong: int = 0
    #: Told True when the answer begins to wait although it is known, and False when it ends.
    hold: Callable[[bool], None] = _unheld


#: Finds out who it is; only then does it cost anything.
Source = Callable[[], Caller]

_CURRENT: ContextVar[Source] = ContextVar("caller", default=Caller)


def current() -> Caller:
    """Who has done what is done now; the gateway itself, unless somebody has said so."""
    return _CURRENT.get()()


def is_now(caller: Caller) -> None:
    """From now on, in this task or process, everything is done for this caller."""
    _CURRENT.set(lambda: caller)


#: The same for whoever a source says it is when it is asked; it says the same each time.
will_say = _CURRENT.set
