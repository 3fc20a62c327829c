"""The SOAP face over real HTTP: connections, methods, and what a client repeats."""

import gzip
import http.client
import socket
from collections.abc import Iterator

import pytest
from lxml import etree
from support.soap_face import ENDPOINT, WSDL, Face, soap_face

import wsdl
from sms_gateway.codes import Code

NS = {"t": "urn:sendSmsNow"}
PUBLIC_URL = "https://sms.example.com"


def envelope(
    apikey: str = "secret", namespace: str = "http://schemas.xmlsoap.org/soap/envelope/"
) -> bytes:
    return (
        f'<s:Envelope xmlns:s="{namespace}"><s:Body><sendSms xmlns="urn:sendSmsNow">'
        f"<recipients>0032494000000</recipients><message>Hello</message><apikey>{apikey}</apikey>"
        "</sendSms></s:Body></s:Envelope>"
    ).encode()


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with soap_face(tmp_path_factory.mktemp("soap"), PUBLIC_URL) as running:
        yield running


@pytest.fixture
def connection(face: Face) -> Iterator[http.client.HTTPConnection]:
    opened = http.client.HTTPConnection("127.0.0.1", face.server.port, timeout=60)
    yield opened
    opened.close()


def result(body: bytes) -> list[str | None]:
    (found,) = etree.fromstring(body).findall("{*}Body/t:sendSmsResponse/t:return", NS)
    return [each.text for each in found]


@pytest.mark.parametrize("code", [code for code in Code if code])
@pytest.mark.parametrize(
    "namespace",
    ["http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"],
)
def test_every_code_reaches_the_client_with_status_200(connection, code, namespace):
    connection.request("POST", ENDPOINT, envelope(f"code-{int(code)}", namespace))
    response = connection.getresponse()
    assert response.status == 200
    assert result(response.read()) == [str(int(code)), "0", None]


def test_a_connection_is_used_again_after_answers_and_faults(connection):
    for body, status in ((envelope(), 200), (b"<", 500), (b"", 500), (envelope(), 200)):
        connection.request("POST", ENDPOINT, body)
        response = connection.getresponse()
        local = connection.sock.getsockname() if connection.sock else None
        assert response.status == status
        response.read()
        assert connection.sock is not None
        assert connection.sock.getsockname() == local


def test_a_client_that_wants_the_connection_closed_is_told_that_it_is(connection):
    # Node's agent sends its next request on the dying connection otherwise.
    for method, path, body in (("POST", ENDPOINT, envelope()), ("GET", WSDL, None)):
        connection.request(method, path, body, {"Connection": "close"})
        response = connection.getresponse()
        response.read()
        assert response.getheader("Connection") == "close"


def test_a_chunked_body_is_read(connection):
    connection.request("POST", ENDPOINT, iter([envelope()[:50], envelope()[50:]]))
    assert result(connection.getresponse().read())[0] == "0"


def test_a_packed_body_is_read(connection):
    body = gzip.compress(envelope())
    connection.request("POST", ENDPOINT, body, {"Content-Encoding": "gzip"})
    assert result(connection.getresponse().read())[0] == "0"


def test_a_body_may_wait_for_the_word_to_go_on(face):
    head = (
        f"POST {ENDPOINT} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        f"Content-Type: text/xml\r\nContent-Length: {len(envelope())}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", face.server.port), timeout=60) as raw:
        raw.sendall(head.encode())
        # A client need not wait for ever (RFC 9110 §10.1.1); curl waits a second, we less.
        raw.settimeout(0.2)
        try:
            assert raw.recv(100).startswith(b"HTTP/1.1 100")
        except TimeoutError:
            pass
        raw.settimeout(60)
        raw.sendall(envelope())
        response = http.client.HTTPResponse(raw)
        response.begin()
        assert result(response.read())[0] == "0"


@pytest.mark.parametrize("action", ['"urn:sendSmsNow#sendSms"', "urn:other", '""', "", None])
@pytest.mark.parametrize("path", [ENDPOINT, ENDPOINT.rstrip("/"), WSDL, ENDPOINT + "?wsdl"])
def test_neither_the_action_nor_the_form_of_the_address_matters(connection, action, path):
    headers = {"Content-Type": "text/xml"} | ({} if action is None else {"SOAPAction": action})
    connection.request("POST", path, envelope(), headers)
    assert result(connection.getresponse().read())[0] == "0"


def test_the_idempotency_key_reaches_the_backend(face, connection):
    connection.request("POST", ENDPOINT, envelope(), {"Idempotency-Key": "one"})
    connection.getresponse().read()
    assert face.calls()[-1].idempotency_key == "one"


def test_overload_says_when_to_come_again(connection):
    connection.request("POST", ENDPOINT, envelope("busy"))
    response = connection.getresponse()
    assert (response.status, response.getheader("Retry-After")) == (200, "7")
    assert result(response.read()) == ["30", "0", None]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [WSDL, ENDPOINT + "?wsdl", ENDPOINT.rstrip("/") + "?WSDL"])
def test_the_wsdl_has_the_configured_address_whatever_host_is_named(connection, method, path):
    expected = wsdl.document(PUBLIC_URL + ENDPOINT)
    connection.request(method, path, headers={"Host": "evil.example"})
    response = connection.getresponse()
    assert response.status == 200
    assert response.getheader("Content-Type") == "text/xml; charset=utf-8"
    assert response.getheader("Content-Length") == str(len(expected))
    assert response.read() == (expected if method == "GET" else b"")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_the_endpoint_takes_nothing_but_posts(connection, method):
    connection.request(method, ENDPOINT)
    response = connection.getresponse()
    assert (response.status, response.getheader("Allow")) == (405, "OPTIONS, POST")
    response.read()
