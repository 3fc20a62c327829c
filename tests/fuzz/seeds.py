"""Inputs to begin with: what SMSCs say when they behave, and a little of what they do not."""

from sms_gateway.smpp import tlv
from sms_gateway.smpp.codec import encode
from sms_gateway.smpp.pdu import (
    DataSm,
    DeliverSm,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Pdu,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)

_RECEIPT = (
    b"id:00AF sub:001 dlvrd:001 submit date:2607011200 done date:260701120005 stat:DELIVRD err:00B "
    b"text:Hello"
)
_SAID: tuple[tuple[Pdu, ...], ...] = (
    (SubmitSmResp(sequence=2, message_id="00AF"), SubmitSmResp(sequence=3, status=0x58)),
    (DeliverSm(sequence=1, source_addr="32494", esm_class=4, short_message=_RECEIPT),),
    (
        DeliverSm(
            sequence=2,
            source_addr="32494",
            tlvs=((tlv.RECEIPTED_MESSAGE_ID, b"00AF\0"), (tlv.MESSAGE_STATE, b"\x02")),
        ),
    ),
    (
        DeliverSm(
            sequence=3,
            source_addr="32494",
            esm_class=0x40,
            data_coding=8,
            short_message=b"\x05\x00\x03\x07\x02\x01\x04\x16",
        ),
    ),
    (
        DataSm(
            sequence=4,
            source_addr="8888",
            tlvs=(
                (tlv.MESSAGE_PAYLOAD, b"Hello"),
                (tlv.SAR_MSG_REF_NUM, b"\x01\x02"),
                (tlv.SAR_TOTAL_SEGMENTS, b"\x02"),
                (tlv.SAR_SEGMENT_SEQNUM, b"\x01"),
            ),
        ),
    ),
    (EnquireLink(sequence=5), EnquireLinkResp(sequence=3), GenericNack(sequence=2, status=3)),
    (Unbind(sequence=6), SubmitSmResp(sequence=2, message_id="1"), UnbindResp(sequence=9)),
)

#: The first octet of an input says in which pieces it comes.
SEEDS = [
    bytes([size]) + b"".join(map(encode, said)) + end
    for said in _SAID
    for size, end in ((255, b""), (6, b""), (40, bytes.fromhex("7fffffff80000004")))
]
