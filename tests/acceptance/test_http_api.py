"""The HTTP API as clients see it: over sockets, under gunicorn, in front of a scripted backend."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from support.http import Answer, ask, read_all, send_bytes
from support.serving import Server, serve

from sms_gateway.codes import Code
from sms_gateway.network.asgi_body import MAX_BODY, MAX_PIECES
from sms_gateway.serving.http_server import WORKERS

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module", params=WORKERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve("support.scripted:application()", worker=request.param) as running:
        yield running


def given(answer: Answer) -> dict[str, str]:
    """What the backend was given; for requests with the API key `echo`."""
    assert answer.error == Code.NOT_SENT
    names = ("recipients", "message", "idempotency key")
    return dict(zip(names, json.loads(answer.result["note"]), strict=True))


def query(**fields: str) -> str:
    return "/sendsms/?" + urlencode(fields)


# The replies.


def test_a_sent_message_is_answered_by_its_id(server):
    answer = ask(server, query(recipients="1,2", message="Hello", apikey="good"))
    assert answer.status == 200
    name = answer.result["id"]
    assert len(name) == 32
    assert (
        answer.body
        == (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f"<result><error>0</error><sent>2</sent><id>{name}</id></result>"
        ).encode()
    )


@pytest.mark.parametrize("code", [code for code in Code if code])
@pytest.mark.parametrize("form", ["xml", "json"])
def test_every_code_is_answered_in_both_formats(server, code, form):
    answer = ask(server, query(recipients="1", message="m", apikey=f"code-{code}", format=form))
    assert answer.status == 200
    assert ("json" in answer.headers["content-type"]) == (form == "json")
    assert answer.result == {
        "error": str(int(code)),
        "sent": "0",
        "id": "",
        "note": code.sentence,
    }


def test_json_is_answered_to_those_who_accept_it(server):
    answer = ask(server, query(message="m", apikey="good"), headers={"Accept": "application/json"})
    assert json.loads(answer.body) == {"result": {"error": 0, "sent": 1, "id": answer.result["id"]}}


def test_an_overloaded_gateway_answers_503_and_when_to_come_back(server):
    answer = ask(server, query(apikey="busy"))
    assert answer.status == 503
    assert answer.headers["retry-after"] == "7"
    assert answer.error == Code.INTERNAL


def test_answers_are_not_kept_not_guessed_and_not_for_other_sites(server):
    headers = {"Origin": "https://elsewhere.example", "Accept": "application/json"}
    for target in (query(apikey="good"), query(), "/nowhere"):
        answer = ask(server, target, headers=headers)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_what_fails_unforeseen_is_code_30_and_an_incident_without_words(server):
    target = query(recipients="32494123456", message="confidential", apikey="fails")
    for extra, content_type in (("", "text/xml"), ("&format=json", "application/json")):
        answer = ask(server, target + extra)
        assert answer.status == 500
        assert answer.headers["content-type"].startswith(content_type)
        assert answer.error == Code.INTERNAL
        assert b"confidential" not in answer.body
        assert b"Error" not in answer.body
        incident = answer.result["note"].rpartition(" ")[2].rstrip(")")
        (line,) = [line for line in server.stderr().splitlines() if incident in line]
        assert "RuntimeError from ValueError" in line
        assert "scripted.py" in line


# The ways to say it.


@pytest.mark.parametrize("path", ["/sendsms/", "/sendsms"])
def test_the_trailing_slash_is_optional(server, path):
    assert ask(server, f"{path}?apikey=good").status == 200
    assert ask(server, path, b"apikey=good", headers=FORM).error == Code.SENT


MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="recipients"\r\n\r\n+32494000000\r\n'
    b'--x\r\nContent-Disposition: form-data; name="message"\r\n\r\nZo\xc3\xab\r\n'
    b'--x\r\nContent-Disposition: form-data; name="apikey"\r\n\r\necho\r\n--x--\r\n'
)
FORM_BODY = b"recipients=%2B32494000000&message=Zo%C3%AB&apikey=echo"


@pytest.mark.parametrize(
    ("target", "body", "headers"),
    [
        (f"/sendsms/?{FORM_BODY.decode()}", None, {}),
        (f"/sendsms/?{FORM_BODY.decode()}", b"", {}),
        ("/sendsms/", FORM_BODY, FORM),
        ("/sendsms/", FORM_BODY, {}),
        ("/sendsms/", MULTIPART, {"Content-Type": 'multipart/form-data; boundary="x"'}),
        (
            "/sendsms/",
            '{"recipients": "+32494000000", "message": "Zoë", "apikey": "echo"}'.encode(),
            JSON,
        ),
        (
            "/sendsms/",
            b'{"recipients": ["+32494000000"], "message": "Zo\\u00eb", "apikey": "echo"}',
            JSON,
        ),
        (
            "/sendsms/?recipients=%2B32494000000&message=Zo%EB",
            None,
            {"Authorization": "Bearer echo"},
        ),
        (
            "/sendsms/",
            b"recipients=%2B32494000000&message=Zo%EB",
            FORM | {"Authorization": "bearer  echo"},
        ),
        ("/sendsms/?apikey=code-50&message=other", FORM_BODY, FORM),
        ("/sendsms/?apikey=echo&recipients=0", b"message=Zo%EB&recipients=%2B32494000000", FORM),
        (
            "/sendsms/",
            FORM_BODY.replace(b"%C3%AB", b"%EB"),
            {"Content-Type": "application/x-www-form-urlencoded; charset=ISO-8859-1"},
        ),
        (f"/sendsms/?{FORM_BODY.decode()}", None, {"Authorization": "Bearer code-50"}),
        (f"/sendsms/?{FORM_BODY.decode()}", None, {"Authorization": "Basic dXNlcjpwYXNz"}),
    ],
)
def test_every_form_of_a_request_says_the_same(server, target, body, headers):
    answer = ask(server, target, body, headers=headers)
    expected = {"recipients": "+32494000000", "message": "Zoë", "idempotency key": ""}
    assert given(answer) == expected


def test_what_did_not_come_is_empty(server):
    assert given(ask(server, "/sendsms/?apikey=echo"))["recipients"] == ""
    assert ask(server, "/sendsms/").error == Code.KEY_MISSING
    assert ask(server, "/sendsms/", b"").error == Code.KEY_MISSING


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_only_get_and_post_send(server, method):
    target = query(recipients="1", message="m", apikey="good")
    before = ask(server, target).result["id"]
    answer = ask(server, target, method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, POST"
    if method == "HEAD":
        assert answer.body == b""
    else:
        assert answer.error == Code.NOT_SENT
    # The backend counts what it is given.
    assert int(ask(server, target).result["id"], 16) == int(before, 16) + 1


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"[1]", JSON, 400),
        (b'{"message": 1.5}', JSON, 400),
        (b'{"message": true}', JSON, 400),
        (b'{"recipients": "1", "message": "m", "apikey": "good"}', FORM, 400),
        (b'\n {"recipients": "1", "message": "a&recipients=2", "apikey": "good"}', {}, 400),
        (b'[{"recipients": "1"}]', FORM, 400),
        (b'\xef\xbb\xbf{"recipients": "1"}', {"Content-Type": "text/plain"}, 400),
        (b"--x\r\n", {"Content-Type": "multipart/form-data; boundary=x"}, 400),
        (b"a=1&" * 100, FORM, 400),
        (b"<sendsms/>", {"Content-Type": "text/xml"}, 415),
        (b"\x1f\x8b", FORM | {"Content-Encoding": "gzip"}, 415),
        (b"message=x", {"Content-Type": "text/plain; charset=klingon"}, 415),
        (b"x" * (MAX_BODY + 1), FORM, 413),
        (b"x" * (MAX_BODY * 4), FORM, 413),
    ],
)
@pytest.mark.parametrize("form", ["xml", "json"])
def test_a_request_that_cannot_be_read_sends_nothing_and_is_told_why(
    server, body, headers, status, form
):
    answer = ask(server, f"/sendsms/?format={form}&apikey=good", body, headers=headers)
    assert answer.status == status
    assert answer.error == Code.NOT_SENT
    assert answer.result["sent"] == "0"
    assert answer.result["note"] not in ("", Code.NOT_SENT.sentence)


@pytest.mark.parametrize(
    ("target", "body", "headers", "names"),
    [
        ("/sendsms/?recipients=1&mesage=Hello&apikey=echo", None, {}, "mesage"),
        ("/sendsms/?to=1&text=Hello&apikey=echo", None, {}, "to, text"),
        ("/sendsms/", b"recipients=1&message=m&api_key=good", FORM, "api_key"),
        ("/sendsms/", b'{"to": ["1"], "text": 5, "apikey": "echo"}', JSON, "to, text"),
        ("/sendsms/?apikey=code-200&ID=5&Id=6", None, {}, "ID, Id"),
        ("/sendsms/?a=1&b=1&c=1&d=1&apikey=echo", None, {}, "a, b, c"),
    ],
)
def test_a_name_that_nobody_knows_is_named(server, target, body, headers, names):
    note = ask(server, target, body, headers=headers).result["note"]
    assert note.endswith(f" (not known here: {names})")


@pytest.mark.parametrize(
    "query",
    [
        # Pieces of a text whose & was not escaped, keys, numbers, and what is no name.
        "message=Tom&Jerry&apikey=echo",
        "recipients=1&message=m&apikey=echo&5ec2e7c0ffee5ec2e7c0ffee=x",
        "recipients=1&apikey=echo&+32494123456=x",
        "recipients=1&apikey=echo&32494123456=x",
        "recipients=1&apikey=echo&a%20b=x&%3Cb%3E=x&%0A=x&%C3%A9=x&a.b=x",
        f"recipients=1&apikey=echo&{'a' * 21}=x",
        "recipients=1&apikey=echo&format=xml&after=1&before=2",
    ],
)
def test_what_may_be_something_else_than_a_name_is_not_named(server, query):
    assert "not known" not in ask(server, f"/sendsms/?{query}").result["note"]


def test_names_that_nobody_knows_do_no_harm_to_what_is_right(server):
    for extra in ("mesage=x", "utm_source=x", "_=1"):
        answer = ask(server, f"/sendsms/?{extra}&recipients=1&message=m&apikey=good")
        assert answer.error == Code.SENT
        assert ask(server, f"/sendsms/?{extra}&apikey=code-50").result["note"] == (
            Code.KEY_WRONG.sentence
        )


@pytest.mark.parametrize("space", ["%20", "+", "%09", "%0D%0A", "%0A", "%C2%A0"])
def test_white_space_around_a_key_is_nothing(server, space):
    for key in (f"echo{space}", f"{space}echo", f"{space}echo{space}"):
        target = f"/sendsms/?recipients=1&message=m&apikey={key}"
        assert given(ask(server, target))["message"] == "m"
    body = json.dumps({"recipients": "1", "message": "m", "apikey": " echo\r\n"}).encode()
    assert given(ask(server, "/sendsms/", body, headers=JSON))["message"] == "m"
    assert ask(server, f"/sendsms/?apikey={space}").error == Code.KEY_MISSING
    bearer = {"Authorization": "Bearer  echo "}
    assert given(ask(server, f"/sendsms/?apikey={space}&message=m", headers=bearer))
    (sent,) = ask_many(server, {**CALL, "apikey": "\tgood\n"})
    assert sent["error"] == 0


def test_a_message_that_is_a_number_in_json_is_a_text(server):
    body = b'{"recipients": 32494000000, "message": 1234, "apikey": "echo"}'
    sent = given(ask(server, "/sendsms/", body, headers=JSON))
    assert (sent["recipients"], sent["message"]) == ("32494000000", "1234")


@pytest.mark.parametrize("headers", [FORM, {}, {"Content-Type": "text/plain"}])
def test_json_that_does_not_say_so_is_told_how_to(server, headers):
    body = b'{"recipients": "1", "message": "m", "apikey": "good"}'
    note = ask(server, "/sendsms/", body, headers=headers).result["note"]
    assert "Content-Type: application/json" in note


@pytest.mark.parametrize(
    "body", [b"{message=x&apikey=echo", b"[]=1&apikey=echo", b"{}&apikey=echo"]
)
def test_a_form_may_begin_like_json(server, body):
    assert given(ask(server, "/sendsms/", body, headers=FORM))["recipients"] == ""


def test_a_byte_order_mark_before_a_body_is_nothing(server):
    for body, kind in (
        (b"message=m&recipients=1&apikey=echo", FORM),
        (b'{"message": "m", "recipients": "1", "apikey": "echo"}', JSON),
    ):
        sent = given(ask(server, "/sendsms/", b"\xef\xbb\xbf" + body, headers=kind))
        assert sent["message"] == "m"


def test_the_largest_body_is_read(server):
    body = b"apikey=echo&message=" + b"x" * (MAX_BODY - 20)
    assert len(body) == MAX_BODY
    answer = ask(server, "/sendsms/", body, headers=FORM)
    assert len(given(answer)["message"]) == MAX_BODY - 20


def test_a_body_in_chunks_is_read_up_to_the_same_size(server):
    head = b"POST /sendsms/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
    small = chunked + b"7\r\napikey=\r\n4\r\necho\r\n0\r\n\r\n"
    assert b"<error>7</error>" in read_all(send_bytes(server, small))
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answer = read_all(send_bytes(server, chunked + chunk * 5 + b"0\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"<error>7</error>" in answer


def test_a_body_in_very_small_pieces_is_not_put_together(server):
    head = b"POST /sendsms/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    pieces = b"1\r\nx\r\n" * (MAX_PIECES + 1) + b"0\r\n\r\n"
    request = head + b"Transfer-Encoding: chunked\r\n\r\n" + pieces
    assert read_all(send_bytes(server, request)).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_waits_for_100_continue_gets_it(server):
    head = b"POST /sendsms/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 11\r\n"
    connection = send_bytes(server, head + b"Expect: 100-continue\r\n\r\n")
    assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
    connection.sendall(b"apikey=good")
    assert b"<error>0</error>" in read_all(connection)


def test_a_client_that_goes_away_in_the_middle_harms_nobody(server):
    head = b"POST /sendsms/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\napikey="
    connection = send_bytes(server, head)
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    assert ask(server, query(apikey="good")).error == Code.SENT


# Idempotency keys.


def test_a_repeat_with_the_same_key_gets_the_first_reply(server):
    headers = FORM | {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
    body = b"recipients=1&message=m&apikey=good"
    first = ask(server, "/sendsms/", body, headers=headers)
    assert ask(server, "/sendsms/", body, headers=headers).body == first.body
    assert ask(server, "/sendsms/", body, headers=FORM).result["id"] != first.result["id"]


def test_an_idempotency_key_may_have_255_visible_characters(server):
    key = "".join(chr(0x21 + number % 94) for number in range(255))
    answer = ask(server, "/sendsms/?apikey=echo", headers={"Idempotency-Key": key})
    assert given(answer)["idempotency key"] == key


@pytest.mark.parametrize("key", ["", "k" * 256, "two words", "clé"])
def test_any_other_idempotency_key_is_refused(server, key):
    answer = ask(server, "/sendsms/?apikey=good", headers={"Idempotency-Key": key.encode()})
    assert answer.error == Code.NOT_SENT
    assert "Idempotency-Key" in answer.result["note"]


# Many calls in one request.

CALLS = {"Content-Type": "application/vnd.sendsmsnow.calls+json"}
CALL: dict[str, Any] = {"recipients": "1,2", "message": "m", "apikey": "good"}


def ask_many(server: Server, *calls: object, **headers: str) -> list[dict[str, object]]:
    answer = ask(server, "/sendsms/", json.dumps(calls).encode(), headers=CALLS | headers)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return json.loads(answer.body)


def test_the_answer_to_a_post_says_that_many_calls_may_be_posted(server):
    for apikey in (b"good", b"busy", b"code-50"):
        answer = ask(server, "/sendsms", b"apikey=" + apikey, headers=FORM)
        assert CALLS["Content-Type"] in answer.headers["accept-post"].split(", ")
    for target in ("/resendsms/", "/getsms/", "/status/", "/deletesms/"):
        assert "accept-post" not in ask(server, target, b"apikey=good", headers=FORM).headers


def test_each_call_has_its_reply_in_its_place(server):
    first, busy, keyless, refused, fails, last = ask_many(
        server,
        CALL,
        CALL | {"apikey": "busy"},
        {},
        CALL | {"apikey": "code-100"},
        CALL | {"apikey": "fails"},
        CALL | {"recipients": [32494000000], "more": {"not": "read"}},
    )
    assert first == {"error": 0, "sent": 2, "id": first["id"]}
    assert last == {"error": 0, "sent": 1, "id": last["id"]}
    assert first["id"] != last["id"]
    failed = {"sent": 0, "id": ""}
    assert busy == failed | {"error": 30, "note": Code.INTERNAL.sentence, "retry_after": 7}
    assert keyless == failed | {"error": 60, "note": Code.KEY_MISSING.sentence}
    assert refused == failed | {"error": 100, "note": Code.TOO_FAST.sentence}
    assert fails["error"] == 30
    assert "incident" in str(fails["note"])


def test_a_list_of_calls_may_be_empty_and_its_type_may_have_parameters(server):
    assert ask_many(server) == []
    kind = "Application/VND.sendsmsnow.calls+json; charset=utf-8"
    answer = ask(server, "/sendsms/", json.dumps([CALL]).encode(), headers={"Content-Type": kind})
    assert [reply["error"] for reply in json.loads(answer.body)] == [0]


def test_a_call_has_all_that_it_needs_within_itself(server):
    headers = CALLS | {"Authorization": "Bearer good", "Idempotency-Key": "k"}
    body = json.dumps([{"message": "m"}] * 2).encode()
    answer = ask(server, "/sendsms/?apikey=good", body, headers=headers)
    assert [reply["error"] for reply in json.loads(answer.body)] == [60, 60]


def test_calls_repeat_by_their_own_keys(server):
    calls = [CALL | {"idempotency_key": key} for key in ("of-many-1", "of-many-2")]
    first, second = ask_many(server, *calls)
    assert first["id"] != second["id"]
    assert ask_many(server, calls[1], calls[0]) == [second, first]
    alone = FORM | {"Idempotency-Key": "of-many-1"}
    body = b"recipients=1,2&message=m&apikey=good"
    assert ask(server, "/sendsms/", body, headers=alone).result["id"] == first["id"]


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (None, "call"),
        ([CALL], "call"),
        ("apikey=good", "call"),
        (CALL | {"message": 7.5}, "message"),
        (CALL | {"apikey": ["good"]}, "apikey"),
        (CALL | {"recipients": [["1"]]}, "recipients"),
        (CALL | {"recipients": ["1"] * 65}, "recipients"),
        *((CALL | {"idempotency_key": key}, "Key") for key in ("", None, 7, "a b", "é", "k" * 256)),
    ],
)
def test_a_call_that_cannot_be_read_is_refused_by_itself(server, wrong, word):
    first, refused, last = ask_many(server, CALL, wrong, CALL)
    assert (first["error"], refused["error"], last["error"]) == (0, 7, 0)
    assert word in str(refused["note"])


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{}", {}, 400),
        (b'{"calls": []}', {}, 400),
        (b"[", {}, 400),
        (b"[" * 30_000, {}, 400),
        (json.dumps([CALL] * 101).encode(), {}, 400),
        (json.dumps([CALL]).encode(), {"Content-Encoding": "gzip"}, 415),
        (json.dumps([CALL | {"message": "x" * MAX_BODY}]).encode(), {}, 413),
    ],
)
def test_calls_that_are_no_list_or_too_many_are_refused_together(server, body, headers, status):
    answer = ask(server, "/sendsms/", body, headers=CALLS | headers)
    assert (answer.status, answer.error) == (status, Code.NOT_SENT)


def test_many_calls_are_for_one_path_only(server):
    for target in ("/resendsms/", "/deletesms/"):
        answer = ask(server, target, json.dumps([CALL]).encode(), headers=CALLS)
        assert (answer.status, answer.error) == (400, Code.NOT_SENT)


# Other addresses.


def test_what_programs_find_nowhere_is_a_reply_with_code_7(server):
    for accept in ("*/*", "text/xml", "application/json"):
        answer = ask(server, "/sendSms/", headers={"Accept": accept})
        assert answer.status == 404
        assert answer.error == Code.NOT_SENT
        assert ("json" in answer.headers["content-type"]) == ("json" in accept)


@pytest.mark.parametrize(
    "target", ["/<script>", "/static/nothing.css", "/static/../app.py", "/static/%2e%2e/app.py"]
)
def test_what_people_find_nowhere_is_a_short_page(server, target):
    answer = ask(server, target, headers={"Accept": "text/html,*/*;q=0.8"})
    assert answer.status == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert b"Not Found" in answer.body
    assert b"<script>" not in answer.body


def test_health_is_told_in_plain_text(server):
    for target, text in (("/healthz", b"alive\n"), ("/readyz/", b"ready\n")):
        answer = ask(server, target)
        assert (answer.status, answer.body) == (200, text)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        head = ask(server, target, method="HEAD")
        assert (head.status, head.body) == (200, b"")
        refused = ask(server, target, b"", headers={"Accept": "application/json"})
        assert refused.status == 405
        assert "GET" in refused.headers["allow"]
        assert refused.error == Code.NOT_SENT


@pytest.mark.parametrize("path", ["/sendsms/soap", "/sendsms/wsdl/sendSmsNow.wsdl"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT"])
def test_the_paths_of_soap_are_soaps_for_every_method(server, path, slash, method):
    answer = ask(server, path + slash, method=method, body=b"" if method != "GET" else None)
    assert answer.status == 200
    assert answer.body == (b"" if method == "HEAD" else f"{method} {path}{slash}".encode())


def test_soap_that_fails_unforeseen_is_code_30(server):
    answer = ask(server, "/sendsms/soap/?fails")
    assert answer.status == 500
    assert answer.error == Code.INTERNAL
    assert "an envelope with a key in it" not in server.stderr()


def test_a_request_in_absolute_form_is_understood(server):
    assert ask(server, "http://sms.example.org/sendsms/?apikey=good").error == Code.SENT
    assert ask(server, "http://sms.example.org/sendsms/soap").body.startswith(b"GET /sendsms/soap")
    assert ask(server, "http://sms.example.org").status == 200
    assert ask(server, "http://sms.example.org/nowhere").status == 404


# What is left behind.


def test_neither_key_nor_number_nor_text_is_in_any_line(server):
    fields = {"recipients": "+32494987654", "message": "TopSecretText", "apikey": "TopSecretKey"}
    form = urlencode(fields)
    secrets = ["32494987654", "TopSecretText", "TopSecretKey"]
    bearer = {"Authorization": "Bearer TopSecretKey", "Referer": f"http://x/?{form}"}
    requests = [
        (f"/sendsms/?{form}", None, {}),
        (f"/sendsms/?{form}", None, bearer),
        (f"/sendsms/?{form}&apikey=fails", None, {}),
        (f"/sendsms/?{form}&apikey=echo+TopSecretKey", None, {}),
        (f"/sendsms/soap/?{form}", None, bearer),
        (f"/sendsms/test/?{form}", None, bearer),
        (f"/nowhere/?{form}", None, bearer),
        ("/sendsms/", form.encode(), FORM),
        ("/sendsms/", f"{form}&apikey=fails".encode(), FORM),
        ("/sendsms/", json.dumps(fields).encode(), JSON),
        ("/sendsms/", json.dumps(fields | {"apikey": "fails"}).encode(), JSON),
        ("/sendsms/", json.dumps(fields).encode()[:-1], JSON),
        ("/sendsms/test/", form.encode(), FORM),
        ("/sendsms/test/", f"{form}&apikey=fails".encode(), FORM),
    ]
    before = server.stderr().count("RuntimeError from ValueError")
    for target, body, headers in requests:
        ask(server, target, body, headers=headers)
    for bad in (b"GET /?apikey=TopSecretKey\x01 HTTP/1.1\r\n\r\n", b"TopSecretText\r\n\r\n"):
        read_all(send_bytes(server, bad))
    written = server.stderr()
    assert written.count("RuntimeError from ValueError") == before + 3
    assert [secret for secret in secrets if secret in written] == []
