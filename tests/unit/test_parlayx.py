"""Parlay X: options, what is written and read, and what the operator is asked to notify."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator

import pytest
from support.parlayx_peer import MINE, PASSWORD, USER, Operator, parlayx_peer
from support.upstreams import RecordingSink, a_delivery, eventually, running, sent

from sms_gateway.bootstrap.upstreams import pushing, upstreams
from sms_gateway.remote.answers import Answer, InvalidAnswerError
from sms_gateway.settings import Settings, SettingsError
from sms_gateway.sms.message import State
from sms_gateway.upstream import Outcome
from sms_gateway.upstream.parlayx import FAULTS, STATES, ParlayX, ParlayXUpstream, provider
from sms_gateway.upstream.push import Push, PushError, checked

QUICK = "response_timeout=5&reconnect_delay=0.05&locked_out_delay=0.1&stop_timeout=1"
SECRET = "s" * 32
ADDRESS = f"https://sms.example/upstream/parlayx/{SECRET}"


@pytest.fixture
async def operator() -> AsyncIterator[Operator]:
    async with parlayx_peer() as started:
        yield started


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


def opened(url: str, address: str = "") -> ParlayXUpstream:
    services = provider(url)
    services.address = address
    return ParlayXUpstream("parlayx", services)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("parlayx://h/", "user and password are missing; where the operator gave none"),
        ("parlayx://u:p@h/?auth=none", "auth=none: allowed is an address without"),
        ("parlayx://u:p@h/?auth=ntlm", "auth=ntlm: allowed are basic, text, digest, huawei, none"),
        ("parlayx://u:p@h/?auth=huawei", "service_id: it goes with auth=huawei"),
        ("parlayx://u:p@h/?version=4", "version=4: allowed are 2.1, 2.2, 2.3, 3.1"),
        ("parlayx://u:p@h/?address=sip", "address=sip: allowed are"),
        ("parlayx://u:p@h/?manager=/m", "manager: it goes with numbers"),
        ("parlayx://u:p@h/?manager=/m&numbers=1234", "manager: it goes with push_secret"),
        (f"parlayx://u:p@h/?manager=m&numbers=1234&push_secret={SECRET}", "allowed is a path"),
        (f"parlayx://u:p@h/?manager=/m&numbers=a&push_secret={SECRET}", "numbers: allowed are"),
        (f"parlayx://u:p@h/?receipts=1&push_secret={SECRET}", "receipts=1: it is for services"),
        ("parlayx://u:p@h/?idempotent=1", "idempotent=1: it goes with push_secret"),
        ("parlayx://u:p@h/?user=x", "user: it stands before the question mark"),
        ("parlayx://u:p@h/?cafile=x", "cafile: only https:// has certificates"),
        ("parlayx://u:p@h:x/", "host and port cannot be read"),
    ],
)
def test_a_wrong_option_is_refused_at_start_without_secrets(url: str, why: str) -> None:
    with pytest.raises(SettingsError) as refused:
        upstreams(Settings.model_validate({"upstream": url}))
    assert why in str(refused.value)
    assert "u:p@" not in str(refused.value)
    assert SECRET not in str(refused.value)


def test_it_is_an_upstream_that_is_pushed_to() -> None:
    url = f"parlayxs://u:p@h/path?push_secret={SECRET}"
    settings = Settings.model_validate({"upstream": url, "public_url": "https://sms.example"})
    assert list(pushing(settings)) == ["default"]
    found = upstreams(settings)["default"]
    assert isinstance(found, ParlayXUpstream)
    assert found.provider.address == f"https://sms.example/upstream/default/{SECRET}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "auth", ["auth=basic", "auth=text", "auth=digest", "auth=huawei&service_id=3500001000012"]
)
async def test_the_operator_knows_who_sends(
    operator: Operator, sink: RecordingSink, auth: str
) -> None:
    upstream = opened(f"{operator.url()}?{QUICK}&{auth}")
    async with running(upstream, sink):
        assert await sent(upstream, sink, "Grüße €\r\n<&>") == (Outcome.ACCEPTED, "")
        assert await sent(upstream, sink, "again") == (Outcome.ACCEPTED, "")
    first = operator.requests[0][1]
    assert first["message"] == "Grüße €\r\n<&>"
    assert first["sender"] == "Test"
    assert re.fullmatch(r"tel:\+3249[0-9]{7}", first["to"])
    assert [each.smsc_id for each in sink.answers] == ["Req-00000001", "Req-00000002"]


async def test_a_wrong_password_locks_out(operator: Operator, sink: RecordingSink) -> None:
    upstream = opened(f"{operator.url(password='other')}?{QUICK}")
    async with running(upstream, sink):
        assert await sent(upstream, sink, "hello") == (Outcome.RETRY, "HTTP status 401")
        assert not upstream.is_bound()


@pytest.mark.parametrize("id", [*FAULTS, "SVC9999"])
async def test_a_fault_means_what_the_standard_says(
    operator: Operator, sink: RecordingSink, id: str
) -> None:
    upstream = opened(f"{operator.url()}?{QUICK}&push_secret={SECRET}", ADDRESS)
    async with running(upstream, sink):
        outcome, reason = await sent(upstream, sink, f"#fault-{id} #quiet")
        known = FAULTS.get(id)
        assert outcome is (known.outcome if known else Outcome.RETRY)
        assert upstream.is_bound() == (known is None or not known.is_locked_out)
    assert reason == ("" if outcome is Outcome.ACCEPTED else f"fault {id}")


async def test_a_repeat_has_the_same_correlator_and_is_taken_once(
    operator: Operator, sink: RecordingSink
) -> None:
    upstream = opened(f"{operator.url()}?{QUICK}&push_secret={SECRET}&idempotent=1", ADDRESS)
    delivery = a_delivery("#quiet hello")
    async with running(upstream, sink):
        for attempt in (1, 2):
            await upstream.ready()
            upstream.submit(delivery)
            await sink.answers_to(delivery, attempt)
    assert sink.outcomes(delivery) == [Outcome.ACCEPTED] * 2
    assert len({answer.smsc_id for answer in sink.answers}) == len(operator.taken) == 1


async def test_without_a_correlator_a_duplicate_is_none_of_ours(
    operator: Operator, sink: RecordingSink
) -> None:
    upstream = opened(f"{operator.url()}?{QUICK}")
    async with running(upstream, sink):
        assert (await sent(upstream, sink, "#fault-SVC0005"))[0] is Outcome.RETRY
        # A form feed is a character of SMS, and none of XML 1.0.
        told = "the text has a character that XML does not have"
        assert await sent(upstream, sink, "a\fb") == (Outcome.REFUSED, told)


@pytest.mark.parametrize(
    ("body", "meaning"),
    [
        (b"<html>", "it is no SOAP envelope"),
        (b"<a/>", "it is no SOAP envelope"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "it is no SOAP envelope"),
        (b"<e:Envelope xmlns:e='e'><e:Body/></e:Envelope>", "it is no SOAP envelope"),
        (b"<Envelope><Body><other/></Body></Envelope>", "it is neither an answer nor a fault"),
        (
            b"<Envelope><Body><Fault><faultcode>Server</faultcode></Fault></Body></Envelope>",
            "it is a fault without a number",
        ),
    ],
)
def test_what_is_no_answer_leaves_the_message_uncertain(body: bytes, meaning: str) -> None:
    with pytest.raises(InvalidAnswerError, match=meaning):
        services().judge(Answer(500, None, body))


def test_a_fault_of_the_client_without_a_number_locks_out() -> None:
    body = b"<Envelope><Body><Fault><faultcode>s:Client</faultcode></Fault></Body></Envelope>"
    judgement = services().judge(Answer(500, None, body))
    assert (judgement.outcome, judgement.is_locked_out) == (Outcome.RETRY, True)


@pytest.mark.parametrize("status", list(STATES))
async def test_what_became_of_a_message_is_asked(
    operator: Operator, sink: RecordingSink, status: str
) -> None:
    operator.status = status
    upstream = opened(f"{operator.url()}?{QUICK}&receipts=1&poll_interval=0.02")
    async with running(upstream, sink):
        await sent(upstream, sink, "hello")
        await eventually(lambda: "getSmsDeliveryStatus" in dict(operator.requests))
        if STATES[status] is None:
            operator.status = "DeliveredToTerminal"
        await sink.until(lambda: sink.receipts)
    (told,) = sink.receipts
    assert (told.state, told.smsc_id) == (STATES[status] or State.DELIVERED, "Req-00000001")


async def test_notifications_are_started_and_where_that_is_wished_stopped(
    operator: Operator, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    query = QUICK.replace("stop_timeout=1", "stop_timeout=60")
    query += f"&push_secret={SECRET}&manager=/manager&numbers={MINE},32470000001&criteria=pi"
    for stops in (0, 1):
        upstream = opened(f"{operator.url()}?{query}&stop_notification={stops}", ADDRESS)
        async with running(upstream, sink):
            # The second time they are started already, which the operator says by a fault.
            while caplog.text.count("notifications started") < 2 * (stops + 1):
                await asyncio.sleep(0.01)
            assert sorted(operator.notified.values()) == [MINE, "tel:+32470000001"]
        assert len(operator.notified) == (0 if stops else 2)
    assert {told["criteria"] for _, told in operator.requests} == {"pi"}
    logged = str([vars(record) for record in caplog.records])
    assert SECRET not in logged
    assert PASSWORD not in logged


async def test_notifications_that_cannot_be_started_are_tried_again(
    operator: Operator, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    query = f"{QUICK}&push_secret={SECRET}&manager=/other&numbers={MINE}"
    upstream = opened(f"{operator.url()}?{query}", ADDRESS)
    async with running(upstream, sink):
        while caplog.text.count("notifications not started") < 2:
            await asyncio.sleep(0.01)
        assert await sent(upstream, sink, "#quiet hello") == (Outcome.ACCEPTED, "")


def services() -> ParlayX:
    return provider(f"parlayx://{USER}:p@h/?push_secret={SECRET}")


#: As clients write them that are strings pasted together.
RECEPTION = """<?xml version="1.0" encoding="utf-8" ?><soapenv:Envelope
 xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="x"><soapenv:Header>
<ns1:NotifySOAPHeader xmlns:ns1="http://www.huawei.com.cn/schema/common/v2_1"><ns1:spId>35000001
</ns1:spId>%s</ns1:NotifySOAPHeader></soapenv:Header><soapenv:Body>
<ns2:notifySmsReception xmlns:ns2="http://www.csapi.org/schema/parlayx/sms/notification/v2_2/local">
<ns2:correlator>1</ns2:correlator><ns2:message><message>%s</message>
<senderAddress>%s</senderAddress><smsServiceActivationNumber>tel:%s</smsServiceActivationNumber>
%s</ns2:message></ns2:notifySmsReception></soapenv:Body></soapenv:Envelope>"""


def push(body: str) -> Push:
    return Push(url=ADDRESS, headers={}, body=body.encode(), at=0)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("tel:+254722000000", "+254722000000"),
        ("tel:254722000000", "+254722000000"),
        ("254722000000", "+254722000000"),
        ("tel:0722000000", "0722000000"),
        ("short:8000", "8000"),
    ],
)
def test_a_message_is_notified(written: str, kept: str) -> None:
    trace = "<ns1:traceUniqueID>404092403801104031047140004003</ns1:traceUniqueID>"
    body = RECEPTION % (trace, " Hi &amp; €\n", written, MINE, "<dateTime>2026</dateTime>")
    heard = checked(services().hear(push(body)))
    (message,) = heard.messages
    assert (message.sender, message.recipient, message.text) == (kept, MINE, " Hi & €\n")
    assert message.id == "404092403801104031047140004003"
    assert b"notification/v2_2/local" in heard.answer
    assert b"notifySmsReceptionResponse" in heard.answer


def test_the_moment_tells_equal_messages_apart_and_repeats_from_others() -> None:
    def id(at: str) -> str:
        told = f"<dateTime>{at}</dateTime>" if at else ""
        body = RECEPTION % ("", "Hi", "tel:+254722000000", MINE, told)
        return services().hear(push(body)).messages[0].id

    assert id("10:00") == id("10:00") != id("10:01")
    assert id("") == ""


@pytest.mark.parametrize("status", list(STATES))
def test_a_receipt_is_notified(status: str) -> None:
    body = f"""<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<notifySmsDeliveryReceipt xmlns="http://www.csapi.org/schema/parlayx/sms/notification/v2_1/local">
<correlator>0a</correlator><deliveryStatus><address>254722000000</address>
<deliveryStatus>{status}</deliveryStatus></deliveryStatus></notifySmsDeliveryReceipt></s:Body>
</s:Envelope>"""
    heard = checked(services().hear(push(body)))
    (told,) = heard.receipts
    assert (told.smsc_id, told.recipient) == ("0a", "254722000000")
    assert told.state == (STATES[status] or State.SUBMITTED)
    assert b"notification/v2_1/local" in heard.answer


@pytest.mark.parametrize(
    "body", ["", "<a/>", "<!DOCTYPE a>" + RECEPTION, RECEPTION.replace("notifySmsR", "r")]
)
def test_what_is_no_notification_is_refused(body: str) -> None:
    with pytest.raises(PushError) as refused:
        services().hear(push(body))
    assert refused.value.status == 400
