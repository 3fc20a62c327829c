"""spyne as its documentation shows it: WSGI, lxml validation, one SQLite row per request.

The file of the database comes from BENCH_DATABASE; without it nothing is stored.
"""

import os
import sqlite3
import uuid

from spyne import Application, ComplexModel, Integer, ServiceBase, Unicode, rpc
from spyne.protocol.soap import Soap11
from spyne.server.wsgi import WsgiApplication

# spyne does not import on Python 3.12 without what comes first.
import soap_server.compat  # noqa: F401 # isort: split

NAMESPACE = "urn:sendSmsNow"


class SendSmsResult(ComplexModel):
    __namespace__ = NAMESPACE
    error = Integer
    sent = Integer
    id = Unicode


class Storage:
    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def connection(self) -> sqlite3.Connection:
        # One for each process, made after the fork.
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, timeout=10, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
        return self._connection

    def add(self, *row: str) -> None:
        connection = self.connection()
        with connection:
            connection.execute("INSERT INTO message VALUES (?, ?, ?, ?)", row)


STORAGE = Storage(os.environ["BENCH_DATABASE"]) if "BENCH_DATABASE" in os.environ else None


class SmsService(ServiceBase):
    @rpc(Unicode, Unicode, Unicode, _returns=SendSmsResult, _out_variable_name="return")
    def sendSms(ctx, recipients, message, apikey):
        id = uuid.uuid4().hex
        if STORAGE is not None:
            STORAGE.add(id, recipients, message, apikey)
        return SendSmsResult(error=0, sent=1, id=id)


application = WsgiApplication(
    Application(
        [SmsService],
        NAMESPACE,
        in_protocol=Soap11(validator="lxml"),
        out_protocol=Soap11(),
    )
)
