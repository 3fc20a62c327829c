"""What cannot be read is answered in the terms of who was asked, and quotes nothing of it: over
sockets, under gunicorn, by each way."""

import json
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from support.http import read_all, send_bytes
from support.serving import Server, serve

from sms_gateway.serving.http_server import WORKERS

KEY = b"5ec2e7c0ffee5ec2e7c0ffee"
NUMBER, TEXT = b"32494123456", b"attack-at-dawn"
_END = b"Host: a\r\nConnection: close\r\n\r\n"
_QUERY = b"recipients=" + NUMBER + b"&message=" + TEXT + b"&apikey=" + KEY


@pytest.fixture(scope="module", params=WORKERS)
def worker(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[Server]:
    with serve("support.scripted:application()", worker=worker) as running:
        yield running


@pytest.fixture(scope="module")
def faces(worker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    journal = str(tmp_path_factory.mktemp("unreadable") / "calls")
    with serve(f"hostile.faces:application({journal!r}, 5)", worker=worker) as running:
        yield running


@pytest.fixture(scope="module")
def soap_alone(worker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    journal = str(tmp_path_factory.mktemp("unreadable") / "calls")
    app = f"support.soap_face:app({journal!r}, 'http://localhost')"
    with serve(app, worker=worker) as running:
        yield running


def _get(query: bytes, *, line: bytes = b"GET /sendsms/?%s HTTP/1.1", head: bytes = b"") -> bytes:
    return (line % query) + b"\r\n" + head + _END


#: Requests with a key, a number and a text in them, their status and a word of the hint.
UNREADABLE: dict[str, tuple[bytes, int, str]] = {
    "a blank in the text": (_get(_QUERY + b" and more"), 400, "%20"),
    "two blanks": (_get(_QUERY + b" and more!"), 400, "%20"),
    "a blank before the version": (_get(_QUERY + b" "), 400, "%20"),
    "a blank in the path": (_get(_QUERY, line=b"GET /send sms/?%s HTTP/1.1"), 400, "%20"),
    "a tab in the query": (_get(_QUERY + b"\tx"), 400, "%"),
    "a NUL in the query": (_get(_QUERY + b"\0"), 400, "%"),
    "a DEL in the query": (_get(_QUERY + b"\x7f"), 400, "%"),
    "no version": (_get(_QUERY, line=b"GET /sendsms/?%s"), 400, "HTTP"),
    "version 9": (_get(_QUERY, line=b"GET /sendsms/?%s HTTP/9"), 400, "HTTP/1.1"),
    "version 2": (_get(_QUERY, line=b"GET /sendsms/?%s HTTP/2.0"), 400, "HTTP/1.1"),
    "version 1.2": (_get(_QUERY, line=b"GET /sendsms/?%s HTTP/1.2"), 400, "HTTP/1.1"),
    "the key as the version": (_get(_QUERY, line=b"GET /?%s HTTP/" + KEY), 400, "HTTP/1.1"),
    "a method in small letters": (_get(_QUERY, line=b"get /sendsms/?%s HTTP/1.1"), 400, "method"),
    "the key as the method": (_get(_QUERY, line=KEY + b" /?%s HTTP/1.1"), 400, "method"),
    "only the key": (KEY + b"\r\n\r\n", 400, "HTTP"),
    "a header without a colon": (_get(_QUERY, head=KEY + b"\r\n"), 400, "header"),
    "a header's name with a blank": (_get(_QUERY, head=b"A " + KEY + b": x\r\n"), 400, "header"),
    "the key as a folded header": (_get(_QUERY, head=b"A: b\r\n " + KEY + b"\r\n"), 400, "header"),
    "a NUL in a header": (_get(_QUERY, head=b"A: \0" + KEY + b"\r\n"), 400, "header"),
    "no Host": (_get(_QUERY).replace(b"Host: a\r\n", b""), 400, "Host"),
    "two Hosts": (_get(_QUERY, head=b"Host: " + KEY + b"\r\n"), 400, "Host"),
    "a Host with a blank": (
        _get(_QUERY).replace(b"Host: a\r\n", b"Host: " + KEY + b" b\r\n"), 400, "Host"
    ),
    "a Host that is a path": (
        _get(_QUERY).replace(b"Host: a\r\n", b"Host: a/" + KEY + b"\r\n"), 400, "Host"
    ),
    "a Host with a user": (
        _get(_QUERY).replace(b"Host: a\r\n", b"Host: " + KEY + b"@b\r\n"), 400, "Host"
    ),
    "two empty lines": (b"\r\n\r\n" + _get(_QUERY), 400, "empty line"),
    "five empty lines and a key": (b"\r\n" * 5 + _get(_QUERY), 400, "empty line"),
    "LF alone": (_get(_QUERY).replace(b"\r\n", b"\n"), 400, "CR and LF"),
    "LF alone behind a header": (_get(_QUERY, head=b"A: b\n"), 400, "CR and LF"),
    "no slash": (_get(_QUERY, line=b"GET sendsms/?%s HTTP/1.1"), 400, "begins with /"),
    "two lengths": (
        _get(_QUERY, head=b"Content-Length: 3\r\nContent-Length: 4\r\n"),
        400,
        "Content-Length",
    ),
    "two Hosts of HTTP/1.0": (
        _get(_QUERY, line=b"GET /sendsms/?%s HTTP/1.0", head=b"Host: b\r\n"),
        400,
        "Host",
    ),
    "a long address": (_get(_QUERY + TEXT * 600), 414, "POST"),
    "a long header": (_get(_QUERY, head=b"A: " + KEY * 400 + b"\r\n"), 431, "headers"),
    "many headers": (_get(_QUERY, head=(b"A: " + KEY + b"\r\n") * 110), 431, "headers"),
    "a length that is none": (
        _get(_QUERY, head=b"Content-Length: " + KEY + b"\r\n"),
        400,
        "",
    ),
    "another encoding": (
        _get(_QUERY, head=b"Transfer-Encoding: " + KEY + b"\r\n"),
        501,
        "chunked",
    ),
    "an ill chunk": (
        _get(_QUERY, line=b"POST /sendsms/?%s HTTP/1.1", head=b"Transfer-Encoding: chunked\r\n")
        + b"zz"
        + KEY
        + b"\r\n",
        400,
        "chunks",
    ),
}  # fmt: skip


def _tells_nothing(server: Server, answer: bytes) -> None:
    for secret in (KEY, NUMBER, TEXT, KEY[:12]):
        assert secret not in answer
        assert secret.decode() not in server.stderr()
    assert "Traceback" not in server.stderr()


def _parts(answer: bytes) -> tuple[int, str, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    (kind,) = [
        line.partition(b": ")[2]
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-type:")
    ]
    assert b"connection: close" in head.lower()
    return int(answer[9:12]), kind.decode(), body


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_code_7_with_a_hint_and_nothing_of_it(server, name):
    request, status, hint = UNREADABLE[name]
    answer = read_all(send_bytes(server, request))
    _tells_nothing(server, answer)
    found, kind, body = _parts(answer)
    assert (found, kind) == (status, "text/xml; charset=utf-8")
    result = {field.tag: field.text or "" for field in ElementTree.fromstring(body)}
    assert (result["error"], result["sent"], result["id"]) == ("7", "0", "")
    assert hint in result["note"]


@pytest.mark.parametrize("name", [name for name in UNREADABLE if name not in ("only the key",)])
def test_it_is_json_for_those_who_ask_for_it(server, name):
    request, status, hint = UNREADABLE[name]
    by_query = request.replace(b"?recipients", b"?format=json&recipients")
    by_header = request.replace(b"\r\n", b"\r\nAccept: application/json\r\n", 1)
    for asked in (by_query, by_header):
        if asked is by_header and name in ("a long address", "no version", "LF alone"):
            continue  # whose headers nobody gets to see
        if asked is by_header and "empty lines" in name:
            continue  # the header would come before the request
        found, kind, body = _parts(read_all(send_bytes(server, asked)))
        assert (found, kind) == (status, "application/json")
        result = json.loads(body)["result"]
        assert result["error"] == 7
        assert hint in result["note"]


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_path_of_soap_gets_a_fault_and_others_of_a_soap_server_plain_words(
    faces, soap_alone, name
):
    request, status, hint = UNREADABLE[name]
    for server in (faces, soap_alone):
        answer = read_all(send_bytes(server, request.replace(b"/sendsms/?", b"/sendsms/soap/?")))
        _tells_nothing(server, answer)
        found, kind, body = _parts(answer)
        assert found == status
        if b"/sendsms/?" in request and not name.startswith("a long address"):
            assert kind == "text/xml; charset=utf-8"
            assert b"<faultcode>soap:Client</faultcode>" in body
            assert hint.encode() in body
    answer = read_all(send_bytes(soap_alone, request.replace(b"/sendsms/?", b"/?")))
    _tells_nothing(soap_alone, answer)
    assert _parts(answer)[:2] == (status, "text/plain; charset=utf-8")
    answer = read_all(send_bytes(faces, request))
    _tells_nothing(faces, answer)
    assert b"<error>7</error>" in answer


def test_a_fault_is_of_the_version_that_is_spoken(faces):
    kind = b"Content-Type: application/soap+xml\r\n"
    request = b"POST /sendsms/soap/ HTTP/1.1\r\n" + kind + b"A b: c\r\n" + _END
    found, media_type, body = _parts(read_all(send_bytes(faces, request)))
    assert (found, media_type) == (400, "application/soap+xml; charset=utf-8")
    assert b"http://www.w3.org/2003/05/soap-envelope" in body


@pytest.mark.parametrize(
    "first",
    [b"\x16\x03\x01\x02\x00\x01" + KEY, b"\0" + KEY, b"\xff" + KEY, b"{" + KEY, b"\r\n\x16" + KEY],
)
@pytest.mark.parametrize("size", [1, 100])
def test_who_speaks_another_protocol_is_answered_before_a_line_ends(server, first, size):
    with send_bytes(server, b"") as connection:
        connection.settimeout(10)
        try:
            for at in range(0, len(first), size):
                connection.sendall(first[at : at + size])
        except OSError:
            pass  # it was answered, and the connection closed, before all was sent
        answer = read_all(connection)
    _tells_nothing(server, answer)
    assert _parts(answer)[0] == 400


# What is read although it is not as it should be.


@pytest.mark.parametrize("text", ["Ünï", "né à 7 €", "日本", "😀", "a" * 200 + "é" * 700])
@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_bytes_above_ascii_in_the_query_are_read(server, text, pieces):
    query = b"recipients=1&message=" + text.replace(" ", "+").encode() + b"&apikey=echo&format=json"
    request = b"GET /sendsms/?" + query + b" HTTP/1.1\r\nX-Name: Zo\xeb\r\n" + _END
    size = -(-len(request) // pieces)
    with send_bytes(server, b"") as connection:
        for at in range(0, len(request), size):
            connection.sendall(request[at : at + size])
        answer = read_all(connection)
    note = json.loads(answer.partition(b"\r\n\r\n")[2])["result"]["note"]
    assert json.loads(note) == ["1", text, ""]


def test_each_request_of_a_connection_may_have_them(server):
    request = "GET /sendsms/?message=é&recipients=1&apikey=echo&format=json HTTP/1.1\r\nHost: a"
    body = "recipients=1&message=é&apikey=echo&format=json".encode()
    post = b"POST /sendsms/?a=\xe9 HTTP/1.1\r\nHost: a\r\nContent-Length: %d" % len(body)
    with send_bytes(server, b"") as connection:
        for each in (request.encode(), post, request.encode("latin-1"), request.encode()):
            connection.sendall(each + b"\r\n\r\n" + (body if each is post else b""))
            answer = b""
            while not answer.endswith(b"}}"):
                answer += connection.recv(65536)
            assert json.dumps("é").strip('"').encode().replace(b"\\", b"\\\\") in answer


def test_http_1_0_needs_no_host(server):
    request = b"GET /sendsms/?recipients=1&message=m&apikey=good HTTP/1.0\r\n\r\n"
    assert b"<error>0</error>" in read_all(send_bytes(server, request))
