"""The process of a modem, on Gammu's dummy phone: a folder stands for the telephone.

The dummy phone sends everything and reports nothing. What else it does goes by words in the text:
#bad, #throttle (once for each number), #silent (the modem hangs), #twice (it reports twice), #mo (a
message comes from the number), #quiet (it reports nothing), #dies (the process ends).
"""

import os
import time
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gammu

from sms_gateway.upstream import modem_process


class Machine:
    """Gammu's, with a network behind it."""

    def __init__(self) -> None:
        self._machine = gammu.StateMachine()
        self._folder = Path()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine, name)

    def SetConfig(self, number: int, config: dict[str, str]) -> None:
        self._folder = Path(config["Device"])
        self._machine.SetConfig(number, config)

    def Init(self) -> None:
        if (self._folder / "gone").exists():
            raise gammu.ERR_DEVICENOTEXIST({"Text": "", "Where": "Init", "Code": 0})
        self._machine.Init()

    def GetSecurityStatus(self) -> str | None:
        wanted = self._folder / "pin"
        return "PIN" if wanted.exists() else None

    def EnterSecurityCode(self, kind: str, pin: str) -> None:
        with (self._folder / "pins").open("a") as tried:
            tried.write(f"{pin}\n")
        if pin != (self._folder / "pin").read_text():
            raise gammu.ERR_SECURITYERROR({"Text": "", "Where": "", "Code": 0})

    def SendSMS(self, message: dict[str, Any]) -> int:
        words, number = set(message["Text"].split()), message["Number"]
        if "#bad" in words:
            raise gammu.ERR_INVALIDDATA({"Text": number, "Where": "SendSMS", "Code": 0})
        throttled = self._folder / f"throttled-{number}"
        if "#throttle" in words and not throttled.exists():
            throttled.touch()
            raise gammu.ERR_BUSY({"Text": number, "Where": "SendSMS", "Code": 0})
        if "#silent" in words:
            time.sleep(3_600)
        if "#dies" in words:
            os._exit(9)
        self._machine.SendSMS(message)
        # The dummy's own reference is always 255; a SIM counts.
        sent = self._folder / "sent"
        with sent.open("a") as log:
            log.write(f"{number} {message['Text']!r}\n")
        reference = sent.read_text().count("\n") % 256
        reports = 0 if "#quiet" in words or message["Type"] != "Status_Report" else 1
        for _ in range(reports + ("#twice" in words)):
            self.add("Status_Report", number, "", MessageReference=reference, DeliveryStatus=0)
        if "#mo" in words:
            self.add("Deliver", number, "Hi €")
        return reference

    def add(self, kind: str, number: str, text: str, **more: Any) -> None:
        """Put a message on the SIM."""
        message = {
            "SMSC": {"Location": 1},
            "Number": number,
            "Text": text,
            "Coding": "Unicode_No_Compression",
            "Class": -1,
            "Folder": 1,
            "State": "UnRead",
            "Type": kind,
            "SMSCDateTime": datetime.now(),
            **more,
        }
        self._machine.AddSMS(message)


def dummy() -> Any:
    """Gammu, with this telephone."""
    names = {name: getattr(gammu, name) for name in dir(gammu) if name[:4] in ("ERR_", "GSME")}
    return SimpleNamespace(**{**names, "StateMachine": Machine})


if __name__ == "__main__":
    modem_process.main(dummy())
