"""SMPP in from a foreign SMSC, `/getsms/` out: long messages in parts that come in any order."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import running
from support.smsc import Smsc, start_smsc

from sms_gateway.store import Store

OURS, THEIRS, NOBODYS = "32470000001", "32470000002", "32470000003"
#: What GSM 03.38 writes otherwise than ASCII, in the texts below.
GSM = {"é": b"\x05", "@": b"\x00", "$": b"\x02"}
MESSAGES = 120


def gsm(text: str) -> bytes:
    return b"".join(GSM.get(char) or char.encode("ascii") for char in text)


def offers(number: int, text: str, to: str) -> list[dict[str, Any]]:
    """The PDUs of a message, each with its part of the text."""
    pdu = {
        "source_addr_ton": 1,
        "source_addr_npi": 1,
        "source_addr": f"324941{number:05}",
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": to,
    }
    if "ж" in text:
        octets, coding, size = text.encode("utf-16-be"), 8, 132
        # IEI 8: a reference of 16 bits (3GPP TS 23.040, section 9.2.3.24.8).
        header = b"\x06\x08\x04" + (0x1200 + number).to_bytes(2, "big")
    else:
        octets, coding, size = gsm(text), 0, 150
        header = b"\x05\x00\x03" + bytes([number % 256])
    if len(octets) <= size:
        return [{**pdu, "data_coding": coding, "short_message": octets}]
    parts = [octets[start : start + size] for start in range(0, len(octets), size)]
    return [
        {
            **pdu,
            "esm_class": 0x40,
            "data_coding": coding,
            "short_message": header + bytes([len(parts), place]) + part,
        }
        for place, part in enumerate(parts, start=1)
    ]


def texts(name: str) -> list[str]:
    """Short and long texts, in the GSM alphabet and in others."""
    kinds = [
        "{} {} hello",
        "{} {} " + "un café à 2 euros, ".replace("à", "@") * 18,
        "{} {} ж 😀",
        "{} {} " + "жизнь 😀 " * 20,
    ]
    return [kinds[number % 4].format(name, number) for number in range(MESSAGES)]


@pytest.fixture
def smsc(tmp_path: Path) -> Iterator[Smsc]:
    with start_smsc(tmp_path) as started:
        yield started


def test_messages_in_parts_in_any_order_are_read_once_each_while_more_arrive(
    tmp_path: Path, database: str, store: Store, smsc: Smsc
) -> None:
    with running.serve(tmp_path, database, upstream=smsc.url) as gateway, ExitStack() as ending:
        ours, theirs = (gateway.create_key(name=name) for name in ("ours", "theirs"))
        assert gateway.run("number", "assign", f"+{OURS}", "ours") == f"{OURS} ours\n"
        gateway.run("number", "assign", THEIRS, "theirs")
        running.wait_for(lambda: smsc.journal("bind"), 30)
        if not store.is_sqlite:
            ending.enter_context(_second_worker(gateway, smsc))
        expected = {OURS: texts("ours"), THEIRS: texts("theirs"), NOBODYS: texts("nobody")[:4]}
        parts = [
            offer
            for to, sent in expected.items()
            for number, text in enumerate(sent)
            for offer in offers(number, text, to)
        ]
        assert len(parts) > 400
        # One part of this one never comes.
        lost = offers(MESSAGES, "never whole " * 30, OURS)
        parts += lost[1:]
        random.Random(7).shuffle(parts)

        read: list[dict[str, Any]] = []
        place = 0

        def read_on() -> bool:
            nonlocal place
            page = _page(gateway, ours, place, limit=3)
            read.extend(page["messages"])
            assert [message["id"] for message in page["messages"]] == sorted(
                message["id"] for message in page["messages"]
            )
            place = page["next"]
            return bool(page["messages"])

        for number, offer in enumerate(parts):
            smsc.offer(**offer)
            if number % 10 == 0:
                read_on()
        running.wait_for(lambda: len(smsc.receipts()) == len(parts), 60)
        while read_on():
            pass

        assert sorted(message["message"] for message in read) == sorted(expected[OURS])
        assert len({message["id"] for message in read}) == MESSAGES
        assert {message["to"] for message in read} == {f"+{OURS}"}
        others = _page(gateway, theirs, 0, limit=1000)["messages"]
        assert sorted(message["message"] for message in others) == sorted(expected[THEIRS])
        senders = {message["message"]: message["from"] for message in others}
        assert senders["theirs 0 hello"] == "+32494100000"

        gateway.run("number", "release", OURS)
        smsc.offer(**offers(0, "too late", OURS)[0])
        running.wait_for(lambda: len(smsc.receipts()) == len(parts) + 1, 30)
        assert not read_on()


def _page(gateway: running.Running, key: str, after: int, limit: int) -> dict[str, Any]:
    url = f"{gateway.url}/getsms/?apikey={key}&after={after}&limit={limit}"
    result: dict[str, Any] = running.get_json(url)["result"]
    assert result["error"] == 0
    return result


@contextmanager
def _second_worker(gateway: running.Running, smsc: Smsc) -> Iterator[None]:
    """Parts of one message come to either of two workers."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "sms_gateway", "worker"],
        env=gateway.env,
        stderr=subprocess.DEVNULL,
    )
    try:
        running.wait_for(lambda: len(smsc.journal("bind")) == 2, 30)
        yield
    finally:
        worker.terminate()
        assert worker.wait(20) == 0
