"""A little of what `tox -e hosts` does, in two minutes."""

import subprocess
import sys
from pathlib import Path

import pytest
from support import smsc
from support.needs import lacking

from . import __main__ as hosts
from .rounds import has_commit

#: The source of 0.1.0.
RELEASE = "bc72d6436b37044c524e8cfcb44fe6750462a34b"
#: One of each kind: a program dies, a host is cut off from one other, the database moves.
FAULTS = ("worker_host_killed", "worker_parted_from_database", "failed_over")

# The programs under test are processes, whose outcome does not hang on the version of Python. On an
# idle machine each takes a minute and a half, of which one waits for late receipts.
pytestmark = [pytest.mark.once, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True, scope="module")
def ten_hosts() -> None:
    missing = hosts.missing()
    if missing:
        lacking(missing)
    refused = hosts.refused()
    if refused:
        # A container may have all programs and none of these rights, in CI as well.
        pytest.skip(refused)
    smsc.evaluate("''")  # it is installed before namespaces cut off the registry


def test_no_request_fails_while_hosts_are_upgraded_in_turn() -> None:
    if not has_commit(RELEASE):
        # A clone may be a shallow one, in CI as well.
        pytest.skip(f"the source of 0.1.0, commit {RELEASE}, is not in this clone")
    run("upgrade", "--commit", RELEASE)


def test_no_book_disagrees_after_faults_between_hosts() -> None:
    run(*FAULTS)


def run(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hosts", *arguments, "--messages", "200", "--rate", "45"],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    print(done.stdout)
