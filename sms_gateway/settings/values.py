"""The types of single settings: addresses, URLs, files, durations, number prefixes.

Each kind is a type with its `Allowed`; a ValueError without words stands for "see there".
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import phonenumbers
from pydantic import AfterValidator, BeforeValidator, Field, Secret

from ..caps import Cap


@dataclass(frozen=True, slots=True)
class Allowed:
    """The allowed values of a setting, in words for the person who sets it."""

    words: str


def masked(url: str) -> str:
    """A URL with its password, and whatever its query calls a secret, shown as `***`.

    Errs on the side of hiding, for the URL may be one with a mistake in it.
    """

    def hide(match: re.Match[str]) -> str:
        scheme, user, password = (group or "" for group in match.groups())
        return f"{scheme}{user}:***@" if password else f"{scheme}***@"

    url = re.sub(r"(?s)^([\w+.-]*://)?([^:@]*)(:.*)?@", hide, url)
    return re.sub(r"(?is)([?&;](?:pin|[^=&]*(?:pass|secret|token|key)[^=&]*)=)[^&]*", r"\1***", url)


class SecretUrl(Secret[str]):
    """A URL that shows itself masked; `get_secret_value()` is the whole."""

    def _display(self) -> str:
        return masked(self.get_secret_value())


class SecretTable(Secret[dict[str, Any]]):
    """The table of an upstream, which shows its kind only; `get_secret_value()` is the whole."""

    def _display(self) -> str:
        return f"kind = {self.get_secret_value().get('kind')}, …"


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; ValueError for anything else."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})", address)
    if match is None or int(match[2]) > 65535:
        raise ValueError
    return match[1].strip("[]"), int(match[2])


def _address(address: str) -> str:
    split_address(address)
    return address


# A label of a domain name (RFC 1123 §2.1).
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


def _optional(value: object) -> object:
    """`none`, or nothing, for what may be left out."""
    return None if value in ("", "none") else value


def _domain(domain: str) -> str:
    if len(domain) > 253 or not re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*\.?", domain):
        raise ValueError
    return domain.removesuffix(".")


def _database_url(value: SecretUrl) -> SecretUrl:
    url = value.get_secret_value()
    if url in ("sqlite://", "sqlite:///", "sqlite:///:memory:"):
        raise ValueError("a SQLite database has to be a file, for several processes share it")
    if not url.startswith("sqlite:///") and not re.match(r"postgresql://[^/]*/[^/?]", url):
        raise ValueError
    return value


def _public_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError
    if parts.query or parts.fragment or "@" in parts.netloc or re.search(r"[\s<>\"]", url):
        raise ValueError
    return url.rstrip("/")


#: Those of sms_gateway/bootstrap/upstreams.py. Providers by name may be URLs, too: twilio:?sid=…
_SCHEMES = {"sandbox", "smpp", "smpps", "http", "https", "smsgate", "smsgates"} | {
    "parlayx",
    "parlayxs",
    "modem",
}


def _upstream(value: object) -> object:
    """A URL, or a table with the `kind`. What only one kind knows is checked where it is made."""
    if isinstance(value, SecretUrl | SecretTable):
        return value
    if isinstance(value, dict):
        if not isinstance(value.get("kind"), str):
            raise ValueError("it has no kind, such as http or twilio")
        return SecretTable(value)
    scheme, colon, rest = str(value).partition(":")
    if not isinstance(value, str) or not colon:
        raise ValueError
    if scheme not in _SCHEMES and (not re.fullmatch("[a-z0-9]+", scheme) or rest[:1] != "?"):
        raise ValueError
    return SecretUrl(value)


def _relay(value: object) -> object:
    if value in ("", "none", None):
        return None
    url = value.get_secret_value() if isinstance(value, SecretUrl) else value
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        port = parts.port
    except ValueError:
        raise ValueError from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or port == 0:
        raise ValueError
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError
    return SecretUrl(url) if isinstance(url, str) else value


def _mail_address(address: str) -> str:
    if not re.fullmatch(r"(?:[^<>@\x00-\x1f]* <)?[^\s<>@]{1,64}@[^\s<>@]{1,253}>?", address):
        raise ValueError
    if ("<" in address) != address.endswith(">"):
        raise ValueError
    return address


def _networks(value: object) -> str:
    """Networks, one by one, with commas between; `none` is none."""
    listed = value if isinstance(value, list) else str(value).replace("none", "").split(",")
    return ",".join(str(ip_network(str(each).strip())) for each in listed if str(each).strip())


def _ports(value: object) -> str:
    """Ports and ranges of them, one by one, with commas between."""
    listed = value if isinstance(value, list) else str(value).split(",")
    found = [re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", str(each).strip()) for each in listed]
    for match in found:
        if match is None or not 1 <= int(match[1]) <= int(match[2] or match[1]) <= 65535:
            raise ValueError
    return ",".join(match[0] for match in found if match)


def _readable(path: Path) -> Path:
    if not path.is_file() or not os.access(path, os.R_OK):
        raise ValueError("no such file can be read")
    return path


def _region(value: object) -> object:
    if value == "none":
        return None
    if not isinstance(value, str) or value.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError
    return value.upper()


def _prefixes(value: object) -> object:
    """One prefix stands for a list of one; the plus sign may be left out."""
    prefixes = [value] if isinstance(value, str) else value
    if not isinstance(prefixes, list) or not prefixes:
        raise ValueError
    for prefix in prefixes:
        if not isinstance(prefix, str) or not re.fullmatch(r"\+?[0-9]{0,15}", prefix):
            raise ValueError
    return tuple(prefix.removeprefix("+") for prefix in prefixes)


def _cap(value: object) -> object:
    if value in ("", "none", None) or isinstance(value, Cap):
        return value or None
    return Cap.parse(str(value))


def _prefix_caps(value: object) -> object:
    """Caps by prefix; the plus sign may be left out."""
    if not isinstance(value, dict):
        raise ValueError
    for prefix in value:
        if not re.fullmatch(r"\+?[0-9]{1,15}", prefix):
            raise ValueError("a prefix is digits such as 225")
    found = {prefix.removeprefix("+"): _cap(cap) for prefix, cap in value.items()}
    if len(found) < len(value) or None in found.values():
        raise ValueError("each prefix stands there once, with its cap")
    return found


def _countries(value: object) -> str:
    """Countries with commas between; `none` is no list."""
    listed = value if isinstance(value, list) else str(value).replace("none", "").split(",")
    codes = sorted({str(each).strip().upper() for each in listed if str(each).strip()})
    if not phonenumbers.SUPPORTED_REGIONS.issuperset(codes):
        raise ValueError
    return ",".join(codes)


def _operator_callback(value: object) -> object:
    if value in ("", "none", None):
        return None
    url = value.get_secret_value() if isinstance(value, SecretUrl) else value
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        secret, port = unquote(parts.password or ""), parts.port
    except ValueError:
        raise ValueError from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or parts.username:
        raise ValueError
    # As Standard Webhooks has it: base64 of 24 to 64 bytes.
    if not re.fullmatch(r"whsec_(?:[A-Za-z0-9+/]{4}){8,21}[A-Za-z0-9+/]{0,3}={0,2}", secret):
        raise ValueError(
            "its password is the secret that signs: whsec_ and the output of openssl rand -hex 24"
        )
    return SecretUrl(url) if isinstance(url, str) else value


def _duration(unit: str, least: timedelta, most: timedelta) -> Callable[[object], timedelta]:
    """Reads `500ms`, `90s`, `5m`, `48h` or `2d`; a bare number counts `unit`s."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}

    def read(value: object) -> timedelta:
        match = re.fullmatch(r"([0-9]{1,7}(?:\.[0-9]{1,3})?) ?(ms|[smhd])?", str(value))
        if match is None:
            raise ValueError
        duration = timedelta(seconds=float(match[1]) * units[match[2] or unit])
        if not least <= duration <= most:
            raise ValueError
        return duration

    return read


def show_duration(duration: timedelta) -> str:
    """A duration as it is written in settings: the largest unit that fits."""
    milliseconds = round(duration.total_seconds() * 1_000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def milliseconds(duration: timedelta) -> int:
    """A duration as a number."""
    return duration // timedelta(milliseconds=1)


def show_milliseconds(milliseconds: int) -> str:
    """A duration as `show_duration` writes it."""
    return show_duration(timedelta(milliseconds=milliseconds))


def lower(value: object) -> object:
    """A word in any case."""
    return value.lower() if isinstance(value, str) else value


_UPSTREAMS = Allowed(
    "sandbox:, smpp://USER:PASSWORD@HOST:PORT (or smpps), https://HOST/sendsms/?apikey=KEY, "
    "smsgate://USER:PASSWORD@HOST:PORT, parlayx://USER:PASSWORD@HOST/PATH, modem:/dev/ttyUSB0, "
    "PROVIDER:?OPTION=VALUE, or a table with a kind"
)

Address = Annotated[
    str, AfterValidator(_address), Allowed("HOST:PORT, such as 127.0.0.1:8000 or [::]:8000")
]
OptionalAddress = Annotated[
    Annotated[str, AfterValidator(_address)] | None,
    BeforeValidator(_optional),
    Allowed("HOST:PORT, such as 0.0.0.0:25, or none"),
]
Domain = Annotated[
    Annotated[str, BeforeValidator(lower), AfterValidator(_domain)] | None,
    BeforeValidator(_optional),
    Allowed("a domain name, such as sms.example.com, or none"),
]
Relay = Annotated[
    SecretUrl | None,
    BeforeValidator(_relay),
    Allowed("smtp://USER:PASSWORD@HOST:PORT, smtps://…, or none"),
]
MailAddress = Annotated[
    Annotated[str, AfterValidator(_mail_address)] | None,
    BeforeValidator(_optional),
    Allowed("a mail address, such as sms@example.com or Name <sms@example.com>, or none"),
]
Networks = Annotated[
    str,
    BeforeValidator(_networks),
    Allowed("addresses and networks, such as 127.0.0.1,10.0.0.0/8, or none"),
]
Ports = Annotated[
    str, BeforeValidator(_ports), Allowed("ports and ranges of them, such as 80,443,8000-8999")
]
DatabaseUrl = Annotated[
    SecretUrl,
    AfterValidator(_database_url),
    Allowed(
        "sqlite:///FILE (sqlite:////FILE from the root) or postgresql://USER:PASSWORD@HOST/NAME, "
        "with several hosts HOST:PORT,HOST:PORT"
    ),
]
PublicUrl = Annotated[
    str,
    AfterValidator(_public_url),
    Allowed("http://HOST or https://HOST, with a port and a path where needed"),
]
UpstreamUrl = Annotated[SecretUrl | SecretTable, BeforeValidator(_upstream), _UPSTREAMS]
KeyFile = Annotated[
    str | None,
    BeforeValidator(_optional),
    Allowed("a file, or credential:NAME, or none"),
]
PemFile = Annotated[Path, AfterValidator(_readable), Allowed("a PEM file")]
Region = Annotated[
    str | None,
    BeforeValidator(_region),
    Allowed("the two letters of a country (ISO 3166), such as BE, or none"),
]
Prefixes = Annotated[
    tuple[str, ...],
    BeforeValidator(_prefixes),
    Allowed('digits such as "32", or a list of such; "" is every number'),
]
Seconds = Annotated[
    timedelta,
    BeforeValidator(_duration("s", timedelta(milliseconds=10), timedelta(hours=1))),
    Allowed("10ms to 1h, such as 500ms, 15s or 2m; a bare number is seconds"),
]
CapOrNone = Annotated[
    Cap | None, BeforeValidator(_cap), Allowed("5/min, 20/h, 500/day, 10000/month, or none")
]
PrefixCaps = Annotated[
    dict[str, Cap],
    BeforeValidator(_prefix_caps),
    Allowed('a table of prefixes and caps: 225 = "500/h"'),
]
PartsOrNone = Annotated[
    Annotated[int, Field(ge=1, le=999_999_999)] | None,
    BeforeValidator(_optional),
    Allowed("1 to 999999999, or none"),
]
Countries = Annotated[
    str,
    BeforeValidator(_countries),
    Allowed("the two letters of countries (ISO 3166), such as BE,FR, or none"),
]
OperatorCallback = Annotated[
    SecretUrl | None,
    BeforeValidator(_operator_callback),
    Allowed("https://:whsec_SECRET@HOST/PATH, or none"),
]
Words = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=40)], ...],
    Allowed("a list of words"),
]
Hours = Annotated[
    timedelta,
    BeforeValidator(_duration("h", timedelta(minutes=1), timedelta(days=30))),
    Allowed("1m to 30d, such as 90m, 48h or 2d; a bare number is hours"),
]
Days = Annotated[
    Annotated[timedelta, BeforeValidator(_duration("d", timedelta(0), timedelta(days=730)))] | None,
    BeforeValidator(_optional),
    Allowed("0 to 730d, such as 30d or 12h, or none; a bare number is days"),
]
