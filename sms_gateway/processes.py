"""The processes of one command: started, restarted when they die, and never left behind.

The supervisor holds one end of a pipe and each child the other, its lifeline. Whatever becomes of
the supervisor, `kill -9` included, the children notice and stop themselves.
"""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

log = logging.getLogger(__name__)

#: Exit status of a process whose settings are wrong: starting it again would not help.
WRONG_SETTINGS = 2
#: Seconds that a process has to finish what it is doing when it is asked to stop.
GRACE = 20.0

# A process that lived so long (seconds) had started well, and is restarted at once.
_STEADY = 10.0
_LONGEST_PAUSE = 30.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A process of the family."""

    name: str
    #: The whole command; `--lifeline FD` is added to it.
    command: Sequence[str]
    #: File descriptors that it inherits, such as the socket it listens on.
    inherits: Sequence[int] = ()


@asynccontextmanager
async def running(
    children: Sequence[Child], *, environ: Mapping[str, str] | None = None, grace: float = GRACE
) -> AsyncIterator["asyncio.Future[int]"]:
    """Keep the children running while the block runs; none runs when it has ended.

    Yields a future of the exit status: 0 once SIGINT, SIGTERM or SIGHUP asks for the end,
    WRONG_SETTINGS once a child gives that as its reason. A second signal cuts the grace short.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    hurry = asyncio.Event()
    lifeline, ours = os.pipe()

    def stop() -> None:
        if ended.done():
            hurry.set()
        else:
            ended.set_result(0)

    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    keepers = [
        asyncio.create_task(_keep(child, lifeline, environ, ended, hurry, grace))
        for child in children
    ]
    try:
        yield ended
    finally:
        if not ended.done():
            ended.cancel()
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        for number in _STOP_SIGNALS:
            loop.remove_signal_handler(number)
        os.close(lifeline)
        os.close(ours)


async def _keep(
    child: Child,
    lifeline: int,
    environ: Mapping[str, str] | None,
    ended: "asyncio.Future[int]",
    hurry: asyncio.Event,
    grace: float,
) -> None:
    """Run a child again and again, until cancelled."""
    pause = 0.0
    while True:
        born = time.monotonic()
        facts: dict[str, object] = {"child": child.name}
        try:
            process = await asyncio.create_subprocess_exec(
                *(*child.command, "--lifeline", str(lifeline)),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(lifeline, *child.inherits),
                # Of its own group, so that Ctrl-C reaches the supervisor only, and that what a
                # child has started can be stopped with it.
                process_group=0,
                env=environ,
            )
        except OSError as error:  # no memory, no process to be had
            facts["error"] = error
        else:
            log.info("started", extra=facts | {"pid": process.pid})
            try:
                facts["status"] = await process.wait()
            except asyncio.CancelledError:
                await _stop(process, hurry, grace)
                log.info("stopped", extra=facts | {"status": process.returncode})
                raise
            # Whatever the child has started and left behind.
            _signal_group(process.pid, signal.SIGTERM)
            if process.returncode == WRONG_SETTINGS:
                log.error("gave up", extra=facts)
                if not ended.done():
                    ended.set_result(WRONG_SETTINGS)
                return
        steady = time.monotonic() - born >= _STEADY
        pause = 0.0 if steady else min(max(0.5, 2 * pause), _LONGEST_PAUSE)
        log.error("died", extra=facts | {"restart_in": pause})
        await asyncio.sleep(pause)


async def _stop(process: asyncio.subprocess.Process, hurry: asyncio.Event, grace: float) -> None:
    """Ask a process to stop, wait, and kill what is left of its group."""
    end = asyncio.create_task(process.wait())
    if process.returncode is None:
        process.terminate()
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait((end, hurried), timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
    _signal_group(process.pid, signal.SIGKILL)
    await end


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass  # nobody is left; the number may belong to others by now


def hold_lifeline(lifeline: int | None, grace: float = GRACE) -> None:
    """Stop this process (SIGTERM, after `grace` seconds SIGKILL) when its supervisor is gone.

    `lifeline` is the descriptor that the supervisor passed; without one nothing happens.
    """
    if lifeline is not None:
        threading.Thread(target=_hold, args=(lifeline, grace), daemon=True).start()


def _hold(lifeline: int, grace: float) -> None:
    while os.read(lifeline, 1):
        pass  # nobody writes; only the end matters
    log.warning("the supervisor is gone")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
