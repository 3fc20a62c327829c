"""The documents say what the program does, with every setting, code, command and dependency."""

import configparser
import dataclasses
import inspect
import re
import shlex
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from sms_gateway import settings
from sms_gateway.cli import cli
from sms_gateway.codes import Code
from sms_gateway.settings.route_table import RouteTable
from sms_gateway.sms.kinds import Kind
from sms_gateway.sms.message import State
from sms_gateway.upstream import (
    modem_options,
    parlayx_options,
    phone_options,
    relay_options,
    sandbox,
)
from sms_gateway.upstream.relay_options import RelayOptions
from sms_gateway.upstream.smpp_options import PARAMETERS, SmppOptions
from sms_gateway.web.api import OPERATIONS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
API = (ROOT / "docs/api.md").read_text("utf-8")


def test_the_page_of_the_settings_is_what_the_program_prints() -> None:
    page = (ROOT / "docs/settings.md").read_text("utf-8")
    _, mark, rest = page.partition("<!-- sendsmsnow settings --reference -->\n\n")
    assert mark
    assert rest == settings.reference()


@pytest.mark.parametrize("code", list(Code), ids=str)
def test_every_reply_code_is_documented_with_its_sentence(code: Code) -> None:
    assert re.search(rf"^\| {code:d} \| {re.escape(code.sentence)} \|", API, re.M)


def test_no_other_reply_code_is_documented() -> None:
    documented = re.findall(r"^\| ([0-9]+) \|", API, re.M)
    assert [int(number) for number in documented] == list(Code)


@pytest.mark.parametrize("path", OPERATIONS)
def test_every_path_of_the_api_is_documented(path: str) -> None:
    assert f"\n| `{path}` | " in API


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


def options(words: tuple[str, ...]) -> set[str]:
    command: click.Command = cli
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    return {
        name
        for parameter in (*command.params, *cli.params)
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--")
    } | {"--help"}


@pytest.mark.parametrize("words", list(commands(cli)), ids=" ".join)
def test_every_command_is_documented(words: tuple[str, ...]) -> None:
    assert re.search(rf"^\| `sendsmsnow {' '.join(words)}\b", API, re.M)


def shown_commands() -> Iterator[tuple[str, str]]:
    """All command lines of ours in the documents: what follows `sendsmsnow` in code."""
    for document in DOCUMENTS:
        text = document.read_text("utf-8")
        blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
        code = [line for block in blocks for line in block.splitlines()]
        code += re.findall(r"`(sendsmsnow [^`]+)`", text)
        for line in code:
            if match := re.search(r"(?:^|.*[\s/=])sendsmsnow ((?:--config \S+ )?[a-z].*)", line):
                yield document.name, match[1]


@pytest.mark.parametrize(("document", "line"), list(shown_commands()))
def test_every_command_line_shown_exists_with_its_options(document: str, line: str) -> None:
    shown = re.sub(r"[\[\]…]", " ", re.split(r" # | && ", line)[0])
    words = shlex.split(re.sub(r"^--config \S+ ", "", shown))
    paths = [path for path in commands(cli) if words[: len(path)] == list(path)]
    assert len(paths) == 1, f"{document}: {line}"
    given = {word for word in words if word.startswith("--")}
    assert given <= options(paths[0]), f"{document}: {line}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text("utf-8")):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_named_in_a_document_exists(document: Path) -> None:
    text = document.read_text("utf-8")
    named = re.findall(
        r"`((?:sms_gateway|soap_server|soap_client|email_gateway|tests|docs|wsdl)/[\w./*-]*)`", text
    )
    for name in named:
        assert list(ROOT.glob(name.rstrip("/"))), name


def test_every_variable_named_in_a_document_is_a_setting() -> None:
    known = {settings.ENV_PREFIX + name.upper() for name in settings.Settings.model_fields}
    for document in DOCUMENTS:
        named = re.findall(r"SENDSMSNOW_[A-Z_]+", document.read_text("utf-8"))
        assert set(named) <= {*known, settings.ENV_CONFIG, settings.ENV_PREFIX}, document.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_toml_sample_holds_settings_only(document: Path, tmp_path: Path) -> None:
    for number, sample in enumerate(
        re.findall(r"^```toml\n(.*?)^```", document.read_text("utf-8"), re.M | re.S)
    ):
        file = tmp_path / f"{number}.toml"
        # Files that stand for the reader's own.
        file.write_text(
            re.sub(r"^(mail_)?(certfile|keyfile) = .*\n", "", sample, flags=re.M), "utf-8"
        )
        settings.load(file, {}, {})


def test_the_glossary_has_every_state() -> None:
    glossary = (ROOT / "docs/glossary.md").read_text("utf-8")
    for state in State:
        assert f"`{state}`" in glossary


def test_every_dependency_has_its_reason_and_licence() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    needed = (
        config["options"]["install_requires"]
        + extras["encryption"]
        + extras["modem"]
        + extras["operators"]
        + extras["postgresql"]
    )
    names = {re.split(r"[\s;>=\[]", line)[0] for line in needed.strip().splitlines()}
    architecture = (ROOT / "docs/architecture.md").read_text("utf-8")
    documented = set(
        re.findall(r"^\| ([A-Za-z][\w-]*)[^|]*\| [^|]+ \| [^|]+ \|$", architecture, re.M)
    )
    assert documented == names | {"Package"}


def test_the_checks_run_the_test_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "python3 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox" in readme
    script = (ROOT / ".ci/run").read_text("utf-8")
    command = 'python3 -m venv "$venv" && "$venv/bin/pip" install -q tox && "$venv/bin/tox"'
    assert command in script


UPSTREAMS = (ROOT / "docs/adding-an-upstream.md").read_text("utf-8")


def documented_options(page: str, section: str, options: type[Any], names: Collection[str]) -> None:
    """Whether a section of a page has each option with its default, and no other."""
    table = rows(section, (ROOT / page).read_text("utf-8"))
    defaults = {field.name: field.default for field in dataclasses.fields(options)}
    for name in names:
        default = defaults[name]
        shown = (
            "none"
            if default is None
            else str(int(default) if isinstance(default, bool) else default)
        )
        assert table[name][0] == shown, name
    assert set(table) - {"Option", "---"} == set(names)


def test_every_option_of_a_telephone_is_documented_with_its_default() -> None:
    documented_options(
        "docs/use/telephone.md", "Options", phone_options.SeveralOptions, phone_options.PARAMETERS
    )


def test_every_option_of_parlay_x_is_documented_with_its_default() -> None:
    documented_options(
        "docs/use/parlayx.md", "Options", parlayx_options.ParlayXOptions, parlayx_options.PARAMETERS
    )


def test_every_option_of_a_modem_is_documented_with_its_default() -> None:
    documented_options(
        "docs/use/modem.md", "Options", modem_options.ModemOptions, modem_options.PARAMETERS
    )


def rows(heading: str, text: str) -> dict[str, tuple[str, str]]:
    """The rows of the tables under a heading, by their first cell."""
    _, _, section = text.partition(f"## {heading}\n")
    section = re.split(r"\n##+ ", section)[0]
    found = re.findall(r"^\| `?([^|`]+?)`? \| ([^|]*?) ?\|(?: ([^|]*?) \|)?$", section, re.M)
    return {first: (second, third) for first, second, third in found}


def test_every_magic_number_of_the_sandbox_is_documented() -> None:
    table = rows("The sandbox", UPSTREAMS)
    for digits, behaviour in {**sandbox.MAGIC, "any other": sandbox.DELIVERED}.items():
        assert table[digits][0] == behaviour.sentence


def test_every_option_of_an_upstream_is_documented_with_its_default() -> None:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(sandbox.SandboxUpstream).parameters.items()
    }
    table = rows("The sandbox", UPSTREAMS)
    for name in sandbox.OPTIONS:
        assert table[name][0] == f"{defaults[name]:g}"

    table = rows("Options", (ROOT / "docs/use/smpp.md").read_text("utf-8"))
    options = {field.name: field.default for field in dataclasses.fields(SmppOptions)}
    for name in PARAMETERS:
        default = options[name]
        assert table[name][0] == ("none" if default is None else str(default))
    assert set(table) - {"Option", "---"} == set(PARAMETERS)

    table = rows("Another server over HTTP", UPSTREAMS)
    relay: dict[str, Any] = {
        field.name: field.default for field in dataclasses.fields(RelayOptions)
    }
    for name in relay_options.PARAMETERS:
        default = relay[name]
        shown = "none" if default is None else str(int(default)) if default != "" else ""
        assert table[name][0] == shown
    assert set(table) - {"Option", "---"} == set(relay_options.PARAMETERS)


def test_every_kind_of_number_is_documented() -> None:
    page = (ROOT / "docs/routes.md").read_text("utf-8")
    (rows,) = re.findall(r"^\| Kind \|.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.M)
    cells = [row.split("|")[1] for row in rows.splitlines()]
    assert sorted(name.strip() for cell in cells for name in cell.split(",")) == sorted(Kind)


def test_every_entry_of_a_route_is_documented() -> None:
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/routes.md").read_text("utf-8"), re.M)
    assert table == list(RouteTable.model_fields)


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_contributing_names_every_place_that_knows_all_reply_codes() -> None:
    sources = [
        file
        for package in ("sms_gateway", "soap_server", "soap_client", "email_gateway", "docs")
        for file in (ROOT / package).rglob("*")
        if file.suffix in (".py", ".po", ".md")
    ]
    knowing = {
        str(file.relative_to(ROOT)) for file in sources if knows_all(file.read_text("utf-8"))
    }
    assert set(rows("A reply code", CONTRIBUTING)) - {"Place", "---"} == knowing


NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def test_contributing_says_how_many_places_know_all_reply_codes() -> None:
    places = set(rows("A reply code", CONTRIBUTING)) - {"Place", "---"}
    assert f"| {NUMBERS[len(places)]} places: [below](#a-reply-code) |" in CONTRIBUTING


def test_every_path_that_contributing_names_is_there() -> None:
    # What tox and pip make is not there in a clone.
    names = {path.name for path in ROOT.iterdir()} - {"build"}
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", CONTRIBUTING)
    paths = [span for span in spans if " " not in span and span.split("/")[0] in names]
    assert len(paths) > 40
    for path in paths:
        assert list(ROOT.glob(path.rstrip("/"))), path


def test_the_loops_that_contributing_times_can_be_run() -> None:
    tox = (ROOT / "tox.ini").read_text("utf-8")
    environments = set(re.findall(r"^\[testenv:(\w+)\]", tox, re.M))
    section = CONTRIBUTING.partition("## How long a loop takes\n")[2].partition("\n## ")[0]
    loops = re.findall(r"^\| `([^`]+)`.* \| [^|]+ \|$", section, re.M)
    assert len(loops) >= 6
    commands = [command for loop in loops for command in loop.split(" && ")]
    for command in commands:
        program, *arguments = command.split()
        if program == "tox":
            assert set(arguments[1:]) <= environments
        else:
            assert program in (".venv/bin/ruff", ".venv/bin/pytest")


def knows_all(text: str) -> bool:
    """Whether a text has a line for each code but, maybe, the one that says that all went well."""
    return all(
        re.search(
            rf"\bCode\.{code.name}:|^\| {code:d} \||\"{re.escape(code.sentence)}\"", text, re.M
        )
        for code in Code
        if code is not Code.SENT
    )


def test_contributing_names_the_files_of_a_new_upstream() -> None:
    places = set(rows("A new upstream", CONTRIBUTING)) - {"Place", "---"}
    # Whatever knows each kind that there is has to know a new one.
    upstreams = (ROOT / "sms_gateway/upstream").glob("*.py")
    kinds = [
        re.compile(rf"\b{kind}\b")
        for file in upstreams
        for kind in re.findall(r"^class (\w+Upstream)\b", file.read_text("utf-8"), re.M)
    ]
    assert len(kinds) >= 3
    sources = [*(ROOT / "sms_gateway").rglob("*.py"), *(ROOT / "tests").glob("*/*.py")]
    knowing = {
        str(file.relative_to(ROOT))
        for file in sources
        if all(kind.search(text) for text in [file.read_text("utf-8")] for kind in kinds)
    }
    assert len(knowing) >= 2
    assert knowing <= places
    for place in places:
        assert (ROOT / place).exists(), place


TROUBLES = (ROOT / "docs/use/troubleshooting.md").read_text("utf-8")


def test_every_code_and_every_state_has_its_remedy() -> None:
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", TROUBLES, re.M)] == list(Code)
    states = re.findall(r"^\| `(\w+)` \|", TROUBLES, re.M)
    assert sorted(states) == sorted(State)


DECISIONS = sorted((ROOT / "docs/work/decisions").glob("*.md"))


def test_every_decision_is_in_the_table_of_the_architecture() -> None:
    architecture = (ROOT / "docs/architecture.md").read_text("utf-8")
    section = architecture.partition("## Decisions\n")[2].partition("\n## ")[0]
    table = re.findall(
        r"^\| \[(\d+)\]\((\S+)\) \| (.*?) \| (\S+) \| (.*?) \| (.*) \|$", section, re.M
    )
    assert table == [row_of(decision) for decision in DECISIONS]
    assert [int(row[0]) for row in table] == list(range(1, len(DECISIONS) + 1))


def row_of(decision: Path) -> tuple[str, ...]:
    """The cells of a decision's row, read from its file."""
    found = re.fullmatch(
        r"# (\d+)\. (.+)\n\n- Date: (\d{4}-\d\d-\d\d)\n"
        r"- Status: (accepted|superseded by \d+)\n- Figure: (.+)\n\n(?s:.{80,})",
        decision.read_text("utf-8"),
    )
    assert found, decision.name
    number, title, day, status, figure = found.groups()
    assert decision.name.startswith(f"{int(number):04}-")
    return number, f"work/decisions/{decision.name}", title, day, status, figure
