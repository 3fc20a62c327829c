"""Who runs a command, for the audit trail."""

import os
import pwd
import re
import socket

from ..callers import Caller, Face

# As user names are (useradd(8)); who has set the variable by hand may have written anything.
_USER = re.compile(r"[\w.@\\-]{1,64}\$?")


def operator() -> Caller:
    """The user of the operating system and the host: `alice@host`, and `alice as sms@host` behind
    sudo, which says in SUDO_USER who called it."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user may have no name
        user = str(os.getuid())
    before = os.environ.get("SUDO_USER", "")
    if before != user and _USER.fullmatch(before):
        user = f"{before} as {user}"
    return Caller(face=Face.COMMAND, operator=f"{user}@{socket.gethostname()}")
