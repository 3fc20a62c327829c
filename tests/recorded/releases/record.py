"""Records a release: a filled database, and what its HTTP API answered.

To be run once for each version, with the version that is installed, and its folder committed:

    python tests/recorded/releases/record.py

tests/contract/test_releases.py holds every later version to it.
"""

import http.client
import json
import sys
import tempfile
import time
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import MetaData, create_engine, text

sys.path.insert(0, str(Path(__file__).parents[2]))
from support.releases import SETTINGS
from support.running import Running, serve, wait_for

import sms_gateway

FOLDER = Path(__file__).parent / sms_gateway.__version__

_SOAP = """<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">\
<s:Body><u:sendSms xmlns:u="urn:sendSmsNow">\
<u:recipients>{recipients}</u:recipients><u:message>Hello</u:message>\
<u:apikey>{apikey}</u:apikey></u:sendSms></s:Body></s:Envelope>"""


class Recorder:
    """Calls a gateway and keeps what was said, keys and ids under the names they were given."""

    def __init__(self, gateway: Running, names: dict[str, str]) -> None:
        self._port = gateway.port
        self._names = names
        self.said: list[dict[str, Any]] = []

    def call(
        self, path: str, *, post: bool = False, headers: dict[str, str] | None = None, **fields: str
    ) -> str:
        """One call by GET, or POST of a form; the id it answered."""
        query = urlencode({name: self._real(value) for name, value in fields.items()})
        target, body = (path, query) if post else (f"{path}?{query}", "")
        form = {"Content-Type": "application/x-www-form-urlencoded"} if post else {}
        status, kind, answer = self._ask(
            "POST" if post else "GET", target, body, form | (headers or {})
        )
        self._keep(path, post, headers or {}, fields, "", status, kind, answer)
        return _id(answer)

    def soap(self, **fields: str) -> None:
        """One call of sendSms by SOAP 1.1."""
        headers = {
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": '"urn:sendSmsNow#sendSms"',
        }
        body = _SOAP.format(**fields)
        status, kind, answer = self._ask("POST", "/sendsms/soap/", self._real(body), headers)
        self._keep("/sendsms/soap/", True, headers, {}, body, status, kind, answer)

    def _ask(
        self, method: str, target: str, body: str, headers: dict[str, str]
    ) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.request(method, target, body.encode() or None, headers)
        response = connection.getresponse()
        answer = response.read().decode()
        connection.close()
        return response.status, response.headers["Content-Type"], answer

    def _keep(
        self,
        path: str,
        post: bool,
        headers: dict[str, str],
        fields: dict[str, str],
        body: str,
        status: int,
        kind: str,
        answer: str,
    ) -> None:
        asked = {"path": path, "post": post, "headers": headers, "fields": fields, "body": body}
        self.said.append(asked | {"status": status, "type": kind, "answer": self._named(answer)})

    def name(self, value: str, name: str) -> str:
        """From now on `value` is written as `$name`; it is something else each time."""
        self._names[name] = value
        return f"${name}"

    def _real(self, written: str) -> str:
        return Template(written).substitute(self._names)

    def _named(self, answer: str) -> str:
        for name, value in self._names.items():
            answer = answer.replace(value, f"${name}")
        return answer


def _id(answer: str) -> str:
    if answer.startswith("{"):
        return str(json.loads(answer)["result"].get("id", ""))
    return answer.partition("<id>")[2].partition("</id>")[0]


def converse(gateway: Running, recorder: Recorder) -> None:
    """What callers say to an HTTP API: each operation and reply code, both formats."""
    say = recorder.call
    json_too = {"headers": {"Accept": "application/json"}}
    belgian = {"recipients": "0032494000000", "message": "Hello", "apikey": "$key"}
    first = recorder.name(say("/sendsms/", **belgian), "first")
    recorder.name(say("/sendsms", post=True, **belgian, **json_too), "second")
    recorder.name(say("/sendsms/", format="json", **belgian), "third")
    say("/sendsms/", recipients="32494000001;32494000002", message="Hello", apikey="$key")
    say("/sendsms/", recipients="32494000000", message="Hello")  # 60
    say("/sendsms/", recipients="32494000000", message="Hello", apikey="wrong")  # 50
    say("/sendsms/", recipients="32494000000", message="Hello", apikey="$disabled")  # 40
    for refused in (
        {"recipients": "", "message": "Hello"},
        {"recipients": "12", "message": "Hello"},
        {"recipients": "32494000000", "message": ""},
        {"recipients": "32494000000", "message": "x" * 2_000},
        {"recipients": ",".join(f"3249400000{n}" for n in range(5)), "message": "Hello"},  # 70
        {"recipients": "33612345678", "message": "Hello"},  # 99
    ):
        say("/sendsms/", apikey="$key", **refused)
        say("/sendsms/", post=True, **json_too, apikey="$key", **refused)
    several = "32494000001,32494000002"
    say("/sendsms/", recipients=several, message="Hello", apikey="$single")  # 80
    say("/sendsms/", recipients="32494000000", message="Hello", apikey="$single")
    say("/sendsms/", recipients="32494000000", message="Hello", apikey="$single")  # 100
    repeat = {"headers": {"Idempotency-Key": "one"}, **belgian}
    recorder.name(say("/sendsms/", **repeat), "repeated")
    say("/sendsms/", **repeat)
    say("/sendsms/", **(repeat | {"message": "Another"}))
    recorder.soap(recipients="0032494000000", apikey="$key")
    recorder.soap(recipients="0032494000000", apikey="wrong")
    for path in ("/resendsms/", "/status/"):
        say(path, apikey="$key")  # 200
        say(path, apikey="$key", id="0" * 32)  # 201
        say(path, id=first)  # 60
    wait_for(lambda: "delivered" in gateway.run("message", "show", recorder._names["first"]), 60)
    say("/resendsms/", apikey="$key", id=first)  # 202
    say("/getsms/", apikey="$key")
    say("/getsms/", **json_too, apikey="$key", after="0", limit="1")
    say("/getsms/", apikey="$key", after="-1")
    say("/deletesms/", post=True, apikey="$key", id=first)
    say("/deletesms/", post=True, apikey="$key", id=first)  # 201
    say("/deletesms/", post=True, apikey="$key", everything="1")
    say("/deletesms/", apikey="$key", id=first)


def fill(gateway: Running, recorder: Recorder, database: Path) -> None:
    """Deliveries in every state, and a row in every table."""
    for number in range(10):
        recorder.call(
            "/sendsms/",
            recipients=f"3249410000{number}",
            message="Hello" if number else "Long " * 60,
            apikey="$key",
        )
    recorder.call("/sendsms/", recipients="393331234567", message="Queued", apikey="$key")
    recorder.call(
        "/sendsms/",
        post=True,
        recipients="32494100000, 393331234567",
        message="One waits",
        apikey="$told",
    )
    engine = create_engine(f"sqlite:///{database}")
    states = "SELECT count(*) FROM delivery WHERE state IN ('uncertain', 'undeliverable', 'failed')"

    def settled() -> bool:
        with engine.connect() as connection:
            return bool(
                connection.execute(text(states)).scalar_one() >= 3
                and connection.execute(text("SELECT count(*) FROM received")).scalar_one()
            )

    wait_for(settled, 60)
    time.sleep(1)
    engine.dispose()


# What only a carrier, a browser or a mail could bring about.
_MORE = (
    "INSERT INTO stop SELECT id, '+32494200000', {now} FROM account WHERE name = 'key'",
    "UPDATE account SET stops = 1 WHERE name = 'key'",
    "INSERT INTO early_receipt (upstream, smsc_id, state, recipient, error, done_at, raw,"
    " received_at, given_up) VALUES ('default', 'early-1', 'delivered', '32494100006', '000',"
    " {now}, 'id:early-1 stat:DELIVRD err:000', {now}, 0)",
    "INSERT INTO incoming_part VALUES"
    " ('default', '+32494300000', '+32490000001', 7, 2, 1, CAST('The first half' AS BLOB), {now})",
    "INSERT INTO key_request (address, language, network, requested_at, expires_at, attempts,"
    " failure) VALUES ('one@example.net', 'fr', '192.0.2.0/24', {now}, {now} + 86400000, 0, '')",
    "INSERT INTO session SELECT zeroblob(32), id, {now} + 3600000 FROM account WHERE name = 'key'",
    "UPDATE delivery SET state = 'submitting', claimed_by = 999, upstream = 'away' WHERE id ="
    " (SELECT max(id) FROM delivery WHERE state = 'queued')",
)


def rows_of(database: Path, now: int) -> dict[str, list[dict[str, Any]]]:
    """All rows by table; octets as {"hex": …}."""
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        for statement in _MORE:
            connection.execute(text(statement.format(now=now)))
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        found = {
            table.name: [
                {n: {"hex": v.hex()} if isinstance(v, bytes) else v for n, v in row.items()}
                for row in connection.execute(table.select()).mappings()
            ]
            for table in metadata.sorted_tables
        }
    engine.dispose()
    return found


def main() -> None:
    """Write the folder of the version."""
    FOLDER.mkdir()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = folder / "sms.sqlite3"
        (folder / "sms.toml").write_text(SETTINGS)
        settings = {
            "config": str(folder / "sms.toml"),
            "upstream": "sandbox:?delay=0.1&timeout=1",
            "callback_allow_private": "127.0.0.0/8",
        }
        with serve(folder, f"sqlite:///{database}", **settings) as gateway:
            number = "+32490000001"
            free = ("--multi", "--rate", "none")
            names = {
                "key": gateway.create_key(*free, "--sender", number, name="key"),
                "disabled": gateway.create_key(name="disabled"),
                "single": gateway.create_key(name="single"),
                "told": gateway.create_key(*free, name="told"),
            }
            gateway.run("key", "disable", "disabled")
            gateway.run("key", "set", "told", "--callback", "https://127.0.0.1:1/told")
            gateway.run("number", "assign", number, "key")
            recorder = Recorder(gateway, names)
            converse(gateway, recorder)
            said = len(recorder.said)
            fill(gateway, recorder, database)
        now = time.time_ns() // 1_000_000
        record = {"recorded_at": now, "keys": names, "rows": rows_of(database, now)}
    _write(FOLDER / "database.json", record)
    _write(FOLDER / "conversation.json", recorder.said[:said])


def _write(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
