"""Writes `_generated.py`: the service of the WSDL as typed Python.

`python -m soap_client.generate` after a change of the WSDL.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import zeep
from zeep.xsd import Element

import wsdl

PATH = Path(__file__).with_name("_generated.py")

_PYTHON = {"string": "str", "int": "int"}
#: What zeep gives for an element that is there and empty is None.
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

_RESULT = """\


@dataclass(frozen=True, slots=True, kw_only=True)
class {type}:
{fields}


def _{function}_result(answer: Any) -> {type}:
    if answer is None:
        raise ValueError("the answer lacks its result")
    return {type}(
{reads}
    )
"""

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
        return _{function}_result(answer)
'''


def generate() -> str:
    """The source of `_generated.py` as it follows from the WSDL."""
    definition = zeep.Client(str(wsdl.PATH)).wsdl  # type: ignore[no-untyped-call]
    ((service_name, service),) = definition.services.items()
    # The first port is that of SOAP 1.1, which every server and proxy in between knows best.
    port = next(iter(service.ports.values()))
    operations = [_described(each) for each in port.binding._operations.values()]
    documentation = _documentation()
    parts = [_HEAD.format(name=service_name, port=port.name, binding=port.binding.name)]
    parts += [_RESULT.format(**each) for each in operations]
    for prefix, define, call in (("", "def", ""), ("Async", "async def", "await ")):
        parts.append(_CLASS.format(prefix=prefix))
        parts += [
            _METHOD.format(
                define=define, call=call, documentation=documentation[each["operation"]], **each
            )
            for each in operations
        ]
    return "".join(parts)


def _described(operation: Any) -> dict[str, str]:
    """The words that the templates need of an operation."""
    parameters = list(_members(operation.input.body.type.elements))
    ((_, result),) = operation.output.body.type.elements
    members = list(_members(result.type.elements))
    return {
        "operation": operation.name,
        "function": re.sub("(?<=[a-z])(?=[A-Z])", "_", operation.name).lower(),
        "parameters": ", ".join(f"{name}: {kind}" for name, kind in parameters),
        "arguments": "\n".join(f"            {name}={name}," for name, _ in parameters),
        "type": result.type.name,
        "fields": "\n".join(f"    {name}: {kind}" for name, kind in members),
        "reads": "\n".join(
            f"        {name}={_READ[kind].format('answer.' + name)}," for name, kind in members
        ),
    }


def _members(elements: Iterable[tuple[str, Element]]) -> Iterable[tuple[str, str]]:
    for name, element in elements:
        yield name, _PYTHON[element.type.name]


def _documentation() -> dict[str, str]:
    """What the WSDL says of each operation; zeep leaves it out."""
    found = re.findall(
        r'<wsdl:operation name="(\w+)">\s*<wsdl:documentation>([^<]*)</wsdl:documentation>',
        wsdl.PATH.read_text(encoding="utf-8"),
    )
    return dict(found)


if __name__ == "__main__":
    PATH.write_text(generate(), encoding="utf-8")
