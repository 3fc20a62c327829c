"""The operations beside sendSms: what they take, what they give, each the backend's own answer."""

import pytest
from lxml import etree
from support.soap_asgi import SOAP11, SOAP12, Face, envelope
from support.soap_face import AT, ID, INBOX

from sms_gateway.codes import Code

NS = {"t": "urn:sendSmsNow"}


@pytest.fixture
def face() -> Face:
    return Face()


def call(operation: str, **parameters: object) -> str:
    given = "".join(f"<{name}>{value}</{name}>" for name, value in parameters.items())
    return f'<{operation} xmlns="urn:sendSmsNow">{given}</{operation}>'


def members(element: etree._Element) -> list[tuple[str, object]]:
    """The names and values of what is in an element, in order."""
    return [
        (etree.QName(each).localname, members(each) if len(each) else each.text or "")
        for each in element
    ]


async def ask(face: Face, operation: str, namespace: str = SOAP11, **parameters: object):
    answer = await face.post(envelope(call(operation, **parameters), namespace=namespace))
    assert answer.status == 200, answer.body
    (result,) = answer.root.findall(f"{{*}}Body/t:{operation}Response/t:return", NS)
    return members(result)


@pytest.mark.parametrize("namespace", [SOAP11, SOAP12])
async def test_a_message_is_sent_again(face, namespace):
    result = await ask(face, "resendSms", namespace, apikey="secret", id=f" {ID}\n")
    assert result == [("error", "0"), ("sent", "2"), ("id", ID)]


@pytest.mark.parametrize("namespace", [SOAP11, SOAP12])
async def test_the_status_of_a_message_is_told_step_by_step(face, namespace):
    assert await ask(face, "getStatus", namespace, apikey="secret", id=ID) == [
        ("error", "0"),
        ("state", "delivered"),
        ("accepted", "2026-01-02T03:04:05.678Z"),
        ("parts", "2"),
        (
            "deliveries",
            [
                ("recipient", "+32494000000"),
                ("state", "delivered"),
                (
                    "steps",
                    [
                        ("at", "2026-01-02T03:04:05.678Z"),
                        ("part", "1"),
                        ("event", "submitted"),
                        ("detail", "id <1>"),
                    ],
                ),
                (
                    "steps",
                    [
                        ("at", "2026-01-02T03:04:05.679Z"),
                        ("part", "0"),
                        ("event", "delivered"),
                        ("detail", ""),
                    ],
                ),
            ],
        ),
        ("deliveries", [("recipient", "+32494000001"), ("state", "delivered")]),
    ]


@pytest.mark.parametrize("namespace", [SOAP11, SOAP12])
async def test_received_messages_are_given_oldest_first_after_a_place(face, namespace):
    after = INBOX[4].id
    result = await ask(face, "getSms", namespace, apikey="secret", after=after, limit=2)
    assert result == [
        ("error", "0"),
        *(
            (
                "messages",
                [
                    ("id", str(after + n)),
                    ("from", "+32494000000"),
                    ("to", "+32490000000"),
                    ("message", f"{4 + n}: Grüße €, 😀, & < >"),
                    ("received", f"2026-01-02T03:04:05.{AT % 1000 + 4 + n}Z"),
                ],
            )
            for n in (1, 2)
        ),
    ]


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({}, 100),
        ({"after": "", "limit": ""}, 100),
        ({"after": 0, "limit": 0}, 100),
        ({"after": " +0\n", "limit": "\t7 "}, 7),
        ({"limit": 1000}, 1000),
        ({"after": 2**63 - 1}, 0),
    ],
)
async def test_how_many_are_given_has_a_default_and_an_end(face, parameters, count):
    (error, *messages) = await ask(face, "getSms", apikey="secret", **parameters)
    assert error == ("error", "0")
    assert len(messages) == count


@pytest.mark.parametrize(
    "parameters",
    [
        {"after": -1},
        {"limit": -1},
        {"limit": 1001},
        {"limit": 2**31 - 1},
        {"limit": 2**63 - 1},
        {"after": -(2**63), "limit": 7},
    ],
)
async def test_what_http_refuses_is_refused_here_too(face, parameters):
    answer = await ask(face, "getSms", apikey="secret", **parameters)
    assert answer == [("error", str(int(Code.NOT_SENT)))]


@pytest.mark.parametrize("number", ["x", "1.0", "1 2", "0x1", "١", "9" * 19, "1" * 100_000])
async def test_what_is_no_number_is_the_clients_fault(face, number):
    answer = await face.post(envelope(call("getSms", apikey="secret", after=number, limit=1)))
    assert answer.fault[0] == "Client"


@pytest.mark.parametrize("code", [code for code in Code if code])
@pytest.mark.parametrize(
    ("operation", "rest"),
    [
        ("resendSms", [("sent", "0"), ("id", "")]),
        ("getSms", []),
        ("getStatus", [("state", ""), ("accepted", ""), ("parts", "0")]),
    ],
)
async def test_every_code_is_in_the_result_of_every_operation(face, operation, rest, code):
    result = await ask(face, operation, apikey=f"code-{int(code)}", id=ID)
    assert result == [("error", str(int(code))), *rest]


@pytest.mark.parametrize("operation", ["resendSms", "getStatus"])
async def test_an_id_is_missing_or_not_known(face, operation):
    assert (await ask(face, operation, apikey="secret"))[0] == ("error", "200")
    assert (await ask(face, operation, apikey="secret", id="x"))[0] == ("error", "201")


@pytest.mark.parametrize("operation", ["resendSms", "getSms", "getStatus"])
async def test_a_backend_that_fails_or_is_busy_is_code_30(face, operation):
    assert (await ask(face, operation, apikey="fails", id=ID))[0] == ("error", "30")
    answer = await face.post(envelope(call(operation, apikey="busy", id=ID)))
    assert answer.headers["retry-after"] == "7"


async def test_the_key_may_be_a_password_and_parameters_may_come_by_position(face):
    positional = (
        '<t:getStatus xmlns:t="urn:sendSmsNow">'
        f"<c-gensym1></c-gensym1><c-gensym3>{ID}</c-gensym3></t:getStatus>"
    )
    answer = await face.post(envelope(positional), Authorization="Basic bWU6c2VjcmV0")
    assert answer.root.findtext("{*}Body/t:getStatusResponse/t:return/t:error", None, NS) == "0"


async def test_an_answer_is_addressed_by_its_own_operation(face):
    header = '<a:MessageID xmlns:a="http://www.w3.org/2005/08/addressing">urn:1</a:MessageID>'
    answer = await face.post(envelope(call("getStatus", apikey="secret", id=ID), header))
    action = answer.root.findtext("{*}Header/{*}Action")
    assert action == "urn:sendSmsNow:sendSmsNowPortType:getStatusResponse"
