"""Settings: where they come from, which one wins, and how a wrong one is told."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from sms_gateway.routing.routes import Route
from sms_gateway.settings import (
    SecretUrl,
    Settings,
    SettingsError,
    given,
    in_force,
    load,
    masked,
    reference,
    split_address,
)


def read(text: str, tmp_path: Path, **environ: str) -> Settings:
    file = tmp_path / "gateway.toml"
    file.write_text(text, "utf-8")
    return load(file, {}, environ)


def complaint(environ: dict[str, str] | None = None, **overrides: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load(None, overrides, environ or {})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_command_line_wins_over_the_environment_over_the_file_over_the_default(
    tmp_path: Path,
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('bind = "[::]:1"\nmax_parts = 3\nqueue_limit = 7\n')
    environ = {"SENDSMSNOW_BIND": "0.0.0.0:2", "SENDSMSNOW_MAX_PARTS": "4"}

    settings = load(file, {"bind": "127.0.0.1:3", "max_parts": None}, environ)

    assert settings.bind == "127.0.0.1:3"
    assert settings.max_parts == 4
    assert settings.queue_limit == 7
    assert settings.validity == timedelta(hours=48)


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("workers = 2")
    assert load(None, {}, {"SENDSMSNOW_CONFIG": str(file)}).workers == 2


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(None, {}, {"SENDSMSNOW_CERTFILE": ""}).certfile is None


def test_the_default_database_is_the_same_file_in_every_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/var/data")
    monkeypatch.chdir(tmp_path)
    url = load(environ={}).database_url.get_secret_value()
    assert url == "sqlite:////var/data/sendsmsnow/sendsmsnow.sqlite3"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("database_url", "postgresql://u:p@db/sms", SecretUrl("postgresql://u:p@db/sms")),
        ("database_url", "postgresql:///sms?host=/run", SecretUrl("postgresql:///sms?host=/run")),
        ("database_url", "sqlite:///here.sqlite3", SecretUrl("sqlite:///here.sqlite3")),
        ("bind", "[::1]:443", "[::1]:443"),
        ("public_url", "https://sms.example.com/gateway/", "https://sms.example.com/gateway"),
        (
            "upstream",
            "smpps://u:p@smsc:2776?window=50",
            SecretUrl("smpps://u:p@smsc:2776?window=50"),
        ),
        ("default_region", "be", "BE"),
        ("default_region", "none", None),
        ("validity", "36", timedelta(hours=36)),
        ("validity", "30m", timedelta(minutes=30)),
        ("validity", "2d", timedelta(days=2)),
        ("backend_timeout", "2.5", timedelta(seconds=2.5)),
        ("lease", "500ms", timedelta(milliseconds=500)),
        ("log_level", "DEBUG", "debug"),
        ("workers", "4", 4),
    ],
)
def test_a_value_is_read(name: str, value: str, expected: object) -> None:
    assert getattr(load(None, {name: value}, {}), name) == expected
    variable = {"SENDSMSNOW_" + name.upper(): value}
    assert getattr(load(None, {}, variable), name) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", "mysql://u:p@db/sms"),
        ("database_url", "sqlite:relative"),
        ("database_url", "sqlite://"),
        ("database_url", "sqlite:///:memory:"),
        ("database_url", "postgresql://db"),
        ("bind", "8000"),
        ("bind", "localhost:65536"),
        ("bind", "http://localhost:8000"),
        ("bind", "::1:8000"),
        ("public_url", "sms.example.com"),
        ("public_url", "https://sms.example.com/?wsdl"),
        ("public_url", "https://me@sms.example.com"),
        ("public_url", "https://sms.example.com:http"),
        ("public_url", "https://[::1"),
        ("public_url", 'https://sms.example.com/"'),
        ("upstream", "sandbox"),
        ("upstream", "smtp://u:p@h"),
        ("certfile", "/no/such/file.pem"),
        ("default_region", "Belgium"),
        ("default_region", "XX"),
        ("validity", "soon"),
        ("validity", "59s"),
        ("validity", "31d"),
        ("validity", "-1"),
        ("validity", "9999999.999d"),
        ("backend_timeout", "0"),
        ("backend_timeout", "5 minutes"),
        ("max_parts", "0"),
        ("max_parts", "256"),
        ("max_parts", "ten"),
        ("queue_limit", "1e3"),
        ("workers", "0"),
        ("log_level", "loud"),
        ("log_format", "xml"),
    ],
)
def test_a_wrong_value_is_told_with_its_name_where_it_stands_and_what_is_allowed(
    name: str, value: str
) -> None:
    variable = "SENDSMSNOW_" + name.upper()
    line = complaint({variable: value})
    assert line.startswith(f"{name} = {masked(value)!r} (from {variable}) is wrong; ")
    assert any(word in line for word in ("allowed:", "no such file", "has to be"))
    assert f"(from --{name})" in complaint(None, **{name: value})


def test_the_kind_of_a_value_in_the_file_matters_too(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^bind = '8000' \(from .*gateway.toml\) is wrong; "):
        read("bind = 8000", tmp_path)
    with pytest.raises(SettingsError, match=r"^bind = a list \(from "):
        read("bind = [8000]", tmp_path)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("smpp://user:secret@host:2775?window=5", "smpp://user:***@host:2775?window=5"),
        ("smpp://user:se@cr:et/#?@host", "smpp://user:***@host"),
        ("user:secret@host", "user:***@host"),
        ("smpp://secret@host", "smpp://***@host"),
        ("smpp:/user:secret@host", "smpp:***@host"),
        (
            "postgresql://h/d?user=me&password=secret&x=1",
            "postgresql://h/d?user=me&password=***&x=1",
        ),
        ("https://h/?apikey=secret", "https://h/?apikey=***"),
        ("sandbox:?delay=1s", "sandbox:?delay=1s"),
        ("postgresql://db:5432/sms", "postgresql://db:5432/sms"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("upstream", "smtp://user:hunter2@host"),
        ("database_url", "mysql://user:hunter2@host/db"),
        ("bind", "smpp://user:hunter2@host"),
        ("public_url", "https://user:hunter2@host"),
    ],
)
def test_no_complaint_shows_a_password(name: str, value: str) -> None:
    line = complaint({"SENDSMSNOW_" + name.upper(): value})
    assert "user:***@host" in line
    assert "hunter2" not in line


def test_settings_show_themselves_without_passwords() -> None:
    values = {
        "database_url": "postgresql://me:hunter2@db/sms",
        "upstream": "smpp://me:hunter2@smsc:2775",
    }
    settings = load(None, values, {})
    for text in (repr(settings), str(settings), in_force(settings, given(None, values, {}))):
        assert "hunter2" not in text
        assert "smpp://me:***@smsc:2775" in text
    assert settings.upstream.get_secret_value() == "smpp://me:hunter2@smsc:2775"


def test_a_relay_is_an_upstream_whose_key_is_not_shown() -> None:
    for url in ("https://gateway.example.com/sendsms/?apikey=hunter2", "https://:hunter2@gateway"):
        settings = load(None, {"upstream": url}, {})
        assert settings.upstream.get_secret_value() == url
        assert "hunter2" not in str(settings)


def test_a_misspelt_variable_is_an_error_with_a_suggestion() -> None:
    line = complaint({"SENDSMSNOW_DATABASEURL": "sqlite:///x"})
    assert line == (
        "SENDSMSNOW_DATABASEURL (in the environment) is not a setting; "
        "did you mean SENDSMSNOW_DATABASE_URL?"
    )


def test_a_misspelt_name_in_the_file_is_an_error_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"bnd .*is not a setting; did you mean bind\?"):
        read('bnd = "x"', tmp_path)
    with pytest.raises(
        SettingsError, match=r"zzz .*is not a setting; allowed: audit_days, backend_timeout, "
    ):
        read('zzz = "x"', tmp_path)


def test_a_table_is_not_taken_from_the_environment() -> None:
    line = complaint({"SENDSMSNOW_ROUTES": "32=carrier"})
    assert line == "SENDSMSNOW_ROUTES: routes is a table; allowed: only in the file"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"bind = ", "not TOML: "),
        (b"bind = '\xff'", "not UTF-8 text"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "gateway.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load(file, {}, {})
    assert str(caught.value).startswith(f"config = '{file}': {reason}")
    assert "\n" not in str(caught.value)


ROUTES = """
upstream = "sandbox:"
[upstreams]
north = "smpp://u:p@north:2775"
south = "smpps://u:p@south:2776"
[[routes]]
prefix = ["32", "+31"]
upstreams = ["north", "south"]
[[routes]]
prefix = "33"
upstreams = ["south"]
uncertain = "resend"
[[routes]]
prefix = "7"
closed = true
"""


def test_routes_are_read_and_what_no_prefix_fits_goes_to_the_default(tmp_path: Path) -> None:
    settings = read(ROUTES, tmp_path)
    assert settings.all_routes() == (
        Route(prefix="32", upstreams=("north", "south")),
        Route(prefix="31", upstreams=("north", "south")),
        Route(prefix="33", upstreams=("south",), resend=True),
        Route(prefix="7", upstreams=(), closed=True),
        Route(prefix="", upstreams=("default",)),
    )
    assert {name: str(url) for name, url in settings.upstream_urls().items()} == {
        "default": "sandbox:",
        "north": "smpp://u:***@north:2775",
        "south": "smpps://u:***@south:2776",
    }


def test_a_route_of_ones_own_for_everything_replaces_the_default(tmp_path: Path) -> None:
    settings = read(ROUTES + '[[routes]]\nprefix = ""\nupstreams = ["north"]\n', tmp_path)
    assert settings.all_routes()[-1] == Route(prefix="", upstreams=("north",))
    assert "default" not in settings.upstream_urls()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '[[routes]]\nprefix = "32"\nupstreams = ["nowhere"]',
            "routes, table 1: no upstream is named 'nowhere'; allowed: default",
        ),
        (
            '[[routes]]\nprefix = "32"',
            "routes, table 1: a route has either upstreams or closed = true",
        ),
        (
            '[[routes]]\nprefix = "32"\nclosed = true\nupstreams = ["default"]',
            "routes, table 1: a route has either upstreams or closed = true",
        ),
        (
            '[[routes]]\nprefix = "32"\nclosed = true\n[[routes]]\nprefix = "+32"\nclosed = true',
            "routes, table 2: the prefix '32' stands in two routes",
        ),
        (
            '[[routes]]\nprefx = "32"',
            "routes, table 1: prefx is unknown; allowed: prefix, upstreams, weights, prices, "
            "name, when, rewrite, closed, uncertain, rate, window, validity, alphabet, senders, "
            "sender, kinds, quiet_hours, timezone",
        ),
        (
            '[upstreams]\ndefault = "sandbox:"',
            "upstreams.default: the name is taken; allowed: any but default (which the setting "
            "upstream describes) and test",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_told(text: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read(text, tmp_path)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ('[[routes]]\nprefix = "x"', "routes, table 1, prefix = 'x' (from "),
        ("[[routes]]\nprefix = 32", "routes, table 1, prefix = '32' (from "),
        ("[[routes]]\nclosed = true", "routes, table 1, prefix = nothing (from "),
        ('[upstreams]\na = "smtp:u:p@h"', "upstreams.a = 'smtp:***@h' (from "),
        ("[upstreams]\na = 1", "upstreams.a = '1' (from "),
        ("routes = 1", "routes = '1' (from "),
    ],
)
def test_a_wrong_value_inside_a_table_is_told(text: str, start: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read(text, tmp_path)
    assert str(caught.value).startswith(start)
    assert "allowed: " in str(caught.value)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A certificate with its key, and a key of something else, made by openssl."""
    folder = tmp_path_factory.mktemp("pem")
    files = {name: folder / f"{name}.pem" for name in ("cert", "key", "other", "locked")}
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl += ["-subj", "/CN=localhost", "-days", "2"]
    for cert, key, lock in (
        ("cert", "key", ["-nodes"]),
        ("other.cert", "other", ["-nodes"]),
        ("locked.cert", "locked", ["-passout", "pass:hunter2"]),
    ):
        subprocess.run(
            [*openssl, *lock, "-out", folder / f"{cert}.pem", "-keyout", folder / f"{key}.pem"],
            check=True,
            capture_output=True,
        )
    return files


def test_a_certificate_goes_with_its_key(pem: dict[str, Path]) -> None:
    settings = load(None, {"certfile": str(pem["cert"]), "keyfile": str(pem["key"])}, {})
    assert settings.tls_context() is not None
    assert settings.external_url() == "https://127.0.0.1:8000"


@pytest.mark.parametrize("key", ["other", "locked", "cert"])
def test_a_key_that_is_not_the_certificates_is_told(key: str, pem: dict[str, Path]) -> None:
    line = complaint(certfile=str(pem["cert"]), keyfile=str(pem[key]))
    assert "are not a certificate and its private key" in line


def test_a_certificate_without_a_key_is_told(pem: dict[str, Path]) -> None:
    assert complaint(certfile=str(pem["cert"])) == (
        "certfile and keyfile go together: set both or neither"
    )


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"bind": "0.0.0.0:80"}, "http://localhost"),
        ({"bind": "[::]:8080"}, "http://localhost:8080"),
        ({"bind": "[::1]:8080"}, "http://[::1]:8080"),
        ({"bind": "[::]:1", "public_url": "https://sms.example.com"}, "https://sms.example.com"),
    ],
)
def test_the_public_address_is_made_of_bind_unless_it_is_set(
    values: dict[str, str], url: str
) -> None:
    assert load(None, values, {}).external_url() == url


def test_sqlite_has_one_web_process_and_postgresql_one_for_two_processors() -> None:
    assert load(environ={}).web_processes() == 1
    postgresql = {"database_url": "postgresql://u:p@db/sms"}
    assert load(None, postgresql, {}).web_processes() == max(1, (os.cpu_count() or 1) // 2)
    assert load(None, {**postgresql, "workers": 7}, {}).web_processes() == 7


def test_an_address_is_split_into_host_and_port() -> None:
    assert split_address("[::1]:80") == ("::1", 80)
    assert split_address("localhost:0") == ("localhost", 0)


def test_the_reference_has_every_setting_with_its_default_and_variable() -> None:
    text = reference()
    for name, field in Settings.model_fields.items():
        assert f"### `{name}`" in text
        assert field.description
    assert "- Default: 48h\n- Environment: `SENDSMSNOW_VALIDITY`" in text
    assert "SENDSMSNOW_ROUTES" not in text


def test_the_values_in_force_say_where_they_were_set() -> None:
    environ = {"SENDSMSNOW_VALIDITY": "90"}
    text = in_force(load(None, {}, environ), given(None, {}, environ))
    assert "validity         90h  (SENDSMSNOW_VALIDITY)\n" in text
    assert "public_url       http://127.0.0.1:8000  (default)\n" in text
