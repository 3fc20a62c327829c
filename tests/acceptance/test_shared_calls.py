"""Calls that share a request: with the real web application, and with servers that are odd."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, contextmanager
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from sqlalchemy import select
from support import odd_remote, running
from support.odd_remote import Answer, Asked, Remote, cut, reset, says, silence
from support.serving import Server, serve

from sms_gateway.backend import Reply, Submission
from sms_gateway.codes import Code
from sms_gateway.remote import batching
from sms_gateway.remote.batching import MEDIA_TYPE, MOST_BYTES, MOST_CALLS
from sms_gateway.remote.http_backend import HttpBackend
from sms_gateway.store import Store, tables

FAILED, UNKNOWN = Reply(Code.INTERNAL), Reply(Code.TIMED_OUT)
#: The reply to what is sent alone, and the three to what is sent together.
ALONE, *OF_THREE = (Reply(Code.SENT, 1, f"{number:032x}") for number in range(4))
ACCEPT_POST = f"Accept-Post: application/json, {MEDIA_TYPE}"


def result(reply: Reply) -> dict[str, object]:
    return {"error": int(reply.error), "sent": reply.sent, "id": reply.id}


def http(document: object, status: str = "200 OK", *headers: str) -> Answer:
    return odd_remote.http(json.dumps(document).encode(), status, *headers)


KNOWS = http({"result": result(ALONE)}, "200 OK", ACCEPT_POST)
KNOWS_NOT = http({"result": result(ALONE)})
REPLIES = [result(reply) for reply in OF_THREE]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, nobody stops waiting for company."""
    monkeypatch.setattr(batching, "PATIENCE", 600.0)


def backend_at(url: str, timeout: float = 60) -> AbstractAsyncContextManager[HttpBackend]:
    return aclosing(HttpBackend(url, timeout=timeout))


@contextmanager
def answering(*answers: Answer, usual: Answer = KNOWS) -> Iterator[Remote]:
    """A server that says at first that it takes many calls, and then answers like this."""
    with odd_remote.remote(usual) as remote:
        remote.answers.extend([KNOWS, *answers])
        yield remote


async def together(backend: HttpBackend, count: int = 3) -> list[Reply]:
    """The replies to so many messages that share a request, if they may."""
    # They wait for the first one.
    first, *others = await asyncio.gather(
        *(
            backend.sendsms(Submission("+32494000000", f"text {number}", "key"))
            for number in range(count + 1)
        )
    )
    assert first == ALONE
    return others


async def replies_to(*answers: Answer, timeout: float = 60) -> tuple[list[Reply], list[Asked]]:
    """What becomes of three calls whose requests are answered like this; and the requests."""
    with answering(KNOWS, *answers) as remote:
        async with backend_at(remote.url, timeout) as backend:
            await backend.sendsms(Submission("+32494000000", "hi", "key"))
            replies = await together(backend)
        return replies, remote.asked[1:]


def calls_in(asked: Asked) -> Any:
    assert asked.headers["content-type"] == MEDIA_TYPE
    return json.loads(asked.body)


def keys_in(requests: Sequence[Asked]) -> list[str]:
    """The idempotency keys of requests that carry a call each."""
    return [asked.headers["idempotency-key"] for asked in requests]


# As it should be.


@pytest.fixture(scope="module", params=["express", "asgi"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve("support.scripted:application()", worker=request.param) as started:
        yield started


@pytest.fixture
async def backend(server: Server) -> AsyncIterator[HttpBackend]:
    async with backend_at(server.url) as backend:
        await backend.sendsms(Submission("1", "m", "good"))
        yield backend


async def test_each_of_many_gets_its_own_reply(backend: HttpBackend) -> None:
    counts = [number % 4 + 1 for number in range(500)]
    replies = await asyncio.gather(
        *(backend.sendsms(Submission(",".join("1" * count), "m", "good")) for count in counts)
    )
    assert [(reply.error, reply.sent) for reply in replies] == [(0, count) for count in counts]
    assert len({reply.id for reply in replies}) == len(counts)


async def test_what_is_refused_or_fails_leaves_its_neighbours_alone(backend: HttpBackend) -> None:
    asked = ["good", "fails", "busy", *(f"code-{code}" for code in Code if code), "", "good"]
    # The first of all is sent alone, while the others wait.
    _, first, failed, busy, *refused, keyless, last = await asyncio.gather(
        *(backend.sendsms(Submission("1", "m", apikey)) for apikey in ["good", *asked])
    )
    assert (first.error, last.error) == (Code.SENT, Code.SENT)
    assert failed == Reply(Code.INTERNAL)
    assert busy == Reply(Code.INTERNAL, retry_after=7)
    assert refused == [Reply(code) for code in Code if code]
    assert keyless == Reply(Code.KEY_MISSING)


@pytest.mark.parametrize("text", ["Zoë €", "a&b=c+d%20;", '\r\n\t"\\', "😀", "", "<é>", "\x00"])
async def test_every_character_comes_through(backend: HttpBackend, text: str) -> None:
    replies = await asyncio.gather(
        *(
            backend.sendsms(Submission("1", text, "echo", idempotency_key=f"k{number}"))
            for number in range(4)
        )
    )
    assert [json.loads(reply.note) for reply in replies] == [
        ["1", text, f"k{number}"] for number in range(4)
    ]


async def test_a_key_that_no_header_can_carry_works_in_company_too(backend: HttpBackend) -> None:
    first = await backend.sendsms(Submission("1", "m", "good", idempotency_key="two words"))
    replies = await asyncio.gather(
        *(
            backend.sendsms(Submission("1", "m", "good", idempotency_key="two words"))
            for _ in range(4)
        )
    )
    assert replies == [first] * 4


@pytest.mark.usefixtures("patient")
async def test_what_comes_while_a_request_is_under_way_shares_the_next() -> None:
    replies, (first, shared) = await replies_to(http(REPLIES))
    assert replies == OF_THREE
    assert first.form["message"] == ["text 0"]
    calls = calls_in(shared)
    assert [(call["recipients"], call["message"], call["apikey"]) for call in calls] == [
        ("+32494000000", f"text {number}", "key") for number in (1, 2, 3)
    ]
    keys = {call["idempotency_key"] for call in calls}
    assert len({*keys, *keys_in([first])}) == 4
    assert shared.path == "/sendsms/"
    assert "idempotency-key" not in shared.headers


@pytest.mark.usefixtures("patient")
async def test_one_that_waited_alone_is_sent_alone() -> None:
    with answering() as remote:
        async with backend_at(remote.url) as backend:
            await backend.sendsms(Submission("1", "m", "k"))
            assert await together(backend, 1) == [ALONE]
    assert len(keys_in(remote.asked)) == 3


async def test_a_server_that_does_not_say_so_gets_each_call_by_itself() -> None:
    with odd_remote.remote(KNOWS_NOT) as remote:
        async with backend_at(remote.url) as backend:
            for _ in range(2):
                assert await together(backend, 4) == [ALONE] * 4
    assert len(set(keys_in(remote.asked))) == 10


@pytest.mark.usefixtures("patient")
async def test_a_request_has_a_largest_size_and_number() -> None:
    def reply(connection: socket) -> bool:
        asked = remote.asked[-1]
        if asked.headers["content-type"] != MEDIA_TYPE:
            return KNOWS(connection)
        return http([result(ALONE)] * len(json.loads(asked.body)))(connection)

    with odd_remote.remote(reply) as remote:
        async with backend_at(remote.url) as backend:
            await backend.sendsms(Submission("1", "m", "k"))
            assert await together(backend, 250) == [ALONE] * 250
            small = [len(calls_in(asked)) for asked in remote.asked[2:] if b"[" in asked.body]
            assert max(small) == MOST_CALLS
            texts = ["x", *["é" * 3000] * 20, "y" * MOST_BYTES, *["z" * 20_000] * 9]
            replies = await asyncio.gather(
                *(backend.sendsms(Submission("1", t, "k")) for t in texts)
            )
            assert replies == [ALONE] * len(texts)
    shared = [asked for asked in remote.asked if asked.headers["content-type"] == MEDIA_TYPE]
    assert max(len(asked.body) for asked in shared) <= MOST_BYTES
    # Everything was said, and once.
    sent = [text for asked in remote.asked for text in asked.form.get("message", [])]
    sent += [call["message"] for asked in shared for call in calls_in(asked)]
    assert sorted(sent) == sorted(["m", *(f"text {number}" for number in range(251)), *texts])


async def test_a_gateway_that_is_killed_in_between_accepts_each_message_once(
    tmp_path: Path, database: str
) -> None:
    with running.serve(tmp_path, database) as gateway:
        key = gateway.create_key("--rate", "none")
        replies: dict[str, Reply] = {}

        async def send(backend: HttpBackend, first: int) -> None:
            for number in range(first, 600, 30):
                text = f"text {number}"
                replies[text] = await backend.sendsms(Submission("+32494000000", text, key))

        async with backend_at(gateway.url) as backend:
            await backend.sendsms(Submission("", "", "nobody"))
            sending = [asyncio.create_task(send(backend, first)) for first in range(30)]
            await until(lambda: len(replies) > 100)
            killed = gateway.kill("web")
            await asyncio.gather(*sending)
        gateway.replaced("web", killed)
        assert {reply.error for reply in replies.values()} == {Code.SENT}
        store = Store(database)
        with store.read() as connection:
            stored = connection.execute(select(tables.message.c.text, tables.message.c.id)).all()
        store.close()
    assert sorted(map(tuple, stored)) == sorted((text, reply.id) for text, reply in replies.items())


# Servers that do not understand, any more.

REFUSALS = {
    "an older version": http({"result": {"error": 7, "note": "…"}}, "400 Bad Request"),
    "the original service": http({"result": {"error": 60}}),
    "the same in XML": odd_remote.http(b"<result><error>60</error></result>"),
    "nginx": odd_remote.http(b"<html>405 Not Allowed</html>", "405 Not Allowed"),
    "a limit": odd_remote.http(b"", "413 Content Too Large"),
    "another type": odd_remote.http(b"", "415 Unsupported Media Type"),
    "a redirect": odd_remote.http(b"", "302 Found", "Location: /"),
}


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_what_is_not_taken_together_is_sent_alone_under_the_same_keys(
    refusal: Answer,
) -> None:
    with answering(KNOWS, refusal, usual=KNOWS_NOT) as remote:
        async with backend_at(remote.url) as backend:
            await backend.sendsms(Submission("1", "m", "k"))
            assert await together(backend) == [ALONE] * 3
            shared, *alone = remote.asked[2:]
            assert sorted(call["idempotency_key"] for call in calls_in(shared)) == sorted(
                keys_in(alone)
            )
            assert {asked.form["message"][0] for asked in alone} == {"text 1", "text 2", "text 3"}
            # From now on each goes by itself.
            assert await together(backend) == [ALONE] * 3
    assert len(keys_in(remote.asked[3:])) == 7


@pytest.mark.usefixtures("patient")
async def test_a_server_that_says_so_again_gets_them_together_again() -> None:
    with answering(KNOWS, REFUSALS["an older version"]) as remote:
        async with backend_at(remote.url) as backend:
            await backend.sendsms(Submission("1", "m", "k"))
            assert await together(backend) == [ALONE] * 3
            remote.answers.extend([KNOWS, http(REPLIES)])
            assert await together(backend) == OF_THREE


# Servers that fail.


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("broken", [cut, reset, says(b"HTTP/1.1 200 OK\r\nCont", stays=False)])
async def test_a_request_that_is_cut_off_is_said_once_more_in_the_same_words(
    broken: Answer,
) -> None:
    replies, (_, first, second) = await replies_to(broken, http(REPLIES))
    assert replies == OF_THREE
    assert first.body == second.body
    replies, requests = await replies_to(broken, broken, http(REPLIES))
    assert replies == [UNKNOWN] * 3
    assert len(requests) == 3


@pytest.mark.usefixtures("patient")
async def test_a_server_that_forgets_the_form_when_it_starts_again_gets_each_call_once() -> None:
    replies, requests = await replies_to(cut, REFUSALS["an older version"])
    assert replies == [ALONE] * 3
    _, first, second, *alone = requests
    assert first.body == second.body
    assert sorted(keys_in(alone)) == sorted(call["idempotency_key"] for call in calls_in(first))


GOOD = json.dumps(REPLIES)
ODD: dict[str, Answer] = {
    "too few": http(REPLIES[:2]),
    "too many": http([*REPLIES, REPLIES[0]]),
    "none": http([]),
    "one for all": http({"result": REPLIES[0]}),
    "a list within": http({"result": REPLIES}),
    "nested": odd_remote.http(b"[" * 5000),
    "not JSON": odd_remote.http(GOOD[:-1].encode()),
    "a field twice": odd_remote.http(GOOD.replace('"sent"', '"error": 7, "sent"').encode()),
    "too long": odd_remote.http(GOOD.encode() + b" " * 200_000),
    "a page": odd_remote.http(b"<html><body>It works!</body></html>"),
    "nothing": odd_remote.http(b""),
    "201": http(REPLIES, "201 Created"),
    "500": http(REPLIES, "500 Internal Server Error"),
    "502": http(REPLIES, "502 Bad Gateway"),
    "503 without a time": http(REPLIES, "503 Service Unavailable"),
    "no HTTP": says(b"220 mail.example.org ESMTP\r\n"),
}


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
async def test_an_odd_answer_is_code_6_for_all_and_not_asked_for_again(answer: Answer) -> None:
    replies, requests = await replies_to(answer)
    assert replies == [UNKNOWN] * 3
    assert len(requests) == 2


ODD_ONES: list[object] = [
    None,
    [],
    "sent",
    {},
    {"result": REPLIES[1]},
    REPLIES[1] | {"error": 8},
    REPLIES[1] | {"error": "0"},
    REPLIES[1] | {"error": False},
    REPLIES[1] | {"sent": 0},
    REPLIES[1] | {"sent": 5},
    REPLIES[1] | {"id": ""},
    REPLIES[1] | {"id": 12},
    {"error": 30, "retry_after": "soon"},
]


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("odd", ODD_ONES, ids=str)
async def test_an_odd_reply_is_code_6_and_its_neighbours_stand(odd: object) -> None:
    replies, _ = await replies_to(http([REPLIES[0], odd, REPLIES[2]]))
    assert replies == [OF_THREE[0], UNKNOWN, OF_THREE[2]]


@pytest.mark.usefixtures("patient")
async def test_each_is_told_when_to_try_again() -> None:
    busy, never = {"error": 30, "retry_after": 7}, {"error": 30, "retry_after": 10**9}
    replies, _ = await replies_to(http([busy, never, {"error": 30}]))
    assert [reply.retry_after for reply in replies] == [7, 3600, 0]
    away = odd_remote.http(b"", "503 Service Unavailable", "Retry-After: 9")
    replies, _ = await replies_to(away)
    assert replies == [Reply(Code.INTERNAL, retry_after=9)] * 3


@pytest.mark.usefixtures("patient")
async def test_silence_is_code_6_for_each() -> None:
    replies, requests = await replies_to(silence, timeout=0.5)
    assert replies == [Reply(Code.TIMED_OUT)] * 3
    assert len(requests) == 2


async def test_a_request_without_an_answer_holds_up_nobody_for_long() -> None:
    with answering(silence, silence, silence) as remote:
        async with backend_at(remote.url) as backend:
            await backend.sendsms(Submission("1", "m", "k"))
            stuck = []
            for _ in range(2):
                stuck.append(asyncio.create_task(backend.sendsms(Submission("1", "stuck", "k"))))
                await until(lambda: len(remote.asked) == len(stuck) + 1)
            # Two that share a request, which is not answered either.
            stuck += [
                asyncio.create_task(backend.sendsms(Submission("1", "stuck", "k")))
                for _ in range(2)
            ]
            await until(lambda: len(remote.asked) >= 4)
            remote.answers.clear()
            assert await backend.sendsms(Submission("1", "m", "k")) == ALONE
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def held(until: threading.Event, answer: Answer) -> Answer:
    def answer_then(connection: socket) -> bool:
        assert until.wait(60)
        return answer(connection)

    return answer_then


@pytest.mark.usefixtures("patient")
async def test_a_caller_that_gives_up_takes_nobody_along_and_its_own_call_is_sent() -> None:
    go_on, may_answer = threading.Event(), threading.Event()
    four = [result(ALONE), *REPLIES]
    with answering(held(go_on, KNOWS), held(may_answer, http(four))) as remote:
        async with backend_at(remote.url) as backend:
            await backend.sendsms(Submission("1", "m", "k"))
            tasks = [
                asyncio.create_task(backend.sendsms(Submission("1", f"text {number}", "k")))
                for number in range(5)
            ]
            await until(lambda: len(remote.asked) == 2)
            # One that waits, and the one under way.
            for given_up in (tasks[1], tasks[0]):
                given_up.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await given_up
            go_on.set()
            await until(lambda: len(remote.asked) == 3)
            # One that is under way with others.
            tasks[3].cancel()
            with pytest.raises(asyncio.CancelledError):
                await tasks[3]
            may_answer.set()
            assert [await tasks[2], await tasks[4]] == [OF_THREE[0], OF_THREE[2]]
    sent = [call["message"] for call in calls_in(remote.asked[2])]
    assert sent == ["text 1", "text 2", "text 3", "text 4"]


@pytest.mark.usefixtures("patient")
async def test_what_is_under_way_when_it_is_closed_is_code_6() -> None:
    with answering(KNOWS, silence) as remote:
        async with backend_at(remote.url) as backend:
            await backend.sendsms(Submission("1", "m", "k"))
            sending = asyncio.create_task(together(backend))
            await until(lambda: len(remote.asked) == 3)
            await backend.aclose()
            assert await sending == [UNKNOWN] * 3


@pytest.mark.usefixtures("patient")
async def test_what_waits_when_it_is_closed_is_told_that_nothing_was_accepted() -> None:
    with answering(silence) as remote:
        async with backend_at(remote.url) as backend:
            await backend.sendsms(Submission("1", "m", "k"))
            sending = [
                asyncio.create_task(backend.sendsms(Submission("1", f"text {number}", "k")))
                for number in range(3)
            ]
            await until(lambda: len(remote.asked) == 2)
            await backend.aclose()
            assert await asyncio.gather(*sending) == [UNKNOWN, FAILED, FAILED]
            # Nor does one that has hardly begun wait for ever.
            last = asyncio.create_task(backend.sendsms(Submission("1", "last", "k")))
            await asyncio.sleep(0)
            await backend.aclose()
            assert await last == UNKNOWN
    assert len(remote.asked) <= 3


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("answer", [ODD["too few"], http([None] * 3), silence, cut])
async def test_no_key_number_or_text_is_logged(
    answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        await replies_to(answer, cut, timeout=0.5)
    logged = "".join(str(record.__dict__) for record in caplog.records)
    assert "backend" in logged
    for secret in ("494000000", "text 1", "'key'", "sendsmsnow-"):
        assert secret not in logged
