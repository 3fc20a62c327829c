"""Deliveries as submit_sm, and deliver_sm as receipts and messages."""

import dataclasses
from typing import Any

import pytest
from support.upstreams import a_delivery

from sms_gateway.smpp import tlv
from sms_gateway.smpp.codec import encode
from sms_gateway.smpp.pdu import DataSm, DeliverSm, SubmitSm
from sms_gateway.sms.encoding import DefaultAlphabet, Encoding, decode, encode_gsm7, pack_septets
from sms_gateway.sms.message import State
from sms_gateway.sms.segments import LongTexts
from sms_gateway.upstream import Incoming
from sms_gateway.upstream.smpp_messages import (
    incoming_of,
    is_receipt,
    receipt_of,
    sender_address,
    submit_sms,
    validity_period,
)
from sms_gateway.upstream.smpp_options import SmppOptions

OPTIONS = SmppOptions(host="localhost", system_id="esme")
NOW = 1_800_014_400.0  # 2027-01-15 12:00:00 UTC


def test_a_short_text_is_one_submit_sm() -> None:
    delivery = a_delivery("Hé", sender="Shop", recipient="+32494000000")
    options = dataclasses.replace(OPTIONS, service_type="WAP", registered_delivery="all")
    ((number, pdu),) = submit_sms(delivery, options, NOW)
    assert number == (1,)
    assert (pdu.source_addr, pdu.source_addr_ton, pdu.source_addr_npi) == ("Shop", 5, 0)
    assert (pdu.destination_addr, pdu.dest_addr_ton, pdu.dest_addr_npi) == ("32494000000", 1, 1)
    assert (pdu.esm_class, pdu.data_coding, pdu.short_message) == (0, 0, b"H\x05")
    assert (pdu.service_type, pdu.registered_delivery) == ("WAP", 17)


def test_a_long_text_has_its_id_for_a_reference_in_every_try() -> None:
    delivery = a_delivery("ж" * 100, id=0x1234)
    first = submit_sms(delivery, OPTIONS, NOW)
    assert [number for number, _ in first] == [(1,), (2,)]
    assert [pdu.short_message[:6] for _, pdu in first] == [
        b"\x05\x00\x03\x34\x02\x01",
        b"\x05\x00\x03\x34\x02\x02",
    ]
    assert {(pdu.esm_class, pdu.data_coding) for _, pdu in first} == {(0x40, 8)}
    assert submit_sms(delivery, OPTIONS, NOW) == first


def test_parts_that_were_accepted_before_are_left_out() -> None:
    delivery = a_delivery("a" * 400, accepted=frozenset({1, 3}))
    ((number, pdu),) = submit_sms(delivery, OPTIONS, NOW)
    assert number == (2,)
    assert pdu.short_message[4:6] == b"\x03\x02"


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("", (0, 0)),
        ("Shop", (5, 0)),
        ("4 You", (5, 0)),
        ("8888", (3, 0)),
        ("123456", (3, 0)),
        ("32494000000", (1, 1)),
        ("+32494000000", (1, 1)),
        ("٣٢٤", (5, 0)),
    ],
)
def test_the_sender_says_what_kind_of_address_it_is(sender: str, expected: tuple[int, int]) -> None:
    assert sender_address(sender, OPTIONS) == (sender.removeprefix("+"), expected)


@pytest.mark.parametrize(
    ("alphabet", "octets"),
    [("gsm7", b"caf\x05 \x1be"), ("utf8", "café €".encode())],
)
def test_data_coding_0_is_what_the_carrier_says(alphabet: DefaultAlphabet, octets: bytes) -> None:
    options = dataclasses.replace(OPTIONS, default_alphabet=alphabet)
    ((_, pdu),) = submit_sms(a_delivery("café €"), options, NOW)
    assert (pdu.data_coding, pdu.short_message) == (0, octets)


@pytest.mark.parametrize(
    ("alphabet", "text", "data_coding"),
    [("latin1", "café", 0), ("latin1", "café €", 8), ("ascii", "cafe", 0), ("ascii", "café", 8)],
)
def test_what_the_carriers_alphabet_lacks_goes_as_ucs2(
    alphabet: DefaultAlphabet, text: str, data_coding: int
) -> None:
    options = dataclasses.replace(OPTIONS, default_alphabet=alphabet)
    ((_, pdu),) = submit_sms(a_delivery(text), options, NOW)
    assert pdu.data_coding == data_coding
    assert decode(pdu.data_coding, pdu.short_message, alphabet) == text


def test_a_text_that_takes_other_parts_in_the_carriers_alphabet_is_refused() -> None:
    options = dataclasses.replace(OPTIONS, default_alphabet="latin1")
    with pytest.raises(ValueError, match="takes 2 parts in the carrier's alphabet") as caught:
        submit_sms(a_delivery("€" * 75), options, NOW)
    assert "€" not in str(caught.value)


def test_a_part_longer_than_a_short_message_is_a_payload() -> None:
    options = dataclasses.replace(OPTIONS, default_alphabet="utf8")
    ((_, pdu),) = submit_sms(a_delivery("é" * 160), options, NOW)
    assert pdu.short_message == b""
    assert tlv.find(pdu.tlvs, tlv.MESSAGE_PAYLOAD) == ("é" * 160).encode()
    assert len(encode(pdu)) > 320


@pytest.mark.parametrize(
    ("left", "relative", "absolute"),
    [
        (3_600, "000000010000000R", "270115130000000+"),
        (90_061, "000001010101000R", "270116130101000+"),
        (28 * 86_400 + 86_399, "000028235959000R", "270213115959000+"),
        (29 * 86_400, "", "270213120000000+"),
        (5, "000000000100000R", "270115120100000+"),
        (-100, "000000000100000R", "270115120100000+"),
    ],
)
def test_the_validity_is_written_as_the_carrier_takes_it(
    left: int, relative: str, absolute: str
) -> None:
    expires_at = int((NOW + left) * 1000)
    assert validity_period(expires_at, "relative", NOW) == relative
    assert validity_period(expires_at, "absolute", NOW) == absolute
    assert validity_period(expires_at, "none", NOW) == ""


@pytest.mark.parametrize("long_texts", ["udh8", "udh16", "sar", "payload"])
@pytest.mark.parametrize("length", [7, 8, 15, 160, 161, 300, 306, 456])
def test_packed_septets_are_read_as_they_were_written(length: int, long_texts: LongTexts) -> None:
    options = dataclasses.replace(OPTIONS, outgoing_septets="packed", long_texts=long_texts)
    text = ("Hé{ @" * 100)[: length - length // 6 - 1] + "n"
    read = []
    for _, pdu in submit_sms(a_delivery(text), options, NOW):
        assert len(pdu.short_message) <= 140
        read.append(incoming_of(DeliverSm(**_same_fields(pdu)), "gsm7", packed=True).text)
    # A carriage return fills seven bits that would read as an @.
    assert "".join(part.removesuffix("\r") for part in read) == text


def _same_fields(pdu: SubmitSm) -> dict[str, Any]:
    return {field.name: getattr(pdu, field.name) for field in dataclasses.fields(pdu)}


@pytest.mark.parametrize(
    ("sender", "options", "expected"),
    [
        ("+123456", {}, ("123456", (1, 1))),
        ("0494000000", {}, ("0494000000", (2, 1))),
        ("0032494000000", {}, ("0032494000000", (1, 1))),
        ("12345678", {"short_digits": 8, "ton_short": "0/1"}, ("12345678", (0, 1))),
        ("+32494000000", {"sender_form": "plus"}, ("+32494000000", (1, 1))),
        (
            "32494000000",
            {"sender_form": "significant", "region": "BE"},
            ("494000000", (2, 1)),
        ),
        # Hungary's trunk prefix is 06, Italy has none, in North America it may be left out.
        (
            "+36201234567",
            {"sender_form": "national", "region": "HU"},
            ("06201234567", (2, 1)),
        ),
        (
            "+393401234567",
            {"sender_form": "national", "region": "IT"},
            ("3401234567", (2, 1)),
        ),
        (
            "+12015550123",
            {"sender_form": "national", "region": "CA"},
            ("2015550123", (2, 1)),
        ),
    ],
)
def test_a_sender_is_written_in_the_form_that_the_carrier_wants(
    sender: str, options: dict[str, Any], expected: tuple[str, tuple[int, int]]
) -> None:
    assert sender_address(sender, dataclasses.replace(OPTIONS, **options)) == expected


RECEIPTED = (tlv.RECEIPTED_MESSAGE_ID, b"00AF\x00")


@pytest.mark.parametrize(
    ("pdu", "expected"),
    [
        (DeliverSm(esm_class=0x04), True),
        (DeliverSm(esm_class=0x20), True),
        (DeliverSm(esm_class=0x44), True),
        (DataSm(esm_class=0x04), True),
        (DeliverSm(tlvs=(RECEIPTED,)), True),
        (DeliverSm(), False),
        (DeliverSm(esm_class=0x40), False),
        (DeliverSm(esm_class=0x08, tlvs=(RECEIPTED,)), False),  # a word from the handset's user
    ],
)
def test_a_receipt_is_known_by_its_type_or_its_parameters(
    pdu: DeliverSm | DataSm, expected: bool
) -> None:
    assert is_receipt(pdu) is expected


def test_a_receipt_is_read_from_text_and_parameters() -> None:
    text = b"id:00AF sub:001 dlvrd:000 done date:2701151200 stat:UNDELIV err:00B text:Hello"
    by_text = receipt_of(DeliverSm(esm_class=4, source_addr="32494", short_message=text))
    assert by_text is not None
    assert (by_text.smsc_id, by_text.state) == ("00AF", State.UNDELIVERABLE)
    assert (by_text.recipient, by_text.error) == ("32494", "00B")
    assert by_text.done_at == NOW * 1000
    assert "Hello" not in by_text.raw
    tlvs = (RECEIPTED, (tlv.MESSAGE_STATE, b"\x03"), (tlv.NETWORK_ERROR_CODE, b"\x03\x00\x0b"))
    by_tlvs = receipt_of(DataSm(tlvs=tlvs))
    assert by_tlvs is not None
    assert (by_tlvs.smsc_id, by_tlvs.state, by_tlvs.error) == ("00AF", State.EXPIRED, "011")
    assert receipt_of(DeliverSm(esm_class=4, short_message=b"stat:DELIVRD")) is None


SAR = (
    (tlv.SAR_MSG_REF_NUM, b"\x01\x02"),
    (tlv.SAR_TOTAL_SEGMENTS, b"\x03"),
    (tlv.SAR_SEGMENT_SEQNUM, b"\x02"),
)


@pytest.mark.parametrize(
    ("pdu", "text", "concatenation"),
    [
        (DeliverSm(short_message=b"H\x05"), "Hé", (0, 1, 1)),
        (DeliverSm(short_message=b"H\xe9", data_coding=3), "Hé", (0, 1, 1)),
        (DeliverSm(short_message=b"\x04\x16\xd8\x3d\xde\x00", data_coding=8), "Ж😀", (0, 1, 1)),
        (DeliverSm(tlvs=((tlv.MESSAGE_PAYLOAD, b"long"),)), "long", (0, 1, 1)),
        (DataSm(tlvs=((tlv.MESSAGE_PAYLOAD, b"data"),)), "data", (0, 1, 1)),
        (
            DeliverSm(esm_class=0x40, short_message=b"\x05\x00\x03\x07\x03\x02part"),
            "part",
            (7, 3, 2),
        ),
        (
            DeliverSm(
                esm_class=0x40, tlvs=((tlv.MESSAGE_PAYLOAD, b"\x06\x08\x04\x01\x02\x03\x02part"),)
            ),
            "part",
            (0x102, 3, 2),
        ),
        (DeliverSm(short_message=b"part", tlvs=SAR), "part", (0x102, 3, 2)),
        (DeliverSm(short_message=b"part", tlvs=SAR[:2]), "part", (0, 1, 1)),
        (
            DeliverSm(short_message=b"x", tlvs=(*SAR[:2], (tlv.SAR_SEGMENT_SEQNUM, b"\x04"))),
            "x",
            (0, 1, 1),
        ),
        (DeliverSm(esm_class=0x40, short_message=b"\xffx"), "\ufffdx", (0, 1, 1)),
        (DeliverSm(), "", (0, 1, 1)),
    ],
)
def test_a_message_is_read_as_it_is_coded(
    pdu: DeliverSm | DataSm, text: str, concatenation: tuple[int, int, int]
) -> None:
    reference, total, number = concatenation
    assert incoming_of(pdu, "gsm7") == Incoming(
        sender="", recipient="", text=text, reference=reference, total=total, number=number
    )


def test_an_international_sender_has_its_plus_sign() -> None:
    def sender(address: str, ton: int) -> str:
        return incoming_of(DeliverSm(source_addr=address, source_addr_ton=ton), "gsm7").sender

    assert sender("32494000000", 1) == "+32494000000"
    assert sender("+32494000000", 1) == "+32494000000"
    assert sender("8888", 3) == "8888"
    assert sender("Shop", 5) == "Shop"


def test_the_carriers_alphabet_counts_for_what_comes_in_too() -> None:
    pdu = DeliverSm(short_message="é€".encode())
    assert incoming_of(pdu, "utf8").text == "é€"
    assert a_delivery("é€").encoding is Encoding.GSM7


@pytest.mark.parametrize(
    ("pdu", "text", "part"),
    [
        # national languages, by single and by locking shift, and after a part's numbers
        (DeliverSm(esm_class=0x40, short_message=b"\x03\x24\x01\x01\x1bg\x1bi"), "ğı", (1, 1)),
        (DeliverSm(esm_class=0x40, short_message=b"\x03\x25\x01\x01\x07\x1d"), "ış", (1, 1)),
        (
            DeliverSm(esm_class=0x40, short_message=b"\x08\x00\x03\x07\x02\x01\x24\x01\x02\x1ba"),
            "á",
            (2, 1),
        ),
        # the header is there and its bit is not
        (DeliverSm(short_message=b"\x05\x00\x03\x07\x02\x01He"), "He", (2, 1)),
        (DeliverSm(short_message=b"\x06\x08\x04\x01\x07\x02\x02llo"), "llo", (2, 2)),
        (
            DeliverSm(data_coding=8, short_message=b"\x05\x00\x03\x07\x02\x01\x04\x36"),
            "ж",
            (2, 1),
        ),
        # what only looks like one: a single part, a number out of range, something left over
        (DeliverSm(short_message=b"\x05\x00\x03\x07\x01\x01He"), "é@¥ì££He", (1, 1)),
        (DeliverSm(short_message=b"\x05\x00\x03\x07\x02\x03He"), "é@¥ì$¥He", (1, 1)),
        (DeliverSm(short_message=b"\x06\x00\x03\x07\x02\x01HHe"), "ù@¥ì$£HHe", (1, 1)),
        (DeliverSm(short_message=b"\x05\x00\x03\x07\x02\x01"), "é@¥ì$£", (1, 1)),
    ],
)
def test_a_header_says_language_and_part(pdu: DeliverSm, text: str, part: tuple[int, int]) -> None:
    incoming = incoming_of(pdu, "gsm7")
    assert (incoming.text, (incoming.total, incoming.number)) == (text, part)


@pytest.mark.parametrize("text", ["Hi", "1234567", "12345678", "8 @ a", "{}" * 10, "x" * 153])
@pytest.mark.parametrize(
    "header", [b"", b"\x05\x00\x03\x07\x02\x01", b"\x06\x08\x04\x01\x07\x02\x02"]
)
def test_packed_septets_are_unpacked_where_the_carrier_packs(text: str, header: bytes) -> None:
    packed = pack_septets(encode_gsm7(text), -8 * len(header) % 7)
    pdu = DeliverSm(esm_class=0x40 if header else 0, short_message=header + packed)
    assert incoming_of(pdu, "gsm7", packed=True).text == text
    other = DeliverSm(data_coding=8, short_message=b"\x04\x36")
    assert incoming_of(other, "gsm7", packed=True).text == "ж"


@pytest.mark.parametrize(
    ("address", "ton", "region", "number"),
    [
        ("0494000000", 2, "BE", "+32494000000"),
        ("494000000", 2, "BE", "+32494000000"),
        ("0494000000", 0, "BE", "+32494000000"),
        ("32494000000", 0, "BE", "+32494000000"),
        ("0032494000000", 0, "BE", "+32494000000"),
        ("0032494000000", 1, None, "+32494000000"),
        ("2015946934", 2, "US", "+12015946934"),
        # both an American number and an Egyptian one: not guessed
        ("2015946934", 0, "US", "2015946934"),
        ("0494000000", 2, None, "0494000000"),
        ("8850", 0, "BE", "8850"),
        ("8850", 2, "BE", "8850"),
        ("0494000000", 3, "BE", "0494000000"),
        ("Shop", 5, "BE", "Shop"),
        ("", 0, "BE", ""),
    ],
)
def test_a_national_number_gets_its_country_code_where_it_is_sure(
    address: str, ton: int, region: str | None, number: str
) -> None:
    pdu = DeliverSm(
        source_addr=address, source_addr_ton=ton, destination_addr=address, dest_addr_ton=ton
    )
    incoming = incoming_of(pdu, "gsm7", region=region)
    assert (incoming.sender, incoming.recipient) == (number, number)
