"""Tables of the documents that are made by a test run.

A test says its row with `record_property(table, cells)`. `SENDSMSNOW_TEST_TABLES=1` makes the run
write the rows into the table's document; without it nothing is written.
"""

import os
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
# The line below the heading has no spaces.
_ROW = re.compile(r"^\| (.*) \|$", re.M)


def parts(name: str) -> tuple[str, str, str]:
    """A document's text before the table, the table, and what follows it."""
    text = (DOCS / f"{name}.md").read_text("utf-8")
    before, mark, rest = text.partition("<!-- made by a test run -->\n")
    assert mark, f"docs/{name}.md has no mark for its table"
    table, mark, after = rest.partition("<!-- end -->\n")
    assert mark, f"docs/{name}.md has no mark for its table's end"
    return before + "<!-- made by a test run -->\n", table, "<!-- end -->\n" + after


def rows(name: str) -> list[list[str]]:
    """The cells of the table in a document, row by row, its heading first."""
    return [row.split(" | ") for row in _ROW.findall(parts(name)[1])]


class Writer:
    """Collects rows from all processes of a test run, and writes them at its end."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows: list[list[str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            for name, cells in report.user_properties:
                if name == self._name:
                    assert isinstance(cells, list)
                    self._rows.append(cells)

    def pytest_sessionfinish(self) -> None:
        if os.environ.get("SENDSMSNOW_TEST_TABLES") != "1" or not self._rows:
            return
        before, table, after = parts(self._name)
        heading = table.splitlines()[:2]
        lines = [*heading, *(f"| {' | '.join(cells)} |" for cells in sorted(self._rows))]
        text = before + "\n".join(lines) + "\n" + after
        (DOCS / f"{self._name}.md").write_text(text, "utf-8")


def configure(config: pytest.Config, name: str) -> None:
    """To be called by the `pytest_configure` of a folder whose tests make a table."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Writer(name), f"table {name}")
