"""The client as code: made from the WSDL, its words those of the gateway."""

import pytest

from sms_gateway.codes import Code
from soap_client import SmsClient, SmsError, generate
from soap_client.errors import SENTENCES


def test_the_generated_client_is_what_the_wsdl_says():
    assert generate.PATH.read_text() == generate.generate()


def test_the_sentences_are_those_of_the_reply_codes():
    assert {int(code): code.sentence for code in Code if code} == SENTENCES


def test_an_error_has_a_code_and_words():
    error = SmsError(50)
    assert (error.code, error.sentence, str(error)) == (
        50,
        "API key is not correct",
        "50: API key is not correct",
    )
    assert str(SmsError(7, "why")) == "7: The message is not sent (why)"
    assert SmsError(12345).sentence == "Unknown reply code"


@pytest.mark.parametrize("character", ["\0", "\x0b", "\ud800", "\ufffe"])
def test_what_xml_cannot_carry_is_refused_in_words_that_do_not_repeat_the_text(character):
    with SmsClient("key") as client, pytest.raises(SmsError) as caught:
        client.send("32494000000", "Hello" + character)
    assert caught.value.code == 7
    assert caught.value.note == f"message: XML has no place for U+{ord(character):04X}, at 5"


def test_a_wsdl_that_cannot_be_read_is_the_one_error(tmp_path):
    (tmp_path / "bad.wsdl").write_text("<html/>")
    for wsdl in (tmp_path / "missing.wsdl", tmp_path / "bad.wsdl"):
        with pytest.raises(SmsError) as caught:
            SmsClient("key", wsdl=wsdl)
        assert caught.value.code == 30
        assert caught.value.__cause__ is not None
