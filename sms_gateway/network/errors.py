"""Why a connection did not come about, in words that say what to set.

None of them holds more than the error does: no address, name, user or password.
"""

import errno
import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """How far a connection had come."""

    LOOKUP = "lookup"
    TCP = "TCP"
    TLS = "TLS"


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error in words, and advice. Options named in it are those of an upstream."""

    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.what}; {self.advice}"


_CHECK_ADDRESS = "check host and port, and that firewalls and the other side's list of allowed"
_CHECK_ADDRESS += " addresses let this machine through"
_WHICH_PORT = "take the port for TLS, or write smpp:// (http://) if there is none"

UNTRUSTED = Trouble(
    "the certificate is signed by nobody who is trusted",
    "set cafile to the CA certificate that the other side has given you",
)
OTHER_NAME = Trouble(
    "the certificate is for another name",
    "write the name in it as the host, or set tls_name to it",
)
EXPIRED = Trouble(
    "the certificate has expired",
    "ask the other side for a valid one, or check the clock of this machine",
)
NOT_YET_VALID = Trouble(
    "the certificate is not valid yet", "check the clock of this machine, or ask the other side"
)
INVALID = Trouble("the certificate is not valid", "ask the other side for a valid one")
NO_TLS = Trouble("the other side does not speak TLS on this port", _WHICH_PORT)
TLS_VERSION = Trouble(
    "there is no version of TLS that both sides speak", "ask the other side for TLS 1.2 or newer"
)
CERTIFICATE_WANTED = Trouble(
    "the other side asks for a client certificate",
    "set certfile and keyfile to the one that it has given you",
)
CERTIFICATE_REFUSED = Trouble(
    "the other side does not accept our client certificate",
    "set certfile and keyfile to the one that it has given you, and look whether it has expired",
)
TLS_REFUSED = Trouble(
    "the other side refuses TLS with us",
    "it may ask for a client certificate (certfile, keyfile), or for other ciphers",
)
NAME_REFUSED = Trouble(
    "the other side has nothing under this name",
    "write the name in its certificate as the host, or set tls_name to it",
)
TLS_BROKEN = Trouble("TLS failed", "look at the error, and ask the other side")
TLS_HUNG_UP = Trouble(
    "the other side hung up while TLS began",
    f"{_WHICH_PORT}; it may also ask for a client certificate (certfile, keyfile), or let only "
    "listed addresses in",
)
TLS_SILENT = Trouble("the other side does not answer in TLS", _WHICH_PORT)
NO_SUCH_NAME = Trouble("no such host is known", "check the host")
NO_RESOLVER = Trouble("the host cannot be looked up", "check the name servers of this machine")
NOBODY_LISTENS = Trouble("nothing listens there", "check host and port")
NO_WAY = Trouble("there is no way to it", "check the network, routes and firewalls of this machine")
NO_ANSWER = Trouble("there is no answer", _CHECK_ADDRESS)
HUNG_UP = Trouble("the other side hung up", _CHECK_ADDRESS)
UNREACHED = Trouble("none of its addresses is reached", _CHECK_ADDRESS)
BAD_NAME = Trouble("the host is none that a machine can have", "check the host")

# X509_V_ERR_* of OpenSSL (openssl/x509_vfy.h).
_VERIFY = {
    2: UNTRUSTED,  # no issuer
    18: UNTRUSTED,  # self-signed
    19: UNTRUSTED,  # self-signed in the chain
    20: UNTRUSTED,  # no local issuer
    21: UNTRUSTED,  # the leaf cannot be verified
    9: NOT_YET_VALID,
    10: EXPIRED,
    62: OTHER_NAME,
    64: OTHER_NAME,  # of an IP address
}

# `ssl.SSLError.reason`: of OpenSSL, and after ALERT what the other side says (RFC 8446, 6).
_REASONS = {
    "WRONG_VERSION_NUMBER": NO_TLS,
    "RECORD_LAYER_FAILURE": NO_TLS,
    "PACKET_LENGTH_TOO_LONG": NO_TLS,
    "HTTP_REQUEST": NO_TLS,
    "UNEXPECTED_EOF_WHILE_READING": TLS_HUNG_UP,
    "UNSUPPORTED_PROTOCOL": TLS_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": TLS_VERSION,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": CERTIFICATE_WANTED,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": TLS_REFUSED,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": TLS_REFUSED,
    "SSLV3_ALERT_BAD_CERTIFICATE": CERTIFICATE_REFUSED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": CERTIFICATE_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": CERTIFICATE_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": CERTIFICATE_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": CERTIFICATE_REFUSED,
    "TLSV1_ALERT_UNKNOWN_CA": CERTIFICATE_REFUSED,
    "TLSV1_ALERT_ACCESS_DENIED": CERTIFICATE_REFUSED,
    "TLSV1_ALERT_DECRYPT_ERROR": CERTIFICATE_REFUSED,
    "TLSV1_UNRECOGNIZED_NAME": NAME_REFUSED,
    "SSLV3_ALERT_UNRECOGNIZED_NAME": NAME_REFUSED,
}

_ERRNOS = {
    errno.ECONNREFUSED: NOBODY_LISTENS,
    errno.ECONNRESET: HUNG_UP,
    errno.ECONNABORTED: HUNG_UP,
    errno.EPIPE: HUNG_UP,
    errno.ENETUNREACH: NO_WAY,
    errno.EHOSTUNREACH: NO_WAY,
    errno.EADDRNOTAVAIL: NO_WAY,
    errno.EACCES: NO_WAY,
    errno.EPERM: NO_WAY,
    errno.ETIMEDOUT: NO_ANSWER,
}

_UNKNOWN_NAMES = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


def explain(error: BaseException, stage: Stage = Stage.TCP) -> Trouble:
    """An error of connecting at this stage, in words."""
    match error:
        case ssl.SSLCertVerificationError():
            return _VERIFY.get(error.verify_code, INVALID)
        case ssl.SSLError():
            return _REASONS.get(error.reason or "", TLS_BROKEN)
        case socket.gaierror():
            return NO_SUCH_NAME if error.errno in _UNKNOWN_NAMES else NO_RESOLVER
        case UnicodeError():
            return BAD_NAME
        case TimeoutError() if stage is Stage.LOOKUP:
            return NO_RESOLVER
        case TimeoutError():
            return TLS_SILENT if stage is Stage.TLS else NO_ANSWER
        case OSError():
            found = _ERRNOS.get(error.errno or 0, UNREACHED)
            # asyncio has no errno for an end in the middle of a handshake.
            is_end = found is HUNG_UP or isinstance(error, ConnectionError)
            return TLS_HUNG_UP if stage is Stage.TLS and is_end else found
    return UNREACHED


def first_words(octets: bytes) -> Trouble | None:
    """The error that a peer's first octets show where SMPP was expected; None for SMPP."""
    if octets[:2] in (b"\x15\x03", b"\x16\x03"):  # a record of TLS (RFC 8446, 5.1)
        return Trouble("the other side speaks TLS on this port", "write smpps:// for smpp://")
    # A command_length of 16 MB and more: what is readable there is another protocol's greeting.
    if octets[:1].isascii() and octets[:1].isalnum():
        return Trouble("the other side does not speak SMPP", "check host and port")
    return None
