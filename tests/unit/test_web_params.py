"""What a request says, in every form in which it may say it."""

import codecs
import encodings
import json
from contextlib import suppress
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sms_gateway.network.asgi_body import UnusableError
from sms_gateway.web.params import (
    CHARSETS,
    MAX_FIELDS,
    parse_body,
    parse_form,
    parse_json,
    parse_multipart,
)

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(texts.filter(lambda name: name and "recipients" not in name), texts))
def test_a_form_is_read_as_it_was_written(fields):
    if len(fields) <= MAX_FIELDS:
        assert parse_form(urlencode(fields).encode()) == fields


forms = st.lists(
    st.sampled_from([
        "recipients", "message", "apikey", "recipients[]", "x", "%72ecipients", "=", "&", "+", "%",
        "%2", "%2B", "%2b", "%25", "2B", "B", "%26", "%3D", "%0D", "%C3%A9", "1", " ",
    ]),
    max_size=12,
).map("".join)  # fmt: skip


@given(forms)
@example("message=%%2B41&recipients=%252B%2%2B5")
def test_a_form_is_read_alike_whether_it_is_plain_or_names_its_charset(form):
    with suppress(UnusableError):
        assert parse_form(form.encode(), b"utf-8") == parse_form(form.encode())


@given(st.dictionaries(st.sampled_from(["recipients", "message", "apikey", "format"]), texts))
def test_json_is_read_as_it_was_written(fields):
    assert parse_json(json.dumps(fields).encode()) == fields


@given(st.binary(), st.sampled_from([b"", b"utf-8", b"iso-8859-1", b"utf-16", b"\xff"]))
def test_no_bytes_are_worse_than_unusable(raw, charset):
    for parse in (
        lambda: parse_form(raw, charset),
        lambda: parse_json(raw),
        lambda: parse_multipart(raw, b"x", charset),
        lambda: parse_multipart(b"--x\r\n" + raw + b"\r\n--x--\r\n", b"x", charset),
        lambda: parse_body(raw, b"a=b"),
    ):
        with suppress(UnusableError):
            assert isinstance(parse(), dict)


@pytest.mark.parametrize(
    ("raw", "recipients"),
    [
        (b"recipients=1,2", "1,2"),
        (b"recipients=1&recipients=2", "1,2"),
        (b"recipients[]=1&recipients[]=2", "1,2"),
        (b"recipients%5B0%5D=1&recipients%5B1%5D=2", "1,2"),
        (b"recipients=1&message=m&recipients=2;3", "1,2;3"),
        (b"recipients=&recipients=2", "2"),
        (b"recipients=%2B32494000000", "+32494000000"),
        (b"recipients=+32494000000", " 32494000000"),
    ],
)
def test_recipients_that_come_more_than_once_are_joined(raw, recipients):
    assert parse_form(raw)["recipients"] == recipients


def test_any_other_name_has_its_last_value():
    assert parse_form(b"message=a&message=b&recipientsx=1&recipientsx=2") == {
        "message": "b",
        "recipientsx": "2",
    }


def test_names_without_a_value_and_values_without_a_name_do_no_harm():
    assert parse_form(b"&&message&=x&apikey=&a=b=c") == {"message": "", "apikey": "", "a": "b=c"}


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (b"Zo%C3%AB %E2%82%AC", b"", "Zoë €"),
        ("Zoë €".encode(), b"", "Zoë €"),
        (b"Zo%EB", b"", "Zoë"),
        (b"Zo\xeb", b"", "Zoë"),
        (b"%80 5", b"", "€ 5"),
        (b"%81%EB", b"", "\x81ë"),
        (b"Zo%EB %80", b"ISO-8859-1", "Zoë €"),
        (b"Zo%C3%AB", b"ISO-8859-1", "ZoÃ«"),
        (b"Zo%C3%AB", b"utf-8", "Zoë"),
        (b"Zo%C3%AB", b"UTF8", "Zoë"),
        (b"Zo%EB", b"ISO_8859-1:1987", "Zoë"),
        (b"Zo%EB", b"US-ASCII", "Zoë"),
        (b"Zo%EB", b"Windows 1252", "Zoë"),
        (b"%A4", b"iso-8859-15", "€"),
        (b"%BB%E6%E1%EC%E2", b"ISO-8859-7", "»ζαμβ"),
        (b"%CF%F0%E8%E2%E5%F2", b"windows-1251", "Привет"),
        (b"%82%B1", b"Shift_JIS", "こ"),
    ],
)
def test_the_charset_is_the_one_named_or_utf_8_or_windows_1252(raw, charset, text):
    assert parse_form(b"message=" + raw, charset)["message"] == text


@pytest.mark.parametrize("charset", [b"klingon", b"idna", b"punycode", b"rot13", b"hex", b"\xff"])
def test_a_charset_that_is_none_is_refused(charset):
    with pytest.raises(UnusableError) as caught:
        parse_form(b"message=x", charset)
    assert caught.value.status == 415


def test_a_charset_that_is_none_is_not_remembered():
    for n in range(100):
        with pytest.raises(UnusableError):
            parse_form(b"message=x", b"venusian-%d" % n)
    assert not [name for name in encodings._cache if "venusian" in name]


def test_text_that_is_not_in_the_charset_it_names_is_refused():
    with pytest.raises(UnusableError) as caught:
        parse_form(b"message=Zo%EB", b"utf-8")
    assert caught.value.status == 400


def test_every_charset_is_known_to_python_by_the_name_it_has_here():
    assert {codecs.lookup(name).name for name in CHARSETS} == CHARSETS


def test_more_fields_than_a_form_has_are_refused():
    assert len(parse_form(b"&".join(b"f%d=1" % n for n in range(MAX_FIELDS)))) == MAX_FIELDS
    with pytest.raises(UnusableError):
        parse_form(b"a=1&" * MAX_FIELDS)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (b"", b"message=Hello+you"),
        (b"text/plain", b"message=Hello+you"),
        (b"application/x-www-form-urlencoded", b"message=Hello%20you"),
        (b"application/x-www-form-urlencoded; charset=UTF-8", b"message=Hello+you"),
        (b"Application/JSON", b'{"message": "Hello you"}'),
        (b"application/vnd.api+json; charset=utf-8", b'{"message": "Hello you"}'),
        (b"application/json", '{"message": "Hello you"}'.encode("utf-16")),
        (
            b"multipart/form-data; boundary=frontier",
            b'--frontier\r\nContent-Disposition: form-data; name="message"\r\n\r\nHello you'
            b"\r\n--frontier--\r\n",
        ),
    ],
)
def test_the_type_of_the_body_says_how_it_is_read(content_type, body):
    assert parse_body(content_type, body) == {"message": "Hello you"}


def test_a_body_of_another_type_is_refused_unless_it_is_empty():
    assert parse_body(b"text/xml", b"") == {}
    with pytest.raises(UnusableError) as caught:
        parse_body(b"text/xml", b"<a/>")
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("document", "recipients"),
    [
        ('"+32494000000"', "+32494000000"),
        ('["+32494000000", "0032494000001"]', "+32494000000,0032494000001"),
        ("32494000000", "32494000000"),
        ('[32494000000, "32494000001"]', "32494000000,32494000001"),
        ("[]", ""),
    ],
)
def test_recipients_in_json_are_a_text_a_number_or_a_list(document, recipients):
    assert parse_json(b'{"recipients": %s}' % document.encode()) == {"recipients": recipients}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"message=Hello",
        b"[]",
        b'"text"',
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"message": 5.0}',
        b'{"before": 20260101}',
        b'{"id": 5}',
        b'{"apikey": 5}',
        b'{"message": ["a"]}',
        b'{"apikey": true}',
        b'{"recipients": true}',
        b'{"recipients": 1.5}',
        b'{"recipients": {"to": "1"}}',
        b'{"recipients": ["1", null]}',
        b'{"recipients": ["1", ["2"]]}',
        b'{"recipients": %s}' % (b"9" * 5000),
        b'{"recipients": [1%s]}' % (b",1" * MAX_FIELDS),
    ],
)
def test_json_that_says_something_else_is_refused(document):
    with pytest.raises(UnusableError) as caught:
        parse_json(document)
    assert caught.value.status == 400
    assert caught.value.why


def test_what_is_null_in_json_is_there_and_empty():
    assert parse_json(b'{"message": null, "colour": 5}') == {"message": "", "colour": "\ufffd"}


def test_numbers_in_json_may_be_numbers():
    document = b'{"recipients": 32494000000, "after": 12, "limit": 5}'
    assert parse_json(document) == {"recipients": "32494000000", "after": "12", "limit": "5"}


def part(name, value, *headers):
    disposition = f'Content-Disposition: form-data; name="{name}"'.encode()
    return b"\r\n".join([b"--x", disposition, *headers, b"", value, b""])


def test_the_parts_of_a_multipart_form_are_its_fields():
    body = b"".join(
        [
            part("recipients", b"1"),
            part("recipients", b"2"),
            part("message", "Zoë\r\n€".encode()),
            b"--x--\r\n",
        ]
    )
    assert parse_multipart(body, b"x") == {"recipients": "1,2", "message": "Zoë\r\n€"}


def test_a_part_has_its_own_charset():
    body = part("a", b"\x80", b"Content-Type: text/plain; charset=iso-8859-1")
    body += part("b", b"\xcf", b"Content-Type: text/plain; charset=windows-1251")
    body += part("c", b"Zo\xeb") + b"--x--\r\n"
    assert parse_multipart(body, b"x") == {"a": "€", "b": "П", "c": "Zoë"}


def test_files_in_a_form_are_passed_over():
    file = b'--x\r\nContent-Disposition: form-data; name="message"; filename="m.txt"\r\n\r\nx\r\n'
    assert parse_multipart(file + part("apikey", b"k") + b"--x--\r\n", b"x") == {"apikey": "k"}


@pytest.mark.parametrize(
    ("body", "boundary"),
    [
        (part("message", b"Hello"), b"x"),
        (part("message", b"Hello") + b"--x--\r\n", b"y"),
        (part("message", b"Hello") + b"--x--\r\n", b""),
        (part("message", b"Hello") + b"--x--\r\n", b"x" * 1000),
        (b"--x\r\nno header\r\n\r\n\r\n--x--\r\n", b"x"),
        (b"", b"x"),
        (part("m", b"") * (MAX_FIELDS + 1) + b"--x--\r\n", b"x"),
    ],
    ids=["cut off", "other boundary", "no boundary", "long", "no header", "empty", "too many"],
)
def test_a_multipart_form_that_is_none_is_refused(body, boundary):
    with pytest.raises(UnusableError) as caught:
        parse_multipart(body, boundary)
    assert caught.value.status == 400


def test_spaces_are_plus_signs_or_escapes():
    text = "1 + 1 = 2 & more"
    assert parse_form(f"message={quote_plus(text)}".encode()) == {"message": text}
