"""Clients that send many messages at once over kept connections, and keep book of the answers."""

import asyncio
import re
from collections.abc import Iterable
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


async def send_by_soap(
    port: int,
    apikey: str,
    messages: Iterable[tuple[str, str]],
    *,
    connections: int = 32,
    book: Book | None = None,
    persistent: bool = False,
) -> Book:
    """Send (recipients, text) pairs, each once, and return what was answered.

    A cut connection is opened again; with `persistent`, also when nobody listens for a while.
    """
    book = Book() if book is None else book
    work = iter(messages)

    async def client() -> None:
        reader: asyncio.StreamReader | None = None
        writer: asyncio.StreamWriter | None = None
        for recipients, text in work:
            if writer is None:
                while True:
                    try:
                        reader, writer = await asyncio.open_connection("127.0.0.1", port)
                        break
                    except OSError:
                        if not persistent:
                            raise
                        await asyncio.sleep(0.05)
            assert reader is not None
            try:
                writer.write(soap_request(recipients, text, apikey))
                body = await _response(reader)
            except (OSError, asyncio.IncompleteReadError):
                book.unanswered.append(text)
                writer.close()
                writer = None
                continue
            match = _RESULT.search(body)
            assert match, body
            if match[1] == b"0":
                book.accepted[text] = match[3].decode()
            else:
                book.refused[text] = int(match[1])
        if writer is not None:
            writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return book


def soap_request(recipients: str, text: str, apikey: str) -> bytes:
    """A whole HTTP request that sends one message by SOAP 1.1."""
    body = _ENVELOPE.format(
        recipients=escape(recipients), message=escape(text), apikey=escape(apikey)
    ).encode()
    return (
        b"POST /sendsms/soap/ HTTP/1.1\r\nHost: localhost\r\n"
        b'Content-Type: text/xml; charset=utf-8\r\nSOAPAction: "urn:sendSmsNow#sendSms"\r\n'
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


async def _response(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    assert length, head
    return await reader.readexactly(int(length[1]))
