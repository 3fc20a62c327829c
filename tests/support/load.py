"""Clients that send many messages at once over kept connections, and keep book of the answers."""

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

_RESULT = re.compile(
    rb"<(?:\w+:)?error>(\d+)</(?:\w+:)?error><(?:\w+:)?sent>(\d+)</(?:\w+:)?sent>"
    rb"<(?:\w+:)?id(?:/>|>([0-9a-f]*)</)"
)

_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">'
    '<soap:Body><sendSms xmlns="urn:sendSmsNow"><recipients>{recipients}</recipients>'
    "<message>{message}</message><apikey>{apikey}</apikey></sendSms></soap:Body></soap:Envelope>"
)


@dataclass(slots=True)
class Book:
    """What clients were told."""

    #: Text of each acknowledged message, and the id it got. Texts are unique.
    accepted: dict[str, str] = field(default_factory=dict)
    #: Texts that were answered with another code than 0, and the code.
    refused: dict[str, int] = field(default_factory=dict)
    #: Texts whose request was cut off without an answer.
    unanswered: list[str] = field(default_factory=list)
    #: How many requests were repeated.
    repeated: int = 0
    #: How many SOAP requests are under way at each host.
    under_way: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        """How many messages have been through."""
        return len(self.accepted) + len(self.refused) + len(self.unanswered)


#: Outcome unknown, or nothing wrong with the message: such an answer asks for another try.
_TRY_AGAIN = (6, 30)


async def send_by_soap(
    port: int,
    apikey: str,
    messages: Iterable[tuple[str, str]],
    *,
    connections: int = 32,
    book: Book | None = None,
    persistent: bool = False,
    repeat: bool = False,
    rate: float | None = None,
    hosts: Sequence[str] = ("127.0.0.1",),
    patience: float = 60,
) -> Book:
    """Send (recipients, text) pairs, each once, and return what was answered.

    A cut connection is opened again; with `persistent`, also when nobody listens for a while.
    With `repeat` each request carries an idempotency key, and one that was cut off, or answered
    with code 6 or 30, is repeated until it is answered otherwise. `rate` is the most messages per
    second. Clients are spread over `hosts`, all at this port; a client whose connection is cut, who
    is asked to try again, or who has no answer for `patience` seconds, goes to the next. They look
    at `hosts` before each request, so that it can be changed meanwhile.
    """
    book = Book() if book is None else book
    work = _paced(messages, rate)

    async def client(number: int) -> None:
        connection = _Connection(hosts, port, persistent, patience, number, book.under_way)
        async for recipients, text in work():
            request = soap_request(recipients, text, apikey, _key(text) if repeat else "")
            answer = await connection.ask(request)
            while repeat and (answer is None or answer[0] in _TRY_AGAIN):
                book.repeated += 1
                if answer is not None:
                    connection.go_on()
                await asyncio.sleep(0.1)
                answer = await connection.ask(request)
            _enter(book, text, answer)
        connection.close()

    await asyncio.gather(*(client(number) for number in range(connections)))
    return book


async def send_by_mail(
    port: int,
    address: str,
    messages: Iterable[tuple[str, str]],
    *,
    connections: int = 4,
    book: Book | None = None,
    rate: float | None = None,
) -> Book:
    """Send (recipients, text) pairs as mails to a key's address, as a mail server would: what has
    no answer, or one that begins with 4, is sent again."""
    book = Book() if book is None else book
    work = _paced(messages, rate)

    async def client() -> None:
        server = _MailConnection(port)
        async for recipients, text in work():
            mail = (
                f"Message-ID: <{_key(text)}@client.example>\r\nSubject: {recipients}\r\n\r\n{text}"
            )
            answer = await server.send(address, mail)
            while answer is None or answer.startswith("4"):
                book.repeated += 1
                await asyncio.sleep(0.1)
                answer = await server.send(address, mail)
            match = _MAIL_ANSWER.match(answer)
            assert match, answer
            _enter(book, text, (int(match[1]), match[2] or ""))
        server.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return book


#: Status and enhanced status, the code, and at the end the id.
_MAIL_ANSWER = re.compile(r"[0-9]{3} [0-9.]+ ([0-9]+) .*?(?:\(([0-9a-f]{32})\))?$")


def _paced(
    messages: Iterable[tuple[str, str]], rate: float | None
) -> Callable[[], AsyncIterator[tuple[str, str]]]:
    """Iterators that share these messages, and `rate` in a second."""
    work = iter(messages)
    loop = asyncio.get_running_loop()
    turn = loop.time()

    async def share() -> AsyncIterator[tuple[str, str]]:
        nonlocal turn
        for message in work:
            if rate is not None:
                # What a gateway that was away has missed is not made up for.
                turn = max(turn + 1 / rate, loop.time() - 0.1)
                await asyncio.sleep(turn - loop.time())
            yield message

    return share


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _enter(book: Book, text: str, answer: tuple[int, str] | None) -> None:
    if answer is None:
        book.unanswered.append(text)
    elif answer[0] == 0:
        book.accepted[text] = answer[1]
    else:
        book.refused[text] = answer[0]


class _MailConnection:
    """A kept SMTP connection, opened when it is needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, address: str, mail: str) -> str | None:
        """The answer to a mail; None when there is none."""
        try:
            async with asyncio.timeout(60):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port)
                    await self._answer("")
                    await self._answer("EHLO client.example")
                for line in ("MAIL FROM:<client@client.example>", f"RCPT TO:<{address}>", "DATA"):
                    answer = await self._answer(line)
                    if answer[0] not in "23":
                        self.close()  # and what was begun is forgotten
                        return answer
                return await self._answer(f"{mail}\r\n.")
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return None

    async def _answer(self, line: str) -> str:
        assert self._streams is not None
        reader, writer = self._streams
        if line:
            writer.write(f"{line}\r\n".encode())
        while True:
            answer = (await reader.readuntil(b"\r\n")).decode().strip()
            if answer[3:4] != "-":
                return answer

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class _Connection:
    """A kept connection to one of several hosts, opened when it is needed."""

    def __init__(
        self,
        hosts: Sequence[str],
        port: int,
        persistent: bool,
        patience: float,
        first: int,
        under_way: Counter[str],
    ) -> None:
        self._hosts = hosts
        self._port = port
        self._persistent = persistent
        self._patience = patience
        #: Which host is asked next, among those that there are.
        self._turn = first
        self._under_way = under_way
        self._host = ""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, str] | None:
        """Code and id that were answered; None when the connection was cut."""
        while self._streams is None or self._host not in self._hosts:
            self.close()
            self._streams = await self._open()
        reader, writer = self._streams
        host = self._host
        self._under_way[host] += 1
        try:
            writer.write(request)
            async with asyncio.timeout(self._patience):
                body = await _response(reader)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            self._turn += 1
            return None
        finally:
            self._under_way[host] -= 1
        match = _RESULT.search(body)
        assert match, body
        return int(match[1]), (match[3] or b"").decode()

    def go_on(self) -> None:
        """Ask another host from now on, where there is one."""
        if len(self._hosts) > 1:
            self.close()
            self._turn += 1

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            self._host = self._hosts[self._turn % len(self._hosts)]
            try:
                async with asyncio.timeout(self._patience):
                    return await asyncio.open_connection(self._host, self._port)
            except OSError:
                if not self._persistent:
                    raise
                self._turn += 1
                await asyncio.sleep(0.05)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def soap_request(recipients: str, text: str, apikey: str, idempotency_key: str = "") -> bytes:
    """A whole HTTP request that sends one message by SOAP 1.1."""
    once = f"Idempotency-Key: {idempotency_key}\r\n".encode() if idempotency_key else b""
    body = _ENVELOPE.format(
        recipients=escape(recipients), message=escape(text), apikey=escape(apikey)
    ).encode()
    return (
        b"POST /sendsms/soap/ HTTP/1.1\r\nHost: localhost\r\n"
        b'Content-Type: text/xml; charset=utf-8\r\nSOAPAction: "urn:sendSmsNow#sendSms"\r\n'
        b"%bContent-Length: %d\r\n\r\n%b" % (once, len(body), body)
    )


async def _response(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    assert length, head
    return await reader.readexactly(int(length[1]))
