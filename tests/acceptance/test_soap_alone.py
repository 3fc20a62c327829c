"""`sendsmsnow soap --backend URL` in front of a server that misbehaves in every way: whatever it
says, a client is told that a message was sent only where it was."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import pytest
from lxml import etree
from support import odd_remote
from support.command import Running, running
from support.odd_remote import Remote, cut, endless, reset, says, silence

ID = "0190d5a7f00070008000000000000001"
GOOD = f"<result><error>0</error><sent>2</sent><id>{ID}</id></result>".encode()
GOOD_ANSWER = odd_remote.http(GOOD)
HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
SENT, FAILED, TOO_LATE = ("0", "2", ID), ("30", "0", None), ("6", "0", None)
CALL = {"recipients": "+32494000000,+32494000001", "message": "Grüße €, 😀, & < >", "apikey": "k"}
NAMED = {"apikey": "k", "id": ID}


class Face:
    """The running command, and the server that it asks."""

    def __init__(self, command: Running, remote: Remote) -> None:
        self.remote = remote
        self.address = urlsplit(command.url())
        self.output = command.output

    def connection(self) -> http.client.HTTPConnection:
        assert self.address.hostname
        return http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=60)

    def ask(
        self, operation: str = "sendSms", fields: dict[str, str] = CALL, **headers: str
    ) -> etree._Element:
        """The response element, after a look at its status."""
        with closing(self.connection()) as connection:
            return asked(connection, operation, fields, **headers)

    def send(self, **headers: str) -> tuple[str | None, ...]:
        return result(self.ask("sendSms", CALL, **headers))


def envelope(operation: str, fields: dict[str, str]) -> bytes:
    inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<{operation} xmlns="urn:sendSmsNow">{inside}</{operation}></s:Body></s:Envelope>'
    ).encode()


def asked(
    connection: http.client.HTTPConnection, operation: str, fields: dict[str, str], **headers: str
) -> etree._Element:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given["Content-Type"] = "text/xml; charset=utf-8"
    connection.request("POST", "/sendsms/soap/", envelope(operation, fields), given)
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, body
    (found,) = etree.fromstring(body).findall("{*}Body/{*}" + operation + "Response")
    found.set("retry-after", response.headers.get("Retry-After", ""))
    return found


def result(response: etree._Element) -> tuple[str | None, ...]:
    (fields,) = response
    return tuple(field.text for field in fields)


@contextmanager
def face_of(remote: Remote, backend_timeout: str = "60s") -> Iterator[Face]:
    arguments = ["--backend", remote.url, "--bind", "127.0.0.1:0", "--workers", "1"]
    with running("soap", *arguments, backend_timeout=backend_timeout) as command:
        yield Face(command, remote)
        assert command.stop() == 0, command.output()


@pytest.fixture(scope="module")
def started() -> Iterator[Face]:
    with odd_remote.remote(GOOD_ANSWER) as remote, face_of(remote) as face:
        yield face


@pytest.fixture
def face(started: Face) -> Face:
    """With a server that was not asked anything yet, and will answer rightly."""
    started.remote.asked.clear()
    started.remote.answers.clear()
    return started


def will(face: Face, *answers: odd_remote.Answer) -> None:
    face.remote.answers.extend(answers)


def replaced(old: str, new: str) -> odd_remote.Answer:
    assert old in GOOD.decode()
    return odd_remote.http(GOOD.decode().replace(old, new).encode())


ODD = {
    "nothing": odd_remote.http(b""),
    "a word": odd_remote.http(b"OK"),
    "a page": odd_remote.http(HTML),
    "XML cut in the middle": odd_remote.http(GOOD[:-20]),
    "another root": replaced("result>", "response>"),
    "an envelope": odd_remote.http(envelope("sendSms", CALL)),
    "a document type": odd_remote.http(b"<!DOCTYPE result>" + GOOD),
    "JSON cut in the middle": odd_remote.http(b'{"result": {"error": 0, "sent": 1'),
    "no code": replaced("<error>0</error>", ""),
    "an empty code": replaced(">0<", "><"),
    "a code that is none": replaced(">0<", ">zero<"),
    "a code that is not known": replaced(">0<", ">1<"),
    "two codes": replaced("<error>", "<error>50</error><error>"),
    "success without an id": replaced(ID, ""),
    "success without the id's element": replaced(f"<id>{ID}</id>", ""),
    "success for nobody": replaced(">2<", ">0<"),
    "success for more than may be": replaced(">2<", ">5<"),
    "success for a negative number": replaced(">2<", ">-1<"),
    "success for many": replaced(">2<", ">many<"),
    "success for a fraction": replaced(">2<", ">1.5<"),
    "success without a number": replaced("<sent>2</sent>", ""),
    "success with status 500": odd_remote.http(GOOD, "500 Internal Server Error"),
    "success with status 404": odd_remote.http(GOOD, "404 Not Found"),
    "a page with status 502": odd_remote.http(HTML, "502 Bad Gateway"),
    "a page with status 503": odd_remote.http(HTML, "503 Service Unavailable"),
    "a page with status 500": odd_remote.http(HTML, "500 Internal Server Error"),
    "a redirect": odd_remote.http(GOOD, "302 Found", "Location: /sendsms/?a"),
    "a redirect for good": odd_remote.http(GOOD, "308 Permanent Redirect", "Location: /sendsms/"),
    "a packed answer": odd_remote.http(b"\x1f\x8b" + GOOD, "200 OK", "Content-Encoding: gzip"),
    "a large answer": odd_remote.http(GOOD + b" " * 70_000),
    "an endless answer": endless,
    "another protocol": says(b"220 mail.example.org ESMTP\r\n", stays=False),
    "zeros": says(b"\0" * 1000, stays=False),
}


_REDIRECTS = (ODD["a redirect"], ODD["a redirect for good"])


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
def test_an_odd_answer_is_code_6_or_a_refusal(face: Face, answer: odd_remote.Answer) -> None:
    will(face, answer)
    is_refused = answer in (ODD["success with status 404"], *_REDIRECTS)
    assert face.send() == (FAILED if is_refused else TOO_LATE)
    # It is not asked for again, and the next is no worse for it.
    assert len(face.remote.asked) == 1
    assert face.send() == SENT


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (GOOD_ANSWER, SENT),
        (odd_remote.http(b'{"result": {"error": 0, "sent": 1, "id": "17"}}'), ("0", "1", "17")),
        (replaced(ID, "A&amp;B &lt;é€😀&gt;"), ("0", "2", "A&B <é€😀>")),
        (odd_remote.http(b"<result><error>50</error></result>"), ("50", "0", None)),
        (odd_remote.http(b'{"result": {"error": 100}}', "429 Slow"), ("100", "0", None)),
    ],
)
def test_a_good_answer_is_passed_on_as_it_is(
    face: Face, answer: odd_remote.Answer, expected: tuple[str | None, ...]
) -> None:
    will(face, answer)
    assert face.send() == expected
    (asked,) = face.remote.asked
    assert asked.path == "/sendsms/"
    assert asked.form == {name: [value] for name, value in CALL.items()}


def test_each_operation_has_its_twin(face: Face) -> None:
    step = '{"at": "2026-01-02T03:04:05.678Z", "part": 1, "event": "submitted", "detail": "1"}'
    delivery = f'{{"recipient": "+32494000000", "state": "delivered", "steps": [{step}]}}'
    message = (
        '{"id": 7, "from": "+1", "to": "+2", "message": " é\\n", "received": "2026-01-02T03Z"}'
    )
    answers = {
        "resendSms": f'"sent": 1, "id": "{ID}"',
        "getSms": f'"messages": [{message}], "next": 7',
        "getStatus": f'"sent": 1, "id": "{ID}", "state": "delivered", '
        f'"accepted": "2026-01-02T03:04:05.678Z", "parts": 1, "deliveries": [{delivery}]',
    }
    texts = {}
    for operation, fields in answers.items():
        will(face, odd_remote.http(f'{{"result": {{"error": 0, {fields}}}}}'.encode()))
        response = face.ask(operation, NAMED if operation != "getSms" else {"apikey": "k"})
        texts[operation] = list(response.itertext())
    assert texts == {
        "resendSms": ["0", "1", ID],
        "getSms": ["0", "7", "+1", "+2", " é\n", "2026-01-02T03:00:00.000Z"],
        "getStatus": [
            *("0", "delivered", "2026-01-02T03:04:05.678Z", "1", "+32494000000", "delivered"),
            *("2026-01-02T03:04:05.678Z", "1", "submitted", "1"),
        ],
    }
    assert [asked.path for asked in face.remote.asked] == ["/resendsms/", "/getsms/", "/status/"]


def test_a_server_that_is_busy_says_when_to_come_again(face: Face) -> None:
    will(face, odd_remote.http(HTML, "503 Service Unavailable", "Retry-After: 7"))
    response = face.ask()
    assert (result(response), response.get("retry-after")) == (FAILED, "7")


# Connections.


BREAKS = {
    "closed": cut,
    "reset": reset,
    "closed within the answer": says(
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<", stays=False
    ),
    "closed within the head": says(b"HTTP/1.1 200 OK\r\nContent-", stays=False),
}


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
@pytest.mark.parametrize("key", ["of-the-client", ""])
def test_what_a_broken_connection_leaves_open_is_asked_again_under_the_same_key(
    face: Face, broken: odd_remote.Answer, key: str
) -> None:
    will(face, broken)
    assert face.send(**({"Idempotency_Key": key} if key else {})) == SENT
    first, second = face.remote.asked
    assert first == second
    assert first.headers["idempotency-key"] == (key or first.headers["idempotency-key"])


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
def test_it_is_not_asked_a_third_time(face: Face, broken: odd_remote.Answer) -> None:
    will(face, broken, broken)
    assert face.send() == TOO_LATE
    assert len(face.remote.asked) == 2


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
def test_what_has_no_key_is_not_asked_again(face: Face, broken: odd_remote.Answer) -> None:
    will(face, broken)
    assert result(face.ask("resendSms", NAMED)) == TOO_LATE
    (asked,) = face.remote.asked
    assert "idempotency-key" not in asked.headers


def test_a_message_of_its_own_has_a_key_of_its_own(face: Face) -> None:
    for _ in range(3):
        face.send()
    assert len({asked.headers["idempotency-key"] for asked in face.remote.asked}) == 3


def test_a_connection_that_was_closed_while_idle_harms_no_call(face: Face) -> None:
    will(face, *[lambda connection: GOOD_ANSWER(connection) and cut(connection)] * 5)
    for _ in range(5):
        assert face.send() == SENT
    assert len(face.remote.asked) == 5


def test_a_server_that_refuses_connections_is_code_30_until_it_is_back() -> None:
    with odd_remote.remote(GOOD_ANSWER, listening=False) as remote, face_of(remote) as face:
        for _ in range(2):
            assert face.send() == FAILED
            assert result(face.ask("resendSms", NAMED)) == FAILED
        remote.listen()
        assert face.send() == SENT


def test_calls_share_connections() -> None:
    together = threading.Barrier(8)

    def meet(connection: socket.socket) -> bool:
        together.wait(60)
        return GOOD_ANSWER(connection)

    with odd_remote.remote(GOOD_ANSWER) as remote, face_of(remote) as face:
        assert [face.send() for _ in range(30)] == [SENT] * 30
        assert remote.connections == 1
        found: list[tuple[str | None, ...]] = []
        for _ in range(3):
            will(face, *[meet] * 8)
            calls = [threading.Thread(target=lambda: found.append(face.send())) for _ in range(8)]
            for call in calls:
                call.start()
            for call in calls:
                call.join()
        assert found == [SENT] * 24
        # As many as there were calls at once.
        assert remote.connections == 8


def test_silence_is_code_6() -> None:
    begun = says(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + GOOD)
    with odd_remote.remote(silence) as remote, face_of(remote, backend_timeout="1s") as face:
        for operation, fields in (("sendSms", CALL), ("resendSms", NAMED)):
            assert result(face.ask(operation, fields)) == TOO_LATE
            will(face, lambda connection: begun(connection) and silence(connection))
            assert result(face.ask(operation, fields)) == TOO_LATE
        # What is asked again has no more time than is left.
        will(face, cut)
        assert face.send() == TOO_LATE


def test_nothing_of_a_call_is_logged(face: Face) -> None:
    secret = {**CALL, "message": "attack-at-dawn", "apikey": "5ec2e7c0ffee"}
    for answer in (odd_remote.http(HTML), endless):
        will(face, answer)
        assert result(face.ask("sendSms", secret)) == TOO_LATE
    will(face, cut, cut)
    assert result(face.ask("sendSms", secret)) == TOO_LATE
    written = face.output()
    assert "odd answer of the backend" in written
    assert "backend did not answer" in written
    for word in ("attack", "5ec2e7", "494000000", "Traceback", "nginx"):
        assert word not in written


def test_a_client_that_waits_for_leave_to_send_gets_it(face: Face) -> None:
    body = envelope("sendSms", CALL)
    with closing(face.connection()) as connection:
        connection.putrequest("POST", "/sendsms/soap/")
        connection.putheader("Content-Type", "text/xml; charset=utf-8")
        connection.putheader("Content-Length", str(len(body)))
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        assert connection.sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(body)
        response = connection.getresponse()
        assert response.status == 200
        assert f"<id>{ID}</id>".encode() in response.read()
