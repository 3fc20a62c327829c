"""SMPP 3.4 PDUs as bytes (§3.1, §4, §5).

Reading is lenient where SMSCs are known to be careless and nothing can be misunderstood:
- a C-octet string ends at its NUL or with the PDU, however long it is;
- an answer may end early: the fields that are missing have their defaults;
- what follows the optional parameters is left out (see `tlv.read`).
Writing is strict: a value that does not fit its field raises EncodeError.
"""

import struct
from typing import Any

from ..errors import GatewayError
from . import tlv
from .pdu import ANSWER, CSTRING, INTEGER, PDUS, Pdu, UnreadablePdu, layout
from .status import INVALID_COMMAND_ID, INVALID_COMMAND_LENGTH, Status

#: The longest PDU that is read: the longest optional parameter (65,535 octets) and room to spare.
MAX_LENGTH = 0x20000

_HEADER = struct.Struct(">IIII")
_ONE_OCTET = tuple(bytes([value]) for value in range(256))
_LAYOUTS = {pdu: layout(pdu) for pdu in PDUS}
_BY_ID = {pdu.command_id: (pdu, _LAYOUTS[pdu]) for pdu in PDUS}


class FramingError(GatewayError):
    """A command_length that no PDU can have: where the next PDU begins cannot be known."""


class EncodeError(GatewayError, ValueError):
    """A value that does not fit its field. The text names the field, never the value."""


def encode(pdu: Pdu, sequence: int | None = None) -> bytes:
    """The PDU as it travels, with another sequence number if one is given.

    Raises EncodeError when a value does not fit its field.
    """
    pieces = [b""]
    for name, kind, limit in _LAYOUTS[type(pdu)]:
        value = getattr(pdu, name)
        if kind is INTEGER:
            if not 0 <= value <= 0xFF:
                raise EncodeError(f"{name} does not fit one octet")
            pieces.append(_ONE_OCTET[value])
            continue
        if kind is CSTRING:
            try:
                value = value.encode("latin-1")
            except UnicodeEncodeError:
                raise EncodeError(f"{name} has a character that cannot be sent") from None
            if b"\0" in value:
                raise EncodeError(f"{name} has a NUL in it")
            if len(value) >= limit:
                raise EncodeError(f"{name} is longer than {limit - 1} octets")
            pieces.append(value)
            pieces.append(b"\0")
        else:
            if len(value) > limit:
                raise EncodeError(f"{name} is longer than {limit} octets")
            pieces.append(_ONE_OCTET[len(value)])
            pieces.append(value)
    if pdu.tlvs:
        try:
            pieces.append(tlv.write(pdu.tlvs))
        except struct.error:
            raise EncodeError("an optional parameter is out of range") from None
    length = _HEADER.size + sum(map(len, pieces))
    number = pdu.sequence if sequence is None else sequence
    pieces[0] = _HEADER.pack(length, pdu.command_id, pdu.status, number)
    return b"".join(pieces)


def decode(octets: bytes) -> Pdu:
    """One whole PDU, header included; an `UnreadablePdu` for an unknown kind or a short one."""
    _, command_id, status, sequence = _HEADER.unpack_from(octets)

    def unreadable(complaint: Status) -> UnreadablePdu:
        return UnreadablePdu(
            sequence=sequence, status=status, unreadable_id=command_id, complaint=complaint
        )

    known = _BY_ID.get(command_id)
    if known is None:
        return unreadable(INVALID_COMMAND_ID)
    pdu, wire = known
    values: dict[str, Any] = {}
    offset, end = _HEADER.size, len(octets)
    for name, kind, _ in wire:
        if offset >= end:
            break
        if kind is INTEGER:
            values[name] = octets[offset]
            offset += 1
        elif kind is CSTRING:
            nul = octets.find(b"\0", offset)
            if nul < 0:
                nul = end
            values[name] = octets[offset:nul].decode("latin-1")
            offset = nul + 1
        else:
            start, offset = offset + 1, offset + 1 + octets[offset]
            if offset > end:
                break
            values[name] = octets[start:offset]
    if len(values) < len(wire) and command_id < ANSWER:
        return unreadable(INVALID_COMMAND_LENGTH)
    return pdu(sequence=sequence, status=status, tlvs=tlv.read(octets, offset), **values)


class Decoder:
    """Takes bytes as they come and gives PDUs; the cost is linear in the bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        # Bytes already read are dropped once per feed, not once per PDU.
        del self._buffer[: self._offset]
        self._offset = 0
        self._buffer += data

    def next(self) -> Pdu | None:
        """The next PDU; None when its bytes have not all come yet.

        Raises FramingError, then and on every later call, for an impossible command_length.
        """
        available = len(self._buffer) - self._offset
        if available < 4:
            return None
        length = int.from_bytes(self._buffer[self._offset : self._offset + 4], "big")
        if not _HEADER.size <= length <= MAX_LENGTH:
            raise FramingError(f"command_length is {length}")
        if available < length:
            return None
        octets = bytes(self._buffer[self._offset : self._offset + length])
        self._offset += length
        return decode(octets)
