"""The proxies of the documents, as they are there, in front of the whole gateway."""

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import etree
from support import certificates, databases, running, stacks
from support.needs import lacking

import wsdl

# Its outcome does not hang on the version of Python.
pytestmark = pytest.mark.once

DOCS = Path(__file__).resolve().parents[2] / "docs" / "proxy"
NAME = "sms.example.com"
ENDPOINT = "/sendsms/soap/"

#: Each with the program, the arguments that run it in front with a configuration in a directory.
PROXIES = {
    "nginx": ("nginx.conf", ["-p", "{folder}", "-c", "{folder}/main.conf", "-g", "daemon off;"]),
    "caddy": ("caddy.conf", ["run", "--adapter", "caddyfile", "--config", "{folder}/main.conf"]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    port: int
    certificate: Path

    def connection(self) -> http.client.HTTPSConnection:
        """To the proxy, by a certificate that is checked."""
        context = ssl.create_default_context(cafile=self.certificate)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port)
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sock = context.wrap_socket(sock, server_hostname=NAME)
        return connection

    def ask(self, *request: Any, **headers: Any) -> tuple[http.client.HTTPResponse, bytes]:
        return asked(self.connection(), *request, **headers)


def asked(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    **headers: str,
) -> tuple[http.client.HTTPResponse, bytes]:
    """The answer to the one request on a connection, with its body."""
    with closing(connection):
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"Host": NAME, **given})
        response = connection.getresponse()
        return response, response.read()


def configuration(kind: str, folder: Path, port: int, backend: int) -> str:
    """The example, with addresses and files of the test's own and nothing else changed."""
    text = (DOCS / PROXIES[kind][0]).read_text("utf-8")
    certificate, key = certificates.self_signed(folder, NAME)
    changes = {
        "127.0.0.1:8000;" if kind == "nginx" else "127.0.0.1:8000 {": f"127.0.0.1:{backend}"
        + (";" if kind == "nginx" else " {"),
        "/etc/ssl/sms/fullchain.pem": str(certificate),
        "/etc/ssl/sms/privkey.pem": str(key),
    }
    if kind == "nginx":
        changes |= {
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            "/var/log/nginx/sms.log": str(folder / "access.log"),
        }
    else:
        changes |= {
            "sms.example.com {": f"{NAME}:{port} {{\n\tbind 127.0.0.1",
            "auto_https disable_redirects": "auto_https disable_redirects\n\tadmin off",
        }
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    if kind == "caddy":
        return text
    # The directory is closed to the user that nginx would take otherwise.
    user = "user root; " if os.getuid() == 0 else ""
    return (
        f"{user}pid {folder}/nginx.pid; error_log stderr; events {{}} http {{\n"
        f"client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"{text}}}"
    )


@contextmanager
def proxied(kind: str, folder: Path, backend: int) -> Iterator[Proxy]:
    """A running proxy in front of a port."""
    program = shutil.which(kind)
    if program is None:
        lacking(f"{kind} is not installed")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "main.conf").write_text(configuration(kind, folder, port, backend), "utf-8")
    words = [word.format(folder=folder) for word in PROXIES[kind][1]]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [program, *words], stdout=output, stderr=output, env={**os.environ, "HOME": str(folder)}
        )
    try:
        running.wait_for(lambda: process.poll() is not None or _listens(port), 60)
        assert process.poll() is None, (folder / "output").read_text()
        yield Proxy(port=port, certificate=folder / "cert.pem")
    finally:
        process.terminate()
        process.wait(60)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module", params=PROXIES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def proxy(
    kind: str, gateway: running.Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    with proxied(kind, tmp_path_factory.mktemp(kind), gateway.port) as started:
        yield started


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Running]:
    folder = tmp_path_factory.mktemp("gateway")
    database = databases.fresh_sqlite(folder)
    with running.serve(folder, database, public_url=f"https://{NAME}") as started:
        yield started


@pytest.fixture(scope="module")
def key(gateway: running.Running) -> str:
    return gateway.create_key("--multi", "--rate", "none", name="behind")


def envelope(key: str) -> bytes:
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        '<sendSms xmlns="urn:sendSmsNow"><recipients>+32494000000</recipients>'
        f"<message>Grüße</message><apikey>{key}</apikey></sendSms></s:Body></s:Envelope>"
    ).encode()


def test_the_wsdl_has_the_address_of_the_proxy_whatever_is_claimed(proxy: Proxy) -> None:
    forged = {
        "X_Forwarded_Host": "evil.example",
        "X_Forwarded_Proto": "http",
        "Forwarded": "host=x",
    }
    for path in ("/sendsms/wsdl/sendSmsNow.wsdl", f"{ENDPOINT}?wsdl", "/sendsms/soap?wsdl"):
        for headers in ({}, forged):
            response, body = proxy.ask("GET", path, **headers)
            assert (response.status, body) == (200, wsdl.document(f"https://{NAME}{ENDPOINT}"))
            response, body = proxy.ask("HEAD", path, **headers)
            assert (response.status, body) == (200, b"")
            assert int(response.headers["Content-Length"]) > 1000


@pytest.mark.parametrize("path", [ENDPOINT, ENDPOINT.rstrip("/"), "/sendsms/wsdl/sendSmsNow.wsdl"])
def test_a_message_is_sent_without_a_redirect(proxy: Proxy, key: str, path: str) -> None:
    response, body = proxy.ask("POST", path, envelope(key), Content_Type="text/xml; charset=utf-8")
    assert response.status == 200
    assert etree.fromstring(body).findtext(".//{*}error") == "0"


def test_a_message_is_sent_in_chunks_and_over_a_connection_that_is_kept(
    proxy: Proxy, key: str
) -> None:
    connection = proxy.connection()
    body = envelope(key)
    for content in (iter([body[:50], body[50:]]), body, iter([body])):
        connection.request("POST", ENDPOINT, content, {"Host": NAME, "Content-Type": "text/xml"})
        response = connection.getresponse()
        assert response.status == 200
        assert b"<error>0</error>" in response.read()
    connection.close()


def test_a_fault_keeps_its_status_and_its_form(proxy: Proxy) -> None:
    response, body = proxy.ask("POST", ENDPOINT, b"<", Content_Type="text/xml")
    assert response.status == 500
    assert etree.fromstring(body).findtext(".//faultcode") == "soap:Client"


@pytest.mark.parametrize("size", [300_000, 4_000_000])
def test_a_body_that_is_too_large_is_refused_in_the_terms_of_its_sender(
    proxy: Proxy, size: int
) -> None:
    response, body = proxy.ask("POST", ENDPOINT, b"x" * size, Content_Type="text/xml")
    assert response.status == 500
    assert etree.fromstring(body).findtext(".//faultstring") == "The request is too large"
    form = "application/x-www-form-urlencoded"
    response, body = proxy.ask("POST", "/sendsms/", b"message=" + b"x" * size, Content_Type=form)
    assert response.status == 413
    assert etree.fromstring(body).findtext("error") == "7"


def test_a_client_made_from_the_wsdl_goes_where_it_says(
    proxy: Proxy, key: str, tmp_path: Path
) -> None:
    # The name is not in any DNS; zeep is shown where it is, and TLS is checked for that name.
    hosts = tmp_path / "sitecustomize.py"
    hosts.write_text(
        "import socket\n"
        "real = socket.getaddrinfo\n"
        f"def resolved(host, port, *more, **named):\n"
        f"    if host == {NAME!r}:\n"
        f"        host, port = '127.0.0.1', {proxy.port}\n"
        "    return real(host, port, *more, **named)\n"
        "socket.getaddrinfo = resolved\n"
    )
    done = subprocess.run(
        [sys.executable, str(stacks.STACKS / "python-zeep" / "client.py"), "by WSDL"],
        env={
            **os.environ,
            "PYTHONPATH": str(tmp_path),
            "REQUESTS_CA_BUNDLE": str(proxy.certificate),
            "WSDL": f"https://{NAME}{ENDPOINT}?wsdl",
            "RECIPIENTS": "+32494000000",
            "MESSAGE": "Grüße",
            "APIKEY": key,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["0", "1"]


def test_what_a_client_says_of_itself_does_not_reach_the_gateway(kind: str, tmp_path: Path) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                heard.extend(takewhile(bytes.strip, lines))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        listening = threading.Thread(target=listen, daemon=True)
        listening.start()
        with proxied(kind, tmp_path, listener.getsockname()[1]) as proxy:
            forged = {"X_Forwarded_For": "203.0.113.9, 10.0.0.1", "Forwarded": "for=203.0.113.9"}
            response, _ = proxy.ask("GET", "/account/?apikey=n0b0dys", **forged)
            assert response.status == 200
        listening.join(60)
    head = b"".join(heard).lower()
    assert b"203.0.113.9" not in head
    assert b"\nx-forwarded-for: 127.0.0.1\r\n" in head
    for log in tmp_path.glob("*"):
        if log.is_file() and log.suffix != ".pem":
            assert "n0b0dys" not in log.read_text(errors="replace")


def guesses(ask: Callable[..., tuple[http.client.HTTPResponse, bytes]]) -> int:
    """How many wrong keys can be tried, each in the name of another network, before one is told
    to wait; 40 where nobody is."""
    for number in range(40):
        forged = f"203.0.{number}.9"
        claims = {"X_Forwarded_For": forged, "X_Real_IP": forged, "Forwarded": f"for={forged}"}
        page, body = ask("GET", "/account/", **claims)
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        token = etree.HTML(body).findall(".//input[@name='form_token']")[0].get("value")
        form = urlencode({"form_token": token, "apikey": "wrong"}).encode()
        content_type = "application/x-www-form-urlencoded"
        claims |= {"Cookie": cookie, "Content_Type": content_type}
        answer, _ = ask("POST", "/account/", form, **claims)
        if answer.status == 429:
            return number
        assert answer.status == 403
    return 40


def test_who_guesses_keys_is_not_taken_for_others_whatever_is_claimed(proxy: Proxy) -> None:
    assert guesses(proxy.ask) < 40


@pytest.mark.parametrize(("proxies", "believed"), [("192.0.2.1", False), ("127.0.0.1", True)])
def test_only_the_configured_proxies_are_believed(
    proxies: str, believed: bool, tmp_path: Path
) -> None:
    database = databases.fresh_sqlite(tmp_path)
    with running.serve(tmp_path, database, proxies=proxies) as direct:

        def ask(*request: Any, **headers: Any) -> tuple[http.client.HTTPResponse, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", direct.port, timeout=60)
            return asked(connection, *request, **headers)

        assert (guesses(ask) == 40) == believed


def test_a_push_comes_through_and_its_secret_is_not_in_the_log(kind: str, tmp_path: Path) -> None:
    secret = "AbCd-_09" * 4
    upstream = f"http://127.0.0.1:1/?apikey=k&push_secret={secret}"
    url = databases.fresh_sqlite(tmp_path)
    message = {"id": 1, "from": "+32494000000", "to": "+3228850000", "message": "Grüße"}
    body = json.dumps({"type": "message.received", "data": message}).encode()
    with (
        running.serve(tmp_path, url, public_url=f"https://{NAME}", upstream=upstream) as started,
        proxied(kind, tmp_path, started.port) as proxy,
    ):
        (address,) = started.run("upstream", "address", "default").split()
        assert address == f"https://{NAME}/upstream/default/{secret}"
        path = address.removeprefix(f"https://{NAME}")
        for asked_for, status in ((path, 200), (path + "x", 404)):
            answer, _ = proxy.ask("POST", asked_for, body, Content_Type="application/json")
            assert answer.status == status
        assert "+3228850000" in started.run("number", "unowned")
    logs = [file for file in tmp_path.iterdir() if file.suffix == ".log" or file.name == "output"]
    assert [file.name for file in logs if secret in file.read_text()] == []
    if kind == "nginx":
        assert '"POST /upstream/" 200' in (tmp_path / "access.log").read_text()
