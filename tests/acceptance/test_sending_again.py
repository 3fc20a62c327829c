"""From `/sendsms/` to a foreign SMSC and back again: failed, sent again, asked about, deleted."""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import running
from support.smsc import Smsc, start_smsc

NUMBERS = "32494000000,32494000001"


@pytest.fixture
def smsc(tmp_path: Path) -> Iterator[Smsc]:
    with start_smsc(tmp_path) as started:
        yield started


def post(gateway: running.Running, path: str, **fields: str) -> dict[str, Any]:
    form = urllib.parse.urlencode(fields | {"format": "json"}).encode()
    with urllib.request.urlopen(f"{gateway.url}{path}", form, timeout=60) as response:
        return json.loads(response.read())["result"]


def test_what_failed_is_sent_again_and_every_step_of_it_is_told(
    tmp_path: Path, database: str, smsc: Smsc
) -> None:
    with running.serve(tmp_path, database, upstream=smsc.url) as gateway:
        key = gateway.create_key("--rate", "none", "--multi")
        # The SMSC refuses it the first time that it comes for a number.
        text = "refused at first #invalid-destination:1"
        sent = post(gateway, "/sendsms/", recipients=NUMBERS, message=text, apikey=key)
        assert (sent["error"], sent["sent"]) == (0, 2)
        mine = {"apikey": key, "id": sent["id"]}

        def states() -> list[str]:
            status = post(gateway, "/status/", **mine)
            return [delivery["state"] for delivery in status["deliveries"]]

        running.wait_for(lambda: states() == ["failed", "failed"], 30)
        assert len(smsc.submits()) == 2
        assert post(gateway, "/resendsms/", **mine) == {"error": 0, "sent": 2, "id": sent["id"]}
        running.wait_for(lambda: states() == ["delivered", "delivered"], 30)
        again = [entry["destination"] for entry in smsc.submits()[2:]]
        assert sorted(again) == ["32494000000", "32494000001"]

        status = post(gateway, "/status/", **mine)
        assert (status["state"], status["sent"], status["parts"]) == ("delivered", 2, 1)
        for delivery in status["deliveries"]:
            events = [step["event"] for step in delivery["steps"]]
            assert events.index("refused") < events.index("failed") < events.index("resend")
            assert events.index("resend") < events.index("submitted") < events.index("receipt")
            times = [step["at"] for step in delivery["steps"]]
            assert times == sorted(times)
            assert times[0] >= status["accepted"]

        assert post(gateway, "/resendsms/", **mine)["error"] == 202
        assert post(gateway, "/deletesms/", **mine)["sent"] == 1
        assert post(gateway, "/status/", **mine)["error"] == 201
        shown = gateway.run("message", "show", sent["id"])
        assert "its text and numbers are erased" in shown
        assert "32494" not in shown
