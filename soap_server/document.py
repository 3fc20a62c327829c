"""An XML document as a tree, within bounds and without a DTD.

Read by expat, not by lxml: lxml keeps every name of an element or attribute it has ever seen for
the life of the process, so that each hostile request would cost memory that never comes back; and
expat lets us stop at the first thing too much.

It is read twice, the first time without namespaces. With them expat writes a namespace out for each
name that has its prefix, before it tells us of any: 256 KB would become gigabytes.
"""

from typing import Final
from xml.parsers import expat

from . import faults
from .faults import SoapFault

#: A sendSms envelope has about seven elements; one signed and addressed, about a hundred.
MAX_ELEMENTS: Final = 2000
#: Attributes of one element, and of all.
MAX_ATTRIBUTES: Final = 64
MAX_ATTRIBUTES_IN_ALL: Final = 2000
MAX_DEPTH: Final = 64
#: The longest name of a namespace, in characters. Those of WS-Security have 82.
MAX_NAMESPACE: Final = 256


class Element:
    """An element; names are in Clark notation, "{namespace}local" or "local"."""

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        #: Its name, "{namespace}local".
        self.name = name
        #: By "namespace}local", or "local": as expat has them, only to be looked into.
        self.attributes = attributes
        self.children: list[Element] = []
        #: The text directly in it, all of it; comments and instructions leave no trace.
        self.text = ""

    @property
    def local_name(self) -> str:
        return self.name.rpartition("}")[2]

    @property
    def namespace(self) -> str:
        return self.name[1:].rpartition("}")[0]

    def attribute(self, local_name: str, namespace: str = "") -> str:
        """An attribute's value; empty when it is not there."""
        return self.attributes.get(f"{namespace}}}{local_name}" if namespace else local_name, "")


def parse(xml: bytes) -> Element:
    """The root of a document in UTF-8, whatever its declaration says. Raises SoapFault."""
    _check(xml)
    # The separator is what Clark notation has there; no namespace with it in it gets through.
    parser = expat.ParserCreate("utf-8", "}")
    parser.buffer_text = True
    document = Element("", {})
    open_elements = [document]
    # Of each open element, as expat has it: in pieces.
    texts: list[list[str]] = [[]]

    def start(name: str, attributes: dict[str, str]) -> None:
        element = Element("{" + name if "}" in name else name, attributes)
        open_elements[-1].children.append(element)
        open_elements.append(element)
        texts.append([])

    def end(name: str) -> None:
        open_elements.pop().text = "".join(texts.pop())

    def text(data: str) -> None:
        texts[-1].append(data)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    _read(parser, xml)
    return document.children[0]


def _check(xml: bytes) -> None:
    """Raises SoapFault for a document that has too much of anything, or a DTD."""
    parser = expat.ParserCreate("utf-8")
    parser.ordered_attributes = True
    elements = attributes = depth = 0

    def start(name: str, written: list[str]) -> None:
        nonlocal elements, attributes, depth
        elements += 1
        depth += 1
        count = 0
        for attribute, value in zip(written[::2], written[1::2], strict=True):
            if attribute != "xmlns" and not attribute.startswith("xmlns:"):
                count += 1
            elif len(value) > MAX_NAMESPACE:
                raise faults.client("The name of a namespace is too long")
        attributes += count
        if (
            elements > MAX_ELEMENTS
            or count > MAX_ATTRIBUTES
            or attributes > MAX_ATTRIBUTES_IN_ALL
            or depth > MAX_DEPTH
        ):
            raise faults.client("The document has too many elements or attributes, or is too deep")

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(*declaration: object) -> None:
        raise faults.client("A document type declaration is not allowed")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = doctype
    _read(parser, xml)


def _read(parser: expat.XMLParserType, xml: bytes) -> None:
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise _ill_formed(error) from None


def _ill_formed(error: expat.ExpatError) -> SoapFault:
    return faults.client(
        f"The request is not well-formed XML (line {error.lineno}, column {error.offset + 1})"
    )
