"""What the SOAP face understands and answers, in this process."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest
from lxml import etree
from starlette.types import Message
from support.soap_asgi import (
    CALL,
    HELLO,
    NS,
    PARAMETERS,
    SOAP11,
    SOAP12,
    WSA,
    WSSE,
    XSI,
    Answer,
    Face,
    envelope,
)
from support.soap_face import ENDPOINT, ID, NOTE, WSDL

from sms_gateway.backend import content_key
from sms_gateway.codes import Code
from soap_server.headers import MAX_MESSAGE_ID
from soap_server.protocol import LONGEST_NAME, MOST_NOT_UNDERSTOOD, escape


@pytest.fixture
def face() -> Face:
    return Face()


@pytest.mark.parametrize("namespace", [SOAP11, SOAP12])
@pytest.mark.parametrize(
    "content_type", ["text/xml", "application/soap+xml", 'application/soap+xml; action="x"', ""]
)
async def test_the_answer_is_in_the_version_of_the_envelope(face, namespace, content_type):
    answer = await face.post(envelope(namespace=namespace), content_type)
    assert answer.result == {"error": "0", "sent": "1", "id": ID}
    assert etree.QName(answer.root).namespace == namespace
    media_type = "text/xml" if namespace == SOAP11 else "application/soap+xml"
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert face.backend.calls == [HELLO]


QUALIFIED = PARAMETERS.replace("<", "<t:").replace("<t:/", "</t:")


@pytest.mark.parametrize(
    "call",
    [
        f'<t:sendSms xmlns:t="urn:sendSmsNow">{PARAMETERS}</t:sendSms>',
        f'<t:sendSms xmlns:t="urn:sendSmsNow">{QUALIFIED}</t:sendSms>',
        CALL.replace("><", ">\n  <!-- comment --> <"),
        '<sendSms xmlns="urn:sendSmsNow"><apikey> secret\n</apikey><message>Hello</message>'
        "<recipients>+32494000000</recipients></sendSms>",
        f'<sendSms xmlns="urn:sendSmsNow">{PARAMETERS}<more><and/></more></sendSms>',
        '<sendSms xmlns="urn:sendSmsNow"><c-gensym3>+32494000000</c-gensym3>'
        "<c-gensym5>Hello</c-gensym5><c-gensym7>secret</c-gensym7></sendSms>",
        '<t:sendSms xmlns:t="urn:sendSmsNow"><param0>+32494000000</param0><param1>Hello</param1>'
        "<param2>secret</param2></t:sendSms>",
        f'<t:sendSms xmlns:t="urn:sendSmsNow" {XSI} xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
        ' s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">'
        '<recipients xsi:type="xsd:string">+32494000000</recipients>'
        f'<message xsi:type="xsd:base64Binary">{base64.b64encode(b"Hello").decode()}</message>'
        '<apikey xsi:type="xsd:string">secret</apikey></t:sendSms>',
        '<t:sendSms xmlns:t="urn:sendSmsNow"><recipients href="#1"/><message href="#2"/>'
        '<apikey href="#4"/></t:sendSms><multiRef id="1">+32494000000</multiRef>'
        '<multiRef id="2" href="#3"/><multiRef id="3">Hello</multiRef>'
        '<multiRef id="4">secret</multiRef>',
        '<t:sendSms xmlns:t="urn:sendSmsNow" xmlns:e="http://www.w3.org/2003/05/soap-encoding">'
        '<recipients e:ref="1"/><message>Hello</message><apikey>secret</apikey></t:sendSms>'
        '<x e:id="1" xmlns:e="http://www.w3.org/2003/05/soap-encoding">+32494000000</x>',
    ],
)
async def test_parameters_are_found_however_a_stack_writes_them(face, call):
    assert (await face.post(envelope(call))).result["error"] == "0"
    assert face.backend.calls == [HELLO]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("Grüße €, 😀, &amp; &lt; &gt; &quot;", 'Grüße €, 😀, & < > "'),
        ("a&#13;\r\n\tb ", "a\r\n\tb "),
        ("<![CDATA[<b>&amp;</b>]]>", "<b>&amp;</b>"),
        ("&#55357;&#56832;", "😀"),
        ("ab<!-- c -->d", "abd"),
    ],
)
async def test_the_text_arrives_as_it_was_meant(face, message, text):
    await face.post(envelope(CALL.replace("Hello", message)))
    assert face.backend.calls[0].message == text


async def test_a_declaration_that_is_wrong_about_the_encoding_does_no_harm(face):
    # .NET writes it into strings that are then sent in UTF-8.
    declaration = '<?xml version="1.0" encoding="utf-16"?>'
    await face.post(declaration + envelope(CALL.replace("Hello", "Grüße")))
    assert face.backend.calls[0].message == "Grüße"


async def test_base64_is_utf8_or_else_latin1(face):
    for raw in ("Grüße".encode(), "Grüße".encode("latin-1")):
        encoded = base64.b64encode(raw).decode()
        typed = f'<message {XSI} xsi:type="xsd:base64Binary">{encoded}</message>'
        await face.post(envelope(CALL.replace("<message>Hello</message>", typed)))
    assert [call.message for call in face.backend.calls] == ["Grüße", "Grüße"]


@pytest.mark.parametrize(
    ("call", "given", "code"),
    [
        ('<sendSms xmlns="urn:sendSmsNow"/>', ("", "", ""), 60),
        ('<sendSms xmlns="urn:sendSmsNow">+32494000000</sendSms>', ("", "", ""), 60),
        (CALL.replace("secret", ""), ("+32494000000", "Hello", ""), 60),
        (CALL.replace("<message>Hello</message>", ""), ("+32494000000", "", "secret"), 7),
        (
            CALL.replace("<message>Hello<", f'<message {XSI} xsi:nil="true"><'),
            ("+32494000000", "", "secret"),
            7,
        ),
        (CALL.replace("+32494000000", "Array"), ("Array", "Hello", "secret"), 7),
        (CALL.replace("message", "Message"), ("+32494000000", "", "secret"), 7),
    ],
)
async def test_arguments_that_did_not_arrive_are_a_business_error(face, call, given, code):
    assert (await face.post(envelope(call))).result == {
        "error": str(code),
        "sent": "0",
        "id": None,
    }
    (told,) = face.backend.calls
    assert (told.recipients, told.message, told.apikey) == given


@pytest.mark.parametrize("code", list(Code))
async def test_every_code_is_in_the_result(face, code):
    answer = await face.post(envelope(CALL.replace("secret", f"code-{int(code)}")))
    assert answer.result == {"error": str(int(code)), "sent": "0", "id": None}
    assert "retry-after" not in answer.headers


async def test_overload_is_in_the_result_with_a_time_to_wait(face):
    answer = await face.post(envelope(CALL.replace("secret", "busy")))
    assert answer.result == {"error": "30", "sent": "0", "id": None}
    assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize("more", ["", "<!-- not plain -->"])
async def test_the_note_of_a_refusal_is_in_a_header_and_the_result_is_the_contracts(face, more):
    answer = await face.post(envelope(CALL.replace("secret", "noted") + more))
    assert answer.result == {"error": "7", "sent": "0", "id": None}
    note = answer.headers["sendsmsnow-note"]
    assert note == "Number 2 of 3 is 100 %25 wrong: %C3%9F%0D%0AX-Evil: yes %F0%9F%98%80"
    assert unquote(note) == NOTE
    answer = await face.post(envelope(CALL + more))
    assert "sendsmsnow-note" not in answer.headers


async def test_a_backend_that_fails_is_code_30_and_nothing_of_the_request_is_logged(face, caplog):
    answer = await face.post(envelope(CALL.replace("secret", "fails")))
    assert answer.result == {"error": "30", "sent": "0", "id": None}
    (record,) = [each for each in caplog.records if each.name == "soap_server"]
    assert record.error == "RuntimeError"
    assert "soap_face.py:" in record.at
    for given in ("Hello", "32494000000", "cannot send"):
        assert given not in str(record.__dict__)


async def test_what_xml_cannot_hold_is_replaced_in_an_answer(face):
    answer = await face.post(envelope(CALL.replace("secret", "odd")))
    assert answer.result["id"] == "\ufffd<&>\ufffd\ufffd]]>"


@pytest.mark.parametrize("namespace", [SOAP11, SOAP12])
@pytest.mark.parametrize(
    ("body", "header"),
    [
        ("", ""),
        ("<nothing/>", ""),
        ('<sendSms xmlns="urn:other"/>', ""),
        ("<sendSms/>", ""),
        (CALL.replace("sendSms ", "deleteSms ").replace("/sendSms", "/deleteSms"), ""),
        (CALL + CALL, ""),
        (f"<s:Fault><faultcode>s:Server</faultcode></s:Fault>{CALL}", ""),
        ("<s:Fault><faultcode>s:Server</faultcode></s:Fault>", ""),
        (CALL.replace("</sendSms>", "<apikey>other</apikey></sendSms>"), ""),
        (CALL.replace("Hello", "<b>Hello</b>"), ""),
        (CALL.replace("<message>Hello<", '<message href="#1"><'), ""),
        (CALL.replace("<message>Hello<", '<message href="cid:1"><'), ""),
        (
            CALL.replace("<message>Hello<", '<message href="#1"><')
            + '<a id="1" href="#2"/><a id="2" href="#1"/>',
            "",
        ),
        (CALL.replace("<message>", f'<message {XSI} xsi:type="x:base64Binary">ä'), ""),
        ('<sendSms xmlns="urn:sendSmsNow"><a/><b/><c/><d/></sendSms>', ""),
        (CALL, f'<a:ReplyTo xmlns:a="{WSA}"><a:Address>http://localhost/</a:Address></a:ReplyTo>'),
        (CALL, f'<a:FaultTo xmlns:a="{WSA}"><a:Address>http://localhost/</a:Address></a:FaultTo>'),
    ],
)
async def test_an_envelope_that_makes_no_sense_is_the_clients_fault(face, namespace, body, header):
    answer = await face.post(envelope(body, header, namespace))
    code, text = answer.fault
    assert code == ("Client" if namespace == SOAP11 else "Sender")
    assert text.isprintable()
    assert "Hello" not in text
    assert not face.backend.calls


@pytest.mark.parametrize(
    "document",
    [
        "<Envelope/>",
        "<html/>",
        envelope(namespace="http://www.w3.org/2001/06/soap-envelope"),
        f'<s:Body xmlns:s="{SOAP11}"/>',
    ],
)
async def test_another_document_is_a_version_mismatch(face, document):
    assert (await face.post(document)).fault[0] == "VersionMismatch"
    answer = await face.post(document, "application/soap+xml")
    if "soap/envelope" not in document:
        upgrade = answer.root.findall("soap12:Header/soap12:Upgrade/soap12:SupportedEnvelope", NS)
        assert [each.nsmap["e"] for each in upgrade] == [SOAP12, SOAP11]
    assert answer.fault[0] == "VersionMismatch"


@pytest.mark.parametrize(
    "parts", ["", "<s:Header/>", "<s:Body/>", f"<s:Body/><s:Body>{CALL}</s:Body>"]
)
async def test_an_envelope_has_one_body_and_something_in_it(face, parts):
    document = f'<s:Envelope xmlns:s="{SOAP11}">{parts}</s:Envelope>'
    assert (await face.post(document)).fault[0] == "Client"


@pytest.mark.parametrize("namespace", [SOAP11, SOAP12])
async def test_ill_formed_xml_is_refused_in_the_version_it_seems_to_be(face, namespace):
    answer = await face.post(envelope(namespace=namespace)[:-1])
    assert etree.QName(answer.root).namespace == namespace
    assert answer.fault[0] == ("Client" if namespace == SOAP11 else "Sender")
    assert (await face.post("<", "application/soap+xml")).fault[0] == "Sender"


def must(name: str, attributes: str = "", namespace: str = "urn:x") -> str:
    return f'<h:{name} xmlns:h="{namespace}" s:mustUnderstand="1" {attributes}/>'


@pytest.mark.parametrize("namespace", [SOAP11, SOAP12])
@pytest.mark.parametrize("true", ["1", "true"])
async def test_a_header_that_must_be_understood_and_is_not_is_a_fault(face, namespace, true):
    header = must("Strange").replace('"1"', f'"{true}"') + must("Stranger")
    answer = await face.post(envelope(header=header, namespace=namespace))
    assert answer.fault[0] == "MustUnderstand"
    assert not face.backend.calls
    if namespace == SOAP12:
        listed = answer.root.findall("soap12:Header/soap12:NotUnderstood", NS)
        assert [each.get("qname") for each in listed] == ["h:Strange", "h:Stranger"]
        assert listed[0].nsmap["h"] == "urn:x"


@pytest.mark.parametrize("name", ["a" * 4, "a" * 100, "a" * 100_000, "é" * 50_000])
async def test_a_fault_is_short_however_many_headers_there_are_and_however_long(face, name):
    headers = must(name, namespace="urn:" + "x" * 200) * (150_000 // (len(name.encode()) + 270))
    answer = await face.post(envelope(header=headers, namespace=SOAP12))
    assert answer.fault[0] == "MustUnderstand"
    assert len(answer.body) < 16_384
    listed = answer.root.findall("soap12:Header/soap12:NotUnderstood", NS)
    assert len(listed) == (MOST_NOT_UNDERSTOOD if len(name) < LONGEST_NAME else 0)


@pytest.mark.parametrize("strange", ["h=ttp://x/", "no uri", "http://a:b:c/", "%", "x", "é:"])
async def test_a_header_whose_namespace_is_no_uri_is_not_named(face, strange):
    # lxml refuses to read a document with such a namespace in it.
    header = must("Strange", namespace=strange) + must("Stranger")
    answer = await face.post(envelope(header=header, namespace=SOAP12))
    assert answer.fault[0] == "MustUnderstand"
    listed = answer.root.findall("soap12:Header/soap12:NotUnderstood", NS)
    assert [each.get("qname") for each in listed] == ["h:Stranger"]


@pytest.mark.parametrize(
    ("namespace", "header"),
    [
        (SOAP11, must("Strange").replace('"1"', '"0"')),
        (SOAP11, '<h:Strange xmlns:h="urn:x"/>'),
        (SOAP11, must("Strange", 's:actor="urn:somebody-else"')),
        (SOAP12, must("Strange", f's:role="{SOAP12}/role/none"')),
        (SOAP11, must("To", namespace=WSA) + must("Action", namespace=WSA)),
        (SOAP12, must("Security", namespace=WSSE)),
        (SOAP11, must("To", namespace="http://schemas.xmlsoap.org/ws/2004/08/addressing")),
    ],
)
async def test_other_headers_do_not_stand_in_the_way(face, namespace, header):
    assert (await face.post(envelope(header=header, namespace=namespace))).result["error"] == "0"


@pytest.mark.parametrize("role", ["", 's:actor="http://schemas.xmlsoap.org/soap/actor/next"'])
async def test_a_header_for_the_next_receiver_is_for_us(face, role):
    assert (await face.post(envelope(header=must("Strange", role)))).fault[0] == "MustUnderstand"


MESSAGE_ID = f'<a:MessageID xmlns:a="{WSA}"> urn:uuid:1&amp;2 </a:MessageID>'


def addressing(answer: Answer) -> dict[str, str]:
    return {
        etree.QName(each).localname: each.text or ""
        for each in answer.root.findall("{*}Header/wsa:*", NS)
    }


async def test_an_id_that_is_too_long_to_be_repeated_is_refused(face):
    header = f'<a:MessageID xmlns:a="{WSA}">%s</a:MessageID>'
    longest = '"' * MAX_MESSAGE_ID
    answered = await face.post(envelope(header=header % longest))
    assert addressing(answered)["RelatesTo"] == longest
    refused = await face.post(envelope(header=header % (longest + '"')))
    assert refused.fault == ("Client", "The MessageID is too long")
    assert len(refused.body) < 1_000


async def test_an_addressed_request_is_answered_with_its_id(face):
    assert addressing(await face.post(envelope(header=MESSAGE_ID))) == {
        "RelatesTo": "urn:uuid:1&2",
        "Action": "urn:sendSmsNow:sendSmsNowPortType:sendSmsResponse",
    }


@pytest.mark.parametrize("namespace", [SOAP11, SOAP12])
@pytest.mark.parametrize(
    ("body", "header"), [("<nothing/>", MESSAGE_ID), (CALL, must("Strange") + MESSAGE_ID)]
)
async def test_a_fault_is_addressed_too(face, namespace, body, header):
    assert addressing(await face.post(envelope(body, header, namespace))) == {
        "RelatesTo": "urn:uuid:1&2",
        "Action": "http://www.w3.org/2005/08/addressing/soap/fault",
    }


async def test_without_an_id_there_is_nothing_to_relate_to(face):
    header = f'<a:Action xmlns:a="{WSA}">x</a:Action>'
    answer = await face.post(envelope(header=header))
    assert answer.root.find("{*}Header") is None
    assert face.backend.calls == [HELLO]


async def test_the_message_id_is_an_idempotency_key_for_this_content(face):
    await face.post(envelope(header=MESSAGE_ID))
    (call,) = face.backend.calls
    assert call.idempotency_key == content_key("urn:uuid:1&2", "+32494000000", "Hello")


async def test_the_idempotency_key_of_http_counts_first(face):
    await face.post(envelope(header=MESSAGE_ID), Idempotency_Key=" my-key ")
    (call,) = face.backend.calls
    assert call.idempotency_key == "my-key"


def token(password: str, kind: str = "PasswordText") -> str:
    return (
        f'<w:Security xmlns:w="{WSSE}"><w:Timestamp/><w:UsernameToken><w:Username>me</w:Username>'
        f'<w:Password Type="urn:x#{kind}">{password}</w:Password></w:UsernameToken></w:Security>'
    )


WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"


@pytest.mark.parametrize("namespace", [SOAP11, SOAP12])
@pytest.mark.parametrize("body", [CALL, "<nothing/>"])
async def test_a_timestamp_is_answered_with_one(face, namespace, body):
    # WCF refuses an answer without one where it sent one itself: TransportWithMessageCredential.
    header = (
        f'<w:Security xmlns:w="{WSSE}" s:mustUnderstand="1"><u:Timestamp xmlns:u="{WSU}">'
        "<u:Created>2026-01-02T03:04:05Z</u:Created></u:Timestamp></w:Security>"
    )
    root = (await face.post(envelope(body, header, namespace))).root
    (stamp,) = root.findall(f"{{*}}Header/{{{WSSE}}}Security/{{{WSU}}}Timestamp")
    created, expires = (datetime.fromisoformat(each.text) for each in stamp)
    assert abs(datetime.now(UTC) - created) < timedelta(hours=1)
    assert expires - created == timedelta(minutes=5)


async def test_security_without_a_timestamp_is_answered_without_one(face):
    root = (await face.post(envelope(header=token("secret").replace("<w:Timestamp/>", "")))).root
    assert root.find("{*}Header") is None


def basic(credentials: str) -> str:
    return "Basic " + base64.b64encode(credentials.encode()).decode()


@pytest.mark.parametrize(
    ("parameter", "header", "authorization", "apikey"),
    [
        ("", token("from-token"), "", "from-token"),
        ("", "", basic("me:from-basic"), "from-basic"),
        ("", "", basic("me:with:colons").replace("Basic", "bAsIc"), "with:colons"),
        ("", "", basic("me: with:colons\r\n"), "with:colons"),
        ("", token("from-token"), basic("me:from-basic"), "from-token"),
        ("given", token("from-token"), basic("me:from-basic"), "given"),
        ("", token("from-token", "PasswordDigest"), "", ""),
        ("", "", basic("no-colon"), ""),
        ("", "", "Basic !", ""),
        ("", "", "Bearer abc", ""),
    ],
)
async def test_the_key_may_come_as_a_password(face, parameter, header, authorization, apikey):
    document = envelope(CALL.replace("secret", parameter), header)
    await face.post(document, Authorization=authorization)
    (call,) = face.backend.calls
    assert call.apikey == apikey


async def test_a_body_in_pieces_is_put_together(face):
    body = envelope().encode()
    pieces = [
        {"type": "http.request", "body": body[n : n + 1], "more_body": True}
        for n in range(len(body))
    ]
    answer = await face.request("POST", ENDPOINT, *pieces, {"type": "http.request"})
    assert answer.result["error"] == "0"


async def test_a_body_up_to_the_limit_is_read():
    body = envelope()
    assert (await Face(max_body=len(body)).post(body)).result["error"] == "0"
    answer = await Face(max_body=len(body) - 1).post(body)
    assert answer.fault == ("Client", "The request is too large")
    assert answer.headers["connection"] == "close"


async def test_an_endless_body_is_read_no_further_than_patience_goes():
    pieces = ({"type": "http.request", "body": b"x" * 100, "more_body": True} for _ in range(17))
    answer = await Face(max_body=100).request("POST", ENDPOINT, *pieces)
    assert answer.fault == ("Client", "The request is too large")


async def test_a_body_that_does_not_end_is_waited_for_no_longer_than_set():
    face = Face(body_timeout=0.01)
    pieces = [{"type": "http.request", "body": b"<", "more_body": True}]

    async def receive() -> Message:
        if pieces:
            return pieces.pop()
        await asyncio.Event().wait()
        raise AssertionError

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": ENDPOINT, "query_string": b"", "headers": []}
    await face.app(scope, receive, send)
    assert sent[0]["status"] == 500
    assert b"did not arrive in time" in sent[1]["body"]


async def test_a_body_that_breaks_off_is_a_fault(face):
    pieces = [
        {"type": "http.request", "body": b"<", "more_body": True},
        {"type": "http.disconnect"},
    ]
    answer = await face.request("POST", ENDPOINT, *pieces)
    assert answer.fault == ("Client", "The request did not arrive in time")


@pytest.mark.parametrize("path", [ENDPOINT, ENDPOINT[:-1], WSDL])
async def test_every_address_takes_requests(face, path):
    message = {"type": "http.request", "body": envelope().encode()}
    assert (await face.request("POST", path, message)).result["error"] == "0"
    answer = await face.request("POST", path, message, query=b"wsdl")
    assert answer.result["error"] == "0"


@pytest.mark.parametrize(
    ("method", "path", "query", "allow"),
    [
        ("GET", ENDPOINT, b"", "OPTIONS, POST"),
        ("HEAD", ENDPOINT[:-1], b"x=wsdl", "OPTIONS, POST"),
        ("PUT", ENDPOINT, b"wsdl", "GET, HEAD, OPTIONS, POST"),
        ("DELETE", WSDL, b"", "GET, HEAD, OPTIONS, POST"),
    ],
)
async def test_other_methods_are_not_allowed(face, method, path, query, allow):
    answer = await face.request(method, path, query=query)
    assert (answer.status, answer.headers["allow"]) == (405, allow)


async def test_other_paths_are_not_ours(face):
    assert (await face.request("GET", "/sendsms/")).status == 404


async def test_start_and_stop_of_the_server_are_answered(face):
    sent = []
    incoming = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> dict[str, str]:
        return next(incoming)

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    await face.app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_text_is_escaped_for_elements_and_attributes():
    assert escape("<&>\"'\r\n\t") == "&lt;&amp;&gt;&quot;'&#13;\n\t"
    assert escape("é😀") == "é😀"
