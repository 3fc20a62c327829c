"""Our reading of SMPP 3.4 against that of node-smpp."""

import json
from typing import Any

import pytest
from support.smsc import evaluate

from sms_gateway.smpp import tlv
from sms_gateway.smpp.codec import decode, encode
from sms_gateway.smpp.pdu import PDUS, DataSm, DeliverSm, SubmitSm, SubmitSmResp, layout
from sms_gateway.smpp.status import STATUSES


def test_the_statuses_are_those_of_the_standard() -> None:
    errors = json.loads(evaluate("JSON.stringify(smpp.errors)"))
    # From 0x100 on they are of SMPP 5.0.
    assert {number for number in errors.values() if number < 0x100} == set(STATUSES)


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
