"""A supervisor with children that behave as they are told, each a real process.

`python -m support.family FOLDER GRACE BEHAVIOUR...` keeps one child running for each behaviour;
`FOLDER/BEHAVIOUR.log` gets a line for each thing that happens to it, with its pid.
"""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from sms_gateway import log
from sms_gateway.serving.supervisor import Child, supervise


def child(folder: str, behaviour: str) -> int:
    def tell(event: str) -> None:
        with Path(folder, f"{behaviour}.log").open("a") as file:
            file.write(f"{event} {os.getpid()}\n")

    def stop(number: int, _frame: object) -> None:
        tell(signal.Signals(number).name)
        if behaviour != "deaf":
            sys.exit(0)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    if behaviour == "parent":
        ignorant = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        grandchild = subprocess.Popen([sys.executable, "-c", ignorant + "time.sleep(60)"])
        with Path(folder, "grandchild.log").open("a") as file:
            file.write(f"started {grandchild.pid}\n")
    tell("started")
    if behaviour == "dies":
        return 1
    if behaviour == "wrong":
        while not Path(folder, "stays.log").exists():
            time.sleep(0.01)
        return 2
    while True:
        # Not for long: a signal that comes just before a sleep does not end it.
        time.sleep(0.1)


if __name__ == "__main__":
    log.setup("info", "text")
    folder, grace, *behaviours = sys.argv[1:]
    children = [Child(name=each, run=partial(child, folder, each)) for each in behaviours]
    sys.exit(supervise(children, grace=float(grace)))
