"""The papers about security name tests and files that exist, and every requirement of ASVS."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MODEL = (ROOT / "docs/work/threat-model.md").read_text("utf-8")
ASVS = (ROOT / "docs/work/asvs.md").read_text("utf-8")
#: Id, level, requirement, state, evidence.
REQUIREMENTS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in ASVS.splitlines()
    if re.match(r"\| V\d", line)
]
STATES = ("met", "not applicable", "operator", "not met")


def has_test(name: str) -> bool:
    """Whether there is a test of this name, as `tests/unit/test_x.py::test_y`."""
    file, _, test = name.partition("::")
    path = ROOT / file
    return path.is_file() and bool(
        re.search(rf"^(?:async )?def {re.escape(test)}\(", path.read_text("utf-8"), re.M)
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_named_in_a_document_is_there(document: Path) -> None:
    named = re.findall(r"`(tests/[\w/.]+::\w+)`", document.read_text("utf-8"))
    assert [name for name in named if not has_test(name)] == []


def test_a_test_that_is_not_there_is_noticed() -> None:
    assert has_test("tests/unit/test_security_docs.py::test_a_test_that_is_not_there_is_noticed")
    assert not has_test("tests/unit/test_security_docs.py::test_a_test_that_is_not")
    assert not has_test("tests/unit/test_nothing.py::test_a_test_that_is_not_there_is_noticed")


def test_every_threat_has_a_promise_and_a_test() -> None:
    rows = re.findall(r"^\| ([STRIDE]) \| (.+) \| (.+) \| (.+) \|$", MODEL, re.M)
    assert len(rows) > 40
    for kind, threat, promise, tests in rows:
        assert promise, (kind, threat)
        assert re.fullmatch(r"`tests/[\w/.]+::\w+`(, `tests/[\w/.]+::\w+`)*", tests), threat


def test_every_boundary_of_the_picture_has_its_threats() -> None:
    boundaries = re.findall(r"^### (\d+)\. ", MODEL, re.M)
    assert boundaries == [str(number) for number in range(1, len(boundaries) + 1)]
    (picture,) = re.findall(r"^## Boundaries\n\n```\n(.*?)^```", MODEL, re.M | re.S)
    assert sorted(set(re.findall(r"\b\d+\b", picture)), key=int) == boundaries


def test_every_requirement_is_there_once_in_order_with_its_level() -> None:
    recorded = (ROOT / "tests/recorded/asvs/5.0.0-levels-1-2.txt").read_text("ascii")
    ids = [tuple(line.split()) for line in recorded.splitlines() if not line.startswith("#")]
    assert len(ids) == 253
    assert [row[:2] for row in REQUIREMENTS] == ids


def test_what_is_met_names_what_shows_it() -> None:
    for id, _, words, state, evidence in REQUIREMENTS:
        assert state in STATES, id
        assert words, id
        assert evidence, id
        if state == "met":
            paths = re.findall(r"`((?:[\w-]+/)+[\w.-]+|SECURITY\.md|setup\.cfg)`", evidence)
            assert paths or "`tox -e lint`" in evidence, id
            for path in paths:
                assert (ROOT / path).exists(), (id, path)


def test_the_sums_are_those_of_the_table() -> None:
    for state in STATES:
        of = Counter(level for _, level, _, this, _ in REQUIREMENTS if this == state)
        assert f"| {state} | {of['1']} | {of['1'] + of['2']} |" in ASVS
