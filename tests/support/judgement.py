"""What others say of a page: axe-core of its accessibility, html-validate of its HTML."""

import json
import subprocess
from pathlib import Path
from typing import Any

from selenium import webdriver

from . import npm
from .needs import lacking

_HERE = Path(__file__).parent / "judges"


def _modules() -> Path:
    folder = npm.installed(_HERE)
    if folder is not None:
        return folder
    lacking("axe-core and html-validate cannot be installed: the npm registry does not answer")


def violations(browser: webdriver.Chrome) -> list[str]:
    """What axe finds wrong with the page that a browser shows, a line each."""
    axe = (_modules() / "axe-core" / "axe.min.js").read_text("utf-8")
    # By the debugger, which the page's own policy does not concern.
    for expression in (axe, "axe.run(document).then(found => JSON.stringify(found))"):
        answer: dict[str, Any] = browser.execute_cdp_cmd(
            "Runtime.evaluate",
            {"expression": expression, "awaitPromise": True, "returnByValue": True},
        )
        assert "exceptionDetails" not in answer, answer
    found = json.loads(answer["result"]["value"])
    assert found["passes"]
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def mistakes(folder: Path) -> list[str]:
    """What is wrong with the HTML files in a folder, a line each."""
    program = _modules() / "html-validate" / "bin" / "html-validate.mjs"
    config = folder / ".htmlvalidate.json"
    config.write_text((_HERE / "html-validate.json").read_text())
    done = subprocess.run(
        [npm.node(), str(program), "--formatter", "json", "--config", str(config), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode in (0, 1), done.stderr
    return [
        f"{Path(file['filePath']).name}:{m['line']}: {m['ruleId']}: {m['message']}"
        for file in json.loads(done.stdout or "[]")
        for m in file["messages"]
    ]
