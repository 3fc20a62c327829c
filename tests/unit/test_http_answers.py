"""Answers of the HTTP API: what is written is read again, and what is odd is no success."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_gateway.backend import (
    DeliveryStatus,
    Inbox,
    MessageStatus,
    ReceivedMessage,
    Reply,
    Step,
)
from sms_gateway.codes import Code
from sms_gateway.remote.answers import (
    Answer,
    InvalidAnswerError,
    read_count,
    read_inbox,
    read_reply,
    read_status,
)
from sms_gateway.sms.encoding import UNCARRIED
from sms_gateway.sms.message import State
from sms_gateway.web.render import as_json, as_xml

NAME = "0190d5a7f00070008000000000000001"

times = st.integers(0, 4_102_444_800_000)
texts = st.text().map(lambda text: UNCARRIED.sub("", text))
words = st.text("abc xyz<&>é", max_size=20).map(str.strip)
received = st.builds(
    ReceivedMessage,
    id=st.integers(1, 2**63 - 1),
    sender=words,
    recipient=words,
    text=texts,
    received_at=times,
)
deliveries = st.builds(
    DeliveryStatus,
    recipient=words,
    state=st.sampled_from(State),
    steps=st.lists(st.builds(Step, times, st.integers(0, 255), words, words)).map(tuple),
)


@given(st.lists(received, unique_by=lambda message: message.id))
def test_an_inbox_that_is_written_is_read_again(messages: list[ReceivedMessage]) -> None:
    ordered = tuple(sorted(messages, key=lambda message: message.id))
    inbox = Inbox(Reply(Code.SENT), ordered, ordered[-1].id if ordered else 0)
    for write in (as_xml, as_json):
        answer = Answer(200, None, write(inbox))
        assert read_inbox(answer, after=0, limit=len(ordered)) == inbox


@given(st.lists(deliveries, min_size=1, max_size=4), st.sampled_from(State), times)
def test_a_status_that_is_written_is_read_again(
    each: list[DeliveryStatus], state: State, at: int
) -> None:
    status = MessageStatus(Reply(Code.SENT, len(each), NAME), state, at, 3, tuple(each))
    for write in (as_xml, as_json):
        assert read_status(Answer(200, None, write(status)), NAME) == status


@pytest.mark.parametrize("count", [0, 1, 10**6])
def test_a_count_that_is_written_is_read_again(count: int) -> None:
    for write in (as_xml, as_json):
        answer = Answer(200, None, write(Reply(Code.SENT, count)))
        assert read_count(answer) == Reply(Code.SENT, count)


@pytest.mark.parametrize("code", [code for code in Code if code])
def test_a_refusal_is_read_by_every_reader(code: Code) -> None:
    answer = Answer(200, None, as_xml(Reply(code)))
    expected = Reply(code)
    assert read_reply(answer) == read_count(answer) == expected
    assert read_inbox(answer, after=0, limit=1) == Inbox(expected)
    assert read_status(answer, NAME) == MessageStatus(expected)


@pytest.mark.parametrize("code", [Code.NOT_SENT, Code.TOO_FAST])
def test_a_note_that_says_more_than_the_sentence_of_its_code_is_kept(code: Code) -> None:
    reply = Reply(code, note="Exceeding the limit of 20/s")
    assert read_reply(Answer(200, None, as_xml(reply))) == reply


MESSAGE = {"id": 5, "from": "1", "to": "2", "message": "m", "received": "2026-01-01T00:00:00Z"}
INBOX = {"error": 0, "messages": [MESSAGE], "next": 5}


@pytest.mark.parametrize(
    "changed",
    [
        {"messages": None},
        {"messages": "none"},
        {"messages": {}},
        {"messages": [5]},
        {"messages": [MESSAGE | {"id": "5"}]},
        {"messages": [MESSAGE | {"id": 4}], "next": 4},
        {"messages": [MESSAGE | {"id": True}]},
        {"messages": [MESSAGE | {"message": 5}]},
        {"messages": [MESSAGE | {"received": "2026-01-01T00:00:00"}]},
        {"messages": [MESSAGE | {"received": "yesterday"}]},
        {"messages": [MESSAGE | {"received": "0001-01-01T00:00:00+23:00"}]},
        {"messages": [MESSAGE | {"received": None}]},
        {"messages": [MESSAGE, MESSAGE]},
        {"messages": [MESSAGE, MESSAGE | {"id": 4}], "next": 4},
        {"messages": [MESSAGE, MESSAGE | {"id": 6}, MESSAGE | {"id": 7}], "next": 7},
        {"messages": []},
        {"next": 4},
        {"next": 6},
        {"next": None},
        {"next": "5"},
        {"error": None},
        {"error": "0"},
    ],
)
def test_an_odd_inbox_is_no_inbox(changed: dict[str, Any]) -> None:
    good = json.dumps({"result": INBOX}).encode()
    assert read_inbox(Answer(200, None, good), after=4, limit=2).reply.error is Code.SENT
    body = json.dumps({"result": INBOX | changed}).encode()
    with pytest.raises(InvalidAnswerError):
        read_inbox(Answer(200, None, body), after=4, limit=2)


XML = (
    "<result><error>0</error><messages><message><id>5</id><from>1</from><to>2</to>"
    "<message>m</message><received>2026-01-01T00:00:00Z</received></message></messages>"
    "<next>5</next></result>"
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<messages>", "<messages><other/>"),
        ("<message>m</message>", "<message><b>m</b></message>"),
        ("<id>5</id>", "<id>5</id><id>6</id>"),
        ("<id>5</id>", "<id>five</id>"),
        ("<id>5</id>", "<id>-5</id>"),
        ("<next>5</next>", ""),
        ("<next>5</next>", "<next>99999999999999999999</next>"),
        ("messages>", "inbox>"),
        ("<result>", "<result><messages/>"),
    ],
)
def test_an_odd_inbox_in_xml_is_no_inbox(old: str, new: str) -> None:
    assert read_inbox(Answer(200, None, XML.encode()), after=0, limit=1).next == 5
    body = XML.replace(old, new).encode()
    with pytest.raises(InvalidAnswerError):
        read_inbox(Answer(200, None, body), after=0, limit=1)


STEP = {"at": "2026-01-01T00:00:00Z", "part": 1, "event": "e", "detail": ""}
DELIVERY = {"recipient": "+32494000000", "state": "queued", "steps": [STEP]}
STATUS = {
    "error": 0,
    "sent": 1,
    "id": NAME,
    "state": "queued",
    "accepted": "2026-01-01T00:00:00Z",
    "parts": 1,
    "deliveries": [DELIVERY],
}


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "f" * 32},
        {"id": ""},
        {"sent": 2},
        {"sent": 0, "deliveries": []},
        {"state": "happy"},
        {"state": ""},
        {"accepted": ""},
        {"parts": "1"},
        {"deliveries": [DELIVERY | {"state": "happy"}]},
        {"deliveries": [DELIVERY | {"steps": None}]},
        {"deliveries": [DELIVERY | {"steps": [STEP | {"at": 5}]}]},
        {"deliveries": [DELIVERY | {"steps": [STEP | {"part": "1"}]}]},
    ],
)
def test_an_odd_status_is_no_status(changed: dict[str, Any]) -> None:
    good = json.dumps({"result": STATUS}).encode()
    assert read_status(Answer(200, None, good), NAME).reply.error is Code.SENT
    body = json.dumps({"result": STATUS | changed}).encode()
    with pytest.raises(InvalidAnswerError):
        read_status(Answer(200, None, body), NAME)


@pytest.mark.parametrize(
    "fields", [{"error": 0}, {"error": 0, "sent": -1}, {"error": 0, "sent": "1"}]
)
def test_an_odd_count_is_no_success(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidAnswerError):
        read_count(Answer(200, None, json.dumps({"result": fields}).encode()))


@given(st.binary())
def test_no_octets_are_a_success(body: bytes) -> None:
    for read in (read_reply, read_count):
        with pytest.raises(InvalidAnswerError):
            read(Answer(200, None, body))
