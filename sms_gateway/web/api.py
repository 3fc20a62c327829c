"""The HTTP API: unpack the parameters, call the backend, pack its reply."""

import re
from collections.abc import Awaitable, Callable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from ..backend import Backend, Reply
from . import params
from .render import not_sent, send_reply, wants_json

#: One operation: the parameters by name and the idempotency key (may be empty), to the reply.
Operation = Callable[[Mapping[str, str], str], Awaitable[Reply]]

_IDEMPOTENCY_KEY = re.compile(rb"[!-~]{1,255}")


def operations(backend: Backend) -> dict[str, ASGIApp]:
    """The API's endpoints by path; each path is also reached without its trailing slash."""

    def sendsms(fields: Mapping[str, str], key: str) -> Awaitable[Reply]:
        return backend.sendsms(
            fields.get("recipients", ""),
            fields.get("message", ""),
            fields.get("apikey", ""),
            idempotency_key=key,
        )

    # /resendsms/ and /getsms/ take their places here.
    return {"/sendsms/": endpoint(sendsms)}


def endpoint(operation: Operation) -> ASGIApp:
    """The ASGI application of one operation, by GET and POST."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        # HEAD and whatever else promises to change nothing must not send a message.
        if scope["method"] not in ("GET", "POST"):
            reply = not_sent("Only GET and POST are understood here")
            allow = ((b"allow", b"GET, POST"),)
            await send_reply(send, reply, wants_json(headers), status=405, headers=allow)
            return
        try:
            fields = await params.read(scope, headers, receive)
            key = _idempotency_key(headers)
        except params.Unusable as error:
            close = ((b"connection", b"close"),) if error.status in (408, 413) else ()
            await send_reply(
                send,
                not_sent(error.why),
                json_asked_for(scope),
                status=error.status,
                headers=close,
            )
            return
        reply = await operation(fields, key)
        await send_reply(send, reply, wants_json(headers, fields.get("format", "")))

    return app


def json_asked_for(scope: Scope) -> bool:
    """Whether a request whose parameters are not known wants its answer in JSON."""
    asked = re.search(rb"(?:^|&)format=(\w+)", scope["query_string"])
    return wants_json(dict(scope["headers"]), asked[1].decode() if asked else "")


def _idempotency_key(headers: Mapping[bytes, bytes]) -> str:
    key = headers.get(b"idempotency-key")
    if key is None:
        return ""
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise params.Unusable(400, "The Idempotency-Key is not 1 to 255 visible ASCII characters")
    return key.decode("ascii")
