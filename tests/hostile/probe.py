"""Sends hostile cases to a running gateway, and measures what they cost it."""

import http.client
import json
import os
import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from lxml import etree

from .cases import CLOSED, FAULT, REFUSED, SOAP11, SOAP12, Case, Outcome

_TICKS = os.sysconf("SC_CLK_TCK")
#: Seconds; nothing here should come near.
_PATIENCE = 60


def send(port: int, case: Case) -> bytes:
    """Write a case's bytes until an answer comes or the connection is gone; all that came back."""
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as connection:
        return _exchanged(connection, case.pieces())


def send_bytes(port: int, data: bytes) -> bytes:
    """The same with one request."""
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as connection:
        return _exchanged(connection, iter([data]))


def _exchanged(connection: socket.socket, pieces: Iterator[bytes]) -> bytes:
    connection.setblocking(False)
    answer = BytesIO()
    pending = memoryview(b"")
    deadline = time.monotonic() + _PATIENCE
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
        writing = True
        while True:
            assert time.monotonic() < deadline, "neither an answer nor an end"
            ready = next((events for _, events in selector.select(_PATIENCE)), 0)
            if ready & selectors.EVENT_READ:
                try:
                    received = connection.recv(65536)
                except ConnectionError:
                    received = b""
                answer.write(received)
                if not received or _complete(answer.getvalue()):
                    return answer.getvalue()
            if writing and ready & selectors.EVENT_WRITE:
                try:
                    pending = pending or memoryview(next(pieces, b""))
                    writing = bool(pending)
                    pending = pending[connection.send(pending[:262144]) :] if pending else pending
                except ConnectionError:
                    writing = False
                if not writing:
                    selector.modify(connection, selectors.EVENT_READ)


def _complete(data: bytes) -> bool:
    """Whether a whole response is there."""
    try:
        response = http.client.HTTPResponse(_Bytes(data))  # type: ignore[arg-type]
        response.begin()
        response.read()
    except (http.client.HTTPException, ConnectionError):
        return False
    return True


class _Bytes:
    """What HTTPResponse wants of a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> BytesIO:
        return BytesIO(self._data)


def outcome(answer: bytes) -> Outcome:
    """What came of a case; AssertionError when a Fault is none as it should be."""
    if not answer:
        return CLOSED
    response = http.client.HTTPResponse(_Bytes(answer))  # type: ignore[arg-type]
    response.begin()
    body = response.read()
    if b"Envelope" in body and response.status == 500:
        check_fault(body)
        return FAULT
    if response.status == 200 and b"<error>" in body and b"<error>0<" not in body:
        return REFUSED
    if response.status == 200 and body.startswith(b"["):
        return REFUSED if all(reply["error"] for reply in json.loads(body)) else 200
    return response.status


def check_fault(body: bytes) -> None:
    """A Fault is of the version of its envelope, in code and structure."""
    root = etree.fromstring(body)
    namespace = etree.QName(root).namespace
    (fault,) = root.findall(f"{{{namespace}}}Body/{{{namespace}}}Fault")
    names = [each.tag for each in fault]
    if namespace == SOAP11:
        assert names == ["faultcode", "faultstring"]
        code = fault.findtext("faultcode")
        assert code in ("soap:Client", "soap:MustUnderstand", "soap:VersionMismatch")
        assert fault.findtext("faultstring")
    else:
        assert namespace == SOAP12
        assert names == [f"{{{SOAP12}}}Code", f"{{{SOAP12}}}Reason"]
        code = fault.findtext(f"{{{SOAP12}}}Code/{{{SOAP12}}}Value")
        assert code in ("soap:Sender", "soap:MustUnderstand", "soap:VersionMismatch")
    assert fault.nsmap["soap"] == namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    #: Processor milliseconds, user and system.
    cpu: int
    #: How many megabytes the process grew at most.
    memory: float


class Meter:
    """What a process spends while something happens."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")
        # Makes the high-water mark what the process has now (proc_pid_clear_refs(5)).
        (self._proc / "clear_refs").write_text("5")
        self._cpu, self._memory = self._spent(), self._kilobytes("VmRSS")

    def read(self) -> Cost:
        return Cost(
            cpu=round((self._spent() - self._cpu) * 1000),
            memory=max(0, self._kilobytes("VmHWM") - self._memory) / 1024,
        )

    def _spent(self) -> float:
        """Seconds, to the nanosecond where the system tells (proc(5), schedstat)."""
        try:
            told = [each.read_text() for each in self._proc.glob("task/*/schedstat")]
        except OSError:  # a thread that has just ended
            return self._spent()
        if told:
            return sum(int(each.split()[0]) for each in told) / 1e9
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def _kilobytes(self, name: str) -> int:
        lines = (self._proc / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
