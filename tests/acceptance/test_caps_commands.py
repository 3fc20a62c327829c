"""The commands about caps, keys and routes, and what the operator is told: on both databases."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import select, update
from standardwebhooks import Webhook
from support.command import run as run_command

from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import Reply, Submission
from sms_gateway.bootstrap.gateway import gateway as make_gateway
from sms_gateway.callbacks.networks import networks
from sms_gateway.callbacks.operator import OperatorTeller
from sms_gateway.codes import Code
from sms_gateway.settings import load
from sms_gateway.store import Store, tables

from .test_routes_and_events import Ended, run

SETTINGS = """
total_parts_per_day = 50
number_cap = "5/h"
free_key_countries = "BE,FR"
[prefix_caps]
225 = "3/h"
[[routes]]
prefix = "881"
upstreams = ["default"]
kinds = ["satellite"]
"""
IVORIAN, PREMIUM, SATELLITE = "+2250700000001", "+19002345678", "+881612345678"


@pytest.fixture
def config(tmp_path: Path, database: str) -> str:
    file = tmp_path / "gateway.toml"
    file.write_text(f'database_url = "{database}"\n{SETTINGS}')
    return str(file)


@pytest.fixture
async def gateway(config: str, store: Store) -> AsyncIterator[Gateway]:
    accepting = make_gateway(load(Path(config), {}, {}), store)
    await accepting.start()
    yield accepting
    await accepting.aclose()


async def ask(*arguments: str, config: str) -> Ended:
    return await asyncio.to_thread(run, *arguments, config=config)


async def listed(*arguments: str, config: str) -> list[dict[str, Any]]:
    shown = await ask("cap", "list", "--json", *arguments, config=config)
    assert shown.returncode == 0, shown.stderr
    return [json.loads(line) for line in shown.stdout.splitlines()]


async def test_what_is_counted_is_listed_and_lifted(config: str, gateway: Gateway) -> None:
    made = await ask("key", "create", "acme", "--rate", "none", "--parts-per-day", "9",
                     config=config)  # fmt: skip
    key = made.stdout.strip()

    async def send(number: str) -> Reply:
        return await gateway.sendsms(Submission(number, "hi", key))

    replies = [await send(IVORIAN) for _ in range(4)]
    assert [r.error for r in replies] == [Code.SENT] * 3 + [Code.TOO_FAST]
    assert replies[3].note.startswith("Too many parts for this destination, until ")
    told = await ask("route", "check", IVORIAN, "--key", "acme", config=config)
    assert told.returncode == 1
    assert f"code 100, t{replies[3].note[1:]}" in told.stderr
    counters = {(each["counts"], each["name"]): each for each in await listed(config=config)}
    assert set(counters) == {("key", "acme"), ("prefix", "225"), ("total", None)}
    prefix = counters["prefix", "225"]
    assert (prefix["parts"], prefix["cap"], prefix["refusals"]) == (3, "3/h", 1)
    assert prefix["reached_at"]
    assert prefix["lifted_at"] is None
    assert (counters["key", "acme"]["parts"], counters["key", "acme"]["cap"]) == (3, "9/day")
    assert counters["total", None]["cap"] == "50/day"
    everything = await listed("--all", config=config)
    assert ("number", IVORIAN) in {(each["counts"], each["name"]) for each in everything}
    refusals = {each["counts"]: each for each in await listed("--refusals", config=config)}
    assert refusals["prefix"] == {"counts": "prefix", "refusals": 1, "refused_parts": 1}
    assert refusals["key"]["refusals"] == 0
    lifted = await ask("cap", "lift", "--prefix", "+225", config=config)
    assert lifted.stdout == "counted anew from now on\n"
    assert (await send(IVORIAN)).error is Code.SENT
    for arguments in (["acme"], ["--number", IVORIAN], ["--total"]):
        assert (await ask("cap", "lift", *arguments, config=config)).returncode == 0
    assert {each["counts"]: each["parts"] for each in await listed(config=config)} == {
        "key": 0, "prefix": 1, "total": 0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["cap", "lift"], 2, "say one of NAME, --number"),
        (["cap", "lift", "acme", "--total"], 2, "say one of NAME, --number"),
        (["cap", "lift", "nobody"], 1, "there is no key named 'nobody'"),
        (["cap", "lift", "--number", "rubbish"], 2, "NUMBER: "),
        (["cap", "lift", "--prefix", "999"], 1, "nothing is counted for it now"),
        (["key", "set", "acme", "--kinds", "premium,mobile"], 2, "allowed: pager, personal, prem"),
        (["key", "set", "acme", "--parts-per-day", "0"], 2, "allowed: 1 to 999999999, or none"),
    ],
)
def test_wrong_use_is_told(config: str, arguments: list[str], status: int, said: str) -> None:
    run("key", "create", "acme", config=config)
    ended = run(*arguments, config=config)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert said in ended.stderr


def test_keys_and_routes_open_kinds_and_route_check_says_so(config: str) -> None:
    run("key", "create", "acme", config=config)

    def check(number: str) -> str:
        return run("route", "check", number, "--key", "acme", config=config).stderr

    closed = "code 99, numbers of this kind are closed: premium rate"
    assert closed in check(PREMIUM)
    assert closed in run("route", "check", PREMIUM, config=config).stderr
    assert check(SATELLITE) == ""
    assert "kinds=satellite" in run("route", "list", config=config).stdout
    shown = run("key", "set", "acme", "--kinds", "premium,pager", "--parts-per-minute", "5",
                "--parts-per-month", "900", config=config).stdout  # fmt: skip
    assert "caps       5/min,900/month\nkinds      pager,premium\nfree       no" in shown
    assert check(PREMIUM) == ""
    facts = json.loads(run("key", "set", "acme", "--kinds", "none", "--parts-per-minute", "none",
                           "--free", "--json", config=config).stdout)  # fmt: skip
    assert (facts["caps"], facts["kinds"], facts["free"]) == (["900/month"], [], True)
    # What the route opens is not open to free keys, and nor are other countries.
    assert "code 99, free keys may not send to 001" in check(SATELLITE)
    assert "code 99, free keys may not send to CI" in check(IVORIAN)


def test_an_operators_callback_without_a_secret_is_refused_and_no_secret_is_shown() -> None:
    wrong = run_command("settings", operator_callback="https://:whsec_short@ops.example/caps")
    assert wrong.returncode == 2
    assert "openssl rand -hex 24" in wrong.stderr
    assert "whsec_short" not in wrong.stderr
    secret = "whsec_" + "ab12" * 12
    shown = run_command("settings", operator_callback=f"https://:{secret}@ops.example/caps")
    assert "operator_callback https://:***@ops.example/caps" in shown.stdout
    assert secret not in shown.stdout


async def test_the_operator_is_told_once_a_window_and_again_until_it_is_taken(
    store: Store, config: str, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "whsec_" + "ab12" * 12
    statuses, came = [500, 204], []

    async def take(request: web.Request) -> web.Response:
        event = Webhook(secret).verify(await request.read(), dict(request.headers))
        came.append((request.headers["webhook-id"], event))
        return web.Response(status=statuses.pop(0))

    app = web.Application()
    app.router.add_post("/caps", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://:{secret}@127.0.0.1:{runner.addresses[0][1]}/caps"
    tellers = [
        asyncio.create_task(
            OperatorTeller(
                store, url, allowed=networks("127.0.0.0/8"), poll=0.05, pauses=(100, 100)
            ).run()
        )
        for _ in range(2)
    ]
    made = await ask("key", "create", "acme", "--rate", "none", config=config)
    for _ in range(7):
        await gateway.sendsms(Submission("+32494000000", "hi", made.stdout.strip()))
    while statuses:
        await asyncio.sleep(0.05)
    # Refusals that come later in the same window are counted and not told.
    await gateway.sendsms(Submission("+32494000000", "hi", made.stdout.strip()))
    await asyncio.sleep(0.5)
    for task in tellers:
        task.cancel()
    await asyncio.gather(*tellers, return_exceptions=True)
    await runner.cleanup()
    assert len(came) == 2
    assert came[0][0] == came[1][0]
    assert came[1][1]["type"] == "cap.reached"
    data = came[1][1]["data"]
    assert (data["counts"], data["name"], data["cap"]) == ("number", "+32494000000", "5/h")
    assert data["key"] == "acme"
    reached = [record for record in caplog.records if record.message == "cap reached"]
    assert [(r.counts, r.of, r.cap) for r in reached] == [("number", "+3249400…", "5/h")]  # type: ignore[attr-defined]
    with store.write() as connection:
        trip = connection.execute(update(tables.cap_trip).values(attempts=0).returning(
            tables.cap_trip.c.due_at, tables.cap_trip.c.refusals)).one()  # fmt: skip
    assert (trip.due_at, trip.refusals) == (None, 3)


async def test_why_the_operator_cannot_be_told_is_kept(
    store: Store, config: str, gateway: Gateway
) -> None:
    secret = "whsec_" + "ab12" * 12
    made = await ask("key", "create", "acme", "--rate", "none", config=config)
    for _ in range(6):
        await gateway.sendsms(Submission("+32494000000", "hi", made.stdout.strip()))
    told = []
    for url, allowed in (("127.0.0.1:25", "127.0.0.0/8"), ("127.0.0.1:8080", "")):
        teller = OperatorTeller(
            store, f"http://:{secret}@{url}/caps", allowed=networks(allowed), poll=0.05, pauses=()
        )
        with store.write() as connection:
            connection.execute(update(tables.cap_trip).values(due_at=0, attempts=0, failure=""))
        task = asyncio.create_task(teller.run())
        failure = ""
        while not failure:
            await asyncio.sleep(0.05)
            with store.read() as connection:
                failure = connection.execute(select(tables.cap_trip.c.failure)).scalar_one()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        told.append(failure)
    assert told == ["its port is not one of callback_ports", "its address is not public"]
