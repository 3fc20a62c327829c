"""Writes and reads the envelopes of Parlay X SMS (ETSI ES 202 391-4, 3GPP TS 29.199-4).

Our own WSDLs of these services are `wsdl/parlayx_*.wsdl`; tests hold both against each other.
"""

import base64
import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from ..moments import iso
from .http_contract import UnsendableError
from .parlayx_options import Auth

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_SCHEMA = "http://www.csapi.org/schema/parlayx/sms"
#: OASIS WS-Security 1.0 and its UsernameToken Profile 1.0.
_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
_WSSE, _WSU = f"{_OASIS}-wssecurity-secext-1.0.xsd", f"{_OASIS}-wssecurity-utility-1.0.xsd"
_TOKEN = f"{_OASIS}-username-token-profile-1.0"
_ENCODING = f"{_OASIS}-soap-message-security-1.0#Base64Binary"
#: Of Huawei's service delivery platforms.
_HUAWEI = "http://www.huawei.com.cn/schema/common/v2_1"

#: An element: its name, and its text or the elements in it. None leaves it out.
Item = tuple[str, "str | Sequence[Item] | None"]


def local(service: str, version: str) -> str:
    """The namespace of a service's elements, such as `send` of version 2.2."""
    return f"{_SCHEMA}/{service}/v{version.replace('.', '_')}/local"


def envelope(namespace: str, operation: str, items: Sequence[Item], header: "Header") -> bytes:
    """The request of an operation. UnsendableError for a character that XML does not have."""
    root = etree.Element(f"{{{_SOAP}}}Envelope", nsmap={"soapenv": _SOAP, "loc": namespace})
    header.write(etree.SubElement(root, f"{{{_SOAP}}}Header"))
    body = etree.SubElement(root, f"{{{_SOAP}}}Body")
    try:
        _add(etree.SubElement(body, f"{{{namespace}}}{operation}"), items, namespace)
        return etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    except ValueError:
        raise UnsendableError("the text has a character that XML does not have") from None


def _add(parent: etree._Element, items: Sequence[Item], namespace: str) -> None:
    for name, value in items:
        if value is None:
            continue
        child = etree.SubElement(parent, f"{{{namespace}}}{name}" if namespace else name)
        if isinstance(value, str):
            child.text = value
        else:
            # The types in common/v2_1 and sms/v2_2 are unqualified inside.
            _add(child, value, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Says who sends a request, at a moment (Unix milliseconds)."""

    auth: Auth
    user: str
    password: str
    service_id: str
    #: Of Huawei's header: who is charged; empty for requests about nobody.
    address: str
    at: int

    def write(self, header: etree._Element) -> None:
        """Add what the services want to read to the SOAP header."""
        match self.auth:
            case "text" | "digest":
                self._username_token(header)
            case "huawei":
                self._huawei(header)

    def _username_token(self, header: etree._Element) -> None:
        created, nonce = iso(self.at), secrets.token_bytes(16)
        password, kind = self.password, "PasswordText"
        if self.auth == "digest":
            # UsernameToken Profile 1.0, section 3.1.
            content = nonce + created.encode() + password.encode()
            password = base64.b64encode(hashlib.sha1(content).digest()).decode()  # noqa: S324
            kind = "PasswordDigest"
        security = etree.SubElement(header, f"{{{_WSSE}}}Security", nsmap={"wsse": _WSSE})
        security.set(f"{{{_SOAP}}}mustUnderstand", "1")
        token = etree.SubElement(security, f"{{{_WSSE}}}UsernameToken")
        etree.SubElement(token, f"{{{_WSSE}}}Username").text = self.user
        element = etree.SubElement(token, f"{{{_WSSE}}}Password", Type=f"{_TOKEN}#{kind}")
        element.text = password
        element = etree.SubElement(token, f"{{{_WSSE}}}Nonce", EncodingType=_ENCODING)
        element.text = base64.b64encode(nonce).decode()
        element = etree.SubElement(token, f"{{{_WSU}}}Created", nsmap={"wsu": _WSU})
        element.text = created

    def _huawei(self, header: etree._Element) -> None:
        stamp = iso(self.at, "seconds").translate({ord(sign): None for sign in "-:TZ"})
        digest = hashlib.md5((self.user + self.password + stamp).encode()).hexdigest()  # noqa: S324
        address = self.address or None
        items: list[Item] = [
            ("spId", self.user),
            ("spPassword", digest),
            ("serviceId", self.service_id),
            ("timeStamp", stamp),
            ("OA", address),
            ("FA", address),
        ]
        element = etree.SubElement(header, f"{{{_HUAWEI}}}RequestSOAPHeader", nsmap={"v2": _HUAWEI})
        _add(element, items, _HUAWEI)


@dataclass(frozen=True, slots=True)
class Read:
    """An envelope that came."""

    #: The operation, or `Fault`.
    name: str
    namespace: str
    #: The element of the operation or the fault.
    element: etree._Element
    #: The texts in the SOAP header, by their names.
    header: Mapping[str, str]

    def all(self, name: str) -> Iterator["Read"]:
        """The elements of this name, whatever their namespace."""
        for each in self.element.iter():
            found = etree.QName(each)
            if found.localname == name:
                yield Read(name, found.namespace or "", each, self.header)

    def text(self, name: str, default: str | None = None) -> str:
        """The text of the first element of this name; KeyError without one and a default."""
        for each in self.all(name):
            if not len(each.element):
                return (each.element.text or "").strip()
        if default is None:
            raise KeyError(name)
        return default


def read_envelope(octets: bytes) -> Read:
    """The operation in an envelope of SOAP 1.1. ValueError for anything else."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(octets, parser)
    except etree.XMLSyntaxError:
        raise ValueError("it is no XML") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("it has a document type")
    if etree.QName(root).localname != "Envelope":
        raise ValueError("it is no envelope")
    found = {etree.QName(child).localname: child for child in root}
    header = found.get("Header")
    told = {
        etree.QName(each).localname: (each.text or "").strip()
        for each in (header.iter() if header is not None else ())
        if not len(each)
    }
    body = found.get("Body")
    for child in () if body is None else body:
        name = etree.QName(child)
        return Read(name.localname, name.namespace or "", child, told)
    raise ValueError("its body is empty")


def response(asked: Read) -> bytes:
    """The answer to an operation that returns nothing, in the namespace that the caller uses."""
    root = etree.Element(f"{{{_SOAP}}}Envelope", nsmap={"soapenv": _SOAP})
    body = etree.SubElement(root, f"{{{_SOAP}}}Body")
    etree.SubElement(body, f"{{{asked.namespace}}}{asked.name}Response")
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)
