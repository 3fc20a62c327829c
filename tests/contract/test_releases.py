"""Every later version goes on where a release stopped: with its database, and with its callers."""

import http.client
import json
import re
from collections import Counter
from functools import partial
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlencode

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine
from support.databases import KINDS, fresh
from support.releases import RELEASES, SETTINGS, fill, recorded
from support.running import Running, serve, wait_for

from sms_gateway.store import Store, database_url, migrate
from sms_gateway.store.adoption import OLD_INDEXES
from sms_gateway.store.indexes import is_compared, metadata


def settings(folder: Path) -> dict[str, str]:
    (folder / "sms.toml").write_text(SETTINGS)
    return {"config": str(folder / "sms.toml"), "upstream": "sandbox:?delay=0.1&timeout=1"}


def ask(gateway: Running, path: str, **fields: str) -> Any:
    return call(gateway, path, fields | {"format": "json"})[2]["result"]


def call(
    gateway: Running,
    path: str,
    fields: dict[str, str],
    *,
    post: bool = False,
    headers: dict[str, str] | None = None,
    body: str = "",
) -> tuple[int, str, dict[str, Any]]:
    """Status, type and the answer's fields by name."""
    form = {} if body or not post else {"Content-Type": "application/x-www-form-urlencoded"}
    target = path if post else f"{path}?{urlencode(fields)}"
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    sent = (body or urlencode(fields)).encode() if post else None
    connection.request("POST" if post else "GET", target, sent, form | (headers or {}))
    response = connection.getresponse()
    answer = response.read().decode()
    connection.close()
    return response.status, response.headers["Content-Type"], fields_of(answer)


def fields_of(answer: str) -> dict[str, Any]:
    """The fields of an answer in JSON or XML, by name."""
    if answer.startswith("{"):
        found: dict[str, Any] = json.loads(answer)
        return found
    return dict(re.findall(r"<(?:\w+:)?(error|sent|id|next)>([^<]*)<", answer))


# Alembic compares no indexes on expressions in SQLite; tests/unit/test_migrate.py looks at them.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("release", RELEASES)
def test_a_database_of_a_release_is_migrated_and_keeps_all_that_was_in_it(
    release: str, kind: str, tmp_path: Path
) -> None:
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'sms.sqlite3'}"
        check_migration(url, release)
    else:
        with fresh(kind, tmp_path) as url:
            check_migration(url, release)


def check_migration(url: str, release: str) -> None:
    before = fill(url, release)
    store = Store(url)
    migrate(store)
    with store.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": is_compared}
        )
        # These are dropped when its deliveries are taken over (`store.adoption`). On PostgreSQL
        # they are indexes of a partition.
        differences = compare_metadata(context, metadata)
        assert {(what, index.name) for what, index in differences} == {
            ("remove_index", name) for name in OLD_INDEXES if store.is_sqlite
        }
    store.close()
    engine = create_engine(database_url(url))
    after = MetaData()
    after.reflect(engine)
    with engine.connect() as connection:
        for name, rows in before.items():
            table = after.tables[name]
            for row in rows:
                columns = [table.c[column] for column in row]
                # The steps have no primary key in PostgreSQL, where they are partitioned.
                names = [c.name for c in table.primary_key] or ["id"]
                key = [table.c[each] == row[each] for each in names]
                found = connection.execute(table.select().with_only_columns(*columns).where(*key))
                assert dict(found.mappings().one()) == row, name
    engine.dispose()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("release", RELEASES)
def test_a_gateway_goes_on_with_the_database_of_a_release(
    release: str, kind: str, tmp_path: Path
) -> None:
    if kind == "sqlite":
        go_on(f"sqlite:///{tmp_path / 'sms.sqlite3'}", release, tmp_path)
    else:
        with fresh(kind, tmp_path) as url:
            go_on(url, release, tmp_path)


def go_on(url: str, release: str, folder: Path) -> None:
    rows = fill(url, release)
    keys = recorded(release, "database")["keys"]
    accounts = {row["id"]: row["name"] for row in rows["account"]}
    with serve(folder, url, **settings(folder)) as gateway:
        submitted = sum(row["state"] == "submitted" for row in rows["delivery"])
        # What was queued behind a carrier that is away waits; what nobody knows of is uncertain.
        states: Counter[str] = Counter()

        def told() -> bool:
            states.clear()
            for message in rows["message"]:
                if not message["erased_at"]:
                    key = keys[accounts[message["account_id"]]]
                    status = ask(gateway, "/status/", apikey=key, id=message["id"])
                    assert status["error"] == 0
                    states.update(each["state"] for each in status["deliveries"])
            return states["submitting"] == 0 and states["submitted"] == submitted

        wait_for(told, 60)
        known = {row["id"] for row in rows["message"] if not row["erased_at"]}
        before = Counter(r["state"] for r in rows["delivery"] if r["message_id"] in known)
        before["uncertain"] += before.pop("submitting")
        # What was put off is due by now, and goes to the sandbox.
        due = sum(r["state"] == "queued" and r["route"] != "39" for r in rows["delivery"])
        sent = before["queued"] - states["queued"]
        assert 0 <= sent <= due
        before.subtract({"queued": sent, "delivered": -sent})
        assert states == before
        # Who has repeated a request gets the first answer again, and messages wait to be read.
        repeat = {"recipients": "0032494000000", "message": "Hello", "apikey": keys["key"]}
        again = call(gateway, "/sendsms/", repeat, headers={"Idempotency-Key": "one"})
        assert again[2]["id"] == keys["repeated"]
        inbox = ask(gateway, "/getsms/", apikey=keys["key"])
        assert len(inbox["messages"]) == len(rows["received"])
        # Nobody who has asked for peace gets a message, others do.
        stopped = {**repeat, "recipients": rows["stop"][0]["recipient"]}
        assert ask(gateway, "/sendsms/", **stopped)["error"] == 7
        new = ask(gateway, "/sendsms/", **repeat)
        assert new["error"] == 0
        failed = next(r["message_id"] for r in rows["delivery"] if r["state"] == "undeliverable")
        assert ask(gateway, "/resendsms/", apikey=keys["key"], id=failed)["sent"]

        def delivered() -> bool:
            status = ask(gateway, "/status/", apikey=keys["key"], id=new["id"])
            return bool(status["state"] == "delivered")

        wait_for(delivered, 60)


@pytest.mark.parametrize("release", RELEASES)
def test_what_callers_of_a_release_say_is_answered_as_it_was(release: str, tmp_path: Path) -> None:
    """Fields may come along; the codes, and what was there, stay. Notes are words for people."""
    url = f"sqlite:///{tmp_path / 'sms.sqlite3'}"
    with serve(tmp_path, url, **settings(tmp_path)) as gateway:
        names = {
            "key": gateway.create_key("--multi", "--rate", "none", name="key"),
            "disabled": gateway.create_key(name="disabled"),
            "single": gateway.create_key(name="single"),
        }
        gateway.run("key", "disable", "disabled")
        ids = [name for name in recorded(release, "database")["keys"] if name not in names]

        def real(written: str) -> str:
            return Template(written).safe_substitute(names)

        for each in recorded(release, "conversation"):
            if each["path"] == "/resendsms/" and each["fields"].keys() == {"apikey", "id"}:
                id = real(each["fields"]["id"])
                wait_for(partial(is_settled, gateway, names["key"], id), 60)
            fields = {name: real(value) for name, value in each["fields"].items()}
            status, kind, answer = call(
                gateway,
                each["path"],
                fields,
                post=each["post"],
                headers=each["headers"],
                body=real(each["body"]),
            )
            said = (each["path"], each["fields"])
            assert (status, kind) == (each["status"], each["type"]), said
            assert missing(fields_of(each["answer"]), answer) == [], said
            new = answer.get("result", answer).get("id")
            if each["path"].startswith("/sendsms") and new and new not in names.values():
                waiting = [name for name in ("first", "second", "third") if name not in names]
                if waiting or "Idempotency-Key" in each["headers"]:
                    names[waiting[0] if waiting else "repeated"] = new
        assert set(ids) <= {*names, "told"}


def is_settled(gateway: Running, key: str, id: str) -> bool:
    """Whether nothing of a message is under way; so it is with one that does not exist."""
    return ask(gateway, "/status/", apikey=key, id=id).get("state") in (None, "delivered")


def missing(before: Any, after: Any) -> list[str]:
    """The fields of an answer that are not there any more, or say something else."""
    if isinstance(before, dict):
        lost = [name for name in before if name != "note" and name not in after]
        return lost + [
            f"{name}.{each}"
            for name in before.keys() & after.keys() - {"note"}
            for each in missing(before[name], after[name])
        ]
    if isinstance(before, str) and re.fullmatch(r"[0-9a-f]{32}|\$\w+", before):
        return [] if re.fullmatch(r"[0-9a-f]{32}", str(after)) else [before]
    return [] if before == after else [f"{before} is {after}"]
