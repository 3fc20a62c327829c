"""gunicorn's names in docs/work/http-server.md: they exist, and are all that we use."""

import ast
import inspect
import re
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.asgi import parser, protocol
from gunicorn.glogging import Logger
from gunicorn.workers import gasgi

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/work/http-server.md"
#: Who has the names, as the page calls them.
OWNERS: dict[str, type | ModuleType] = {
    "ASGIProtocol": protocol.ASGIProtocol,
    "ASGIWorker": gasgi.ASGIWorker,
    "Arbiter": Arbiter,
    "CallbackRequest": parser.CallbackRequest,
    "FlowControl": protocol.FlowControl,
    "Logger": Logger,
    "PythonProtocol": parser.PythonProtocol,
    "gasgi": gasgi,
    "protocol": protocol,
}
#: The rows of its table: owner and name.
ROWS = re.findall(r"^\| `(\w+)\.(?!py`)(\w+)` \|", PAGE.read_text("utf-8"), re.M)


def has(owner: type | ModuleType, name: str) -> bool:
    """Whether it has an attribute, be it one that only its instances have."""
    if hasattr(owner, name):
        return True
    family = [c for c in inspect.getmro(owner) if c is not object] if inspect.isclass(owner) else []
    return any(re.search(rf"\bself\.{name}\b.* = ", inspect.getsource(each)) for each in family)


def used() -> set[str]:
    """All private names in the modules that are about gunicorn."""
    names: set[str] = set()
    for path in (ROOT / "sms_gateway/serving").glob("*.py"):
        if path.name != "supervisor.py":
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Attribute):
                    names.add(node.attr)
                elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    names.add(node.name)
    return {name for name in names if re.match("_[^_]", name)}


@pytest.mark.parametrize(("owner", "name"), ROWS, ids=map(".".join, ROWS))
def test_gunicorn_has_what_we_need_of_it(owner: str, name: str) -> None:
    assert has(OWNERS[owner], name), (
        f"gunicorn {version('gunicorn')} has no {owner}.{name} any more, which our connections and "
        f"workers need: see what it was for in {PAGE.relative_to(ROOT)}, find in gunicorn's "
        "changes what took its place, and mend sms_gateway/serving; or lower the bound in setup.cfg"
    )


def test_the_page_names_all_private_names_that_we_use() -> None:
    told = {name for _, name in ROWS}
    theirs = {name for name in used() if any(has(owner, name) for owner in OWNERS.values())}
    assert theirs - told == set(), f"not in the table of {PAGE.relative_to(ROOT)}"


def test_the_page_names_no_private_name_that_we_do_not_use() -> None:
    assert {name for _, name in ROWS if name.startswith("_")} - used() == set()


def test_a_name_that_is_gone_is_told_of() -> None:
    assert not has(protocol.ASGIProtocol, "_gone_in_another_version")
    with pytest.raises(AssertionError, match=r"no ASGIProtocol\._gone any more"):
        test_gunicorn_has_what_we_need_of_it("ASGIProtocol", "_gone")
