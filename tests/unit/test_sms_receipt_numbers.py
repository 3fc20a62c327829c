"""Numbers in receipts, as carriers write them, and whose they are."""

import pytest

from sms_gateway.sms.message import State
from sms_gateway.sms.receipt import Receipt
from sms_gateway.sms.receipt_numbers import agrees, numbers_told

#: As written, the recipient, whether it is that one.
NUMBERS = [
    ("32494000000", "+32494000000", True),
    ("0032494000000", "+32494000000", True),
    ("01132494000000", "+32494000000", True),  # the exit code of North America
    ("0494000000", "+32494000000", True),
    ("494000000", "+32494000000", True),
    ("320494000000", "+32494000000", True),
    ("94000000", "+32494000000", True),  # its end
    ("4000000", "+32494000000", False),  # too little of it
    ("32494000001", "+32494000000", False),
    ("31494000000", "+32494000000", False),
    ("42494000000", "+32494000000", False),
    ("0494000001", "+32494000000", False),
    ("10132494000000999", "+32494000000", False),
    ("2015946934", "+12015946934", True),
    ("12015946934", "+12015946934", True),
    ("89123456789", "+79123456789", True),  # Russia dials 8
    ("06201234567", "+36201234567", True),  # Hungary dials 06
    ("6901234", "+3546901234", True),  # seven digits in Iceland
    ("1123456789", "+5491123456789", True),  # Argentina writes no 9 at home
    ("3491123456789", "+5491123456789", False),
]


def a_receipt(recipient: str, other: str = "") -> Receipt:
    return Receipt(
        smsc_id="5",
        state=State.DELIVERED,
        recipient=recipient,
        other_number=other,
        error="",
        done_at=0,
        raw="",
    )


@pytest.mark.parametrize(("written", "recipient", "is_its"), NUMBERS)
def test_a_number_is_its_recipients_in_each_form(
    written: str, recipient: str, is_its: bool
) -> None:
    assert agrees(a_receipt(written), recipient) is is_its
    # Swapped: our own number, short code or name stands where the recipient's should.
    for ours in ("32470999999", "8888", ""):
        assert agrees(a_receipt(ours, written), recipient) is is_its
    # The usual way round, from a number of ours.
    assert agrees(a_receipt(written, "32470999999"), recipient) is is_its


@pytest.mark.parametrize(("recipient", "other"), [("", ""), ("8888", ""), ("8888", "123456")])
def test_short_codes_and_names_tell_nothing(recipient: str, other: str) -> None:
    receipt = a_receipt(recipient, other)
    assert numbers_told(receipt) == []
    assert agrees(receipt, "+32494000000") is None


def test_of_an_erased_recipient_nothing_is_known() -> None:
    assert agrees(a_receipt("32494000000"), "") is None
