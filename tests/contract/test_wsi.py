"""WS-I Basic Profile: what applies holds for the WSDL, for every answer and every fault."""

import codecs
import re
from pathlib import Path

import pytest
from lxml import etree
from support.soap_asgi import CALL, SOAP11, SOAP12, WSA, XSI, Face, envelope
from support.soap_face import ENDPOINT, ID
from support.wsi import DESCRIPTION, Assertion
from support.wsi_messages import ENVELOPE, FAULT, Message

import wsdl

PAGE = Path(__file__).parents[2] / "docs" / "wsi.md"
TEXT = wsdl.document("https://sms.example.com/sendsms/soap/").decode()


def broken(assertion: Assertion, subject: object) -> list[str]:
    """What contradicts an assertion, all of it."""
    return list(assertion.check(subject))


def number(assertion: Assertion) -> str:
    return assertion.number


@pytest.mark.parametrize("assertion", DESCRIPTION, ids=number)
def test_the_wsdl_keeps_an_assertion(assertion):
    assert broken(assertion, etree.fromstring(TEXT.encode())) == []


@pytest.mark.parametrize("assertion", DESCRIPTION, ids=number)
def test_a_wsdl_that_breaks_an_assertion_is_found_out(assertion):
    breach = assertion.breach(TEXT)
    encoding = "latin-1" if "ISO-8859-1" in breach else "utf-8"
    assert broken(assertion, etree.fromstring(breach.encode(encoding)))


def operation(name: str, **parameters: str) -> str:
    given = "".join(f"<{key}>{value}</{key}>" for key, value in parameters.items())
    return f'<{name} xmlns="urn:sendSmsNow">{given}</{name}>'


NAMED = f'<a:MessageID xmlns:a="{WSA}">urn:uuid:1</a:MessageID>'
STRANGE = '<h:Strange xmlns:h="urn:x" s:mustUnderstand="1"/>'
DTD = "<!DOCTYPE a [<!ENTITY b 'c'>]>"

#: What is asked, and the header it comes with.
ANSWERED = {
    "a message sent": (CALL, ""),
    "an addressed message": (CALL, NAMED),
    "a refused key": (CALL.replace("secret", "code-50"), ""),
    "a busy gateway": (CALL.replace("secret", "busy"), ""),
    "a failing backend": (CALL.replace("secret", "fails"), ""),
    "an id that XML cannot hold": (CALL.replace("secret", "odd"), ""),
    "a message resent": (operation("resendSms", apikey="secret", id=ID), ""),
    "received messages": (operation("getSms", apikey="secret", after="0", limit="2"), ""),
    "no received messages": (operation("getSms", apikey="secret", after="9" * 18), ""),
    "a status": (operation("getStatus", apikey="secret", id=ID), ""),
    "a status of nothing": (operation("getStatus", apikey="secret", id="x"), ""),
}
REFUSED = {
    "no such operation": ("<nothing/>", ""),
    "an empty body": ("", ""),
    "an addressed fault": ("<nothing/>", NAMED),
    "a header not understood": (CALL, STRANGE),
    "a document type": (DTD, ""),
    "a damaged base64": (CALL.replace("<message>", f'<message {XSI} xsi:type="base64">ä'), ""),
    "no number": (operation("getSms", apikey="secret", after="x"), ""),
}


async def ask(case: tuple[str, str], namespace: str) -> Message:
    body, header = case
    content = envelope(body, header, namespace)
    if body == DTD:
        content = DTD + envelope(CALL, namespace=namespace)
    media_type = "text/xml" if namespace == SOAP11 else "application/soap+xml"
    answer = await Face().post(content, f"{media_type}; charset=utf-8")
    return Message(
        status=answer.status, content_type=answer.headers["content-type"], body=answer.body
    )


@pytest.mark.parametrize("namespace", [SOAP11, SOAP12], ids=["1.1", "1.2"])
@pytest.mark.parametrize("case", [*ANSWERED, *REFUSED])
async def test_every_answer_and_every_fault_keeps_every_assertion(case, namespace):
    message = await ask((ANSWERED | REFUSED)[case], namespace)
    assert message.namespace == namespace
    assert (message.fault is not None) == (case in REFUSED)
    for assertion in ENVELOPE:
        assert broken(assertion, message) == [], assertion.number
    if message.fault is not None and namespace == SOAP11:
        for assertion in FAULT:
            assert broken(assertion, message) == [], assertion.number


@pytest.mark.parametrize("assertion", [*ENVELOPE, *FAULT], ids=number)
async def test_a_message_that_breaks_an_assertion_is_found_out(assertion):
    refused = assertion in FAULT or assertion.number == "R1126"
    case = REFUSED["no such operation"] if refused else ANSWERED["a message sent"]
    assert broken(assertion, assertion.breach(await ask(case, SOAP11)))


@pytest.mark.parametrize("namespace", [SOAP11, SOAP12], ids=["1.1", "1.2"])
@pytest.mark.parametrize("case", ANSWERED)
async def test_r2712_the_body_is_what_the_schema_says_the_element_is(case, namespace):
    schema = next(etree.fromstring(TEXT.encode()).iter("{*}schema"))
    (content,) = (await ask(ANSWERED[case], namespace)).soap_body
    etree.XMLSchema(etree.fromstring(etree.tostring(schema))).assertValid(content)


# Of receivers.


@pytest.mark.parametrize("namespace", [SOAP11, SOAP12], ids=["1.1", "1.2"])
async def test_r1015_another_envelope_is_a_fault(namespace):
    other = envelope(namespace="urn:other")
    answer = await Face().post(other)
    assert answer.fault[0] == "VersionMismatch"


@pytest.mark.parametrize("namespace", [SOAP11, SOAP12], ids=["1.1", "1.2"])
async def test_r1027_r1028_a_mandatory_header_is_understood_or_nothing_is_done(namespace):
    face = Face()
    answer = await face.post(envelope(header=STRANGE, namespace=namespace))
    assert answer.fault[0] == "MustUnderstand"
    assert face.backend.calls == []


@pytest.mark.parametrize("action", ['"urn:other"', '""', "unquoted"])
async def test_r1127_nothing_is_decided_by_soapaction(action):
    assert (await Face().post(envelope(), SOAPAction=action)).result["error"] == "0"


async def test_r1017_no_type_has_to_be_given_and_r4001_a_mark_may_come_first():
    for start in (b"", codecs.BOM_UTF8):
        assert (await Face().post(start + envelope().encode())).result["error"] == "0"


async def test_r1114_r1132_requests_come_by_post():
    for method in ("GET", "PUT", "DELETE"):
        answer = await Face().request(method, ENDPOINT)
        assert (answer.status, answer.headers["allow"]) == (405, "OPTIONS, POST")


#: What is tested above, and in test_wsdl, by a test of its own.
OTHERS = {
    "R1015": "A RECEIVER answers another root element than soap:Envelope with a fault.",
    "R1017": "A RECEIVER does not ask for xsi:type.",
    "R1027": "A RECEIVER answers a mandatory header that it does not understand with a fault.",
    "R1028": "After a fault nothing is processed.",
    "R1114": "Another method than POST is answered with 405.",
    "R1127": "A RECEIVER decides nothing by SOAPAction.",
    "R1132": "Requests are sent by POST.",
    "R2028": "The WSDL is valid by the schema of WSDL 1.1.",
    "R2029": "The WSDL is valid by the schema of its SOAP bindings.",
    "R2712": "The child of the Body is an instance of the element that the part refers to.",
    "R4001": "A RECEIVER accepts a byte order mark.",
}


def test_the_page_lists_what_is_tested():
    tested = OTHERS | {each.number: each.sentence for each in [*DESCRIPTION, *ENVELOPE, *FAULT]}
    rows = re.findall(r"^\| (R\d+) \| (.+) \|$", PAGE.read_text("utf-8"), re.M)
    assert rows == sorted(tested.items())


def test_what_is_tested_by_a_test_of_its_own_is_in_its_name():
    sources = [Path(__file__), Path(__file__).with_name("test_wsdl.py")]
    names = " ".join(re.findall(r"def (test_\w+)", "".join(map(Path.read_text, sources))))
    assert {each.upper() for each in re.findall(r"r[0-9]{4}", names)} == set(OTHERS)
