"""What is released: a source with its tests and documents, and a wheel with the program alone."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
PACKAGES = {"email_gateway", "sms_gateway", "soap_client", "soap_server", "wsdl"}
BUILD = "import sys; from setuptools import build_meta; build_meta.build_{}(sys.argv[1])"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project: building writes into the folder that it builds from."""
    copy = tmp_path_factory.mktemp("source") / "copy"
    for name in belonging():
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    return copy


def belonging() -> list[str]:
    """The files of the project, without those that somebody has left beside them."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("what belongs to the project is known to git, and this is no clone")
    names = listed.stdout.rstrip("\0").split("\0")
    return [name for name in names if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def unpacked(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in the sdist, unpacked."""
    archive = built("sdist", source, tmp_path_factory.mktemp("sdist"))
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive) as tar:
        # Python 3.11.2, Debian's, has no filter yet; from 3.12 on none is warned of.
        safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(folder, **safely)
    (unpacked,) = folder.iterdir()
    return unpacked


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in the wheel that is built from the sdist."""
    again = shutil.copytree(unpacked, tmp_path_factory.mktemp("again") / "copy")
    with zipfile.ZipFile(built("wheel", again, tmp_path_factory.mktemp("wheel"))) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def built(kind: str, source: Path, target: Path) -> Path:
    """The one file that is built."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD.format(kind), str(target)],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    (file,) = target.iterdir()
    return file


def files(folder: Path) -> set[str]:
    return {
        str(PurePosixPath(path.relative_to(folder))) for path in folder.rglob("*") if path.is_file()
    }


def made_by_setuptools(name: str) -> bool:
    return name == "PKG-INFO" or name.startswith("sendsmsnow.egg-info/")


def test_the_source_distribution_is_the_working_copy(source: Path, unpacked: Path) -> None:
    released = {name for name in files(unpacked) if not made_by_setuptools(name)}
    # Building has left its notes in the copy.
    assert released == {name for name in files(source) if not made_by_setuptools(name)}
    assert {name.partition("/")[0] for name in released} >= {"tests", "docs", "tox.ini"}


def test_the_wheel_has_the_packages_whole_and_nothing_else(source: Path, wheel: set[str]) -> None:
    program = {name for name in files(source) if name.partition("/")[0] in PACKAGES}
    assert {name for name in wheel if ".dist-info/" not in name} == program


@pytest.mark.parametrize(
    "name",
    [
        "wsdl/sendSmsNow.wsdl",
        "sms_gateway/words/fr.po",
        "sms_gateway/store/migrations/env.py",
        *(f"{package}/py.typed" for package in sorted(PACKAGES)),
    ],
)
def test_the_wheel_has_what_is_read_when_the_program_runs(name: str, wheel: set[str]) -> None:
    assert name in wheel


@pytest.mark.parametrize("folder", ["templates", "templates/samples", "static"])
def test_the_wheel_has_the_pages(folder: str, wheel: set[str]) -> None:
    assert any(name.startswith(f"sms_gateway/web/{folder}/") for name in wheel)


def test_who_reads_of_the_package_finds_licence_author_and_readme(unpacked: Path) -> None:
    said = (unpacked / "PKG-INFO").read_text("utf-8")
    for line in ("License-Expression: MIT", "Author: the sendSmsNow authors", "# sendSmsNow"):
        assert f"\n{line}\n" in said
    assert "\nKeywords: sms," in said
