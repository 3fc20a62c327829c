"""Connections to hosts with silent addresses, wrong certificates and other peers: real sockets."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from support.certificates import authority, issued
from support.upstreams import RecordingSink, eventually, running

from sms_gateway.network import errors as errors
from sms_gateway.network.client_tls import client_context
from sms_gateway.network.connecting import Address, ConnectError, Host
from sms_gateway.smpp.codec import Decoder, encode
from sms_gateway.smpp.pdu import BindTransceiver, BindTransceiverResp
from sms_gateway.smpp.status import lookup
from sms_gateway.upstream.smpp import SmppUpstream
from sms_gateway.upstream.smpp_bind import ADVICE, advice
from sms_gateway.upstream.smpp_options import SmppOptions


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of 127.0.0.2 on which connections are not answered: its queue is full."""
    with socket.socket() as listener, socket.socket() as first:
        listener.bind(("127.0.0.2", 0))
        listener.listen(0)
        first.connect(listener.getsockname())
        yield listener.getsockname()[1]


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """What the system's resolver says of every name."""

    def told(host: object, port: int, *rest: object, **more: object) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        for each in addresses:
            family = socket.AF_INET6 if ":" in each else socket.AF_INET
            found.append((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, port)))
        return found

    monkeypatch.setattr(socket, "getaddrinfo", told)


@asynccontextmanager
async def listening(
    address: str, port: int = 0, tls: ssl.SSLContext | None = None, says: bytes = b""
) -> AsyncIterator[int]:
    talks: list[asyncio.StreamWriter] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        talks.append(writer)
        with suppress(OSError):
            await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(talk, address, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in talks:
            # What has failed in TLS has no transport left.
            with suppress(OSError, AttributeError):
                writer.transport.abort()
                await writer.wait_closed()


class Ended(asyncio.Protocol):
    """A connection that is closed at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def reach(host: Host) -> Address:
    _, address = await host.connect(Ended, 5)
    await asyncio.sleep(0.05)
    return address


@pytest.mark.parametrize("other", ["127.0.0.1", "::1"])
async def test_a_silent_first_address_is_left_for_the_next(
    silent: int, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "127.0.0.2", other)
    async with listening(other, silent):
        address = await reach(Host("smsc.example", silent))
    assert address[0] == other


async def test_an_address_that_is_blamed_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "127.0.0.1", "127.0.0.3")
    async with listening("127.0.0.1") as port, listening("127.0.0.3", port):
        host = Host("smsc.example", port)
        reached = []
        for _ in range(3):
            address = await reach(host)
            reached.append(address[0])
            host.blame(address)
        host.praise()
        reached.append((await reach(host))[0])
    assert reached == ["127.0.0.1", "127.0.0.3", "127.0.0.1", "127.0.0.1"]


async def trouble(host: Host, within: float = 5) -> errors.Trouble:
    with pytest.raises(ConnectError) as caught:
        await host.connect(asyncio.Protocol, within)
    return caught.value.trouble


async def test_what_does_not_answer_is_told_apart(silent: int) -> None:
    assert await trouble(Host("127.0.0.2", silent), 0.2) is errors.NO_ANSWER
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        assert await trouble(Host("127.0.0.1", port)) is errors.NOBODY_LISTENS
    assert await trouble(Host("a" * 70 + ".example", 1)) is errors.BAD_NAME
    async with listening("127.0.0.1") as port:
        silent_in_tls = Host("127.0.0.1", port, tls=client_context())
        assert await trouble(silent_in_tls, 0.3) is errors.TLS_SILENT
    async with listening("127.0.0.1", says=b"220 mail.example ESMTP\r\n") as port:
        assert await trouble(Host("127.0.0.1", port, tls=client_context())) is errors.NO_TLS


async def test_what_is_wrong_with_a_certificate_is_told_and_tls_name_mends_a_name(
    tmp_path: Path,
) -> None:
    ca, _ = authority(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(*issued(tmp_path, "smsc.example"))
    old = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    old.load_cert_chain(*issued(tmp_path, "smsc.example", days=-1))
    trusting = client_context(str(ca))
    async with listening("127.0.0.1", tls=server) as port:
        assert await trouble(Host("127.0.0.1", port, tls=client_context())) is errors.UNTRUSTED
        assert await trouble(Host("127.0.0.1", port, tls=trusting)) is errors.OTHER_NAME
        other = Host("127.0.0.1", port, tls=trusting, tls_name="other.example")
        assert await trouble(other) is errors.OTHER_NAME
        assert await reach(Host("127.0.0.1", port, tls=trusting, tls_name="smsc.example"))
    async with listening("127.0.0.1", tls=old) as port:
        late = Host("127.0.0.1", port, tls=trusting, tls_name="smsc.example")
        assert await trouble(late) in (errors.EXPIRED, errors.NOT_YET_VALID)


def an_upstream(port: int, **options: object) -> SmppUpstream:
    given = {"reconnect_delay": 0.02, "response_timeout": 0.3, "stop_timeout": 0.1} | options
    told = SmppOptions(host="127.0.0.1", port=port, system_id="esme", password="s3cr3t", **given)  # type: ignore[arg-type]
    return SmppUpstream("carrier", told)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_that_is_asked_for_is_told_and_can_be_set(
    tmp_path: Path, version: ssl.TLSVersion, caplog: pytest.LogCaptureFixture
) -> None:
    ca, _ = authority(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
    server.maximum_version = version
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(*issued(tmp_path, "smsc.example"))
    cert, key = issued(tmp_path, "esme")
    tls = {"tls": True, "cafile": str(ca), "tls_name": "smsc.example"}
    async with listening("127.0.0.1", tls=server) as port:
        async with running(without := an_upstream(port, **tls), RecordingSink()):
            await eventually(without.trouble)
        assert "certfile" in without.trouble()
        own = {"certfile": str(cert), "keyfile": str(key)}
        async with running(with_it := an_upstream(port, **tls, **own), RecordingSink()):
            await eventually(with_it.trouble)
        # It is let in, and only the bind is not answered.
        assert with_it.trouble().startswith("the bind is not answered")
    assert "s3cr3t" not in caplog.text


async def test_a_port_for_tls_spoken_to_in_the_clear_says_so(tmp_path: Path) -> None:
    authority(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(*issued(tmp_path, "smsc.example"))
    async with listening("127.0.0.1", tls=server) as port:
        async with running(upstream := an_upstream(port), RecordingSink()):
            await eventually(upstream.trouble)
        assert "smpps://" in upstream.trouble()


@pytest.mark.parametrize("number", [*sorted(ADVICE), 0x04, 0x401, 0x10])
async def test_a_refused_bind_says_what_to_set(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = Decoder()
        while (pdu := decoder.next()) is None:
            decoder.feed(await reader.read(1000))
        assert isinstance(pdu, BindTransceiver)
        writer.write(encode(BindTransceiverResp(sequence=pdu.sequence, status=number)))
        await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, running(an_upstream(port), RecordingSink()):
        await eventually(lambda: any(r.message == "bind refused" for r in caplog.records))
    (record, *_) = [each for each in caplog.records if each.message == "bind refused"]
    assert vars(record)["why"] == advice(
        lookup(number), SmppOptions(host="h", system_id="e"), BindTransceiver
    )
    lasting = number in (0x02, 0x03, 0x04, 0x0E, 0x0F, 0x10, 0x53) and number != 0x10
    assert (record.levelno == logging.ERROR) is lasting
    assert "s3cr3t" not in str(vars(record))
