"""What a worker writes about, and what became of it."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import func, select

from sms_gateway.deliver.feeder import settle
from sms_gateway.deliver.ledger import (
    Beat,
    Claim,
    Event,
    LateAnswer,
    Ledger,
    ReceiptCame,
    Settled,
)
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.sms.encoding import Encoding
from sms_gateway.sms.ids import new_id
from sms_gateway.sms.message import State
from sms_gateway.sms.receipt import Receipt
from sms_gateway.store import Store, history, intake, queue, tables, workers
from sms_gateway.upstream import Answer, Delivery, Outcome

from . import accounts

NOW = 1_800_014_400_000
SECOND = 1_000
HOUR = 3_600_000
LEASE = 15_000
ACCEPTED, RETRY, REFUSED = Outcome.ACCEPTED, Outcome.RETRY, Outcome.REFUSED
UNANSWERED, NOT_WRITTEN = Outcome.UNANSWERED, Outcome.NOT_WRITTEN
BUSY = Outcome.BUSY

ROUTES = Routes(
    [
        Route(prefix="", upstreams=("a",)),
        Route(prefix="33", upstreams=("b",)),
        Route(prefix="49", upstreams=("a",), resend=True),
    ]
)


class Books:
    """A store with a worker's ledger, and messages to write about."""

    def __init__(self, store: Store) -> None:
        self.store = store
        _, self.account = accounts.create(store)
        with store.write() as connection:
            self.worker = workers.enroll(connection, now=NOW, lease=LEASE)
        self.route_by(ROUTES)

    def route_by(self, routes: Routes) -> None:
        """Begin anew with other routes."""
        self.routes = routes
        self.ledger = Ledger(routes, worker=self.worker, lease=LEASE)

    def another(self, now: int = NOW) -> "Books":
        """The same store, seen by a second worker."""
        books = Books.__new__(Books)
        books.store, books.account = self.store, self.account
        with self.store.write() as connection:
            books.worker = workers.enroll(connection, now=now, lease=LEASE)
        books.route_by(self.routes)
        return books

    def accept(self, number: str = "+32494000000", parts: int = 1, at: int = NOW) -> str:
        id = new_id(at)
        with self.store.write() as connection:
            route = self.routes.find(number)
            assert route is not None
            text = "x" * 150 * parts
            row = (id, self.account.id, "ACME", text, Encoding.GSM7.value, parts, at, "", 0)
            intake.add_messages(connection, [row])
            intake.add_deliveries(
                connection,
                [(id, number, route.prefix, parts, at, at + HOUR, "BE")],
                [(self.account.id, self.routes.lane(route.prefix), queue.NORMAL)],
            )
        return id

    def write(self, *events: Event) -> Any:
        with self.store.write() as connection:
            result = self.ledger.apply(connection, events)[-1]
        beats = [event.now for event in events if isinstance(event, Beat)]
        if beats:
            self.keep_house(beats[-1])
        return result

    def keep_house(self, now: int) -> None:
        """All rounds of the housekeeper."""
        house = self.ledger.housekeeping
        for each in (*house.often, *house.rarely, house.adopt):
            is_more = True
            while is_more:
                with self.store.write() as connection:
                    is_more = each(connection, now)

    def claim(
        self,
        parts: int = 100,
        upstream: str = "a",
        now: int = NOW,
        hold: Callable[[str, int], int] | None = None,
    ) -> list[Delivery]:
        claimed: list[Delivery] = self.write(
            Claim(upstream=upstream, parts=parts, now=now, hold=hold)
        )
        return claimed

    def settle(
        self, delivery: Delivery, *outcomes: Outcome, ids: Any = None, now: int = NOW
    ) -> None:
        self.write(self.settled(delivery, *outcomes, ids=ids, now=now))

    def settled(
        self, delivery: Delivery, *outcomes: Outcome, ids: Any = None, now: int = NOW
    ) -> Settled:
        answers = [
            Answer(
                delivery_id=delivery.id,
                part=number,
                outcome=outcome,
                smsc_id=(ids or [f"{delivery.id}-{n}" for n in range(1, 9)])[number - 1]
                if outcome is Outcome.ACCEPTED
                else "",
                reason="" if outcome is Outcome.ACCEPTED else "0x000000ff because",
            )
            for number, outcome in enumerate(outcomes, 1)
            if number not in delivery.accepted
        ]
        resend = delivery.route in ROUTES.resending()
        busy_until = now + 7 * SECOND if BUSY in outcomes else 0
        return settle(
            delivery, answers, upstream="a", resend=resend, now=now, busy_until=busy_until
        )

    def receipt(
        self,
        smsc_id: str,
        state: State = State.DELIVERED,
        recipient: str = "32494000000",
        error: str = "000",
        now: int = NOW,
        upstream: str = "a",
    ) -> None:
        self.write(came(smsc_id, state, recipient, error, now, upstream))

    def state(self, id: str) -> State:
        with self.store.read() as connection:
            found = history.of_message(connection, id)
        assert found is not None
        return found.state

    def delivery(self, id: str) -> Any:
        """The only delivery of a message, with its journal."""
        with self.store.read() as connection:
            found = history.of_message(connection, id)
        assert found is not None
        (delivery,) = found.deliveries
        return delivery

    def steps(self, id: str) -> list[str]:
        with self.store.read() as connection:
            found = history.of_message(connection, id)
        assert found is not None
        return [step.event for delivery in found.deliveries for step in delivery.steps]

    def early(self) -> int:
        with self.store.read() as connection:
            query = select(func.count()).select_from(tables.early_receipt)
            count: int = connection.execute(query).scalar_one()
        return count


def came(
    smsc_id: str,
    state: State = State.DELIVERED,
    recipient: str = "32494000000",
    error: str = "000",
    now: int = NOW,
    upstream: str = "a",
) -> ReceiptCame:
    receipt = Receipt(
        smsc_id=smsc_id, state=state, recipient=recipient, error=error, done_at=now, raw="id:…"
    )
    return ReceiptCame(upstream=upstream, receipt=receipt, now=now)


def submitted(books: Books, smsc_id: str, number: str = "+32494000000") -> str:
    id = books.accept(number)
    (delivery,) = books.claim()
    books.settle(delivery, Outcome.ACCEPTED, ids=[smsc_id])
    assert books.state(id) is State.SUBMITTED
    return id


def late(delivery: Delivery, outcome: Outcome, smsc_id: str = "", part: int = 1) -> LateAnswer:
    answer = Answer(
        delivery_id=delivery.id,
        attempt=delivery.attempt,
        part=part,
        outcome=outcome,
        smsc_id=smsc_id,
    )
    return LateAnswer(upstream="a", answer=answer, now=NOW)
