"""What `tox -e fuzz` tries at length, with a few inputs, so that it works when it is wanted."""

import random

import pytest

from . import soap_targets, targets
from .seeds import SEEDS


def test_what_smscs_say_holds_in_every_way() -> None:
    for seed in SEEDS:
        targets.try_all(seed)


def test_what_is_a_little_off_holds_in_every_way() -> None:
    chance = random.Random(1)
    for _ in range(300):
        octets = bytearray(chance.choice(SEEDS) + chance.choice(SEEDS)[1:])
        for _ in range(chance.randint(1, 5)):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        targets.try_all(bytes(octets))


def test_what_soap_clients_send_holds_in_every_way() -> None:
    for seed in soap_targets.seeds():
        soap_targets.try_all(seed)


def test_a_cost_beyond_the_input_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "conversation", lambda data: [len(data) for _ in range(10_000)])
    with pytest.raises(AssertionError, match="calls"):
        targets.try_all(b"")
