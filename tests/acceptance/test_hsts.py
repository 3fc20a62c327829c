"""Browsers are told to come by HTTPS, when they did and never otherwise."""

import http.client
import ssl
from pathlib import Path

import pytest
from support import databases
from support.certificates import self_signed
from support.running import serve
from support.serving import serve as serve_app
from support.whole_gateway import settings_file

NAME = "strict-transport-security"
PATHS = ("/", "/account/", "/apikey/", "/nothing/here", "/static/0/none", "/healthz")


def told(connection: http.client.HTTPConnection, path: str, **headers: str) -> list[str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", path, headers=named)
    response = connection.getresponse()
    response.read()
    return [value for name, value in response.getheaders() if name.lower() == NAME]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("", ["max-age=2592000"]), ("365", ["max-age=31536000"]), ("0", ["max-age=0"]), ("none", [])],
)
def test_a_proxy_that_is_believed_says_it_was_https(
    tmp_path: Path, setting: str, expected: list[str]
) -> None:
    with serve(tmp_path, databases.fresh_sqlite(tmp_path), hsts_max_age=setting) as gateway:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
        for path in PATHS:
            assert told(connection, path, X_Forwarded_Proto="https") == expected, path
            assert told(connection, path, X_Forwarded_Proto="http") == [], path
            assert told(connection, path) == [], path
        # What programs call; and where a part of the way was not HTTPS.
        assert told(connection, "/sendsms/", X_Forwarded_Proto="https") == []
        assert told(connection, "/", X_Forwarded_Proto="https, http") == []
        assert told(connection, "/", X_Forwarded_Proto="http,https") == []
        assert told(connection, "/", X_Forwarded_Proto="HTTPS , https") == expected
        connection.close()


def test_nobody_else_is_believed(tmp_path: Path) -> None:
    with serve(tmp_path, databases.fresh_sqlite(tmp_path), proxies="192.0.2.1") as gateway:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
        assert told(connection, "/", X_Forwarded_Proto="https") == []
        connection.close()


def test_by_tls_it_is_always_said(tmp_path: Path) -> None:
    cert, key = self_signed(tmp_path, "localhost")
    settings = settings_file(tmp_path, databases.fresh_sqlite(tmp_path))
    own = f'certfile = "{cert}"\nkeyfile = "{key}"\n'
    settings.write_text(own + settings.read_text())
    app = f"support.whole_gateway:application('{settings}')"
    with serve_app(app, certfile=str(cert), keyfile=str(key)) as server:
        context = ssl.create_default_context(cafile=str(cert))
        context.check_hostname = False
        connection = http.client.HTTPSConnection(
            "127.0.0.1", server.port, timeout=60, context=context
        )
        for path in PATHS:
            assert told(connection, path) == ["max-age=2592000"], path
        assert told(connection, "/", X_Forwarded_Proto="http") == ["max-age=2592000"]
        connection.close()
