"""Deliveries as submit_sm, and deliver_sm as receipts and incoming messages."""

from collections.abc import Mapping
from typing import NamedTuple

from ..moments import utc
from ..smpp import tlv
from ..smpp.pdu import DataSm, DeliverSm, SubmitSm, carried
from ..sms import dialling, numbering
from ..sms.encoding import (
    DefaultAlphabet,
    Encoding,
    choose,
    decode,
    decode_part,
    is_default,
    pack_septets,
    unpack_septets,
)
from ..sms.message import State
from ..sms.receipt import Receipt, has_form, parse_receipt, receipt_text
from ..sms.segments import (
    Concatenation,
    concatenation_header,
    contents,
    is_surely_header,
    national_languages,
    parse_user_data_header,
)
from . import Delivery, Incoming, pending_parts
from .smpp_options import NumberForm, SmppOptions, Validity, ton_npi

_UDHI = 0x40  # SMPP 3.4 §5.2.12, GSM network specific features
# §5.2.12, message type: a delivery receipt, and an intermediate notification of the same form.
_MESSAGE_TYPE, _RECEIPT_TYPES = 0x3C, (0x04, 0x20)
# 3GPP TS 23.038 §4: data_coding 0x1x has a message class in its last two bits, and in the two
# before it the alphabet, 0 for GSM and 2 for UCS-2.
_CLASS_OF_GSM7, _CLASS_OF_UCS2 = 0x10, 0x18
# dest_addr_subunit (§5.3.2.1) by message class: display, mobile equipment, smart card, external.
_SUBUNITS = {"0": b"\x01", "1": b"\x02", "2": b"\x03", "3": b"\x04"}
_CARRIAGE_RETURN = b"\r"
_MAX_SHORT_MESSAGE = 254  # §4.4.1

# Type of number and numbering plan (§5.2.5, §5.2.6).
_UNKNOWN = (0, 0)
_INTERNATIONAL = 1
_NATIONAL = 2
#: Numbers of more digits are international ones: the shortest have seven with their country code.
_LONGEST_SHORT_CODE = 6


def submit_sms(
    delivery: Delivery, options: SmppOptions, now: float
) -> list[tuple[tuple[int, ...], SubmitSm]]:
    """The PDUs still to be submitted, each with the numbers of the parts that it carries: one, or
    all of them in a payload. `now` is Unix time in seconds.

    Raises ValueError, without the text in it, for what cannot be written in this carrier's way.
    """
    encoding = delivery.encoding
    alphabet = delivery.alphabet or options.default_alphabet
    if encoding is Encoding.GSM7:
        # The carrier's alphabet for data_coding 0 may lack what the GSM alphabet has.
        encoding = choose(delivery.text, alphabet)
    carrying = _user_data(delivery, encoding, alphabet, options)
    source, source_type = sender_address(delivery.sender, options)
    destination, destination_type = recipient_address(delivery.recipient, options)
    validity = validity_period(delivery.expires_at, options.validity, now)
    data_coding = data_coding_of(encoding, options)
    receipts = options.asked_for()
    subunit: tlv.Tlvs = ()
    if options.message_class_by == "dest_addr_subunit":
        subunit = ((tlv.DEST_ADDR_SUBUNIT, _SUBUNITS[options.message_class]),)

    def submit_sm(each: _UserData) -> SubmitSm:
        short = len(each.octets) <= _MAX_SHORT_MESSAGE and not each.is_whole
        payload = () if short else ((tlv.MESSAGE_PAYLOAD, each.octets),)
        return SubmitSm(
            service_type=options.service_type,
            source_addr_ton=source_type[0],
            source_addr_npi=source_type[1],
            source_addr=source,
            dest_addr_ton=destination_type[0],
            dest_addr_npi=destination_type[1],
            destination_addr=destination,
            esm_class=_UDHI if each.has_header else 0,
            protocol_id=options.protocol_id,
            priority_flag=options.priority_flag,
            validity_period=validity,
            registered_delivery=receipts,
            data_coding=data_coding,
            short_message=each.octets if short else b"",
            tlvs=(*subunit, *each.tlvs, *payload),
        )

    pending = pending_parts(delivery)
    return [(each.parts, submit_sm(each)) for each in carrying if each.parts[0] in pending]


class _UserData(NamedTuple):
    """The user data of one PDU."""

    parts: tuple[int, ...]
    octets: bytes
    has_header: bool = False
    #: The whole of a text of several parts, for the SMSC to cut.
    is_whole: bool = False
    tlvs: tlv.Tlvs = ()


def _user_data(
    delivery: Delivery, encoding: Encoding, alphabet: DefaultAlphabet, options: SmppOptions
) -> list[_UserData]:
    """The text in PDUs, joined as the carrier wants it. Raises as `submit_sms`."""
    texts = contents(delivery.text, encoding, alphabet)
    total = len(texts)
    if total != delivery.parts:
        raise ValueError(
            f"takes {total} parts in the carrier's alphabet and was counted as {delivery.parts}"
        )
    packed = encoding is Encoding.GSM7 and options.outgoing_septets == "packed"
    if total == 1:
        return [_UserData((1,), _packed(texts[0]) if packed else texts[0])]
    if options.long_texts == "payload":
        whole = b"".join(texts)
        numbers = tuple(range(1, total + 1))
        return [_UserData(numbers, _packed(whole) if packed else whole, is_whole=True)]
    places = [Concatenation(delivery.id & 0xFFFF, total, number) for number in range(1, total + 1)]
    if options.long_texts == "sar":
        return [
            _UserData((place.number,), _packed(text) if packed else text, tlvs=_sar_tlvs(place))
            for place, text in zip(places, texts, strict=True)
        ]
    wide = False
    if options.long_texts == "udh16":
        # The header takes a unit more. A text that would need one part more for it, than it was
        # counted with, keeps the narrow one.
        narrower = contents(delivery.text, encoding, alphabet, spare=1)
        if wide := len(narrower) == total:
            texts = narrower
    found = []
    for place, text in zip(places, texts, strict=True):
        head = concatenation_header(place, wide=wide)
        octets = head + (_packed(text, -8 * len(head) % 7) if packed else text)
        found.append(_UserData((place.number,), octets, has_header=True))
    return found


def _packed(septets: bytes, fill_bits: int = 0) -> bytes:
    """Septets, eight in seven octets, after a header's fill bits.

    Seven bits that are left over would be read as an @: a carriage return is there instead, which
    shows nothing (3GPP TS 23.038 §6.1.2.3.1 has it so for USSD).
    """
    if (fill_bits + 7 * len(septets)) % 8 == 1:
        septets += _CARRIAGE_RETURN
    return pack_septets(septets, fill_bits)


def _sar_tlvs(place: Concatenation) -> tlv.Tlvs:
    """Parameters that make a part of a submit_sm (§5.3.2.22 to §5.3.2.24)."""
    return (
        (tlv.SAR_MSG_REF_NUM, place.reference.to_bytes(2, "big")),
        (tlv.SAR_TOTAL_SEGMENTS, bytes((place.total,))),
        (tlv.SAR_SEGMENT_SEQNUM, bytes((place.number,))),
    )


def data_coding_of(encoding: Encoding, options: SmppOptions) -> int:
    """The data_coding of a text (§5.2.19)."""
    is_ucs2 = encoding is Encoding.UCS2
    if options.message_class != "none" and options.message_class_by == "data_coding":
        return (_CLASS_OF_UCS2 if is_ucs2 else _CLASS_OF_GSM7) + int(options.message_class)
    return options.ucs2_data_coding if is_ucs2 else options.default_data_coding


def sender_address(sender: str, options: SmppOptions) -> tuple[str, tuple[int, int]]:
    """A sender as the carrier wants it written, with its TON and NPI: letters, a short code, a
    national number (as it is dialled, with a 0), or an international one."""
    if not sender:
        return "", _UNKNOWN
    digits = sender.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return digits, ton_npi(options.ton_alphanumeric)
    if len(digits) <= options.short_digits and digits == sender:
        return digits, ton_npi(options.ton_short)
    if digits == sender and digits.startswith("0") and not digits.startswith("00"):
        return digits, ton_npi(options.ton_national)
    return _written(digits, options.sender_form, options, options.ton_international)


def recipient_address(number: str, options: SmppOptions) -> tuple[str, tuple[int, int]]:
    """A recipient (E.164) as the carrier wants it written, with its TON and NPI."""
    return _written(
        number.removeprefix("+"), options.recipient_form, options, options.ton_recipient
    )


def _written(
    digits: str, form: NumberForm, options: SmppOptions, ton: str
) -> tuple[str, tuple[int, int]]:
    """An international number in a form, with its TON and NPI."""
    if form == "digits":
        return digits, ton_npi(ton)
    if form == "plus":
        return f"+{digits}", ton_npi(ton)
    if form != "00":
        trunk = form == "national"
        national = dialling.written_in(f"+{digits}", options.region, trunk=trunk)
        if national is not None:
            return national, ton_npi(options.ton_national)
    return f"00{digits}", ton_npi(ton)


def validity_period(expires_at: int, form: Validity, now: float) -> str:
    """Unix milliseconds as SMPP writes them (§7.1.1); empty leaves it to the SMSC.

    A message is given a minute at least: an SMSC refuses a validity that has passed on its clock.
    """
    left = max(60, expires_at / 1000 - now)
    if form == "absolute":
        end = utc((now + left) * 1_000)
        return f"{end:%y%m%d%H%M%S}000+"
    days, seconds = divmod(int(left), 86_400)
    # Months are of no fixed length, and more days than a month has do not belong in their place.
    if form == "none" or days > 28:
        return ""
    return f"0000{days:02}{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}000R"


def is_receipt(pdu: DeliverSm | DataSm) -> bool:
    """True for a delivery receipt, said by esm_class or, failing that, by its parameters."""
    message_type = pdu.esm_class & _MESSAGE_TYPE
    if message_type == 0:
        return tlv.find(pdu.tlvs, tlv.RECEIPTED_MESSAGE_ID) is not None
    return message_type in _RECEIPT_TYPES


def may_be_receipt(pdu: DeliverSm | DataSm) -> bool:
    """True for what says that it is a message and has the form of a receipt: some carriers leave
    esm_class at 0. Whether it is one depends on whose its id is."""
    return pdu.esm_class & _MESSAGE_TYPE == 0 and has_form(receipt_text(carried(pdu)))


def receipt_of(pdu: DeliverSm | DataSm, words: Mapping[str, State] | None = None) -> Receipt | None:
    """A receipt, read; None when it does not name its message."""
    octets = carried(pdu)
    if pdu.esm_class & _UDHI:
        _, octets = parse_user_data_header(octets)
    id = tlv.find(pdu.tlvs, tlv.RECEIPTED_MESSAGE_ID) or b""
    return parse_receipt(
        receipt_text(octets),
        recipient=pdu.source_addr,
        # A lone number is ours.
        other_number=pdu.destination_addr if pdu.source_addr else "",
        receipted_message_id=id.decode("latin-1"),
        message_state=tlv.number(pdu.tlvs, tlv.MESSAGE_STATE),
        network_error_code=tlv.find(pdu.tlvs, tlv.NETWORK_ERROR_CODE) or b"",
        words=words,
    )


def incoming_of(
    pdu: DeliverSm | DataSm,
    alphabet: DefaultAlphabet,
    *,
    packed: bool = False,
    region: str | None = None,
) -> Incoming:
    """A received message, or the part of one that this is.

    `packed` is whether the carrier hands septets on as they travelled, eight in seven octets;
    `region` is the country in which its national numbers are dialled.
    """
    concatenation, languages, octets = None, (0, 0), carried(pdu)
    header = 0
    # Some carriers leave the header and lose the bit.
    if pdu.esm_class & _UDHI or is_surely_header(octets):
        languages, whole = national_languages(octets), octets
        concatenation, octets = parse_user_data_header(octets)
        header = len(whole) - len(octets)
    if packed and alphabet == "gsm7" and is_default(pdu.data_coding):
        octets = _unpacked(octets, header)
    concatenation = concatenation or _sar(pdu.tlvs) or Concatenation(0, 1, 1)
    return Incoming(
        sender=_number(pdu.source_addr, pdu.source_addr_ton, region),
        recipient=_number(pdu.destination_addr, pdu.dest_addr_ton, region),
        text=(decode_part if concatenation.total > 1 else decode)(
            pdu.data_coding, octets, alphabet, languages
        ),
        reference=concatenation.reference,
        total=concatenation.total,
        number=concatenation.number,
    )


def _unpacked(octets: bytes, header: int) -> bytes:
    """The septets that follow a header of so many octets (3GPP TS 23.040 §9.2.3.24).

    A septet 0 that only fills the last octet is none: SMPP counts octets and not septets.
    """
    fill_bits = -8 * header % 7
    septets = unpack_septets(octets, 8 * len(octets), fill_bits)
    padded = septets and (8 * len(octets) - fill_bits) % 7 == 0 and not septets[-1]
    return septets[:-1] if padded else septets


def _sar(tlvs: tlv.Tlvs) -> Concatenation | None:
    """The part that the sar parameters make of a message (§5.3.2.22 to §5.3.2.24)."""
    reference = tlv.number(tlvs, tlv.SAR_MSG_REF_NUM)
    total = tlv.number(tlvs, tlv.SAR_TOTAL_SEGMENTS)
    number = tlv.number(tlvs, tlv.SAR_SEGMENT_SEQNUM)
    if reference is None or total is None or number is None or not 1 <= number <= total <= 255:
        return None
    return Concatenation(reference & 0xFFFF, total, number)


def _number(address: str, ton: int, region: str | None = None) -> str:
    """A number with its country code gets a plus sign; any other stays as the carrier wrote it.

    Numbers have a country code where the carrier calls them international. Those that it calls
    national, or says nothing about, are read in `region` where there is one reading only.
    """
    digits = address.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return address
    if ton == _INTERNATIONAL:
        return f"+{digits.removeprefix('00')}"
    if region is None or address != digits or len(digits) <= _LONGEST_SHORT_CODE:
        return address
    readings = {dialling.national(digits, region)}
    if ton == _UNKNOWN[0]:
        readings.add(numbering.international(digits.removeprefix("00")))
    elif ton != _NATIONAL:
        return address
    found = [reading[0] for reading in readings if reading is not None]
    return found[0] if len(set(found)) == 1 else address
