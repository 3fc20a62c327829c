"""Reads the header blocks of WS-Addressing and WS-Security."""

from dataclasses import dataclass

from . import faults
from .document import Element
from .versions import Version

#: The namespace of each edition of WS-Addressing, with its address for "in this HTTP response" and
#: its action for a fault.
ADDRESSING = {
    "http://www.w3.org/2005/08/addressing": (
        "http://www.w3.org/2005/08/addressing/anonymous",
        "http://www.w3.org/2005/08/addressing/soap/fault",
    ),
    "http://schemas.xmlsoap.org/ws/2004/08/addressing": (
        "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous",
        "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault",
    ),
    "http://schemas.xmlsoap.org/ws/2004/03/addressing": (
        "http://schemas.xmlsoap.org/ws/2004/03/addressing/role/anonymous",
        "http://schemas.xmlsoap.org/ws/2004/03/addressing/fault",
    ),
    "http://schemas.xmlsoap.org/ws/2003/03/addressing": (
        "http://schemas.xmlsoap.org/ws/2003/03/addressing/role/anonymous",
        "http://schemas.xmlsoap.org/ws/2003/03/addressing/fault",
    ),
}

_OASIS = "http://docs.oasis-open.org/wss/"
#: The namespace of Timestamp.
UTILITY = _OASIS + "2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
SECURITY = frozenset(
    {
        _OASIS + "2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
        _OASIS + "oasis-wss-wssecurity-secext-1.1.xsd",
        "http://schemas.xmlsoap.org/ws/2003/06/secext",
        "http://schemas.xmlsoap.org/ws/2002/12/secext",
        "http://schemas.xmlsoap.org/ws/2002/07/secext",
        "http://schemas.xmlsoap.org/ws/2002/04/secext",
    }
)


#: The longest MessageID, which every answer repeats, in characters. Stacks write about 45.
MAX_MESSAGE_ID = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressing:
    """The WS-Addressing properties of a request (WS-Addressing 1.0 core §3)."""

    #: The namespace of its edition, which the answer uses too.
    namespace: str
    #: The MessageID, chosen by the client; empty when it has none.
    message_id: str


def addressing(blocks: list[Element]) -> Addressing | None:
    """The request's addressing, or None when it has none. Raises SoapFault."""
    ours = [block for block in blocks if block.namespace in ADDRESSING]
    if not ours:
        return None
    message_id = next((block.text.strip() for block in ours if block.local_name == "MessageID"), "")
    if len(message_id) > MAX_MESSAGE_ID:
        raise faults.client("The MessageID is too long")
    return Addressing(namespace=ours[0].namespace, message_id=message_id)


def timestamped(blocks: list[Element]) -> str:
    """The namespace of a Security header with a Timestamp in it; empty when there is none."""
    for security in blocks:
        if security.namespace in SECURITY and security.local_name == "Security":
            for part in security.children:
                if part.name == f"{{{UTILITY}}}Timestamp":
                    return security.namespace
    return ""


def password(blocks: list[Element]) -> str:
    """The password of a UsernameToken; empty when there is none, or only a digest of one."""
    for security in blocks:
        if security.namespace not in SECURITY or security.local_name != "Security":
            continue
        for token in security.children:
            for part in token.children:
                if token.local_name == "UsernameToken" and part.local_name == "Password":
                    digest = part.attribute("Type").endswith("PasswordDigest")
                    return "" if digest else part.text.strip()
    return ""


def check(blocks: list[Element], version: Version) -> None:
    """Raise SoapFault for a header or a reply address that we must honour and cannot."""
    strange = [
        block.name
        for block in blocks
        if block.attribute("mustUnderstand", version.namespace).strip() in ("1", "true")
        and block.attribute(version.role, version.namespace).strip() in version.ours
        and block.namespace not in ADDRESSING
        and block.namespace not in SECURITY
    ]
    if strange:
        raise faults.must_understand(strange)
    for block in blocks:
        if block.local_name in ("ReplyTo", "FaultTo") and block.namespace in ADDRESSING:
            anonymous, _ = ADDRESSING[block.namespace]
            for part in block.children:
                if part.local_name == "Address" and part.text.strip() != anonymous:
                    raise faults.client("Replies are given in the HTTP response only")
