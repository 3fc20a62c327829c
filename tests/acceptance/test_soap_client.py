"""The client, synchronous and not, against a server as it is deployed, on good ways and bad."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from support.relay import relay
from support.soap_face import ENDPOINT, ID, INBOX, Face, soap_face

import wsdl
from sms_gateway.codes import Code
from soap_client import (
    AsyncSmsClient,
    Delivery,
    GetStatusResult,
    SendSmsResult,
    SmsClient,
    SmsError,
    Step,
)

TEXT = 'Grüße €, 😀, & < > "\r\n\t]]>'


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with soap_face(tmp_path_factory.mktemp("soap")) as running:
        yield running


def sync(apikey: str, recipients: Any, message: str, **options: Any) -> SendSmsResult:
    with SmsClient(apikey, **options) as client:
        return client.send(recipients, message)


def asynchronous(apikey: str, recipients: Any, message: str, **options: Any) -> SendSmsResult:
    async def send() -> SendSmsResult:
        async with AsyncSmsClient(apikey, **options) as client:
            return await client.send(recipients, message)

    return asyncio.run(send())


Send = Callable[..., SendSmsResult]


@pytest.fixture(params=[sync, asynchronous])
def send(request: pytest.FixtureRequest) -> Send:
    return request.param


@pytest.mark.parametrize(
    ("recipients", "given", "sent"),
    [
        ("0032494000000", "0032494000000", 1),
        ("+32494000000, 32494000001", "+32494000000, 32494000001", 2),
        (["+32494000000", "0032494000001"], "+32494000000,0032494000001", 2),
    ],
)
def test_a_message_is_sent_as_it_is(face, send, recipients, given, sent):
    result = send("secret", recipients, TEXT, address=face.endpoint)
    assert result == SendSmsResult(error=0, sent=sent, id=ID)
    call = face.calls()[-1]
    assert (call.recipients, call.message, call.apikey) == (given, TEXT, "secret")
    assert uuid.UUID(call.idempotency_key)


class Waiting:
    """The asynchronous client, its calls awaited."""

    def __init__(self, *given: Any, **options: Any) -> None:
        self._given, self._options = given, options

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*given: Any, **options: Any) -> Any:
            async with AsyncSmsClient(*self._given, **self._options) as client:
                return await getattr(client, name)(*given, **options)

        return lambda *given, **options: asyncio.run(call(*given, **options))


@pytest.mark.parametrize("kind", [SmsClient, Waiting])
def test_a_message_can_be_followed_sent_again_and_answered(face, kind):
    client = kind("secret", address=face.endpoint)
    assert client.resend(ID) == SendSmsResult(error=0, sent=2, id=ID)
    steps = (
        Step(at="2026-01-02T03:04:05.678Z", part=1, event="submitted", detail="id <1>"),
        Step(at="2026-01-02T03:04:05.679Z", part=0, event="delivered", detail=""),
    )
    assert client.status(ID) == GetStatusResult(
        error=0,
        state="delivered",
        accepted="2026-01-02T03:04:05.678Z",
        parts=2,
        deliveries=(
            Delivery(recipient="+32494000000", state="delivered", steps=steps),
            Delivery(recipient="+32494000001", state="delivered", steps=()),
        ),
    )
    received = client.received(after=INBOX[0].id, limit=2)
    assert [(each.id, each.from_, each.to, each.message) for each in received] == [
        (each.id, each.sender, each.recipient, each.text) for each in INBOX[1:3]
    ]
    assert [each.received[:20] for each in received] == ["2026-01-02T03:04:05."] * 2
    assert len(client.received()) == 100
    assert client.received(after=INBOX[-1].id) == ()


@pytest.mark.parametrize("kind", [SmsClient, Waiting])
def test_every_operation_raises_the_one_exception(face, kind):
    client = kind("secret", address=face.endpoint)
    for call, code in ((client.resend, 200), (client.status, 200)):
        with pytest.raises(SmsError) as caught:
            call("")
        assert caught.value.code == code
    with pytest.raises(SmsError, match="40"):
        kind("code-40", address=face.endpoint).received()
    with pytest.raises(SmsError, match="U"):
        client.status("\0")


def test_each_call_has_a_key_of_its_own(face):
    with SmsClient("secret", address=face.endpoint) as client:
        client.send("32494000000", "Hello")
        client.send("32494000000", "Hello")
    first, second = face.calls()[-2:]
    assert first.idempotency_key != second.idempotency_key


@pytest.mark.parametrize("code", [code for code in Code if code])
def test_every_code_is_the_one_exception(face, code):
    with pytest.raises(SmsError) as caught:
        sync(f"code-{int(code)}", "32494000000", "Hello", address=face.endpoint)
    assert (caught.value.code, caught.value.sentence) == (code, code.sentence)


def test_a_code_is_an_exception_for_the_asynchronous_client_too(face):
    with pytest.raises(SmsError, match="50: API key is not correct"):
        asynchronous("code-50", "32494000000", "Hello", address=face.endpoint)


def test_the_wsdl_may_come_from_the_server(face, send):
    result = send(
        "secret", "32494000000", "Hi", wsdl=f"{face.endpoint}?wsdl", address=face.endpoint
    )
    assert result.error == 0


@pytest.mark.parametrize("trouble", ["drop", "lose", "503"])
def test_a_repeat_after_trouble_on_the_way_has_the_same_key(face, send, trouble):
    before = len(face.calls())
    with relay(face.server.port, trouble, trouble) as way:
        result = send("secret", "32494000000", "Hi", address=way.url + ENDPOINT, pause=0.01)
    assert result.sent == 1
    assert way.connections == 3
    # Where only the answer was lost, the server has been asked each time, by one key.
    calls = face.calls()[before:]
    assert len(calls) == (3 if trouble == "lose" else 1)
    assert len({call.idempotency_key for call in calls}) == 1


@pytest.mark.parametrize("trouble", ["drop", "503"])
def test_after_the_last_repeat_it_is_code_30(face, send, trouble):
    with relay(face.server.port, *[trouble] * 5) as way:
        with pytest.raises(SmsError) as caught:
            send("secret", "1", "Hi", address=way.url + ENDPOINT, pause=0.01, retries=1)
        assert way.connections == 2
    assert caught.value.code == 30
    assert caught.value.__cause__ is not None


def test_no_answer_in_time_is_code_6(face, send):
    with relay(face.server.port, "hang", "hang") as way:
        with pytest.raises(SmsError) as caught:
            send("secret", "1", "Hi", address=way.url + ENDPOINT, timeout=0.1, retries=1, pause=0)
        assert way.connections == 2
    assert caught.value.code == 6


def answered(body: str) -> str:
    namespace = "http://schemas.xmlsoap.org/soap/envelope/"
    return f'<s:Envelope xmlns:s="{namespace}"><s:Body>{body}</s:Body></s:Envelope>'


def returned(members: str) -> str:
    return f'<sendSmsResponse xmlns="urn:sendSmsNow"><return>{members}</return></sendSmsResponse>'


@pytest.mark.parametrize(
    "answer",
    [
        "<html>Welcome</html>",
        "no XML at all",
        answered(""),
        answered("<sendSmsResponse xmlns='urn:sendSmsNow'/>"),
        answered(returned("<error/><sent/><id/>")),
        answered(returned("<error>x</error><sent>1</sent><id/>")),
        answered(returned("<id>1</id>")),
    ],
)
def test_an_answer_that_makes_no_sense_is_never_a_success(face, send, answer):
    with relay(face.server.port, answer) as way, pytest.raises(SmsError) as caught:
        send("secret", "32494000000", "Hi", address=way.url + ENDPOINT)
    assert caught.value.code == 30


def test_a_fault_is_code_30_with_its_words(face, send, tmp_path):
    # A contract that knows an operation of another namespace makes the server refuse the envelope.
    other = tmp_path / "other.wsdl"
    types = wsdl.PATH.read_text().replace('name="sendSms"', 'name="SendSms"', 1)
    other.write_text(types.replace('element="tns:sendSms"', 'element="tns:SendSms"'))
    with pytest.raises(SmsError) as caught:
        send("secret", "32494000000", "Hi", wsdl=other, address=face.endpoint)
    assert (caught.value.code, caught.value.note) == (30, "There is no such operation")


async def test_many_messages_at_once_go_through_one_client(face):
    async with AsyncSmsClient("secret", address=face.endpoint) as client:
        sent: list[Awaitable[SendSmsResult]] = [
            client.send("32494000000", f"at once {n}") for n in range(20)
        ]
        results = await asyncio.gather(*sent)
    assert all(result.sent == 1 for result in results)
    arrived = {call.message for call in face.calls()[-20:]}
    assert arrived == {f"at once {n}" for n in range(20)}


@pytest.mark.parametrize("send", [sync, asynchronous])
def test_the_reason_of_a_refusal_is_told_on_one_line(face, send):
    with pytest.raises(SmsError) as refused:
        send("noted", "1", "Hello", address=face.endpoint)
    told = "Number 2 of 3 is 100 % wrong: ß  X-Evil: yes 😀"
    assert (refused.value.code, refused.value.note) == (7, told)
    assert str(refused.value) == f"7: The message is not sent ({told})"


def test_a_reason_is_told_for_its_own_call_only(face):
    with SmsClient("noted", address=face.endpoint) as client:
        for _ in range(2):
            with pytest.raises(SmsError, match="Number 2"):
                client.send("1", "Hello")
    with SmsClient("code-50", address=face.endpoint) as client, pytest.raises(SmsError) as refused:
        client.send("1", "Hello")
    assert refused.value.note == ""


def test_the_limit_that_was_exceeded_takes_the_place_of_the_usual_one():
    assert str(SmsError(100, "Exceeding the limit of 20/s")) == "100: Exceeding the limit of 20/s"
    assert str(SmsError(100)) == "100: Exceeding the limit of one SMS per minute"
