"""What a release is made with: versions, bounds and the changelog agree with each other."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import sms_gateway
from sms_gateway.store.migrate import SCHEMA

ROOT = Path(__file__).parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")


def ini(name: str) -> configparser.ConfigParser:
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / name)
    return config


def requirements(lines: str) -> Iterator[Requirement]:
    """Those of a value in setup.cfg or tox.ini, without those that are ourselves."""
    for line in lines.strip().splitlines():
        requirement = Requirement(line)
        if requirement.name != "sendsmsnow":
            yield requirement


SETUP = ini("setup.cfg")
EXTRAS = SETUP["options.extras_require"]
NEEDED = SETUP["options"]["install_requires"]
#: What constraints.txt is made for.
DIRECT = [
    *requirements(NEEDED),
    *(
        r
        for extra in ("async", "encryption", "postgresql", "test", "checks")
        for r in requirements(EXTRAS[extra])
    ),
]
CONSTRAINED = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(
        r"^([\w.-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text("utf-8"), re.M
    )
}


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_the_constraints_have_a_version_that_the_bounds_allow(requirement: Requirement) -> None:
    """Otherwise run `tox -e constraints`."""
    assert CONSTRAINED[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_every_lowest_version_is_said(requirement: Requirement) -> None:
    """`tox -e lowest` shows that what is needed works with it."""
    assert [bound.operator for bound in requirement.specifier][:1] == [">="]


@pytest.mark.parametrize("environment", ["lint", "types", "arrows"])
def test_the_tools_of_tox_are_those_of_setup_cfg(environment: str) -> None:
    known = {str(requirement) for requirement in requirements(EXTRAS["checks"])}
    tools = {str(tool) for tool in requirements(ini("tox.ini")[f"testenv:{environment}"]["deps"])}
    assert tools
    assert tools <= known


def test_a_commit_is_looked_at_by_the_same_ruff_as_all() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert set(re.findall(r'"ruff==([\d.]+)"', hooks)) == {
        str(CONSTRAINED[canonicalize_name("ruff")])
    }


# -- the changelog --

VERSIONS = re.findall(r"^## (\S+)(?: \((\d{4}-\d\d-\d\d)\))?$", CHANGELOG, re.M)


def test_the_changelog_has_a_section_for_each_version_the_newest_first() -> None:
    (unreleased, day), *released = VERSIONS
    assert (unreleased, day) == ("Unreleased", "")
    days = [day for _, day in released]
    assert all(days)
    assert days == sorted(days, reverse=True)
    versions = [Version(name) for name, _ in released]
    assert versions == sorted(versions, reverse=True)
    assert Version(sms_gateway.__version__) >= versions[0]


def test_what_was_released_is_what_was_recorded() -> None:
    recorded = {path.name for path in (ROOT / "tests/recorded/releases").iterdir() if path.is_dir()}
    assert recorded - {"__pycache__"} == {name for name, _ in VERSIONS[1:]}


def test_no_line_of_the_changelog_stands_twice() -> None:
    """A merge by union puts a line that moved into both sections."""
    lines = re.findall(r"^- .*(?:\n  .*)*", CHANGELOG, re.M)
    assert len(lines) > 20
    assert sorted(lines) == sorted(set(lines))


def test_the_changelog_tells_of_the_newest_schema_and_of_none_that_is_not() -> None:
    told = set(re.findall(r"\b0\d{3}\b", CHANGELOG))
    assert SCHEMA in told
    assert max(told) == SCHEMA


# -- tests that are run again --


def test_what_tox_runs_again_is_shown_with_its_reason() -> None:
    commands = [section.get("commands", "") for section in ini("tox.ini").values()]
    again = [command for command in commands if "--reruns" in command]
    assert again
    assert all("--rerun-show-tracebacks" in command for command in again)


def test_a_test_of_one_process_is_not_run_again_and_any_other_is_shown(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    for suite in ("unit", "contract", "acceptance"):
        (tmp_path / suite).mkdir()
        (tmp_path / suite / f"test_{suite}.py").write_text(
            "runs = []\n\n\ndef test_it() -> None:\n    runs.append(0)\n"
            f"    assert len(runs) > 1, 'the reason of {suite}'\n"
        )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "--reruns", "1", "--rerun-show-tracebacks"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert re.search(r"^=+ 2 failed, 1 passed,.* 1 rerun in", done.stdout, re.M), done.stdout
    _, again, summary = done.stdout.partition("= rerun test summary info =")
    assert again
    assert "RERUN acceptance/test_acceptance.py::test_it\n" in summary
    assert "AssertionError: the reason of acceptance" in summary
