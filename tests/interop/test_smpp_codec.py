"""Our reading of SMPP 3.4 against that of node-smpp and of smpp.pdu."""

import io
import json
from typing import Any

import pytest
from smpp.pdu import pdu_types
from smpp.pdu.pdu_encoding import PDUEncoder
from support.smsc import evaluate
from support.upstreams import a_delivery

from sms_gateway.smpp import tlv
from sms_gateway.smpp.codec import decode, encode
from sms_gateway.smpp.pdu import PDUS, DataSm, DeliverSm, SubmitSm, SubmitSmResp, layout
from sms_gateway.smpp.status import STATUSES
from sms_gateway.upstream.smpp_messages import submit_sms
from sms_gateway.upstream.smpp_options import SmppOptions


def test_the_statuses_are_those_of_the_standard() -> None:
    errors = json.loads(evaluate("JSON.stringify(smpp.errors)"))
    # From 0x107 on they are about broadcasts (SMPP 5.0 section 4.7.6).
    assert {number for number in errors.values() if number < 0x107} == set(STATUSES)


def test_the_pdus_have_their_ids_and_fields() -> None:
    commands = json.loads(evaluate("JSON.stringify(smpp.commandsById)"))
    for pdu in PDUS:
        theirs = commands[str(pdu.command_id)]
        assert list(theirs.get("params", {})) == [name for name, _, _ in layout(pdu)]


def test_the_optional_parameters_have_their_tags() -> None:
    tags = {
        name: each["id"] for name, each in json.loads(evaluate("JSON.stringify(smpp.tlvs)")).items()
    }
    ours = {name.lower(): value for name, value in vars(tlv).items() if name.isupper()}
    assert {
        name: value for name, value in ours.items() if isinstance(value, int)
    }.items() <= tags.items()


FULL: dict[str, Any] = {
    "service_type": "OTA",
    "source_addr_ton": 5,
    "source_addr_npi": 9,
    "source_addr": "Shop",
    "dest_addr_ton": 1,
    "dest_addr_npi": 1,
    "destination_addr": "32494000000",
    "esm_class": 3,
    "registered_delivery": 17,
    "data_coding": 4,
}
REST: dict[str, Any] = {
    "protocol_id": 6,
    "priority_flag": 2,
    "schedule_delivery_time": "270115120000000+",
    "validity_period": "000001000000000R",
    "replace_if_present_flag": 1,
    "sm_default_msg_id": 9,
}


@pytest.mark.parametrize("kind", [SubmitSm, DeliverSm, DataSm])
def test_what_node_smpp_writes_is_read(kind: type[SubmitSm | DataSm]) -> None:
    fields = FULL if kind is DataSm else FULL | REST
    payload = () if kind is DataSm else ((tlv.MESSAGE_PAYLOAD, b"\x00\xff"),)
    name = {SubmitSm: "submit_sm", DeliverSm: "deliver_sm", DataSm: "data_sm"}[kind]
    extra = "" if kind is DataSm else ", message_payload: Buffer.from([0, 255])"
    written = evaluate(
        f"new smpp.PDU('{name}', {{...{json.dumps(fields)}, sequence_number: 7{extra}}})"
        ".toBuffer().toString('hex')"
    )
    assert decode(bytes.fromhex(written)) == kind(sequence=7, tlvs=payload, **fields)


@pytest.mark.parametrize("kind", [SubmitSm, DeliverSm, DataSm])
def test_what_we_write_is_read_by_node_smpp(kind: type[SubmitSm | DataSm]) -> None:
    fields = FULL if kind is DataSm else FULL | REST
    octets = encode(kind(sequence=7, **fields))
    # Dates become dates there, so what it read is written again by it.
    read = json.loads(
        evaluate(f"JSON.stringify(new smpp.PDU(Buffer.from('{octets.hex()}', 'hex')))")
    )
    read = {name: value for name, value in read.items() if name in FULL}
    assert read == FULL


def test_an_answer_is_read_by_node_smpp() -> None:
    octets = encode(SubmitSmResp(sequence=7, message_id="00AF"))
    read = json.loads(
        evaluate(f"JSON.stringify(new smpp.PDU(Buffer.from('{octets.hex()}', 'hex')))")
    )
    assert (read["command"], read["sequence_number"], read["message_id"]) == (
        "submit_sm_resp",
        7,
        "00AF",
    )


def theirs(options: dict[str, Any], text: str, **fields: Any) -> list[dict[str, Any]]:
    """The fields of each submit_sm of a text, as smpp.pdu reads them."""
    given = SmppOptions(host="smsc.example", system_id="esme", **options)
    delivery = a_delivery(text, id=0x1234, recipient="+32494000000", **fields)
    read = []
    for number, (_, pdu) in enumerate(submit_sms(delivery, given, 1_800_000_000), 1):
        read.append(PDUEncoder().decode(io.BytesIO(encode(pdu, number))).params)
    return read


def test_the_options_of_a_carrier_read_as_they_are_called() -> None:
    (read,) = theirs(
        {
            "registered_delivery": "all",
            "priority_flag": 2,
            "ton_short": "6/9",
            "recipient_form": "national",
            "region": "BE",
            "message_class": "0",
            "message_class_by": "dest_addr_subunit",
        },
        "Hello",
        sender="8888",
    )
    receipts = read["registered_delivery"]
    assert receipts.receipt is pdu_types.RegisteredDeliveryReceipt.SMSC_DELIVERY_RECEIPT_REQUESTED
    assert receipts.intermediateNotification
    assert read["priority_flag"] is pdu_types.PriorityFlag.LEVEL_2
    assert read["source_addr_ton"] is pdu_types.AddrTon.ABBREVIATED
    assert read["source_addr_npi"] is pdu_types.AddrNpi.PRIVATE
    assert read["dest_addr_ton"] is pdu_types.AddrTon.NATIONAL
    assert read["dest_addr_npi"] is pdu_types.AddrNpi.ISDN
    assert read["destination_addr"] == b"0494000000"
    assert read["dest_addr_subunit"] is pdu_types.AddrSubunit.MS_DISPLAY
    (read,) = theirs({"registered_delivery": "failures", "message_class": "1"}, "Hello")
    receipt = read["registered_delivery"].receipt
    failure = pdu_types.RegisteredDeliveryReceipt.SMSC_DELIVERY_RECEIPT_REQUESTED_FOR_FAILURE
    assert receipt is failure


def test_the_parts_of_a_long_text_read_as_they_are_joined() -> None:
    sar = theirs({"long_texts": "sar"}, "a" * 300)
    assert [
        (p["sar_msg_ref_num"], p["sar_total_segments"], p["sar_segment_seqnum"]) for p in sar
    ] == [
        (0x1234, 2, 1),
        (0x1234, 2, 2),
    ]
    assert {len(part["esm_class"].gsmFeatures) for part in sar} == {0}
    (payload,) = theirs({"long_texts": "payload"}, "a" * 300)
    assert payload["message_payload"] == b"a" * 300
    for form in ("udh8", "udh16"):
        parts = theirs({"long_texts": form}, "a" * 300)
        features = {feature for part in parts for feature in part["esm_class"].gsmFeatures}
        assert features == {pdu_types.EsmClassGsmFeatures.UDHI_INDICATOR_SET}
