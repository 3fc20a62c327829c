"""Generates the WSDL of the service, with which tests compare the contract.

`python -m soap_server.description` prints it. Copy from there the WSDL of a new operation.
"""

import copy
import sys
from typing import Any

from lxml import etree
from spyne.interface.wsdl import Wsdl11

from . import types
from .service import NAME
from .transport import Server
from .types import NAMESPACE

_WSDL = "http://schemas.xmlsoap.org/wsdl/"
_SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"
_SOAP12 = "http://schemas.xmlsoap.org/wsdl/soap12/"
_XSD = "http://www.w3.org/2001/XMLSchema"
_NS = {"wsdl": _WSDL, "soap": _SOAP, "xsd": _XSD}

_ORDER = ("documentation", "types", "message", "portType", "binding", "service")


def generate(address: str) -> bytes:
    """The service's WSDL for a server at `address`, equal in meaning to the contract."""
    interface = Server().app.interface
    described = Wsdl11(interface)
    described.event_manager.add_listener("wsdl_document_built", _fit)
    described.build_interface_document(address)
    document: bytes = described.get_interface_document()
    return document


def _fit(described: Any) -> None:
    """Change spyne's document into a form that every SOAP stack can use."""
    root = described.root_elt
    _document(root, "wsdl:service", "SOAP 1.1 and SOAP 1.2 at one address.")
    root.insert(0, _documentation("Send SMS messages."))
    _make_wrappers_anonymous(root)
    _name_messages(root)
    _name_bindings(root)
    _add_soap12(root)
    # KDSoap wants the service last.
    root[:] = sorted(root, key=lambda part: _ORDER.index(etree.QName(part).localname))
    etree.cleanup_namespaces(root, keep_ns_prefixes=["tns"])


def _documentation(text: str) -> Any:
    element = etree.Element(f"{{{_WSDL}}}documentation")
    element.text = text
    return element


def _document(root: Any, path: str, text: str) -> None:
    root.find(path, _NS).insert(0, _documentation(text))


def _make_wrappers_anonymous(root: Any) -> None:
    """SOAP::Lite loses every argument of an element that has a named type."""
    schema = root.find("wsdl:types/xsd:schema", _NS)
    complex_types = {each.get("name"): each for each in schema.findall("xsd:complexType", _NS)}
    for element in schema.findall("xsd:element", _NS):
        if not root.xpath("//wsdl:part[@element=$name]", namespaces=_NS, name=_tns(element)):
            schema.remove(element)  # spyne adds an element for each type; no message uses it
            continue
        wrapper = complex_types[element.get("name")]
        del element.attrib["type"], wrapper.attrib["name"]
        element.append(wrapper)
    # spyne writes the types in the random order of a set.
    operations = [each.get("name") for each in root.iterfind("wsdl:portType/wsdl:operation", _NS)]
    order = [*vars(types), *(name + end for name in operations for end in ("", "Response"))]
    schema[:] = sorted(schema, key=lambda each: order.index(each.get("name")))


def _tns(element: Any) -> str:
    return "tns:" + str(element.get("name"))


def _name_messages(root: Any) -> None:
    """Name messages as requests, and parts `parameters`: NuSOAP finds a part by no other name."""
    for operation in root.iterfind("wsdl:portType/wsdl:operation", _NS):
        # Axis stumbles over parameterOrder.
        del operation.attrib["parameterOrder"]
        request = operation.get("name") + "Request"
        message = root.find(f"wsdl:message[@name='{operation.get('name')}']", _NS)
        message.set("name", request)
        operation.find("wsdl:input", _NS).set("message", "tns:" + request)
    for part in root.iterfind("wsdl:message/wsdl:part", _NS):
        part.set("name", "parameters")
    for end in root.xpath("//wsdl:input | //wsdl:output", namespaces=_NS):
        del end.attrib["name"]


def _name_bindings(root: Any) -> None:
    root.find("wsdl:binding", _NS).set("name", NAME + "Binding")
    port = root.find("wsdl:service/wsdl:port", _NS)
    port.set("name", NAME + "Port")
    port.set("binding", f"tns:{NAME}Binding")
    for operation in root.iterfind("wsdl:binding/wsdl:operation/soap:operation", _NS):
        name = operation.getparent().get("name")
        operation.set("soapAction", f"{NAMESPACE}#{name}")


def _add_soap12(root: Any) -> None:
    """Add the binding and port of SOAP 1.2: copies of those of 1.1 in the other namespace."""
    for path in ("wsdl:binding", "wsdl:service/wsdl:port"):
        original = root.find(path, _NS)
        twin = copy.deepcopy(original)
        twin.set("name", original.get("name") + "12")
        if binding := original.get("binding"):
            twin.set("binding", binding + "12")
        for element in list(twin.iter(f"{{{_SOAP}}}*")):
            _in_soap12(element)
        original.addnext(twin)


def _in_soap12(element: Any) -> None:
    local_name = etree.QName(element).localname
    twin = etree.SubElement(element.getparent(), f"{{{_SOAP12}}}{local_name}", element.attrib)
    element.getparent().replace(element, twin)
    if local_name == "operation":
        twin.set("soapActionRequired", "false")


if __name__ == "__main__":
    root = etree.fromstring(generate("http://localhost:8000/sendsms/soap/"))
    etree.indent(root)
    sys.stdout.buffer.write(etree.tostring(root, xml_declaration=True, encoding="UTF-8") + b"\n")
