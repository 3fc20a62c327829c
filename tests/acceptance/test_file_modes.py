"""Who on the machine may open the files that hold messages and secrets."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.certificates import self_signed
from support.command import run, running
from support.running import wait_for

from sms_gateway.file_modes import exposed
from sms_gateway.settings import load

OPEN = "a file with messages or secrets is open to every user of this machine"


@pytest.fixture(autouse=True)
def generous() -> Iterator[None]:
    """What is made is open to everybody, unless its maker says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


ALL = {"sms.sqlite3", "sms.sqlite3-wal", "sms.sqlite3-shm", "sms.sqlite3.lock"}


def test_the_database_and_all_beside_it_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "data" / "sms.sqlite3"
    with running("serve", "--bind", "127.0.0.1:0", database_url=f"sqlite:///{file}") as serve:
        serve.url()
        serve.child("worker")
        # SQLite removes its log with the last connection, until a process opens the next.
        wait_for(lambda: {each.name for each in file.parent.iterdir()} >= ALL, 30)
        modes = {each.name: mode(each) for each in file.parent.iterdir()}
        assert OPEN not in serve.output()
    assert modes.keys() >= ALL
    assert set(modes.values()) == {"0600"}
    assert mode(file.parent) == "0700"


def test_a_database_of_an_older_version_is_told_of_with_what_mends_it(tmp_path: Path) -> None:
    file = tmp_path / "sms.sqlite3"
    file.touch(0o644)
    told = run("migrate", database_url=f"sqlite:///{file}")
    assert told.returncode == 0
    assert OPEN in told.stderr
    assert f"mode=0644 mend=\"chmod o= '{file}'\"" in told.stderr
    file.chmod(0o640)  # which a group needs for backups, say
    assert OPEN not in run("migrate", database_url=f"sqlite:///{file}").stderr


SECRETS = [
    ('upstream = "smpps://USER:PASSWORD@smsc.example.net"', True),
    ('upstream = "https://example.net/sendsms/?apikey=SECRET"', True),
    ('[upstreams]\nacme = "smpp://USER:PASSWORD@smsc.example.net"', True),
    ('smtp_relay = "smtp://USER:PASSWORD@mail.example.net"\nmail_from = "a@example.net"', True),
    ('smtp_relay = "smtp://mail.example.net"\nmail_from = "SMS <a@example.net>"', False),
    ('default_region = "BE"', False),
]


@pytest.mark.parametrize(("content", "secret"), SECRETS)
@pytest.mark.parametrize("permissions", [0o644, 0o640, 0o600])
def test_a_file_of_settings_is_told_of_when_a_secret_is_in_it(
    tmp_path: Path, content: str, secret: bool, permissions: int
) -> None:
    config = tmp_path / "sms.toml"
    config.write_text(content)
    config.chmod(permissions)
    settings = load(config, {"database_url": f"sqlite:///{tmp_path / 'no.sqlite3'}"}, {})
    found = exposed(settings, config)
    expected = [(config, 0o644)] if secret and permissions == 0o644 else []
    assert list(found) == expected


def test_a_private_key_that_everybody_may_read_is_told_of(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "sms.example.net")
    key.chmod(0o644)
    files = {"certfile": certificate, "keyfile": key}
    settings = load(None, {**files, "database_url": f"sqlite:///{tmp_path / 'no.sqlite3'}"}, {})
    assert list(exposed(settings, None)) == [(key, 0o644)]


def test_a_folder_in_which_everybody_may_put_another_database_is_told_of(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o777)
    settings = load(None, {"database_url": f"sqlite:///{folder / 'sms.sqlite3'}"}, {})
    assert list(exposed(settings, None)) == [(folder, 0o777)]
    folder.chmod(0o1777)
    assert list(exposed(settings, None)) == []
