"""A little of everything that `tox -e hosts` does."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.needs import lacking

from . import __main__ as hosts
from .faults import GROUPS

# The programs under test are processes, whose outcome does not hang on the version of Python.
pytestmark = [pytest.mark.once, pytest.mark.timeout(600)]


@pytest.fixture(autouse=True, scope="module")
def eight_hosts() -> None:
    missing = hosts.lacking()
    if missing:
        lacking(missing)


@pytest.mark.parametrize("group", GROUPS)
def test_no_book_disagrees_after_faults_between_hosts(group: str) -> None:
    run(group, "--messages", "200", "--rate", "45")


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
