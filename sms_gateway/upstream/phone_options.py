"""Holds the options of Android telephones with the app SMSGate, and reads them from a URL."""

import re
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import unquote, urlsplit

from .http_options import HttpOptions, options_of
from .url_options import check_limits

#: The schemes: by HTTP, as the app's own server speaks it, and by HTTPS.
SCHEMES = {"smsgate": "http", "smsgates": "https"}
#: The port of the app's own server.
_PORT = 8080
#: The most telephones of an upstream.
_MOST = 100
# SIM:RATE:NUMBER, the latter two optional; SIM 0 is the one that the telephone chooses.
_SIM = re.compile(r"([0-3])(?::([0-9]{1,3}(?:\.[0-9]{1,3})?)?(?::([0-9]{3,15}))?)?")
#: An id of a device has 21 characters in the server's database.
_DEVICE = re.compile(r"[A-Za-z0-9_-]{1,21}")
_NUMBERS: dict[str, tuple[float, float]] = {"priority": (-128, 127)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneOptions(HttpOptions):
    """One SIM of one telephone. Times are in seconds. ValueError for an impossible option."""

    user: str = field(repr=False)
    password: str = field(repr=False)
    #: The telephone's id at a cloud or private server; empty: the server's, or the app's, choice.
    device: str = ""
    #: 1 to 3; 0: the telephone's choice.
    sim: int = 0
    #: The SIM's own number in E.164; empty where messages that come in name it.
    number: str = ""
    #: The key with which the telephone signs its webhooks; empty: not verified.
    signing_key: str = field(default="", repr=False)
    #: Ask for the states of messages.
    receipts: bool = True
    #: Ask the network for delivery reports.
    delivery_report: bool = True
    #: 100 and more passes the telephone's own limits and delays.
    priority: int = 0

    def __post_init__(self) -> None:
        HttpOptions.__post_init__(self)
        if not self.user or not self.password or ":" in self.user:
            raise ValueError("user and password are missing: the app shows both when it is online")
        check_limits(_NUMBERS, {"priority": self.priority})
        if self.signing_key and not self.push_secret:
            raise ValueError("signing_keys: they go with push_secret")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralOptions(PhoneOptions):
    """The options of several telephones, as a URL has them."""

    #: The ids of telephones at a cloud or private server, with commas between.
    devices: str = ""
    #: The SIMs, with commas between: SIM:RATE:NUMBER; with `;` between those of each telephone.
    sims: str = "0"
    #: The signing keys of the telephones, with commas between.
    signing_keys: str = field(default="", repr=False)


_NOT_IN_THE_QUERY = {
    "url", "idempotent", "user", "password", "device", "sim", "number", "signing_key"
}  # fmt: skip
#: The type of each parameter in the query of the URL, by name.
PARAMETERS = {f.name: f.type for f in fields(SeveralOptions) if f.name not in _NOT_IN_THE_QUERY}


def options_from_url(url: str) -> tuple[tuple[PhoneOptions, ...], ...]:
    """Read smsgate://USER:PASSWORD@HOST:8080/, with options in the query.

    Several telephones stand with commas between: smsgate://USER:PASSWORD@HOST,USER:PASSWORD@HOST/.
    A server's URL has its path: smsgates://USER:PASSWORD@HOST/3rdparty/v1. Returns the SIMs of each
    telephone.

    Raises ValueError, in one line that names the parameter and the allowed values; the line never
    holds a password or the URL.
    """
    try:
        parts = urlsplit(url)
        homes = [urlsplit(f"//{each}") for each in parts.netloc.split(",")]
        addresses = [(each.hostname, each.port) for each in homes]
    except ValueError:
        raise ValueError(
            "host and port cannot be read; special characters in user and password are "
            "written as %XX"
        ) from None
    if parts.scheme not in SCHEMES or not all(host for host, _ in addresses):
        raise ValueError(
            "a telephone's address begins with smsgate://USER:PASSWORD@HOST or smsgates:// for TLS"
        )
    if parts.fragment:
        raise ValueError("nothing but ?name=value may follow the path")
    given = options_of(SeveralOptions, parts.query, {}, _NUMBERS)
    for name in sorted(given.keys() & _NOT_IN_THE_QUERY):
        raise ValueError(f"{name}: no such parameter; allowed are {', '.join(PARAMETERS)}")
    devices = _listed("devices", given.pop("devices", ""), _DEVICE, "ids of telephones")
    if devices and len(homes) > 1:
        raise ValueError("devices: they are of one server; allowed: devices, or several hosts")
    count = max(len(homes), len(devices))
    if count > _MOST:
        raise ValueError(f"allowed are up to {_MOST} telephones")
    sims = _each("sims", given.pop("sims", "0").split(";"), count, _sims)
    keys = given.pop("signing_keys", "")
    if keys and keys.count(",") + 1 != count:
        raise ValueError(f"signing_keys: allowed is one for each of the {count} telephones")
    scheme = SCHEMES[parts.scheme]
    found = []
    for number in range(count):
        home = homes[number if len(homes) > 1 else 0]
        host, port = addresses[number if len(homes) > 1 else 0]
        netloc = f"[{host}]" if ":" in (host or "") else host or ""
        # The app's own server speaks HTTP on 8080, a server HTTPS on its usual port.
        port = port or (None if scheme == "https" else _PORT)
        own: dict[str, Any] = {
            "url": f"{scheme}://{netloc}{f':{port}' if port else ''}{parts.path.rstrip('/')}",
            "user": unquote(home.username or ""),
            "password": unquote(home.password or ""),
            "device": devices[number] if devices else "",
            "signing_key": keys.split(",")[number] if keys else "",
            # The id of a message is unique on one telephone: only there is a repeat safe.
            "idempotent": count == 1 and (bool(devices) or not parts.path.strip("/")),
        }
        found.append(
            tuple(
                PhoneOptions(**{**given, **own, **each, "rate": each["rate"] or given.get("rate")})
                for each in sims[number]
            )
        )
    return tuple(found)


def _listed(name: str, value: str, pattern: re.Pattern[str], what: str) -> list[str]:
    found = value.split(",") if value else []
    if not all(map(pattern.fullmatch, found)) or len(set(found)) < len(found):
        raise ValueError(f"{name}: allowed are {what} with commas between, each once")
    return found


def _each(name: str, groups: list[str], count: int, read: Any) -> list[list[dict[str, Any]]]:
    if len(groups) not in (1, count):
        raise ValueError(f"{name}: allowed are those of all {count} telephones, or of each")
    return [read(each) for each in groups * (count if len(groups) == 1 else 1)]


def _sims(group: str) -> list[dict[str, Any]]:
    matches = [_SIM.fullmatch(each) for each in group.split(",")]
    found = [
        {
            "sim": int(match[1]),
            "rate": float(match[2]) if match[2] else None,
            "number": f"+{match[3]}" if match[3] else "",
        }
        for match in matches
        if match
    ]
    if len(found) < len(matches) or len({each["sim"] for each in found}) < len(found):
        raise ValueError(
            "sims: allowed are SIM:RATE:NUMBER with commas between, as 1:0.2:32470000001,2:0.1; "
            "the rate (messages a second) and the number may be left out"
        )
    if len(found) > 1 and any(each["sim"] == 0 for each in found):
        raise ValueError("sims: 0 is the SIM that the telephone chooses; it stands alone")
    return found
