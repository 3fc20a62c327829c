"""The live WSDL is read by code generators of many languages, and none complains of it."""

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import npm, stack_table
from support.needs import lacking
from support.soap_face import Face, soap_face
from support.stacks import STACKS, Stack

# Its outcome does not hang on the version of Python.
pytestmark = pytest.mark.once

STACK = {stack.name: stack for stack in stack_table.ALL}

#: The stack that has the generator; its commands; what it says of any SOAP 1.2 binding; the query
#: that asks for the WSDL.
GENERATORS = [
    ("c++-gsoap", (stack_table.WSDL2H, stack_table.SOAPCPP2), "", "wsdl"),
    ("dotnet-web-services", (stack_table.DOTNET_WSDL,), "", "singleWsdl"),
    ("java-axis", (stack_table.WSDL2JAVA,), "", "wsdl"),
    # SOAP 1.2 is not in the standard of JAX-WS 2.3, which -extension says that one knows.
    (
        "java-jax-ws",
        (stack_table.WSIMPORT,),
        r'\[WARNING\] SOAP port "sendSmsNowPort12": uses a non-standard SOAP 1\.2 binding\.',
        "wsdl",
    ),
    ("java-jax-ws", (stack_table.WSIMPORT,), "", "wsdl&soap=1.1"),
    ("perl-soap-wsdl", (stack_table.WSDL2PERL,), "", "wsdl"),
    ("qt-kdsoap", (stack_table.KDWSDL2CPP,), "", "wsdl"),
]

#: Programs that read a WSDL when they are run, and make their client of it then.
READERS = {
    "node-soap": (
        "node",
        "require('soap').createClient(process.env.WSDL, (e, c) => {"
        "if (e) throw e; console.log(Object.keys(c.describe().sendSmsNow.sendSmsNowPort).join())})",
    ),
    "node-strong-soap": (
        "node",
        "require('strong-soap').soap.createClient(process.env.WSDL, {}, (e, c) => {"
        "if (e) throw e; console.log(Object.keys(c.describe().sendSmsNow.sendSmsNowPort).join())})",
    ),
    "python-suds": (
        "python",
        "import os, suds.client; c = suds.client.Client(os.environ['WSDL'], cache=None);"
        "print(','.join(c.wsdl.services[0].ports[0].methods))",
    ),
    "python-zeep": (
        "python",
        "import os, zeep; c = zeep.Client(os.environ['WSDL'], settings=zeep.Settings(strict=True));"
        "print(','.join(c.wsdl.bindings['{urn:sendSmsNow}sendSmsNowBinding']._operations))",
    ),
}
OPERATIONS = {"sendSms", "resendSms", "getSms", "getStatus"}

COMPLAINT = re.compile(r"warn|error|ignor|unsupported|unknown|cannot|deprecat|fail", re.I)


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with soap_face(tmp_path_factory.mktemp("soap")) as running:
        yield running


def need(stack: Stack) -> None:
    if missing := stack.missing():
        lacking(f"{stack.title} is not installed: there is no {missing}")


def complaints(output: str, expected: str = "") -> list[str]:
    if expected:
        output, found = re.subn(expected, "", output)
        assert found == 1
    return [line for line in output.splitlines() if COMPLAINT.search(line)]


@pytest.mark.parametrize(
    ("name", "commands", "expected", "query"),
    GENERATORS,
    ids=[f"{name}-{query}" for name, _, _, query in GENERATORS],
)
def test_a_code_generator_makes_a_client_without_a_warning(
    face: Face,
    tmp_path: Path,
    name: str,
    commands: tuple[tuple[str, ...], ...],
    expected: str,
    query: str,
) -> None:
    need(STACK[name])
    said = ""
    for command in commands:
        words = [word.format(wsdl=f"{face.endpoint}?{query}") for word in command]
        done = subprocess.run(
            words,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        said += done.stdout
    # gSOAP's licence speaks of a warranty, which is none.
    assert complaints(said.replace("warranty", ""), expected) == []
    made = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    for operation in OPERATIONS:
        assert operation in made


@pytest.mark.parametrize("name", READERS)
def test_a_stack_reads_the_wsdl_without_a_warning(face: Face, name: str) -> None:
    need(STACK[name])
    program, code = READERS[name]
    words = [npm.node(), "-e", code] if program == "node" else [sys.executable, "-c", code]
    done = subprocess.run(
        words,
        env={
            **os.environ,
            "WSDL": f"{face.endpoint}?wsdl",
            "NODE_PATH": str(npm.installed(STACKS)),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert complaints(done.stderr) == []
    assert set(done.stdout.strip().split(",")) == OPERATIONS


def test_a_wsdl_that_is_wrong_is_complained_of(face: Face, tmp_path: Path) -> None:
    need(STACK["c++-gsoap"])
    with urllib.request.urlopen(f"{face.endpoint}?wsdl") as response:
        wrong = response.read().replace(b'type="tns:SendSmsResult"', b'type="tns:Nothing"')
    (tmp_path / "wrong.wsdl").write_bytes(wrong)
    words = [word.format(wsdl="wrong.wsdl") for word in stack_table.WSDL2H]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode or complaints(done.stdout + done.stderr)
