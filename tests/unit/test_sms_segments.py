import pytest
import smsutil
from hypothesis import given
from hypothesis import strategies as st

from sms_gateway.sms.encoding import Encoding, choose, encode
from sms_gateway.sms.segments import (
    LIMITS,
    MAX_PARTS,
    Concatenation,
    Segments,
    TextError,
    count,
    measure,
    parse_user_data_header,
    plain,
    segment,
    user_data,
    validate_text,
)

GSM7, UCS2 = Encoding.GSM7, Encoding.UCS2

COUNTS = [
    # text, encoding, units, parts
    ("a", GSM7, 1, 1),
    ("a" * 160, GSM7, 160, 1),
    ("a" * 161, GSM7, 161, 2),
    ("a" * 306, GSM7, 306, 2),
    ("a" * 307, GSM7, 307, 3),
    ("a" * 153 * 255, GSM7, 153 * 255, 255),
    # an extension character is two septets
    ("€" * 80, GSM7, 160, 1),
    ("€" * 80 + "a", GSM7, 161, 2),
    ("a" * 158 + "€", GSM7, 160, 1),
    ("a" * 159 + "€", GSM7, 161, 2),
    # it never straddles: 76 of them are 152 septets, and the 153rd stays empty
    ("€" * 152, GSM7, 304, 2),
    ("€" * 153, GSM7, 306, 3),
    ("a" + "€" * 152, GSM7, 305, 2),
    ("a" * 152 + "€" + "a" * 151, GSM7, 305, 2),
    ("a" * 152 + "€" + "a" * 152, GSM7, 306, 3),
    ("ж", UCS2, 1, 1),
    ("ж" * 70, UCS2, 70, 1),
    ("ж" * 71, UCS2, 71, 2),
    ("ж" * 134, UCS2, 134, 2),
    ("ж" * 135, UCS2, 135, 3),
    # a character outside the basic plane is a pair, and does not straddle either
    ("😀" * 35, UCS2, 70, 1),
    ("😀" * 36, UCS2, 72, 2),
    ("😀" * 66, UCS2, 132, 2),
    ("😀" * 67, UCS2, 134, 3),
    ("ж" + "😀" * 66, UCS2, 133, 2),
    ("ж" * 66 + "😀" + "ж" * 65, UCS2, 133, 2),
    ("ж" * 66 + "😀" + "ж" * 66, UCS2, 134, 3),
    # one character decides for the whole text
    ("a" * 69 + "ж", UCS2, 70, 1),
    ("a" * 70 + "ж", UCS2, 71, 2),
]


@pytest.mark.parametrize(("text", "encoding", "units", "parts"), COUNTS)
def test_a_text_is_counted_and_cut_alike(text: str, encoding: Encoding, units: int, parts: int):
    limits = LIMITS[encoding]
    per_part = limits.single if parts == 1 else limits.part
    assert count(text) == Segments(encoding=encoding, units=units, parts=parts, per_part=per_part)
    assert len(segment(text, encoding)) == parts
    assert len(user_data(text, encoding, 1)) == parts
    assert "".join(segment(text, encoding)) == text


def test_parts_end_before_a_pair_that_does_not_fit():
    assert segment("a" * 152 + "€" + "b" * 20, GSM7) == ("a" * 152, "€" + "b" * 20)
    assert segment("ж" * 66 + "😀" + "ш" * 20, UCS2) == ("ж" * 66, "😀" + "ш" * 20)


_TEXTS = st.one_of(
    st.text(st.sampled_from("ab€{}é\n"), max_size=700),
    st.text(st.sampled_from("aж😀\ue000"), max_size=400),
    st.text(max_size=400),
)


@given(_TEXTS)
def test_parts_are_the_text_within_the_limits(text: str):
    segments = count(text)
    parts = segment(text, segments.encoding)
    assert "".join(parts) == text
    assert len(parts) == segments.parts
    size = LIMITS[segments.encoding].octets
    assert sum(len(encode(part, segments.encoding)) for part in parts) == segments.units * size
    for part in parts:
        # Encoded by itself: half a pair could not be.
        assert len(encode(part, segments.encoding)) <= segments.per_part * size


@given(_TEXTS.filter(bool))
def test_parts_are_those_of_another_implementation(text: str):
    # It takes a raw escape for a GSM character.
    text = text.replace("\x1b", "") or "a"
    assert segment(text, choose(text)) == tuple(part.content for part in smsutil.split(text).parts)


def test_a_text_of_several_parts_travels_with_headers_that_join_them():
    data = user_data("a" * 150 + "b" * 10 + "€", GSM7, 0x1C7)
    assert data == [
        bytes.fromhex("050003c70201") + b"a" * 150 + b"b" * 3,
        bytes.fromhex("050003c70202") + b"b" * 7 + b"\x1be",
    ]
    assert user_data("ж" * 68 + "x" * 10, UCS2, 0)[1] == (
        bytes.fromhex("050003000202") + "ж".encode("utf-16-be") + "x".encode("utf-16-be") * 10
    )


def test_a_text_of_one_part_travels_without_a_header():
    assert user_data("Hello @", GSM7, 7) == [b"Hello \x00"]
    assert user_data("ж", UCS2, 7) == [b"\x04\x36"]


def test_parts_travel_in_the_carriers_alphabet_cut_as_gsm_septets():
    text = "à" * 152 + "{" + "@" * 20
    assert count(text, "latin1").parts == 2
    header = bytes.fromhex("0500030902")
    assert user_data(text, GSM7, 9, "latin1") == [
        header + b"\x01" + b"\xe0" * 152,
        header + b"\x02{" + b"@" * 20,
    ]
    assert user_data("à", GSM7, 9, "utf8") == ["à".encode()]
    assert count("5 €", "latin1").encoding is UCS2


@given(_TEXTS, st.integers(0, 1000), st.sampled_from(["gsm7", "latin1", "ascii", "utf8"]))
def test_headers_are_read_as_they_were_written(text: str, reference: int, alphabet):
    segments = count(text, alphabet)
    data = user_data(text, segments.encoding, reference, alphabet)
    assert len(data) == segments.parts
    if len(data) > 1:
        read = [parse_user_data_header(octets) for octets in data]
        assert [concatenation for concatenation, _ in read] == [
            Concatenation(reference & 0xFF, len(data), number) for number in range(1, len(data) + 1)
        ]
        joined = b"".join(payload for _, payload in read)
        assert joined == encode(text, segments.encoding, alphabet)


@pytest.mark.parametrize(
    ("octets", "concatenation", "payload"),
    [
        ("050003c70201 6869", (0xC7, 2, 1), "6869"),
        ("06080412340302 6869", (0x1234, 3, 2), "6869"),
        ("050003c70201", (0xC7, 2, 1), ""),
        # other elements around it, known or not
        ("0b 05040b840b84 0003c70201 6869", (0xC7, 2, 1), "6869"),
        ("0a 7003010203 0003c70202 6869", (0xC7, 2, 2), "6869"),
        ("0a 0003c70201 0003c80202 6869", (0xC8, 2, 2), "6869"),
        ("00 6869", None, "6869"),
        # numbers that contradict themselves
        ("050003c70200 6869", None, "6869"),
        ("050003c70203 6869", None, "6869"),
        ("050003c70001 6869", None, "6869"),
        # elements of the wrong length, or cut short
        ("050004c7020101 6869", None, "016869"),
        ("040002c702 6869", None, "6869"),
        ("050803c70201 6869", None, "6869"),
        ("0400030102 6869", None, "6869"),
        ("0100 6869", None, "6869"),
        # no header at all
        ("050003c702", None, "050003c702"),
        ("ff6869", None, "ff6869"),
        ("", None, ""),
    ],
)
def test_a_header_from_a_carrier_is_read_as_far_as_it_makes_sense(octets, concatenation, payload):
    expected = None if concatenation is None else Concatenation(*concatenation)
    assert parse_user_data_header(bytes.fromhex(octets)) == (expected, bytes.fromhex(payload))


@given(st.binary(max_size=40))
def test_no_header_is_an_error(octets: bytes):
    concatenation, payload = parse_user_data_header(octets)
    assert octets.endswith(payload)
    assert concatenation is None or 1 <= concatenation.number <= concatenation.total


@pytest.mark.parametrize(
    "text",
    [
        "a" * (153 * 255 + 1),
        "€" * (76 * 255 + 1),
        "ж" * (67 * 255 + 1),
        "😀" * (33 * 255 + 1),
        "a" * 1_000_000,
    ],
)
def test_a_text_of_more_parts_than_can_be_numbered_is_too_long(text: str):
    with pytest.raises(TextError, match=f"longer than {MAX_PARTS} parts"):
        count(text)
    with pytest.raises(TextError, match=f"longer than {MAX_PARTS} parts"):
        segment(text, choose(text))
    with pytest.raises(TextError, match=f"longer than {MAX_PARTS} parts"):
        user_data(text, choose(text), 1)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Menu:\r\nSoup\rBread\n", "Menu:\nSoup\nBread\n"),
        ("\r\n\r\n", "\n\n"),
        ("\n\r", "\n\n"),
        ("\ufeffHello", "Hello"),
        ("Zo\u00eb\ufeff\r\n\ufeff\u20ac", "Zo\u00eb\n\u20ac"),
        ("\ufeff", ""),
        ("a\fb\x85\u2028", "a\fb\x85\u2028"),
    ],
)
def test_ends_of_lines_are_line_feeds_and_byte_order_marks_are_nothing(text, read):
    assert plain(text) == read
    assert plain(read) == read


def test_a_form_feed_is_a_character_of_gsm():
    found = measure("a\fb")
    assert (found.encoding, found.units, found.parts) == (Encoding.GSM7, 4, 1)
    assert measure("a\f" * 53 + "b").parts == 1
    assert measure("a\f" * 54).parts == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the text is empty"),
        (" \t\r\n\u00a0\u2003", "the text is empty"),
        ("secret\x00", "the text has a control character (U+0000)"),
        ("secret\x0b", "the text has a control character (U+000B)"),
        ("secret\x1b", "the text has a control character (U+001B)"),
        ("secret\ud83d", "the text has half a surrogate pair"),
        ("secret\ude00\ud83d", "the text has half a surrogate pair"),
        ("secret\ufffe", "the text has a code that is no character (U+FFFE)"),
        ("secret\uffff", "the text has a code that is no character (U+FFFF)"),
    ],
)
def test_a_text_that_cannot_be_carried_is_refused_in_words_without_it(text: str, words: str):
    with pytest.raises(TextError) as refused:
        validate_text(text)
    assert str(refused.value) == words


@pytest.mark.parametrize(
    "text", ["a", " a ", "a\tb\r\nc", "\x7f\x85", "\ue000\ufffd", "😀\U0010ffff"]
)
def test_any_other_text_is_taken(text: str):
    validate_text(text)


# The form feed is one of the GSM alphabet's characters, which XML cannot carry.
@given(st.text(st.characters(codec=None, exclude_characters="\f"), min_size=1))
def test_a_text_is_taken_exactly_when_an_xml_parser_takes_it(text: str):
    from lxml import etree

    try:
        validate_text("x" + text)
    except TextError:
        with pytest.raises(ValueError, match=r"."):
            etree.Element("a").text = text
    else:
        etree.Element("a").text = text
