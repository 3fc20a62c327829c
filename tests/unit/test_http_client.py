"""The client for forms, against servers that say what they like, in pieces as small as can be."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.certificates import self_signed

from sms_gateway.remote.answers import Answer, InvalidAnswerError
from sms_gateway.remote.http_client import (
    LONGEST_HEAD,
    Client,
    CutOffError,
    UnreachedError,
    UnwritableError,
)

LONGEST = 1000
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello"
HELLO = Answer(200, None, b"Hello")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

Say = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """Answers a request with the next of its answers, and stays for another if there is one."""

    def __init__(self, *answers: bytes | Say) -> None:
        self._answers = list(answers)
        self.requests: list[bytes] = []
        self.talks: list[asyncio.Task[None]] = []
        self.port = 0

    @property
    def connections(self) -> int:
        return len(self.talks)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self.talks.append(talk)
        try:
            while self._answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.rpartition(b"Content-Length: ")[2])
                self.requests.append(head + await reader.readexactly(length))
                answer = self._answers.pop(0)
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The client has gone.
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def peer(*answers: bytes | Say, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    told = Peer(*answers)
    server = await asyncio.start_server(told.handle, "127.0.0.1", 0, ssl=tls)
    told.port = server.sockets[0].getsockname()[1]
    async with server:
        yield told
        await asyncio.gather(*told.talks)


@asynccontextmanager
async def client(url: str, connect_timeout: float | None = None) -> AsyncIterator[Client]:
    made = Client(urlsplit(url), {"Accept": "text/xml"}, connect_timeout=connect_timeout)
    try:
        yield made
    finally:
        made.close()


async def post(made: Client, *, keep: bool = True) -> Answer:
    return await made.post("/path/", b"a=b", {"Key": "1"}, LONGEST, keep=keep)


async def answer_to(*answers: bytes | Say) -> Answer:
    async with peer(*answers) as told, client(f"http://127.0.0.1:{told.port}") as made:
        return await post(made)


def slowly(answer: bytes) -> Say:
    """Byte by byte."""

    async def say(writer: asyncio.StreamWriter) -> None:
        for n in range(len(answer)):
            writer.write(answer[n : n + 1])
            await writer.drain()
            await asyncio.sleep(0)

    return say


ANSWERS = [
    (WHOLE, HELLO),
    (WHOLE.replace(b" OK", b""), HELLO),
    (WHOLE.replace(b" OK", b" It's \xe9 "), HELLO),
    (WHOLE.replace(b"1.1", b"1.0"), HELLO),
    (WHOLE.replace(b": 5", b":5"), HELLO),
    (WHOLE.replace(b"Content-Length: 5", b"CONTENT-LENGTH: \t5 \r\nX: \xe9\r\nY:"), HELLO),
    (WHOLE.replace(b"Content", b"Retry-After: 7\r\nContent"), Answer(200, "7", b"Hello")),
    (WHOLE.replace(b"200 OK", b"503 Busy"), Answer(503, None, b"Hello")),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + WHOLE, HELLO),
    (b"HTTP/1.1 200 OK\r\n\r\nHello", HELLO),
    (b"HTTP/1.1 204 No Content\r\n\r\n", Answer(204, None, b"")),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Answer(304, None, b"")),
    (WHOLE.replace(b"5\r\n\r\nHello", b"0\r\n\r\n"), Answer(200, None, b"")),
    (CHUNKED + b"5\r\nHello\r\n0\r\n\r\n", HELLO),
    (CHUNKED + b"2;a=b\r\nHe\r\n003 ; c\r\nllo\r\n00\r\nA: b\r\nC: d\r\n\r\n", HELLO),
    (CHUNKED + b"0\r\n\r\n", Answer(200, None, b"")),
]


@pytest.mark.parametrize(("said", "answer"), ANSWERS)
async def test_an_answer_is_read_however_it_is_framed_and_cut(said, answer):
    assert await answer_to(said) == answer
    assert await answer_to(slowly(said)) == answer


@pytest.mark.parametrize(
    "said", [said for said, _ in ANSWERS if b"Content-Length" in said or b"chunked" in said]
)
async def test_an_answer_that_breaks_off_is_none(said):
    end = len(said) - (said.startswith(b"HTTP/1.1 304") and 1)
    for n in range(0, end, 3):
        with pytest.raises(CutOffError):
            await answer_to(said[:n])


@pytest.mark.parametrize(
    "said",
    [
        b"220 mail.example.org ESMTP\r\n",
        b"\x15\x03\x01\x00\x02\x02\x0a",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * LONGEST_HEAD,
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        WHOLE.replace(b": 5", b": -5"),
        WHOLE.replace(b": 5", b": +5"),
        WHOLE.replace(b": 5", b": 5, 5"),
        WHOLE.replace(b": 5", b": \xb2"),
        WHOLE.replace(b": 5", b":"),
        WHOLE.replace(b": 5", b": 5\r\nContent-Length: 6"),
        WHOLE.replace(b": 5", b": 1001"),
        WHOLE.replace(b": 5", b": " + b"9" * 18),
        WHOLE.replace(b": 5", b": 5\r\nTransfer-Encoding: chunked"),
        CHUNKED.replace(b"chunked", b"gzip, chunked"),
        CHUNKED.replace(b"chunked", b"identity"),
        CHUNKED.replace(b"chunked", b"chunked\r\nTransfer-Encoding: chunked"),
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"123456789\r\n",
        CHUNKED + b"5\r\nHello0\r\n",
        CHUNKED + b"3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n0\r\n\r\n",
        CHUNKED + b"5;" + b"x" * 2 * LONGEST_HEAD,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
    ],
)
async def test_what_is_no_answer_is_odd(said):
    with pytest.raises(InvalidAnswerError):
        await answer_to(said)


async def test_an_answer_may_be_as_long_as_is_said():
    for head in (b"Content-Length: 1000\r\n\r\n", b"\r\n"):
        answer = await answer_to(b"HTTP/1.1 200 OK\r\n" + head + b"x" * 1000)
        assert len(answer.body) == 1000


async def test_a_connection_is_kept_and_used_again():
    answers = (WHOLE, CHUNKED + b"0\r\n\r\n", WHOLE)
    async with peer(*answers) as told, client(f"http://127.0.0.1:{told.port}") as made:
        assert [(await post(made)).body for _ in range(3)] == [b"Hello", b"", b"Hello"]
    assert told.connections == 1


@pytest.mark.parametrize(
    "first",
    [
        WHOLE.replace(b"Content", b"Connection: Close\r\nContent"),
        WHOLE.replace(b"1.1", b"1.0"),
        # What came too much is no answer to what is asked next.
        WHOLE + b"\r\n",
        WHOLE + WHOLE.replace(b"Hello", b"Bye !"),
    ],
)
async def test_a_connection_is_not_used_again_where_it_may_not_be(first):
    async with peer(first, WHOLE) as told, client(f"http://127.0.0.1:{told.port}") as made:
        assert await post(made) == HELLO
        assert await post(made) == HELLO
    assert told.connections == 2


async def test_what_comes_while_nobody_asks_ends_the_connection():
    ended = asyncio.Event()

    async def and_then(writer: asyncio.StreamWriter) -> None:
        writer.write(WHOLE)
        await asked.wait()
        writer.write(WHOLE.replace(b"200", b"408"))
        try:
            await writer.drain()
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0)
        except ConnectionError:
            pass
        ended.set()

    asked = asyncio.Event()
    async with peer(and_then, WHOLE) as told, client(f"http://127.0.0.1:{told.port}") as made:
        assert await post(made) == HELLO
        asked.set()
        await ended.wait()
        assert await post(made) == HELLO
    assert told.connections == 2


async def test_a_connection_that_is_not_to_be_kept_is_new_and_closed():
    async with peer(*[WHOLE] * 3) as told, client(f"http://127.0.0.1:{told.port}") as made:
        await post(made)
        await post(made, keep=False)
        await post(made)
    assert told.connections == 2
    assert [b"\r\nConnection: close\r\n" in each for each in told.requests] == [False, True, False]


async def test_the_answer_to_a_caller_that_gave_up_is_nobody_elses():
    written, over = asyncio.Event(), asyncio.Event()

    async def never(writer: asyncio.StreamWriter) -> None:
        written.set()
        await over.wait()

    async with peer(never, WHOLE) as told, client(f"http://127.0.0.1:{told.port}") as made:
        call = asyncio.create_task(post(made))
        await written.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await post(made) == HELLO
        over.set()
    assert told.connections == 2


async def test_many_share_the_connections_that_there_may_be():
    async def answer(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0)
        writer.write(WHOLE)

    async with peer(*[answer] * 300) as told, client(f"http://127.0.0.1:{told.port}") as made:
        answers = await asyncio.gather(*(post(made) for _ in range(300)))
    assert answers == [HELLO] * 300
    assert told.connections <= 100


async def test_a_request_says_all_that_it_has_to():
    async with peer(WHOLE) as told, client(f"http://127.0.0.1:{told.port}/é b/%20/x;y") as made:
        await post(made)
        assert told.requests == [
            b"POST /%C3%A9%20b/%20/x;y/path/ HTTP/1.1\r\n"
            b"Host: 127.0.0.1:" + str(told.port).encode() + b"\r\n"
            b"Accept: text/xml\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Key: 1\r\nContent-Length: 3\r\n\r\na=b"
        ]


async def test_what_refuses_connections_is_unreached():
    async with peer() as told:
        port = told.port
    async with client(f"http://127.0.0.1:{port}") as made:
        with pytest.raises(UnreachedError):
            await post(made)


async def test_over_tls_a_certificate_has_to_be_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    certificate, key = self_signed(tmp_path, "localhost")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    async with peer(WHOLE, WHOLE, tls=tls) as told:
        url = f"https://localhost:{told.port}"
        async with client(url) as made:
            with pytest.raises(UnreachedError):
                await post(made)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with client(url) as made:
            assert [await post(made), await post(made)] == [HELLO, HELLO]


async def test_what_does_not_complete_a_connection_is_unreached():
    over = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        over.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        # A handshake that nobody answers.
        async with client(f"https://127.0.0.1:{port}", connect_timeout=0.1) as made:
            with pytest.raises(UnreachedError):
                await post(made)
        await over.wait()


def test_a_name_that_no_host_can_have_is_refused():
    with pytest.raises(ValueError, match="label"):
        Client(urlsplit(f"http://{'é' * 70}.example"), {}, connect_timeout=None)


async def test_a_request_may_have_any_method_and_no_body():
    async with peer(WHOLE, WHOLE) as told, client(f"http://127.0.0.1:{told.port}/v1") as made:
        got = await made.send("GET", "/a?b=%20", b"", {"Content-Length": "0"}, LONGEST, keep=True)
        assert got == HELLO
        assert got.headers["content-length"] == b"5"
        assert await made.send("DELETE", "/a", b"", {}, LONGEST, keep=True) == HELLO
        assert told.requests[0].startswith(b"GET /v1/a?b=%20 HTTP/1.1\r\n")
        assert told.requests[1].startswith(b"DELETE /v1/a HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/a b", {}),
        ("/é", {}),
        ("/a HTTP/1.1\r\nX: y", {}),
        ("/", {"X": "a\r\nY: b"}),
        ("/", {"X": "a\nb"}),
        ("/", {"X": "é"}),
        ("/", {"X: y\r\nZ": "a"}),
        ("/", {"X Y": "a"}),
        ("/", {"": "a"}),
    ],
)
async def test_what_http_cannot_carry_is_not_written(path, headers):
    async with peer() as told, client(f"http://127.0.0.1:{told.port}") as made:
        with pytest.raises(UnwritableError):
            await made.send("POST", path, b"", headers, LONGEST, keep=True)
    assert told.connections == 0
