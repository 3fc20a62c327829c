"""A session against a peer that is written out: time is a number, bytes are PDUs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_gateway.smpp import status as statuses
from sms_gateway.smpp import tlv
from sms_gateway.smpp.codec import Decoder, EncodeError, encode
from sms_gateway.smpp.events import (
    Answered,
    BindRefused,
    Bound,
    Closed,
    Event,
    Offered,
    ProtocolViolation,
    Unanswered,
)
from sms_gateway.smpp.pdu import (
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from sms_gateway.smpp.session import Session, State

RESPONSE, ENQUIRE, LATE = 10.0, 30.0, 60.0


class Link:
    """A session, and the peer's view of it."""

    def __init__(self, window: int = 3) -> None:
        self.now = 1000.0
        self.session: Session[str] = Session(
            BindTransceiver(system_id="esme", password="secret"),
            window=window,
            response_timeout=RESPONSE,
            enquire_interval=ENQUIRE,
            late_timeout=LATE,
        )
        self._decoder = Decoder()

    def sent(self) -> list[Pdu]:
        """What was sent since the last time."""
        self._decoder.feed(self.session.outgoing())
        found = []
        while (pdu := self._decoder.next()) is not None:
            found.append(pdu)
        return found

    def receive(self, *pdus: Pdu) -> list[Event[str]]:
        return self.session.received(b"".join(map(encode, pdus)), self.now)

    def submit(self, *tickets: str) -> list[int]:
        """Submit empty parts; their sequence numbers."""
        for ticket in tickets:
            self.session.submit(SubmitSm(), ticket, self.now)
        return [pdu.sequence for pdu in self.sent()]

    def pass_(self, seconds: float) -> list[Event[str]]:
        """Let time pass, waking the session when it asks for it."""
        events: list[Event[str]] = []
        end = self.now + seconds
        while self.session.deadline() <= end:
            self.now = max(self.now, self.session.deadline())
            events += self.session.tick(self.now)
        self.now = end
        return events


def bound_link(window: int = 3, *, proven: bool = True) -> Link:
    """Bound, and proven by an answer unless that is what the test is about."""
    link = Link(window)
    link.session.bind(link.now)
    (bind,) = link.sent()
    assert link.receive(BindTransceiverResp(sequence=bind.sequence)) == [Bound("")]
    if proven:
        (sequence,) = link.submit("first")
        link.receive(SubmitSmResp(sequence=sequence, message_id="0"))
    return link


# Binding.


def test_a_session_binds_and_is_bound_by_the_answer() -> None:
    link = Link()
    assert (link.session.state, link.session.free) == (State.OPEN, 0)
    link.session.bind(link.now)
    (bind,) = link.sent()
    assert bind == BindTransceiver(sequence=1, system_id="esme", password="secret")
    assert (link.session.state, link.session.free) == (State.BINDING, 0)
    assert link.receive(BindTransceiverResp(sequence=1, system_id="smsc")) == [Bound("smsc")]
    assert link.session.state is State.BOUND


@pytest.mark.parametrize("number", [0x0E, 0x0F, 0x05, 0x0D, 0x4FF])
def test_a_refused_bind_says_why_and_ends_the_session(number: int) -> None:
    link = Link()
    link.session.bind(link.now)
    status = statuses.lookup(number)
    assert link.receive(BindTransceiverResp(sequence=1, status=number)) == [
        BindRefused(status),
        Closed(f"bind refused: {status}"),
    ]
    assert link.session.state is State.CLOSED


def test_wrong_passwords_are_told_apart_from_passing_trouble() -> None:
    verdicts = [statuses.lookup(n).verdict for n in (0x0E, 0x0F, 0x53)]
    assert verdicts == [statuses.Verdict.LOCKED_OUT] * 3
    verdicts = [statuses.lookup(n).verdict for n in (0x05, 0x08, 0x0D, 0x4FF)]
    assert verdicts == [statuses.Verdict.RETRY] * 4


def test_a_nack_refuses_a_bind() -> None:
    link = Link()
    link.session.bind(link.now)
    events = link.receive(GenericNack(sequence=0, status=3))
    assert events[0] == BindRefused(statuses.INVALID_COMMAND_ID)


def test_an_unanswered_bind_is_given_up() -> None:
    link = Link()
    link.session.bind(link.now)
    assert link.pass_(RESPONSE - 0.1) == []
    assert link.pass_(0.2) == [Closed("the bind was not answered")]


def test_nothing_is_taken_before_the_bind_is_answered() -> None:
    link = Link()
    link.session.bind(link.now)
    link.sent()
    assert link.receive(DeliverSm(sequence=5)) == []
    assert link.sent() == [DeliverSmResp(sequence=5, status=0x04)]


# Submitting and answers.


def test_the_window_is_kept() -> None:
    link = bound_link(window=3)
    assert link.session.free == 3
    sequences = link.submit("a", "b", "c")
    assert (link.session.free, link.session.pending) == (0, 3)
    link.receive(SubmitSmResp(sequence=sequences[1], message_id="x"))
    assert (link.session.free, link.session.pending) == (1, 2)


def test_the_first_part_on_a_connection_goes_alone() -> None:
    link = bound_link(window=3, proven=False)
    assert link.session.free == 1
    (sequence,) = link.submit("a")
    assert link.session.free == 0
    link.receive(SubmitSmResp(sequence=sequence, status=0x58))
    assert link.session.free == 3


def test_answers_find_their_parts_in_any_order() -> None:
    link = bound_link()
    a, b = link.submit("a", "b")
    assert link.receive(
        SubmitSmResp(sequence=b, message_id="B1"), SubmitSmResp(sequence=a, status=0x0B)
    ) == [
        Answered("b", statuses.OK, "B1"),
        Answered("a", statuses.lookup(0x0B), ""),
    ]


def test_sequence_numbers_go_round_and_pass_over_those_in_use() -> None:
    link = bound_link(window=5)
    link.session._sequence = 0x7FFFFFFD
    assert link.submit("a", "b", "c") == [0x7FFFFFFE, 0x7FFFFFFF, 1]
    link.session._sequence = 0x7FFFFFFD
    assert link.submit("d") == [2]


def test_a_part_that_cannot_be_written_takes_no_place() -> None:
    link = bound_link()
    with pytest.raises(EncodeError):
        link.session.submit(SubmitSm(source_addr="Ж"), "a", link.now)
    assert (link.session.pending, link.sent()) == (0, [])


@pytest.mark.parametrize(
    "pdu",
    [
        SubmitSmResp(sequence=4711, message_id="x"),
        SubmitSmResp(sequence=0),
        GenericNack(sequence=0, status=3),
        GenericNack(sequence=4711),
        BindTransceiverResp(sequence=4711),
        UnbindResp(sequence=4711),
        DataSmResp(sequence=4711),
        DeliverSmResp(sequence=4711),
    ],
    ids=lambda pdu: f"{type(pdu).__name__} {pdu.sequence}",
)
def test_an_answer_to_nothing_changes_nothing_and_is_not_answered(pdu: Pdu) -> None:
    link = bound_link()
    link.submit("a")
    (event,) = link.receive(pdu)
    assert isinstance(event, ProtocolViolation)
    assert link.sent() == []
    assert (link.session.state, link.session.pending) == (State.BOUND, 1)


def test_a_second_answer_to_a_part_is_strange() -> None:
    link = bound_link()
    (sequence,) = link.submit("a")
    answer = SubmitSmResp(sequence=sequence, message_id="x")
    assert [type(event) for event in link.receive(answer, answer)] == [Answered, ProtocolViolation]


def test_a_nack_with_the_number_of_a_part_answers_it() -> None:
    link = bound_link()
    a, b = link.submit("a", "b")
    assert link.receive(GenericNack(sequence=a, status=0x03)) == [
        Answered("a", statuses.INVALID_COMMAND_ID, "")
    ]
    # "no error" in a nack is no acceptance
    assert link.receive(GenericNack(sequence=b, status=0)) == [
        Answered("b", statuses.UNKNOWN_ERROR, "")
    ]


# Answers that do not come.


def test_a_part_is_unanswered_when_its_time_is_over() -> None:
    link = bound_link()
    link.submit("a")
    link.pass_(4)
    link.submit("b")
    assert link.pass_(5.9) == []
    assert link.pass_(0.2) == [Unanswered("a", "no answer in time")]
    assert link.pass_(4) == [Unanswered("b", "no answer in time")]
    assert link.session.pending == 0


def test_a_late_answer_is_matched_for_a_while() -> None:
    link = bound_link()
    a, b = link.submit("a", "b")
    assert len(link.pass_(RESPONSE)) == 2
    for _ in range(3):
        link.pass_(LATE / 3 - 1)
        link.receive(EnquireLink(sequence=1))
    assert link.receive(SubmitSmResp(sequence=a, message_id="A")) == [
        Answered("a", statuses.OK, "A")
    ]
    link.pass_(4)
    (event,) = link.receive(SubmitSmResp(sequence=b, message_id="B"))
    assert isinstance(event, ProtocolViolation)


def test_a_late_nack_is_matched_too() -> None:
    link = bound_link()
    (a,) = link.submit("a")
    link.pass_(RESPONSE)
    assert link.receive(GenericNack(sequence=a, status=8)) == [
        Answered("a", statuses.SYSTEM_ERROR, "")
    ]


def test_after_an_unanswered_part_others_go_one_by_one_until_one_is_answered() -> None:
    link = bound_link(window=3)
    link.submit("a")
    link.pass_(RESPONSE)
    assert link.session.free == 1
    (b,) = link.submit("b")
    assert link.session.free == 0
    link.receive(SubmitSmResp(sequence=b, message_id="B"))
    assert link.session.free == 3


def test_a_link_on_which_answers_stay_away_is_given_up() -> None:
    link = bound_link(window=3)
    unanswered, tickets = [], iter("abcdefghijklmnopqrst")
    while True:
        while link.session.free:
            link.submit(next(tickets))
        events = link.pass_(RESPONSE)
        # Somebody is there, but answers nothing.
        link.receive(EnquireLink(sequence=1))
        link.sent()
        unanswered += [event for event in events if isinstance(event, Unanswered)]
        if Closed("submit_sm is not answered any more") in events:
            break
    # the window, and then one by one
    assert len(unanswered) == 3 + LATE / RESPONSE


def test_a_lost_connection_leaves_its_parts_unanswered() -> None:
    link = bound_link()
    link.submit("a", "b")
    assert link.session.lost("reset") == [
        Unanswered("a", "reset"),
        Unanswered("b", "reset"),
        Closed("reset"),
    ]
    assert link.session.lost("reset") == []
    assert link.receive(SubmitSmResp(sequence=2)) == []
    assert link.pass_(1000) == []


# Is anybody there?


def test_an_idle_peer_is_asked_whether_it_is_there() -> None:
    link = bound_link()
    assert link.pass_(ENQUIRE - 0.1) == []
    assert link.sent() == []
    link.pass_(0.2)
    (enquiry,) = link.sent()
    assert isinstance(enquiry, EnquireLink)
    assert link.receive(EnquireLinkResp(sequence=enquiry.sequence)) == []
    link.pass_(ENQUIRE - 1)
    assert link.sent() == []


def test_a_peer_that_is_heard_is_not_asked() -> None:
    link = bound_link()
    link.pass_(ENQUIRE - 1)
    link.receive(EnquireLink(sequence=8))
    assert link.sent() == [EnquireLinkResp(sequence=8)]
    link.pass_(ENQUIRE - 1)
    assert link.sent() == []


def test_a_peer_that_does_not_answer_is_dead() -> None:
    link = bound_link()
    link.submit("a")
    events = link.pass_(ENQUIRE + RESPONSE)
    assert events == [
        Unanswered("a", "no answer in time"),
        Closed("enquire_link was not answered"),
    ]


def test_any_word_of_the_peer_is_a_sign_of_life() -> None:
    link = bound_link()
    link.pass_(ENQUIRE + RESPONSE - 1)
    link.receive(SubmitSmResp(sequence=4711))
    assert link.pass_(ENQUIRE - 1) == []
    assert link.session.state is State.BOUND


# What the SMSC offers.


@pytest.mark.parametrize(("offer", "response"), [(DeliverSm, DeliverSmResp), (DataSm, DataSmResp)])
def test_an_offer_is_acknowledged_only_when_it_is_accepted_or_refused(
    offer: type[DeliverSm | DataSm], response: type[Pdu]
) -> None:
    link = bound_link()
    first, second = offer(sequence=7), offer(sequence=8)
    assert link.receive(first, second) == [Offered(first), Offered(second)]
    assert link.sent() == []
    link.session.refuse(second, statuses.SYSTEM_ERROR)
    link.session.accept(first)
    assert link.sent() == [response(sequence=8, status=0x08), response(sequence=7)]


def test_an_offer_can_no_longer_be_acknowledged_on_a_closed_session() -> None:
    link = bound_link()
    offer = DeliverSm(sequence=7)
    link.receive(offer)
    link.session.lost("reset")
    link.session.accept(offer)
    assert link.sent() == []


# Goodbye.


def test_unbinding_ends_with_the_answer_and_takes_answers_until_then() -> None:
    link = bound_link()
    a, _ = link.submit("a", "b")
    link.session.unbind(link.now)
    (unbind,) = link.sent()
    assert isinstance(unbind, Unbind)
    assert link.session.free == 0
    assert link.receive(
        SubmitSmResp(sequence=a, message_id="A"), UnbindResp(sequence=unbind.sequence)
    ) == [Answered("a", statuses.OK, "A"), Unanswered("b", "unbound"), Closed("unbound")]


def test_an_unanswered_unbind_is_given_up() -> None:
    link = bound_link()
    link.session.unbind(link.now)
    assert link.pass_(RESPONSE) == [Closed("unbind was not answered")]


def test_an_unbind_of_the_smsc_is_answered_after_the_last_answers() -> None:
    link = bound_link()
    (a,) = link.submit("a")
    assert link.receive(Unbind(sequence=9)) == []
    assert (link.sent(), link.session.free) == ([], 0)
    assert link.receive(SubmitSmResp(sequence=a, message_id="A")) == [
        Answered("a", statuses.OK, "A"),
        Closed("unbound by the SMSC"),
    ]
    assert link.sent() == [UnbindResp(sequence=9)]


def test_an_unbind_of_the_smsc_is_answered_after_what_it_offered_before() -> None:
    link = bound_link()
    first, second = DeliverSm(sequence=7), DeliverSm(sequence=8)
    assert link.receive(first, second, Unbind(sequence=9)) == [Offered(first), Offered(second)]
    link.session.accept(second)
    assert link.pass_(0.1) == []
    link.session.accept(first)
    assert link.pass_(0.1) == [Closed("unbound by the SMSC")]
    assert link.sent() == [
        DeliverSmResp(sequence=8),
        DeliverSmResp(sequence=7),
        UnbindResp(sequence=9),
    ]


def test_an_unbind_of_the_smsc_does_not_wait_for_ever() -> None:
    link = bound_link()
    link.submit("a")
    link.receive(Unbind(sequence=9))
    assert link.pass_(RESPONSE) == [
        Unanswered("a", "unbound by the SMSC"),
        Closed("unbound by the SMSC"),
    ]
    assert link.sent() == [UnbindResp(sequence=9)]


def test_an_smsc_that_said_unbind_gets_no_more_time_by_talking_on() -> None:
    link = bound_link()
    link.submit("a")
    link.receive(Unbind(sequence=9))
    for number in range(4):
        assert link.pass_(1.0) == []
        assert link.receive(EnquireLink(sequence=10 + number)) == []
    assert link.session.free == 0
    assert link.pass_(1.0) == [
        Unanswered("a", "unbound by the SMSC"),
        Closed("unbound by the SMSC"),
    ]
    assert [pdu for pdu in link.sent() if not isinstance(pdu, EnquireLinkResp)] == [
        UnbindResp(sequence=9)
    ]


def test_unbinding_twice_is_unbinding_once() -> None:
    link = bound_link()
    link.session.unbind(link.now)
    (unbind,) = link.sent()
    assert isinstance(unbind, Unbind)
    assert link.pass_(RESPONSE / 2) == []
    link.session.unbind(link.now)
    assert link.sent() == []
    assert link.pass_(RESPONSE / 2) == [Closed("unbind was not answered")]


def test_who_leaves_when_the_smsc_has_said_unbind_says_nothing_more() -> None:
    link = bound_link()
    (a,) = link.submit("a")
    link.receive(Unbind(sequence=9))
    link.session.unbind(link.now)
    assert link.sent() == []
    assert link.receive(SubmitSmResp(sequence=a, message_id="A")) == [
        Answered("a", statuses.OK, "A"),
        Closed("unbound by the SMSC"),
    ]
    assert link.sent() == [UnbindResp(sequence=9)]


def test_unbinds_that_cross_end_the_session_at_once() -> None:
    link = bound_link()
    link.submit("a")
    link.session.unbind(link.now)
    (unbind,) = link.sent()
    # Both sides have said that they go: neither owes the other anything any more.
    assert link.receive(Unbind(sequence=9)) == [
        Unanswered("a", "unbound by the SMSC"),
        Closed("unbound by the SMSC"),
    ]
    assert link.sent() == [UnbindResp(sequence=9)]
    assert link.receive(UnbindResp(sequence=unbind.sequence)) == []


def test_an_unbind_with_nothing_under_way_ends_at_once() -> None:
    link = bound_link()
    assert link.receive(Unbind(sequence=9)) == [Closed("unbound by the SMSC")]
    assert link.sent() == [UnbindResp(sequence=9)]


# What should not come.


@pytest.mark.parametrize("length", ["00000005", "7fffffff"])
def test_a_length_that_cannot_be_ends_the_session(length: str) -> None:
    link = bound_link()
    link.submit("a")
    events = link.session.received(bytes.fromhex(length), link.now)
    reason = f"command_length is {int(length, 16)}"
    assert events == [Unanswered("a", reason), Closed(reason)]
    assert link.sent() == [GenericNack(sequence=0, status=0x02)]


@pytest.mark.parametrize(
    ("octets", "nack"),
    [
        ("00000010 00000777 00000000 00000009", GenericNack(sequence=9, status=0x03)),
        ("00000010 80000777 00000000 00000009", None),
        ("00000010 00000005 00000000 00000009", GenericNack(sequence=9, status=0x02)),
        # an SMSC that takes us for one
        (encode(BindTransceiver(sequence=9)).hex(), GenericNack(sequence=9, status=0x03)),
        (encode(SubmitSm(sequence=9)).hex(), GenericNack(sequence=9, status=0x03)),
    ],
)
def test_a_request_that_is_not_understood_is_nacked(octets: str, nack: Pdu | None) -> None:
    link = bound_link()
    (event,) = link.session.received(bytes.fromhex(octets), link.now)
    assert isinstance(event, ProtocolViolation)
    assert link.sent() == ([nack] if nack else [])
    assert link.session.state is State.BOUND


def test_outbind_and_alert_notification_are_ignored() -> None:
    link = bound_link()
    assert link.receive(Outbind(sequence=1, system_id="x"), AlertNotification(sequence=2)) == []
    assert link.sent() == []


# A whole conversation in pieces, and any bytes at all.


def test_pieces_of_any_size_make_no_difference() -> None:
    def talk(size: int) -> tuple[list[Event[str]], list[Pdu]]:
        link = bound_link(window=9)
        sequences = link.submit("a", "b", "c")
        octets = b"".join(
            map(
                encode,
                (
                    SubmitSmResp(sequence=sequences[0], message_id="A"),
                    DeliverSm(sequence=1, esm_class=4, short_message=b"id:A"),
                    EnquireLink(sequence=2),
                    SubmitSmResp(sequence=sequences[2], status=0x58),
                    Unbind(sequence=3),
                    GenericNack(sequence=sequences[1], status=1),
                ),
            )
        )
        events = []
        for start in range(0, len(octets), size):
            events += link.session.received(octets[start : start + size], link.now)
        return events, link.sent()

    whole = talk(10_000)
    assert [type(event) for event in whole[0]] == [Answered, Offered, Answered, Answered]
    assert all(talk(size) == whole for size in (1, 2, 3, 17))


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.builds(SubmitSmResp, sequence=st.integers(0, 6)).map(encode),
            st.builds(GenericNack, sequence=st.integers(0, 6)).map(encode),
            st.builds(DeliverSm, sequence=st.integers(0, 6)).map(encode),
            st.sampled_from([Unbind(), UnbindResp(), EnquireLink(), Outbind()]).map(encode),
            st.floats(0, 50),
        ),
        max_size=12,
    )
)
def test_each_part_is_answered_once_or_again_late_whatever_comes(
    steps: list[bytes | float],
) -> None:
    link = bound_link(window=3)
    link.submit("a", "b", "c")
    events: list[Event[str]] = []
    for step in steps:
        if isinstance(step, bytes):
            events += link.session.received(step, link.now)
        else:
            events += link.pass_(step)
    events += link.session.lost("the end")
    assert link.session.pending == 0
    assert sum(isinstance(event, Closed) for event in events) == 1
    for ticket in "abc":
        told = [
            type(event)
            for event in events
            if isinstance(event, Answered | Unanswered) and event.ticket == ticket
        ]
        assert told in ([Answered], [Unanswered], [Unanswered, Answered])


# Receivers, and binds that carry nothing.


def test_a_receiver_submits_nothing_and_takes_offers() -> None:
    session: Session[str] = Session(
        BindReceiver(system_id="esme"),
        window=3,
        response_timeout=RESPONSE,
        enquire_interval=ENQUIRE,
        late_timeout=LATE,
    )
    session.bind(0)
    # The answer to another bind is none.
    (strange,) = session.received(encode(BindTransceiverResp(sequence=1)), 0)
    assert isinstance(strange, ProtocolViolation)
    answer = BindReceiverResp(
        sequence=1, system_id="smsc", tlvs=((tlv.SC_INTERFACE_VERSION, b"\x34"),)
    )
    assert session.received(encode(answer), 0) == [Bound("smsc", 0x34)]
    assert session.free == 0
    (offered,) = session.received(encode(DeliverSm(sequence=5)), 0)
    assert isinstance(offered, Offered)


def test_a_bind_that_carries_nothing_unbinds() -> None:
    session: Session[str] = Session(
        BindTransceiver(system_id="esme"),
        window=3,
        response_timeout=RESPONSE,
        enquire_interval=ENQUIRE,
        late_timeout=LATE,
        inactivity_timeout=100,
    )
    session.bind(0)
    session.received(encode(BindTransceiverResp(sequence=1)), 0)
    session.submit(SubmitSm(), "a", 50)
    session.outgoing()
    session.received(encode(SubmitSmResp(sequence=2, message_id="1")), 60)
    # What keeps a link up carries nothing.
    session.received(encode(EnquireLink(sequence=9)), 159)
    session.outgoing()
    assert session.deadline() == 160
    assert session.tick(160) == []
    assert session.state is State.UNBINDING
    assert session.outgoing() == encode(Unbind(sequence=3))
    assert session.received(encode(UnbindResp(sequence=3)), 161) == [
        Closed("nothing was carried for inactivity_timeout")
    ]
