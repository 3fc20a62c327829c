"""Separate, several and limited binds, and all that is written in a carrier's own way, as node-smpp
sees it."""

import asyncio
import dataclasses
import itertools
import shutil
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.asgi_server import free_port
from support.clock import LoopClock
from support.needs import lacking
from support.smsc import Smsc, start_smsc
from support.upstreams import RecordingSink, a_delivery, eventually, running

from sms_gateway.upstream import Delivery, Outcome
from sms_gateway.upstream.smpp import SmppUpstream
from sms_gateway.upstream.smpp_options import options_from_url

OPTIONS = {
    "response_timeout": 600,
    "late_timeout": 86_400,
    "enquire_interval": 3_600,
    "reconnect_delay": 0.02,
    "reconnect_delay_max": 0.1,
    "locked_out_delay": 0.1,
    "stop_timeout": 60,
}
SEPARATE = {"bind": "separate"}

_accounts = itertools.count(1)


@pytest.fixture(scope="module")
def smsc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smsc]:
    with start_smsc(tmp_path_factory.mktemp("smsc")) as started:
        yield started


@dataclasses.dataclass
class Account:
    """An upstream with an account of its own."""

    smsc: Smsc
    name: str
    upstream: SmppUpstream
    sink: RecordingSink

    def binds(self) -> list[dict[str, Any]]:
        return [each for each in self.smsc.journal("bind") if each["system_id"] == self.name]

    def bound(self) -> Counter[str]:
        return Counter(each["command"] for each in self.binds() if each["status"] == 0)

    def submits(self) -> list[dict[str, Any]]:
        return [each for each in self.smsc.submits() if each["system_id"] == self.name]

    async def send(self, *deliveries: Delivery) -> list[dict[str, Any]]:
        """Submit deliveries, and what the SMSC saw of them once they are answered."""
        before = len(self.submits())
        async with asyncio.timeout(60):
            await self.upstream.ready()
        for delivery in deliveries:
            self.upstream.submit(delivery)
        for delivery in deliveries:
            await self.sink.answers_to(delivery)
        return self.submits()[before:]


@asynccontextmanager
async def account(smsc: Smsc, **options: Any) -> AsyncIterator[Account]:
    name = f"esme{next(_accounts)}"
    url = options.pop("url", smsc.url.replace("esme:", f"{name}:"))
    chosen = dataclasses.replace(options_from_url(url), **(OPTIONS | options))
    opened = Account(smsc, name, SmppUpstream("carrier", chosen), RecordingSink())
    async with running(opened.upstream, opened.sink):
        yield opened


# Which binds there are.


async def test_messages_go_by_transmitters_and_receipts_come_by_receivers(smsc: Smsc) -> None:
    async with account(smsc, **SEPARATE, binds=2, receivers=2) as there:
        await eventually(lambda: there.bound().total() == 4)
        await there.send(*(a_delivery() for _ in range(8)))
        await there.sink.until(lambda: len(there.sink.receipts) == 8)
        kinds = {each["connection"]: each["command"] for each in there.binds()}
    assert there.bound() == {"bind_transmitter": 2, "bind_receiver": 2}
    assert {kinds[each["connection"]] for each in there.submits()} == {"bind_transmitter"}
    receipts = [each for each in smsc.receipts() if each["connection"] in kinds]
    assert {kinds[each["connection"]] for each in receipts} == {"bind_receiver"}
    assert {each.smsc_id for each in there.sink.receipts} == {
        each.smsc_id for each in there.sink.answers
    }
    # Each bind said goodbye.
    assert len([e for e in smsc.journal("unbind") if e["connection"] in kinds]) == 4


async def test_parts_go_by_the_bind_with_the_most_room(smsc: Smsc) -> None:
    async with account(smsc, binds=3, window=4) as there:
        await eventually(lambda: there.bound().total() == 3)
        await there.send(*(a_delivery() for _ in range(12)))
        assert there.upstream.free() == 12
        held = [a_delivery("#held") for _ in range(12)]
        for delivery in held:
            there.upstream.submit(delivery)
        await eventually(lambda: len(there.submits()) == 24)
        assert there.upstream.free() == 0
        smsc.command("release")
        for delivery in held:
            await there.sink.answers_to(delivery)
    used = Counter(each["connection"] for each in there.submits() if each["text"] == "#held")
    assert list(used.values()) == [4, 4, 4]


async def test_what_a_lost_bind_had_not_written_goes_by_another(smsc: Smsc) -> None:
    async with account(smsc, binds=2, window=2) as there:
        await eventually(lambda: there.bound().total() == 2)
        await there.send(*(a_delivery() for _ in range(4)))
        # The bind that gets it is dropped over it; what waits is written by the other.
        dropped = a_delivery("#drop")
        waiting = [a_delivery() for _ in range(20)]
        there.upstream.submit(dropped)
        for delivery in waiting:
            there.upstream.submit(delivery)
        for delivery in waiting:
            await there.sink.answers_to(delivery)
        await there.sink.answers_to(dropped)
        assert there.upstream.is_bound()
    assert there.sink.outcomes(dropped) == [Outcome.UNANSWERED]
    texts = Counter(each["destination"] for each in there.submits())
    assert max(texts.values()) == 1
    # What was written on the dropped bind may be unanswered, and nothing was given back.
    told = [there.sink.outcomes(each) for each in waiting]
    assert all(each in ([Outcome.ACCEPTED], [Outcome.UNANSWERED]) for each in told)
    assert told.count([Outcome.UNANSWERED]) <= 1


async def test_an_unbind_of_the_smsc_is_for_one_bind(smsc: Smsc) -> None:
    async with account(smsc, binds=2) as there:
        await eventually(lambda: there.bound().total() == 2)
        first, second = a_delivery("#unbind"), a_delivery()
        await there.send(first, second)
        assert there.upstream.is_bound()
        await eventually(lambda: there.bound().total() == 3)
        await there.send(a_delivery())
    assert {answer.outcome for answer in there.sink.answers} == {Outcome.ACCEPTED}


async def test_a_lost_receiver_loses_no_receipt_and_stops_no_message(tmp_path) -> None:
    with start_smsc(tmp_path) as smsc:
        async with account(smsc, **SEPARATE, reconnect_delay=0.2) as there:
            await eventually(lambda: there.bound().total() == 2)
            smsc.command("drop", kind="bind_receiver")
            deliveries = [a_delivery() for _ in range(5)]
            await there.send(*deliveries)
            assert there.upstream.is_bound()
            assert there.upstream.trouble() == ""
            assert {answer.outcome for answer in there.sink.answers} == {Outcome.ACCEPTED}
            await there.sink.until(lambda: len(there.sink.receipts) == 5)
        # The receiver came back by itself, and the transmitter had never gone.
        assert there.bound() == {"bind_transmitter": 1, "bind_receiver": 2}


async def test_a_lost_transmitter_leaves_the_receiver_alone(smsc: Smsc) -> None:
    async with account(smsc, **SEPARATE) as there:
        await eventually(lambda: there.bound().total() == 2)
        await there.send(a_delivery("#drop"))
        await there.send(a_delivery())
        await there.sink.until(lambda: there.sink.receipts)
        assert there.bound() == {"bind_transmitter": 2, "bind_receiver": 1}


async def test_the_refused_kind_of_bind_says_what_to_set(
    tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    with start_smsc(tmp_path, binds={"bind_transmitter": 1, "bind_receiver": 1}) as smsc:
        async with account(smsc) as there:
            await eventually(there.upstream.trouble)
            assert "set bind=separate" in there.upstream.trouble()
        async with account(smsc, **SEPARATE) as there:
            await there.send(a_delivery())
            await there.sink.until(lambda: there.sink.receipts)
        caplog.clear()
        async with account(smsc, **SEPARATE, binds=2) as there:
            await there.send(a_delivery())
            await eventually(lambda: "bind refused" in {r.message for r in caplog.records})
            # One works, and the other is what is one too many.
            assert there.upstream.is_bound()
        (why, *_) = [vars(r)["why"] for r in caplog.records if r.message == "bind refused"]
        assert why.startswith("the account may have fewer binds")
    with start_smsc(tmp_path, binds={"bind_transceiver": 1}) as smsc:
        async with account(smsc, **SEPARATE) as there:
            await eventually(there.upstream.trouble)
            assert "set bind=transceiver" in there.upstream.trouble()


async def test_a_wrong_password_is_tried_once_for_all_binds(tmp_path) -> None:
    with start_smsc(tmp_path, password="right") as smsc:
        url = smsc.url.replace("right", "wrong")
        async with account(smsc, url=url, binds=5, locked_out_delay=3_000) as there:
            await eventually(there.upstream.trouble)
            await asyncio.sleep(0.2)
        assert [each["status"] for each in smsc.journal("bind")] == [0x0E]


async def test_a_bind_that_carries_nothing_is_opened_anew(
    loop_clock: LoopClock, smsc: Smsc
) -> None:
    async with account(smsc, inactivity_timeout=1_000) as there:
        await there.send(a_delivery())
        await there.sink.until(lambda: there.sink.receipts)
        loop_clock.pass_(1_001)
        await eventually(lambda: there.bound().total() == 2)
        await there.send(a_delivery())
    assert {answer.outcome for answer in there.sink.answers} == {Outcome.ACCEPTED}


async def test_what_the_bind_says_arrives(smsc: Smsc) -> None:
    async with account(
        smsc, version="5.0", system_type="VMA", address_range="^32", ton_address_range="1/1"
    ) as there:
        await there.send(a_delivery())
    (bind,) = there.binds()
    assert (bind["interface_version"], bind["system_type"]) == (0x50, "VMA")
    assert bind["address_range"] == "^32"


# What is written.

GSM_160, GSM_161 = "a" * 160, "a" * 161


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        ({}, GSM_161, {"esm_class": 0x40, "parts": 2, "reference": 0x34}),
        ({"long_texts": "udh16"}, GSM_161, {"esm_class": 0x40, "parts": 2, "reference": 0x1234}),
        # It would take three parts with the longer header.
        ({"long_texts": "udh16"}, "a" * 306, {"esm_class": 0x40, "parts": 2, "reference": 0x34}),
        ({"long_texts": "sar"}, GSM_161, {"esm_class": 0, "parts": 2, "reference": 0x1234}),
        ({"long_texts": "payload"}, GSM_161, {"esm_class": 0, "parts": 1}),
        ({"long_texts": "payload"}, GSM_160, {"esm_class": 0, "parts": 1}),
        ({"message_class": "0"}, "Hé", {"data_coding": 0x10}),
        ({"message_class": "0"}, "ж", {"data_coding": 0x18}),
        (
            {"message_class": "0", "message_class_by": "dest_addr_subunit"},
            "ж",
            {"data_coding": 8, "dest_addr_subunit": 1},
        ),
        ({"default_alphabet": "latin1", "default_data_coding": 3}, "Hé", {"data_coding": 3}),
        ({"ucs2_data_coding": 0x18}, "ж", {"data_coding": 0x18}),
        ({"registered_delivery": "failures"}, "a", {"registered_delivery": 2}),
        ({"registered_delivery": "all"}, "a", {"registered_delivery": 17}),
        ({"protocol_id": 64, "priority_flag": 2}, "a", {"protocol_id": 64, "priority_flag": 2}),
        ({"recipient_form": "plus"}, "a", {"destination": "+32494000099"}),
        ({"recipient_form": "00"}, "a", {"destination": "0032494000099"}),
        (
            {"recipient_form": "national", "region": "BE"},
            "a",
            {"destination": "0494000099", "destination_ton": 2, "destination_npi": 1},
        ),
        ({"recipient_form": "significant", "region": "BE"}, "a", {"destination": "494000099"}),
        (
            {"recipient_form": "national", "region": "FR"},
            "a",
            {"destination": "0032494000099", "destination_ton": 1},
        ),
        (
            {"ton_alphanumeric": "5/1", "ton_recipient": "1/8"},
            "a",
            {"source_ton": 5, "source_npi": 1, "destination_npi": 8},
        ),
    ],
)
async def test_a_text_arrives_in_the_carriers_way(
    smsc: Smsc, options: dict[str, Any], text: str, expected: dict[str, Any]
) -> None:
    async with account(smsc, **options) as there:
        delivery = a_delivery(text, id=0x1234, recipient="+32494000099")
        seen = await there.send(delivery)
        ids = [answer.smsc_id for answer in there.sink.of(delivery)]
        if expected.get("registered_delivery") != 2:
            await there.sink.until(lambda: there.sink.receipts)
    read = "".join(each["text"] for each in sorted(seen, key=lambda each: each["part"]))
    if expected.get("data_coding") != 0x18:  # node-smpp reads 8 alone as UCS-2
        assert read == text
    assert {name: seen[0][name] for name in expected} == expected
    assert [answer.outcome for answer in there.sink.of(delivery)] == [
        Outcome.ACCEPTED
    ] * delivery.parts
    assert len(set(ids)) == delivery.parts


# Where it connects from and through.


async def test_a_connection_comes_from_the_address_that_is_set(smsc: Smsc) -> None:
    async with account(smsc, local_address="127.0.0.9") as there:
        await there.send(a_delivery())
    (bind,) = there.binds()
    assert bind["from"].endswith("127.0.0.9")


@asynccontextmanager
async def socks_server(*more: str) -> AsyncIterator[int]:
    """A SOCKS server that was not written here."""
    port = free_port()
    program = shutil.which("microsocks") or lacking("microsocks is not installed")
    command = program, "-i", "127.0.0.1", "-p", str(port), *more
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        await eventually(lambda: is_open(port))
        yield port
    finally:
        process.kill()
        await process.wait()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_a_connection_goes_through_a_socks_server(smsc: Smsc) -> None:
    async with socks_server("-u", "us3r", "-P", "s3cret") as port:
        socks = {"socks": f"127.0.0.1:{port}", "socks_user": "us3r", "socks_password": "s3cret"}
        async with account(smsc, **socks) as there:
            await there.send(a_delivery())
        async with account(smsc, **(socks | {"socks_password": "wr0ng"})) as there:
            await eventually(there.upstream.trouble)
            assert "socks_password" in there.upstream.trouble()
            assert there.binds() == []
        gone = smsc.url.rpartition(":")[0] + f":{free_port()}"
        async with account(smsc, url=gone, **socks) as there:
            await eventually(there.upstream.trouble)
            assert "SOCKS" in there.upstream.trouble()
    async with account(smsc, **socks) as there:
        await eventually(there.upstream.trouble)
        assert there.upstream.trouble().startswith("nothing listens there")
