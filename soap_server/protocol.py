"""Reads and writes SOAP 1.1 and 1.2 for spyne, hardened.

It replaces spyne's own reading and writing. spyne's application still defines the operations and
their types, and finds and calls them.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from spyne import ComplexModel, Integer, Unicode
from spyne.protocol.soap import Soap11

from sms_gateway import moments

from . import decode, document, envelope, faults, headers, versions
from .faults import SoapFault
from .service import PORT_TYPE, Exchange
from .types import NAMESPACE

#: Characters that XML 1.0 §2.2 does not allow, such as lone surrogates.
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def escape(text: str) -> str:
    """A text, escaped for the content of an element or a quoted attribute."""
    if text.isalnum():
        return text
    return (
        NOT_XML.sub("\ufffd", text)
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
        .replace("\r", "&#13;")
    )


#: The most headers that a Fault names as not understood, and the longest such name, namespace
#: included. A request may have thousands, and a name may be as long as a request.
MOST_NOT_UNDERSTOOD, LONGEST_NAME = 16, 512
#: How long a Timestamp is valid, milliseconds; as WCF does.
_TIMESTAMP_HOLDS = 5 * 60 * 1000

Writer = Callable[[Any], str]
Reader = Callable[[str], Any]

# The lexical space of integers (XML Schema part 2 §3.3.13). Longer numbers are out of range.
_INTEGER = re.compile(r"[ \t\n\r]*[+-]?[0-9]{1,20}[ \t\n\r]*")
#: xsd:long (§3.3.16), and with it xsd:int, is below this.
_TOO_BIG = 2**63


@cache
def writer(model: Any, name: str) -> Writer:
    """A function that writes a value of a spyne type as an element `name` of the target namespace.

    The value of a ComplexModel may be any object with its members as attributes. The value of a
    type that may occur more than once is a sequence, which is written as several elements.
    """
    if model.Attributes.max_occurs > 1:
        write = writer(model.customize(max_occurs=1), name)
        return lambda values: "".join([write(value) for value in values])
    opened, closed = f"<{name}>", f"</{name}>"
    if issubclass(model, ComplexModel):
        members = [(key, writer(kind, key)) for key, kind in model._type_info.items()]
        return lambda value: (
            opened + "".join([write(getattr(value, key)) for key, write in members]) + closed
        )
    if issubclass(model, Integer):
        return lambda value: f"{opened}{value:d}{closed}"
    assert issubclass(model, Unicode), model
    return lambda value: opened + escape(value) + closed


@cache
def reader(model: Any) -> Reader:
    """A function that converts the text of a parameter to its value, or raises SoapFault.

    A missing number is 0.
    """
    if not issubclass(model, Integer):
        return str

    def read(text: str) -> int:
        if not text.strip():
            return 0
        if not _INTEGER.fullmatch(text) or not -_TOO_BIG <= int(text) < _TOO_BIG:
            raise faults.client("A parameter that has to be a number is not, or is out of range")
        return int(text)

    return read


class HardenedSoap(Soap11):  # type: ignore[misc]
    """Reads the envelopes of real clients, refuses hostile ones, and answers in their version.

    `context.udc` is the `Exchange`. `max_body`: the most bytes of an unpacked body.
    """

    def __init__(self, max_body: int) -> None:
        super().__init__()
        self._max_body = max_body

    def get_context(self, parent: object, transport: object) -> None:
        """No context of the protocol: the `Exchange` has everything about a request."""

    def create_in_document(self, context: Any, charset: str | None = None) -> None:
        """Parse the bytes of the body into a tree. Raises SoapFault."""
        exchange: Exchange = context.udc
        body = b"".join(context.in_string)
        exchange.version = versions.likely(body, exchange.content_type)
        xml = decode.xml(body, exchange.content_type, exchange.content_encoding, self._max_body)
        exchange.version = versions.likely(xml, exchange.content_type)
        context.in_document = document.parse(xml)

    def decompose_incoming_envelope(self, context: Any, message: object = None) -> None:
        """Find the headers and the operation in the tree. Raises SoapFault."""
        exchange: Exchange = context.udc
        exchange.version = envelope.version(context.in_document)
        blocks = envelope.header_blocks(context.in_document, exchange.version)
        if blocks:
            exchange.addressing = headers.addressing(blocks)
            headers.check(blocks, exchange.version)
            exchange.password = headers.password(blocks) or exchange.password
            exchange.timestamped = headers.timestamped(blocks)
        context.in_header_doc = blocks
        context.in_body_doc = envelope.body(context.in_document, exchange.version)
        context.method_request_string = context.in_body_doc.call.name
        if context.method_request_string not in self.app.interface.service_method_map:
            raise faults.client("There is no such operation")

    def generate_method_contexts(self, context: Any) -> list[Any]:
        """The contexts of the call: only this one, as each name has one operation."""
        (context.descriptor,) = self.get_call_handles(context)
        return [context]

    def deserialize(self, context: Any, message: object) -> None:
        """Convert the parameters of the call to arguments. Raises SoapFault."""
        parameters = context.descriptor.in_message._type_info
        texts = envelope.arguments(context.in_body_doc, NAMESPACE, tuple(parameters))
        context.in_object = [
            reader(kind)(text) for kind, text in zip(parameters.values(), texts, strict=True)
        ]

    def serialize(self, context: Any, message: object) -> None:
        """Write the result, or the fault, as an envelope."""
        exchange: Exchange = context.udc
        if context.out_error is not None:
            context.out_document = fault(context.out_error, exchange)
            return
        answer = context.descriptor.out_message
        written = "".join(
            [
                writer(kind, name)(value)
                for (name, kind), value in zip(
                    answer._type_info.items(), context.out_object, strict=True
                )
            ]
        )
        name = answer.get_type_name()
        context.out_document = enveloped(
            f'<{name} xmlns="{NAMESPACE}">{written}</{name}>',
            exchange,
            answered_headers(exchange, f"{NAMESPACE}:{PORT_TYPE}:{name}"),
        )

    def create_out_string(self, context: Any, charset: str | None = None) -> None:
        context.out_string = [context.out_document.encode()]


def enveloped(content: str, exchange: Exchange, header_blocks: Iterable[str]) -> str:
    """The envelope of an answer with this content of its body."""
    blocks = "".join(header_blocks)
    header = f"<soap:Header>{blocks}</soap:Header>" if blocks else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<soap:Envelope xmlns:soap="{exchange.version.namespace}">'
        f"{header}<soap:Body>{content}</soap:Body></soap:Envelope>"
    )


def answered_headers(exchange: Exchange, action: str) -> list[str]:
    """The header blocks of an answer, if the request had such headers.

    They are Action and RelatesTo (WS-Addressing 1.0 core §3.4), and a Timestamp (WS-Security 1.0
    §10), which WCF insists on.
    """
    blocks = []
    addressing = exchange.addressing
    if addressing and addressing.message_id:
        xmlns = f'xmlns:wsa="{addressing.namespace}"'
        blocks += [
            f"<wsa:Action {xmlns}>{escape(action)}</wsa:Action>",
            f"<wsa:RelatesTo {xmlns}>{escape(addressing.message_id)}</wsa:RelatesTo>",
        ]
    if exchange.timestamped:
        now = moments.now()
        blocks.append(
            f'<wsse:Security xmlns:wsse="{exchange.timestamped}"><wsu:Timestamp'
            f' xmlns:wsu="{headers.UTILITY}"><wsu:Created>{moments.iso(now)}</wsu:Created>'
            f"<wsu:Expires>{moments.iso(now + _TIMESTAMP_HOLDS)}</wsu:Expires>"
            "</wsu:Timestamp></wsse:Security>"
        )
    return blocks


def fault(error: SoapFault, exchange: Exchange) -> str:
    """The envelope of a Fault that refuses a request."""
    code, text = exchange.version.codes[error.code], escape(error.text)
    action = headers.ADDRESSING[exchange.addressing.namespace][1] if exchange.addressing else ""
    blocks = answered_headers(exchange, action)
    if exchange.version is versions.SOAP11:
        content = (
            f"<soap:Fault><faultcode>soap:{code}</faultcode>"
            f"<faultstring>{text}</faultstring></soap:Fault>"
        )
    else:
        content = (
            f"<soap:Fault><soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code>"
            f'<soap:Reason><soap:Text xml:lang="en">{text}</soap:Text></soap:Reason></soap:Fault>'
        )
        blocks += [_not_understood(name) for name in error.not_understood[:MOST_NOT_UNDERSTOOD]]
        if error.code == "VersionMismatch":
            blocks.append(_UPGRADE)
    return enveloped(content, exchange, blocks)


# URIs that every parser accepts. Some refuse a document with a namespace that is no URI.
_URI = re.compile(
    r"(?:urn:|https?://[a-z0-9.-]+(?::[0-9]{1,5})?(?=[/#]|$))[a-z0-9._~:/@!$()*+,;=-]*(?:#[a-z0-9._~-]*)?",
    re.IGNORECASE,
)


def _not_understood(name: str) -> str:
    """The block for a header that is not understood (SOAP 1.2 part 1 §5.4.8).

    Empty when its name is too long, or some parsers would refuse a document with it.
    """
    if len(name) > LONGEST_NAME:
        return ""
    namespace, _, local_name = name.removeprefix("{").rpartition("}")
    if not namespace:
        return f'<soap:NotUnderstood qname="{escape(local_name)}"/>'
    if not _URI.fullmatch(namespace):
        return ""
    return f'<soap:NotUnderstood qname="h:{escape(local_name)}" xmlns:h="{escape(namespace)}"/>'


# The supported envelopes, the preferred one first (SOAP 1.2 part 1 §5.4.7).
_UPGRADE = (
    "<soap:Upgrade>"
    f'<soap:SupportedEnvelope qname="e:Envelope" xmlns:e="{versions.SOAP12.namespace}"/>'
    f'<soap:SupportedEnvelope qname="e:Envelope" xmlns:e="{versions.SOAP11.namespace}"/>'
    "</soap:Upgrade>"
)
