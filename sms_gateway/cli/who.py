"""Finds who runs a command, for the audit trail."""

import os
import pwd
import re
import socket

from ..callers import Caller, Face

# The form of user names (useradd(8)): a variable that was set by hand may contain anything.
_USER = re.compile(r"[\w.@\\-]{1,64}\$?")


def operator() -> Caller:
    """The user of the operating system and the host: `alice@host`.

    Under sudo `alice as sms@host`: sudo sets SUDO_USER to its caller.
    """
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user may have no name
        user = str(os.getuid())
    before = os.environ.get("SUDO_USER", "")
    if before != user and _USER.fullmatch(before):
        user = f"{before} as {user}"
    return Caller(face=Face.COMMAND, operator=f"{user}@{socket.gethostname()}")
