import re

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat

from sms_gateway.sms.address import (
    MAX_LENGTH,
    MAX_NUMBERS,
    Address,
    AddressError,
    TooManyNumbersError,
    parse_recipients,
)


def _numbers(text: str, region: str | None = None) -> list[str]:
    return [address.number for address in parse_recipients(text, region)]


ONE, TWO, THREE = "+32494000000", "+32495000000", "+33612345678"

READINGS = [
    # what is written, the region, the numbers
    # the three forms of an international number
    ("+32494000000", None, [ONE]),
    ("0032494000000", None, [ONE]),
    ("32494000000", None, [ONE]),
    # formatting inside a number
    ("+32 494 00.00-00", None, [ONE]),
    ("(+32) 494/00.00.00", None, [ONE]),
    ("[0032] 494 00 00 00", None, [ONE]),
    ("32 494 00 00 00", None, [ONE]),
    ("+32 494 0 0 0 0 0 0", None, [ONE]),
    ("  +32494000000\t", None, [ONE]),
    ("+32\u00a0494\u202f00\u201100\u201300", None, [ONE]),
    ("\u202a+32494000000\u202c", None, [ONE]),
    # the trunk prefix is no part of an international number, but for Italy's
    ("+32 (0) 494 00 00 00", None, [ONE]),
    ("+320494000000", None, [ONE]),
    ("+39 06 69812345", None, ["+390669812345"]),
    # comma, semicolon and line break separate, with or without white space, even several
    ("+32494000000,+32495000000", None, [ONE, TWO]),
    ("0032494000000; 0032495000000", None, [ONE, TWO]),
    ("+32 494 00 00 00\r\n+32 495 00 00 00\r\n", None, [ONE, TWO]),
    (",;+32494000000,,\n;32495000000, ", None, [ONE, TWO]),
    # white space between words that are numbers, rule 1
    ("0032494000000 0032495000000", None, [ONE, TWO]),
    ("32494000000\t+32495000000  0033612345678", None, [ONE, TWO, THREE]),
    # white space inside one number, rule 2, also where a word begins with 00 or looks like a prefix
    ("+32 494 00 00 00", None, [ONE]),
    ("+49 30 0012345", None, ["+49300012345"]),
    ("+33 6 12 00 45 67", None, ["+33612004567"]),
    # white space of both kinds, rule 3
    ("+32 494 000000 +32 495 000000", None, [ONE, TWO]),
    ("0032 494 00 00 00 0032 495 00 00 00", None, [ONE, TWO]),
    ("32 494 000000 +32 495 000000", None, [ONE, TWO]),
    ("0032 (494) 000000 +32 (495) 000000", None, [ONE, TWO]),
    ("+33 6 12 001234 0033 6 12 34 56 78", None, ["+33612001234", THREE]),
    ("+32494000000 32495000000 +33 6 12 34 56 78", None, [ONE, TWO, THREE]),
    ("+32 494 000000 0032495000000, 33612345678", None, [ONE, TWO, THREE]),
    # the same number twice is one recipient, where it first stood
    ("+32495000000,0032494000000,32 495 00 00 00", None, [TWO, ONE]),
    # with a region numbers may be written as dialled there
    ("0494 00 00 00", "BE", [ONE]),
    ("0494000000 0495000000", "BE", [ONE, TWO]),
    ("0494/00.00.00, +33 6 12 34 56 78", "BE", [ONE, THREE]),
    ("06 12 34 56 78", "FR", [THREE]),
    ("(202) 555-0123", "US", ["+12025550123"]),
    ("011 32 494 00 00 00", "US", [ONE]),
    # but + and 00 always begin an international number
    ("+0494000000", "BE", None),
    ("00494000000", "BE", ["+494000000"]),
    # with a region digits are its national number first, though they are one abroad, too
    ("494000000", "BE", [ONE]),
    ("(201) 594-6934", "US", ["+12015946934"]),
    ("(267) 686-2955", "US", ["+12676862955"]),
    ("1 201 594 6934", "US", ["+12015946934"]),
    ("492541224", "DE", ["+49492541224"]),
    ("0492541224", "DE", ["+49492541224"]),
    ("494000000, 2015946934", "BE", [ONE, "+2015946934"]),
    ("494000000 495000000", "BE", [ONE, TWO]),
    ("494 00 00 00", "BE", [ONE]),
    ("8 912 345-67-89", "RU", ["+79123456789"]),
    # and an international one only where they are none; + and 00 always write it
    ("32494000000", "BE", [ONE]),
    ("32494000000", "FR", [ONE]),
    ("+2015946934", "US", ["+2015946934"]),
    ("002015946934", "US", ["+2015946934"]),
    ("+494000000", "BE", ["+494000000"]),
    # but not the region's own mobiles with their code, which look like its longest landlines
    ("4915112345678", "DE", ["+4915112345678"]),
    ("628123456789", "ID", ["+628123456789"]),
    ("4930901820", "DE", ["+494930901820"]),
    # abroad as dialled there; 00 keeps its meaning where something else is dialled
    ("0011 32 494 00 00 00", "AU", [ONE]),
    ("010 32 494 00 00 00", "JP", [ONE]),
    ("810 32 494 00 00 00", "RU", [ONE]),
    ("0032 494 00 00 00", "AU", [ONE]),
    # digits of any script, alone or mixed, full-width signs
    ("+\u0663\u0662\u0664\u0669\u0664\u0660\u0660\u0660\u0660\u0660\u0660", None, [ONE]),
    ("\u06f0\u06f4\u06f9\u06f4\u06f0\u06f0\u06f0\u06f0\u06f0\u06f0", "BE", [ONE]),
    ("+\u0969\u0968\u096a\u096f\u096a\u0966\u0966\u0966\u0966\u0966\u0966", None, [ONE]),
    ("+\uff13\uff12494000000", None, [ONE]),
    ("\uff0b32494000000", None, [ONE]),
    ("\uff10\uff14\uff19\uff14\uff0d\uff10\uff10\uff0d\uff10\uff10\uff0d\uff10\uff10", "BE", [ONE]),
    ("\uff08\uff10\uff14\uff19\uff14\uff09\u3000000000", "BE", [ONE]),
    ("+32494000000\uff0c+32495000000\u3001+33612345678", None, [ONE, TWO, THREE]),
    ("+32494000000\u060c +32495000000\u061b+33612345678", None, [ONE, TWO, THREE]),
    ("\U0001d7d1\U0001d7d0494000000", None, [ONE]),
    # spaces that are none on a typewriter, and signs without a width
    ("+32\u2007494\u2009000\u3000000", None, [ONE]),
    ("\ufeff+32494\u200b000\u00ad000\u2060", None, [ONE]),
    ("+32\u00b7494\u00b7000000", None, [ONE]),
    # addresses (RFC 3966, RFC 5724)
    ("tel:+32494000000", None, [ONE]),
    ("TEL:+32-494-00.00.00", None, [ONE]),
    ("tel:(+32)494000000, tel:+32495000000", None, [ONE, TWO]),
    ("tel://+32494000000 sms:+32495000000", None, [ONE, TWO]),
    ("smsto:+32494000000", None, [ONE]),
    ("tel: 0494 00 00 00", "BE", [ONE]),
    # what spreadsheets and CSV put around
    ("'+32494000000", None, [ONE]),
    ("'0494000000", "BE", [ONE]),
    ("'+32494000000 '+32495000000", None, [ONE, TWO]),
    ("'+32494000000,'+32495000000\n\u2019+33612345678", None, [ONE, TWO, THREE]),
    ('"+32494000000","+32495000000"', None, [ONE, TWO]),
    ('"+32494000000, +32495000000"', None, [ONE, TWO]),
    ("'+32494000000', '+32495000000'", None, [ONE, TWO]),
    ('="0494000000"', "BE", [ONE]),
    ('"\'+32494000000"', None, [ONE]),
    ("\u201c+32494000000\u201d \u00ab\u00a0+32495000000\u00a0\u00bb", None, [ONE, TWO]),
    # no region, no country code
    ("0494000000", None, None),
    # where a number ends is not guessed from what could be one
    ("+32 494 000000 495 000000", "BE", None),
    # each word but the last is a number, and together they are none
    ("+32494000000 12", None, None),
    ("0494 00 00 00 0495 00 00 00", "BE", None),
    # short mobiles of the region, whose digits together are a number abroad, or another at home
    ("888 1218/888 3371", "NU", None),
    ("888 1218 888 3371", "NU", None),
    ("82 11 33 - 82 12 33", "WF", None),
    ("36494.39441", "AC", None),
    ("3 81103/672381198", "NF", None),
    ("664123094/0664 123177", "AT", None),
    ("43664123094-0664 123177", "AT", None),
    ("60452820/7 1009076", "SO", None),
    ("0025260452820/7 1009076", "SO", None),
    ("+32494000000, 888 1218/888 3371", "NU", None),
    # which a comma or line break, or + say; each word a number is what it says already
    ("888 1218, 888 3371", "NU", ["+6838881218", "+6838883371"]),
    ("888 1218\n888 3371", "NU", ["+6838881218", "+6838883371"]),
    ("8881218 8883371", "NU", ["+6838881218", "+6838883371"]),
    ("+888 1218 888 3371", "NU", ["+88812188883371"]),
    ("664123094 0664123177", "AT", ["+43664123094", "+43664123177"]),
    ("0664 123 4567", "AT", ["+436641234567"]),
]


@pytest.mark.parametrize(("text", "region", "numbers"), READINGS)
def test_numbers_are_read_as_people_mean_them(
    text: str, region: str | None, numbers: list[str] | None
):
    if numbers is None:
        with pytest.raises(AddressError):
            parse_recipients(text, region)
    else:
        assert _numbers(text, region) == numbers
        # And back: what was read reads as itself, however it is joined.
        for separator in (",", "; ", " ", "\n"):
            assert _numbers(separator.join(numbers), region) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        ",;,",
        "+",
        "-",
        "()",
        "+ +",
        "00",
        "hello",
        "Array",
        "tel:",
        "tel:mum",
        "tel:tel:+32494000000",
        "tel:+32494000000;ext=5",
        "tel:+32494000000;isub=5",
        "tel:494000000;phone-context=+32",
        "sms:+32494000000?body=hello",
        "fax:+32494000000",
        "+32494000000 tel",
        "+tel:32494000000",
        "+32494000000 ext 5",
        "+32494000000x5",
        "+32494000000;ext=5",
        "+32494000000#5",
        "+32494000000,5",
        "0800FLOWERS",
        "+32 494 OO OO OO",
        "+32494000000 poste 5",
        "+32494000000 ext. ٥",
        # digits without a place in a number: superscripts, in circles, of Rome
        "+3249400000\u00b9",
        "+3249400000\u2460",
        "+3249400000\u2169",
        # in the order in which they are shown, not written
        "32494000000+",
        "٣٢٤٩٤٠٠٠٠٠٠+",
        # as spreadsheets write long numbers
        "3.2494E+10",
        "3,2494e10",
        "32494000000.0",
        "+4915112345678.0",
        "491511234567.00",
        # quotes that do not match
        '"+32494000000',
        '+32494000000"',
        '+32"494000000',
        "+32'494'000'000",
        "''+32494000000",
        '"+32494000000""+32495000000"',
        '"',
        "'",
        '""',
        "++32494000000",
        "+0032494000000",
        "32+494000000",
        "+3249400000",
        "+324940000000",
        "+99912345678",
        "+32494000000\x00",
        "<32494000000>",
        "32494000000'",
        "112",
        "8000",
        "1" * 40,
        # more digits than E.164 has, in plans that know no limit
        "+4980001234567890",
        "+49 (0) 8000 1234567890",
    ],
)
@pytest.mark.parametrize("region", [None, "BE"])
def test_what_is_no_list_of_valid_numbers_is_refused(text: str, region: str | None):
    with pytest.raises(AddressError):
        parse_recipients(text, region)


def test_one_bad_number_refuses_all_and_the_message_tells_which_and_why():
    with pytest.raises(AddressError, match=r"^number 2 of 3 is not a valid telephone number"):
        parse_recipients("+32494000000, +3249400, +32495000000", None)
    with pytest.raises(AddressError, match=r"^number 1 of 2 has a letter or sign"):
        parse_recipients("mum, +32494000000", None)
    with pytest.raises(AddressError, match=r"^the number is not a valid telephone number"):
        parse_recipients("3249400", None)
    with pytest.raises(AddressError, match=r"^number 2 of 2 has an extension"):
        parse_recipients("+32494000000;ext=5", None)
    with pytest.raises(AddressError, match=r"^there is no number$"):
        parse_recipients(" ", None)


@pytest.mark.parametrize(
    ("text", "region", "reason"),
    [
        ("+3249400", None, "it is too short for a number of BE$"),
        ("00324940000000", None, "it is too long for a number of BE$"),
        ("+32000000000", None, "no numbers of BE begin so"),
        ("+99912345678", None, "no country's calling code begins so$"),
        ("+88012", None, "too short for a number of BD$"),
        ("+8701", None, "too short for a number of its calling code$"),
        ("+1201", None, "too short for a number of US or another country with its calling code$"),
        ("0494000000", None, "calling code begins so; write it with its country code$"),
        ("0494", "BE", "it is none of BE and no international one; write it with \\+"),
        ("32+494000000", None, "a \\+ stands between them$"),
        ("+32494OOOOOO", None, 'the letter "O"$'),
        ("+32494000000!", None, 'the sign "!"$'),
        ("+32494000000\x00", None, "the sign that cannot be shown$"),
        ("+3249400000\u0416", None, 'the letter "\u0416" \\(cyrillic capital letter zhe\\)$'),
        ("+32494000000 x5", None, "has an extension, which no SMS reaches"),
        ("+32494000000x5", None, "has an extension"),
        ("+32494000000#5", None, "has an extension"),
        (
            "tel:494000000;phone-context=+32",
            "BE",
            "^number 2 of 2 is a parameter of a tel: address",
        ),
        ("3.2494E+10", None, "is written as a decimal number"),
        ("491511234567.0", None, "is written as a decimal number"),
    ],
)
def test_a_refusal_says_what_was_wrong(text: str, region: str | None, reason: str):
    with pytest.raises(AddressError, match=reason):
        parse_recipients(text, region)


def test_a_space_that_may_have_been_a_plus_makes_no_national_number_of_one_abroad():
    for text in (" 2015946934", " 32494000000, 2015946934"):
        with pytest.raises(AddressError, match="may have been a \\+ and makes another number"):
            parse_recipients(text, "US")
    # Where it makes no difference it is nothing.
    assert _numbers(" 32494000000", "BE") == [ONE]
    assert _numbers(" 0494000000", "BE") == [ONE]
    assert _numbers(" 12015946934", "US") == ["+12015946934"]
    assert _numbers(" +2015946934", "US") == ["+2015946934"]
    assert _numbers(" 002015946934", "US") == ["+2015946934"]
    assert _numbers(" 2015946934", None) == ["+2015946934"]
    # Behind a comma people write a space.
    assert _numbers("2015946934, 2015946935", "US") == ["+12015946934", "+12015946935"]


def test_the_digits_come_with_a_number_that_the_region_could_have_read():
    def digits(text: str, region: str | None) -> list[str]:
        return [address.digits for address in parse_recipients(text, region)]

    assert digits("+32494000000, 0494 00 00 01, 0032494000002", "BE") == [
        "",
        "0494000001",
        "0032494000002",
    ]
    assert digits("32494000000", None) == [""]


def test_the_country_comes_with_the_number():
    assert parse_recipients(
        "+32494000000, +14165550123, +441624712345, +883510000000000", None
    ) == (
        Address(number="+32494000000", country="BE"),
        Address(number="+14165550123", country="CA"),
        Address(number="+441624712345", country="IM"),
        Address(number="+883510000000000", country="001"),
    )


def test_five_numbers_are_read_so_that_they_can_be_counted():
    many = [f"+32494{n:06}" for n in range(MAX_NUMBERS)]
    assert _numbers(",".join(many[:5])) == many[:5]
    assert _numbers(" ".join(many)) == many


def test_more_numbers_than_anybody_may_send_to_are_too_many():
    many = [f"+32494{n:06}" for n in range(MAX_NUMBERS + 1)]
    with pytest.raises(TooManyNumbersError):
        parse_recipients(",".join(many), None)
    with pytest.raises(TooManyNumbersError):
        parse_recipients(", ".join(many * 100), None)
    assert len(_numbers(",".join([*many[1:], "0032494000001"]))) == MAX_NUMBERS


def test_a_text_that_is_too_long_is_not_read():
    padded = "+32494000000" + " " * (MAX_LENGTH - 12)
    assert _numbers(padded) == ["+32494000000"]
    with pytest.raises(AddressError, match="longer than"):
        parse_recipients(padded + " ", None)


_ANYTHING = st.one_of(
    st.text(),
    st.text("0123456789+ "),
    st.text("01234+ ()-./,;\n\r\tx٣\u202a\x00"),
    st.text("0123456789+ ,;'\":=.Etel\uff0b\uff10\u0660\u201c\u201d\u00a0"),
    st.lists(st.sampled_from(["+32494000000", "0032", "494", "00", "+", "0494", ","])).map(
        " ".join
    ),
)


@given(_ANYTHING, st.sampled_from([None, "BE", "US", "ZZ", ""]))
@example("4930000", "BE")
def test_whatever_is_written_is_read_or_refused_without_showing_it(text: str, region: str | None):
    try:
        addresses = parse_recipients(text, region)
    except AddressError as refused:
        reason = str(refused)
        # Positions, never a number.
        assert max(map(len, re.findall(r"\d+", reason)), default=0) < 3
    else:
        assert 1 <= len(addresses) <= MAX_NUMBERS
        for address in addresses:
            assert phonenumbers.is_valid_number(phonenumbers.parse(address.number))
            (again,) = parse_recipients(address.number, None)
            assert (again.number, again.country) == (address.number, address.country)


_STYLES = [
    # written so, a number can stand between others with white space only around it
    lambda n: f"+32{n}",
    lambda n: f"0032{n}",
    lambda n: f"+32 {n[:3]} {n[3:5]} {n[5:7]} {n[7:]}",
    lambda n: f"0032 ({n[:3]}) {n[3:]}",
    lambda n: f"+32 (0){n[:3]}/{n[3:5]}.{n[5:7]}-{n[7:]}",
]


@given(
    st.lists(
        st.tuples(
            st.integers(470_000_000, 499_999_999).map(str),
            st.sampled_from(_STYLES),
            st.sampled_from([",", ", ", ";", "\n", "\r\n", " ", " \t"]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_numbers_in_any_style_and_with_any_separators_are_read_in_order(written):
    text = "".join(style(number) + separator for number, style, separator in written)
    expected = dict.fromkeys(f"+32{number}" for number, _, _ in written)
    assert _numbers(text) == list(expected)


def test_the_international_form_of_each_country_is_read():
    for country in sorted(phonenumbers.SUPPORTED_REGIONS):
        number = phonenumbers.example_number(country)
        assert number is not None
        written = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
        e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        assert _numbers(written) == [e164]
        assert _numbers("00" + written.removeprefix("+")) == [e164]
