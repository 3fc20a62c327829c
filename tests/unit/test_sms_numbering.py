"""Numbers against libphonenumber's own functions, which are the authority."""

import configparser
import datetime
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata, PhoneNumberFormat, PhoneNumberType

from sms_gateway.sms import dialling, kinds, numbering
from sms_gateway.sms.address import parse_recipients
from sms_gateway.sms.kinds import Kind


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
    assert dialling.national("0494000000", "BE") == ("+32494000000", "BE")
    assert dialling.national("0494000000", "FR") == ("+33494000000", "FR")
    assert dialling.national("2025550123", "US") == ("+12025550123", "US")
    assert dialling.national("4165550123", "US") == ("+14165550123", "CA")
    assert dialling.national("0494000000", "ZZ") is None
    assert dialling.national("1", "BE") is None
    assert dialling.national("0" * 1000, "BE") is None
    assert dialling.national("0494000000", "") is None


def test_a_national_number_may_lack_its_trunk_prefix_but_has_no_country_code():
    assert dialling.national("494000000", "BE") == ("+32494000000", "BE")
    assert dialling.national("32494000000", "BE") is None
    assert dialling.national("12025550123", "US") == ("+12025550123", "US")
    assert dialling.national("01132494000000", "US") is None
    # 06 30 …, of which a spreadsheet leaves 6 30 …
    for digits in ("06301234567", "6301234567", "301234567"):
        assert dialling.national(digits, "HU") == ("+36301234567", "HU")
    # Mobiles of the Congo begin with 0; so do landlines of Italy, but nobody texts them.
    assert dialling.national("64083371", "CG") == ("+242064083371", "CG")
    assert dialling.national("4512345678", "IT") is None
    assert dialling.dialled("4531234567", "IT") == ("+4531234567", "DK")


REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


def _variants(draw: random.Random, region: str) -> Iterator[str]:
    """Digits that are nearly national numbers of a region, and many that are."""
    data = PhoneMetadata.metadata_for_region(region)
    assert data is not None
    kinds = (phonenumbers.example_number_for_type(region, k) for k in PhoneNumberType.values())
    examples = [phonenumbers.national_significant_number(n) for n in kinds if n is not None]
    for _ in range(60):
        example = draw.choice(examples)
        kept = draw.randint(0, min(4, len(example)))
        rest = "".join(draw.choice("0123456789") for _ in example[kept:])
        yield draw.choice(["", data.national_prefix or "0", "0", "8", "1"]) + example[:kept] + rest


def test_a_national_number_of_any_region_is_what_libphonenumber_reads():
    draw, valid = random.Random(20_261_130), 0
    for region in REGIONS:
        data = PhoneMetadata.metadata_for_region(region)
        assert data is not None
        for digits in _variants(draw, region):
            found = dialling.national(digits, region)
            # What is dialled for abroad and the own calling code it reads first, and neither is of
            # the national plan.
            if (data.international_prefix and re.match(data.international_prefix, digits)) or (
                digits.startswith(str(data.country_code)) and found is None
            ):
                continue
            # It knows of no spreadsheets that take a zero away.
            if found is not None and found == dialling.national("0" + digits, region):
                digits = "0" + digits
            try:
                number = phonenumbers.parse(digits, region)
            except phonenumbers.NumberParseException:
                assert found is None, (region, digits)
                continue
            e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
            country = phonenumbers.region_code_for_number(number)
            is_valid = phonenumbers.is_valid_number(number) and len(e164) <= 16
            assert found == ((e164, country) if is_valid else None), (region, digits)
            valid += is_valid
            if found is not None:
                # What came out goes in again.
                assert numbering.international(found[0][1:]) == found
    assert valid > 2_000


def test_random_numbers_of_all_regions_are_valid_exactly_when_libphonenumber_says_so():
    draw, valid = random.Random(60_117), 0
    for region in REGIONS:
        code = str(phonenumbers.country_code_for_region(region))
        for digits in _variants(draw, region):
            found = numbering.international(code + digits)
            assert found == _oracle(code + digits), (region, digits)
            valid += found is not None
    assert valid > 2_000


#: Where most texts go, and all that is odd about national numbers: a zero that is a part of the
#: number (IT, BJ, CI, CG), other trunk prefixes than 0 (RU, KZ, HU, US), carriers' codes (BR, CN,
#: CO, KR), 15 for mobiles (AR), shared calling codes.
_MOST = (
    "US CA CO CN IT DE BE GB FR NL AU BR MX AR IN RU JP KR SG HK "
    "AT CH ES PT PL SE NO DK FI IE CZ HU RO GR TR ZA NG EG MY TH "
    "ID VN PH NZ IL AE SA KZ JM DO PR LU LT UA CL PE KE MA PK BD BJ CI CG"
)


def _mobiles(draw: random.Random, region: str, many: int) -> Iterator[phonenumbers.PhoneNumber]:
    """Random mobiles of a region that libphonenumber calls valid."""
    kinds = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    assert example is not None
    digits = phonenumbers.national_significant_number(example)
    found = 0
    for _ in range(100_000):
        kept = draw.randint(0, 2)
        rest = "".join(draw.choice("0123456789") for _ in digits[kept:])
        written = f"+{example.country_code}{digits[:kept]}{rest}"
        number = phonenumbers.parse(written, None)
        if (
            phonenumbers.is_valid_number_for_region(number, region)
            and phonenumbers.number_type(number) in kinds
            and phonenumbers.format_number(number, PhoneNumberFormat.E164) == written
        ):
            yield number
            found += 1
            if found == many:
                return
    raise AssertionError(f"too few numbers of {region}")


@pytest.mark.parametrize("region", _MOST.split())
def test_no_mobile_that_is_written_as_at_home_goes_abroad(region: str):
    for number in _mobiles(random.Random(region), region, 40):
        e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        expected = (e164, phonenumbers.region_code_for_number(number))
        formatted = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        assert [tuple(a[:2]) for a in parse_recipients(formatted, region)] == [expected]
        for digits in {
            # as dialled, and as a spreadsheet keeps it
            re.sub("[^0-9]", "", formatted),
            re.sub("[^0-9]", "", formatted).lstrip("0"),
            phonenumbers.national_significant_number(number),
        }:
            assert dialling.dialled(digits, region) == expected, digits
        # As programs write it: without + it is this number or a national one, never one abroad.
        assert dialling.dialled(e164[1:], region) == expected, e164
        assert [a.number for a in parse_recipients(e164, region)] == [e164]


_OF_LIBPHONENUMBER = {
    PhoneNumberType.MOBILE: Kind.MOBILE,
    PhoneNumberType.FIXED_LINE: Kind.FIXED,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Kind.FIXED_OR_MOBILE,
    PhoneNumberType.TOLL_FREE: Kind.TOLL_FREE,
    PhoneNumberType.SHARED_COST: Kind.SHARED_COST,
    PhoneNumberType.PREMIUM_RATE: Kind.PREMIUM,
    PhoneNumberType.PERSONAL_NUMBER: Kind.PERSONAL,
    PhoneNumberType.PAGER: Kind.PAGER,
    PhoneNumberType.UAN: Kind.UNIVERSAL,
    PhoneNumberType.VOIP: Kind.VOIP,
    PhoneNumberType.VOICEMAIL: Kind.VOICEMAIL,
}


def test_the_kind_of_every_number_is_what_libphonenumber_says():
    seen = set()
    for digits in EXAMPLES:
        if digits.startswith(("870", "878", "881", "88216")):
            continue
        found = kinds.kind("+" + digits)
        number = phonenumbers.parse("+" + digits)
        assert found is _OF_LIBPHONENUMBER[phonenumbers.number_type(number)], digits
        seen.add(found)
    assert seen == set(_OF_LIBPHONENUMBER.values())


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("+870773111632", Kind.SATELLITE),
        ("+881612345678", Kind.SATELLITE),
        ("+8821612345678", Kind.SATELLITE),
        ("+878101234567890", Kind.PERSONAL),
        ("+80012345678", Kind.TOLL_FREE),
        ("+80812345678", Kind.SHARED_COST),
        ("+979123456789", Kind.PREMIUM),
        ("+12025550123", Kind.FIXED_OR_MOBILE),
        ("+18005550123", Kind.TOLL_FREE),
        ("+19002345678", Kind.PREMIUM),
        ("+441481960194", Kind.FIXED),
        ("+441624712345", Kind.FIXED),
    ],
)
def test_numbers_of_no_country_and_of_shared_codes_have_their_kind(number: str, kind: Kind):
    assert numbering.international(number[1:]) is not None
    assert kinds.kind(number) is kind


ROOT = Path(__file__).parents[2]
_FLOOR = re.compile(r"# Of ([0-9-]{10})\..*\n +phonenumberslite >= ([0-9.]+)\n")


def _last_change() -> datetime.date:
    """When somebody last worked here: a copy that rests is as old as it was."""
    git = ["git", "-C", str(ROOT), "log", "-1", "--format=%cs", "--", "setup.cfg", "sms_gateway"]
    try:
        told = subprocess.run(git, capture_output=True, text=True, check=True, timeout=60).stdout
        return datetime.date.fromisoformat(told.strip())
    except (OSError, subprocess.CalledProcessError, ValueError):
        # Not a repository: an archive keeps the times of its files.
        return datetime.date.fromtimestamp((ROOT / "sms_gateway/sms/numbering.py").stat().st_mtime)


def test_the_numbering_plans_are_not_old():
    text = (ROOT / "setup.cfg").read_text("utf-8")
    found = _FLOOR.search(text)
    assert found, "setup.cfg: the line above phonenumberslite says of which day its version is"
    day, floor = datetime.date.fromisoformat(found[1]), _version(found[2])
    assert _version(phonenumbers.__version__) >= floor, "pip install -U phonenumberslite"
    age = (_last_change() - day).days
    assert age < 365, (
        f"the oldest phonenumberslite that setup.cfg allows was {age} days old at the last change "
        "here, and countries have opened ranges of numbers since: run pip install -U "
        "phonenumberslite, and put its new version and the day of its release into setup.cfg"
    )


def test_the_floor_of_the_numbering_plans_is_what_pip_reads():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"].splitlines()
    found = _FLOOR.search((ROOT / "setup.cfg").read_text("utf-8"))
    assert found is not None
    assert [line for line in lines if line.startswith("phonenumberslite")] == [
        f"phonenumberslite >= {found[2]}"
    ]


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("."))
