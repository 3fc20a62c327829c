"""The commands about routes, events and stops; a relay between two whole gateways."""

import contextlib
import io
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select
from support import accounts as support
from support import running
from support.asgi_server import free_port

from sms_gateway.backend import IN_A_CIRCLE
from sms_gateway.cli import main
from sms_gateway.sms.message import State
from sms_gateway.store import Store, accounts, events, history, inbox, stops
from sms_gateway.store.tables import message, step

ROUTES = """
[upstreams]
north = "smpp://u:p@127.0.0.1:1"
south = "https://:secret@127.0.0.1:2/"
[[routes]]
prefix = "32"
upstreams = ["north", "south"]
weights = [70, 30]
rate = 5
validity = "1h"
senders = "number"
sender = "8000"
[[routes]]
prefix = "33"
closed = true
"""


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str, config: str) -> Ended:
    """What a command does, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        for name in [name for name in os.environ if name.startswith("SENDSMSNOW_")]:
            patch.delenv(name)
        patch.setattr(sys, "argv", ["sendsmsnow", "--config", config, *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return Ended(ended.value.code, out.getvalue(), err.getvalue())


@pytest.fixture
def config(tmp_path: Path, database: str) -> str:
    file = tmp_path / "gateway.toml"
    file.write_text(f'database_url = "{database}"\n{ROUTES}')
    return str(file)


def test_the_routes_are_listed(config: str) -> None:
    listed = [
        json.loads(line)
        for line in run("route", "list", "--json", config=config).stdout.splitlines()
    ]
    assert [route["prefix"] for route in listed] == ["(every number)", "32", "33"]
    assert listed[1]["upstreams"] == "north:70,south:30"
    assert "secret" not in json.dumps(listed)


def test_where_a_number_goes_is_told_with_the_reasons(config: str, store: Store) -> None:
    support.create(store, sender="ACME", validity=1_800_000)
    told = run("route", "check", "+32494000000", "--key", "acme", config=config)
    assert told.returncode == 0, told.stderr
    for line in (
        "+32494000000 is a number of BE",
        "route 32: the longest prefix that fits",
        "  upstreams: north:70,south:30",
        "from 8000",
        "worth delivering for 30m",
        "no worker is running",
        "it would be accepted",
    ):
        assert line in told.stdout.splitlines()


def test_each_step_to_a_route_with_conditions_is_told(config: str, store: Store) -> None:
    file = Path(config)
    file.write_text(
        file.read_text()
        + """
[[routes]]
prefix = "33"
name = "french"
closed = true
when = { keys = ["acme"] }
[[routes]]
prefix = "32"
name = "proximus"
closed = true
when = { operators = ["Proximus"] }
[[routes]]
prefix = "32"
name = "codes"
upstreams = ["south", "north"]
prices = [0.05, 0.04]
when = { text = "code", sender = "^ACME" }
rewrite = [{ of = "text", pattern = "code", replacement = "ц" }]
"""
    )
    _, account = support.create(store, sender="ACME")
    with store.write() as connection:
        inbox.assign(connection, "32494000000", account.id, 0)

    def check(*more: str) -> list[str]:
        told = run("route", "check", "+32494000000", "--key", "acme", *more, config=config)
        assert told.returncode == 0, told.stderr
        return told.stdout.splitlines()

    lines = check("--message", "a" * 80 + "code")
    assert lines[1:6] == [
        "this is a dedicated number of this gateway: the message would come back to it",
        "operator by its range: Orange; it may have been ported to another",
        "route 33 french: passed over, it is for other numbers",
        "route 32 proximus: passed over, it is for other operators",
        "route 32 codes: takes it",
    ]
    assert "  upstreams: north at 0.04,south at 0.05" in lines
    assert "its rules rewrite the text: 84 characters become 81" in lines
    assert "gsm7, parts: 2" in lines
    lines = check("--message", "Hello")
    assert "route 32 codes: passed over, it is for other texts" in lines
    assert "route 32: the longest prefix that fits" in lines


@pytest.mark.parametrize(
    ("region", "number", "lines"),
    [
        ("", "32494000000", ["+32494000000 is a number of BE", "kind: mobile"]),
        (
            "US",
            "(201) 594-6934",
            [
                "+12015946934 is a number of US",
                "read as a national number of US; with + in front it would be +2015946934",
                "kind: landline or mobile",
            ],
        ),
        (
            "BE",
            "02 511 22 33",
            [
                "+3225112233 is a number of BE",
                "read as a national number of BE",
                "kind: landline. Many carriers refuse texts to landlines, or lose them.",
            ],
        ),
        (
            "BE",
            "31612345678",
            [
                "+31612345678 is a number of NL",
                "read as an international number, as it is no national number of BE",
                "kind: mobile",
            ],
        ),
    ],
)
def test_how_a_number_was_read_and_its_kind_are_told(config, store, region, number, lines) -> None:
    if region:
        file = Path(config)
        file.write_text(f'default_region = "{region}"\n{file.read_text()}')
    told = run("route", "check", number, config=config)
    assert told.stdout.splitlines()[: len(lines)] == lines


def test_few_digits_are_a_short_code_and_a_number_that_short_takes_a_plus(config, store) -> None:
    file = Path(config)
    file.write_text(f'default_region = "DE"\n{file.read_text()}')
    support.create(store)
    # +49 40123 is a number of Hamburg.
    for written, digits in (("40123", "40123"), ("+4940123", "4940123"), ("040123", "4940123")):
        assert run("number", "assign", written, "acme", config=config).stdout == f"{digits} acme\n"
        assert run("number", "release", written, config=config).returncode == 0


@pytest.mark.parametrize(
    ("number", "options", "reason"),
    [
        ("+33612345678", {}, "code 99, the route is closed"),
        ("+32494000000", {"countries": frozenset({"FR"})}, "code 99, the key may not send to BE"),
        ("+32494000000", {"enabled": False}, "code 40, the key is disabled"),
        ("+32494000001", {}, "code 7, the recipient has asked to stop"),
    ],
)
def test_why_a_number_would_be_refused_is_told(config, store, number, options, reason) -> None:
    key, account = support.create(store)
    with store.write() as connection:
        accounts.change(connection, "acme", **options)
        stops.add(connection, account.id, "+32494000001", 0)
    told = run("route", "check", number, "--apikey", key, config=config)
    assert told.returncode == 1
    assert told.stderr == f"sendsmsnow: it would be refused: {reason}\n"
    # Who sends by a route says nothing where nobody does.
    assert ("no worker is running" in told.stdout) == ("closed" not in reason)


def test_a_callback_is_set_with_a_secret_that_is_shown_once(config: str, store: Store) -> None:
    support.create(store)

    def set_callback(url: str) -> str:
        done = run("key", "set", "acme", "--callback", url, config=config)
        assert done.returncode == 0, done.stderr
        return done.stdout

    url = "https://example.com/hook"
    first = re.findall(r"whsec_\S+", set_callback(url))
    assert len(first) == 1
    with store.write() as connection:
        account = accounts.by_name(connection, "acme")
        assert account is not None
        events.pause(connection, account.id, now=1, reason="HTTP status 500")
    shown = run("key", "show", "acme", config=config).stdout
    assert url in shown
    assert "1970-01-01T00:00:00Z: HTTP status 500" in shown
    assert "whsec" not in shown
    # The same again ends the pause and keeps the secret.
    again = set_callback(url)
    assert "whsec" not in again
    assert "HTTP status 500" not in again
    assert re.findall(r"whsec_\S+", set_callback("https://example.com/other")) not in ([], first)
    assert "example.com" not in set_callback("none")


def test_a_callback_to_a_private_address_is_wrong_use(config: str, store: Store) -> None:
    support.create(store)
    done = run("key", "set", "acme", "--callback", "http://169.254.169.254/", config=config)
    assert done.returncode == 2
    assert "the address is not public" in done.stderr


def test_a_stop_is_listed_and_lifted(config: str, store: Store) -> None:
    _, account = support.create(store)
    with store.write() as connection:
        stops.add(connection, account.id, "+32494000000", 0)
    assert "+32494000000" in run("stop", "list", config=config).stdout
    assert run("key", "show", "acme", config=config).stdout.count("stops      1") == 1
    lift = ("stop", "lift", "0032494000000", "--key", "acme")
    assert run(*lift, config=config).returncode == 0
    assert run(*lift, config=config).returncode == 1
    assert run("stop", "list", config=config).stdout == ""


def test_parked_events_are_listed_and_replayed(config: str, store: Store) -> None:
    _, account = support.create(store, callback_url="https://example.com/", callback_secret="x")
    with store.write() as connection:
        events._add(
            connection,
            0,
            [{"account_id": account.id, "delivery_id": None, "received_id": None, "state": "x"}],
        )
        (row,) = events.listed(connection, most=10)
        events.put_off(connection, row.id, due_at=None, failure="HTTP status 500")
    (listed,) = run("event", "list", "--json", config=config).stdout.splitlines()
    facts = json.loads(listed)
    assert (facts["id"], facts["state"], facts["attempts"]) == (row.id, "parked", 1)
    assert run("event", "replay", "nothing", config=config).returncode == 1
    assert run("event", "replay", row.id, config=config).stdout == "1 replayed\n"
    assert "parked" not in run("event", "list", config=config).stdout


def test_a_relay_between_two_gateways_brings_the_receipts_back(
    tmp_path: Path, database: str, store: Store
) -> None:
    (tmp_path / "there").mkdir()
    there_db = f"sqlite:///{tmp_path}/there/sms.sqlite3"
    with running.serve(tmp_path / "there", there_db, upstream="sandbox:?delay=0.05") as there:
        key = there.create_key("--rate", "none")
        url = f"{there.url}/sendsms/?apikey={key}&idempotent=1&receipts=1&poll_interval=0.1"
        with running.serve(tmp_path, database, upstream=url) as here:
            own = here.create_key("--rate", "none", "--multi")
            sent = here.run("send", "+32494000000,+32494000001", "Grüße €" * 30, "--apikey", own)
            id = re.findall(r"id=(\w{32})", sent)[0]

            def states() -> list[State]:
                with store.read() as connection:
                    found = history.of_message(connection, id)
                assert found is not None
                return [delivery.state for delivery in found.deliveries]

            expected = [State.DELIVERED, State.UNDELIVERABLE]
            running.wait_for(lambda: states() == expected, 30)
        assert key not in (tmp_path / "serve.log").read_text()
    with contextlib.closing(Store(there_db)) as theirs, theirs.read() as connection:
        (account,) = accounts.everyone(connection)
    assert account.name == "acme"


def test_relays_in_a_circle_end_with_the_reason(
    tmp_path: Path, database: str, store: Store
) -> None:
    (tmp_path / "there").mkdir()
    there_db = f"sqlite:///{tmp_path}/there/sms.sqlite3"
    back = free_port()
    key, _ = support.create(store, rate=None)
    home = f"http://127.0.0.1:{back}/sendsms/?apikey={key}&idempotent=1"
    with running.serve(tmp_path / "there", there_db, upstream=home) as there:
        away = there.create_key("--rate", "none")
        url = f"{there.url}/sendsms/?apikey={away}&idempotent=1"
        with running.serve(tmp_path, database, port=f"{back}", upstream=url) as here:
            here.run("send", "+32494000000", "Round and round", "--apikey", key)
            with contextlib.closing(Store(there_db)) as theirs:

                def failures() -> list[str]:
                    return [detail for each in (store, theirs) for detail in _failed(each)]

                running.wait_for(lambda: bool(failures()), 60)
                assert failures() == [f"7 {IN_A_CIRCLE}"]
                with store.read() as ours, theirs.read() as other:
                    count = select(func.count()).select_from(message)
                    counted = [each.execute(count).scalar_one() for each in (ours, other)]
                # It was accepted with 0, 2 and 4 hops here, with 1, 3 and 5 there.
                assert counted == [3, 3]


def _failed(store: Store) -> list[str]:
    """The reasons in the journal why deliveries failed."""
    with store.read() as connection:
        return list(
            connection.execute(select(step.c.detail).where(step.c.event == "failed")).scalars()
        )


PUSHING = """
[upstreams]
silent = "https://:secret@127.0.0.1:2/"
"north / süd" = "https://:secret@127.0.0.1:2/?push_secret={new},{old}"
carrier = "smpp://u:p@127.0.0.1:1"
"""


def test_the_address_of_a_provider_is_shown_with_its_newest_secret(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('public_url = "https://sms.example.com/gw"\n')
    new, old = (run("upstream", "new-secret", config=str(file)).stdout.strip() for _ in range(2))
    assert new != old
    file.write_text(file.read_text() + PUSHING.format(new=new, old=old), "utf-8")
    url = f"https://sms.example.com/gw/upstream/north%20%2F%20s%C3%BCd/{new}"
    assert run("upstream", "address", config=str(file)).stdout == f"north / süd  {url}\n"
    assert run("upstream", "address", "north / süd", config=str(file)).stdout == f"{url}\n"
    listed = run("upstream", "address", "--json", config=str(file)).stdout
    assert json.loads(listed) == {"upstream": "north / süd", "address": url}
    shown = run("settings", config=str(file)).stdout
    assert "north / süd" in shown
    assert new not in shown
    assert old not in shown


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("silent", "its URL has no push_secret"),
        ("carrier", "its kind takes none"),
        ("default", "its URL has no push_secret"),
        ("nobody", "there is no upstream 'nobody'"),
    ],
)
def test_why_nothing_is_pushed_to_an_upstream_is_told(tmp_path: Path, name: str, why: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(PUSHING.format(new="x" * 22, old="y" * 22), "utf-8")
    done = run("upstream", "address", name, config=str(file))
    assert done.returncode == 1
    assert why in done.stderr


def test_where_nothing_is_pushed_at_all_the_command_says_how_to_begin(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("")
    done = run("upstream", "address", config=str(file))
    assert (done.returncode, done.stdout) == (0, "")
    assert "upstream new-secret draws a push_secret" in done.stderr
