"""Files that hold messages or secrets, and whether others on the machine may open them."""

import logging
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

from .settings import Settings, config_file, masked
from .store import database_file

log = logging.getLogger(__name__)

# The files beside a database of SQLite: its log, the log's index, the writers' lock.
_BESIDE = ("", "-wal", "-shm", ".lock")
_BY_OTHERS = stat.S_IROTH | stat.S_IWOTH


def tell_of_exposed(settings: Settings, config: Path | None) -> None:
    """Log a warning, with the command that mends it, for each file that everybody may open.

    A group may read what its owner lets it read: a service may have one for its backups.
    """
    for file, mode in exposed(settings, config):
        log.warning(
            "a file with messages or secrets is open to every user of this machine",
            extra={"file": file, "mode": f"{mode:04o}", "mend": f"chmod o= '{file}'"},
        )


def exposed(settings: Settings, config: Path | None) -> Iterator[tuple[Path, int]]:
    """The files, and folders of a database, that others may open (folders: change), with modes."""
    config = config_file(config)
    files = [settings.keyfile, settings.mail_keyfile, config if _has_secret(config) else None]
    if settings.is_sqlite:
        database = database_file(settings.database_url.get_secret_value())
        assert database is not None
        files += [Path(f"{database}{suffix}") for suffix in _BESIDE]
        # Who may write to the folder may replace the database; not so in sticky ones such as /tmp.
        mode = _mode(database.parent)
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            yield database.parent, mode
    for file in files:
        if file is not None and (mode := _mode(file)) & _BY_OTHERS:
            yield file, mode


def _mode(path: Path) -> int:
    """The permissions of a file; none for a missing one."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def _has_secret(config: Path | None) -> bool:
    """Whether a TOML file has a URL with a password, a token or the like in it."""
    content = {} if config is None else tomllib.loads(config.read_text("utf-8"))
    return any("://" in text and masked(text) != text for text in _texts(content))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
