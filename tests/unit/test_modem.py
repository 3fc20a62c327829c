"""GSM modems: options, receipts by reference, and a process that hangs, dies or is refused."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from support.modem import dummy_modem
from support.upstreams import RecordingSink, a_delivery, eventually, running, sent

from sms_gateway.bootstrap.upstreams import upstreams
from sms_gateway.settings import Settings, SettingsError
from sms_gateway.sms.encoding import decode_gsm7, pack_septets
from sms_gateway.sms.message import State
from sms_gateway.sms.segments import user_data
from sms_gateway.upstream import Outcome
from sms_gateway.upstream.modem import ModemUpstream
from sms_gateway.upstream.modem_options import options_from_url
from sms_gateway.upstream.modem_process import ask
from sms_gateway.upstream.modem_receipts import SentParts, part_name, state_of

# The contract suite runs on every Python.
pytestmark = pytest.mark.once

QUICK = "connection=none&model=dummy&poll_interval=0.05&reconnect_delay=0.05&stop_timeout=0.2"
#: Milliseconds, and the number of most parts here.
NOON, NUMBER = 1_800_014_400_000, "+32494000000"
HOUR = 3_600_000


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


def opened(folder: Path, options: str = "") -> ModemUpstream:
    found = options_from_url(f"modem:{folder}?{QUICK}&{options}")
    return ModemUpstream("modem", found, command=dummy_modem())


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("modem:", "the device is missing"),
        ("modem:ttyUSB0", "the device is missing"),
        ("modem://host/dev/ttyUSB0", "a modem's address is modem:/dev/ttyUSB0"),
        ("modem:/dev/ttyUSB0?pin=12ab", "pin: allowed are 4 to 8 digits"),
        ("modem:/dev/ttyUSB0?connection=usb", "connection=usb: allowed is at"),
        ("modem:/dev/ttyUSB0?smsc=abc", "smsc: allowed are the digits"),
        ("modem:/dev/ttyUSB0?rate=0", "rate=0.0: allowed is 0.001 to 100"),
        ("modem:/dev/ttyUSB0?speed=1", "speed: no such parameter"),
    ],
)
def test_a_wrong_option_is_refused_at_start_without_the_pin(url: str, why: str) -> None:
    with pytest.raises(SettingsError) as refused:
        upstreams(Settings.model_validate({"upstream": url}))
    assert why in str(refused.value)
    assert "12ab" not in str(refused.value)


def test_it_is_an_upstream() -> None:
    settings = Settings.model_validate({"upstream": "modem:/dev/ttyUSB0?pin=1234"})
    assert isinstance(upstreams(settings)["default"], ModemUpstream)
    assert "1234" not in str(settings.upstream)


async def test_a_modem_that_hangs_is_killed_and_harms_nobody(
    folder: Path, sink: RecordingSink
) -> None:
    upstream = opened(folder, "response_timeout=1&window=3")
    hanging, waiting = a_delivery("#silent hello"), a_delivery("hello")
    async with running(upstream, sink):
        await upstream.ready()
        upstream.submit(hanging)
        upstream.submit(waiting)
        await sink.answers_to(hanging)
        await sink.answers_to(waiting)
        # What the modem never got may go elsewhere, or by this one once it is there again.
        assert sink.outcomes(hanging) == [Outcome.UNANSWERED]
        assert sink.outcomes(waiting) == [Outcome.NOT_WRITTEN]
        assert await sent(upstream, sink, "#quiet hello") == (Outcome.ACCEPTED, "")
    assert (folder / "sent").read_text().count("\n") == 1


async def test_a_process_that_dies_leaves_its_part_uncertain(
    folder: Path, sink: RecordingSink
) -> None:
    upstream = opened(folder)
    async with running(upstream, sink):
        assert await sent(upstream, sink, "#dies hello") == (
            Outcome.UNANSWERED,
            "the modem did not answer",
        )
        assert await sent(upstream, sink, "#quiet hello") == (Outcome.ACCEPTED, "")


async def test_a_modem_has_one_process(
    folder: Path, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = opened(folder), opened(folder)
    async with running(first, sink), running(second, RecordingSink()):
        await asyncio.wait(
            [asyncio.ensure_future(each.ready()) for each in (first, second)],
            return_when=asyncio.FIRST_COMPLETED,
        )
        away = second if first.is_bound() else first
        await eventually(lambda: away.trouble() == "another worker has the modem")
        assert not away.is_bound()


@pytest.mark.parametrize(
    ("pin", "why", "tried"),
    [("", "the SIM asks for its PIN", ""), ("0000", "the SIM refuses the PIN", "0000\n")],
)
async def test_a_pin_is_tried_once(
    folder: Path,
    sink: RecordingSink,
    caplog: pytest.LogCaptureFixture,
    pin: str,
    why: str,
    tried: str,
) -> None:
    (folder / "pin").write_text("1234")
    (folder / "pins").touch()
    upstream = opened(folder, f"pin={pin}")
    async with running(upstream, sink):
        await eventually(lambda: "modem given up" in caplog.text)
        assert upstream.trouble() == why
        delivery = a_delivery()
        upstream.submit(delivery)
        await sink.answers_to(delivery)
        assert sink.outcomes(delivery) == [Outcome.NOT_WRITTEN]
    assert (folder / "pins").read_text() == tried


async def test_the_right_pin_opens_the_sim(folder: Path, sink: RecordingSink) -> None:
    (folder / "pin").write_text("1234")
    upstream = opened(folder, "pin=1234")
    async with running(upstream, sink):
        await upstream.ready()
    assert upstream.trouble() == ""


async def test_its_signal_and_credit_are_asked_while_it_serves(
    folder: Path, sink: RecordingSink
) -> None:
    assert ask(str(folder)) is None
    async with running(upstream := opened(folder), sink):
        await upstream.ready()
        facts = await asyncio.to_thread(ask, str(folder))
        credit = await asyncio.to_thread(ask, str(folder), "*100#")
    assert facts is not None
    assert (facts["signal"], facts["registered"]) == (42, "HomeNetwork")
    assert credit == {"reply": "Reply for *100#"}


async def test_the_receipt_of_an_earlier_run_is_known(folder: Path, sink: RecordingSink) -> None:
    upstream = opened(folder)
    async with running(upstream, sink):
        await sent(upstream, sink, "#quiet hello")
    (answer,) = sink.answers
    reference = int(answer.smsc_id.partition("-")[2], 16)
    later = opened(folder)
    number = (folder / "sent").read_text().split(" ")[0]
    later.ask_for([(answer.smsc_id, number, int(time.time() * 1_000) + HOUR)])
    put(folder, "Status_Report", number, "", MessageReference=reference, DeliveryStatus=0)
    put(folder, "Status_Report", "+32494999999", "", MessageReference=reference, DeliveryStatus=0)
    async with running(later, sink):
        await sink.until(lambda: sink.receipts)
        # Nobody's receipt is deleted, too.
        await eventually(lambda: not list((folder / "sms/1").iterdir()))
    (told,) = sink.receipts
    assert (told.smsc_id, told.state) == (answer.smsc_id, State.DELIVERED)


PUT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from support.modem_child import Machine
machine = Machine()
machine.SetConfig(0, {"Model": "dummy", "Connection": "none", "Device": sys.argv[2]})
machine.Init()
machine.add(*sys.argv[3:6], **json.loads(sys.argv[6]))
"""


def put(folder: Path, kind: str, number: str, text: str, **more: Any) -> None:
    """Put a message on the SIM, as the network does."""
    tests = str(Path(__file__).parents[1])
    arguments = [tests, str(folder), kind, number, text, json.dumps(more)]
    subprocess.run([sys.executable, "-c", PUT, *arguments], check=True)


async def test_a_message_stays_on_the_sim_until_it_is_committed(
    folder: Path, sink: RecordingSink
) -> None:
    dummy_modem()
    put(folder, "Deliver", NUMBER, "Grüße €")
    sink.is_quick.clear()
    async with running(opened(folder), sink):
        await sink.until(lambda: sink.waiting)
    # It was killed meanwhile, and the message is read again under the same id.
    assert len(list((folder / "sms/1").iterdir())) == 1
    sink.is_quick.set()
    async with running(opened(folder, "number=32470000001"), sink):
        await sink.until(lambda: sink.messages)
        await eventually(lambda: not list((folder / "sms/1").iterdir()))
    (message,) = sink.messages
    assert (message.sender, message.recipient, message.text) == (NUMBER, "32470000001", "Grüße €")
    assert len(message.id) == 64


async def test_its_errors_are_judged_and_no_number_is_told(
    folder: Path, sink: RecordingSink
) -> None:
    async with running(upstream := opened(folder), sink):
        assert await sent(upstream, sink, "#bad") == (
            Outcome.REFUSED,
            "the modem says ERR_INVALIDDATA",
        )
        assert await sent(upstream, sink, "#throttle") == (
            Outcome.RETRY,
            "the modem says ERR_BUSY",
        )


def test_gammu_writes_what_we_count(folder: Path) -> None:
    """The octets of a text are ours, whichever characters it has: never a silent `?`."""
    import gammu

    signs = [bytes([each]) for each in range(128) if each != 0x1B]
    signs += [b"\x1b" + bytes([each]) for each in b"\x14()/<=>@e"]
    every = "".join(map(decode_gsm7, signs))
    for text, coding in (
        (every, "Default_No_Compression"),
        ("Привет 😀 " * 6, "Unicode_No_Compression"),
    ):
        for start in range(0, len(text), 30):
            part = text[start : start + 30]
            message = {
                "SMSC": {"Number": "+32475161616"},
                "Number": NUMBER,
                "Text": part,
                "Coding": coding,
                "Class": -1,
                "Type": "Submit",
                "Folder": 1,
            }
            pdu = gammu.EncodePDU(message, "Submit")
            encoding = a_delivery(part).encoding if coding[0] == "D" else a_delivery("ж").encoding
            (octets,) = user_data(part, encoding, 0)
            if coding[0] == "D":
                octets = pack_septets(octets)
            assert pdu.endswith(octets), part


@pytest.mark.parametrize(
    ("parts", "receipt", "found"),
    [
        # Reference, number and moment of the parts, then of the receipt.
        ([(7, NUMBER, 0)], (7, NUMBER, 3_000), 0),
        ([(7, NUMBER, 0)], (8, NUMBER, 3_000), None),
        # Somebody else's.
        ([(7, NUMBER, 0)], (7, "+32494000001", 3_000), None),
        # In the country's own form; and one that is too short to tell.
        ([(7, NUMBER, 0)], (7, "0494000000", 3_000), 0),
        ([(7, NUMBER, 0)], (7, "000000", 3_000), None),
        # An SMSC with another time zone, and a receipt of last week's part.
        ([(7, NUMBER, 0)], (7, NUMBER, 7 * HOUR), 0),
        ([(7, NUMBER, 0)], (7, NUMBER, -7 * 24 * HOUR), None),
        # The same reference came again: the nearest, where the other one is far.
        ([(7, NUMBER, 0), (7, NUMBER, HOUR)], (7, NUMBER, 3_000), 0),
        ([(7, NUMBER, 0), (7, NUMBER, HOUR)], (7, NUMBER, HOUR + 3_000), 1),
        ([(7, NUMBER, 0), (7, NUMBER, HOUR)], (7, NUMBER, HOUR // 2), None),
        ([(7, NUMBER, 0), (7, NUMBER, 30_000)], (7, NUMBER, 3_000), None),
        ([(7, NUMBER, 0), (7, "+32494000001", 1_000)], (7, NUMBER, 3_000), 0),
    ],
)
def test_a_receipt_is_joined_to_its_part_or_to_none(
    parts: list[tuple[int, str, int]], receipt: tuple[int, str, int], found: int | None
) -> None:
    sent = SentParts()
    names: list[str] = []
    for reference, number, after in parts:
        names.append(part_name((NOON + after) * 1_000 + len(names), reference))
        sent.add(names[-1], number, NOON + after + 48 * HOUR)
    reference, number, after = receipt
    name = sent.name_of(reference, number, NOON + after)
    assert name == (None if found is None else names[found])


def test_a_part_is_remembered_longer_than_its_validity_and_not_for_ever() -> None:
    sent = SentParts()
    for days in (0, 2, 9):
        at = NOON + days * 24 * HOUR
        sent.add(part_name(at * 1_000, 7), NUMBER, at + 48 * HOUR)
    assert len(sent._by_reference[7]) == 1


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (0x00, State.DELIVERED),
        (0x01, State.UNKNOWN),
        (0x20, State.SUBMITTED),
        (0x3F, State.SUBMITTED),
        (0x41, State.UNDELIVERABLE),
        (0x46, State.EXPIRED),
        (0x62, State.UNDELIVERABLE),
        (0xFF, State.UNDELIVERABLE),
    ],
)
def test_the_states_are_those_of_the_standard(status: int, state: State) -> None:
    assert state_of(status) is state
