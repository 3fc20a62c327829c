"""Numbers against libphonenumber's own functions, which are the authority."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from sms_gateway.sms import numbering


def _examples() -> list[str]:
    """A number of each kind in each country, as libphonenumber gives them: digits only."""
    numbers = [
        phonenumbers.example_number_for_type(country, kind)
        for country in sorted(phonenumbers.SUPPORTED_REGIONS)
        for kind in PhoneNumberType.values()
    ]
    numbers += [
        phonenumbers.example_number_for_non_geo_entity(code)
        for code in sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS)
    ]
    written = {
        phonenumbers.format_number(number, PhoneNumberFormat.E164)[1:]
        for number in numbers
        if number is not None
    }
    return sorted(written)


EXAMPLES = _examples()


def _oracle(digits: str) -> tuple[str, str] | None:
    try:
        number = phonenumbers.parse("+" + digits, None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    country = phonenumbers.region_code_for_number(number)
    # ITU-T E.164 ends at fifteen digits; some plans of libphonenumber do not.
    return (e164, country) if country is not None and len(e164) <= 16 else None


def test_every_kind_of_number_of_every_country_is_valid():
    assert len(EXAMPLES) > 900
    for digits in EXAMPLES:
        found = numbering.international(digits)
        assert found == _oracle(digits)
        assert found is not None
        assert found[0] == "+" + digits


@st.composite
def _nearly_numbers(draw: st.DrawFn) -> str:
    digits = draw(st.sampled_from(EXAMPLES))
    at = draw(st.integers(0, len(digits)))
    length = draw(st.integers(0, 4))
    return digits[:at] + draw(st.text("0123456789", max_size=4)) + digits[at + length :]


@given(_nearly_numbers())
def test_what_is_valid_and_where_is_what_libphonenumber_says(digits: str):
    assert numbering.international(digits) == _oracle(digits)


@given(st.text("0123456789", max_size=25))
def test_any_digits_are_a_number_exactly_when_libphonenumber_says_so(digits: str):
    assert numbering.international(digits) == _oracle(digits)


@pytest.mark.parametrize(
    ("digits", "code"),
    [
        ("32494000000", "32"),
        ("12025550123", "1"),
        ("35312345678", "353"),
        ("87012345678", "870"),
        ("0032494000000", ""),
        ("999", ""),
        ("3", ""),
        ("", ""),
    ],
)
def test_the_calling_code_is_what_a_number_begins_with(digits: str, code: str):
    assert numbering.calling_code(digits) == code


def test_a_number_may_be_written_as_it_is_dialled_at_home():
    assert numbering.national("0494000000", "BE") == ("+32494000000", "BE")
    assert numbering.national("0494000000", "FR") == ("+33494000000", "FR")
    assert numbering.national("2025550123", "US") == ("+12025550123", "US")
    assert numbering.national("4165550123", "US") == ("+14165550123", "CA")
    assert numbering.national("0494000000", "ZZ") is None
    assert numbering.national("1", "BE") is None
    assert numbering.national("0" * 1000, "BE") is None
