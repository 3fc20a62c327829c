"""A supervisor with children that behave as they are told, each a real process.

`python -m support.family FOLDER GRACE BEHAVIOUR...` keeps one child running for each behaviour;
`FOLDER/BEHAVIOUR.log` gets a line for each thing that happens to it, with its pid.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from sms_gateway import log
from sms_gateway.processes import Child, hold_lifeline, running


async def supervise(folder: str, grace: float, behaviours: list[str]) -> int:
    children = [
        Child(
            name=behaviour,
            command=[sys.executable, "-m", __spec__.name, "child", folder, str(grace), behaviour],
        )
        for behaviour in behaviours
    ]
    async with running(children, grace=grace) as ended:
        return await ended


def child(folder: str, grace: float, behaviour: str, lifeline: int) -> None:
    def tell(event: str) -> None:
        with Path(folder, f"{behaviour}.log").open("a") as file:
            file.write(f"{event} {os.getpid()}\n")

    def stop(number: int, _frame: object) -> None:
        tell(signal.Signals(number).name)
        if behaviour != "deaf":
            sys.exit(0)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    hold_lifeline(lifeline, grace)
    if behaviour == "parent":
        ignorant = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        grandchild = subprocess.Popen([sys.executable, "-c", ignorant + "time.sleep(60)"])
        with Path(folder, "grandchild.log").open("a") as file:
            file.write(f"started {grandchild.pid}\n")
    tell("started")
    if behaviour == "dies":
        sys.exit(1)
    if behaviour == "wrong":
        while not Path(folder, "stays.log").exists():
            time.sleep(0.01)
        sys.exit(2)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    log.setup("info", "text")
    if sys.argv[1] == "child":
        child(sys.argv[2], float(sys.argv[3]), sys.argv[4], int(sys.argv[6]))
    else:
        sys.exit(asyncio.run(supervise(sys.argv[1], float(sys.argv[2]), sys.argv[3:])))
