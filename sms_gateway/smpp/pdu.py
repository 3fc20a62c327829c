"""SMPP 3.4 PDUs as values (§4): all that an ESME sends or receives."""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from . import tlv
from .status import Status

#: command_ids from here on are answers (§5.1.2.1).
ANSWER = 0x80000000

# How a field travels (§3.1, §5.2): the kind, and the largest size in octets, NUL included.
CSTRING, INTEGER, OCTETS = "C-octet string", "integer", "octets"


def _cstring(limit: int, **options: Any) -> Any:
    return field(default="", metadata={"wire": (CSTRING, limit)}, **options)


def _integer(default: int = 0) -> Any:
    return field(default=default, metadata={"wire": (INTEGER, 1)})


def _octets(limit: int) -> Any:
    return field(default=b"", metadata={"wire": (OCTETS, limit)}, repr=False)


# Not frozen: that makes the making of one, with its twenty fields, half as slow again.
@dataclass(slots=True, kw_only=True)
class Pdu:
    """The header of every PDU. Fields with the specification's names follow in its order."""

    command_id: ClassVar[int]

    #: The session chooses it for the requests that it sends itself.
    sequence: int = 0
    #: command_status: 0, or why a request failed (see `status`).
    status: int = 0
    tlvs: tlv.Tlvs = field(default=(), repr=False)


@dataclass(slots=True, kw_only=True)
class UnreadablePdu(Pdu):
    """A whole PDU of which no sense can be made."""

    #: Its command_id.
    unreadable_id: int
    #: The status to answer with, if it is a request.
    complaint: Status


@dataclass(slots=True, kw_only=True)
class GenericNack(Pdu):
    command_id = ANSWER


@dataclass(slots=True, kw_only=True)
class Bind(Pdu):
    """The three binds, which have one layout (§4.1)."""

    # 16 and 9 in the specification; some carriers give out longer ones, and they are the judges.
    system_id: str = _cstring(64)
    password: str = _cstring(64, repr=False)
    system_type: str = _cstring(13)
    interface_version: int = _integer(0x34)
    addr_ton: int = _integer()
    addr_npi: int = _integer()
    address_range: str = _cstring(41)


@dataclass(slots=True, kw_only=True)
class BindReceiver(Bind):
    command_id = 0x00000001


@dataclass(slots=True, kw_only=True)
class BindTransmitter(Bind):
    command_id = 0x00000002


@dataclass(slots=True, kw_only=True)
class BindTransceiver(Bind):
    command_id = 0x00000009


@dataclass(slots=True, kw_only=True)
class BindResp(Pdu):
    """The answers to the three binds, which have one layout, too."""

    system_id: str = _cstring(16)


@dataclass(slots=True, kw_only=True)
class BindReceiverResp(BindResp):
    command_id = 0x80000001


@dataclass(slots=True, kw_only=True)
class BindTransmitterResp(BindResp):
    command_id = 0x80000002


@dataclass(slots=True, kw_only=True)
class BindTransceiverResp(BindResp):
    command_id = 0x80000009


@dataclass(slots=True, kw_only=True)
class Outbind(Pdu):
    command_id = 0x0000000B

    system_id: str = _cstring(16)
    password: str = _cstring(9, repr=False)


@dataclass(slots=True, kw_only=True)
class Unbind(Pdu):
    command_id = 0x00000006


@dataclass(slots=True, kw_only=True)
class UnbindResp(Pdu):
    command_id = 0x80000006


@dataclass(slots=True, kw_only=True)
class EnquireLink(Pdu):
    command_id = 0x00000015


@dataclass(slots=True, kw_only=True)
class EnquireLinkResp(Pdu):
    command_id = 0x80000015


@dataclass(slots=True, kw_only=True)
class AlertNotification(Pdu):
    command_id = 0x00000102

    source_addr_ton: int = _integer()
    source_addr_npi: int = _integer()
    source_addr: str = _cstring(65, repr=False)
    esme_addr_ton: int = _integer()
    esme_addr_npi: int = _integer()
    esme_addr: str = _cstring(65, repr=False)


@dataclass(slots=True, kw_only=True)
class SubmitSm(Pdu):
    command_id = 0x00000004

    service_type: str = _cstring(6)
    source_addr_ton: int = _integer()
    source_addr_npi: int = _integer()
    source_addr: str = _cstring(21, repr=False)
    dest_addr_ton: int = _integer()
    dest_addr_npi: int = _integer()
    destination_addr: str = _cstring(21, repr=False)
    esm_class: int = _integer()
    protocol_id: int = _integer()
    priority_flag: int = _integer()
    schedule_delivery_time: str = _cstring(17)
    validity_period: str = _cstring(17)
    registered_delivery: int = _integer()
    replace_if_present_flag: int = _integer()
    data_coding: int = _integer()
    sm_default_msg_id: int = _integer()
    short_message: bytes = _octets(254)


@dataclass(slots=True, kw_only=True)
class SubmitSmResp(Pdu):
    command_id = 0x80000004

    message_id: str = _cstring(65)


@dataclass(slots=True, kw_only=True)
class DeliverSm(SubmitSm):
    """A delivery receipt or a received message; the layout is that of submit_sm (§4.6.1)."""

    command_id = 0x00000005


@dataclass(slots=True, kw_only=True)
class DeliverSmResp(Pdu):
    command_id = 0x80000005

    #: Unused, and on the wire all the same (§4.6.2).
    message_id: str = _cstring(65)


@dataclass(slots=True, kw_only=True)
class DataSm(Pdu):
    command_id = 0x00000103

    service_type: str = _cstring(6)
    source_addr_ton: int = _integer()
    source_addr_npi: int = _integer()
    source_addr: str = _cstring(65, repr=False)
    dest_addr_ton: int = _integer()
    dest_addr_npi: int = _integer()
    destination_addr: str = _cstring(65, repr=False)
    esm_class: int = _integer()
    registered_delivery: int = _integer()
    data_coding: int = _integer()


@dataclass(slots=True, kw_only=True)
class DataSmResp(Pdu):
    command_id = 0x80000103

    message_id: str = _cstring(65)


PDUS: tuple[type[Pdu], ...] = (
    GenericNack,
    BindReceiver,
    BindReceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    BindTransceiver,
    BindTransceiverResp,
    Outbind,
    Unbind,
    UnbindResp,
    EnquireLink,
    EnquireLinkResp,
    AlertNotification,
    SubmitSm,
    SubmitSmResp,
    DeliverSm,
    DeliverSmResp,
    DataSm,
    DataSmResp,
)


def layout(pdu: type[Pdu]) -> tuple[tuple[str, str, int], ...]:
    """The fields of the body in the order of the wire: name, kind, largest size."""
    return tuple((f.name, *f.metadata["wire"]) for f in fields(pdu) if "wire" in f.metadata)


def carried(pdu: DeliverSm | DataSm) -> bytes:
    """The octets of the message, from short_message or from message_payload (§5.3.2.32)."""
    short_message = pdu.short_message if isinstance(pdu, DeliverSm) else b""
    return short_message or tlv.find(pdu.tlvs, tlv.MESSAGE_PAYLOAD) or b""
