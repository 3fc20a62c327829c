"""What the WS-I Basic Profile asserts of messages, one function for each number: see `wsi`."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from lxml import etree

from soap_server.versions import SOAP11, SOAP12

from .wsi import ENCODINGS, Assertion, Check, entering, local, rewriting

#: What is asked of every answer, and of faults of SOAP 1.1; the breaches are of a Message.
ENVELOPE: list[Assertion] = []
FAULT: list[Assertion] = []

XMLNS_XML = re.compile(rb"xmlns:xml\s*=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An answer as it went over the wire."""

    status: int
    content_type: str
    body: bytes

    @property
    def root(self) -> Any:
        return etree.fromstring(self.body)

    @property
    def namespace(self) -> str:
        return str(etree.QName(self.root).namespace)

    @property
    def soap_body(self) -> Any:
        return self.root.find(f"{{{self.namespace}}}Body")

    @property
    def fault(self) -> Any:
        return self.soap_body.find(f"{{{self.namespace}}}Fault")


def asserts(table: list[Assertion], number: str, old: str, new: str) -> Callable[[Check], Check]:
    """Enters a check of the envelope."""
    rewrite = rewriting(number, old, new)

    def breach(message: Message) -> Message:
        return replace(message, body=rewrite(message.body.decode()).encode())

    return entering(table, number, breach)


def transported(number: str, **changes: Any) -> Callable[[Check], Check]:
    """Enters a check of what HTTP says."""
    return entering(ENVELOPE, number, lambda message: replace(message, **changes))


@asserts(ENVELOPE, "R9980", "<soap:Body>", "<soap:Bodice/><soap:Body>")
def structure(message: Message) -> Iterator[str]:
    """An ENVELOPE is what SOAP says: Envelope, perhaps a Header, one Body."""
    names = [each.tag.replace(f"{{{message.namespace}}}", "") for each in message.root]
    if names not in (["Body"], ["Header", "Body"]) or local(message.root) != "Envelope":
        yield str(names)


@asserts(ENVELOPE, "R9981", "</soap:Body>", "<x:y xmlns:x='urn:x'/></soap:Body>")
def one_child(message: Message) -> Iterator[str]:
    """The Body has at most one child."""
    if len(message.soap_body) > 1:
        yield str(len(message.soap_body))


@asserts(ENVELOPE, "R1014", "</soap:Body>", "<bare/></soap:Body>")
def qualified(message: Message) -> Iterator[str]:
    """The children of the Body are in a namespace."""
    yield from (each.tag for each in message.soap_body if not etree.QName(each).namespace)


@asserts(ENVELOPE, "R1005", "<soap:Body>", '<soap:Body soap:encodingStyle="urn:x">')
def no_encoding_style(message: Message) -> Iterator[str]:
    """No element of SOAP's namespace has encodingStyle."""
    name = f"{{{message.namespace}}}encodingStyle"
    for each in message.root.iter(f"{{{message.namespace}}}*"):
        if each.get(name) is not None:
            yield local(each)


@asserts(ENVELOPE, "R1006", r"(<soap:Body><[\w:]+)", r'\1 soap:encodingStyle="urn:x"')
def no_encoding_style_below(message: Message) -> Iterator[str]:
    """No child of the Body has encodingStyle."""
    name = f"{{{message.namespace}}}encodingStyle"
    yield from (local(each) for each in message.soap_body if each.get(name) is not None)


@asserts(ENVELOPE, "R1008", "<soap:Envelope", "<!DOCTYPE a [<!ENTITY b 'c'>]><soap:Envelope")
def no_dtd(message: Message) -> Iterator[str]:
    """There is no document type declaration."""
    if message.root.getroottree().docinfo.doctype or b"<!DOCTYPE" in message.body:
        yield "DOCTYPE"


@asserts(ENVELOPE, "R1009", "<soap:Body>", "<soap:Body><?say hello?>")
def no_instructions(message: Message) -> Iterator[str]:
    """There are no processing instructions."""
    yield from map(str, message.root.iter(etree.ProcessingInstruction))


@asserts(ENVELOPE, "R1011", "</soap:Envelope>", "<x:y xmlns:x='urn:x'/></soap:Envelope>")
def nothing_after_body(message: Message) -> Iterator[str]:
    """Nothing follows the Body."""
    yield from (each.tag for each in message.soap_body.itersiblings())


@asserts(ENVELOPE, "R1012", 'encoding="utf-8"', 'encoding="iso-8859-1"')
def encoding(message: Message) -> Iterator[str]:
    """An ENVELOPE is in UTF-8 or UTF-16."""
    found = message.root.getroottree().docinfo.encoding or "utf-8"
    if found.lower() not in ("utf-8", "utf-16"):
        yield found


@asserts(
    ENVELOPE,
    "R1013",
    "<soap:Body>",
    "<soap:Header><a:b xmlns:a='urn:a' soap:mustUnderstand='yes'/></soap:Header><soap:Body>",
)
def must_understand(message: Message) -> Iterator[str]:
    """mustUnderstand is "0" or "1" only."""
    name = f"{{{message.namespace}}}mustUnderstand"
    yield from (
        each.get(name) for each in message.root.iter() if each.get(name) not in (None, "0", "1")
    )


@asserts(ENVELOPE, "R1032", "<soap:Body>", '<soap:Body soap:actor="urn:x">')
def no_soap_attributes(message: Message) -> Iterator[str]:
    """Envelope, Header and Body have no attributes of SOAP's namespace."""
    for each in (message.root, *message.root):
        if etree.QName(each).namespace == message.namespace:
            yield from (name for name in each.attrib if name.startswith(f"{{{message.namespace}}}"))


@asserts(
    ENVELOPE, "R1033", "<soap:Body>", '<soap:Body xmlns:xml="http://www.w3.org/XML/1998/namespace">'
)
def no_xml_prefix(message: Message) -> Iterator[str]:
    """The prefix xml is not declared."""
    if XMLNS_XML.search(message.body):
        yield "xmlns:xml"


@asserts(ENVELOPE, "R2113", "<soap:Body>", f'<soap:Body xmlns:e="{ENCODINGS[0]}" e:arrayType="x">')
def no_array_type(message: Message) -> Iterator[str]:
    """There is no soapenc:arrayType."""
    for each in message.root.iter():
        yield from (name for name in each.attrib if name.endswith("}arrayType"))


@transported("R1018", content_type="text/xml; charset=latin1")
def charset(message: Message) -> Iterator[str]:
    """The charset of the Content-Type is that of the ENVELOPE."""
    if not message.content_type.endswith("; charset=utf-8"):
        yield message.content_type
    message.body.decode("utf-8")


@transported("R1019", content_type="text/plain; charset=utf-8")
def media_type(message: Message) -> Iterator[str]:
    """The media type is text/xml; that of SOAP 1.2 is application/soap+xml."""
    known = {SOAP11.namespace: "text/xml", SOAP12.namespace: "application/soap+xml"}
    if message.content_type.partition(";")[0] != known.get(message.namespace):
        yield message.content_type


@transported("R1124", status=400)
def success_is_2xx(message: Message) -> Iterator[str]:
    """A response that is no Fault goes with 2xx."""
    if message.fault is None and message.status // 100 != 2:
        yield str(message.status)


@transported("R1111", status=202)
def success_is_200(message: Message) -> Iterator[str]:
    """A response that is no Fault goes with 200."""
    if message.fault is None and message.status != 200:
        yield str(message.status)


@transported("R1126", status=400)
def fault_is_500(message: Message) -> Iterator[str]:
    """A response that is a Fault goes with 500."""
    if message.fault is not None and message.status != 500:
        yield str(message.status)


# Faults of SOAP 1.1; those of 1.2 have a schema of their own.


@asserts(FAULT, "R1000", "</soap:Fault>", "<more/></soap:Fault>")
def fault_members(message: Message) -> Iterator[str]:
    """A Fault has no children but faultcode, faultstring, faultactor and detail."""
    known = ("faultcode", "faultstring", "faultactor", "detail")
    yield from (each.tag for each in message.fault if local(each) not in known)


@asserts(FAULT, "R1001", "<faultcode>(.*?)</faultcode>", r"<soap:faultcode>\1</soap:faultcode>")
def fault_members_unqualified(message: Message) -> Iterator[str]:
    """The children of a Fault are in no namespace."""
    yield from (each.tag for each in message.fault if etree.QName(each).namespace)


@asserts(FAULT, "R1004", "<faultcode>soap:", "<faultcode>")
def fault_code(message: Message) -> Iterator[str]:
    """A faultcode is one of SOAP 1.1, or qualified by another namespace."""
    code = message.fault.findtext("faultcode") or ""
    prefix, _, name = code.rpartition(":")
    if message.fault.nsmap.get(prefix) != SOAP11.namespace or name not in SOAP11.codes:
        yield code


@asserts(FAULT, "R1031", "<faultcode>([^<]*)", r"<faultcode>\1.Key")
def no_dots(message: Message) -> Iterator[str]:
    """A faultcode has no dot to refine it."""
    if "." in (message.fault.findtext("faultcode") or ""):
        yield message.fault.findtext("faultcode")
