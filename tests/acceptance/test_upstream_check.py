"""`sendsmsnow upstream check`, against servers that behave well and badly."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.asgi_server import free_port
from support.provider_peer import provider_peer, settings_of
from support.smsc import start_smsc

from sms_gateway.cli import cli

SECRETS = ("the-secret-of-the-key", "the-auth-token", "s" * 32, "U0swMTIzNDU2Nzg5")


async def checked(file: Path, *arguments: str) -> Result:
    words = ["--config", str(file), "upstream", "check", *arguments]
    return await asyncio.to_thread(CliRunner().invoke, cli, words)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def write(file: Path, upstream: str) -> None:
    routes = '[[routes]]\nprefix = "32"\nupstreams = ["a"]\n'
    database = f'database_url = "sqlite:///{file.parent}/a.sqlite3"\n'
    file.write_text(f"{database}{upstream}\n{routes}")


async def test_a_provider_shows_its_request_and_whether_it_lets_us_in(file):
    async with provider_peer("twilio") as peer:
        entries = settings_of(peer)
        table = "".join(f'{name} = "{value}"\n' for name, value in entries.items())
        write(file, f"[upstreams.a]\n{table}")
        shown = await checked(file, "a", "--dry-run", "--sender", "Me", "--text", "Hi & bye")
        assert shown.exit_code == 0, shown.output
        assert f"POST {peer.url}/2010-04-01/Accounts/AC0123456789abcdef" in shown.stdout
        assert "Authorization: ***" in shown.stdout
        assert "From=Me&Body=Hi+%26+bye" in shown.stdout
        assert "StatusCallback=http%3A%2F%2F127.0.0.1%3A8000%2Fupstream%2Fa%2F***" in shown.stdout
        assert peer.requests == []

        tried = await checked(file, "a")
        assert tried.exit_code == 0, tried.output
        assert "resolve   ok" in tried.stdout
        assert "connect   ok" in tried.stdout
        assert "sign in   ok      HTTP status 200, status active" in tried.stdout
        assert len(peer.requests) == 1

        sent = await checked(file, "a", "--send", "+32494123456", "--sender", "Me", "--wait", "0.2")
        assert "send      ok      accepted as SM" in sent.stdout
        assert "receipt   -       none within 0.2 s" in sent.stdout
        assert sent.exit_code == 0
        refused = await checked(
            file, "a", "--send", "+32494123456", "--sender", "Me", "--text", "#bad"
        )
        assert "send      FAILED  refused: 21211 the number is invalid" in refused.stdout
        assert refused.exit_code == 1
        told = "".join(each.output for each in (shown, tried, sent, refused))
        assert not any(secret in told for secret in SECRETS)
    gone = await checked(file, "a")
    assert "connect   FAILED  nothing listens there; check host and port" in gone.stdout
    assert gone.exit_code == 1


@pytest.mark.parametrize(
    "request_table",
    [
        'json = { text = "{text}", account = { api_key = "LITERAL", pin_token = 7654321 } }',
        'json = { text = "{text}", "client secret" = "LITERAL \\" LITERAL" }',
        'form = { to = "{recipient}", text = "{text}", password = "LITERAL" }',
        'query = { text = "{text}", apikey = "LITERAL" }',
        'path = "/send?text={text}&token=LITERAL"',
        "xml = \"<a><password>LITERAL</password><b authToken='LITERAL'>{text}</b></a>\"",
        'text = "pass=LITERAL {text}"',
        'headers = { X-Api-Key = "LITERAL" }\nform = { text = "{text}" }',
        'auth = { header = "X-Pin", value = "LITERAL" }\nform = { text = "{text}" }',
        'auth = { query = "pin", value = "LITERAL" }\nform = { text = "{text}" }',
    ],
)
async def test_a_secret_that_stands_in_the_table_is_not_shown(file, request_table):
    table = f'kind = "http"\nurl = "https://api.example.com"\n{request_table}\n'
    write(file, f"[upstreams.a]\n{table}accepted = {{ status = [200] }}\n")
    shown = await checked(file, "a", "--dry-run", "--text", "Passing-keys")
    assert shown.exit_code == 0, shown.output
    assert "***" in shown.stdout
    assert "Passing-keys" in shown.stdout
    assert "LITERAL" not in shown.output
    assert "7654321" not in shown.output


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        ("201", '{"sid": "SM1"}', "accepted as SM1"),
        ("400", '{"code": 21610}', "refused (21610 the recipient has asked to stop)"),
        ("401", '{"code": 20003}', "nothing is sent until somebody has put it right"),
        ("429", "", "(HTTP status 429) - the pace becomes slower"),
        ("200", "<html>", "uncertain: it is not JSON; nobody knows whether it was accepted"),
    ],
)
async def test_an_answer_is_judged(file, tmp_path, status, body, told):
    table = "\n".join(
        f'{name} = "{value}"'
        for name, value in {
            "kind": "twilio",
            "sid": "AC0123456789abcdef0123456789abcdef",
            "user": "SK1",
            "token": "t",
        }.items()
    )
    write(file, f"[upstreams.a]\n{table}")
    answer = tmp_path / "answer.json"
    answer.write_text(body)
    judged = await checked(file, "a", "--answer", str(answer), "--status", status)
    assert told in judged.stdout
    assert judged.exit_code == 0


async def test_an_smsc_is_bound_to_and_sends_a_receipt(file, tmp_path):
    with start_smsc(tmp_path, receipt_latency=20) as smsc:
        write(file, f'[upstreams]\na = "{smsc.url}"')
        sent = await checked(file, "a", "--send", "+32494123456")
        assert sent.exit_code == 0, sent.output
        names = [line.split()[0] for line in sent.stdout.splitlines()]
        assert names == ["resolve", "connect", "bind", "send", "receipt"]
        assert "receipt   ok      delivered" in sent.stdout
    write(file, f'[upstreams]\na = "smpp://u:p@127.0.0.1:{free_port()}"')
    gone = await checked(file, "a")
    assert "connect   FAILED" in gone.stdout
    assert gone.exit_code == 1


async def test_the_sandbox_and_unknown_names(file):
    write(file, '[upstreams]\na = "sandbox:?delay=0.05"')
    sent = await checked(file, "a", "--send", "+32494000000")
    assert "bind      ok" in sent.stdout
    assert "receipt   ok      delivered" in sent.stdout
    unknown = await checked(file, "b")
    assert unknown.exit_code == 1
    assert "there is no upstream 'b'; there are default, a" in str(unknown.exception)
