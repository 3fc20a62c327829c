"""Supervises the processes of one command: forks them, restarts them, and leaves none behind.

The children are forked, so that their common modules are imported once. The supervisor has no
threads and no open database that a fork could harm. It holds one end of a pipe; each child holds
the other end, its lifeline. When the supervisor ends, even by `kill -9`, the children notice and
stop.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..backoff import pause

log = logging.getLogger(__name__)

#: Exit status of a process whose settings are wrong: starting it again would not help.
WRONG_SETTINGS = 2
#: Seconds that a process has to finish its work when it is asked to stop.
GRACE = 20.0

# Seconds; a process that lived for this long had started well, and is restarted at once.
_STEADY = 10.0
_LONGEST_PAUSE = 30.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AWAITED = {*_STOP_SIGNALS, signal.SIGCHLD}


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A process to supervise."""

    name: str
    #: The work of the process, called in it; returns its exit status.
    run: Callable[[], int]
    #: Sockets that only this process may have open.
    sockets: Sequence[socket.socket] = ()
    #: When this process ends, all end, with its status.
    leads: bool = False


class _Kept:
    """A child, and its current process."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.pid: int | None = None
        #: When the process was started, and when to start the next; by the monotonic clock.
        self.born = self.due = 0.0
        #: How often in a row the process died soon after its start.
        self.deaths = 0


def supervise(children: Sequence[Child], *, grace: float = GRACE) -> int:
    """Keep the children running until SIGINT, SIGTERM or SIGHUP; none runs when it returns.

    Returns 0 after a signal. Otherwise returns the status of the child that ended the whole: a
    child that leads, or one that ended with WRONG_SETTINGS. A second signal cuts the grace short.
    """
    # `_signalled` waits for these signals; blocked, they interrupt nothing.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    lifeline, ours = os.pipe()
    family = [_Kept(child) for child in children]
    status = None
    try:
        while status is None:
            now = time.monotonic()
            for kept in family:
                if kept.pid is None and kept.due <= now:
                    _start(kept, children, lifeline, ours, grace)
            due = [kept.due - time.monotonic() for kept in family if kept.pid is None]
            if _signalled(min(due, default=None)):
                status = 0
            for kept in family:
                ended = _reap(kept, signal.SIGTERM)
                if ended is not None and status is None:
                    status = _bury(kept, ended)
    finally:
        _stop(family, grace)
        os.close(lifeline)
        os.close(ours)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return status


def _signalled(seconds: float | None) -> bool:
    """Wait for a signal, at most so many seconds; returns whether it was a stop signal."""
    if seconds is None:
        return signal.sigwait(_AWAITED) in _STOP_SIGNALS
    got = signal.sigtimedwait(_AWAITED, max(0, seconds))
    return got is not None and got.si_signo in _STOP_SIGNALS


def _start(kept: _Kept, children: Sequence[Child], lifeline: int, ours: int, grace: float) -> None:
    kept.born = time.monotonic()
    try:
        pid = os.fork()
    except OSError as error:  # no memory, no process to be had
        _put_off(kept, {"error": error})
        return
    if pid == 0:
        strange = {each for child in children for each in child.sockets}
        _live(kept.child, strange.difference(kept.child.sockets), lifeline, ours, grace)
    _lead_a_group(pid)
    kept.pid = pid
    log.info("started", extra={"child": kept.child.name, "pid": pid})


def _live(
    child: Child, strange: Collection[socket.socket], lifeline: int, ours: int, grace: float
) -> NoReturn:
    """The whole life of a child, in the process that was forked for it."""
    status = 1
    try:
        _lead_a_group(0)
        _show_name(child.name)
        os.close(ours)
        for each in strange:
            each.close()
        # A child reads nothing from the terminal.
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
        hold_lifeline(lifeline, grace)
        status = child.run()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Without running the supervisor's code further up the stack.
        os._exit(status)


def _lead_a_group(pid: int) -> None:
    """Give a process (0: this) a group of its own.

    Ctrl-C then reaches the supervisor only, and the processes that a child has started can be
    stopped with it. Parent and child both call this, for either may be first.
    """
    try:
        os.setpgid(pid, 0)
    except (ProcessLookupError, PermissionError):
        pass  # it has ended


def _show_name(name: str) -> None:
    """Set the name of this process in ps and top; its command line is the supervisor's."""
    try:
        Path("/proc/self/comm").write_text(f"sms-{name}")
    except OSError:
        pass


def _reap(kept: _Kept, number: signal.Signals, options: int = os.WNOHANG) -> int | None:
    """The exit status of a process if it has ended, negative for the signal that killed it.

    The processes that it has started and left behind get the signal `number`.
    """
    if kept.pid is None or os.waitid(os.P_PID, kept.pid, os.WEXITED | os.WNOWAIT | options) is None:
        return None
    # Before waitpid: until then no other process can get the same process id.
    _signal_group(kept.pid, number)
    _, status = os.waitpid(kept.pid, 0)
    kept.pid = None
    return os.waitstatus_to_exitcode(status)


def _bury(kept: _Kept, status: int) -> int | None:
    """Plan the restart of a child that died; its status if its end is to end all."""
    facts: dict[str, object] = {"child": kept.child.name, "status": status}
    if kept.child.leads:
        return status
    if status == WRONG_SETTINGS:
        log.error("gave up", extra=facts)
        return status
    _put_off(kept, facts)
    return None


def _put_off(kept: _Kept, facts: dict[str, object]) -> None:
    steady = time.monotonic() - kept.born >= _STEADY
    kept.deaths = 0 if steady else kept.deaths + 1
    wait = pause(kept.deaths, 0.5, _LONGEST_PAUSE) if kept.deaths else 0.0
    kept.due = time.monotonic() + wait
    log.error("died", extra={"child": kept.child.name} | facts | {"restart_in": wait})


def _stop(family: Sequence[_Kept], grace: float) -> None:
    """Ask all children to stop, wait, and kill the rest of their process groups."""
    living = {kept.pid: kept for kept in family if kept.pid is not None}
    for pid in living:
        os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + grace
    while living:
        left = end - time.monotonic()
        is_over = left <= 0 or _signalled(left)
        for pid, kept in list(living.items()):
            if is_over:
                _signal_group(pid, signal.SIGKILL)
            status = _reap(kept, signal.SIGKILL, 0 if is_over else os.WNOHANG)
            if status is not None:
                del living[pid]
                log.info("stopped", extra={"child": kept.child.name, "status": status})


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass  # nobody is left


def hold_lifeline(lifeline: int, grace: float = GRACE) -> None:
    """Stop this process (SIGTERM, after `grace` seconds SIGKILL) when its supervisor is gone.

    `lifeline` is its end of the supervisor's pipe.
    """
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
