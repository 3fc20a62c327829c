"""Optional parameters: tag, length, value (SMPP 3.4 §3.2.4, §5.3.2)."""

import struct
from collections.abc import Iterable

#: Tag and value, in the order of the PDU; a tag may come more than once.
Tlvs = tuple[tuple[int, bytes], ...]

DEST_ADDR_SUBUNIT = 0x0005
RECEIPTED_MESSAGE_ID = 0x001E
SAR_MSG_REF_NUM = 0x020C
SAR_TOTAL_SEGMENTS = 0x020E
SAR_SEGMENT_SEQNUM = 0x020F
SC_INTERFACE_VERSION = 0x0210
NETWORK_ERROR_CODE = 0x0423
MESSAGE_PAYLOAD = 0x0424
MESSAGE_STATE = 0x0427

_HEAD = struct.Struct(">HH")


def read(octets: bytes, offset: int) -> Tlvs:
    """The parameters from `offset` to the end, known or not.

    Some SMSCs pad a PDU or miscount its last value: octets at the end that make no whole parameter
    are left out, and the parameters before them count.
    """
    found = []
    while offset + 4 <= len(octets):
        tag, length = _HEAD.unpack_from(octets, offset)
        end = offset + 4 + length
        if end > len(octets):
            break
        found.append((tag, octets[offset + 4 : end]))
        offset = end
    return tuple(found)


def write(tlvs: Iterable[tuple[int, bytes]]) -> bytes:
    """Parameters as bytes. Raises struct.error for a value over 65,535 octets."""
    return b"".join(_HEAD.pack(tag, len(value)) + value for tag, value in tlvs)


def find(tlvs: Tlvs, tag: int) -> bytes | None:
    """The first value with this tag."""
    for found, value in tlvs:
        if found == tag:
            return value
    return None


def number(tlvs: Tlvs, tag: int) -> int | None:
    """The first value with this tag as an unsigned integer of one to four octets."""
    value = find(tlvs, tag)
    return int.from_bytes(value, "big") if value and len(value) <= 4 else None


def text(tlvs: Tlvs, tag: int) -> str | None:
    """The first value with this tag as a C-octet string, with or without its NUL."""
    value = find(tlvs, tag)
    return None if value is None else value.partition(b"\0")[0].decode("latin-1")
