"""SOAP stacks of other languages: what each needs, how its client is built, and how it calls.

A client in `tests/interop/stacks` is one file. It finds WSDL, ENDPOINT, APIKEY, RECIPIENTS and
MESSAGE in its environment and the way it is to call in its first argument; it prints error, sent
and id as the stack gave them, and where it knows the WSDL asks for the message's status and prints
that one's error and recipients.
"""

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from urllib.request import urlopen

from . import npm

STACKS = Path(__file__).resolve().parents[1] / "interop" / "stacks"
#: Where builds are kept between runs.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sendsmsnow-tests"

NUSOAP = Path("/usr/share/php/nusoap/nusoap.php")

SOAP11, SOAP12 = "1.1", "1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A SOAP stack and the ways in which its users call."""

    #: The name of its folder.
    name: str
    title: str
    #: Programs and files without which it is not installed.
    needs: tuple[str, ...] = ()
    #: Its version; LookupError where it is not installed.
    version: Callable[[], str]
    #: The command in front of the way; {folder} and {build} stand for directories.
    command: tuple[str, ...]
    #: Commands that make its client in the current directory, from {folder} and {wsdl}.
    build: tuple[tuple[str, ...], ...] = ()
    #: Each way of calling, in words, and the version of SOAP it speaks.
    ways: Mapping[str, str]
    environment: Callable[[], Mapping[str, str]] = dict

    @property
    def folder(self) -> Path:
        return STACKS / self.name

    def missing(self) -> str:
        """What it lacks to be run; empty when it is installed."""
        for need in self.needs:
            if not (shutil.which(need) or Path(need).exists()):
                return need
        try:
            self.version()
        except LookupError as error:
            return str(error.args[0])
        return ""

    def built(self, wsdl: str) -> Path:
        """The directory with its client, made from a live WSDL unless it was before."""
        with urlopen(wsdl) as response:
            # The address is where the server happens to listen; the client is told it.
            contract = re.sub(rb'location="[^"]*"', b"", response.read())
        sources = [path.read_bytes() for path in sorted(self.folder.iterdir())]
        parts = [contract, *sources, repr(self.build).encode(), self.version().encode()]
        name = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
        directory = CACHE / f"{self.name}-{name}"
        CACHE.mkdir(parents=True, exist_ok=True)
        with open(f"{directory}.lock", "w") as guard:
            # Test processes run side by side, and one of them builds.
            fcntl.flock(guard, fcntl.LOCK_EX)
            if not (directory / "done").exists():
                shutil.rmtree(directory, ignore_errors=True)
                directory.mkdir()
                self._build(directory, wsdl)
                (directory / "done").touch()
        return directory

    def _build(self, directory: Path, wsdl: str) -> None:
        for command in self.build:
            words = [word.format(folder=self.folder, wsdl=wsdl) for word in command]
            done = subprocess.run(
                words, cwd=directory, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"

    def call(self, way: str, environment: Mapping[str, str]) -> list[list[str]]:
        """What its client prints, called in this way: the words of each line."""
        build = self.built(environment["WSDL"]) if self.build else self.folder
        words = [word.format(folder=self.folder, build=build) for word in self.command]
        done = subprocess.run(
            [*words, way],
            env={**os.environ, "LC_ALL": "C.UTF-8", **environment, **self.environment()},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{words} {way!r}: {done.stdout}{done.stderr}"
        return [line.split() for line in done.stdout.splitlines()]


def debian(package: str) -> Callable[[], str]:
    """The version of a Debian package."""

    def version() -> str:
        found = _output("dpkg-query", "--show", "--showformat", "${Version}", package)
        return re.sub(r"^\d+:|[-+][^-]*(deb|dfsg).*$|-[^-]*$", "", found) if found else "?"

    return version


def php() -> str:
    loaded = _output("php", "-r", "echo class_exists('SoapClient') ? phpversion() : '';")
    if not loaded:
        raise LookupError("PHP's extension soap")
    return loaded


def pip(package: str) -> Callable[[], str]:
    """The version of a Python package."""

    def version() -> str:
        try:
            return installed_version(package)
        except PackageNotFoundError:
            raise LookupError(package) from None

    return version


def node(package: str) -> Callable[[], str]:
    """The version of an npm package."""

    def version() -> str:
        modules = npm.installed(STACKS)
        if modules is None:
            raise LookupError(f"{package} (the npm registry does not answer)")
        return npm.version(modules, package)

    return version


def curl() -> str:
    return _output("curl", "--version").split()[1]


@functools.cache
def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def node_modules() -> Mapping[str, str]:
    return {"NODE_PATH": str(npm.installed(STACKS))}


def nusoap() -> Mapping[str, str]:
    """NuSOAP as it can be loaded by PHP 8, which has no constructors named as their class, no
    each() and no magic quotes."""
    source = NUSOAP.read_text("latin-1")
    classes = set(re.findall(r"^\s*class\s+(\w+)", source, re.M))
    current = ""
    lines = []
    for line in source.splitlines(keepends=True):
        if found := re.match(r"\s*class\s+(\w+)", line):
            current = found[1]
        if current:
            line = re.sub(rf"function\s+{current}\s*\(", "function __construct(", line)
        line = re.sub(
            r"parent::(\w+)\(",
            lambda call: "parent::__construct(" if call[1] in classes else call[0],
            line,
        )
        lines.append(line)
    source = re.sub(
        r"while\s*\(list\(\s*(\$\w+)\s*,\s*(\$\w+)\s*\)\s*=\s*each\((\$[\w>-]+)\)\)",
        r"foreach(\3 as \1 => \2)",
        "".join(lines),
    )
    source = source.replace("get_magic_quotes_runtime()", "0").replace(
        "set_magic_quotes_runtime", ""
    )
    name = hashlib.sha256(source.encode()).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    copy = CACHE / f"nusoap-{name}.php"
    if not copy.exists():
        draft = CACHE / f"nusoap-{name}-{os.getpid()}"
        draft.write_text(source, "latin-1")
        draft.replace(copy)
    return {"NUSOAP": str(copy)}
