"""Defines the differences between SOAP 1.1 and 1.2 in one table."""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The properties of a version of SOAP, for reading and writing."""

    #: The namespace of Envelope, Header, Body and Fault.
    namespace: str
    #: The Content-Type of its messages.
    media_type: str
    #: The attribute with the role that a header is for: SOAP 1.1 §4.2.2, SOAP 1.2 part 1 §5.2.2.
    role: str
    #: The roles of every receiver. A header without the attribute is for us, too.
    ours: frozenset[str]
    #: The fault codes by their SOAP 1.1 names: SOAP 1.1 §4.4.1, SOAP 1.2 part 1 §5.4.6.
    codes: MappingProxyType[str, str]


SOAP11 = Version(
    namespace="http://schemas.xmlsoap.org/soap/envelope/",
    media_type="text/xml; charset=utf-8",
    role="actor",
    ours=frozenset({"", "http://schemas.xmlsoap.org/soap/actor/next"}),
    codes=MappingProxyType(
        {name: name for name in ("Client", "Server", "MustUnderstand", "VersionMismatch")}
    ),
)

SOAP12 = Version(
    namespace="http://www.w3.org/2003/05/soap-envelope",
    media_type="application/soap+xml; charset=utf-8",
    role="role",
    ours=frozenset(
        {
            "",
            "http://www.w3.org/2003/05/soap-envelope/role/next",
            "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver",
        }
    ),
    codes=MappingProxyType(
        {
            "Client": "Sender",
            "Server": "Receiver",
            "MustUnderstand": "MustUnderstand",
            "VersionMismatch": "VersionMismatch",
        }
    ),
)

BY_NAMESPACE = MappingProxyType({version.namespace: version for version in (SOAP11, SOAP12)})


def likely(body: bytes, content_type: str) -> Version:
    """The version in which to refuse a request whose envelope cannot be read."""
    head = body[:1024]
    if SOAP11.namespace.encode() in head:
        return SOAP11
    if SOAP12.namespace.encode() in head or "application/soap+xml" in content_type.lower():
        return SOAP12
    return SOAP11
