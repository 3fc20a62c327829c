"""The backend over HTTP: against the real web application, and against servers that are odd."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs

import pytest
from support.serving import Server, serve

from sms_gateway.backend import Inbox, Reply, Submission
from sms_gateway.codes import Code
from sms_gateway.remote.http_backend import HttpBackend

FAILED, UNKNOWN = Reply(Code.INTERNAL), Reply(Code.TIMED_OUT)
NAME = "0190d5a7f00070008000000000000001"
SENT = Reply(Code.SENT, 1, NAME)
SENT_NOTHING = Reply(Code.SENT)
XML = f"<result><error>0</error><sent>1</sent><id>{NAME}</id></result>".encode()
JSON = b'{"result": {"error": 0, "sent": 1, "id": "%s"}}' % NAME.encode()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("support.scripted:application()") as running:
        yield running


def backend_at(url: str, timeout: float = 60) -> AbstractAsyncContextManager[HttpBackend]:
    return aclosing(HttpBackend(url, timeout=timeout))


@pytest.fixture
async def backend(server) -> AsyncIterator[HttpBackend]:
    async with backend_at(server.url) as backend:
        yield backend


# Against the real thing.


async def test_a_message_is_sent_and_named(backend):
    reply = await backend.sendsms(Submission("1,2", "Hello", "good"))
    assert (reply.error, reply.sent, len(reply.id)) == (Code.SENT, 2, 32)


@pytest.mark.parametrize("code", [code for code in Code if code])
async def test_every_code_comes_through(backend, code):
    assert await backend.sendsms(Submission("1", "m", f"code-{code}")) == Reply(code)


@pytest.mark.parametrize("text", ["Zoë €", "a&b=c+d%20;", "\r\n\t", "😀", "", "<é>", "x" * 5000])
async def test_every_character_comes_through(backend, text):
    reply = await backend.sendsms(Submission("+32494000000", text, "echo"))
    recipients, message, _ = json.loads(reply.note) if len(text) < 400 else ("", text, "")
    assert message == text
    assert recipients in ("+32494000000", "")


async def test_what_is_no_character_is_refused(backend):
    reply = await backend.sendsms(Submission("1", "\ud83d", "good"))
    assert reply.error is Code.NOT_SENT
    assert reply.note


async def test_parameters_that_did_not_come_are_empty_there_too(backend):
    assert await backend.sendsms(Submission("", "", "")) == Reply(Code.KEY_MISSING)


async def test_a_repeat_with_the_same_key_gets_the_first_reply(backend):
    first = await backend.sendsms(Submission("1", "m", "good", idempotency_key="one"))
    assert await backend.sendsms(Submission("1", "m", "good", idempotency_key="one")) == first
    assert (await backend.sendsms(Submission("1", "m", "good"))).id != first.id


@pytest.mark.parametrize("key", ["clé", "two words", "k" * 300, "line\r\nInjected: yes", "\ud83d"])
async def test_a_key_that_no_header_can_carry_works_all_the_same(backend, key):
    first = await backend.sendsms(Submission("1", "m", "good", idempotency_key=key))
    assert first.error is Code.SENT
    assert await backend.sendsms(Submission("1", "m", "good", idempotency_key=key)) == first
    assert (
        await backend.sendsms(Submission("1", "m", "good", idempotency_key=key + "x"))
    ).id != first.id


async def test_overload_comes_through_with_the_time_to_wait(backend):
    assert await backend.sendsms(Submission("1", "m", "busy")) == Reply(
        Code.INTERNAL, retry_after=7
    )


async def test_what_fails_there_unforeseen_is_code_6_here(backend):
    assert await backend.sendsms(Submission("1", "m", "fails")) == UNKNOWN


async def test_many_at_once_get_each_their_own_reply(backend):
    replies = await asyncio.gather(
        *(backend.sendsms(Submission("1", "m", "good")) for _ in range(50))
    )
    assert len({reply.id for reply in replies}) == 50


async def test_after_closing_it_connects_again(backend):
    await backend.aclose()
    assert (await backend.sendsms(Submission("1", "m", "good"))).error is Code.SENT


@pytest.mark.parametrize("path", ["", "/", "/sendsms", "/sendsms/"])
async def test_the_address_is_given_with_or_without_the_path(server, path):
    async with backend_at(server.url + path) as backend:
        assert (await backend.sendsms(Submission("1", "m", "good"))).error is Code.SENT


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000", "ftp://host/", "https://", "http://u:p@host/", "http://host/?a", "//h"],
)
def test_what_is_no_address_of_a_server_is_refused(url):
    with pytest.raises(ValueError, match=r"URL|credentials"):
        HttpBackend(url, timeout=1)


# Against odd servers.


class OddServer:
    """Answers one request after the other with the bytes it is given, and closes each connection.

    None as an answer drops the connection; an Event holds it, after the bytes `begin`, until it
    is set.
    """

    def __init__(self, *answers: bytes | asyncio.Event | None, begin: bytes) -> None:
        self._answers = list(answers)
        self._begin = begin
        self.requests: list[bytes] = []
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self.requests.append(head + await reader.readexactly(length))
            answer = self._answers.pop(0) if self._answers else None
            if isinstance(answer, asyncio.Event):
                writer.write(self._begin)
                await answer.wait()
            elif answer is not None:
                writer.write(answer)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def answering(
    *answers: bytes | asyncio.Event | None, begin: bytes = b""
) -> AsyncIterator[OddServer]:
    odd = OddServer(*answers, begin=begin)
    listener = await asyncio.start_server(odd.handle, "127.0.0.1", 0)
    odd.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield odd
    finally:
        for answer in answers:
            if isinstance(answer, asyncio.Event):
                answer.set()
        listener.close()
        await listener.wait_closed()


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def reply_to(answer: bytes) -> Reply:
    async with answering(answer) as odd, backend_at(odd.url) as backend:
        return await backend.sendsms(Submission("1", "m", "k"))


@pytest.mark.parametrize(
    "body",
    [
        XML,
        JSON,
        b'<?xml version="1.0" encoding="UTF-8"?>\n' + XML,
        b"\xef\xbb\xbf" + XML,
        b"\xef\xbb\xbf\r\n" + JSON + b"\r\n",
        XML.replace(b"><", b">\n  <"),
        XML.replace(b">0<", b"> 0 <"),
        b'<?xml version="1.0" encoding="ISO-8859-1"?><!-- by hand -->' + XML,
        f'<?xml version="1.0" encoding="UTF-16"?>{XML.decode()}'.encode("utf-16"),
        XML.replace(b"</result>", b"<balance>3</balance></result>"),
        XML.replace(NAME.encode(), b"<![CDATA[%s]]>" % NAME.encode()),
    ],
)
async def test_success_is_read_in_every_way_it_is_written(body):
    assert await reply_to(http(body)) == SENT


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (b"<result><error>50</error></result>", Reply(Code.KEY_WRONG)),
        (b"<result><error>50</error><sent/><id/></result>", Reply(Code.KEY_WRONG)),
        (b"<result><error>100</error><sent>0</sent><id></id></result>", Reply(Code.TOO_FAST)),
        (b'{"result": {"error": 99, "note": "closed"}}', Reply(Code.UNREACHABLE)),
        (
            b"<result><error>7</error><note>The text\n is <![CDATA[<bad>]]></note></result>",
            Reply(Code.NOT_SENT, note="The text  is <bad>"),
        ),
        (
            b'{"result": {"error": 7, "note": "No such \\u0000number"}}',
            Reply(Code.NOT_SENT, note="No such  number"),
        ),
        (b'{"result": {"error": 7}}', Reply(Code.NOT_SENT)),
    ],
)
async def test_a_refusal_is_read_though_fields_are_missing(body, reply):
    assert await reply_to(http(body)) == reply


async def test_a_refusal_is_read_from_an_error_status_too():
    body = b"<result><error>7</error><note>The request is too large</note></result>"
    answer = http(body, "413 Content Too Large")
    assert await reply_to(answer) == Reply(Code.NOT_SENT, note="The request is too large")


@pytest.mark.parametrize(
    "answer",
    [
        http(b""),
        http(b"OK"),
        http(b"0"),
        http(b"<html><body>It works!</body></html>"),
        http(b"<result/>"),
        http(b"<result><error>0</error></result>"),
        http(b"<result><error>0</error><sent>1</sent></result>"),
        http(XML.replace(NAME.encode(), b"")),
        http(XML.replace(NAME.encode(), b" \n ")),
        http(XML.replace(NAME.encode(), "\x85".encode())),
        http(XML.replace(NAME.encode(), b"x" * 1000)),
        http(XML.replace(b">1<", b">0<")),
        http(XML.replace(b">1<", b">5<")),
        http(XML.replace(b">1<", b">-1<")),
        http(XML.replace(b">1<", b">one<")),
        http(XML.replace(b">1<", b">\xd9\xa1<")),
        http(XML.replace(b">0<", b"><")),
        http(XML.replace(b">0<", b">0.0<")),
        http(XML.replace(b">0<", b">8<")),
        http(XML.replace(b">0<", b">99999999999<")),
        http(XML.replace(b"<error>", b"<error>7</error><error>")),
        http(XML.replace(b"<sent>1</sent>", b"<sent><n>1</n></sent>")),
        http(XML.replace(b"result>", b"response>")),
        http(XML[:-1]),
        http(b"<!DOCTYPE result [<!ENTITY a '1'>]>" + XML.replace(b">1<", b">&a;<")),
        http(b"{}"),
        http(b"{"),
        http(b"[" + JSON + b"]"),
        http(b'{"result": []}'),
        http(b'{"error": 0, "sent": 1, "id": "x"}'),
        http(JSON.replace(b"0,", b"false,")),
        http(JSON.replace(b"0,", b'"0",')),
        http(JSON.replace(b"0,", b"0.0,")),
        http(JSON.replace(b"0,", b"null,")),
        http(JSON.replace(b"1,", b"true,")),
        http(JSON.replace(b'"%s"' % NAME.encode(), b"12")),
        http(JSON.replace(b'"error": 0', b'"error": 7, "error": 0')),
        http(b'{"result": ' * 5000),
        http(b'{"result": {"error": %s}}' % (b"9" * 5000)),
        http(XML, "500 Internal Server Error"),
        http(XML, "502 Bad Gateway"),
        http(XML, "503 Service Unavailable"),
        http(b"", "204 No Content"),
        http(XML, "200 OK", "Content-Encoding: gzip").replace(b"<", b"\x1f"),
        http(XML + b" " * 70_000),
        http(XML).replace(b"Content-Length: ", b"Content-Length: 9"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/9.9 yes\r\n\r\n",
        b"220 mail.example.org ESMTP\r\n",
        b"\x15\x03\x01\x00\x02\x02\x0a",
        b"\x00" * 1000,
    ],
)
async def test_an_odd_answer_is_code_6_and_never_success(answer):
    assert await reply_to(answer) == UNKNOWN


@pytest.mark.parametrize(
    "answer",
    [
        http(XML, "404 Not Found"),
        http(XML, "304 Not Modified"),
        http(b"", "302 Found", "Location: /sendsms/"),
    ],
)
async def test_a_refusal_of_http_is_code_30_unless_the_request_had_come_before(answer):
    assert await reply_to(answer) == FAILED
    async with answering(None, answer) as odd, backend_at(odd.url) as backend:
        assert await backend.sendsms(Submission("1", "m", "k")) == UNKNOWN
    assert len(odd.requests) == 2


BUSY = http(b"", "503 Service Unavailable", "Retry-After: 7")


async def test_a_busy_server_does_not_say_what_became_of_a_request_that_was_cut_before():
    async with answering(None, BUSY) as odd, backend_at(odd.url) as backend:
        assert await backend.sendsms(Submission("1", "m", "k")) == UNKNOWN
    assert await reply_to(BUSY) == Reply(Code.INTERNAL, retry_after=7)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("0", 1),
        ("-5", 1),
        ("soon", 1),
        ("999999999", 3600),
        ("9" * 400, 3600),
        ("Mon, 99999999999999999999 Jan 2026 00:00:00 GMT", 1),
    ],
)
async def test_503_says_when_to_try_again(header, seconds):
    answer = http(b"", "503 Service Unavailable", f"Retry-After: {header}")
    assert await reply_to(answer) == Reply(Code.INTERNAL, retry_after=seconds)


async def test_503_may_say_it_by_a_date():
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    answer = http(b"", "503 Service Unavailable", f"Retry-After: {date}")
    reply = await reply_to(answer)
    assert reply.error is Code.INTERNAL
    assert 0 < reply.retry_after <= 600


async def test_a_request_is_a_form_with_a_key_of_its_own_and_no_secret_in_its_line():
    async with answering(http(XML), http(XML)) as odd, backend_at(odd.url) as backend:
        await backend.sendsms(Submission("+32494000000", "Zoë", "TopSecret"))
        await backend.sendsms(Submission("+32494000000", "Zoë", "TopSecret"))
    keys = set()
    for request in odd.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        line, *headers = head.decode().split("\r\n")
        assert line == "POST /sendsms/ HTTP/1.1"
        named = {name.lower(): value for name, _, value in (h.partition(": ") for h in headers)}
        assert named["content-type"] == "application/x-www-form-urlencoded"
        assert "application/json" in named["accept"]
        assert "TopSecret" not in head.decode()
        keys.add(named["idempotency-key"])
        assert parse_qs(body.decode()) == {
            "recipients": ["+32494000000"],
            "message": ["Zoë"],
            "apikey": ["TopSecret"],
        }
    assert len(keys) == 2


async def test_a_dropped_connection_is_tried_once_more_with_the_same_key():
    async with answering(None, http(XML)) as odd, backend_at(odd.url) as backend:
        assert await backend.sendsms(Submission("1", "m", "k")) == SENT
    first, second = odd.requests
    assert first == second
    assert b"idempotency-key" in first.lower()


async def test_it_is_not_tried_a_third_time(caplog):
    async with answering(None, None, http(XML)) as odd, backend_at(odd.url) as backend:
        assert (
            await backend.sendsms(Submission("+32494000000", "TopSecretText", "TopSecretKey"))
            == UNKNOWN
        )
    assert len(odd.requests) == 2
    logged = "".join(str(record.__dict__) for record in caplog.records)
    assert "CutOffError" in logged
    assert "TopSecret" not in logged
    assert "494000000" not in logged


async def test_an_answer_is_not_asked_for_again():
    async with answering(http(b"?"), http(XML)) as odd, backend_at(odd.url) as backend:
        assert await backend.sendsms(Submission("1", "m", "k")) == UNKNOWN
    assert len(odd.requests) == 1


async def test_a_connection_closed_while_idle_is_opened_again():
    async with answering(*[http(XML)] * 3) as odd, backend_at(odd.url) as backend:
        for _ in range(3):
            assert await backend.sendsms(Submission("1", "m", "k")) == SENT
            await asyncio.sleep(0.01)
    assert len(odd.requests) == 3


async def test_a_refused_connection_is_code_30():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with backend_at(f"http://127.0.0.1:{port}") as backend:
        assert await backend.sendsms(Submission("1", "m", "k")) == FAILED


async def test_silence_is_code_6():
    async with answering(asyncio.Event()) as odd, backend_at(odd.url, 0.1) as backend:
        assert await backend.sendsms(Submission("1", "m", "k")) == Reply(Code.TIMED_OUT)


async def test_the_second_try_has_only_what_is_left_of_the_time():
    async with answering(None, asyncio.Event()) as odd, backend_at(odd.url, 0.1) as backend:
        assert await backend.sendsms(Submission("1", "m", "k")) == Reply(Code.TIMED_OUT)


async def test_an_answer_that_breaks_off_is_asked_for_once_more():
    async with answering(http(XML)[:-1], http(XML)) as odd, backend_at(odd.url) as backend:
        assert await backend.sendsms(Submission("1", "m", "k")) == SENT
    first, second = odd.requests
    assert first == second
    assert await reply_to(http(XML)[:-1]) == UNKNOWN


async def test_an_answer_that_never_ends_is_code_6():
    async with (
        answering(asyncio.Event(), begin=http(XML)[:-1]) as odd,
        backend_at(odd.url, 0.1) as backend,
    ):
        assert await backend.sendsms(Submission("1", "m", "k")) == Reply(Code.TIMED_OUT)


async def test_a_caller_that_gives_up_is_let_go():
    async with answering(asyncio.Event()) as odd, backend_at(odd.url) as backend:
        call = asyncio.create_task(backend.sendsms(Submission("1", "m", "k")))
        while not odd.requests:
            await asyncio.sleep(0.005)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


# The other operations.


async def test_what_must_not_happen_twice_is_asked_for_once():
    for ask in (lambda b: b.resendsms("k", NAME), lambda b: b.deletesms("k", id=NAME)):
        async with answering(None, http(XML)) as odd, backend_at(odd.url) as backend:
            assert await ask(backend) == UNKNOWN
        assert len(odd.requests) == 1


async def test_what_only_reads_is_asked_for_once_more():
    body = b'{"result": {"error": 0, "messages": [], "next": 7}}'
    async with answering(None, http(body)) as odd, backend_at(odd.url) as backend:
        assert await backend.getsms("k", after=7) == Inbox(SENT_NOTHING, (), 7)
    assert len(odd.requests) == 2


async def test_every_operation_has_its_path_below_that_of_the_server():
    refused = http(b"<result><error>50</error></result>")
    async with answering(*[refused] * 5) as odd, backend_at(odd.url + "/sms/sendsms/") as backend:
        wrong = Reply(Code.KEY_WRONG)
        assert await backend.sendsms(Submission("1", "m", "k")) == wrong
        assert await backend.resendsms("k", "i") == wrong
        assert (await backend.getsms("k", after=3, limit=4)).reply == wrong
        assert (await backend.status("k", "i")).reply == wrong
        assert await backend.deletesms("k", before=1_600_084_800_123) == wrong
    lines = [request.partition(b"\r\n")[0].split()[1] for request in odd.requests]
    paths = ["sendsms", "resendsms", "getsms", "status", "deletesms"]
    assert lines == [f"/sms/{path}/".encode() for path in paths]
    forms = [parse_qs(request.rpartition(b"\r\n")[2].decode()) for request in odd.requests]
    assert forms[1:] == [
        {"apikey": ["k"], "id": ["i"]},
        {"apikey": ["k"], "after": ["3"], "limit": ["4"]},
        {"apikey": ["k"], "id": ["i"]},
        {"apikey": ["k"], "before": ["2020-09-14T12:00:00.123Z"]},
    ]


async def test_an_odd_answer_to_any_operation_is_code_30():
    async with answering(*[http(XML)] * 2) as odd, backend_at(odd.url) as backend:
        assert (await backend.getsms("k")).reply == FAILED
        assert (await backend.status("k", "other")).reply == FAILED


async def test_silence_at_any_operation_is_code_6():
    late = Reply(Code.TIMED_OUT)
    silence = [asyncio.Event() for _ in range(4)]
    async with answering(*silence) as odd, backend_at(odd.url, 0.1) as backend:
        assert await backend.resendsms("k", "i") == late
        assert (await backend.getsms("k")).reply == late
        assert (await backend.status("k", "i")).reply == late
        assert await backend.deletesms("k") == late
