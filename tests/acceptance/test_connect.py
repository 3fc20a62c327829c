"""`sendsmsnow connect` asks for a provider and writes the settings."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sms_gateway.bootstrap.upstreams import described
from sms_gateway.cli import cli
from sms_gateway.settings import load


def connected(file: Path, *words: str, told: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(file), "connect", *words], input=told)


def test_a_provider_is_asked_for_and_written(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('# Mine\npublic_url = "https://sms.example.com"\n')
    file.chmod(0o640)
    # A region that there is not is asked for again.
    told = "sinch\ne61d4b6f\ns3cret\nmars\nus\nwebhooks\nACME\ny\n"
    result = connected(file, told=told)
    assert result.exit_code == 0, result.output
    assert "it is not the region of the plan" in result.output
    assert "s3cret" not in result.output
    assert "https://sms.example.com/upstream/sinch/" in result.output
    assert file.read_text().startswith('# Mine\npublic_url = "https://sms.example.com"\n')
    assert file.stat().st_mode & 0o777 == 0o640
    settings = load(file, {}, {})
    assert [route.upstreams for route in settings.all_routes()] == [("sinch",)]
    found = described("sinch", settings.upstream_urls()["sinch"])
    assert found is not None
    assert found.options.url == "https://us.sms.api.sinch.com"
    assert found.table.sender == "ACME"


def test_a_new_file_is_only_for_its_owner(tmp_path):
    file = tmp_path / "new.toml"
    result = connected(file, "bulksms", "--name", "bulk", told="id\nsecret\n\nn\n")
    assert result.exit_code == 0, result.output
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
    assert set(load(file, {}, {}).upstreams) == {"bulk"}


@pytest.mark.parametrize(
    ("text", "words", "told", "why"),
    [
        ("", ["acme"], "", "no provider is named 'acme'; there are 46elks"),
        (
            "[upstreams.bulksms]\nkind = 'bulksms'\n",
            ["bulksms"],
            "i\ns\n\nn\n",
            "take another --name",
        ),
        ("windows = 3\n", ["bulksms"], "i\ns\n\nn\n", "nothing was written: windows"),
        ("a = [", ["bulksms"], "i\ns\n\n", "the settings file is not TOML"),
    ],
)
def test_nothing_is_written_where_no_server_could_start(tmp_path, text, words, told, why):
    file = tmp_path / "settings.toml"
    file.write_text(text)
    result = connected(file, *words, told=told)
    assert why in str(result.exception)
    assert file.read_text() == text
