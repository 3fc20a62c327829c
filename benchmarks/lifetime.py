"""The life of the server: how soon it answers, and whether it grows."""

import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import ours
from .contenders import turn
from .processes import free_port, resident, started
from .tell import tell


@dataclass(slots=True)
class Start:
    """Seconds from the command to the first answer, one entry for each round."""

    #: On a database that is there.
    again: list[float] = field(default_factory=list)
    #: With the database to be made.
    first: list[float] = field(default_factory=list)


def start(folder: Path, *, rounds: int) -> Start:
    """Start `sendsmsnow serve` again and again, with a request waiting for it."""
    folder.mkdir()
    measured = Start()
    known = folder / "known"
    known.mkdir()
    (key,) = ours.prepared(ours.sqlite_url(known))
    _first_answer(known, key, b"<error>0</error>")  # so that there is bytecode of everything
    for number in range(rounds):
        fresh = folder / str(number)
        fresh.mkdir()
        measured.first.append(_first_answer(fresh, "", b"<error>60</error>"))
        measured.again.append(_first_answer(known, key, b"<error>0</error>"))
        tell(
            f"{number + 1}/{rounds}  first answer: {measured.again[-1]:.2f} s, "
            f"with a new database {measured.first[-1]:.2f} s"
        )
    return measured


def _first_answer(folder: Path, key: str, right: bytes) -> float:
    port = free_port()
    env = ours.environment(database_url=ours.sqlite_url(folder), bind=f"127.0.0.1:{port}")
    body = (ours.ENVELOPE % ("+32494000000", "Hello", key)).encode()
    headers = {**ours.SOAP_HEADERS, "Host": "localhost", "Content-Length": str(len(body))}
    lines = [f"POST {ours.SOAP_PATH} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    request = "\r\n".join([*lines, "", ""]).encode() + body

    answer = b""
    began = time.monotonic()

    def answered() -> bool:
        nonlocal answer
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(request)
                while b"</soap:Envelope>" not in answer:
                    chunk = connection.recv(65536)
                    if not chunk:
                        return False
                    answer += chunk
        except ConnectionRefusedError:
            return False
        return True

    with started(ours.command("serve"), folder / "serve.log", env=env, ready=answered):
        seconds = time.monotonic() - began
    assert right in answer, answer
    return seconds


@dataclass(slots=True)
class Memory:
    """Resident memory of the one process that answers requests, MiB."""

    #: After so many requests.
    after: list[tuple[int, float]] = field(default_factory=list)
    wrong: int = 0


def memory(folder: Path, *, requests: int, at_most: float) -> Memory:
    """Send so many requests, for at most so many seconds."""
    folder.mkdir()
    measured = Memory()
    with ours.on_sqlite(folder / "web") as (soap, _):
        (pid,) = ours.web_processes(soap.roots[0])
        done, step, began = 0, 1, time.monotonic()
        while done < requests and time.monotonic() - began < at_most:
            taken = turn(soap, folder, seconds=step)
            done += taken.requests
            measured.wrong += taken.wrong + taken.missing
            measured.after.append((done, resident(pid)))
            tell(f"memory: {measured.after[-1][1]:.1f} MiB after {done} requests")
            # A server that answers nothing for a second is not at its end.
            left = (requests - done) / max(taken.per_second, 1)
            step = max(1, min(60, step * 2, round(left + 0.5)))
    return measured
