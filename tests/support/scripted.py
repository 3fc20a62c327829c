"""A backend that answers by what it is asked, and the web application in front of it."""

import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sms_gateway.backend import OnReply, Reply, Submission
from sms_gateway.codes import Code
from sms_gateway.web.app import create_app

from .backends import OnlySends, code


class ScriptedBackend(OnlySends):
    """Takes every message, unless the API key says otherwise.

    `code-N` is refused with code N, `busy` with 30 and a time to wait, `fails` raises, and `echo`
    is refused with a note that holds, in JSON, all that the backend was given. A repeat with the
    same idempotency key gets its first reply again.
    """

    def __init__(self) -> None:
        self._count = 0
        self._replies: dict[str, Reply] = {}

    def submit(self, submission: Submission, on_reply: OnReply) -> None:
        """See `Backend.submit`."""
        on_reply(self._reply(submission))

    def _reply(self, submission: Submission) -> Reply:
        recipients, message, apikey = submission[:3]
        idempotency_key = submission.idempotency_key
        if apikey == "echo":
            given = [recipients, message, idempotency_key]
            return Reply(Code.NOT_SENT, note=json.dumps(given))
        if apikey.startswith("echo "):
            return Reply(Code.NOT_SENT, note=apikey)
        if apikey.startswith("code-"):
            return Reply(code(int(apikey.removeprefix("code-"))))
        if apikey == "busy":
            return Reply(Code.INTERNAL, retry_after=7)
        if apikey == "fails":
            try:
                raise ValueError(f"cannot send {message} to {recipients}")
            except ValueError as error:
                raise RuntimeError(f"the key {apikey} failed on {message}") from error
        if not apikey:
            return Reply(Code.KEY_MISSING)
        if idempotency_key in self._replies:
            return self._replies[idempotency_key]
        self._count += 1
        reply = Reply(Code.SENT, len(recipients.split(",")), f"{self._count:032x}")
        if idempotency_key:
            self._replies[idempotency_key] = reply
        return reply


class EverythingFormatter(logging.Formatter):
    """Writes all that a record holds, so that a test sees what any log could show of it."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{super().format(record)} {record.__dict__}"


def application(ready: str = "", start: str = ""):
    """The web application; `ready` is why it is not ready, `start` what becomes of its start."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EverythingFormatter())
    logging.basicConfig(level=logging.DEBUG, handlers=[handler])

    async def readiness() -> str | None:
        if ready == "fails":
            raise ValueError("password=secret")
        return ready or None

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        if start == "fails":
            raise ValueError("password=secret")
        print("the application starts", file=sys.stderr, flush=True)
        yield
        print("the application stops", file=sys.stderr, flush=True)

    return create_app(
        ScriptedBackend(),
        public_url="https://sms.example.org/gateway/",
        soap=_soap,
        soap_paths=["/sendsms/soap/", "/sendsms/wsdl/sendSmsNow.wsdl"],
        readiness=readiness,
        lifespan=lifespan,
    )


async def _soap(scope, receive, send):
    """Stands where the SOAP face will: says which path and method reached it."""
    if scope["query_string"] == b"fails":
        raise ValueError("an envelope with a key in it")
    body = f"{scope['method']} {scope['path']}".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
