"""Envelopes that are known but for their texts are read and answered as spyne does it."""

import asyncio
import base64
import random
import re
from functools import partial
from xml.sax.saxutils import escape

import pytest
from hostile import documents, envelopes
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.both_ways import TEXT_XML, BothWays
from support.soap_asgi import CALL, SOAP11, SOAP12, WSA, XSI, envelope
from support.soap_face import RecordingBackend

from sms_gateway.codes import Code
from soap_server.envelope_templates import LONGEST_TEMPLATE, MOST_TEMPLATES, EnvelopeTemplates
from soap_server.transport import Server

RECORDED = {each.name: each for each in envelopes.good()}
#: What is left to spyne of what real stacks send.
BY_SPYNE = {
    # Headers.
    *("jax-ws-addressing", "jax-ws-addressing-fault", "jax-ws-1.2-addressing"),
    *("node-soap-wsse", "zeep-wsa-wsse"),
    # Packed, or with attachments.
    *("php-soap-gzip", "php-soap-deflate", "saaj-attachment", "saaj-1.2-attachment"),
    # An empty key, as it comes by HTTP.
    "php-soap-basic",
    # No UTF-8, or base64.
    *("nusoap-rpc-latin1", "soap-lite-base64", "soap-lite-base64-latin1"),
}


@pytest.fixture
def both() -> BothWays:
    return BothWays()


def headers(each: envelopes.Envelope) -> dict[bytes, bytes]:
    given = {"content-type": each.content_type, "content-encoding": each.content_encoding}
    return {name.encode(): value.encode("latin-1") for name, value in given.items() if value}


@pytest.mark.parametrize("name", RECORDED)
async def test_what_a_stack_sends_has_a_template(both, name):
    each = RECORDED[name]
    assert await both.ask(each.body, headers(each)) is (name not in BY_SPYNE)


def test_what_is_left_to_spyne_was_recorded():
    assert set(RECORDED) >= BY_SPYNE


@pytest.mark.parametrize(
    ("name", "body", "content_type"),
    [
        *((name, body, "text/xml") for name, body in documents.DOCUMENTS.items()),
        *((name, *typed) for name, typed in documents.TYPED.items()),
    ],
)
async def test_what_is_hostile_is_left_to_spyne_or_comes_to_the_same(
    both, name, body, content_type
):
    given = {b"content-type": content_type.encode("latin-1")}
    await both.ask(body if isinstance(body, bytes) else body(), given)


#: Forms as people and programs write them.
FORMS = [
    envelope(),
    envelope(namespace=SOAP12),
    *(RECORDED[name].body.decode() for name in ("zeep", "strong-soap", "nusoap-wsdl", "axis-rpc")),
    RECORDED["soap-lite-positional"].body.decode(),
    *(
        envelope(call)
        for call in (
            CALL.replace("><", ">\n\t <"),
            CALL.replace("><", "><!-- > --><?a b?><"),
            CALL.replace("</sendSms>", "<more/></sendSms>"),
            CALL.replace("<message>", f'<message {XSI} xsi:type="xsd:string">'),
            CALL.replace("Hello", "<!-- a -->Hello"),
            '<sendSms xmlns="urn:sendSmsNow"><apikey>a</apikey><message>b</message>'
            "<recipients>c</recipients></sendSms>",
            '<t:sendSms xmlns:t="urn:sendSmsNow"><recipients href="#1"/><message href="#2"/>'
            '<apikey href="#3"/></t:sendSms><m id="3">c</m><m id="2">b</m><m id="1">a</m>',
        )
    ),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("start", ["", "\ufeff", " \r\n", '<?xml version="1.0"?>\n'])
async def test_a_form_has_a_template_however_it_is_written(both, form, start):
    declared = re.sub(r"^<\?xml.*?\?>", "", form)
    assert await both.ask((start + declared).encode())


@pytest.mark.parametrize(
    "call",
    [
        CALL.replace("secret", ""),
        CALL.replace("Hello", " "),
        CALL.replace("Hello", "<![CDATA[Hello]]>"),
        CALL.replace("Hello", "He<!-- a -->llo"),
        CALL.replace("<message>", '<message a="x>y">'),
        CALL.replace("Hello", "<b>Hello</b>"),
        CALL.replace("message", "Message"),
        CALL.replace("</sendSms>", "<more>text</more></sendSms>"),
        CALL.replace("</sendSms>", "<apikey>text</apikey></sendSms>"),
        CALL.replace("<message>", f'<message {XSI} xsi:type="base64Binary">'),
        CALL.replace("<message>Hello</message>", "<message/><more>Hello</more>"),
        CALL.replace("<message>", '<message a="<">'),
        CALL.replace("sendSms", "getSms").replace("getSmsNow", "sendSmsNow"),
        CALL + CALL,
        CALL.replace("<message>", "<message" + " " * LONGEST_TEMPLATE + ">"),
        "",
    ],
)
async def test_what_is_no_form_is_left_to_spyne(both, call):
    assert not await both.ask(envelope(call).encode())
    assert not await both.ask(envelope(call).encode())


async def test_an_envelope_with_headers_is_left_to_spyne(both):
    header = f'<a:Action xmlns:a="{WSA}"/>'
    assert not await both.ask(envelope(header=header).encode())
    header = f'<a:MessageID xmlns:a="{WSA}">text</a:MessageID>'
    assert not await both.ask(envelope(CALL.replace("secret", ""), header).encode())


#: What may be the text of an element.
TEXTS = [
    *("Hello", "a b", " a ", "\ta\n", "a\r\nb\rc", "Grüße €, 😀", "(，！)", "a > b", "\"'"),
    *("&amp;&lt;&gt;&quot;&apos;", "&amp;lt;", "&#38;lt;", "&amp;#65;", "&#x41;&#65;&#10;&#13;"),
    *(
        "&#128512;&#x1F600;",
        "&#xD83D;&#xDE00;",
        "&#55357;&#56832;",
        "&#xA0;",
        "&#32;",
        "&#0000065;",
    ),
    *("]", "]]", "a]>b", "]]]", "\ufffd\ufeff\uefff", "\x7f\x80\x85\x9f\u2028", "\U0010ffff"),
]
#: And what may not, or is left to spyne.
OTHERS = [
    *("", " \r\n", "]]>", "]]]>", "a]]>b", "&", "&;", "&a;", "&amp", "&nbsp;", "&AMP;", "&#;"),
    *("&#x;", "&#xg;", "&#0;", "&#1;", "&#31;", "&#xFFFE;", "&#xFFFF;", "&#xD83D;", "&#-1;"),
    *("&#xDE00;&#xD83D;", "&#x110000;", "&#9999999;", "&#x00000041;", "&#00000065;", "&#X41;"),
    *("\0", "\x01", "\x08", "\x0b", "\x0c", "\x1b[2J", "\x1f", "\ufffe", "\uffff", "a\ufffeb"),
    *("& amp;", "&#3 2;", "<b/>", "<![CDATA[a]]>", "a<!-- b -->", "<?a b?>", "</message>", "<"),
]


@pytest.mark.parametrize("form", FORMS)
async def test_a_text_is_read_in_a_known_form_as_by_spyne(both, form):
    message = re.findall(r">([^<>]*[^<>\s][^<>]*)</", form)[1]
    for text in TEXTS:
        assert await both.ask(form.replace(f">{message}<", f">{text}<").encode())
    for text in OTHERS:
        assert not await both.ask(form.replace(f">{message}<", f">{text}<").encode())


@pytest.mark.parametrize("content", [b"\xff", b"\xc3", b"\xc0\xbc", b"\xed\xa0\x80", b"\xef\xbf"])
async def test_what_is_no_utf8_is_left_to_spyne(both, content):
    assert await both.ask(envelope().encode())
    assert not await both.ask(envelope().encode().replace(b"Hello", content))


@pytest.fixture(scope="module")
def lasting() -> BothWays:
    """One that has learned all that was asked of it."""
    return BothWays()


pieces = st.one_of(
    st.sampled_from(TEXTS + OTHERS), st.text(max_size=5), st.text(max_size=5).map(escape)
)


@pytest.mark.once
@settings(max_examples=500)
@given(st.sampled_from(FORMS), st.lists(pieces, max_size=4), st.randoms(use_true_random=False))
@example(FORMS[0], ["&#xD83D;", "&#xDE00;"], random.Random(0))
def test_any_text_anywhere_comes_to_the_same(lasting, form, parts, chance):
    content = "".join(parts)
    somewhere = chance.randrange(len(form))
    changed = form[:somewhere] + content + form[somewhere:]
    inside = re.sub(">[^<>]+</", lambda found: f">{content}</", form)
    for each in (changed, inside):
        asyncio.run(lasting.ask(each.encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize(
    "content_type",
    [
        *("text/xml", "", "application/x-www-form-urlencoded", "nonsense;;=", "text/xml; charset="),
        *("application/soap+xml; charset=utf-8; action=x", 'text/xml;charset="UTF-8"'),
        *("text/xml; charset=iso-8859-1", "text/xml; charset=us-ascii", "text/xml; charset=utf-16"),
    ],
)
@pytest.mark.parametrize("message", ["Hello", "Grüße"])
async def test_the_type_of_most_requests_makes_no_difference(both, content_type, message):
    for namespace in (SOAP11, SOAP12):
        body = envelope(CALL.replace("Hello", message), namespace=namespace).encode()
        assert await both.ask(body, {b"content-type": content_type.encode()})


@pytest.mark.parametrize(
    "given",
    [
        {b"content-type": b"text/xml; charset=gb2312"},
        {b"content-type": b'text/xml; charset="Shift_JIS"'},
        {b"content-type": b"Multipart/Related; boundary=b"},
        {b"content-type": b"text/xml", b"content-encoding": b"gzip"},
        {b"content-type": b"text/xml", b"content-encoding": b"br"},
    ],
)
async def test_a_body_that_may_be_in_another_encoding_is_left_to_spyne(both, given):
    body = envelope(CALL.replace("Hello", "Grüße")).encode()
    assert await both.ask(body)
    assert not await both.ask(body, given)


@pytest.mark.parametrize(
    "label", ["utf-8", "UTF-8", "iso-8859-1", "us-ascii", "utf-16", "nonsense"]
)
async def test_a_wrong_declaration_makes_no_difference(both, label):
    body = f'<?xml version="1.0" encoding="{label}"?>{envelope()}'.replace("Hello", "Grüße")
    assert await both.ask(body.encode())


async def test_a_body_in_utf16_is_left_to_spyne(both):
    assert not await both.ask(envelope().encode("utf-16"))
    assert not await both.ask(f'<?xml version="1.0" encoding="big5"?>{envelope()}'.encode())


@pytest.mark.parametrize(
    "more",
    [
        {b"idempotency-key": b" key "},
        {b"idempotency-key": b"\xe9"},
        {b"authorization": b"Basic " + base64.b64encode(b"me:password")},
        {b"connection": b"Close, TE"},
        {b"connection": b"keep-alive"},
    ],
)
@pytest.mark.parametrize("apikey", ["secret", "&#32;"])
async def test_headers_mean_the_same_on_both_ways(both, more, apikey):
    assert await both.ask(envelope(CALL.replace("secret", apikey)).encode(), TEXT_XML | more)


@pytest.mark.parametrize("namespace", [SOAP11, SOAP12])
@pytest.mark.parametrize("apikey", [*(f"code-{code:d}" for code in Code), "busy", "odd", "fails"])
async def test_every_reply_is_written_as_by_spyne(both, apikey, namespace):
    assert await both.ask(envelope(CALL.replace("secret", apikey), namespace=namespace).encode())


async def test_a_long_text_has_a_template(both):
    assert await both.ask(envelope(CALL.replace("Hello", "x" * 200_000)).encode())


class Read:
    """Forms, and how often spyne was asked about one."""

    def __init__(self) -> None:
        self.times = 0
        self._read = partial(Server().read_marks, RecordingBackend())
        self.templates = EnvelopeTemplates(self._counted)

    def _counted(self, marked: bytes):
        self.times += 1
        return self._read(marked)


def test_a_form_is_learned_once_and_what_is_none_is_remembered_as_well():
    read = Read()
    for n in range(50):
        assert read.templates.read(envelope(CALL.replace("Hello", f"Hello {n}")).encode())
        assert not read.templates.read(envelope(CALL.replace("recipients", f"x{n % 2}")).encode())
    assert read.times == 3


def test_forms_are_forgotten_when_others_come():
    read = Read()
    for n in range(MOST_TEMPLATES + 1):
        assert read.templates.read(envelope(CALL + " " * n).encode())
    assert read.templates.read(envelope(CALL + " " * MOST_TEMPLATES).encode())
    assert read.times == MOST_TEMPLATES + 1
    assert read.templates.read(envelope().encode())
    assert read.times == MOST_TEMPLATES + 2


async def test_a_prefix_that_is_drawn_anew_makes_no_new_form(both):
    read = Read()
    for name in ("nusoap-wsdl", "nusoap-rpc"):
        body = RECORDED[name].body
        (prefix,) = re.findall(rb"xmlns:(ns\d+)=", body)
        for n in range(1000, 1050):
            drawn = body.replace(prefix, b"ns%d" % n)
            assert read.templates.read(drawn)
            assert await both.ask(drawn)
    assert read.times == 2


@pytest.mark.parametrize(
    ("known", "other"),
    [
        # Prefixes that are bound to nothing, in the place of one that was.
        ("<ns1234:sendSms xmlns:ns1234=", "<ns1234:sendSms xmlns:ns5678="),
        ("<ns1234:sendSms xmlns:ns1234=", "<ns0000:sendSms xmlns:ns5678="),
        ("<ns1234:sendSms xmlns:ns1234=", "<ns0000:sendSms xmlns:ns0000="),
        ("<ns0000:sendSms xmlns:ns0000=", "<ns1234:sendSms xmlns:ns1234="),
        ("<ns1234:sendSms xmlns:ns1234=", '<ns12345:sendSms xmlns:ns1234="urn:x" xmlns:ns12345='),
        ('<ns1:sendSms a="ns1234" xmlns:ns1=', '<ns1:sendSms a="ns5678" xmlns:ns1='),
        ('<ns1:sendSms xmlns:ns1234="a" xmlns:ns1=', '<ns1:sendSms xmlns:ns1="a" xmlns:ns1='),
        ('<ns12345:sendSms xmlns:ns1234="a" xmlns:ns12345=', "<ns5678:sendSms xmlns:ns5678="),
    ],
)
async def test_a_prefix_is_replaced_only_where_that_changes_nothing(both, known, other):
    call = f'{known}"urn:sendSmsNow">{CALL.partition(">")[2]}'
    call = call.replace("</sendSms>", f"</{known.split()[0][1:]}>")
    assert await both.ask(envelope(call).encode())
    changed = call.replace(known, other)
    await both.ask(envelope(changed).encode())
    changed = changed.replace("</" + known.split()[0][1:], "</" + other.split()[0][1:])
    await both.ask(envelope(changed).encode())
