"""A bind as a URL."""

import pytest

from sms_gateway.upstream.smpp import SmppUpstream
from sms_gateway.upstream.smpp_options import PARAMETERS, SmppOptions, options_from_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "smpp://esme:secret@smsc.example.org",
            {"host": "smsc.example.org", "port": 2775, "tls": False, "password": "secret"},
        ),
        ("smpps://esme:secret@smsc.example.org", {"port": 3550, "tls": True}),
        ("smpp://esme:secret@10.0.0.1:9999/", {"host": "10.0.0.1", "port": 9999}),
        ("smpp://esme:secret@[::1]:9999", {"host": "::1", "port": 9999}),
        ("smpp://esme@localhost", {"system_id": "esme", "password": ""}),
        ("smpp://esme@localhost", {"receipts": "auto", "receipt_words": ""}),
        (
            "smpp://esme@localhost?receipts=last&receipt_words=NOROUTE:undeliverable,Seen:delivered",
            {"receipts": "last", "receipt_words": "NOROUTE:undeliverable,Seen:delivered"},
        ),
        ("smpp://a%40b:p%2Fq%3A%23%3F+@localhost", {"system_id": "a@b", "password": "p/q:#?+"}),
        (
            "smpp://esme:secret@localhost?window=50&rate=99.5&default_alphabet=latin1"
            "&response_timeout=7&system_type=OTA&validity=none&registered_delivery=0",
            {
                "window": 50,
                "rate": 99.5,
                "default_alphabet": "latin1",
                "response_timeout": 7.0,
                "system_type": "OTA",
                "validity": "none",
                "registered_delivery": "0",
            },
        ),
        ("smpp://esme:secret@localhost", {"window": 10, "rate": None, "default_alphabet": "gsm7"}),
        (
            "smpp://esme:secret@localhost?ton_short=0/1&ucs2_data_coding=0x18&socks=[::1]:1080",
            {"ton_short": "0/1", "ucs2_data_coding": 24, "socks": "[::1]:1080"},
        ),
    ],
)
def test_a_url_says_how_to_bind(url: str, expected: dict[str, object]) -> None:
    options = options_from_url(url)
    assert {name: getattr(options, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://esme:secret@localhost", "smpp:// or smpps://"),
        ("smpp://esme:secret@", "host is missing"),
        ("smpp://:secret@localhost", "system_id"),
        ("smpp://localhost", "system_id"),
        ("smpp://esme:sec/ret@localhost", "written as %XX"),
        ("smpp://esme:sec#ret@localhost", "written as %XX"),
        ("smpp://esme:secret@localhost:secret", "written as %XX"),
        ("smpp://esme:secret@[::1", "written as %XX"),
        ("smpp://esme:secret@localhost:99999", "written as %XX"),
        ("smpp://esme:secret@localhost:0", "port=0: allowed is 1 to 65535"),
        ("smpp://esme:secret@localhost/secret", "may follow the port"),
        (
            "smpp://esme:secret@localhost?windows=5",
            "windows: no such parameter; allowed are cafile",
        ),
        ("smpp://esme:secret@localhost?password=x", "password: no such parameter"),
        ("smpp://esme:secret@localhost?window", "window=: allowed is a whole number"),
        ("smpp://esme:secret@localhost?window=ten", "window=ten: allowed is a whole number"),
        ("smpp://esme:secret@localhost?window=1.5", "window=1.5: allowed is a whole number"),
        ("smpp://esme:secret@localhost?window=0", "window=0: allowed is 1 to 10000"),
        ("smpp://esme:secret@localhost?rate=nan", "rate=nan: allowed is 0.01 to 100000"),
        ("smpp://esme:secret@localhost?rate=fast", "rate=fast: allowed is a number"),
        ("smpp://esme:secret@localhost?window=5&window=6", "window: given twice"),
        (
            "smpp://esme:secret@localhost?default_alphabet=ebcdic",
            "default_alphabet=ebcdic: allowed are gsm7, latin1, ascii, utf8",
        ),
        ("smpp://esme:secret@localhost?receipts=some", "allowed are auto, each, first, last, any"),
        (
            "smpp://esme:secret@localhost?receipt_words=NOROUTE",
            "receipt_words=NOROUTE: allowed are pairs such as NOROUTE:undeliverable",
        ),
        ("smpp://esme:secret@localhost?validity=never", "allowed are relative, absolute, none"),
        ("smpp://esme:secret@localhost?cafile=/ca.pem", "only smpps://"),
        ("smpp://esme@localhost?bind=both", "allowed are transceiver, separate, transmitter"),
        ("smpp://esme@localhost?receiver_port=2776", "only bind=separate has receivers"),
        (
            "smpp://esme@localhost?bind=transmitter",
            "set registered_delivery=none, or bind=separate",
        ),
        (
            "smpp://esme@localhost?bind=transmitter&registered_delivery=none&address_range=32",
            "address_range: with bind=transmitter",
        ),
        ("smpp://esme@localhost?version=3.3", "version=3.3 has no transceivers"),
        (
            "smpp://esme@localhost?version=3.3&bind=separate&long_texts=sar",
            "long_texts has to be udh8 or udh16",
        ),
        ("smpp://esme@localhost?ucs2_data_coding=0", "nobody could tell the alphabets apart"),
        ("smpp://esme@localhost?default_data_coding=0x03", "set default_alphabet=latin1"),
        ("smpp://esme@localhost?default_data_coding=0xzz", "=0xzz: allowed is a whole number"),
        (
            "smpp://esme@localhost?outgoing_septets=packed&default_alphabet=ascii",
            "only default_alphabet=gsm7 has septets",
        ),
        ("smpp://esme@localhost?message_class_by=dest_addr_subunit", "there is no message_class"),
        ("smpp://esme@localhost?message_class=0&ucs2_data_coding=24", "says the alphabet as well"),
        ("smpp://esme@localhost?recipient_form=national", "set region to it, as BE"),
        ("smpp://esme@localhost?ton_short=3", "ton_short=3: allowed is TON/NPI"),
        ("smpp://esme@localhost?ton_short=3/256", "ton_short=3/256: allowed is TON/NPI"),
        (
            "smpp://esme@localhost?registered_delivery=some",
            "allowed are final, failures, all, none",
        ),
        ("smpp://esme@localhost?registered_delivery=256", "or a number from 0 to 255"),
        ("smpp://esme@localhost?local_address=eth0", "allowed is an IP address of this machine"),
        ("smpp://esme@localhost?socks=me:secret@localhost:1", "socks: allowed is HOST:PORT"),
        ("smpp://esme@localhost?socks_user=me", "there is no socks server for them"),
        ("smpp://esme@localhost?socks=h:1&socks_password=secret", "there is no socks_user with it"),
        (f"smpp://esme:{'secret' * 11}@localhost", "password: at most 63"),
        ("smpp://esme:secr%00et@localhost", "password: at most 63"),
        ("smpp://es%C3%A9me:secret@localhost", "system_id: at most 63"),
    ],
)
def test_a_wrong_url_is_refused_in_one_line_without_its_password(url: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  its words are looked at below
        options_from_url(url)
    line = str(caught.value)
    assert words in line
    assert "\n" not in line
    assert "sec" not in line
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_every_parameter_is_named_when_one_is_wrong() -> None:
    with pytest.raises(ValueError, match="no such parameter") as caught:
        options_from_url("smpp://esme@localhost?nonsense=1")
    assert all(name in str(caught.value) for name in PARAMETERS)


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(SmppOptions(host="h", system_id="esme", password="secret"))


@pytest.mark.parametrize("content", [None, "nothing of the kind"])
def test_a_cafile_without_certificates_is_refused(tmp_path, content: str | None) -> None:
    cafile = tmp_path / "ca.pem"
    if content is not None:
        cafile.write_text(content)
    options = options_from_url(f"smpps://esme:secret@localhost?cafile={cafile}")
    with pytest.raises(ValueError, match="cafile: no certificates can be read"):
        SmppUpstream("carrier", options)
