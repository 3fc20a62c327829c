"""The HTTP API in front of a real gateway, in this process: what it answers, and what is stored."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select, text, update
from support import accounts
from support.accepting import BELGIAN, BRITISH, FOUR, FRENCH, ITALIAN, NOW, ROUTES, change, rows
from support.api import Api
from support.clock import Clock
from support.http import Answer

from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import IN_A_CIRCLE
from sms_gateway.codes import Code
from sms_gateway.store import Store, inbox, tables
from sms_gateway.web.api import OPERATIONS

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
CALLS = {"Content-Type": "application/vnd.sendsmsnow.calls+json"}
ID = "0190a7b2c3d47e5f8a9b0c1d2e3f4a5b"

# What differs between databases lies behind the gateway: tests/unit/test_gateway.py.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
async def accepting(store: Store, clock: Clock) -> AsyncIterator[Gateway]:
    gateway = Gateway(store, ROUTES, max_parts=3, queue_limit=3, clock=clock)
    await gateway.start()
    yield gateway
    await gateway.aclose()


@pytest.fixture(params=[False, True], ids=["asgi", "express"])
def api(request: pytest.FixtureRequest, accepting: Gateway) -> Api:
    return Api(accepting, express=request.param)


@pytest.fixture
def key(store: Store) -> str:
    return accounts.create(store, rate=None)[0]


def send(api: Api, key: str, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    """What sends a message by a form."""
    given = {"recipients": BELGIAN, "message": "Hello", "apikey": key} | fields
    return api.ask("/sendsms/", urlencode(given).encode(), headers=FORM | (headers or {}))


def stored(store: Store) -> list[tuple[str, str, str]]:
    """Each message's id, text and recipient."""
    message, delivery = tables.message, tables.delivery
    with store.read() as connection:
        found = connection.execute(
            select(message.c.id, message.c.text, delivery.c.recipient)
            .join(delivery, delivery.c.message_id == message.c.id)
            .order_by(delivery.c.id)
        )
        return [(row[0], row[1], row[2]) for row in found]


# -- sending --


@pytest.mark.parametrize("path", ["/sendsms/", "/sendsms"])
@pytest.mark.parametrize("way", ["query", "form", "JSON", "multipart"])
async def test_a_message_is_stored_before_it_is_answered(
    api: Api, store: Store, key: str, way: str, path: str
) -> None:
    fields = {"recipients": BELGIAN, "message": "Grüße & <co>", "apikey": key}
    if way == "query":
        answer = await api.ask(f"{path}?{urlencode(fields)}")
    elif way == "form":
        answer = await api.ask(path, urlencode(fields).encode(), headers=FORM)
    elif way == "JSON":
        answer = await api.ask(path, json.dumps(fields).encode(), headers=JSON)
    else:
        parts = [
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        body = "".join([*parts, "--b--\r\n"]).encode()
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = await api.ask(path, body, headers=kind)
    ((id, text, recipient),) = stored(store)
    assert (text, recipient) == ("Grüße & <co>", "+32494000000")
    assert answer.status == 200
    assert answer.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f"<result><error>0</error><sent>1</sent><id>{id}</id></result>"
    )
    assert answer.headers["cache-control"] == "no-store"


#: What is asked, by a key with which options, and the code and the words of the answer.
REFUSALS: list[tuple[dict[str, str], dict[str, Any], Code, str]] = [
    ({"apikey": ""}, {}, Code.KEY_MISSING, "API key is missing"),
    ({"apikey": "wrong"}, {}, Code.KEY_WRONG, "API key is not correct"),
    ({}, {"enabled": False}, Code.KEY_DISABLED, "API key is disabled"),
    ({"recipients": ""}, {}, Code.NOT_SENT, "there is no number"),
    ({"recipients": "mum"}, {}, Code.NOT_SENT, 'the letter "m"'),
    ({"message": ""}, {}, Code.NOT_SENT, "the text is empty"),
    ({"message": "a" * 460}, {}, Code.NOT_SENT, "too long: 4 parts, at most 3"),
    ({"recipients": f"{BELGIAN},{ITALIAN}"}, {}, Code.NOT_MULTIPLE, "multiple sending"),
    ({"recipients": f"{FOUR},{ITALIAN}"}, {"multi": True}, Code.TOO_MANY, "More than 4 numbers"),
    ({"recipients": f"{BELGIAN},{FRENCH}"}, {"multi": True}, Code.UNREACHABLE, "not reachable"),
    ({"recipients": BRITISH}, {}, Code.UNREACHABLE, "not reachable"),
]


@pytest.mark.parametrize(("fields", "options", "code", "words"), REFUSALS)
@pytest.mark.parametrize("wanted", ["xml", "json"])
async def test_a_refusal_has_its_code_and_words_and_stores_nothing(
    api: Api,
    store: Store,
    key: str,
    fields: dict[str, str],
    options: dict[str, Any],
    code: Code,
    words: str,
    wanted: str,
) -> None:
    if options:
        change(store, **options)
    for _ in range(2):  # with an account that is not known yet, and one that is
        answer = await send(api, key, None, format=wanted, **fields)
        assert answer.status == 200
        assert answer.headers["content-type"].endswith(wanted if wanted == "json" else "utf-8")
        assert (answer.error, answer.result["sent"], answer.result["id"]) == (code, "0", "")
        assert words in answer.result["note"]
    assert rows(store) == (0, 0, 0)


async def test_the_second_message_of_a_minute_is_too_fast(
    api: Api, store: Store, clock: Clock
) -> None:
    key, _ = accounts.create(store)
    assert (await send(api, key)).error == Code.SENT
    assert (await send(api, key)).error == Code.TOO_FAST
    clock.pass_(minutes=1)
    assert (await send(api, key)).error == Code.SENT
    assert len(stored(store)) == 2


async def test_a_repeat_has_the_first_answer_and_other_content_is_refused(
    api: Api, store: Store, key: str
) -> None:
    once = {"Idempotency-Key": "once"}
    first = await send(api, key, once)
    again = await send(api, key, once)
    other = await send(api, key, once, message="Other")
    assert again == first
    assert (other.error, other.result["id"]) == (Code.NOT_SENT, "")
    assert [id for id, _, _ in stored(store)] == [first.result["id"]]


@pytest.mark.parametrize("written", ["", "a b", "k" * 256])
async def test_an_idempotency_key_that_is_none_is_refused(
    api: Api, store: Store, key: str, written: str
) -> None:
    answer = await send(api, key, {"Idempotency-Key": written})
    assert (answer.status, answer.error) == (400, Code.NOT_SENT)
    assert "Idempotency-Key" in answer.result["note"]
    assert rows(store) == (0, 0, 0)


async def test_a_parameter_that_nobody_knows_is_named_where_it_may_be_why(
    api: Api, store: Store, key: str
) -> None:
    answer = await api.ask(f"/sendsms/?apikey={key}&recipient={BELGIAN}&message=m")
    assert answer.error == Code.NOT_SENT
    assert answer.result["note"].endswith("(not known here: recipient)")
    assert rows(store) == (0, 0, 0)


async def test_of_many_calls_each_is_treated_as_if_it_came_alone(
    api: Api, store: Store, key: str
) -> None:
    call = {"recipients": BELGIAN, "message": "one", "apikey": key}
    calls: list[Any] = [
        call | {"idempotency_key": "1"},
        "no call",
        call | {"apikey": "wrong"},
        call | {"recipients": FRENCH},
        call | {"idempotency_key": ""},
    ]
    for _ in range(2):
        answer = await api.ask("/sendsms/", json.dumps(calls).encode(), headers=CALLS)
        assert answer.status == 200
        first, *others = json.loads(answer.body)
        assert [other["error"] for other in others] == [7, 50, 99, 7]
        assert {other["id"] for other in others} == {""}
        assert [id for id, _, _ in stored(store)] == [first["id"]]


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"[1" + b",1" * 300 + b"]"])
async def test_calls_that_are_no_list_are_refused_whole(
    api: Api, store: Store, body: bytes
) -> None:
    answer = await api.ask("/sendsms/", body, headers=CALLS)
    assert answer.status in (400, 413)
    assert answer.error == Code.NOT_SENT
    assert rows(store) == (0, 0, 0)


@pytest.mark.parametrize(
    ("hops", "code"), [("5", Code.SENT), ("6", Code.NOT_SENT), ("-1", Code.NOT_SENT)]
)
async def test_what_relays_passed_on_too_often_is_refused(
    api: Api, store: Store, key: str, hops: str, code: Code
) -> None:
    relayed = {"Sendsmsnow-Hops": hops}
    alone = await send(api, key, relayed)
    calls = json.dumps([{"recipients": BELGIAN, "message": "Hello", "apikey": key}]).encode()
    together = await api.ask("/sendsms/", calls, headers=CALLS | relayed)
    assert alone.error == code
    if hops == "-1":
        assert together.status == 400
        return
    (reply,) = json.loads(together.body)
    assert reply["error"] == code
    assert (reply.get("note") == IN_A_CIRCLE) is (code is Code.NOT_SENT)
    with store.read() as connection:
        found = list(connection.execute(select(tables.message.c.hops)).scalars())
    assert found == ([5, 5] if code is Code.SENT else [])


# -- when it cannot be done --


async def test_who_finds_the_queue_full_is_told_when_to_come_again(
    api: Api, store: Store, key: str
) -> None:
    assert (await send(api, key)).error == Code.SENT  # the account is known
    with store.turn():  # somebody else writes
        asked = [asyncio.create_task(send(api, key, message=str(n))) for n in range(10)]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        refused = [task.result() for task in done]
    answers: list[Answer] = await asyncio.gather(*asked)
    taken = [answer for answer in answers if answer.error == Code.SENT]
    assert refused
    assert len(answers) - len(taken) >= len(refused)
    for answer in answers:
        if answer not in taken:
            assert (answer.status, answer.error) == (503, Code.INTERNAL)
            assert answer.headers["retry-after"] == "1"
    assert {id for id, _, _ in stored(store)[1:]} == {answer.result["id"] for answer in taken}


async def test_without_its_store_it_answers_30_and_the_log_has_none_of_what_was_said(
    api: Api, store: Store, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert (await send(api, key, message="first")).error == Code.SENT
    with store.write() as connection:
        connection.execute(text("ALTER TABLE message RENAME TO away"))
    answer = await send(api, key, message="a secret text")
    assert (answer.status, answer.error) == (503, Code.INTERNAL)
    assert answer.headers["retry-after"] == "5"
    with store.write() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO message"))
    assert [text for _, text, _ in stored(store)] == ["first"]
    logged = str([record.__dict__ for record in caplog.records if record.name != "asyncio"])
    assert "request failed" in logged
    for secret in (key, "32494000000", "secret text"):
        assert secret not in logged
        assert secret.encode() not in answer.body


# -- methods --


@pytest.mark.parametrize("path", OPERATIONS)
@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_another_method_does_nothing_and_is_told_which_there_are(
    api: Api, store: Store, key: str, path: str, method: str
) -> None:
    target = f"{path}?apikey={key}&recipients={BELGIAN}&message=m&id={ID}"
    answer = await api.ask(target, method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == ", ".join(OPERATIONS[path].methods)
    if method == "HEAD":
        assert answer.body == b""
    else:
        assert answer.error == Code.NOT_SENT
    assert rows(store) == (0, 0, 0)


# -- what was sent, and what came --


def finish(store: Store, state: str) -> None:
    """Every delivery is in this state."""
    with store.write() as connection:
        connection.execute(update(tables.delivery).values(state=state))


async def test_what_failed_is_queued_again_and_its_state_is_told(
    api: Api, store: Store, key: str
) -> None:
    id = (await send(api, key, reference="order 7")).result["id"]
    query = f"?apikey={key}&id={id}"
    # Even what still waits is tried at once.
    assert (await api.ask(f"/resendsms/{query}")).error == Code.SENT
    finish(store, "failed")
    told = json.loads((await api.ask(f"/status/{query}&format=json")).body)["result"]
    assert (told["state"], told["reference"]) == ("failed", "order 7")
    assert [each["recipient"] for each in told["deliveries"]] == ["+32494000000"]
    again = await api.ask(f"/resendsms/{query}")
    assert again.result == {"error": "0", "sent": "1", "id": id}
    told = json.loads((await api.ask(f"/status/{query}&format=json")).body)["result"]
    assert told["state"] == "queued"
    finish(store, "delivered")
    assert (await api.ask(f"/resendsms/{query}")).error == Code.ALREADY_SENT


@pytest.mark.parametrize("path", ["/resendsms/", "/status/", "/deletesms/"])
async def test_a_message_that_is_not_theirs_does_not_exist_for_them(
    api: Api, store: Store, key: str, path: str
) -> None:
    id = (await send(api, key)).result["id"]
    other, _ = accounts.create(store, "other")
    finish(store, "failed")
    for apikey, named, code in (
        (other, id, Code.ID_UNKNOWN),
        (key, ID, Code.ID_UNKNOWN),
        (key, "", Code.ID_MISSING),
        ("wrong", id, Code.KEY_WRONG),
        ("", id, Code.KEY_MISSING),
    ):
        answer = await api.ask(
            path, urlencode({"apikey": apikey, "id": named}).encode(), headers=FORM
        )
        assert answer.error == code
    assert [each for each, _, _ in stored(store)] == [id]


async def test_what_came_in_is_read_page_by_page(api: Api, store: Store, key: str) -> None:
    with store.write() as connection:
        inbox.take_turns(connection)
        account = connection.execute(select(tables.account.c.id)).scalar_one()
        common = {"account_id": account, "upstream": "a", "received_at": NOW}
        numbers = {"sender": "+32494000001", "recipient": "8850"}
        received = [common | numbers | {"text": f"{n} <&> é"} for n in range(3)]
        inbox.add_received(connection, received)
    found: list[str] = []
    after = 0
    for _ in range(3):
        asked = f"/getsms/?apikey={key}&after={after}&limit=2&format=json"
        page = json.loads((await api.ask(asked)).body)["result"]
        found += [message["message"] for message in page["messages"]]
        after = page["next"]
    assert found == ["0 <&> é", "1 <&> é", "2 <&> é"]


@pytest.mark.parametrize(
    "fields", ["limit=1001", "limit=-1", "limit=x", "after=x", "after=9" + "0" * 19]
)
async def test_a_page_that_is_none_is_refused_after_the_key(
    api: Api, key: str, fields: str
) -> None:
    assert (await api.ask(f"/getsms/?apikey={key}&{fields}")).error == Code.NOT_SENT
    assert (await api.ask(f"/getsms/?apikey=wrong&{fields}")).error == Code.KEY_WRONG


async def test_history_is_deleted_by_post_and_by_what_is_meant_only(
    api: Api, store: Store, key: str, clock: Clock
) -> None:
    first = (await send(api, key, message="first")).result["id"]
    clock.pass_(hours=24)
    second = (await send(api, key, message="second")).result["id"]
    finish(store, "delivered")

    def texts() -> list[str]:
        return sorted(text for _, text, _ in stored(store))

    async def delete(**fields: str) -> Answer:
        given = urlencode({"apikey": key} | fields).encode()
        return await api.ask("/deletesms/", given, headers=FORM)

    assert (await api.ask(f"/deletesms/?apikey={key}&id={first}")).status == 405
    misspelt = await delete(befor="2027-01-16")
    assert (misspelt.status, misspelt.error) == (400, Code.NOT_SENT)
    assert "(not known here: befor)" in misspelt.result["note"]
    for before in ("tomorrow", "", "0001-01-01", "2027-13-01"):
        assert (await delete(before=before)).error == Code.NOT_SENT
    assert texts() == ["first", "second"]
    assert (await delete(before="2027-01-16")).result["sent"] == "1"
    assert texts()[-1] == "second"
    assert "first" not in texts()
    assert (await delete(id=second)).error == Code.SENT
    assert "second" not in texts()
