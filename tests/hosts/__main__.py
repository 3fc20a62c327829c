"""`python -m hosts --messages N --rate R --seed S NAME...`, as root: faults, or groups of them."""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from support import smsc

from .database import programs
from .faults import GROUPS

#: Only the process with namespaces of its own has it: the folder for logs of what failed.
_INSIDE = "SENDSMSNOW_HOSTS_INSIDE"
#: The namespaces and all that runs in them end with this process, and this one with its parent.
_UNSHARE = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
)
#: A little of all that the kernel has to allow.
_TRIAL = """set -e
mount -t tmpfs tmpfs /run
touch /run/trial
mount --bind /run/trial /etc/resolv.conf
ip netns add trial
ip tuntap add trial mode tun
ip link set trial netns trial
nsenter --net=/run/netns/trial ip link set trial up
"""


def missing() -> str | None:
    """The program that this machine lacks to be ten hosts; None when it has all."""
    for program, package in (("ip", "iproute2"), ("setpriv", "util-linux"), ("pgbouncer",) * 2):
        if shutil.which(program) is None:
            return f"there is no {program} (Debian: {package})"
    if programs() is None:
        return "there is no PostgreSQL (Debian: postgresql)"
    return None


def refused() -> str | None:
    """Why this machine does not allow ten hosts, whatever is installed; None when it does."""
    trial = [*_UNSHARE, "sh", "-c", _TRIAL]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    if not done.returncode:
        return None
    return f"no hosts can be made here, which takes root and /dev/net/tun: {done.stderr.strip()}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="hosts", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000, help="for each fault")
    parser.add_argument("--rate", type=float, default=60, help="messages in a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commit", default="", help="for upgrade: what is upgraded")
    parser.add_argument("--pooled", action="store_true", help="reach the database by PgBouncer")
    parser.add_argument("names", nargs="*", help="which faults or groups, in this order")
    options = parser.parse_args()
    if _INSIDE not in os.environ:
        hindrance = missing() or refused()
        if hindrance:
            print(hindrance, file=sys.stderr)
            return 2
        # The SMSC is installed from a registry, which the namespaces do not reach.
        smsc.evaluate("''")
        command = [*_UNSHARE, sys.executable, "-m", "hosts", *sys.argv[1:]]
        os.execvpe(command[0], command, {**os.environ, _INSIDE: tempfile.gettempdir()})
    # A file system of this process's own, for the namespaces' names and all files: it ends with it.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    tempfile.tempdir = "/run"
    from .rounds import run

    known = {fault.__name__: (fault,) for group in GROUPS.values() for fault in group} | GROUPS
    names = options.names or [name for name in GROUPS if name not in ("pooler", "upgrade")]
    chosen = [fault for name in names for fault in known[name]]
    how = options.messages, options.rate, options.seed
    more = {"commit": options.commit, "is_pooled": options.pooled}
    good = asyncio.run(run(chosen, *how, tell=_tell, kept=Path(os.environ[_INSIDE]), **more))
    _tell("all books agree" if good else "THE BOOKS DO NOT AGREE")
    return 0 if good else 1


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
