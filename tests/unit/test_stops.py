"""STOP, validity, quiet hours and shares of routes: from the request to the queue."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from support import accounts as support

from sms_gateway.accept.gateway import Gateway
from sms_gateway.accounts import Account
from sms_gateway.backend import Submission
from sms_gateway.codes import Code
from sms_gateway.deliver.feeder import settle
from sms_gateway.deliver.ledger import Claim, Ledger, MessageCame
from sms_gateway.routing.quiet_hours import QuietHours
from sms_gateway.routing.routes import Route, Routes, Senders, Share
from sms_gateway.sms.message import State
from sms_gateway.store import Store, accounts, history, inbox, lanes, stops, tables, workers
from sms_gateway.upstream import Answer, Delivery, Incoming, Outcome

pytestmark = pytest.mark.encrypted_too

NUMBER, OTHER = "+32494000000", "+32494000001"
HOUR = 3_600_000
#: 22:00 in Brussels, 05:00 the next day in Tokyo.
NIGHT = 1_782_936_000_000

ROUTES = Routes(
    [
        Route(prefix="32", upstreams=("a", "b"), weights=(1, 1)),
        Route(prefix="33", upstreams=("a",), validity=HOUR),
        Route(prefix="31", upstreams=("a",), quiet=QuietHours.parse("21:00-08:00")),
        Route(prefix="44", upstreams=("a",), alphabet="ascii", senders=Senders.OWN, sender="8000"),
    ]
)


class Books:
    """A gateway and a worker's ledger on one store."""

    def __init__(self, store: Store, gateway: Gateway) -> None:
        self.store, self.gateway = store, gateway
        self.now = NIGHT
        self.key, self.account = support.create(store, rate=None, multi=True)
        with store.write() as connection:
            worker = workers.enroll(connection, now=NIGHT, lease=HOUR)
            inbox.assign(connection, "8000", self.account.id, 0)
        self.ledger = Ledger(ROUTES, worker=worker, lease=HOUR)

    async def send(self, recipients: str = NUMBER, key: str = "", text: str = "hello") -> Any:
        return await self.gateway.sendsms(Submission(recipients, text, key or self.key))

    def receive(self, text: str, sender: str = NUMBER, recipient: str = "8000") -> None:
        incoming = Incoming(sender=sender, recipient=recipient, text=text)
        self.write(MessageCame(upstream="a", incoming=incoming, now=self.now))

    def claim(self, shares: list[Share] | None = None, upstream: str = "a") -> list[Delivery]:
        return self.write(Claim(upstream=upstream, parts=100, shares=shares, now=self.now))

    def write(self, event: Any) -> Any:
        with self.store.write() as connection:
            return self.ledger.apply(connection, [event])[-1]

    def found(self, id: str) -> history.MessageHistory:
        with self.store.read() as connection:
            found = history.of_message(connection, id)
        assert found is not None
        return found

    def reloaded(self) -> Account:
        with self.store.read() as connection:
            found = accounts.by_name(connection, "acme")
        assert found is not None
        return found


@pytest.fixture
async def books(store: Store) -> AsyncIterator[Books]:
    gateway = Gateway(store, ROUTES, clock=lambda: NIGHT)
    await gateway.start()
    yield Books(store, gateway)
    await gateway.aclose()


@pytest.mark.parametrize("sender", [NUMBER, "32494000000", "0032494000000"])
async def test_after_stop_nothing_is_accepted_for_this_recipient(books, sender) -> None:
    assert (await books.send()).error is Code.SENT  # the gateway has the account in memory now
    books.receive("Arrêt", sender)
    reply = await books.send()
    assert (reply.error, reply.note) == (Code.NOT_SENT, "The recipient has asked to stop")
    assert (await books.send(f"{OTHER},{NUMBER}")).error is Code.NOT_SENT  # all or nothing
    assert (await books.send(OTHER)).error is Code.SENT
    assert books.reloaded().stops == 1


async def test_stop_is_between_one_sender_and_one_recipient(books) -> None:
    key, _ = support.create(books.store, "other", rate=None)
    books.receive("stop")
    assert (await books.send(key=key)).error is Code.SENT


async def test_stop_ends_what_is_still_queued_and_resending_does_not_revive_it(books) -> None:
    first, second = await books.send(), await books.send(OTHER)
    books.receive("STOP")
    assert books.found(first.id).state is State.FAILED
    assert books.found(second.id).state is State.QUEUED
    (delivery,) = books.found(first.id).deliveries
    assert delivery.steps[-1].detail == "the recipient has asked to stop"
    reply = await books.gateway.resendsms(books.key, first.id)
    assert (reply.error, reply.note) == (Code.NOT_SENT, "The recipient has asked to stop")


async def test_start_lets_messages_through_again(books) -> None:
    books.receive("stop")
    books.receive("STOP")
    assert books.reloaded().stops == 1
    books.receive("Start")
    books.receive("start")
    assert books.reloaded().stops == 0
    assert (await books.send()).error is Code.SENT


async def test_stop_to_a_number_of_nobody_and_stop_among_words_do_nothing(books) -> None:
    books.receive("stop", recipient="9000")
    books.receive("do not stop")
    assert (await books.send()).error is Code.SENT
    assert books.reloaded().stops == 0


async def test_the_account_still_receives_the_stop_itself(books) -> None:
    books.receive("stop")
    inbox_ = await books.gateway.getsms(books.key)
    assert [message.text for message in inbox_.messages] == ["stop"]


async def test_a_stop_is_lifted_by_hand(books) -> None:
    books.receive("stop")
    with books.store.write() as connection:
        assert stops.lift(connection, books.account.id, NUMBER)
        assert not stops.lift(connection, books.account.id, NUMBER)
        assert stops.listed(connection) == []
    assert (await books.send()).error is Code.SENT


@pytest.mark.parametrize(
    ("recipient", "validity", "expected"),
    [(NUMBER, None, 48 * HOUR), (NUMBER, HOUR // 2, HOUR // 2), (NUMBER, 90 * HOUR, 48 * HOUR),
     ("+33612345678", None, HOUR), ("+33612345678", HOUR // 2, HOUR // 2)],
)  # fmt: skip
async def test_the_shortest_validity_counts(books, recipient, validity, expected) -> None:
    with books.store.write() as connection:
        accounts.change(connection, "acme", validity=validity)
    reply = await books.send(recipient)
    assert books.found(reply.id).deliveries[0].expires_at == NIGHT + expected


async def test_what_comes_in_quiet_hours_is_put_off_and_says_until_when(books) -> None:
    reply = await books.send("+31612345678")
    shares = ROUTES.shares("a")
    assert books.claim(shares) == []
    (delivery,) = books.found(reply.id).deliveries
    assert (delivery.state, delivery.due_at) == (State.QUEUED, NIGHT + 10 * HOUR)
    assert delivery.steps[-1].event == "put off"
    assert delivery.steps[-1].detail.startswith("quiet hours until ")
    books.now = NIGHT + 10 * HOUR
    with books.store.write() as connection:
        assert lanes.wake(connection, ROUTES, now=books.now - lanes.AWAKE_BEFORE) == 1
    assert len(books.claim(shares)) == 1


async def test_two_upstreams_share_a_route_by_weight_and_one_takes_all_when_alone(books) -> None:
    for _ in range(20):
        await books.send()
    mine = books.claim(ROUTES.shares("a"))
    assert len(mine) == 10
    theirs = books.claim(ROUTES.shares("b", failed=["a"]), upstream="b")
    assert len(theirs) == 10
    assert not {d.id for d in mine} & {d.id for d in theirs}


async def test_a_share_takes_no_more_than_it_may(books) -> None:
    for _ in range(10):
        await books.send("+33612345678")
    (share,) = [share for share in ROUTES.shares("a") if share.lane.name == "a"]
    assert len(books.claim([replace(share, most=3)])) == 3
    assert len(books.claim([replace(share, most=0)])) == 0
    assert len(books.claim([share])) == 7


async def test_a_trial_leaves_alone_what_the_upstream_was_the_last_to_try(books) -> None:
    await books.send("+33612345678")
    trial = [replace(share, untried=True) for share in ROUTES.shares("a")]
    (delivery,) = books.claim(trial)
    retry = Answer(delivery_id=delivery.id, part=1, outcome=Outcome.RETRY)
    books.write(settle(delivery, [retry], upstream="a", resend=False, now=books.now))
    books.now += 2_000
    assert books.claim(trial) == []
    assert len(books.claim(trial, upstream="b")) == 1


async def test_a_route_counts_parts_by_its_own_alphabet_and_has_its_own_sender(books) -> None:
    text = "é" * 71  # one part in the GSM alphabet, two in UCS-2
    reply = await books.send(f"+447400123456,{NUMBER}", text=text)
    british, belgian = books.found(reply.id).deliveries
    assert (british.parts, belgian.parts) == (2, 1)
    deliveries = {d.recipient: d for d in books.claim(ROUTES.shares("a") + ROUTES.shares("b"))}
    assert deliveries["+447400123456"].alphabet == "ascii"
    assert deliveries["+447400123456"].sender == "8000"
    assert (deliveries[NUMBER].alphabet, deliveries[NUMBER].sender) == (None, "")


def test_workers_tell_which_upstreams_they_have_left(store: Store) -> None:
    now = time.time_ns() // 1_000_000
    with store.write() as connection:
        first = workers.enroll(connection, now=now, lease=HOUR)
        second = workers.enroll(connection, now=now, lease=HOUR)
        workers.prolong(connection, first, now=now, lease=HOUR, failed_over="a,b")
        assert workers.alive(connection, now=now) == {first: ("a", "b"), second: ()}
        assert connection.execute(select(tables.worker.c.id)).all()
