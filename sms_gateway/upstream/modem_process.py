"""Drives one GSM modem by Gammu, in a process of its own.

`modem.py` starts it, writes commands to its standard input and reads events from its standard
output: JSON, one to a line. A modem may hang in any call; then this process is killed, and nothing
else is harmed. It alone imports Gammu (GPL): `python -m sms_gateway.upstream.modem_process`.

    commands: the options first; {"do": "send", "part": …}, {"do": "delete" | "keep", "location": …}
    events:   ready, trouble, sent, failed, came, alive
"""

import contextlib
import hashlib
import json
import os
import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import ModuleType
from typing import Any

#: The exit status where trying again does not help: a PIN that the SIM refused, above all.
GIVEN_UP = 3
#: Seconds that the network has to answer a USSD code.
_USSD = 30.0
#: The longest command, in bytes.
_LONGEST = 64 * 1024


def lock_name(device: str) -> bytes:
    """The name of the socket (Linux, abstract) that the one process of a modem listens on."""
    digest = hashlib.sha256(os.path.realpath(device).encode()).hexdigest()[:32]
    return b"\0sendsmsnow-modem-" + digest.encode()


class Modem:
    """The modem of this process."""

    def __init__(self, gammu: ModuleType, options: Mapping[str, Any], out: int) -> None:
        self._gammu = gammu
        self._options = options
        self._out = out
        self._machine = gammu.StateMachine()
        #: Messages that are handed over and neither deleted nor to be kept yet, by their place.
        self._handed: set[int] = set()
        self._replies: list[str] = []
        self._heard = False

    def open(self) -> None:
        """Connect, and give the SIM its PIN. Errors of Gammu; SystemExit where it is no use."""
        config = {"Device": self._options["device"], "Connection": self._options["connection"]}
        if self._options["model"]:
            config["Model"] = self._options["model"]
        self._machine.SetConfig(0, config)
        self._machine.Init()
        self._unlock()
        self._machine.SetIncomingCallback(self._on_incoming)
        with contextlib.suppress(self._gammu.GSMError):
            # Receipts may come without a place in the memory; not every modem knows how.
            self._machine.SetIncomingSMS(True)
        self._tell("ready", modem=self._name())

    def _unlock(self) -> None:
        try:
            wanted = self._machine.GetSecurityStatus()
        except self._gammu.GSMError:
            return
        if not wanted:
            return
        pin = self._options["pin"]
        if wanted != "PIN" or not pin:
            self._give_up(f"the SIM asks for its {wanted}")
        try:
            # Once: after three wrong ones the SIM is locked.
            self._machine.EnterSecurityCode("PIN", pin)
        except self._gammu.GSMError:
            self._give_up("the SIM refuses the PIN")

    def _give_up(self, why: str) -> None:
        self._tell("trouble", why=why)
        raise SystemExit(GIVEN_UP)

    def _name(self) -> str:
        names = []
        for ask in (self._machine.GetManufacturer, self._machine.GetModel):
            with contextlib.suppress(self._gammu.GSMError):
                told = ask()
                names.append(str(told[-1] if isinstance(told, tuple) else told))
        return " ".join(names)

    def send(self, part: Mapping[str, Any]) -> None:
        """Send a part, and tell what came of it."""
        smsc = self._options["smsc"]
        message = {
            "SMSC": {"Number": smsc} if smsc else {"Location": 1},
            "Number": part["number"],
            "Text": part["text"],
            "Coding": part["coding"],
            "Class": -1,
            "Type": "Status_Report" if self._options["receipts"] else "Submit",
        }
        if part["header"]:
            message["UDH"] = {"Type": "UserUDH", "Text": bytes.fromhex(part["header"])}
        try:
            reference = self._machine.SendSMS(message)
        except self._gammu.GSMError as error:
            self._tell("failed", id=part["id"], error=type(error).__name__)
        else:
            self._tell("sent", id=part["id"], reference=int(reference) % 256)

    def poll(self) -> None:
        """Hand over what came in since."""
        with contextlib.suppress(self._gammu.ERR_TIMEOUT):
            self._machine.ReadDevice(False)
        for parts in self._stored():
            for each in parts:
                location = int(each["Location"])
                if location not in self._handed and each["Type"] in ("Deliver", "Status_Report"):
                    self._handed.add(location)
                    self._tell("came", location=location, **_told(each))
        self._tell("alive")

    def _stored(self) -> Iterator[list[dict[str, Any]]]:
        place: dict[str, Any] = {"Start": True}
        while True:
            try:
                found = self._machine.GetNextSMS(Folder=0, **place)
            except self._gammu.ERR_EMPTY:
                return
            yield found
            place = {"Location": found[0]["Location"]}

    def delete(self, location: int) -> None:
        """Delete a message that is committed."""
        with contextlib.suppress(self._gammu.ERR_EMPTY):
            self._machine.DeleteSMS(0, location)
        self._handed.discard(location)

    def keep(self, location: int) -> None:
        """Hand a message over again that could not be committed."""
        self._handed.discard(location)

    def _on_incoming(self, machine: object, kind: str, told: Mapping[str, Any]) -> None:
        if kind == "USSD":
            self._replies.append(str(told.get("Text", "")))

    def facts(self) -> dict[str, Any]:
        """The modem, its signal and its network, as far as it says."""
        found: dict[str, Any] = {"modem": self._name()}
        with contextlib.suppress(self._gammu.GSMError):
            found["signal"] = self._machine.GetSignalQuality()["SignalPercent"]
        with contextlib.suppress(self._gammu.GSMError):
            network = self._machine.GetNetworkInfo()
            found |= {"network": network["NetworkName"], "registered": network["State"]}
        with contextlib.suppress(self._gammu.GSMError):
            found["smsc"] = self._machine.GetSMSC()["Number"]
        with contextlib.suppress(self._gammu.GSMError):
            found["stored"] = self._machine.GetSMSStatus()["SIMUsed"]
        return found

    def ussd(self, code: str) -> dict[str, Any]:
        """The network's answer to a code such as *100#."""
        self._replies.clear()
        try:
            self._machine.SetIncomingUSSD(True)
            self._machine.DialService(code)
            until = time.monotonic() + _USSD
            while not self._replies and time.monotonic() < until:
                with contextlib.suppress(self._gammu.ERR_TIMEOUT):
                    self._machine.ReadDevice(True)
        except self._gammu.GSMError as error:
            return {"error": type(error).__name__}
        return {"reply": self._replies[0]} if self._replies else {"error": "no answer"}

    def _tell(self, event: str, **facts: Any) -> None:
        os.write(self._out, json.dumps({"event": event, **facts}).encode() + b"\n")


def _told(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as `came` has it."""
    header = message["UDH"]
    reference = header["ID16bit"] if header["ID16bit"] >= 0 else header["ID8bit"]
    is_part = reference >= 0 and 0 < header["PartNumber"] <= header["AllParts"]
    return {
        "kind": "receipt" if message["Type"] == "Status_Report" else "message",
        "number": message["Number"],
        "text": message["Text"],
        "reference": reference if is_part else 0,
        "total": header["AllParts"] if is_part else 1,
        "part": header["PartNumber"] if is_part else 1,
        "message_reference": message["MessageReference"],
        "status": message["DeliveryStatus"],
        "sent_at": _milliseconds(message["SMSCDateTime"]),
        "at": _milliseconds(message["DateTime"]),
    }


def _milliseconds(moment: datetime | None) -> int:
    return 0 if moment is None else int(moment.timestamp() * 1_000)


def main(gammu: ModuleType | None = None) -> None:
    """Serve the modem of the options that the first line of standard input has."""
    # Gammu prints warnings: what is printed goes to the log, and events go where no print does.
    out = os.dup(1)
    os.dup2(2, 1)
    commands = _lines(0)
    options = next(filter(None, commands))
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(lock_name(options["device"]))
    except OSError:
        os.write(out, b'{"event": "trouble", "why": "another worker has the modem"}\n')
        raise SystemExit(1) from None
    listener.listen()
    try:
        if gammu is None:
            import gammu as found

            gammu = found
        modem = Modem(gammu, options, out)
        modem.open()
        _serve(modem, commands, listener, options["poll_interval"])
    except ImportError:
        os.write(out, b'{"event": "trouble", "why": "python-gammu is not installed"}\n')
        raise SystemExit(1) from None
    except Exception as error:
        why = json.dumps({"event": "trouble", "why": f"the modem says {type(error).__name__}"})
        os.write(out, why.encode() + b"\n")
        raise SystemExit(1) from None


def _serve(modem: Modem, commands: Iterator[Any], listener: socket.socket, interval: float) -> None:
    due = 0.0
    while True:
        wait = max(0.0, due - time.monotonic())
        readable, _, _ = select.select([0, listener.fileno()], [], [], wait)
        if listener.fileno() in readable:
            _answer(modem, listener)
        if 0 in readable:
            for command in iter(lambda: next(commands), None):
                match command["do"]:
                    case "send":
                        modem.send(command["part"])
                        # Between two parts it is looked whether somebody asks, or sent something.
                        due = min(due, time.monotonic() + interval)
                    case "delete":
                        modem.delete(command["location"])
                    case "keep":
                        modem.keep(command["location"])
        if time.monotonic() >= due:
            modem.poll()
            due = time.monotonic() + interval


def _lines(file: int) -> Iterator[Any]:
    """The commands; None where there is none at the moment. Ends the process with the input."""
    rest = b""
    while True:
        line, mark, behind = rest.partition(b"\n")
        if mark:
            rest = behind
            yield json.loads(line)
            continue
        if rest and len(rest) > _LONGEST:
            raise SystemExit(1)
        if not select.select([file], [], [], 0)[0]:
            yield None
        data = os.read(file, _LONGEST)
        if not data:
            raise SystemExit(0)
        rest += data


def _answer(modem: Modem, listener: socket.socket) -> None:
    """Answer a command line of the same user, or of root."""
    client, _ = listener.accept()
    with client, contextlib.suppress(OSError, ValueError):
        client.settimeout(2)
        _, uid, _ = struct.unpack(
            "3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        )
        if uid not in (0, os.getuid()):
            return
        asked = json.loads(client.recv(_LONGEST))
        told = modem.ussd(asked["ussd"]) if asked.get("ussd") else modem.facts()
        client.sendall(json.dumps(told).encode())


def ask(device: str, ussd: str = "", *, timeout: float = 2 * _USSD) -> dict[str, Any] | None:
    """What the running process of a modem answers; None without one. OSError when it does not."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(lock_name(device))
        except OSError:
            return None
        connection.sendall(json.dumps({"ussd": ussd}).encode())
        answer = b""
        while data := connection.recv(_LONGEST):
            answer += data
    if not answer:
        raise OSError("the process of the modem belongs to somebody else")
    told: dict[str, Any] = json.loads(answer)
    return told


if __name__ == "__main__":
    main()
