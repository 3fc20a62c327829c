"""Hostile requests to the HTTP API."""

import gzip
import json
from collections.abc import Callable, Iterator
from functools import partial

from .cases import FORM, GOOD_FORM, KEY, NUMBER, REFUSED, TEXT, Case, request, whole
from .connections import head

_JSON = "application/json"
_CALLS = "application/vnd.sendsmsnow.calls+json"
_MULTIPART = "multipart/form-data; boundary=b"


def _with_text(text: bytes) -> bytes:
    return GOOD_FORM.replace(TEXT.encode(), text)


def _field(name: str, value: str, more: str = "") -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"{more}'
    return f"--b\r\n{disposition}\r\n\r\n{value}\r\n".encode()


_FIELDS = _field("recipients", NUMBER) + _field("apikey", KEY)
_GOOD_CALL = {"recipients": NUMBER, "message": TEXT, "apikey": KEY}
_OTHERS = {"recipients": NUMBER, "apikey": KEY}

#: Each with the body and what HTTP says of it, and the outcomes that are right.
_REQUESTS: dict[str, tuple[Callable[[], bytes] | bytes, dict[str, str], tuple[int | str, ...]]] = {
    "a form of 300 kB": (lambda: _with_text(b"x" * 300_000), {}, (413,)),
    "a form of 20 MB": (lambda: _with_text(b"x" * 20_000_000), {}, (413,)),
    "a form of 100,000 fields": (b"a=b&" * 60_000 + GOOD_FORM, {}, (400,)),
    "a text of 200,000 letters": (_with_text(b"x" * 200_000), {}, (REFUSED,)),
    "a NUL in a text": (_with_text(b"a%00b"), {}, (REFUSED, 400)),
    "10,000 numbers": (
        GOOD_FORM.replace(b"recipients=", b"recipients=" + b"32494000000," * 10_000),
        {},
        (REFUSED,),
    ),
    "one number of 200,000 digits": (
        GOOD_FORM.replace(NUMBER.encode(), b"9" * 200_000),
        {},
        (REFUSED,),
    ),
    "numbers before hundreds of words that begin with 00": (
        GOOD_FORM.replace(b"%2B" + NUMBER.encode(), b"320494000000+" * 96 + b"1" + b"+00" * 416),
        {},
        (REFUSED,),
    ),
    "a number of letters of all alphabets": (
        GOOD_FORM.replace(NUMBER.encode(), "٣٢٤٩٤¹²³".encode()),
        {},
        (REFUSED,),
    ),
    "a key of 200,000 letters": (
        GOOD_FORM.replace(KEY.encode(), b"k" * 200_000),
        {},
        (REFUSED, 400),
    ),
    "a key with SQL in it": (GOOD_FORM.replace(KEY.encode(), b"' OR '1'='1"), {}, (REFUSED,)),
    "an unknown character set": (
        GOOD_FORM,
        {"Content_Type": "application/x-www-form-urlencoded; charset=idna"},
        (415, 400, REFUSED),
    ),
    "a type that is none of ours": (GOOD_FORM, {"Content_Type": "image/png"}, (415,)),
    "a packed form": (gzip.compress(GOOD_FORM), {"Content_Encoding": "gzip"}, (415, 400, REFUSED)),
    "JSON that nests 100,000 deep": (b"[" * 100_000, {"Content_Type": _JSON}, (400,)),
    "JSON objects that nest 40,000 deep": (b'{"a":' * 40_000, {"Content_Type": _JSON}, (400,)),
    "JSON with a number of 100,000 digits": (
        b'{"recipients": ' + b"9" * 100_000 + b"}",
        {"Content_Type": _JSON},
        (400,),
    ),
    "JSON with a lone surrogate": (
        json.dumps({**_OTHERS, "message": "\ud83d"}).encode(),
        {"Content_Type": _JSON},
        (REFUSED, 400),
    ),
    "JSON with an object for a text": (
        json.dumps({**_OTHERS, "message": {"a": TEXT}}).encode(),
        {"Content_Type": _JSON},
        (400,),
    ),
    "JSON that is no object": (b'"Hello"', {"Content_Type": _JSON}, (400,)),
    "JSON cut in the middle": (
        json.dumps({**_OTHERS, "message": TEXT}).encode()[:-5],
        {"Content_Type": _JSON},
        (400,),
    ),
    "calls that are no list": (json.dumps(_OTHERS).encode(), {"Content_Type": _CALLS}, (400,)),
    "calls that are no JSON": (GOOD_FORM, {"Content_Type": _CALLS}, (400,)),
    "calls that nest 100,000 deep": (b"[" * 100_000, {"Content_Type": _CALLS}, (400,)),
    "calls in a call": (
        json.dumps([[_GOOD_CALL]] * 100).encode(),
        {"Content_Type": _CALLS},
        (REFUSED,),
    ),
    "101 calls": (json.dumps([_GOOD_CALL] * 101).encode(), {"Content_Type": _CALLS}, (400,)),
    "100,000 empty calls": (b"[" + b"{}," * 80_000 + b"{}]", {"Content_Type": _CALLS}, (400,)),
    "calls of 300 kB": (
        lambda: json.dumps([_GOOD_CALL | {"message": "x" * 300_000}]).encode(),
        {"Content_Type": _CALLS},
        (413,),
    ),
    "packed calls": (
        gzip.compress(json.dumps([_GOOD_CALL]).encode()),
        {"Content_Type": _CALLS, "Content_Encoding": "gzip"},
        (415,),
    ),
    "a hundred calls of which each is wrong": (
        json.dumps(
            [
                _GOOD_CALL | wrong
                for wrong in (
                    {"message": {"a": TEXT}},
                    {"message": [TEXT]},
                    {"message": 7.5},
                    {"message": "\ud83d"},
                    {"message": "x" * 10_000},
                    {"recipients": [[NUMBER]]},
                    {"recipients": [f"{NUMBER}{digit}" for digit in range(5)]},
                    {"recipients": ["9" * 1000] * 64},
                    {"recipients": True},
                    {"apikey": None},
                    {"apikey": "\ud83d"},
                    {"idempotency_key": None},
                    {"idempotency_key": 7},
                    {"idempotency_key": ""},
                    {"idempotency_key": "two words"},
                    {"idempotency_key": "k" * 256},
                )
            ]
            + [None] * 84
        ).encode(),
        {"Content_Type": _CALLS},
        (REFUSED,),
    ),
    "a multipart without a boundary": (
        _FIELDS,
        {"Content_Type": "multipart/form-data"},
        (400,),
    ),
    "a multipart that never ends": (
        _FIELDS + _field("message", TEXT)[:-2],
        {"Content_Type": _MULTIPART},
        (400, REFUSED),
    ),
    "a multipart of 5,000 fields": (
        _field("a", "b") * 3000 + _FIELDS + b"--b--",
        {"Content_Type": _MULTIPART},
        (400,),
    ),
    "a multipart with a header of 200,000 letters": (
        _FIELDS + _field("message", TEXT, "; x=" + "y" * 200_000) + b"--b--",
        {"Content_Type": _MULTIPART},
        (400,),
    ),
    "a multipart whose parts have names of 3,000 semicolons": (
        _field("a", "b", '; x="' + ";" * 3000) * 60 + _FIELDS + b"--b--",
        {"Content_Type": _MULTIPART},
        (400, REFUSED),
    ),
    "a multipart whose parts have names of 3,000 backslashes": (
        _field("a", "b", '; x="' + "\\" * 3000 + '"') * 60 + _FIELDS + b"--b--",
        {"Content_Type": _MULTIPART},
        (400, REFUSED),
    ),
    "a multipart whose parts have 700 parameters": (
        _field("a", "b", ";c=d" * 700) * 60 + _FIELDS + b"--b--",
        {"Content_Type": _MULTIPART},
        (400, REFUSED),
    ),
    "60 fields of 1,300 escapes": (
        b"&".join(b"a%d=" % number + b"%C3%A9" * 650 for number in range(60)),
        {},
        (REFUSED,),
    ),
    "80,000 escapes": (_with_text(b"%E9" * 80_000), {}, (REFUSED,)),
    "JSON of 40,000 escapes": (
        json.dumps({**_OTHERS, "message": "\u00e9" * 40_000}).encode(),
        {"Content_Type": _JSON},
        (REFUSED,),
    ),
    "JSON of 12,000 names": (
        json.dumps({f"name{number}": "x" for number in range(12_000)}).encode(),
        {"Content_Type": _JSON},
        (REFUSED,),
    ),
    "JSON that nests 100,000 deep, as a form": (b"[" * 100_000, {}, (400, REFUSED)),
    "JSON of 12,000 names, as a form": (
        json.dumps({f"name{number}": "x" for number in range(12_000)}).encode(),
        {},
        (400,),
    ),
    "a text of 40,000 ends of lines": (_with_text(b"%0D%0A" * 40_000), {}, (REFUSED,)),
    "a multipart with a file for a text": (
        _FIELDS + _field("message", "", '; filename="/etc/passwd"') + b"--b--",
        {"Content_Type": _MULTIPART},
        (REFUSED, 400),
    ),
}

_IDS = [
    whole(
        f"{path} with the id {name}",
        partial(request, f"apikey={KEY}&id={id}".encode(), path),
        REFUSED,
        400,
    )
    for path in ("/resendsms/", "/status/")
    for name, id in {
        "' OR '1'='1": "%27%20OR%20%271%27%3D%271",
        "of 100,000 letters": "a" * 100_000,
        "NUL": "%00",
    }.items()
]


def _made(body: bytes | Callable[[], bytes], headers: dict[str, str]) -> bytes:
    return request(body if isinstance(body, bytes) else body(), FORM, **headers)


def _endless() -> Iterator[bytes]:
    yield head("Content-Length: 99999999999", line=f"POST {FORM} HTTP/1.1")
    while True:
        yield b"x" * 1024 * 1024


CASES = [
    *(
        whole(
            f"form: {name}",
            partial(_made, body, headers),
            *expected,
        )
        for name, (body, headers, expected) in _REQUESTS.items()
    ),
    *_IDS,
    Case(name="form: an endless body", pieces=_endless, expected=frozenset({413})),
]
