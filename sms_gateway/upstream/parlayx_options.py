"""Holds the options of Parlay X services, and reads them from a URL."""

import re
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args
from urllib.parse import unquote, urlsplit

from .http_options import HttpOptions, options_of

#: The schemes: by HTTP, as in a private network of the operator's, and by HTTPS.
SCHEMES = {"parlayx": "http", "parlayxs": "https"}
#: The customary paths of services (docs/use/parlayx.md).
PATH = "/SendSmsService/services/SendSms"

#: How a request says who sends it: HTTP's Basic; WS-Security's UsernameToken with the password as
#: it is, or a digest of it; the header of Huawei's service delivery platforms; not at all, where
#: the operator knows us by our address.
Auth = Literal["basic", "text", "digest", "huawei", "none"]
#: The versions of the contract, which differ in their namespaces only (ETSI ES 202 391-4).
Version = Literal["2.1", "2.2", "2.3", "3.1"]
#: How telephone numbers are written: tel:+32…, tel:32…, +32…, 32….
Address = Literal["tel+", "tel", "plus", "digits"]

_WORDS = {"auth": get_args(Auth), "version": get_args(Version), "address": get_args(Address)}
_NUMBER = re.compile(r"[0-9]{2,15}")
_PATH = re.compile(r"(?:/[!-.0-;=@-~]*)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParlayXOptions(HttpOptions):
    """The services of an operator. Times are in seconds. ValueError for an impossible option."""

    #: The path of the service SendSms.
    path: str = field(default=PATH)
    #: The user, which Huawei calls spId.
    user: str = ""
    password: str = field(default="", repr=False)
    auth: Auth = "basic"
    version: Version = "2.2"
    address: Address = "tel+"
    #: The serviceId of Huawei's header.
    service_id: str = ""
    #: The senderName of messages that have no sender; empty leaves it out.
    sender_name: str = ""
    #: Ask by getSmsDeliveryStatus for the states of messages.
    receipts: bool = False
    #: The path of the service SmsNotificationManager; empty: the operator notifies us anyway.
    manager: str = ""
    #: The numbers whose messages we are notified of, with commas between: digits.
    numbers: str = ""
    #: The first word of the messages that we are notified of; empty: of all.
    criteria: str = ""
    #: The version in the namespace of SmsNotificationManager.
    manager_version: Version = "2.3"
    #: Stop the notifications when the gateway stops.
    stop_notification: bool = False

    def __post_init__(self) -> None:
        HttpOptions.__post_init__(self)
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                raise ValueError(f"{name}={getattr(self, name)}: allowed are {', '.join(words)}")
        if self.manager_version not in get_args(Version):
            raise ValueError(f"manager_version: allowed are {', '.join(get_args(Version))}")
        if (self.auth != "none") != bool(self.user and self.password):
            raise ValueError(
                "user and password are missing; where the operator gave none, write auth=none"
                if self.auth != "none"
                else "auth=none: allowed is an address without user and password"
            )
        if (self.auth == "huawei") != bool(self.service_id):
            raise ValueError("service_id: it goes with auth=huawei, which needs it")
        for name in ("path", "manager"):
            if (value := getattr(self, name)) and not _PATH.fullmatch(value):
                raise ValueError(f"{name}: allowed is a path, such as {PATH}")
        if bool(self.manager) != bool(self.numbers):
            raise ValueError("manager: it goes with numbers, the numbers to be notified of")
        if self.manager and not self.push_secret:
            raise ValueError("manager: it goes with push_secret")
        if self.numbers and not all(map(_NUMBER.fullmatch, self.numbers.split(","))):
            raise ValueError("numbers: allowed are digits with commas between, as 8000,32470000001")
        if self.receipts and self.push_secret:
            raise ValueError("receipts=1: it is for services that push nothing (push_secret)")
        if self.idempotent and not self.push_secret:
            raise ValueError("idempotent=1: it goes with push_secret, as the correlator does")
        if (self.criteria or self.stop_notification) and not self.manager:
            raise ValueError("criteria, stop_notification: they go with manager")


_IN_THE_URL = frozenset(("url", "path", "user", "password"))
#: The type of each parameter in the query of the URL, by name.
PARAMETERS = {f.name: f.type for f in fields(ParlayXOptions) if f.name not in _IN_THE_URL}


def options_from_url(url: str) -> ParlayXOptions:
    """Read parlayx://USER:PASSWORD@HOST:PORT/PATH, or parlayxs:// for TLS, with options in the
    query.

    Raises ValueError, in one line that names the parameter and the allowed values; the line never
    holds the password or the URL.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(
            "host and port cannot be read; special characters in user and password are "
            "written as %XX"
        ) from None
    if parts.scheme not in SCHEMES or not host:
        raise ValueError(
            "the address begins with parlayx://USER:PASSWORD@HOST, or parlayxs:// for TLS"
        )
    if parts.fragment:
        raise ValueError("nothing but ?name=value may follow the path")
    given = options_of(ParlayXOptions, parts.query, {})
    if wrong := sorted(given.keys() & _IN_THE_URL):
        raise ValueError(f"{wrong[0]}: it stands before the question mark")
    own: dict[str, Any] = {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "path": parts.path if parts.path.strip("/") else PATH,
    }
    netloc = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    return ParlayXOptions(url=f"{SCHEMES[parts.scheme]}://{netloc}", **given, **own)
