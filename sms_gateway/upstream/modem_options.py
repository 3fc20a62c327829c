"""Holds the options of a GSM modem, and reads them from a URL."""

import re
from dataclasses import dataclass, field, fields
from urllib.parse import unquote, urlsplit

from .url_options import check_limits, from_query

_LIMITS: dict[str, tuple[float, float]] = {
    "window": (1, 1_000),
    "rate": (0.001, 100),
    "response_timeout": (1, 600),
    "poll_interval": (0.05, 3_600),
    "reconnect_delay": (0.01, 3_600),
    "reconnect_delay_max": (0.01, 3_600),
    "stop_timeout": (0, 600),
}
#: Gammu's names of connections to modems with AT commands, with their speed.
_CONNECTION = re.compile(r"at[0-9]{0,7}|none")
_NUMBER = re.compile(r"\+?[0-9]{2,15}")
_PIN = re.compile(r"[0-9]{4,8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModemOptions:
    """A modem with its SIM. Times are in seconds. ValueError for an impossible option."""

    #: The device's file, such as /dev/ttyUSB0.
    device: str
    #: Gammu's connection: `at`, or with a speed as `at115200`.
    connection: str = "at"
    #: Gammu's model, where it does not find out which it is; `dummy` is a folder.
    model: str = ""
    #: The SIM's PIN; empty where it has none.
    pin: str = field(default="", repr=False)
    #: The number of the SMSC; empty: that on the SIM.
    smsc: str = ""
    #: The SIM's own number in E.164: where messages that come in came to.
    number: str = ""
    #: Ask the network for receipts.
    receipts: bool = True
    #: The most parts that wait for the modem.
    window: int = 1
    #: The most parts per second; None is as fast as the modem is.
    rate: float | None = None
    #: How long the modem may take for one part, or be silent; then its process is killed.
    response_timeout: float = 60
    #: How often it is asked for messages that came in.
    poll_interval: float = 5
    #: Pause before a modem that failed is opened again; doubled each time.
    reconnect_delay: float = 1
    reconnect_delay_max: float = 60
    #: How long a stop of the gateway waits for the part under way.
    stop_timeout: float = 10

    def __post_init__(self) -> None:
        check_limits(_LIMITS, {name: getattr(self, name) for name in _LIMITS})
        if not self.device.startswith("/"):
            raise ValueError("the device is missing; allowed is modem:/dev/ttyUSB0 and the like")
        if not _CONNECTION.fullmatch(self.connection):
            raise ValueError(f"connection={self.connection}: allowed is at, or at115200 and such")
        if self.pin and not _PIN.fullmatch(self.pin):
            raise ValueError("pin: allowed are 4 to 8 digits")
        for name in ("smsc", "number"):
            if (value := getattr(self, name)) and not _NUMBER.fullmatch(value):
                raise ValueError(f"{name}: allowed are the digits of a number, as 32470000001")


#: The type of each parameter in the query of the URL, by name.
PARAMETERS = {f.name: f.type for f in fields(ModemOptions) if f.name != "device"}


def options_from_url(url: str) -> ModemOptions:
    """Read modem:/dev/ttyUSB0?pin=1234, with options in the query.

    Raises ValueError, in one line that names the parameter and the allowed values; it never holds
    the PIN.
    """
    parts = urlsplit(url)
    if parts.scheme != "modem" or parts.netloc or parts.fragment:
        raise ValueError("a modem's address is modem:/dev/ttyUSB0, with ?name=value behind it")
    given = from_query(PARAMETERS, _LIMITS, parts.query)
    return ModemOptions(device=unquote(parts.path), **given)
