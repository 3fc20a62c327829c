"""Writes `_generated.py`: the service of the WSDL as typed Python.

`python -m soap_client.generate` after a change of the WSDL.
"""

import keyword
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import zeep
from zeep.xsd import ComplexType

import wsdl

PATH = Path(__file__).with_name("_generated.py")

_PYTHON = {"string": "str", "int": "int", "long": "int"}
#: zeep gives None for an element that is there and empty.
_READ = {"str": '{} or ""', "int": "_int({})"}

_HEAD = '''\
"""The service of {name}.wsdl in types.

Written by `python -m soap_client.generate`, not by hand.
"""

from dataclasses import dataclass
from typing import Any

SERVICE = "{name}"
PORT = "{port}"
BINDING = "{binding}"


def _int(value: int | None) -> int:
    if value is None:
        raise ValueError("the answer lacks a number")
    return value
'''

_TYPE = '''\


@dataclass(frozen=True, slots=True, kw_only=True)
class {type}:
    """The type `{type}` of the WSDL, field by field."""

{fields}


def _{function}(answer: Any) -> {type}:
    if answer is None:
        raise ValueError("the answer lacks its {type}")
    return {type}(
{reads}
    )
'''

_CLASS = '''\


class {prefix}Operations:
    """The operations; `service` is a zeep {prefix}ServiceProxy."""

    def __init__(self, service: Any) -> None:
        self._service = service
'''

_METHOD = '''\

    {define} {function}(self, *, {parameters}) -> {type}:
        """{documentation}"""
        answer = {call}self._service.{operation}(
{arguments}
        )
        return _{read}(answer)
'''


def generate() -> str:
    """The source of `_generated.py` as it follows from the WSDL."""
    definition = zeep.Client(str(wsdl.PATH)).wsdl  # type: ignore[no-untyped-call]
    ((service_name, service),) = definition.services.items()
    # The first port is that of SOAP 1.1, which every server and proxy in between knows best.
    port = next(iter(service.ports.values()))
    operations = list(port.binding._operations.values())
    documentation = _documentation()
    parts = [_HEAD.format(name=service_name, port=port.name, binding=port.binding.name)]
    # Each type once, after those it is made of.
    types = {each.name: each for result in map(_result, operations) for each in _types(result)}
    parts += [_TYPE.format(**_described_type(each)) for each in types.values()]
    for prefix, define, call in (("", "def", ""), ("Async", "async def", "await ")):
        parts.append(_CLASS.format(prefix=prefix))
        parts += [
            _METHOD.format(
                define=define,
                call=call,
                documentation=documentation[each.name],
                **_described_operation(each),
            )
            for each in operations
        ]
    return "".join(parts)


def _result(operation: Any) -> Any:
    """The type of what an operation returns."""
    ((_, result),) = operation.output.body.type.elements
    return result.type


def _types(outer: Any) -> Iterator[Any]:
    """A type and all that it is made of, the innermost first."""
    for _, member in outer.elements:
        if isinstance(member.type, ComplexType):
            yield from _types(member.type)
    yield outer


def _described_type(described: Any) -> dict[str, str]:
    """The words that the template needs of a type."""
    members = list(_members(described.elements))
    return {
        "type": described.name,
        "function": _snake(described.name),
        "fields": "\n".join(f"    {_safe(name)}: {kind}" for name, kind in members),
        "reads": "\n".join(f"        {_safe(name)}={_read(name, kind)}," for name, kind in members),
    }


def _described_operation(operation: Any) -> dict[str, str]:
    """The words that the template needs of an operation."""
    parameters = list(_members(operation.input.body.type.elements))
    result = _result(operation).name
    return {
        "operation": operation.name,
        "function": _snake(operation.name),
        "parameters": ", ".join(f"{name}: {kind}" for name, kind in parameters),
        "arguments": "\n".join(f"            {name}={name}," for name, _ in parameters),
        "type": result,
        "read": _snake(result),
    }


def _members(elements: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    """The members of a type, each with its Python type."""
    for name, element in elements:
        kind = _PYTHON.get(element.type.name, element.type.name)
        yield name, f"tuple[{kind}, ...]" if element.accepts_multiple else kind


def _read(name: str, kind: str) -> str:
    """The expression that reads a member of `answer`."""
    value = f"answer.{name}" if _safe(name) == name else f'answer["{name}"]'
    if kind in _READ:
        return _READ[kind].format(value)
    return f"tuple(_{_snake(kind[6:-6])}(each) for each in {value} or ())"


def _snake(name: str) -> str:
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _safe(name: str) -> str:
    """The name of a member where it may not be a word of Python's own."""
    return f"{name}_" if keyword.iskeyword(name) else name


def _documentation() -> dict[str, str]:
    """The documentation of each operation in the WSDL, which zeep leaves out."""
    found = re.findall(
        r'<wsdl:operation name="(\w+)">\s*<wsdl:documentation>([^<]*)</wsdl:documentation>',
        wsdl.PATH.read_text(encoding="utf-8"),
    )
    return dict(found)


if __name__ == "__main__":
    PATH.write_text(generate(), encoding="utf-8")
