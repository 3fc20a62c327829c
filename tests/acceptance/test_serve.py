"""`sendsmsnow serve` and its parts, as they are run: processes, sockets, signals."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from support import command
from support.command import Running, alive, eventually, run, running

from soap_client import SmsClient

TO = "0032494000000"


def fetch(url: str, tls: ssl.SSLContext | None = None) -> str:
    with urllib.request.urlopen(url, timeout=60, context=tls) as answer:
        return str(answer.read(), "utf-8")


def send(url: str, key: str, message: str = "Hello") -> dict[str, object]:
    """Send by the HTTP API; the result."""
    query = urlencode({"recipients": TO, "message": message, "apikey": key, "format": "json"})
    result: dict[str, object] = json.loads(fetch(f"{url}/sendsms/?{query}"))["result"]
    return result


def delivered(settings: dict[str, str], result: dict[str, object]) -> bool:
    """Whether a message is delivered by now."""
    return "  delivered\n" in run("message", "show", str(result["id"]), **settings).stdout


class Gateway:
    """A gateway that is served, with a key that may do everything."""

    def __init__(self, serve: Running, settings: dict[str, str]) -> None:
        self.serve = serve
        self.settings = settings
        self.url = serve.url()
        self.key = self.new_key("all")

    def new_key(self, name: str) -> str:
        made = run("key", "create", name, "--multi", "--rate", "none", **self.settings)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = dict(command.database(tmp_path_factory.mktemp("gateway")))
    # On a busy machine a disk may stand still for a while, which is not what is tested here.
    settings["backend_timeout"] = "60s"
    with running("serve", "--bind", "127.0.0.1:0", **settings) as serve:
        yield Gateway(serve, settings)


def test_a_message_goes_all_the_way_and_its_steps_are_shown(gateway: Gateway) -> None:
    result = send(gateway.url, gateway.key)
    assert (result["error"], result["sent"]) == (0, 1)

    def shown() -> str:
        return run("message", "show", str(result["id"]), **gateway.settings).stdout

    eventually(lambda: f"{result['id']}  delivered\n" in shown())
    lines = shown().splitlines()
    assert re.fullmatch(r"accepted \S+ \S+Z from all: 1 part, gsm7", lines[1])
    assert lines[3] == "to +32494000000 by default: delivered"
    time = r"  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z +\+\d+\.\d{3} s  "
    assert re.fullmatch(time + "accepted", lines[4])
    assert re.fullmatch(time + "claimed +default", lines[5])
    assert re.fullmatch(time + "part 1 submitted +[0-9a-f]+", lines[6])
    assert re.fullmatch(time + "part 1 receipt +delivered err 000", lines[7])


def test_send_goes_by_soap_to_the_gateway_of_the_settings(gateway: Gateway) -> None:
    settings = gateway.settings | {"public_url": gateway.url}
    sent = run("send", f"{TO},0033612345678", "Hello", "--apikey", gateway.key, **settings)
    assert re.fullmatch(r"error=0 sent=2 id=[0-9a-f]{32}\n", sent.stdout)
    assert (sent.returncode, sent.stderr) == (0, "")


def test_send_goes_where_the_wsdl_says(gateway: Gateway) -> None:
    wsdl = f"{gateway.url}/sendsms/wsdl/sendSmsNow.wsdl"
    sent = run("send", TO, "Hello", "--apikey", gateway.key, "--wsdl", wsdl)
    assert sent.stdout.startswith("error=0 sent=1 id=")
    refused = run("send", TO, "Hello", "--apikey", "wrong", "--wsdl", wsdl)
    assert (refused.returncode, refused.stdout) == (1, "error=50 sent=0 id=\n")
    soap = f"{gateway.url}/sendsms/soap/"
    assert refused.stderr == f"sendsmsnow: 50: API key is not correct; tried {soap}\n"
    refused = run("send", "12", "Hello", "--apikey", gateway.key, "--wsdl", wsdl)
    assert (refused.returncode, refused.stdout) == (1, "error=7 sent=0 id=\n")
    by_http = fetch(f"{gateway.url}/sendsms/?apikey={gateway.key}&recipients=12&message=Hello")
    (reason,) = re.findall("<note>(.*)</note>", by_http)
    assert reason
    assert refused.stderr == f"sendsmsnow: 7: The message is not sent ({reason}); tried {soap}\n"


def test_the_soap_face_alone_delegates_to_a_remote_gateway(gateway: Gateway) -> None:
    arguments = ["soap", "--backend", f"{gateway.url}/sendsms/", "--bind", "127.0.0.1:0"]
    with running(*arguments, backend_timeout="60s") as face:
        wsdl = f"{face.url()}/sendsms/soap/?wsdl"
        with SmsClient(gateway.key, wsdl=wsdl, timeout=90) as client:
            assert client.send(TO, "Hello").sent == 1, face.output()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetch(f"{face.url()}/sendsms/")
        assert face.stop() == 0, face.output()


def test_a_port_that_is_taken_is_told_in_one_line(gateway: Gateway, tmp_path: Path) -> None:
    address = urlsplit(gateway.url).netloc
    ended = run("serve", "--bind", address, **command.database(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"sendsmsnow: cannot listen on 127.0.0.1 port {address.partition(':')[2]} (bind): "
        "Address already in use"
    )


def test_the_port_for_mails_that_is_taken_is_told_by_the_name_of_its_setting(
    gateway: Gateway, tmp_path: Path
) -> None:
    address = urlsplit(gateway.url).netloc
    settings = {"mail_bind": address, "mail_domain": "sms.example.com"}
    run("migrate", **command.database(tmp_path))
    for arguments in (["serve", "--bind", "127.0.0.1:0"], ["mail"]):
        ended = run(*arguments, **command.database(tmp_path), **settings)
        assert ended.returncode == 1
        assert ended.stderr.splitlines()[-1] == (
            f"sendsmsnow: cannot listen on 127.0.0.1 port {address.partition(':')[2]} (mail_bind): "
            "Address already in use"
        )


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /sendsms/?apikey={key}&message=secret\x00 HTTP/1.1",
        "GET /sendsms/?apikey={key}&message=secret word HTTP/1.1",
        "POST /sendsms/?apikey={key}&message=secret HTTP/9.9",
        "GET /sendsms/?apikey={key}&message=secret" + "x" * 9000 + " HTTP/1.1",
        "GET /sendsms/?apikey={key}&message=secret HTTP/1.1\r\nTransfer-Encoding: {key}",
        "GET /sendsms/?apikey={key}&message=secret&recipients=0032494000000 HTTP/1.1",
    ],
)
def test_nothing_of_a_request_is_logged(gateway: Gateway, request_line: str) -> None:
    key = gateway.key
    host, port = urlsplit(gateway.url).hostname, urlsplit(gateway.url).port
    with socket.create_connection((host, port), timeout=60) as client:
        client.sendall(
            f"{request_line.format(key=key)}\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b""
        while received := client.recv(65536):
            answer += received
    assert answer.startswith(b"HTTP/1.1 ")
    assert b"Traceback" not in answer
    output = gateway.serve.output()
    assert key not in output
    assert "secret" not in output
    assert "32494000000" not in output


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Gateway]:
    settings = dict(command.database(tmp_path))
    with running("serve", "--bind", "127.0.0.1:0", **settings) as serve:
        yield Gateway(serve, settings)


def test_sigterm_stops_everything_cleanly(fresh: Gateway) -> None:
    send(fresh.url, fresh.key)
    family = fresh.serve.descendants()
    assert len(family) == 3  # web, its one process, worker
    assert fresh.serve.stop() == 0, fresh.serve.output()
    assert not any(map(alive, family))
    output = fresh.serve.output()
    assert "stopped  child=web status=0" in output
    assert "stopped  child=worker status=0" in output
    assert "ERROR" not in output


def test_a_stop_is_heard_by_processes_that_are_just_starting(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    environment = command.environment()
    environment["PYTHONPATH"] += f":{Path(command.__file__).parents[1]}"
    ended = subprocess.run(
        [sys.executable, "-m", "support.early_stop", str(journal)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    lines = journal.read_text().splitlines()
    assert lines.count("started") == lines.count("stopped") > 0


def test_nothing_is_left_running_when_the_supervisor_is_killed(fresh: Gateway) -> None:
    family = fresh.serve.descendants()
    fresh.serve.process.kill()
    fresh.serve.process.wait()
    eventually(lambda: not any(map(alive, family)), fresh.serve.output)


@pytest.mark.parametrize("name", ["web", "worker"])
def test_a_process_that_is_killed_is_replaced_and_nobody_is_refused(
    gateway: Gateway, name: str
) -> None:
    first = gateway.serve.child(name)
    family = [first, *command.descendants(first)]
    os.kill(first, signal.SIGKILL)
    eventually(lambda: not any(map(alive, family)))
    # The socket is still open, and the request waits for the next web process.
    result = send(gateway.url, gateway.key)
    assert result["error"] == 0
    gateway.serve.wait_for(rf"started  child={name}", 2)
    assert gateway.serve.child(name) != first
    eventually(lambda: delivered(gateway.settings, result), gateway.serve.output)


def test_the_parts_run_by_themselves_over_one_database(tmp_path: Path) -> None:
    settings = dict(command.database(tmp_path))
    assert run("migrate", **settings).returncode == 0
    with (
        running("web", "--bind", "127.0.0.1:0", **settings) as web,
        running("worker", **settings) as worker,
    ):
        key = run("key", "create", "acme", **settings).stdout.strip()
        result = send(web.url(), key)
        eventually(lambda: delivered(settings, result), worker.output)
        assert web.stop() == 0
        assert worker.stop(signal.SIGINT) == 0


def test_https_is_served_with_the_certificate_of_the_settings(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl += ["-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*openssl, "-days", "2", "-out", cert, "-keyout", key], check=True, capture_output=True
    )
    files = ["--certfile", str(cert), "--keyfile", str(key)]
    with running("serve", "--bind", "localhost:0", *files, **command.database(tmp_path)) as serve:
        url = serve.url()
        assert url.startswith("https://localhost:")
        trusted = ssl.create_default_context(cafile=cert)
        wsdl = fetch(f"{url}/sendsms/wsdl/sendSmsNow.wsdl", trusted)
        assert f'location="{url}/sendsms/soap/"' in wsdl
        # A process that is started when the file is gone must not serve plain HTTP.
        cert.unlink()
        (serving,) = command.descendants(serve.child("web"))
        os.kill(serving, signal.SIGKILL)
        eventually(lambda: command.descendants(serve.child("web")) not in ([], [serving]))
        assert fetch(f"{url}/healthz", trusted) == "alive\n"


def test_the_demo_sends_a_message_and_follows_it_to_its_delivery() -> None:
    ended = run("demo", "--once")
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"error=0 sent=1 id=[0-9a-f]{32}\n", ended.stdout)
    assert ended.stdout.endswith("delivered\n")
    assert ended.stderr == ""


def test_the_demo_serves_until_it_is_interrupted_and_its_curl_line_works() -> None:
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 8000))
            taken.listen()
        except OSError:
            pass  # somebody else has it, which does as well
        with running("demo") as demo:
            demo.wait_for("Serving until Ctrl-C")
            lines = demo.output().splitlines()
            addresses = dict(
                re.split(r"  +", line) for line in lines if re.search(r"  +http", line)
            )
            for name in ("WSDL", "Test page"):
                assert fetch(addresses[name])
            (line,) = [line.strip() for line in lines if line.startswith("  curl ")]
            curl = subprocess.run(line.split(), capture_output=True, text=True, check=True)
            assert "<error>0</error><sent>1</sent>" in curl.stdout
            family = demo.descendants()
            assert demo.stop(signal.SIGINT) == 0
            assert not any(map(alive, family))
