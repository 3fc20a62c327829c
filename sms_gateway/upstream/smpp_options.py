"""The options of an SMPP upstream, and their form as a URL."""

from dataclasses import dataclass, field, fields
from functools import cache
from ipaddress import ip_address
from typing import Any, Literal, get_args
from urllib.parse import unquote, urlsplit

from phonenumbers import SUPPORTED_REGIONS

from ..sms.encoding import DefaultAlphabet
from ..sms.receipt_words import read_words
from ..sms.segments import LongTexts
from . import ReceiptsOf
from .url_options import check_limits, from_query

#: smpp:// and smpps://, as they are registered with IANA.
_PORTS = {"smpp": 2775, "smpps": 3550}

#: The binds of an upstream: one kind for both directions, one for each, or none for receiving.
Binding = Literal["transceiver", "separate", "transmitter"]
Version = Literal["3.4", "3.3", "5.0"]
Validity = Literal["relative", "absolute", "none"]
#: The layouts of septets in octets.
Septets = Literal["unpacked", "packed"]
#: The forms of a number with its country code, +32494000000: 32494000000, +32494000000,
#: 0032494000000; where it is a number of `region` also 0494000000 and 494000000, else as 00.
NumberForm = Literal["digits", "plus", "00", "national", "significant"]
MessageClass = Literal["none", "0", "1", "2", "3"]
MessageClassBy = Literal["data_coding", "dest_addr_subunit"]

#: registered_delivery by word (SMPP 3.4 §5.2.17): bits 0 and 1 ask for receipts, bit 4 for notes
#: on the way.
REGISTERED_DELIVERY = {"final": 0x01, "failures": 0x02, "all": 0x11, "none": 0x00}
#: interface_version (SMPP 3.4 §5.2.4, SMPP 5.0 §4.7.13).
INTERFACE_VERSION: dict[Version, int] = {"3.3": 0x33, "3.4": 0x34, "5.0": 0x50}

_LIMITS: dict[str, tuple[float, float]] = {
    "port": (1, 65_535),
    "binds": (1, 100),
    "receivers": (1, 100),
    "receiver_port": (0, 65_535),
    "window": (1, 10_000),
    "rate": (0.01, 100_000),
    "default_data_coding": (0, 255),
    "ucs2_data_coding": (0, 255),
    "short_digits": (2, 15),
    "protocol_id": (0, 255),
    "priority_flag": (0, 3),
    "response_timeout": (0.01, 600),
    "late_timeout": (0.01, 86_400),
    "enquire_interval": (0.01, 3_600),
    "inactivity_timeout": (0, 86_400),
    "connect_timeout": (0.01, 600),
    "reconnect_delay": (0.01, 3_600),
    "reconnect_delay_max": (0.01, 3_600),
    "locked_out_delay": (0.01, 86_400),
    "stop_timeout": (0, 600),
}
_WORDS = {
    "bind": get_args(Binding),
    "version": get_args(Version),
    "default_alphabet": get_args(DefaultAlphabet),
    "validity": get_args(Validity),
    "incoming_septets": get_args(Septets),
    "outgoing_septets": get_args(Septets),
    "long_texts": get_args(LongTexts),
    "message_class": get_args(MessageClass),
    "message_class_by": get_args(MessageClassBy),
    "recipient_form": get_args(NumberForm),
    "sender_form": get_args(NumberForm),
    "receipts": get_args(ReceiptsOf),
}
#: The longest texts, without their NUL (SMPP 3.4 §5.2, and see `Bind`).
_LENGTHS = {
    "system_id": 63,
    "password": 63,
    "system_type": 12,
    "address_range": 40,
    "service_type": 5,
    # RFC 1929 section 2
    "socks_user": 255,
    "socks_password": 255,
}
_TONS = (
    "ton_recipient",
    "ton_international",
    "ton_national",
    "ton_short",
    "ton_alphanumeric",
    "ton_address_range",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmppOptions:
    """An account at an SMSC. Times are in seconds. Raises ValueError for an impossible option.

    An option `ton_…` is TON/NPI (SMPP 3.4 §5.2.5, §5.2.6).
    """

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
    #: The address of this machine that connections come from; empty leaves it to the system.
    local_address: str = ""
    #: HOST:PORT of a SOCKS5 server to connect through (RFC 1928).
    socks: str = ""
    socks_user: str = ""
    socks_password: str = field(default="", repr=False)

    system_id: str
    password: str = field(default="", repr=False)
    system_type: str = ""
    version: Version = "3.4"
    bind: Binding = "transceiver"
    #: How many transceivers or transmitters; parts go by the one with the most room.
    binds: int = 1
    #: How many receivers beside transmitters, and where they connect to, if elsewhere.
    receivers: int = 1
    receiver_host: str = ""
    receiver_port: int = 0
    #: The numbers whose messages come to this bind (SMPP 3.4 §5.2.7).
    address_range: str = ""
    ton_address_range: str = "0/0"

    #: The most parts that wait for an answer at a time on each bind.
    window: int = 10
    #: The most parts per second over all binds; None leaves it to the SMSC to throttle.
    rate: float | None = None

    #: The alphabet that the carrier means by default_data_coding.
    default_alphabet: DefaultAlphabet = "gsm7"
    #: The data_coding of texts in that alphabet, and of those in UCS-2.
    default_data_coding: int = 0
    ucs2_data_coding: int = 8
    #: How septets leave, and how they come: most carriers want and deliver them unpacked; SMPP 3.4
    #: leaves that to them, too.
    outgoing_septets: Septets = "unpacked"
    incoming_septets: Septets = "unpacked"
    #: How the parts of a long text are joined: a user data header with a reference of 8 or 16
    #: bits, sar parameters, or the whole text in message_payload.
    long_texts: LongTexts = "udh8"
    #: The class of all messages (3GPP TS 23.038 §4): 0 shows at once and is not kept.
    message_class: MessageClass = "none"
    message_class_by: MessageClassBy = "data_coding"

    #: Where the carrier's national numbers are dialled (ISO 3166 alpha-2); empty leaves them.
    region: str = ""
    recipient_form: NumberForm = "digits"
    sender_form: NumberForm = "digits"
    ton_recipient: str = "1/1"
    ton_international: str = "1/1"
    ton_national: str = "2/1"
    ton_short: str = "3/0"
    ton_alphanumeric: str = "5/0"
    #: Senders of up to so many digits are short codes: the shortest numbers have seven digits with
    #: their country code.
    short_digits: int = 6

    service_type: str = ""
    protocol_id: int = 0
    priority_flag: int = 0
    #: A word of REGISTERED_DELIVERY, or the number itself.
    registered_delivery: str = "final"
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
    #: After so long without a message or receipt a bind is opened anew; 0 is never.
    inactivity_timeout: float = 0

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
        for name in _TONS:
            try:
                ton_npi(getattr(self, name))
            except ValueError:
                value = getattr(self, name)
                raise ValueError(
                    f"{name}={value}: allowed is TON/NPI, two numbers such as 1/1"
                ) from None
        for name in ("cafile", "certfile", "keyfile", "tls_name"):
            if getattr(self, name) and not self.tls:
                raise ValueError(f"{name}: only smpps:// has certificates")
        if self.region and self.region not in SUPPORTED_REGIONS:
            raise ValueError(f"region={self.region}: allowed is a country in two letters, as BE")
        if self.local_address and not _is_address(self.local_address):
            raise ValueError(
                f"local_address={self.local_address}: allowed is an IP address of this machine"
            )
        if self.socks:
            socks_address(self.socks)
        self.asked_for()
        for applies, complaint in _CONTRADICTIONS:
            if applies(self):
                raise ValueError(complaint)

    def asked_for(self) -> int:
        """registered_delivery as a number; ValueError for what is none."""
        value = self.registered_delivery
        number = REGISTERED_DELIVERY.get(value)
        if number is None and value.isascii() and value.isdigit() and int(value) <= 255:
            number = int(value)
        if number is None:
            words = ", ".join(REGISTERED_DELIVERY)
            raise ValueError(
                f"registered_delivery={value}: allowed are {words}, or a number from 0 to 255"
            )
        return number


@cache
def ton_npi(value: str) -> tuple[int, int]:
    """TON and NPI of "1/1"; ValueError for anything else."""
    ton, npi = value.split("/")
    # SMPP 3.4 §5.2.5 and §5.2.6 name seven and nineteen; carriers have others of their own.
    found = int(ton), int(npi)
    if not all(0 <= each <= 255 for each in found):
        raise ValueError
    return found


def socks_address(value: str) -> tuple[str, int]:
    """Host and port of a SOCKS server, "[::1]:1080"; ValueError for anything else."""
    try:
        parts = urlsplit(f"//{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or "@" in value or parts.path or parts.query or parts.fragment:
        # What stands before an @ may be a password.
        raise ValueError(
            "socks: allowed is HOST:PORT; its user and password are socks_user and socks_password"
        )
    return host, port


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def _is_national(options: SmppOptions) -> bool:
    return not {"national", "significant"}.isdisjoint((options.recipient_form, options.sender_form))


#: Options that are possible, and not together: the first that applies is told.
_CONTRADICTIONS: tuple[tuple[Any, str], ...] = (
    (
        lambda o: (
            o.bind != "separate"
            and (o.receivers != 1 or o.receiver_host != "" or o.receiver_port != 0)
        ),
        "receivers, receiver_host and receiver_port: only bind=separate has receivers",
    ),
    (
        lambda o: o.bind == "transmitter" and o.asked_for() != 0,
        "bind=transmitter receives nothing, so no receipts either: set "
        "registered_delivery=none, or bind=separate",
    ),
    (
        lambda o: o.bind == "transmitter" and o.address_range != "",
        "address_range: with bind=transmitter nothing is received; leave it out, or set "
        "bind=separate",
    ),
    (
        lambda o: o.version == "3.3" and o.bind == "transceiver",
        "version=3.3 has no transceivers: set bind=separate",
    ),
    (
        lambda o: (
            o.version == "3.3"
            and (o.long_texts in ("sar", "payload") or o.message_class_by != "data_coding")
        ),
        "version=3.3 has no optional parameters: long_texts has to be udh8 or udh16, and "
        "message_class_by data_coding",
    ),
    (
        lambda o: o.default_data_coding == o.ucs2_data_coding,
        "default_data_coding and ucs2_data_coding are the same: nobody could tell the alphabets "
        "apart",
    ),
    (
        lambda o: o.default_data_coding == 3 and o.default_alphabet != "latin1",
        "default_data_coding=3 is Latin-1 (SMPP 3.4, 5.2.19): set default_alphabet=latin1",
    ),
    (
        lambda o: o.outgoing_septets == "packed" and o.default_alphabet != "gsm7",
        "outgoing_septets=packed: only default_alphabet=gsm7 has septets",
    ),
    (
        lambda o: o.message_class == "none" and o.message_class_by != "data_coding",
        "message_class_by: there is no message_class",
    ),
    (
        lambda o: (
            o.message_class != "none"
            and o.message_class_by == "data_coding"
            and (o.default_data_coding, o.ucs2_data_coding, o.default_alphabet) != (0, 8, "gsm7")
        ),
        "message_class by data_coding says the alphabet as well (3GPP TS 23.038, 4): leave "
        "default_alphabet, default_data_coding and ucs2_data_coding out, or set "
        "message_class_by=dest_addr_subunit",
    ),
    (
        lambda o: _is_national(o) and not o.region,
        "national numbers are those of a country: set region to it, as BE",
    ),
    (
        lambda o: not o.socks and (o.socks_user != "" or o.socks_password != ""),
        "socks_user and socks_password: there is no socks server for them",
    ),
    (
        lambda o: o.socks_password != "" and o.socks_user == "",
        "socks_password: there is no socks_user with it",
    ),
)


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
