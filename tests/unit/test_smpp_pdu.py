"""PDUs as bytes: in both directions, one byte at a time, and from anything that may come."""

import dataclasses
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_gateway.smpp import tlv
from sms_gateway.smpp.codec import MAX_LENGTH, Decoder, EncodeError, FramingError, decode, encode
from sms_gateway.smpp.pdu import (
    PDUS,
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    UnreadablePdu,
    carried,
    layout,
)

# Written out by the tables of SMPP 3.4 §4; the header is added below.
CASES: list[tuple[Pdu, str]] = [
    (GenericNack(sequence=0, status=2), "80000000 00000002 00000000"),
    (
        BindReceiver(sequence=1, system_id="esme", addr_ton=1, addr_npi=1, address_range="^32"),
        "00000001 00000000 00000001 65736d6500 00 00 34 01 01 5e333200",
    ),
    (BindReceiverResp(sequence=1, system_id="a"), "80000001 00000000 00000001 6100"),
    (
        BindTransmitter(sequence=1, system_id="esme", interface_version=0x50),
        "00000002 00000000 00000001 65736d6500 00 00 50 00 00 00",
    ),
    (BindTransmitterResp(sequence=1, status=14), "80000002 0000000e 00000001 00"),
    (
        BindTransceiver(sequence=1, system_id="esme", password="secret", system_type="SMS"),
        "00000009 00000000 00000001 65736d6500 73656372657400 534d5300 34 00 00 00",
    ),
    (
        BindTransceiverResp(
            sequence=1, system_id="smsc", tlvs=((tlv.SC_INTERFACE_VERSION, b"\x34"),)
        ),
        "80000009 00000000 00000001 736d736300 0210 0001 34",
    ),
    (Outbind(sequence=9, system_id="a", password="b"), "0000000b 00000000 00000009 6100 6200"),
    (Unbind(sequence=2), "00000006 00000000 00000002"),
    (UnbindResp(sequence=2), "80000006 00000000 00000002"),
    (EnquireLink(sequence=0x7FFFFFFF), "00000015 00000000 7fffffff"),
    (EnquireLinkResp(sequence=3), "80000015 00000000 00000003"),
    (
        AlertNotification(sequence=4, source_addr_ton=1, source_addr_npi=1, source_addr="32"),
        "00000102 00000000 00000004 01 01 333200 00 00 00",
    ),
    (
        SubmitSm(
            sequence=5,
            source_addr_ton=5,
            source_addr="Shop",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr="3249",
            esm_class=0x40,
            validity_period="000002000000000R",
            registered_delivery=1,
            data_coding=8,
            short_message=b"\x05\x00\x03\x07\x02\x01\x04\x16",
        ),
        "00000004 00000000 00000005 00 05 00 53686f7000 01 01 3332343900 40 00 00 00"
        "30303030303230303030303030303052 00 01 00 08 00 08 0500030702010416",
    ),
    (SubmitSmResp(sequence=5, message_id="00AF"), "80000004 00000000 00000005 3030414600"),
    (SubmitSmResp(sequence=5, status=0x4FF), "80000004 000004ff 00000005 00"),
    (
        DeliverSm(
            sequence=6,
            source_addr="3249",
            esm_class=4,
            short_message=b"id:1",
            tlvs=((tlv.RECEIPTED_MESSAGE_ID, b"1\0"), (0x3FFF, b""), (0x1400, b"?")),
        ),
        "00000005 00000000 00000006 00 00 00 3332343900 00 00 00 04 00 00 00 00 00 00 00 00"
        "04 69643a31 001e 0002 3100 3fff 0000 1400 0001 3f",
    ),
    (DeliverSmResp(sequence=6), "80000005 00000000 00000006 00"),
    (
        DataSm(
            sequence=7, destination_addr="1", data_coding=4, tlvs=((tlv.MESSAGE_PAYLOAD, b"hi"),)
        ),
        "00000103 00000000 00000007 00 00 00 00 00 00 3100 00 00 04 0424 0002 6869",
    ),
    (DataSmResp(sequence=7, message_id="x"), "80000103 00000000 00000007 7800"),
]


def wire(digits: str) -> bytes:
    rest = bytes.fromhex(digits)
    return struct.pack(">I", len(rest) + 4) + rest


IDS = [type(pdu).__name__ for pdu, _ in CASES]


def test_every_pdu_is_in_the_cases() -> None:
    assert {type(pdu) for pdu, _ in CASES} == set(PDUS)


@pytest.mark.parametrize(("pdu", "digits"), CASES, ids=IDS)
def test_a_pdu_is_written_as_the_specification_has_it(pdu: Pdu, digits: str) -> None:
    assert encode(pdu) == wire(digits)


@pytest.mark.parametrize(("pdu", "digits"), CASES, ids=IDS)
def test_a_pdu_is_read_as_the_specification_has_it(pdu: Pdu, digits: str) -> None:
    assert decode(wire(digits)) == pdu


def test_all_pdus_are_read_one_byte_at_a_time() -> None:
    decoder = Decoder()
    found = []
    for octet in b"".join(wire(digits) for _, digits in CASES):
        decoder.feed(bytes([octet]))
        while (pdu := decoder.next()) is not None:
            found.append(pdu)
    assert found == [pdu for pdu, _ in CASES]


def test_all_pdus_are_read_from_one_piece() -> None:
    decoder = Decoder()
    decoder.feed(b"".join(wire(digits) for _, digits in CASES))
    assert [decoder.next() for _ in CASES] == [pdu for pdu, _ in CASES]
    assert decoder.next() is None


@pytest.mark.parametrize("length", [0, 1, 15, MAX_LENGTH + 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_an_impossible_length_is_told_before_more_is_read(length: int) -> None:
    decoder = Decoder()
    decoder.feed(wire("00000015 00000000 00000001") + struct.pack(">I", length))
    assert decoder.next() == EnquireLink(sequence=1)
    for _ in range(2):
        with pytest.raises(FramingError):
            decoder.next()


@pytest.mark.parametrize(
    ("digits", "complaint"),
    [
        ("00000777 00000000 00000008 0102", 0x03),
        ("00000112 00000000 00000008", 0x03),  # a broadcast of SMPP 5.0
        ("80000777 00000000 00000008", 0x03),
        ("00000005 00000000 00000008 00 00", 0x02),  # deliver_sm that ends in an address
        # sm_length says more than there is
        ("00000005 00000000 00000008 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 04 6964", 2),
    ],
)
def test_what_makes_no_sense_says_what_is_wrong_with_it(digits: str, complaint: int) -> None:
    pdu = decode(wire(digits))
    assert isinstance(pdu, UnreadablePdu)
    assert (pdu.sequence, pdu.complaint.number) == (8, complaint)
    assert pdu.unreadable_id == int(digits[:8], 16)


@pytest.mark.parametrize(
    ("digits", "message_id"),
    [
        ("80000004 00000000 00000005", ""),  # no body at all
        ("80000004 00000000 00000005 414243", "ABC"),  # no NUL
        ("80000004 00000000 00000005 414243 00 00", "ABC"),  # one NUL too many
        ("80000004 00000000 00000005 414200 001d 00ff 4100", "AB"),  # a TLV longer than the PDU
        ("80000004 00000000 00000005 " + "41" * 200 + "00", "A" * 200),
        ("80000004 00000000 00000005 e900", "é"),
    ],
)
def test_a_careless_answer_is_understood(digits: str, message_id: str) -> None:
    assert decode(wire(digits)) == SubmitSmResp(sequence=5, message_id=message_id)


@pytest.mark.parametrize(
    ("pdu", "name"),
    [
        (SubmitSm(source_addr="A" * 21), "source_addr"),
        (SubmitSm(source_addr="Ж"), "source_addr"),
        (SubmitSm(destination_addr="12\x003"), "destination_addr"),
        (SubmitSm(short_message=b"a" * 255), "short_message"),
        (SubmitSm(data_coding=256), "data_coding"),
        (SubmitSm(esm_class=-1), "esm_class"),
        (SubmitSm(tlvs=((tlv.MESSAGE_PAYLOAD, b"a" * 65_536),)), "optional parameter"),
        (BindTransceiver(password="secretsecret" * 10), "password"),
    ],
)
def test_a_value_that_does_not_fit_is_named_and_not_shown(pdu: Pdu, name: str) -> None:
    with pytest.raises(EncodeError, match=name) as caught:
        encode(pdu)
    assert "secret" not in str(caught.value)
    assert "3" not in str(caught.value).replace("3 octets", "")


def test_numbers_texts_and_passwords_are_not_shown() -> None:
    bind = BindTransceiver(system_id="esme", password="secret")
    submit = SubmitSm(source_addr="32494", destination_addr="32495", short_message=b"Hello")
    shown = repr(bind) + repr(submit) + repr(DataSm(tlvs=((tlv.MESSAGE_PAYLOAD, b"Hello"),)))
    assert "esme" in shown
    for hidden in ("secret", "32494", "32495", "Hello"):
        assert hidden not in shown


def test_the_message_may_be_in_either_place() -> None:
    payload = ((tlv.MESSAGE_PAYLOAD, b"long"),)
    assert carried(DeliverSm(short_message=b"short")) == b"short"
    assert carried(DeliverSm(tlvs=payload)) == b"long"
    assert carried(DataSm(tlvs=payload)) == b"long"
    assert carried(DataSm()) == b""


@pytest.mark.parametrize(
    ("value", "number", "text"),
    [
        (b"\x05", 5, "\x05"),
        (b"\x01\x02", 258, "\x01\x02"),
        (b"", None, ""),
        (b"12345", None, "12345"),
        (b"A1\x00", 0x413100, "A1"),
    ],
)
def test_an_optional_parameter_is_read_as_what_it_is(
    value: bytes, number: int | None, text: str
) -> None:
    tlvs = ((1, b"other"), (2, value), (2, b"second"))
    assert tlv.find(tlvs, 2) == value
    assert tlv.number(tlvs, 2) == number
    assert tlv.text(tlvs, 2) == text
    assert [read(tlvs, 3) for read in (tlv.find, tlv.number, tlv.text)] == [None] * 3


# Any PDU of ours can be read again, and any bytes can be read as something.

_values = {
    "C-octet string": lambda limit: st.text(
        st.characters(codec="latin-1", exclude_characters="\0"), max_size=limit - 1
    ),
    "integer": lambda _: st.integers(0, 255),
    "octets": lambda limit: st.binary(max_size=limit),
}
_tlvs = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=20)), max_size=4)


@st.composite
def pdus(draw: st.DrawFn) -> Pdu:
    kind = draw(st.sampled_from(PDUS))
    values = {name: draw(_values[wire_kind](limit)) for name, wire_kind, limit in layout(kind)}
    return kind(
        sequence=draw(st.integers(0, 0xFFFFFFFF)),
        status=draw(st.integers(0, 0xFFFFFFFF)),
        tlvs=tuple(draw(_tlvs)),
        **values,
    )


@given(pdus())
def test_what_is_written_is_read(pdu: Pdu) -> None:
    assert decode(encode(pdu)) == pdu
    assert decode(encode(pdu, 77)) == dataclasses.replace(pdu, sequence=77)


def _read_all(pieces: list[bytes]) -> list[Pdu | None]:
    """The PDUs, and None at the end for a length that no PDU has."""
    decoder = Decoder()
    found: list[Pdu | None] = []
    for piece in pieces:
        decoder.feed(piece)
        try:
            while (pdu := decoder.next()) is not None:
                found.append(pdu)
        except FramingError:
            return [*found, None]
    return found


_bodies = st.tuples(
    st.sampled_from([pdu.command_id for pdu in PDUS]) | st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=60),
).map(lambda pair: wire(f"{pair[0]:08x} 00000000 00000001" + pair[1].hex()))


@given(st.lists(st.binary(max_size=40) | _bodies, max_size=6), st.data())
def test_no_input_raises_another_error_and_pieces_make_no_difference(
    stream: list[bytes], data: st.DataObject
) -> None:
    octets = b"".join(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=5)))
    pieces = [
        octets[start:end] for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True)
    ]
    assert _read_all(pieces) == _read_all([octets])


def test_what_was_read_is_not_kept() -> None:
    # Whatever has come, each feed moves at most the PDU under way and its own bytes.
    octets = b"".join(wire(digits) for _, digits in CASES)
    longest = max(len(wire(digits)) for _, digits in CASES)
    decoder = Decoder()
    stream = octets * 50
    for start in range(0, len(stream), 100):
        decoder.feed(stream[start : start + 100])
        assert len(decoder._buffer) < longest + 100
        while decoder.next() is not None:
            pass
