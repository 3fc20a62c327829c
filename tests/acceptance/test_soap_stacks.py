"""What real SOAP stacks send, byte for byte, is understood by a server as it is deployed."""

import http.client
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree
from support.soap_face import ID, Face, soap_face

from sms_gateway.backend import Submission

RECORDED = Path(__file__).parents[1] / "recorded" / "soap"
NS = {"t": "urn:sendSmsNow", "wsa": "http://www.w3.org/2005/08/addressing"}

TEXT = 'Grüße €, 😀, & < > "'
ONE = "0032494000000"
TWO = "0032494000000,+32494000001"

#: file, recipients, text
ACCEPTED = [
    ("axis-rpc", TWO, TEXT),
    ("axis-wrapped", TWO, TEXT),
    ("curl", ONE, "Hello World"),
    ("easy-soap-request", ONE, "Hello"),
    ("jax-ws", TWO, TEXT),
    ("jax-ws-1.2-addressing", TWO, TEXT),
    ("jax-ws-addressing", TWO, TEXT),
    ("node-soap", TWO, TEXT),
    ("node-soap-1.2", TWO, TEXT),
    ("node-soap-port12", TWO, TEXT),
    ("node-soap-wsse", TWO, TEXT),
    ("nusoap-rpc", TWO, TEXT),
    ("nusoap-rpc-latin1", TWO, "Grüße"),
    ("nusoap-wsdl", TWO, TEXT),
    ("nusoap-wsdl-utf8", TWO, TEXT),
    ("php-soap-basic", TWO, TEXT),
    ("php-soap-deflate", TWO, TEXT),
    ("php-soap-gzip", TWO, TEXT),
    ("php-soap-latin1", TWO, "Grüße"),
    ("php-soap-named", TWO, TEXT),
    ("php-soap-positional", TWO, TEXT),
    ("php-soap-wsdl", TWO, TEXT),
    ("php-soap-wsdl-1.2", TWO, TEXT),
    ("pysimplesoap", TWO, TEXT),
    ("pysimplesoap-wsdl", TWO, TEXT),
    ("saaj", TWO, TEXT),
    ("saaj-1.2", TWO, TEXT),
    ("saaj-1.2-attachment", TWO, TEXT),
    ("saaj-attachment", TWO, TEXT),
    ("soap-lite-1.2", ONE, "Hello World"),
    ("soap-lite-base64", ONE, TEXT),
    ("soap-lite-base64-latin1", ONE, "Grüße"),
    ("soap-lite-named", ONE, "Hello World"),
    ("soap-lite-positional", TWO, "Hello World"),
    ("soap-lite-string", ONE, TEXT),
    ("soap-lite-wsdl", TWO, "Hello World"),
    ("strong-soap", TWO, TEXT),
    ("suds", TWO, TEXT),
    ("zeep", TWO, TEXT),
    ("zeep-1.2", TWO, TEXT),
    ("zeep-wsa-wsse", TWO, TEXT),
]
REFUSED = ["jax-ws-addressing-fault", "php-soap-array"]


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with soap_face(tmp_path_factory.mktemp("soap")) as running:
        yield running


def replay(
    face: Face, name: str, apikey: bytes = b"secret"
) -> tuple[http.client.HTTPResponse, etree._Element]:
    """Send a recorded request as it is, or with another key as long, and read the answer as XML."""
    request = (RECORDED / f"{name}.http").read_bytes().replace(b"secret", apikey)
    with socket.create_connection(("127.0.0.1", face.server.port), timeout=60) as connection:
        connection.sendall(request)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response, etree.fromstring(response.read())


def message_id(name: str) -> str | None:
    """The name that the request gives itself by WS-Addressing."""
    found = re.search(rb"MessageID[^>]*>([^<]+)<", (RECORDED / f"{name}.http").read_bytes())
    return found[1].decode() if found else None


def test_every_recorded_request_is_in_the_table_and_has_a_line_on_whence_it_comes():
    files = {path.stem for path in RECORDED.glob("*.http")}
    assert files == {name for name, _, _ in ACCEPTED} | set(REFUSED)
    assert files == set(re.findall(r"`([\w.-]+)\.http`", (RECORDED / "README.md").read_text()))


@pytest.mark.parametrize(("name", "recipients", "text"), ACCEPTED, ids=[row[0] for row in ACCEPTED])
def test_a_request_as_the_stack_sends_it_is_understood(face, name, recipients, text):
    response, root = replay(face, name)
    assert response.status == 200
    (result,) = root.findall("{*}Body/t:sendSmsResponse/t:return", NS)
    sent = len(recipients.split(","))
    assert [each.text for each in result] == ["0", str(sent), ID]

    call = face.calls()[-1]
    given = Submission(
        recipients=recipients, message=text, apikey="secret", idempotency_key=call.idempotency_key
    )
    assert call == given
    # A message that has a name is known by it when it comes again.
    name_given = message_id(name)
    assert bool(call.idempotency_key) == bool(name_given)
    assert root.findtext("{*}Header/wsa:RelatesTo", namespaces=NS) == name_given


def test_an_array_of_numbers_where_a_string_has_to_be_is_not_sent(face):
    # PHP makes the text "Array" of it.
    response, root = replay(face, "php-soap-array")
    (result,) = root.findall("{*}Body/t:sendSmsResponse/t:return", NS)
    assert response.status == 200
    assert [each.text for each in result] == ["7", "0", None]


def test_an_addressed_fault_relates_to_its_request(face):
    # JAX-WS hides the fault behind one of its own if it does not.
    response, root = replay(face, "jax-ws-addressing-fault")
    assert response.status == 500
    assert root.findtext("{*}Body/{*}Fault/faultcode") == "soap:Client"
    relates_to = root.findtext("{*}Header/wsa:RelatesTo", namespaces=NS)
    assert relates_to == message_id("jax-ws-addressing-fault")


def test_no_key_and_no_text_is_in_the_log(face):
    replay(face, "php-soap-wsdl")
    replay(face, "jax-ws-addressing-fault")
    replay(face, "php-soap-wsdl", apikey=b" fails")
    written = face.server.stderr()
    # Of what the backend raises, with all that it was given in it, this is what is told.
    assert "backend failed" in written
    for secret in ("secret", "Grüße", "32494", "Traceback", "cannot send"):
        assert secret not in written
