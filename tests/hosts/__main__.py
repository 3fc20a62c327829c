"""`python -m hosts --messages N --rate R --seed S NAME...`, as root: faults, or groups of them."""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

from support import smsc

from .database import programs
from .faults import GROUPS

#: Whether this process is the one with namespaces of its own.
_INSIDE = "SENDSMSNOW_HOSTS_INSIDE"
_UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def lacking() -> str | None:
    """What this machine lacks to be eight hosts; None when it can be."""
    for program, package in (("ip", "iproute2"), ("unshare", "util-linux"), ("pgbouncer",) * 2):
        if shutil.which(program) is None:
            return f"there is no {program} (Debian: {package})"
    if programs() is None:
        return "there is no PostgreSQL (Debian: postgresql)"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    if subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode:
        return "no namespaces can be made here: that takes root"
    return None


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
        missing = lacking()
        if missing:
            print(missing, file=sys.stderr)
            return 2
        # The SMSC is installed from a registry, which the namespaces do not reach.
        smsc.evaluate("''")
        # Whatever becomes of this process, its namespaces and all that runs in them end with it.
        command = [*_UNSHARE, sys.executable, "-m", "hosts", *sys.argv[1:]]
        return subprocess.run(command, env={**os.environ, _INSIDE: "1"}, check=False).returncode
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    from .rounds import run

    known = {fault.__name__: (fault,) for group in GROUPS.values() for fault in group} | GROUPS
    names = options.names or [name for name in GROUPS if name not in ("pooler", "upgrade")]
    chosen = [fault for name in names for fault in known[name]]
    how = options.messages, options.rate, options.seed
    more = {"commit": options.commit, "is_pooled": options.pooled}
    good = asyncio.run(run(chosen, *how, tell=_tell, **more))
    _tell("all books agree" if good else "THE BOOKS DO NOT AGREE")
    return 0 if good else 1


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
