"""By express the faces answer what they answer by the plain way, byte for byte."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.http import read_one, send_bytes
from support.serving import Server, serve

from sms_gateway.codes import Code
from sms_gateway.serving.http_server import WORKERS
from sms_gateway.web import express

SOAP11 = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    '<sendSms xmlns="urn:sendSmsNow"><recipients>32494000000</recipients>'
    "<message>%s</message><apikey>%s</apikey></sendSms></s:Body></s:Envelope>"
)
SOAP12 = SOAP11.replace(
    "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"
)
FORM = "application/x-www-form-urlencoded"


def get(target: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: a", *headers, "", ""]).encode()


def post(target: str, body: str | bytes, media_type: str, *headers: str) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    lines = [f"Content-Type: {media_type}", f"Content-Length: {len(content)}", *headers]
    return get(target, *lines).replace(b"GET", b"POST", 1) + content


SENDING = "recipients=32494000000&message=Hi&apikey="
REQUESTS = {
    "GET": get(f"/sendsms/?{SENDING}k"),
    "GET without slash": get(f"/sendsms?{SENDING}k"),
    "GET, JSON": get(f"/sendsms/?{SENDING}k&format=json"),
    "GET, JSON by Accept": get(f"/sendsms/?{SENDING}k", "Accept: application/json"),
    "GET, bearer": get(f"/sendsms/?{SENDING}", "Authorization: Bearer k"),
    "GET, an idempotency key": get(f"/sendsms/?{SENDING}k", "Idempotency-Key: abc"),
    "GET, a bad idempotency key": get(f"/sendsms/?{SENDING}k", "Idempotency-Key: a b"),
    "GET, nothing": get("/sendsms/"),
    "GET, an empty query": get("/sendsms/?"),
    "GET, a type": get(f"/sendsms/?{SENDING}k", "Content-Type: application/json"),
    "GET, too many parameters": get("/sendsms/?" + "a=b&" * 100 + "format=json"),
    "GET, busy": get(f"/sendsms/?{SENDING}busy"),
    "GET, odd": get(f"/sendsms/?{SENDING}odd"),
    "GET, failing": get(f"/sendsms/?{SENDING}fails"),
    "GET, failing, JSON": get(f"/sendsms/?{SENDING}fails&format=json"),
    "form": post("/sendsms/", f"{SENDING}k", FORM),
    "form without slash": post("/sendsms", f"{SENDING}k", FORM),
    "form, failing": post("/sendsms/", f"{SENDING}fails", FORM),
    "form and query": post("/sendsms/?apikey=k", SENDING.replace("&apikey=", ""), FORM),
    "form in Latin 1": post("/sendsms/", b"message=\xe9&apikey=k", f"{FORM}; charset=latin1"),
    "form, no charset": post("/sendsms/", f"{SENDING}k", f"{FORM}; charset=nowhere"),
    "form, packed": post("/sendsms/", f"{SENDING}k", FORM, "Content-Encoding: gzip"),
    "form, empty": post("/sendsms/", "", FORM),
    "no type that is known": post("/sendsms/", "<a/>", "text/xml"),
    "JSON": post("/sendsms/", '{"message": "Hi", "apikey": "k"}', "application/json"),
    "no JSON": post("/sendsms/", '{"message": "Hi"', "application/json"),
    "multipart": post(
        "/sendsms/",
        '--b\r\nContent-Disposition: form-data; name="apikey"\r\n\r\nk\r\n--b--\r\n',
        "multipart/form-data; boundary=b",
    ),
    "resend": get("/resendsms/?apikey=k&id=x"),
    "inbox": get("/getsms/?apikey=k&limit=2"),
    "status": get("/status/?apikey=k&id=0190a7b2c3d47e5f8a9b0c1d2e3f4a5b"),
    "status, JSON": get("/status?apikey=k&id=0190a7b2c3d47e5f8a9b0c1d2e3f4a5b&format=json"),
    "deletion by GET": get("/deletesms/?apikey=k"),
    "deletion of what is not known": post("/deletesms/", "apikey=k&what=all", FORM),
    "SOAP 1.1": post("/sendsms/soap/", SOAP11 % ("Hi", "k"), "text/xml; charset=utf-8"),
    "SOAP 1.1 without slash": post("/sendsms/soap", SOAP11 % ("Hi", "k"), "text/xml"),
    "SOAP 1.2": post("/sendsms/soap/", SOAP12 % ("Hi", "k"), "application/soap+xml"),
    "SOAP, busy": post("/sendsms/soap/", SOAP11 % ("Hi", "busy"), "text/xml"),
    "SOAP, odd": post("/sendsms/soap/", SOAP11 % ("Hi", "odd"), "text/xml"),
    "SOAP, failing": post("/sendsms/soap/", SOAP11 % ("Hi", "fails"), "text/xml"),
    "SOAP, a CDATA section": post("/sendsms/soap/", SOAP11 % ("<![CDATA[<Hi>]]>", "k"), "text/xml"),
    "SOAP, no envelope": post("/sendsms/soap/", "<a/>", "text/xml"),
    "SOAP, no XML": post("/sendsms/soap/", "Hi", "text/xml"),
    "SOAP, empty": post("/sendsms/soap/", "", "text/xml"),
    "SOAP, a form": post("/sendsms/soap/", f"{SENDING}k", FORM),
    "WSDL": get("/sendsms/soap/?wsdl"),
    **{f"code {code:d}": get(f"/sendsms/?{SENDING}code-{code:d}") for code in Code},
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                serve(f"hostile.faces:application({str(journal)!r}, 10)", worker=worker)
            )
            for worker in WORKERS
            for journal in [Path(tmp_path_factory.mktemp(worker), "calls")]
        ]


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_an_answer_is_the_same_by_both_ways(servers, request_):
    express_answer, plain = (answer(server, request_) for server in servers)
    assert express_answer == plain


def answer(server: Server, request_: bytes) -> bytes:
    """All of an answer, without what is of its moment."""
    assert express.read(request_), "this would take the plain way on both"
    with send_bytes(server, request_) as connection:
        head, body = read_one(connection)
    head = re.sub(rb"\r\nDate: [^\r]+ GMT\r\n", b"\r\nDate: now\r\n", head)
    return head + re.sub(rb"incident [0-9a-f]{8}", b"incident", body)
