"""Parses an XML document into a tree, within limits and without a DTD.

The parser is expat, not lxml. lxml keeps every name of an element or attribute for the life of the
process, so that hostile requests would use up memory for good. And expat can be stopped as soon as
a limit is exceeded.

It parses twice, first without namespaces. With namespaces expat expands the prefix of each name
before it calls us: 256 KB would become gigabytes.
"""

from typing import Final
from xml.parsers import expat

from . import faults
from .faults import SoapFault

#: A sendSms envelope has about seven elements; one signed and addressed, about a hundred.
MAX_ELEMENTS: Final = 2000
#: The most attributes of one element, and of all together.
MAX_ATTRIBUTES: Final = 64
MAX_ATTRIBUTES_IN_ALL: Final = 2000
MAX_DEPTH: Final = 64
#: The longest name of a namespace, in characters. The names of WS-Security have 82.
MAX_NAMESPACE: Final = 256


class Element:
    """An element; names are in Clark notation, "{namespace}local" or "local"."""

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        #: Its name, "{namespace}local".
        self.name = name
        #: By "namespace}local" or "local", the names of expat. Do not change this.
        self.attributes = attributes
        self.children: list[Element] = []
        #: All text directly in the element, without comments and processing instructions.
        self.text = ""

    @property
    def local_name(self) -> str:
        return self.name.rpartition("}")[2]

    @property
    def namespace(self) -> str:
        return self.name[1:].rpartition("}")[0]

    def attribute(self, local_name: str, namespace: str = "") -> str:
        """The value of an attribute; empty when it is missing."""
        return self.attributes.get(f"{namespace}}}{local_name}" if namespace else local_name, "")


def parse(xml: bytes) -> Element:
    """The root of a document in UTF-8. The declaration is ignored. Raises SoapFault."""
    _check(xml)
    # "}" separates as in Clark notation. expat refuses a namespace that contains it.
    parser = expat.ParserCreate("utf-8", "}")
    parser.buffer_text = True
    document = Element("", {})
    open_elements = [document]
    # The text of each open element, in the pieces that expat gives.
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
    """Raise SoapFault for a document that exceeds a limit or has a DTD."""
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
