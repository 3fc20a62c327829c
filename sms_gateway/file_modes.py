"""Finds files with messages or secrets that other users of the machine may open."""

import logging
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

from .settings import Settings, config_file, masked
from .store import database_file

log = logging.getLogger(__name__)

# The suffixes of a SQLite database's files: database, log, the log's index, the writers' lock.
_BESIDE = ("", "-wal", "-shm", ".lock")
_BY_OTHERS = stat.S_IROTH | stat.S_IWOTH


def tell_of_exposed(settings: Settings, config: Path | None) -> None:
    """Log a warning, with the command that mends it, for each file that everybody may open.

    Group permissions are not reported: a service may have a group for its backups.
    """
    for file, mode in exposed(settings, config):
        log.warning(
            "a file with messages or secrets is open to every user of this machine",
            extra={"file": file, "mode": f"{mode:04o}", "mend": f"chmod o= '{file}'"},
        )


def exposed(settings: Settings, config: Path | None) -> Iterator[tuple[Path, int]]:
    """The files that others may open, and the database folder if they may write to it; modes."""
    config = config_file(config)
    files = [settings.keyfile, settings.mail_keyfile, config if _has_secret(config) else None]
    if settings.is_sqlite:
        database = database_file(settings.database_url.get_secret_value())
        assert database is not None
        files += [Path(f"{database}{suffix}") for suffix in _BESIDE]
        # In a folder that others can write to they could replace the database; not if it is sticky.
        mode = _mode(database.parent)
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            yield database.parent, mode
    for file in files:
        if file is not None and (mode := _mode(file)) & _BY_OTHERS:
            yield file, mode


def _mode(path: Path) -> int:
    """The permissions of a file; 0 if it is missing."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def _has_secret(config: Path | None) -> bool:
    """Whether a TOML file has a URL with a password, a token or another secret."""
    content = {} if config is None else tomllib.loads(config.read_text("utf-8"))
    return any("://" in text and masked(text) != text for text in _texts(content))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
