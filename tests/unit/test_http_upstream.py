"""The base of ways out by HTTP, with a provider that nobody has on a real server."""

import dataclasses
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.courier import Courier, CourierOptions
from support.courier_peer import TOKEN, Peer, courier_peer
from support.upstreams import RecordingSink, a_delivery, eventually, running, sent

from sms_gateway.remote.answers import Answer, InvalidAnswerError
from sms_gateway.sms.message import State
from sms_gateway.upstream import Delivery, Outcome, part_id
from sms_gateway.upstream.http import HttpUpstream
from sms_gateway.upstream.http_contract import (
    Judgement,
    Request,
    by_status,
    form_request,
    message_id,
)
from sms_gateway.upstream.http_options import HttpOptions
from sms_gateway.upstream.http_poll import NoReceiptError
from sms_gateway.upstream.push import Heard, PushError, checked, receipt

LONG = "Long enough for three parts. " * 15


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with courier_peer() as started:
        yield started


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


def options(peer: Peer, **more: Any) -> CourierOptions:
    usual: dict[str, Any] = {"url": peer.url, "token": TOKEN, "response_timeout": 1}
    quick = {"reconnect_delay": 0.05, "locked_out_delay": 0.1, "stop_timeout": 0.1}
    return CourierOptions(**(usual | quick | more))


@pytest.mark.parametrize("status", range(100, 600))
def test_what_a_status_means_loses_nothing_and_sends_nothing_twice(status: int) -> None:
    """A success and a failure of the server are for a provider's own words, or for nobody."""
    try:
        judgement = by_status(Answer(status, None, b""))
    except InvalidAnswerError:
        assert status < 300 or status >= 500
        return
    assert 300 <= status < 500
    assert judgement.outcome in (Outcome.RETRY, Outcome.REFUSED)
    assert judgement.reason == f"HTTP status {status}"
    assert (judgement.outcome is Outcome.REFUSED) == (status in (400, 413, 414, 415, 422))
    assert judgement.is_throttled == (status == 429)
    passes = status in (400, 413, 414, 415, 422, 408, 425, 429)
    assert judgement.is_locked_out == (not passes)


def test_not_now_is_meant_where_it_is_said_until_when() -> None:
    assert by_status(Answer(503, "7", b"")).outcome is Outcome.RETRY
    with pytest.raises(InvalidAnswerError):
        by_status(Answer(503, None, b""))


async def test_an_error_of_the_providers_own_is_told_by_its_name(
    peer: Peer, sink: RecordingSink
) -> None:
    upstream = HttpUpstream("courier", Courier(options(peer)))
    async with running(upstream, sink):
        assert await sent(upstream, sink, "#bad hello") == (Outcome.REFUSED, "bad_number")
        assert upstream.is_bound()
        assert await sent(upstream, sink, "#credit hello") == (Outcome.RETRY, "no_credit")
        assert not upstream.is_bound()
        assert upstream.trouble() == "requests refused: no_credit"
        # One shows whether somebody has paid.
        await upstream.ready()
        assert upstream.free() == 1
        assert await sent(upstream, sink, "hello") == (Outcome.ACCEPTED, "")
        assert upstream.free() > 1
        assert upstream.trouble() == ""


async def test_a_wrong_token_locks_out(peer: Peer, sink: RecordingSink) -> None:
    upstream = HttpUpstream("courier", Courier(options(peer, token="wrong")))
    async with running(upstream, sink):
        assert await sent(upstream, sink, "hello") == (Outcome.RETRY, "HTTP status 401")
        assert not upstream.is_bound()


class Careless(Courier):
    """What a provider's author may get wrong."""

    def request(self, delivery: Delivery) -> Request:
        if "#fails" in delivery.text:
            raise KeyError(delivery.text)
        if "#path" in delivery.text:
            return Request(path="/v1/mess ages")
        if "#header" in delivery.text:
            return form_request("/v1/messages", {}, {"X": "a\r\nX-Other: b"})
        if "#accent" in delivery.text:
            return form_request("/v1/messages", {}, {"X": "é"})
        return super().request(delivery)

    def judge(self, answer: Answer) -> Judgement:
        raise KeyError(answer.body)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        # Nothing was written, and a better version may send it.
        ("#fails", (Outcome.RETRY, "its request could not be made")),
        ("#path", (Outcome.REFUSED, "its request could not be made")),
        ("#header", (Outcome.REFUSED, "its request could not be made")),
        ("#accent", (Outcome.REFUSED, "its request could not be made")),
        # It was, and nobody could read what came of it.
        ("#quiet", (Outcome.UNANSWERED, "odd answer: it could not be read")),
    ],
)
async def test_what_a_provider_gets_wrong_ends_nothing_and_is_logged_without_texts(
    peer: Peer,
    sink: RecordingSink,
    caplog: pytest.LogCaptureFixture,
    word: str,
    expected: tuple[Outcome, str],
) -> None:
    upstream = HttpUpstream("courier", Careless(options(peer)))
    async with running(upstream, sink):
        assert await sent(upstream, sink, f"{word} Grüße") == expected
        assert upstream.is_bound()
    assert len(peer.requests) == (word == "#quiet")
    logged = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(logged) == (word in ("#fails", "#quiet"))
    assert "Grüße" not in str([vars(record) for record in logged])


async def test_a_text_of_no_characters_is_refused(peer: Peer, sink: RecordingSink) -> None:
    class Form(Courier):
        def request(self, delivery: Delivery) -> Request:
            return form_request("/v1/messages", {"text": delivery.text}, {})

    upstream = HttpUpstream("courier", Form(options(peer)))
    delivery = dataclasses.replace(a_delivery(), text="\ud800")
    async with running(upstream, sink):
        await upstream.ready()
        upstream.submit(delivery)
        (answer,) = await sink.answers_to(delivery)
    assert answer.outcome is Outcome.REFUSED


def test_the_names_of_parts() -> None:
    assert [part_id(["a"], n) for n in (1, 2, 3)] == ["a", "a.2", "a.3"]
    assert [part_id(["a", "b", "c"], n) for n in (1, 2, 3)] == ["a", "b", "c"]
    assert [message_id(part_id(["a.b"], n)) for n in (1, 2, 255)] == ["a.b"] * 3


async def test_each_part_may_have_an_id_of_its_own(peer: Peer, sink: RecordingSink) -> None:
    class Parted(Courier):
        def judge(self, answer: Answer) -> Judgement:
            return Judgement(outcome=Outcome.ACCEPTED, ids=("x", "y", "z"))

    upstream = HttpUpstream("courier", Parted(options(peer)))
    delivery = a_delivery(f"#quiet {LONG}")
    async with running(upstream, sink):
        await upstream.ready()
        upstream.submit(delivery)
        answers = await sink.answers_to(delivery)
    assert [(each.part, each.smsc_id) for each in answers] == [(1, "x"), (2, "y"), (3, "z")]


def test_what_a_push_tells_has_to_be_what_can_be_stored() -> None:
    right = receipt("id-1", State.DELIVERED, "+32 494/00.00.00", error="7", done_at=5)
    assert (right.recipient, right.error, right.done_at) == ("32494000000", "7", 5)
    assert checked(Heard(receipts=[right])).receipts == [right]
    for wrong in (receipt("", State.DELIVERED), receipt("a\0", State.DELIVERED, error="7")):
        with pytest.raises(PushError):
            checked(Heard(receipts=[wrong]))
    with pytest.raises(PushError):
        checked(Heard(receipts=[receipt("a", State.DELIVERED, error="\n")]))


def test_options_of_a_provider_are_those_of_all_and_its_own() -> None:
    told = CourierOptions(url="https://x.example", token="hush", window=3)
    assert isinstance(told, HttpOptions)
    assert "hush" not in repr(told)
    with pytest.raises(ValueError, match="window=0: allowed is 1 to 10000"):
        CourierOptions(url="https://x.example", token="hush", window=0)
    with pytest.raises(ValueError, match="cafile: only https:// has certificates"):
        CourierOptions(url="http://x.example", token="hush", cafile="ca.pem")


async def test_who_is_asked_and_stumbles_is_asked_again(peer: Peer, sink: RecordingSink) -> None:
    """Of a provider that is asked what became of messages."""

    class Asked(Courier):
        times = 0

        def question(self, id: str) -> Request:
            return Request(method="GET", path=f"/v1/messages/{id}")

        def state(self, answer: Answer, id: str, recipient: str) -> State | None:
            self.times += 1
            if self.times == 1:
                raise KeyError(recipient)
            if self.times == 2:
                return None
            if id == "nobody":
                raise NoReceiptError
            return State.DELIVERED

        def id_of(self, key: str) -> str:
            return message_id(key)

    provider = Asked(options(peer, poll_interval=0.01))
    upstream = HttpUpstream("courier", provider)
    delivery = a_delivery(f"#quiet {LONG}")
    async with running(upstream, sink):
        await upstream.ready()
        upstream.submit(delivery)
        await sink.until(lambda: len(sink.receipts) == 3)
        # After a restart the store tells what is owed.
        upstream.ask_for([("nobody", "+32494000001", delivery.expires_at)])
        upstream.ask_for([(f"x{n}", "+32494000001", delivery.expires_at) for n in ("", ".2")])
        await sink.until(lambda: len(sink.receipts) == 5)
        await eventually(lambda: provider.times == 5)
    names = [receipt.smsc_id for receipt in sink.receipts]
    (id,) = {message_id(name) for name in names[:3]}
    assert names == [id, f"{id}.2", f"{id}.3", "x", "x.2"]
