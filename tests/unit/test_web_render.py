"""How a reply reads in XML and JSON, and who gets which."""

import json
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_gateway.backend import Reply
from sms_gateway.codes import Code
from sms_gateway.web.render import as_json, as_xml, wants_json

NAME = "0190d5a7f00070008000000000000001"


def test_success_reads_as_documented():
    reply = Reply(Code.SENT, 2, NAME)
    assert as_xml(reply) == (
        b'<?xml version="1.0" encoding="UTF-8"?>'
        b"<result><error>0</error><sent>2</sent><id>%s</id></result>" % NAME.encode()
    )
    assert as_json(reply) == b'{"result": {"error": 0, "sent": 2, "id": "%s"}}' % NAME.encode()


@pytest.mark.parametrize("code", [code for code in Code if code])
def test_an_error_carries_the_sentence_of_its_code(code):
    assert (
        as_xml(Reply(code))
        == (
            '<?xml version="1.0" encoding="UTF-8"?><result>'
            f"<error>{code.value}</error><sent>0</sent><id></id><note>{code.sentence}</note></result>"
        ).encode()
    )
    assert json.loads(as_json(Reply(code))) == {
        "result": {"error": code.value, "sent": 0, "id": "", "note": code.sentence}
    }


@given(st.text())
def test_any_note_makes_well_formed_answers(note):
    reply = Reply(Code.NOT_SENT, note=note)
    assert ElementTree.fromstring(as_xml(reply)).find("note") is not None
    assert json.loads(as_json(reply))["result"]["note"] == reply.sentence


def test_a_note_is_escaped_and_what_xml_cannot_hold_is_replaced():
    reply = Reply(Code.NOT_SENT, note="<b>&amp;</b> \x00\ud800\ufffe é")
    text = ElementTree.fromstring(as_xml(reply)).findtext("note")
    assert text == "<b>&amp;</b> ��� é"


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("text/json", True),
        ("application/json, text/plain, */*", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("application/xml, application/json", True),
        ("application/xml, application/json;q=0.9", False),
        ("text/xml;q=0.5, application/json;q=0.9", True),
        ("application/json;q=0", False),
        ("application/json;q=none", False),
        ("application/json; version=1; q=0.1", True),
        ("application/ld+json", False),
        ("application/jsonp", False),
        (",;,q=json", False),
    ],
)
def test_json_is_for_those_who_accept_it_as_gladly_as_xml(accept, json):
    assert wants_json({b"accept": accept.encode()}) is json


@pytest.mark.parametrize(("asked", "json"), [("json", True), ("xml", False), ("yaml", False)])
def test_the_parameter_format_decides_before_accept(asked, json):
    for accept in (b"application/json", b"text/xml"):
        assert wants_json({b"accept": accept}, asked) is json
