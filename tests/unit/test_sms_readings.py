"""What people who try a number are told about it."""

import phonenumbers
import pytest
from phonenumbers import PhoneNumberType

from sms_gateway.sms import readings
from sms_gateway.sms.address import AddressError
from sms_gateway.sms.kinds import Kind

CASES = [
    # what is written, the region, the number, its kind, how it was read, the other reading
    ("+32494000000", None, "+32494000000", Kind.MOBILE, "", ""),
    ("32494000000", None, "+32494000000", Kind.MOBILE, "", ""),
    ("+2015946934", "US", "+2015946934", Kind.FIXED, "", ""),
    ("0032494000000", "BE", "+32494000000", Kind.MOBILE, "", ""),
    ("0032494000000", "AU", "+32494000000", Kind.MOBILE, "", ""),
    ("0494 00 00 00", "BE", "+32494000000", Kind.MOBILE, readings.NATIONAL, ""),
    ("494000000", "BE", "+32494000000", Kind.MOBILE, readings.NATIONAL_OR, "+494000000"),
    (
        "(201) 594-6934",
        "US",
        "+12015946934",
        Kind.FIXED_OR_MOBILE,
        readings.NATIONAL_OR,
        "+2015946934",
    ),
    ("1 201 594 6934", "US", "+12015946934", Kind.FIXED_OR_MOBILE, readings.NATIONAL, ""),
    ("32494000000", "BE", "+32494000000", Kind.MOBILE, readings.INTERNATIONAL, ""),
    ("4915112345678", "DE", "+4915112345678", Kind.MOBILE, readings.OWN, "+494915112345678"),
    ("011 32 494000000", "US", "+32494000000", Kind.MOBILE, readings.EXIT, ""),
    ("0011 32 494000000", "AU", "+32494000000", Kind.MOBILE, readings.EXIT, ""),
    # In Thailand 001 is dialled for abroad, but 00 writes + everywhere.
    (
        "0013214940000",
        "TH",
        "+13214940000",
        Kind.FIXED_OR_MOBILE,
        readings.PREFIXED_OR,
        "+3214940000",
    ),
]


@pytest.mark.parametrize(("text", "region", "number", "kind", "how", "other"), CASES)
def test_which_reading_was_taken_is_told_with_the_other(text, region, number, kind, how, other):
    (found,) = readings.readings(text, region)
    assert (found.number, found.kind, found.how, found.other) == (number, kind, how, other)
    assert found.region == (region or "")
    # A reading in words has a place for what there is to tell, and no other.
    told = how % {"region": found.region, "other": other}
    assert other in told
    assert ("+" in told) == bool(other)


def test_all_numbers_of_a_text_are_told_once_each():
    text = "0494000000, +32495000000, 0032494000000"
    assert [found.number for found in readings.readings(text, "BE")] == [
        "+32494000000",
        "+32495000000",
    ]
    with pytest.raises(AddressError):
        readings.readings("mum", "BE")


def test_whatever_may_not_take_a_text_comes_with_a_note():
    assert set(Kind) - set(readings.NOTES) == {Kind.MOBILE, Kind.FIXED_OR_MOBILE}
    number = phonenumbers.example_number_for_type("BE", PhoneNumberType.PREMIUM_RATE)
    assert number is not None
    (found,) = readings.readings(f"+32{number.national_number}", None)
    assert found.kind is Kind.PREMIUM
    assert "cost extra" in found.note
    (mobile,) = readings.readings("+32494000000", None)
    assert mobile.note == ""
