"""The options of a bind to an SMSC, and their form as a URL."""

from dataclasses import dataclass, field, fields
from typing import Literal, get_args
from urllib.parse import unquote, urlsplit

from phonenumbers import SUPPORTED_REGIONS

from ..sms.encoding import DefaultAlphabet
from ..sms.receipt_words import read_words
from . import ReceiptsOf
from .url_options import check_limits, from_query

#: smpp:// and smpps://, as they are registered with IANA.
_PORTS = {"smpp": 2775, "smpps": 3550}

Validity = Literal["relative", "absolute", "none"]
#: The layouts of incoming septets in octets.
Septets = Literal["unpacked", "packed"]

_LIMITS: dict[str, tuple[float, float]] = {
    "port": (1, 65_535),
    "window": (1, 10_000),
    "rate": (0.01, 100_000),
    "registered_delivery": (0, 255),
    "response_timeout": (0.01, 600),
    "late_timeout": (0.01, 86_400),
    "enquire_interval": (0.01, 3_600),
    "connect_timeout": (0.01, 600),
    "reconnect_delay": (0.01, 3_600),
    "reconnect_delay_max": (0.01, 3_600),
    "locked_out_delay": (0.01, 86_400),
    "stop_timeout": (0, 600),
}
_WORDS = {
    "default_alphabet": get_args(DefaultAlphabet),
    "validity": get_args(Validity),
    "incoming_septets": get_args(Septets),
    "receipts": get_args(ReceiptsOf),
}
#: The longest texts, without their NUL (SMPP 3.4 §5.2, and see `BindTransceiver`).
_LENGTHS = {"system_id": 63, "password": 63, "system_type": 12, "service_type": 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmppOptions:
    """One transceiver bind. Times are in seconds. Raises ValueError for an impossible option."""

    host: str
    port: int = 2775
    #: Encrypt, and verify the SMSC's certificate and name.
    tls: bool = False
    #: PEM file with the certificates to trust; empty is the system's.
    cafile: str = ""
    #: PEM files with our own certificate and its key, for carriers that ask for one; the key may be
    #: in the file of the certificate.
    certfile: str = ""
    keyfile: str = ""
    #: The name in the SMSC's certificate, where that is not the host's.
    tls_name: str = ""

    system_id: str
    password: str = field(default="", repr=False)
    system_type: str = ""

    #: The most parts that wait for an answer at a time.
    window: int = 10
    #: The most parts per second; None leaves it to the SMSC to throttle.
    rate: float | None = None

    #: The alphabet that the carrier means by data_coding 0.
    default_alphabet: DefaultAlphabet = "gsm7"
    #: Most carriers deliver septets unpacked; SMPP 3.4 leaves that to them, too.
    incoming_septets: Septets = "unpacked"
    #: Where the carrier's national numbers are dialled (ISO 3166 alpha-2); empty leaves them.
    region: str = ""
    service_type: str = ""
    #: SMPP 3.4 §5.2.17; 1 asks for a receipt whatever becomes of the message.
    registered_delivery: int = 1
    #: For which parts of a long text the carrier sends receipts; "auto" learns it.
    receipts: ReceiptsOf = "auto"
    #: The carrier's own words for what became of a message: WORD:meaning, separated by commas.
    receipt_words: str = ""
    #: How the end of a message's validity is written (§7.1.1); "none" leaves it to the SMSC.
    validity: Validity = "relative"

    #: How long an answer may take before nobody knows what became of the part.
    response_timeout: float = 30
    #: How much later an answer is still recognised.
    late_timeout: float = 300
    #: After so much silence the SMSC is asked whether it is there.
    enquire_interval: float = 30

    connect_timeout: float = 10
    #: Before the first try to connect again; doubled each time, up to the most.
    reconnect_delay: float = 1
    reconnect_delay_max: float = 60
    #: After a wrong password or the like: many tries get an account locked.
    locked_out_delay: float = 60
    #: How long answers are waited for when the gateway stops.
    stop_timeout: float = 5

    def __post_init__(self) -> None:
        if not self.host:
            raise ValueError("the host is missing")
        if not self.system_id:
            raise ValueError("the user (system_id) is missing")
        for name, limit in _LENGTHS.items():
            value = getattr(self, name)
            if not value.isascii() or not value.isprintable() or len(value) > limit:
                raise ValueError(f"{name}: at most {limit} ASCII characters are allowed")
        check_limits(_LIMITS, {name: getattr(self, name) for name in _LIMITS})
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                raise ValueError(f"{name}={getattr(self, name)}: allowed are {', '.join(words)}")
        read_words(self.receipt_words)
        for name in ("cafile", "certfile", "keyfile", "tls_name"):
            if getattr(self, name) and not self.tls:
                raise ValueError(f"{name}: only smpps:// has certificates")
        if self.region and self.region not in SUPPORTED_REGIONS:
            raise ValueError(f"region={self.region}: allowed is a country in two letters, as BE")


_IN_THE_URL = frozenset(("host", "port", "tls", "system_id", "password"))
#: The options that the URL's query may have, by name.
PARAMETERS = {f.name: f.type for f in fields(SmppOptions) if f.name not in _IN_THE_URL}


def options_from_url(url: str) -> SmppOptions:
    """Read smpp://user:password@host:port?window=50&rate=100, or smpps:// for TLS.

    Special characters in user and password are written as %XX. Raises ValueError, in one line that
    names the parameter and what is allowed; it never holds the password or the URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname
    except ValueError:
        # The text in place of the port may be the end of a password.
        raise ValueError(
            "host and port cannot be read; special characters in user and password are "
            "written as %XX"
        ) from None
    if parts.scheme not in _PORTS:
        raise ValueError("an SMPP address begins with smpp:// or smpps://")
    if parts.path not in ("", "/") or parts.fragment:
        raise ValueError(
            "nothing but ?name=value may follow the port; special characters in user and "
            "password are written as %XX"
        )
    given = from_query(PARAMETERS, _LIMITS, parts.query)
    return SmppOptions(
        host=host or "",
        port=_PORTS[parts.scheme] if port is None else port,
        tls=parts.scheme == "smpps",
        system_id=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        **given,
    )
