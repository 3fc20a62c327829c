"""The published contract: valid, the one that the service follows, and served to the letter."""

import difflib
import gzip
import re
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen
from xml.etree.ElementTree import canonicalize

import pytest
import xmlschema
from lxml import etree
from starlette.types import Message
from support.soap_face import ENDPOINT, WSDL, RecordingBackend, soap_face

import wsdl
from soap_server import SoapApp, description
from soap_server.published import WSDL11

SCHEMAS = Path(xmlschema.__file__).parent / "schemas" / "WSDL"
#: The contract as it was when `sendSms` was all of it; 62 client variants of 22 stacks know it so.
FIRST = Path(__file__).with_name("sendSms.wsdl")
SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"
SOAP12 = "http://schemas.xmlsoap.org/wsdl/soap12/"


class Answer(NamedTuple):
    """A response of the SOAP face."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


def canonical(document: bytes) -> str:
    """The document without what means nothing: white space, prefixes, the order of attributes."""
    return canonicalize(
        document.decode(),
        strip_text=True,
        rewrite_prefixes=True,
        qname_aware_attrs=["type", "element", "message", "binding"],
    )


def test_the_service_describes_itself_as_the_contract_does():
    generated = description.generate("http://localhost:8000/sendsms/soap/")
    assert canonical(generated) == canonical(wsdl.PATH.read_bytes())


def test_the_contract_of_sendsms_has_not_changed_by_a_byte():
    first, now = (path.read_bytes().splitlines(keepends=True) for path in (FIRST, wsdl.PATH))
    changes = difflib.SequenceMatcher(None, first, now, autojunk=False).get_opcodes()
    # Operations were added beside it; nothing was taken away or written anew.
    assert {kind for kind, *_ in changes} == {"equal", "insert"}


def test_without_what_was_added_it_is_the_first_contract():
    root = etree.parse(wsdl.PATH).getroot()
    first = etree.parse(FIRST).getroot()
    known = {(each.tag, each.get("name")) for each in first.iter()}
    for each in list(root.iter("{*}operation", "{*}message", "{*}element", "{*}complexType")):
        new = each.get("name") and (each.tag, each.get("name")) not in known
        if new and (parent := each.getparent()) is not None:
            parent.remove(each)
    assert canonical(etree.tostring(root)) == canonical(FIRST.read_bytes())


def test_the_address_is_all_that_differs_in_what_is_published():
    published = wsdl.document('https://sms.example.com/a?b=1&c="2"')
    located = re.findall(rb'location="([^"]*)"', published)
    assert located == [b"https://sms.example.com/a?b=1&amp;c=&quot;2&quot;"] * 2
    original = wsdl.PATH.read_bytes()
    assert published.replace(located[0], b"http://localhost:8000/sendsms/soap/") == original


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    """The schemas of WSDL 1.1 and of its two SOAP bindings.

    xmlschema ships the first two as published by their authors. The binding for SOAP 1.2 is defined
    by what it changes in that for 1.1: the namespace, and soapActionRequired (W3C Member Submission
    "WSDL 1.1 Binding Extension for SOAP 1.2", §2); so is its schema here.
    """
    directory = tmp_path_factory.mktemp("schemas")
    (directory / "wsdl.xsd").write_bytes((SCHEMAS / "wsdl.xsd").read_bytes())
    soap = (SCHEMAS / "wsdl-soap.xsd").read_text()
    (directory / "soap.xsd").write_text(located(soap))
    operation = '<xs:attribute name="soapAction" type="xs:anyURI" use="optional" />'
    assert soap.count(operation) == 1
    required = operation.replace("soapAction", "soapActionRequired").replace("anyURI", "boolean")
    soap12 = soap.replace(SOAP, SOAP12).replace(operation, operation + required)
    (directory / "soap12.xsd").write_text(located(soap12))
    both = "".join(
        f'<xs:import namespace="{namespace}" schemaLocation="{name}.xsd"/>'
        for namespace, name in (
            ("http://schemas.xmlsoap.org/wsdl/", "wsdl"),
            (SOAP, "soap"),
            (SOAP12, "soap12"),
        )
    )
    (directory / "all.xsd").write_text(
        f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{both}</xs:schema>'
    )
    return etree.XMLSchema(etree.parse(directory / "all.xsd"))


def located(schema: str) -> str:
    imported = '<xs:import namespace = "http://schemas.xmlsoap.org/wsdl/" />'
    assert imported in schema
    return schema.replace(imported, imported.replace("/>", 'schemaLocation="wsdl.xsd"/>'))


def test_r2028_r2029_the_contract_is_valid_wsdl_with_valid_soap_bindings(schema):
    schema.assertValid(etree.parse(wsdl.PATH))


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("wsdl:portType name", "wsdl:portType nom"),
        ('<soap:binding style="document"', '<soap:binding style="documents"'),
        ('<soap12:binding style="document"', '<soap12:binding style="documents"'),
        ('soapActionRequired="false"', 'soapActionRequired="maybe"'),
        ('<soap12:body use="literal"/>', '<soap12:body use="figurative"/>'),
    ],
)
def test_the_schemas_see_what_is_not_valid(schema, good, bad):
    text = wsdl.PATH.read_text()
    assert good in text
    assert not schema.validate(etree.fromstring(text.replace(good, bad).encode()))


def test_the_types_of_the_contract_are_valid_xml_schema():
    (types,) = etree.parse(wsdl.PATH).getroot().iter("{http://www.w3.org/2001/XMLSchema}schema")
    # By itself, with the namespaces that are in scope.
    etree.XMLSchema(etree.fromstring(etree.tostring(types)))


async def asked(path: str, query: bytes = b"", method: str = "GET", **headers: str) -> Answer:
    """The answer of the SOAP face; whatever host a client claims to have reached."""

    async def receive() -> Message:
        raise AssertionError("nothing has to be read for it")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    given = {"host": "evil.example", **{name.replace("_", "-"): v for name, v in headers.items()}}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    await SoapApp(RecordingBackend(), "https://sms.example.com/")(scope, receive, send)
    return Answer(sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"])


ADDRESS = "https://sms.example.com/sendsms/soap/"


@pytest.mark.parametrize(
    ("path", "query", "soap12"),
    [
        (WSDL, b"", True),
        (WSDL.lower(), b"", True),
        (ENDPOINT, b"wsdl", True),
        (ENDPOINT[:-1], b"WSDL", True),
        (ENDPOINT, b"x=1&wsdl=", True),
        (ENDPOINT, b"singleWsdl", True),
        (ENDPOINT, b"wsdl&soap=1.2", True),
        (WSDL11, b"", False),
        (WSDL11.lower(), b"", False),
        (ENDPOINT, b"wsdl&soap=1.1", False),
        (ENDPOINT, b"SOAP=1.1&singleWSDL", False),
        (WSDL, b"soap=1.1", False),
    ],
)
async def test_the_wsdl_is_served_by_get_and_head_wherever_it_is_asked_for(path, query, soap12):
    expected = wsdl.document(ADDRESS, soap12=soap12)
    for method, body in (("GET", expected), ("HEAD", b"")):
        answer = await asked(path, query, method)
        assert answer.status == 200
        assert answer.headers[b"content-type"] == b"text/xml; charset=utf-8"
        assert answer.headers[b"content-length"] == str(len(expected)).encode()
        assert b"content-encoding" not in answer.headers
        assert answer.body == body


async def test_the_wsdl_comes_packed_to_whoever_takes_gzip():
    expected = wsdl.document(ADDRESS)
    for accepted in ("gzip", "br, GZIP;q=0.5", "deflate, x-gzip"):
        answer = await asked(WSDL, accept_encoding=accepted)
        assert answer.headers[b"content-encoding"] == b"gzip"
        assert answer.headers[b"content-length"] == str(len(answer.body)).encode()
        assert gzip.decompress(answer.body) == expected
    for refused in ("", "identity", "gzip;q=0", "gzip; q=0.000", "br"):
        answer = await asked(WSDL, accept_encoding=refused)
        assert answer.body == expected
        assert answer.headers[b"vary"] == b"accept-encoding"


async def test_a_wsdl_that_a_client_has_is_not_sent_again():
    first = await asked(WSDL)
    tag = first.headers[b"etag"].decode()
    packed = (await asked(WSDL, accept_encoding="gzip")).headers[b"etag"].decode()
    other = (await asked(WSDL11)).headers[b"etag"].decode()
    assert len({tag, packed, other}) == 3
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = await asked(WSDL, if_none_match=known)
        assert (again.status, again.body) == (304, b"")
        assert again.headers[b"etag"].decode() == tag
        assert b"content-length" not in again.headers
    for unknown in (other, packed, '"x"', tag.strip('"')):
        assert (await asked(WSDL, if_none_match=unknown)).status == 200


@pytest.mark.parametrize(
    ("path", "allowed"),
    [(ENDPOINT, b"OPTIONS, POST"), (WSDL, b"GET, HEAD, OPTIONS, POST")],
)
async def test_options_tells_the_methods(path, allowed):
    answer = await asked(path, method="OPTIONS")
    assert (answer.status, answer.headers, answer.body) == (204, {b"allow": allowed}, b"")
    assert (await asked(path, method="PUT")).headers[b"allow"] == allowed


def test_the_live_wsdl_is_valid(schema, tmp_path):
    with soap_face(tmp_path) as face, urlopen(f"{face.endpoint}?wsdl") as response:
        live = etree.parse(response)
    schema.assertValid(live)


def test_with_soap_1_1_alone_it_is_the_contract_without_what_soap_1_2_added(schema):
    root = etree.fromstring(wsdl.document("http://localhost:8000/sendsms/soap/", soap12=False))
    schema.assertValid(root)
    assert SOAP12 not in {space for each in root.iter() for space in each.nsmap.values()}
    whole = etree.parse(wsdl.PATH).getroot()
    for each in list(whole.iter("{*}binding", "{*}port")):
        if str(each.get("name")).endswith("12") and (parent := each.getparent()) is not None:
            parent.remove(each)
    (service,) = whole.iter("{*}service")
    service[0].text = "SOAP 1.1."
    etree.cleanup_namespaces(whole, keep_ns_prefixes=["tns", "xsd"])
    assert canonical(etree.tostring(root)) == canonical(etree.tostring(whole))
