"""Resending, reading, asking and deleting over real HTTP, in front of a real store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select, update
from support import accounts as support
from support import databases, queued, whole_gateway
from support.http import Answer, ask
from support.serving import Server

from sms_gateway.codes import Code
from sms_gateway.store import Store, history, inbox, queue, tables

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
NOW = 1_800_014_400_123
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


@pytest.fixture(scope="module", params=databases.KINDS)
def config(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("gateway")
    with databases.fresh(request.param, folder) as url:
        yield whole_gateway.settings_file(folder, url)


@pytest.fixture(scope="module")
def server(config: Path) -> Iterator[Server]:
    with whole_gateway.served(config) as running:
        yield running


@pytest.fixture
def store(config: Path) -> Iterator[Store]:
    opened = Store(config.read_text().partition('database_url = "')[2].partition('"')[0])
    yield opened
    opened.close()


@pytest.fixture
def key(store: Store, request: pytest.FixtureRequest) -> str:
    return support.create(store, request.node.name, rate=None, multi=True)[0]


def post(server: Server, path: str, **fields: Any) -> Answer:
    return ask(server, path, urlencode(fields).encode(), headers=FORM)


def sent(server: Server, store: Store, key: str, *states: str) -> str:
    """A message with deliveries in these states."""
    numbers = ",".join(f"3249400000{n}" for n in range(len(states)))
    id = str(post(server, "/sendsms/", recipients=numbers, message="hi", apikey=key).result["id"])
    with store.write() as connection:
        of_it = select(tables.delivery.c.id).where(tables.delivery.c.message_id == id)
        ids = connection.execute(of_it.order_by(tables.delivery.c.id)).scalars().all()
        for number, state in zip(ids, states, strict=True):
            queued.bring_to(connection, number, state)
        queue.record_steps(connection, [(ids[0], NOW, 1, "submitted", "A1 <&>")])
    return id


def texts(store: Store, *ids: str) -> list[str]:
    with store.read() as connection:
        rows = connection.execute(select(tables.message.c.id, tables.message.c.text))
        stored = {row.id: row.text for row in rows}
    return [stored[id] for id in ids]


def receive(store: Store, name: str, *received: str) -> int:
    """Messages received by an account; the id of the first."""
    with store.write() as connection:
        inbox.take_turns(connection)
        account = connection.execute(
            select(tables.account.c.id).where(tables.account.c.name == name)
        ).scalar_one()
        inbox.add_received(
            connection,
            [
                {
                    "account_id": account,
                    "upstream": "default",
                    "sender": "+32494000001",
                    "recipient": "8850",
                    "text": text,
                    "received_at": NOW,
                }
                for text in received
            ],
        )
        mine = select(tables.received.c.id).where(tables.received.c.account_id == account)
        return min(connection.execute(mine).scalars())


@pytest.mark.parametrize("path", ["/resendsms", "/resendsms/"])
def test_a_message_is_sent_again_by_get_and_post(
    server: Server, store: Store, key: str, path: str
) -> None:
    id = sent(server, store, key, "failed", "delivered")
    for answer in (
        ask(server, f"{path}?apikey={key}&id={id}"),
        post(server, path, apikey=key, id=id),
        ask(server, path, json.dumps({"apikey": key, "id": id}).encode(), headers=JSON),
        ask(server, f"{path}?id={id}", headers={"Authorization": f"Bearer {key}"}),
    ):
        assert answer.status == 200
        assert answer.result == {"error": "0", "sent": "1", "id": id}


def test_received_messages_read_as_documented(
    server: Server, store: Store, key: str, request: pytest.FixtureRequest
) -> None:
    first = receive(store, request.node.name, "Hi <&>\r\n", "Zoë")
    answer = ask(server, f"/getsms/?apikey={key}")
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert answer.body.decode() == (
        f"{HEAD}<result><error>0</error><messages>"
        f"<message><id>{first}</id><from>+32494000001</from><to>8850</to>"
        "<message>Hi &lt;&amp;&gt;&#13;\n</message>"
        "<received>2027-01-15T12:00:00.123Z</received></message>"
        f"<message><id>{first + 1}</id><from>+32494000001</from><to>8850</to>"
        "<message>Zoë</message><received>2027-01-15T12:00:00.123Z</received></message>"
        f"</messages><next>{first + 1}</next></result>"
    )
    one = {"apikey": key, "after": first, "limit": 1}
    answer = ask(server, "/getsms/", json.dumps(one).encode(), headers=JSON)
    assert json.loads(answer.body) == {
        "result": {
            "error": 0,
            "messages": [
                {
                    "id": first + 1,
                    "from": "+32494000001",
                    "to": "8850",
                    "message": "Zoë",
                    "received": "2027-01-15T12:00:00.123Z",
                }
            ],
            "next": first + 1,
        }
    }
    empty = ask(server, f"/getsms/?apikey={key}&after={first + 1}&limit=")
    assert empty.body.decode() == (
        f"{HEAD}<result><error>0</error><messages></messages><next>{first + 1}</next></result>"
    )


def test_the_status_reads_as_documented(server: Server, store: Store, key: str) -> None:
    id = sent(server, store, key, "submitted", "queued")
    with store.read() as connection:
        accepted = connection.execute(
            select(tables.message.c.accepted_at).where(tables.message.c.id == id)
        ).scalar_one()
    step = {"at": "2027-01-15T12:00:00.123Z", "part": 1, "event": "submitted", "detail": "A1 <&>"}
    answer = ask(server, f"/status/?apikey={key}&id={id}&format=json")
    result = json.loads(answer.body)["result"]
    assert result.pop("accepted").endswith(f".{accepted % 1000:03}Z")
    assert result == {
        "error": 0,
        "sent": 2,
        "id": id,
        "state": "queued",
        "parts": 1,
        "reference": "",
        "deliveries": [
            {"recipient": "+32494000000", "state": "submitted", "steps": [step]},
            {"recipient": "+32494000001", "state": "queued", "steps": []},
        ],
    }
    xml = post(server, "/status", apikey=key, id=id).body.decode()
    assert (
        "<deliveries><delivery><recipient>+32494000000</recipient><state>submitted</state><steps><step>"
        "<at>2027-01-15T12:00:00.123Z</at><part>1</part><event>submitted</event>"
        "<detail>A1 &lt;&amp;&gt;</detail></step></steps></delivery>"
    ) in xml


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/getsms/", "after=x"),
        ("/getsms/", "after=-1"),
        ("/getsms/", "after=1.5"),
        ("/getsms/", "after=99999999999999999999"),
        ("/getsms/", "after=9223372036854775808"),
        ("/getsms/", "limit=x"),
        ("/getsms/", "limit=1001"),
        ("/deletesms/", "before="),
        ("/deletesms/", "before=x"),
        ("/deletesms/", "before=1700000000"),
        ("/deletesms/", "before=2026-13-01"),
        ("/deletesms/", "before=1969-12-31"),
        ("/deletesms/", "before=0001-01-01T00:00:00%2B23:00"),
        ("/deletesms/", "before=01/02/2026"),
    ],
)
def test_a_parameter_that_means_nothing_is_refused_after_the_key_and_by_name(
    server: Server, store: Store, key: str, path: str, parameter: str
) -> None:
    id = sent(server, store, key, "delivered")
    answer = ask(server, path, f"apikey={key}&{parameter}".encode(), headers=FORM)
    assert (answer.status, answer.error) == (200, Code.NOT_SENT)
    assert answer.result["note"].startswith(parameter.partition("=")[0] + " is ")
    wrong = ask(server, path, f"apikey=wrong&{parameter}".encode(), headers=FORM)
    assert wrong.error == Code.KEY_WRONG
    assert texts(store, id) == ["hi"]


@pytest.mark.parametrize(
    ("before", "deleted"),
    [
        ("2000-01-01", 0),
        ("20000101", 0),
        ("2099-12-31", 1),
        ("2099-12-31T23:59", 1),
        ("2099-12-31T23:59:59.999Z", 1),
        ("2099-12-31 23:59:59+02:00", 1),
    ],
)
def test_a_date_and_a_time_say_what_is_deleted(
    server: Server, store: Store, key: str, before: str, deleted: int
) -> None:
    id = sent(server, store, key, "delivered")
    answer = post(server, "/deletesms/", apikey=key, before=before)
    assert answer.result == {"error": "0", "sent": str(deleted), "id": ""}
    assert texts(store, id) == ["" if deleted else "hi"]


def test_a_time_without_a_zone_is_utc(server: Server, store: Store, key: str) -> None:
    id = sent(server, store, key, "delivered")
    with store.write() as connection:
        noon = 1_600_084_800_000  # 2020-09-14 12:00 UTC
        connection.execute(
            update(tables.message).where(tables.message.c.id == id).values(accepted_at=noon)
        )
    for before in ("2020-09-14", "2020-09-14T12:00", "2020-09-14T13:00+01:00"):
        assert post(server, "/deletesms/", apikey=key, before=before).result["sent"] == "0"
    assert post(server, "/deletesms/", apikey=key, before="2020-09-14T12:00:00.001").error == 0
    assert texts(store, id) == [""]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT", "OPTIONS"])
def test_nothing_but_post_deletes(server: Server, store: Store, key: str, method: str) -> None:
    id = sent(server, store, key, "delivered")
    answer = ask(server, f"/deletesms/?apikey={key}", method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert texts(store, id) == ["hi"]


@pytest.mark.parametrize(
    "body",
    [
        {"id": ""},
        {"id": None},
        {"id": 5},
        {"id": []},
        {"before": None},
        {"before": 1700000000},
        {"Id": "f" * 32},
        {"befor": "2026-01-01"},
        {"until": "2026-01-01"},
    ],
)
def test_a_slip_in_what_to_delete_deletes_nothing(
    server: Server, store: Store, key: str, body: dict[str, Any]
) -> None:
    id = sent(server, store, key, "delivered")
    answer = ask(server, "/deletesms/", json.dumps({"apikey": key, **body}).encode(), headers=JSON)
    assert answer.error in (Code.NOT_SENT, Code.ID_MISSING)
    assert texts(store, id) == ["hi"]


def test_messages_are_deleted_one_by_one_or_all(server: Server, store: Store, key: str) -> None:
    ids = [sent(server, store, key, state) for state in ("delivered", "failed", "queued")]
    assert post(server, "/deletesms/", apikey=key, id=ids[0]).result["sent"] == "1"
    assert texts(store, *ids) == ["", "hi", "hi"]
    assert post(server, "/deletesms", apikey=key, format="json").result["sent"] == "1"
    assert texts(store, *ids) == ["", "", "hi"]


@pytest.mark.parametrize("path", ["/resendsms/", "/getsms/", "/status/", "/deletesms/"])
def test_every_path_answers_in_the_terms_of_the_api(server: Server, path: str) -> None:
    answer = post(server, path)
    assert (answer.status, answer.error) == (200, Code.KEY_MISSING)
    assert answer.body.decode() == (
        f"{HEAD}<result><error>60</error><sent>0</sent><id></id>"
        f"<note>{Code.KEY_MISSING.sentence}</note></result>"
    )
    assert answer.headers["cache-control"] == "no-store"
    assert not [name for name in answer.headers if name.startswith("access-control")]
    unread = ask(server, path, b"<x/>", headers={"Content-Type": "text/xml"})
    assert (unread.status, unread.error) == (415, Code.NOT_SENT)
    if path != "/deletesms/":
        refused = ask(server, path, method="HEAD")
        assert (refused.status, refused.headers["allow"]) == (405, "GET, POST")


def test_a_message_is_sent_with_a_sender_and_a_reference(server: Server, store: Store) -> None:
    key, _ = support.create(store, "chooses", rate=None, senders=frozenset({"ACME", "8000"}))
    said = {"recipients": "32494000000", "message": "hi", "apikey": key}
    ways = [
        post(server, "/sendsms/", **said, sender="ACME", reference="4711"),
        ask(server, f"/sendsms/?{urlencode(said | {'sender': 'ACME', 'reference': '4711'})}"),
        ask(
            server,
            "/sendsms/",
            json.dumps(said | {"sender": "ACME", "reference": 4711}).encode(),
            headers=JSON,
        ),
    ]
    for answer in ways:
        assert answer.result["error"] in (0, "0")
        status = post(server, "/status/", apikey=key, id=answer.result["id"])
        assert status.result["reference"] == "4711"
        with store.read() as connection:
            found = history.of_message(connection, str(answer.result["id"]))
        assert found is not None
        assert (found.sender, found.reference) == ("ACME", "4711")
    refused = post(server, "/sendsms/", **said, sender="Other").result
    assert (int(refused["error"]), refused["note"]) == (7, "This key may not name this sender")
