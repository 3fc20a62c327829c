"""Clients of other languages send through the whole gateway, as their users do."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from support import databases, running, stack_table, stacks, tables
from support.needs import lacking
from support.stacks import Stack

from sms_gateway.store import Store
from sms_gateway.store.tables import delivery, message

# Its outcome does not hang on the version of Python.
pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
RECIPIENTS = "0032494000000, +32494000001;32494000002 (0032) 494-00.00.03"
NUMBERS = [f"+3249400000{n}" for n in range(4)]
#: With both line ends that a text may have. From the longer one XML makes the shorter (XML 1.0
#: §2.11), unless a stack takes care to write it as a reference.
MESSAGE = '00 Grüße €, 😀, & < > "\r\nzwei\n\n  Ende'

CALLS = [(stack, way) for stack in stack_table.ALL for way in stack.ways]
IDS = [f"{stack.name}, {way}" for stack, way in CALLS]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Running]:
    folder = tmp_path_factory.mktemp("interop")
    with running.serve(folder, databases.fresh_sqlite(folder)) as started:
        yield started


@pytest.fixture(scope="module")
def store(gateway: running.Running) -> Iterator[Store]:
    opened = Store(gateway.env["SENDSMSNOW_DATABASE_URL"])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def environment(gateway: running.Running) -> dict[str, str]:
    """What a client is told."""
    return {
        "WSDL": f"{gateway.url}/sendsms/soap/?wsdl",
        "ENDPOINT": f"{gateway.url}/sendsms/soap/",
        "APIKEY": gateway.create_key("--multi", "--rate", "none"),
        "RECIPIENTS": RECIPIENTS,
        "MESSAGE": MESSAGE,
    }


@pytest.mark.parametrize(("stack", "way"), CALLS, ids=IDS)
def test_a_stack_sends_what_its_user_wrote(
    stack: Stack, way: str, environment: dict[str, str], store: Store, record_property
) -> None:
    if missing := stack.missing():
        lacking(f"{stack.title} is not installed: there is no {missing}")
    (error, sent, id), *status = stack.call(way, environment)
    assert (error, sent) == ("0", "4")
    text, numbers = stored(store, id)
    assert lines(text) == lines(MESSAGE)
    assert numbers == NUMBERS
    if "by WSDL" in way:
        assert status == [["0", ",".join(NUMBERS)]]
    record_property("interop", [stack.title, stack.version(), way, stack.ways[way], "passes"])


def stored(store: Store, id: str) -> tuple[str, list[str]]:
    """The text and the recipients of a message in the database."""
    with store.read() as connection:
        text = connection.execute(select(message.c.text).where(message.c.id == id)).scalar_one()
        recipients = connection.execute(
            select(delivery.c.recipient).where(delivery.c.message_id == id).order_by(delivery.c.id)
        )
        return text, list(recipients.scalars())


def lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


def test_each_stack_has_a_folder_with_one_client_and_a_line_on_how_to_install_it() -> None:
    assert {path.name for path in stacks.STACKS.iterdir() if path.is_dir()} == {
        stack.name for stack in stack_table.ALL
    }
    for stack in stack_table.ALL:
        readme = stack.folder / "README.md"
        assert len(readme.read_text("utf-8").splitlines()) == 1, stack.name
        assert len(list(stack.folder.iterdir())) == 2, stack.name


def test_the_checks_install_every_stack() -> None:
    script = (ROOT / ".ci/run").read_text("utf-8")
    setup = (ROOT / "setup.cfg").read_text("utf-8")
    package_json = (stacks.STACKS / "package.json").read_text("utf-8")
    for stack in stack_table.ALL:
        readme = (stack.folder / "README.md").read_text("utf-8")
        for tool, packages in re.findall(r"`(apt|pip|npm) install ([^`]+)`", readme):
            for package in packages.split():
                where = {"apt": script, "pip": setup, "npm": package_json}[tool]
                wanted = rf'[:"\s]{re.escape(package)}[\s")]'
                assert re.search(wanted, where), f"{tool} {package}"


def test_the_document_has_each_way_of_each_stack() -> None:
    heading, *found = tables.rows("interop")
    assert heading == ["Stack", "Version", "How", "SOAP", "Result"]
    assert [(stack, way, soap) for stack, _, way, soap, _ in found] == sorted(
        (stack.title, way, soap) for stack in stack_table.ALL for way, soap in stack.ways.items()
    )
    for row in found:
        assert re.match(r"\d", row[1]), row
        assert row[4] == "passes", row
