"""The alphabets, against two codecs that were not written here and against Python's own."""

from itertools import pairwise

import gsm0338
import pytest
import smsutil
from hypothesis import given
from hypothesis import strategies as st

from sms_gateway.sms.encoding import (
    UNCARRIED,
    Encoding,
    choose,
    decode,
    decode_gsm7,
    decode_part,
    decode_ucs2,
    encode,
    encode_gsm7,
    encode_ucs2,
    join_parts,
    pack_septets,
    unpack_septets,
)
from sms_gateway.sms.national_languages import LOCKING, SINGLE

ORACLE = gsm0338.Codec()

# What the standard's tables say, a few of each kind: character, septets, in 7 bits.
CHARACTERS = [
    ("@", b"\x00"),
    ("£", b"\x01"),
    ("è", b"\x04"),
    ("Ç", b"\x09"),
    ("\n", b"\x0a"),
    ("\r", b"\x0d"),
    ("Δ", b"\x10"),
    ("_", b"\x11"),
    ("Ξ", b"\x1a"),
    (" ", b"\x20"),
    ("¤", b"\x24"),
    ("¡", b"\x40"),
    ("§", b"\x5f"),
    ("¿", b"\x60"),
    ("à", b"\x7f"),
    ("\f", b"\x1b\x0a"),
    ("^", b"\x1b\x14"),
    ("{", b"\x1b\x28"),
    ("}", b"\x1b\x29"),
    ("\\", b"\x1b\x2f"),
    ("[", b"\x1b\x3c"),
    ("~", b"\x1b\x3d"),
    ("]", b"\x1b\x3e"),
    ("|", b"\x1b\x40"),
    ("€", b"\x1b\x65"),
    ("price: 5 € {net}", b"price: 5 \x1be \x1b(net\x1b)"),
]
GSM = "".join(chr(code) for code in range(0x10000) if smsutil.is_valid_gsm(chr(code)))
GSM_TEXTS = st.text(st.sampled_from(GSM.replace("\x1b", "")))


@pytest.mark.parametrize(("text", "septets"), CHARACTERS)
def test_characters_are_the_septets_of_the_standard_both_ways(text: str, septets: bytes):
    assert encode_gsm7(text) == septets
    assert decode_gsm7(septets) == text


@pytest.mark.once
def test_the_whole_basic_plane_agrees_with_two_other_codecs():
    # Both take a raw escape for a character, which it is not.
    for character in map(chr, range(0x10000)):
        if smsutil.is_valid_gsm(character) and character != "\x1b":
            octets = encode_gsm7(character)
            assert choose(character) is Encoding.GSM7
            assert octets == ORACLE.encode(character)[0] == character.encode("gsm0338")
            assert decode_gsm7(octets) == character
        else:
            assert choose(character) is Encoding.UCS2
            with pytest.raises(ValueError, match="not in the GSM alphabet"):
                encode_gsm7(character)
            if character != "\x1b":
                with pytest.raises(UnicodeEncodeError):
                    ORACLE.encode(character)


def test_an_encoding_that_lacks_a_character_says_so_without_showing_the_text():
    for text, encoding in (("secret ж", Encoding.GSM7), ("secret \ud83d", Encoding.UCS2)):
        with pytest.raises(ValueError, match="a character is not in the") as raised:
            encode(text, encoding)
        assert "secret" not in repr(raised.value)
        assert not isinstance(raised.value, UnicodeError)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        # An escape before what the extension table lacks: the character of the default table.
        (b"\x1bA", "A"),
        (b"\x1b\x00", "@"),
        (b"1\x1b 2", "1 2"),
        # Escapes that escape nothing show as spaces.
        (b"\x1b", " "),
        (b"Hi\x1b", "Hi "),
        (b"\x1b\x1b", " "),
        (b"\x1b\x1be", " e"),
        # The eighth bit is in no GSM alphabet.
        (b"\x80", "\ufffd"),
        (b"\x1b\xff!", "\ufffd!"),
        (b"", ""),
    ],
)
def test_septets_of_no_character_show_as_the_standard_has_it(octets: bytes, text: str):
    assert decode_gsm7(octets) == text


@given(GSM_TEXTS)
def test_a_gsm_text_comes_back_from_its_septets(text: str):
    assert decode_gsm7(encode_gsm7(text)) == text
    assert encode_gsm7(text) == ORACLE.encode(text)[0]
    assert max(encode_gsm7(text), default=0) < 0x80


@given(st.text())
def test_any_text_comes_back_from_its_encoding(text: str):
    encoding = choose(text)
    octets = encode(text, encoding)
    assert (decode_gsm7 if encoding is Encoding.GSM7 else decode_ucs2)(octets) == text


@given(st.text(), st.lists(st.integers(min_value=0)))
def test_a_text_that_is_cut_anywhere_comes_back_from_its_parts(text: str, cuts: list[int]):
    text = UNCARRIED.sub("", text)
    octets = encode_ucs2(text)
    places = sorted(2 * (cut % (len(octets) // 2 + 1)) for cut in cuts)
    edges = [0, *places, len(octets)]
    parts = [decode_part(8, octets[a:b]) for a, b in pairwise(edges)]
    assert join_parts(parts) == text


def test_half_a_pair_without_the_other_shows_as_a_replacement_character():
    assert join_parts([decode_part(8, b"\x00A\xd8\x3d"), " [...] "]) == "A\ufffd [...] "
    assert join_parts([decode_part(8, b"\xde\x00\x00A"), "B"]) == "\ufffdAB"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        # GSM 7 bit: an escape and its character, two escapes, an escape and nothing
        ([(0, b"5 \x1b"), (0, b"e!")], "5 €!"),
        ([(0, b"5 \x1b"), (0, b"(x"), (0, b"\x1b)")], "5 {x}"),
        ([(0, b"a\x1b\x1b"), (0, b"e")], "a e"),
        ([(0, b"a\x1b\x1be\x1b"), (0, b"<")], "a e["),
        ([(0, b"a\x1b"), (0, b"")], "a "),
        ([(0xF1, b"a\x1b"), (0xF1, b"\x0ab")], "a\nb"),
        # UCS2: one mark of the order for all parts, one in each, a pair cut in two under it
        ([(8, b"\xfe\xff\x04\x36"), (8, b"\x04\x36")], "жж"),
        ([(8, b"\xff\xfe\x36\x04"), (8, b"\x36\x04")], "жж"),
        ([(8, b"\xff\xfe\x36\x04"), (8, b"\xff\xfe\x36\x04")], "жж"),
        ([(8, b"\xff\xfe\x3d\xd8"), (8, b"\x00\xde")], "😀"),
        ([(8, b"\xd8\x3d"), (8, b"\xde\x00\x00")], "😀"),
        ([(8, b"\x00\x00"), (8, b"\x00A")], "\ufffdA"),
    ],
)
def test_what_is_cut_between_two_parts_is_whole_again(parts, text):
    assert join_parts([decode_part(coding, octets) for coding, octets in parts]) == text


@pytest.mark.parametrize(
    ("languages", "octets", "text"),
    [
        ((0, 1), b"G\x1bG \x1bi \x1bS", "GĞ ı Ş"),
        ((1, 0), b"\x07\x0b\x0c\x1c\x1d\x40\x04\x60\x1be", "ıĞğŞşİ€ç€"),
        ((1, 1), b"\x60\x1bc", "çç"),
        ((0, 2), b"\x1bA\x1ba\x1bU\x1b\x09", "ÁáÚç"),
        ((3, 3), b"\x5b\x7b\x18\x1b\x5b", "Ãã€Ã"),
        ((0, 3), b"\x1b\x15", "Ω"),
        ((6, 6), b"\x28\x2c\x18\x2e\x38 \x1b\x1c", "),घ.8 ०"),
    ],
)
def test_a_text_is_read_in_the_tables_of_its_language(languages, octets, text):
    assert decode(0, octets, languages=languages) == text


@pytest.mark.parametrize("language", range(1, 14))
def test_the_tables_of_a_language_hold_its_own_script(language):
    """One block of Unicode beside what all tables share: a letter of another is a misprint."""
    block = {4: 9, 5: 0xA, 6: 9, 7: 0xC, 8: 0xD, 9: 0xB, 10: 0xA, 11: 0xB, 12: 0xC, 13: 6}
    half = {4: 0x80, 5: 0x80, 6: 0, 7: 0x80, 8: 0, 9: 0, 10: 0, 11: 0x80, 12: 0}
    for tables in (LOCKING, SINGLE):
        table = tables.get(language, "")
        assert len(table) in (0, 128)
        assert "\ufffd" not in table
        for character in table:
            if 0x400 < ord(character) < 0x2000 and language in block:
                if character in "।॥":  # dandas, which all of them share
                    continue
                assert ord(character) >> 8 == block[language]
                if language in half:
                    assert ord(character) & 0x80 == half[language]


def test_a_language_that_nobody_knows_is_read_in_the_default_tables():
    assert decode(0, b"@\x1be", languages=(14, 99)) == decode(0, b"@\x1be")


def test_an_escape_of_a_language_is_whole_again_between_two_parts():
    parts = [decode_part(0, b"a\x1b", languages=(0, 1)), decode_part(0, b"gb", languages=(0, 1))]
    assert join_parts(parts) == "ağb"


@given(st.binary(), st.tuples(st.integers(0, 15), st.integers(0, 15)))
def test_any_octets_decode_in_any_language(octets: bytes, languages: tuple[int, int]):
    assert len(decode(0, octets, languages=languages)) <= len(octets)


@given(st.lists(st.binary()), st.sampled_from([0, 8]))
def test_any_parts_are_joined(parts: list[bytes], coding: int):
    assert UNCARRIED.search(join_parts([decode_part(coding, part) for part in parts])) is None


@given(st.binary())
def test_any_octets_decode(octets: bytes):
    assert len(decode_gsm7(octets)) <= len(octets)
    assert len(decode_ucs2(octets)) <= (len(octets) + 1) // 2


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("ж", b"\x04\x36"),
        ("Hi", b"\x00H\x00i"),
        ("😀", b"\xd8\x3d\xde\x00"),
        ("", b""),
    ],
)
def test_ucs2_is_utf16_with_the_big_end_first(text: str, octets: bytes):
    assert encode_ucs2(text) == octets
    assert decode_ucs2(octets) == text


def test_malformed_ucs2_shows_as_replacement_characters():
    assert decode_ucs2(b"\xd8\x3d\x00A") == "\ufffdA"
    assert decode_ucs2(b"\x00A\x00") == "A\ufffd"
    assert decode_ucs2(b"\xd8\x3d") == "\ufffd"


@pytest.mark.parametrize(
    ("text", "alphabet", "encoding"),
    [
        ("Déjà vu", "gsm7", Encoding.GSM7),
        ("Déjà vu", "latin1", Encoding.GSM7),
        ("Déjà vu", "utf8", Encoding.GSM7),
        ("Déjà vu", "ascii", Encoding.UCS2),
        ("5 €", "gsm7", Encoding.GSM7),
        ("5 €", "utf8", Encoding.GSM7),
        ("5 €", "latin1", Encoding.UCS2),
        ("ΔΩ", "latin1", Encoding.UCS2),
        ("{a@b}", "ascii", Encoding.GSM7),
        # Latin-1 has it and GSM has not: no carrier could pass it on.
        ("garçon", "latin1", Encoding.UCS2),
        ("`", "ascii", Encoding.UCS2),
        ("ж", "utf8", Encoding.UCS2),
        ("", "gsm7", Encoding.GSM7),
    ],
)
def test_a_text_travels_in_the_carriers_alphabet_if_that_has_all_of_it(text, alphabet, encoding):
    assert choose(text, alphabet) is encoding
    octets = encode(text, encoding, alphabet)
    assert decode(8 if encoding is Encoding.UCS2 else 0, octets, alphabet) == text


def test_a_carriers_alphabet_is_used_as_it_is():
    assert encode("à@", Encoding.GSM7, "latin1") == b"\xe0@"
    assert encode("à@", Encoding.GSM7, "utf8") == b"\xc3\xa0@"
    assert encode("a@", Encoding.GSM7, "ascii") == b"a@"
    assert encode("à@", Encoding.GSM7) == b"\x7f\x00"


@pytest.mark.parametrize(
    ("data_coding", "octets", "text"),
    [
        (0x00, b"\x00\x1be", "@€"),
        (0x01, b"IA5 @", "IA5 @"),
        # Latin-1 where seven bits were announced, and Windows where Latin-1 was
        (0x01, b"\xe9t\xe9", "été"),
        (0x01, b"\x80", "€"),
        (0x03, b"\x93\x80\x94\x81", "“€”\ufffd"),
        (0x03, b"\xe9t\xe9", "été"),
        (0x05, "漢字".encode("iso2022_jp"), "漢字"),
        (0x06, "Привет".encode("iso8859-5"), "Привет"),
        (0x07, "שלום".encode("iso8859-8"), "שלום"),
        (0x08, b"\x04\x36\xd8\x3d\xde\x00", "ж😀"),
        (0x0A, "かな".encode("iso2022_jp"), "かな"),
        (0x0D, "丂".encode("iso2022_jp_1"), "丂"),
        (0x0E, "한글".encode("euc_kr"), "한글"),
        # message classes and message waiting, as TP-DCS has them
        (0x10, b"\x00", "@"),
        (0x13, b"\x00", "@"),
        (0x18, b"\x04\x36", "ж"),
        (0x1B, b"\x04\x36", "ж"),
        (0x48, b"\x04\x36", "ж"),
        (0x51, b"\x00", "@"),
        (0x54, b"\x00\xff", "00ff"),
        (0xC0, b"\x00", "@"),
        (0xD8, b"\x00", "@"),
        (0xE0, b"\x04\x36", "ж"),
        (0xF0, b"\x00", "@"),
        (0xF3, b"\x00", "@"),
        # UCS2 with a mark of its order, or an octet too many
        (0x08, b"\xfe\xff\x04\x36", "ж"),
        (0x08, b"\xff\xfe\x36\x04\x3d\xd8\x00\xde", "ж😀"),
        (0x18, b"\xff\xfe\x36\x04", "ж"),
        (0x08, b"\x04\x36\x00", "ж"),
        (0x08, b"\x04\x36\x04", "ж\ufffd"),
        (0x08, b"Hello", "Hello"),
        # octets, and what nobody knows
        (0x02, b"\x00\xff", "00ff"),
        (0x04, b"\x00\xff", "00ff"),
        (0x09, b"\x00\xff", "00ff"),
        (0x14, b"\x00\xff", "00ff"),
        (0x1C, b"\x00\xff", "00ff"),
        (0xF4, b"\x00\xff", "00ff"),
        (0xFF, b"\x00\xff", "00ff"),
        (0x0B, b"\x00\xff", "00ff"),
        (0x20, b"\x00\xff", "00ff"),
        (0xB0, b"\x00\xff", "00ff"),
        # a page break is a line feed; what XML and databases cannot carry is replaced
        (0x00, b"1\x1b\x0a2", "1\n2"),
        (0x03, b"a\x00b\x1f", "a\ufffdb\ufffd"),
        (0x08, b"\xff\xff\x00\x00", "\ufffd\ufffd"),
    ],
)
def test_an_incoming_message_is_read_by_its_data_coding(data_coding, octets, text):
    assert decode(data_coding, octets) == text


@pytest.mark.parametrize("data_coding", [0x00, 0x11, 0xC8, 0xD0, 0xF1])
@pytest.mark.parametrize(
    ("alphabet", "text"),
    [
        ("gsm7", "\ufffd\ufffd@"),
        ("latin1", "Ã\xa0\ufffd"),
        ("ascii", "\ufffd" * 3),
        ("utf8", "à\ufffd"),
    ],
)
def test_the_default_alphabet_is_the_carriers(data_coding, alphabet, text):
    assert decode(data_coding, b"\xc3\xa0\x00", alphabet) == text


@given(st.integers(0, 255), st.binary(), st.sampled_from(["gsm7", "latin1", "ascii", "utf8"]))
def test_whatever_comes_in_can_be_stored_and_shown(data_coding, octets, alphabet):
    text = decode(data_coding, octets, alphabet)
    text.encode()
    assert not any(character < " " and character not in "\t\n\r" for character in text)


PACKED = [
    # 3GPP TS 23.038 §6.1.2.1.1: eight septets are seven octets; the words by other encoders
    (b"hello", 0, "e8329bfd06"),
    (b"hellohello", 0, "e8329bfd4697d9ec37"),
    (b"12345678", 0, "31d98c56b3dd70"),
    (b"1234567", 0, "31d98c56b3dd00"),
    (b"A", 1, "82"),
    (b"", 0, ""),
]


@pytest.mark.parametrize(("septets", "fill_bits", "packed"), PACKED)
def test_septets_pack_low_bits_first(septets: bytes, fill_bits: int, packed: str):
    assert pack_septets(septets, fill_bits).hex() == packed
    assert unpack_septets(bytes.fromhex(packed), len(septets), fill_bits) == septets


@given(st.binary().map(lambda octets: bytes(octet & 0x7F for octet in octets)), st.integers(0, 6))
def test_packed_septets_unpack(septets: bytes, fill_bits: int):
    packed = pack_septets(septets, fill_bits)
    assert len(packed) == (len(septets) * 7 + fill_bits + 7) // 8
    assert unpack_septets(packed, len(septets), fill_bits) == septets
    assert unpack_septets(packed, 10_000, fill_bits)[: len(septets)] == septets


def test_a_full_message_of_septets_is_140_octets():
    assert len(pack_septets(b"a" * 160)) == 140
    # six octets of header, one bit of fill, 153 septets
    assert 6 + len(pack_septets(b"a" * 153, 1)) == 140
