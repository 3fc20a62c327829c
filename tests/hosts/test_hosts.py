"""A little of everything that `tox -e hosts` does."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.needs import lacking

from . import __main__ as hosts
from .faults import GROUPS
from .rounds import has_commit

#: What is upgraded while it runs: the release, and the state with the schema before the queue.
VERSIONS = {
    "0.1.0": "bc72d6436b37044c524e8cfcb44fe6750462a34b",
    "schema 0009": "adcb6695323d2a3de6ae310785c7c9de2501e0ec",
}

# The programs under test are processes, whose outcome does not hang on the version of Python.
pytestmark = [pytest.mark.once, pytest.mark.timeout(600)]


@pytest.fixture(autouse=True, scope="module")
def eight_hosts() -> None:
    missing = hosts.lacking()
    if missing:
        lacking(missing)


@pytest.mark.parametrize("group", [name for name in GROUPS if name != "upgrade"])
def test_no_book_disagrees_after_faults_between_hosts(group: str) -> None:
    pooled = ["--pooled"] if group == "pooler" else []
    run(group, *pooled, "--messages", "200", "--rate", "45")


@pytest.mark.parametrize(("version", "commit"), VERSIONS.items(), ids=list(VERSIONS))
def test_no_request_fails_while_hosts_are_upgraded_in_turn(version: str, commit: str) -> None:
    if not has_commit(commit):
        lacking(f"the source of {version}, commit {commit}, is not in this clone")
    run("upgrade", "--commit", commit, "--messages", "500", "--rate", "45")


def run(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hosts", *arguments],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    print(done.stdout)
