"""What the WS-I Basic Profile asserts of a WSDL, one function for each number.

Numbers and meaning are those of Basic Profile 1.1; Basic Profile 2.0 says the same of SOAP 1.2
where it has the number, so each is asked of both bindings. An assertion is a generator of what
contradicts it. This is the part about descriptions; `wsi_messages` is that about messages.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lxml import etree

WSDL = "http://schemas.xmlsoap.org/wsdl/"
XSD = "http://www.w3.org/2001/XMLSchema"
BINDINGS = ("http://schemas.xmlsoap.org/wsdl/soap/", "http://schemas.xmlsoap.org/wsdl/soap12/")
SOAP_HTTP = "http://schemas.xmlsoap.org/soap/http"
ENCODINGS = (
    "http://schemas.xmlsoap.org/soap/encoding/",
    "http://www.w3.org/2003/05/soap-encoding",
)
NS = {"wsdl": WSDL, "xsd": XSD, "s11": BINDINGS[0], "s12": BINDINGS[1]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """One requirement: its number, its sentence, what it looks at, and a change that breaks it."""

    number: str
    sentence: str
    check: Callable[[Any], Iterator[str]]
    breach: Callable[[Any], Any]


#: What is asked of a WSDL; the breaches are of its text, what is checked is its root.
DESCRIPTION: list[Assertion] = []

Check = Callable[[Any], Iterator[str]]


def entering(
    table: list[Assertion], number: str, breach: Callable[[Any], Any]
) -> Callable[[Check], Check]:
    """A decorator that enters a check into a table; its docstring is the sentence."""

    def enter(check: Check) -> Check:
        assert check.__doc__
        entry = Assertion(number=number, sentence=check.__doc__, check=check, breach=breach)
        table.append(entry)
        return check

    return enter


def rewriting(number: str, old: str, new: str) -> Callable[[str], str]:
    """A breach of a text: the first `old`, a regular expression, becomes `new`."""

    def breach(text: str) -> str:
        broken = re.sub(old, new, text, count=1, flags=re.S)
        assert broken != text, f"{number}: the breach changes nothing"
        return broken

    return breach


def described(number: str, old: str, new: str) -> Callable[[Check], Check]:
    """Enters a check of the description."""
    return entering(DESCRIPTION, number, rewriting(number, old, new))


def local(element: Any) -> str:
    return str(etree.QName(element).localname)


def bindings(root: Any) -> Iterator[tuple[Any, Any]]:
    """Each binding with its extension element of SOAP 1.1 or 1.2, or None."""
    for binding in root.iterfind("wsdl:binding", NS):
        found = [each for each in binding if etree.QName(each).namespace in BINDINGS]
        yield binding, found[0] if found else None


def soap_bodies(root: Any) -> Iterator[Any]:
    yield from root.xpath("//s11:body | //s12:body", namespaces=NS)


def parts(root: Any) -> Iterator[Any]:
    yield from root.iterfind("wsdl:message/wsdl:part", NS)


def global_elements(root: Any) -> set[str]:
    return {each.get("name") for each in root.iterfind("wsdl:types/xsd:schema/xsd:element", NS)}


# The description.


@described(
    "R2001",
    "<wsdl:types>",
    '<wsdl:import namespace="urn:x" location="x.xsd"/><wsdl:types>',
)
def imports(root: Any) -> Iterator[str]:
    """A DESCRIPTION imports by wsdl:import nothing but WSDL; ours imports nothing."""
    yield from (str(each.get("location")) for each in root.iterfind("wsdl:import", NS))


@described("R2023", "<wsdl:types>", '<wsdl:message name="early"/><wsdl:types>')
def types_first(root: Any) -> Iterator[str]:
    """wsdl:types comes before all elements of WSDL but documentation and import."""
    names = [local(each) for each in root if local(each) not in ("documentation", "import")]
    if names.index("types"):
        yield names[0]


@described("R2026", "<soap:binding ", '<soap:binding wsdl:required="true" ')
def required(root: Any) -> Iterator[str]:
    """No extension element has wsdl:required="true"."""
    yield from (local(each) for each in root.xpath("//*[@wsdl:required='true']", namespaces=NS))


@described("R2102", 'type="tns:SendSmsResult"', 'type="tns:Nothing"')
def references(root: Any) -> Iterator[str]:
    """Every QName refers to a component that can be resolved."""
    defined = {each.get("name") for each in root.iterfind("wsdl:types/xsd:schema/*", NS)}
    for each in root.xpath("//@type | //@element | //@base | //@ref"):
        prefix, _, name = each.rpartition(":")
        if each.getparent().nsmap.get(prefix) != XSD and not (
            name in defined or each.getparent().tag == f"{{{WSDL}}}binding"
        ):
            yield str(each)


@described("R2105", '<xsd:schema targetNamespace="urn:sendSmsNow"', "<xsd:schema")
def schema_namespace(root: Any) -> Iterator[str]:
    """Every xsd:schema in wsdl:types has a targetNamespace."""
    yield from (
        "schema"
        for each in root.iterfind("wsdl:types/xsd:schema", NS)
        if not each.get("targetNamespace")
    )


@described("R2110", "<xsd:sequence>", f'<xsd:sequence base="{ENCODINGS[0]}Array">')
def arrays(root: Any) -> Iterator[str]:
    """No declaration extends or restricts soapenc:Array."""
    for each in root.xpath("//@base | //@type"):
        prefix, _, name = each.rpartition(":")
        if (
            name == "Array"
            or name.endswith("/Array")
            or each.getparent().nsmap.get(prefix) in ENCODINGS
        ):
            yield str(each)


@described("R2111", "<xsd:sequence>", '<xsd:sequence wsdl:arrayType="xsd:int[]">')
def array_types(root: Any) -> Iterator[str]:
    """No declaration has wsdl:arrayType."""
    yield from root.xpath("//@wsdl:arrayType", namespaces=NS)


@described("R2112", 'name="messages"', 'name="ArrayOfMessages"')
def array_names(root: Any) -> Iterator[str]:
    """No element is named ArrayOf..."""
    yield from (
        each for each in root.xpath("//xsd:*/@name", namespaces=NS) if each.startswith("ArrayOf")
    )


@described("R2201", '<soap:body use="literal"/>', '<soap:body use="literal" parts="a b"/>')
def one_part(root: Any) -> Iterator[str]:
    """A document-literal soap:body lists at most one part."""
    yield from (each.get("parts") for each in soap_bodies(root) if " " in each.get("parts", ""))


@described(
    "R2204",
    '<wsdl:part name="parameters" element=',
    '<wsdl:part name="parameters" type=',
)
def elements_only(root: Any) -> Iterator[str]:
    """A document-literal binding refers only to parts that have the element attribute."""
    yield from (each.getparent().get("name") for each in parts(root) if not each.get("element"))


@described("R2206", 'element="tns:sendSms"', 'element="tns:SendSmsResult"')
def elements_are_global(root: Any) -> Iterator[str]:
    """The element attribute of a part refers to a global element declaration."""
    known = global_elements(root)
    for each in parts(root):
        if (each.get("element") or "tns:sendSms").rpartition(":")[2] not in known:
            yield str(each.get("element"))


@described(
    "R2210",
    '(<wsdl:part name="parameters")',
    r'<wsdl:part name="b" element="tns:sendSms"/>\1',
)
def abstract_parts(root: Any) -> Iterator[str]:
    """Where soap:body names no parts, the message has at most one."""
    for each in root.iterfind("wsdl:message", NS):
        if len(each.findall("wsdl:part", NS)) > 1:
            yield str(each.get("name"))


@described(
    "R2303",
    r'(<wsdl:input message="tns:sendSmsRequest"/>)\s*(<wsdl:output[^>]*>)',
    r"\2\1",
)
def transmission(root: Any) -> Iterator[str]:
    """There is no solicit-response and no notification: input comes first."""
    for each in root.iterfind("wsdl:portType/wsdl:operation", NS):
        ends = [local(end) for end in each if local(end) in ("input", "output")]
        if ends[0] != "input":
            yield str(each.get("name"))


@described("R2304", '<wsdl:operation name="getSms">', '<wsdl:operation name="sendSms">')
def unique_operations(root: Any) -> Iterator[str]:
    """The operations of a portType have different names."""
    names = root.xpath("wsdl:portType/wsdl:operation/@name", namespaces=NS)
    yield from (name for name in set(names) if names.count(name) > 1)


@described("R2306", 'element="tns:sendSms"', 'element="tns:sendSms" type="xsd:int"')
def type_or_element(root: Any) -> Iterator[str]:
    """No part has both type and element."""
    yield from (
        each.get("element") for each in parts(root) if each.get("type") and each.get("element")
    )


@described("R2401", "<soap:binding [^>]*/>", '<http:binding xmlns:http="urn:x" verb="POST"/>')
def soap_binding(root: Any) -> Iterator[str]:
    """Every binding is a SOAP binding."""
    yield from (binding.get("name") for binding, soap in bindings(root) if soap is None)


@described("R2701", ' transport="[^"]*"', "")
def transport(root: Any) -> Iterator[str]:
    """soap:binding has the attribute transport."""
    yield from (
        b.get("name")
        for b, soap in bindings(root)
        if soap is not None and not soap.get("transport")
    )


@described("R2702", 'transport="[^"]*"', 'transport="urn:smtp"')
def transport_is_http(root: Any) -> Iterator[str]:
    """The transport is SOAP over HTTP."""
    for binding, soap in bindings(root):
        if soap is not None and soap.get("transport", SOAP_HTTP) != SOAP_HTTP:
            yield str(binding.get("name"))


@described(
    "R2705",
    'use="literal"/></wsdl:input>',
    'use="literal"/></wsdl:input><x style="rpc"/>',
)
def one_style(root: Any) -> Iterator[str]:
    """All operations of a binding have one style: document."""
    yield from (each for each in root.xpath("//@style") if each != "document")


@described("R2706", 'use="literal"', 'use="encoded"')
def literal(root: Any) -> Iterator[str]:
    """Every use attribute is "literal"."""
    yield from (each for each in root.xpath("//@use") if each != "literal")


@described("R2710", '(name="getSmsRequest">.*?)tns:getSms"', r'\1tns:sendSms"')
def signatures(root: Any) -> Iterator[str]:
    """The operations of a binding differ in what comes over the wire: the body's element."""
    messages = {
        each.get("name"): each[0].get("element") for each in root.iterfind("wsdl:message", NS)
    }
    inputs = [
        messages[each.get("message").rpartition(":")[2]]
        for each in root.iterfind("wsdl:portType/wsdl:operation/wsdl:input", NS)
    ]
    yield from (each for each in set(inputs) if inputs.count(each) > 1)


@described("R2711", "(<wsdl:port name=.*?</wsdl:port>)", r"\1\1")
def addresses(root: Any) -> Iterator[str]:
    """No two ports have the same soap:address; that of SOAP 1.2 is another element."""
    for kind in ("s11", "s12"):
        found = root.xpath(f"//{kind}:address/@location", namespaces=NS)
        yield from (each for each in set(found) if found.count(each) > 1)


@described("R2716", '<soap:body use="literal"', '<soap:body namespace="urn:x" use="literal"')
def no_namespace(root: Any) -> Iterator[str]:
    """In a document-literal binding soap:body has no namespace attribute."""
    yield from (each.get("namespace") for each in soap_bodies(root) if each.get("namespace"))


@described(
    "R2718",
    '(<soap:binding .*?)<wsdl:operation name="getSms">',
    r'\1<wsdl:operation name="get">',
)
def same_operations(root: Any) -> Iterator[str]:
    """A binding has the operations of its portType."""
    expected = root.xpath("wsdl:portType/wsdl:operation/@name", namespaces=NS)
    for binding, _ in bindings(root):
        if binding.xpath("wsdl:operation/@name", namespaces=NS) != expected:
            yield str(binding.get("name"))


@described("R2801", '<xsd:element name="sent" type="xsd:int"/>', '<xsd:element nom="sent"/>')
def valid_schema(root: Any) -> Iterator[str]:
    """Schemas are XML Schema 1.0."""
    try:
        etree.XMLSchema(etree.fromstring(etree.tostring(root.find("wsdl:types/xsd:schema", NS))))
    except etree.XMLSchemaParseError as error:
        yield str(error)


@described("R4003", 'encoding="UTF-8"', 'encoding="ISO-8859-1"')
def description_encoding(root: Any) -> Iterator[str]:
    """A DESCRIPTION is in UTF-8 or UTF-16."""
    encoding = root.getroottree().docinfo.encoding
    if encoding.upper() not in ("UTF-8", "UTF-16"):
        yield encoding
