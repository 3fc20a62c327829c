"""Deliveries as submit_sm, and deliver_sm as receipts and incoming messages."""

from collections.abc import Mapping

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
    unpack_septets,
)
from ..sms.message import State
from ..sms.receipt import Receipt, has_form, parse_receipt, receipt_text
from ..sms.segments import (
    Concatenation,
    is_surely_header,
    national_languages,
    parse_user_data_header,
    user_data,
)
from . import Delivery, Incoming, pending_parts
from .smpp_options import SmppOptions, Validity

_UDHI = 0x40  # SMPP 3.4 §5.2.12, GSM network specific features
# §5.2.12, message type: a delivery receipt, and an intermediate notification of the same form.
_MESSAGE_TYPE, _RECEIPT_TYPES = 0x3C, (0x04, 0x20)
_DATA_CODINGS = {Encoding.GSM7: 0x00, Encoding.UCS2: 0x08}  # §5.2.19
_MAX_SHORT_MESSAGE = 254  # §4.4.1

# Type of number and numbering plan (§5.2.5, §5.2.6).
_UNKNOWN = (0, 0)
_INTERNATIONAL = (1, 1)
_NATIONAL = 2
_SHORT_CODE = (3, 0)  # network specific
_ALPHANUMERIC = (5, 0)
#: Numbers of more digits are international ones: the shortest have seven with their country code.
_LONGEST_SHORT_CODE = 6


def submit_sms(delivery: Delivery, options: SmppOptions, now: float) -> list[tuple[int, SubmitSm]]:
    """The parts still to be submitted, each with its number. `now` is Unix time in seconds.

    Raises ValueError, without the text in it, for what cannot be written in this carrier's way.
    """
    encoding = delivery.encoding
    alphabet = delivery.alphabet or options.default_alphabet
    if encoding is Encoding.GSM7:
        # The carrier's alphabet for data_coding 0 may lack what the GSM alphabet has.
        encoding = choose(delivery.text, alphabet)
    octets = user_data(delivery.text, encoding, delivery.id % 256, alphabet)
    if len(octets) != delivery.parts:
        raise ValueError(
            f"takes {len(octets)} parts in the carrier's alphabet and was counted as "
            f"{delivery.parts}"
        )
    source_ton, source_npi = source_type(delivery.sender)
    destination_ton, destination_npi = _INTERNATIONAL
    validity = validity_period(delivery.expires_at, options.validity, now)

    def submit_sm(part: bytes) -> SubmitSm:
        short = len(part) <= _MAX_SHORT_MESSAGE
        return SubmitSm(
            service_type=options.service_type,
            source_addr_ton=source_ton,
            source_addr_npi=source_npi,
            source_addr=delivery.sender.removeprefix("+"),
            dest_addr_ton=destination_ton,
            dest_addr_npi=destination_npi,
            destination_addr=delivery.recipient.removeprefix("+"),
            esm_class=_UDHI if delivery.parts > 1 else 0,
            validity_period=validity,
            registered_delivery=options.registered_delivery,
            data_coding=_DATA_CODINGS[encoding],
            short_message=part if short else b"",
            tlvs=() if short else ((tlv.MESSAGE_PAYLOAD, part),),
        )

    return [(number, submit_sm(octets[number - 1])) for number in pending_parts(delivery)]


def source_type(sender: str) -> tuple[int, int]:
    """TON and NPI of a sender: letters, a short code or an international number."""
    if not sender:
        return _UNKNOWN
    digits = sender.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return _ALPHANUMERIC
    return _SHORT_CODE if len(digits) <= _LONGEST_SHORT_CODE else _INTERNATIONAL


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
    if ton == _INTERNATIONAL[0]:
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
