"""Reads the call in an envelope, also in the non-standard forms of real clients."""

import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from . import faults
from .decode import single_byte
from .document import Element
from .versions import BY_NAMESPACE, Version

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_XSI_1999 = "http://www.w3.org/1999/XMLSchema-instance"
_ENCODING12 = "http://www.w3.org/2003/05/soap-encoding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The call in an envelope."""

    #: The element that names the operation; its children are the parameters.
    call: Element
    #: Elements beside the call that parameters refer to, by id (SOAP 1.1 §5.1).
    multirefs: dict[str, Element]


def version(envelope: Element) -> Version:
    """The version of SOAP, by the envelope's namespace."""
    found = BY_NAMESPACE.get(envelope.namespace)
    if found is None or envelope.local_name != "Envelope":
        raise faults.version_mismatch()
    return found


def header_blocks(envelope: Element, version: Version) -> list[Element]:
    """The children of the header; none when there is no header."""
    name = f"{{{version.namespace}}}Header"
    return [block for part in envelope.children if part.name == name for block in part.children]


def body(envelope: Element, version: Version) -> Body:
    """The one call in the envelope's body."""
    name = f"{{{version.namespace}}}Body"
    bodies = [part for part in envelope.children if part.name == name]
    if len(bodies) != 1:
        raise faults.client("The envelope has to have one Body")
    calls: list[Element] = []
    multirefs: dict[str, Element] = {}
    for child in bodies[0].children:
        if identifier := child.attribute("id") or child.attribute("id", _ENCODING12):
            multirefs[identifier] = child
        if not (identifier and calls):
            calls.append(child)
    if len(calls) != 1:
        raise faults.client("The Body has to hold one element, the operation to call")
    return Body(call=calls[0], multirefs=multirefs)


def arguments(body: Body, namespace: str, names: Sequence[str]) -> list[str]:
    """The values of the parameters `names`, in their order; empty for a missing one.

    Parameters are found by name, in `namespace` or in none. If there is none of these names, they
    are read by position, as some clients do not know the names.
    """
    found: dict[str, Element] = {}
    for child in body.call.children:
        name = child.local_name
        if name in names and child.namespace in ("", namespace):
            if name in found:
                raise faults.client("A parameter is given twice")
            found[name] = child
    if not found:
        if len(body.call.children) > len(names):
            raise faults.client("There are more parameters than the operation has")
        found = dict(zip(names, body.call.children, strict=False))
    return [_text(found[name], body.multirefs) if name in found else "" for name in names]


def _text(parameter: Element, multirefs: dict[str, Element]) -> str:
    """The text of a parameter, which may be in a referenced element or in base64."""
    if not parameter.attributes and not parameter.children:
        return parameter.text
    hops = 0
    while reference := _reference(parameter):
        hops += 1
        target = multirefs.get(reference)
        if target is None or hops > len(multirefs):
            raise faults.client("A parameter refers to nothing")
        parameter = target
    if parameter.children:
        raise faults.client("A parameter holds elements where there has to be text")
    declared = parameter.attribute("type", _XSI) or parameter.attribute("type", _XSI_1999)
    if declared.rpartition(":")[2].strip() not in ("base64Binary", "base64"):
        return parameter.text
    try:
        content = binascii.a2b_base64(parameter.text)
    except (binascii.Error, ValueError):
        raise faults.client("A parameter that claims to be base64 is not") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return single_byte(content)


def _reference(parameter: Element) -> str:
    """The id that a parameter refers to; empty when it contains its value."""
    return parameter.attribute("href").removeprefix("#") or parameter.attribute("ref", _ENCODING12)
