"""What `tox -e fuzz` tries at length, with a few inputs, so that it works when it is wanted."""

import random

import pytest

from . import header_targets, soap_targets, targets
from .corpora import KEPT, TARGETS, kept
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


def test_what_headers_say_holds_in_every_way() -> None:
    chance = random.Random(1)
    for seed in header_targets.seeds():
        octets = bytearray(seed + chance.choice(header_targets.seeds())[1:])
        header_targets.try_all(bytes(octets))
        for _ in range(chance.randint(1, 5)):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        header_targets.try_all(bytes(octets))


@pytest.mark.parametrize("target", TARGETS)
def test_what_earlier_runs_kept_holds_in_every_way(target: str) -> None:
    try_all, _ = TARGETS[target]
    for each in kept(target):
        try_all(each)


def test_a_corpus_is_kept_for_each_target_and_is_small() -> None:
    assert {file.stem for file in KEPT.iterdir()} == set(TARGETS)
    for target in TARGETS:
        inputs = kept(target)
        assert inputs == sorted(set(inputs), key=lambda each: (len(each), each))
        assert len(inputs) >= 20
        assert sum(map(len, inputs)) < 200_000


def test_a_request_beyond_its_time_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_targets, "_MOST", 0.0)
    with pytest.raises(AssertionError):
        header_targets.try_all(b"\x04Cookie: a=b\r\n")


def test_a_cost_beyond_the_input_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "conversation", lambda data: [len(data) for _ in range(10_000)])
    with pytest.raises(AssertionError, match="calls"):
        targets.try_all(b"")
