"""What is tried with an input, and what has to hold whatever it is."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import get_args

from sms_gateway.smpp.codec import Decoder, EncodeError, FramingError, decode, encode
from sms_gateway.smpp.events import Answered, Closed, Offered, Unanswered
from sms_gateway.smpp.pdu import BindTransceiver, BindTransceiverResp, Pdu, SubmitSm, UnreadablePdu
from sms_gateway.smpp.session import Session
from sms_gateway.smpp.status import SYSTEM_ERROR
from sms_gateway.sms.encoding import DefaultAlphabet
from sms_gateway.sms.receipt import with_raw
from sms_gateway.sms.receipt_numbers import agrees
from sms_gateway.upstream.smpp_messages import incoming_of, is_receipt, may_be_receipt, receipt_of

#: Calls of functions that an input may cost: so many for a start, and for each octet.
_START, _EACH = 3_000, 60


def try_all(data: bytes) -> None:
    """Try everything; AssertionError where something does not hold."""
    for target in (decoding, conversation):
        with _cost(_START + _EACH * len(data)):
            target(data)


def decoding(data: bytes) -> None:
    """Bytes become the same PDUs in whatever pieces they come, and those can be written again."""
    if not data:
        return
    size, octets = data[0] + 1, data[1:]
    found = _read([octets])
    assert found == _read([octets[at : at + size] for at in range(0, len(octets), size)])
    for pdu in found:
        if pdu is None or isinstance(pdu, UnreadablePdu):
            continue
        try:
            written = encode(pdu)
        except EncodeError:  # longer than a field of ours may be
            continue
        assert decode(written) == pdu


def _read(pieces: list[bytes]) -> list[Pdu | None]:
    """The PDUs, and None at the end for a length that none can have."""
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


def conversation(data: bytes) -> None:
    """A bound session survives whatever the SMSC says, and says little itself."""
    session: Session[int] = Session(
        BindTransceiver(), window=5, response_timeout=10, enquire_interval=30, late_timeout=20
    )
    session.bind(0)
    events = session.received(encode(BindTransceiverResp(sequence=1)), 0)
    session.outgoing()
    submitted, heard, said, now = 0, Counter[tuple[type, int]](), 0, 0.0
    size = data[0] + 1 if data else 1
    for at in range(1, len(data), size):
        while session.free:
            session.submit(SubmitSm(short_message=b"Hello"), submitted, now)
            submitted += 1
        session.outgoing()
        now += 3
        is_closed = any(isinstance(event, Closed) for event in events)
        events = session.tick(now) + session.received(data[at : at + size], now)
        assert not (is_closed and events)
        for event in events:
            if isinstance(event, Answered | Unanswered):
                heard[type(event), event.ticket] += 1
            elif isinstance(event, Offered):
                _read_offer(event)
                if len(event.pdu.source_addr) % 2:
                    session.accept(event.pdu)
                else:
                    session.refuse(event.pdu, SYSTEM_ERROR)
        said += len(session.outgoing())
    # Each part is answered once, and given up once before that at most.
    assert all(count == 1 for count in heard.values())
    assert all(ticket < submitted for _, ticket in heard)
    # An answer of 17 octets to each PDU, which has 16 at least, and what is asked by the clock.
    assert said <= 2 * len(data) + 64 * (len(data) // size + 2)


def _read_offer(event: Offered) -> None:
    for alphabet in get_args(DefaultAlphabet):
        incoming_of(event.pdu, alphabet)
    if is_receipt(event.pdu) or may_be_receipt(event.pdu):
        receipt = receipt_of(event.pdu)
        if receipt is not None:
            agrees(receipt, "+32494000000")
            assert with_raw(receipt).text_id in ("", receipt.text_id)


@contextmanager
def _cost(most: int) -> Iterator[None]:
    """AssertionError when the block takes more calls than that. Time would say less: it varies."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before: Callable[..., object] | None = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)
    assert calls <= most, f"{calls} calls, at most {most} are right"
