"""Fixtures that many tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from support import databases
from support.clock import LoopClock
from support.encrypted import SECRETS

from sms_gateway.sms import ids
from sms_gateway.store import Store
from sms_gateway.store.sealed import Seal

# No test fails because the machine is busy, and none by chance: what is drawn anew each time is
# what `tox -e fuzz` is for.
hypothesis.settings.register_profile(
    "sendsmsnow",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("sendsmsnow")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """More than there are processors: a third of the time, a test waits for something."""
    return len(os.sched_getaffinity(0)) + 2


#: What runs in one process is never run again (`--reruns` of tox.ini): a test there that fails now
#: and then is to be mended.
NEVER_AGAIN = [Path(__file__).parent / suite for suite in ("unit", "contract")]


#: What hangs on the version of Python, below this folder: what runs in one process, and of the
#: program's own processes how they start, are served, are called and stop. All else is `once`.
EVERY_PYTHON = [
    "unit",
    "contract",
    "acceptance/test_cli.py",
    "acceptance/test_http_api.py",
    "acceptance/test_http_backend.py",
    "acceptance/test_serve.py",
    "acceptance/test_serving.py",
    "acceptance/test_soap_client.py",
    "acceptance/test_soap_http.py",
    "acceptance/test_the_whole_way.py",
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by where they are, before `-m` chooses."""
    often = [Path(__file__).parent / part for part in EVERY_PYTHON]
    for item in items:
        places = [item.path, *item.path.parents]
        if any(suite in places for suite in NEVER_AGAIN):
            item.add_marker(pytest.mark.flaky(reruns=0))
        if not any(part in places for part in often):
            item.add_marker(pytest.mark.once)


@pytest.fixture(autouse=True)
def ids_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids never go back in a process. A test that puts a clock forward leaves none of that."""
    monkeypatch.setattr(ids, "_last", 0)


def pytest_sessionfinish() -> None:
    databases.remove_server()


@pytest.fixture(params=databases.KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh database; each test runs on every kind."""
    with databases.fresh(request.param, tmp_path) as url:
        yield url


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seal" in metafunc.fixturenames and metafunc.definition.get_closest_marker("encrypted_too"):
        metafunc.parametrize("seal", ["clear", "encrypted"], indirect=True)


@pytest.fixture
def seal(request: pytest.FixtureRequest) -> Seal | None:
    """What values are encrypted by: nothing, or the second time keys in tests `encrypted_too`."""
    return Seal(SECRETS) if getattr(request, "param", "") == "encrypted" else None


@pytest.fixture
def store(database: str, seal: Seal | None) -> Iterator[Store]:
    opened = Store(database, seal)
    yield opened
    opened.close()


@pytest.fixture
async def loop_clock() -> LoopClock:
    """The clock of the test's event loop, to be put forward."""
    return LoopClock()
