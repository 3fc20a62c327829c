"""Serves the HTTP API: unpacks the parameters, calls the backend, packs its answer."""

import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from .. import callers
from ..backend import HOPS_HEADER, Backend, OnReply, Reply, Submission, awaited, call_back
from ..codes import Code
from ..moments import read_iso
from ..network.asgi_body import UnusableError, receive_body
from ..remote.batching import MEDIA_TYPE
from . import params
from .express import Entry, OnResponse, Response, send_response
from .incident import report
from .render import Answer, many, not_sent, response, wants_json

Fields = Mapping[str, str]

_IDEMPOTENCY_KEY = re.compile("[!-~]{1,255}")
_HOPS = HOPS_HEADER.lower().encode()
_CALLS = MEDIA_TYPE.encode()
#: The media types that clients may post; it tells them that one request may carry many calls
#: (Linked Data Platform 1.0, section 7.1).
_ACCEPT_POST = ((
    b"accept-post",
    b"application/x-www-form-urlencoded, multipart/form-data, application/json, " + _CALLS,
),)  # fmt: skip
#: Codes that a misspelt parameter name may have caused.
_OF_NAMES = frozenset({Code.NOT_SENT, Code.KEY_MISSING, Code.ID_MISSING})


def _submission(fields: Fields, key: str, hops: int) -> Submission:
    get = fields.get
    return Submission(
        get("recipients", ""),
        get("message", ""),
        get("apikey", ""),
        # Positional arguments: keyword arguments take half as long again.
        key,
        get("sender", ""),
        get("reference", ""),
        hops,
    )


def _resendsms(backend: Backend, fields: Fields) -> Coroutine[Any, Any, Answer]:
    return backend.resendsms(fields.get("apikey", ""), fields.get("id", ""))


def _getsms(backend: Backend, fields: Fields) -> Coroutine[Any, Any, Answer]:
    return backend.getsms(
        fields.get("apikey", ""),
        after=_number(fields.get("after") or "0"),
        limit=_number(fields.get("limit") or "100"),
    )


def _status(backend: Backend, fields: Fields) -> Coroutine[Any, Any, Answer]:
    return backend.status(fields.get("apikey", ""), fields.get("id", ""))


def _deletesms(backend: Backend, fields: Fields) -> Coroutine[Any, Any, Answer]:
    before = fields.get("before")
    return backend.deletesms(
        fields.get("apikey", ""),
        id=fields.get("id"),
        before=None if before is None else _milliseconds(before),
    )


@dataclass(frozen=True, slots=True)
class Operation:
    """One path of the API: the backend call that its parameters become."""

    #: None: the path submits a message; then one request may carry many calls, too.
    ask: Callable[[Backend, Fields], Coroutine[Any, Any, Answer]] | None
    #: HEAD and other methods that promise to change nothing must not send a message.
    methods: tuple[str, ...] = ("GET", "POST")
    #: The only parameters that the path accepts; None ignores all others.
    only: frozenset[str] | None = None


#: All paths of the API.
OPERATIONS = {
    "/sendsms/": Operation(None),
    "/resendsms/": Operation(_resendsms),
    "/getsms/": Operation(_getsms),
    "/status/": Operation(_status),
    # No link may delete anything, and no misspelt parameter may delete more than was meant.
    "/deletesms/": Operation(
        _deletesms, methods=("POST",), only=frozenset({"apikey", "id", "before", "format"})
    ),
}


def entries(backend: Backend) -> dict[tuple[str, str], Entry]:
    """The entries of the API, by method and path."""
    return {
        (method, path): partial(_answer, backend, operation, method)
        for path, operation in OPERATIONS.items()
        for method in operation.methods
    }


def endpoints(backend: Backend) -> dict[str, ASGIApp]:
    """ASGI around the same entries, by path."""
    return {path: partial(_serve, backend, operation) for path, operation in OPERATIONS.items()}


async def _serve(
    backend: Backend, operation: Operation, scope: Scope, receive: Receive, send: Send
) -> None:
    method, query, headers = scope["method"], scope["query_string"], dict(scope["headers"])
    if method not in operation.methods:
        reply = not_sent(f"Only {' and '.join(operation.methods)} are understood here")
        allow = ((b"allow", ", ".join(operation.methods).encode()),)
        await send_response(send, response(reply, wants_json(headers), status=405, headers=allow))
        return
    try:
        body = await receive_body(receive) if method == "POST" else b""
    except UnusableError as error:
        answer = _unusable(error, query, headers)
    else:
        answer = await awaited(_answer, backend, operation, method, query, headers, body)
    await send_response(send, answer)


def _answer(
    backend: Backend,
    operation: Operation,
    method: str,
    query: bytes,
    headers: Mapping[bytes, bytes],
    body: bytes,
    on_response: OnResponse,
) -> None:
    """Answer a request: the `Entry` of an operation and a method."""
    takes_calls = method == "POST" and operation.ask is None
    try:
        if takes_calls and _media_type(headers) == _CALLS:
            _answer_many(backend, headers, body, on_response)
            return
        fields = params.read(method, query, headers, body)
        key = _idempotency_key(headers) if b"idempotency-key" in headers else ""
        hops = _hops(headers) if _HOPS in headers else 0
        if operation.only is not None:
            _check_names(operation.only, fields)
    except UnusableError as error:
        on_response(_unusable(error, query, headers))
        return
    on_answer = partial(_respond, on_response, takes_calls, headers, fields)
    if operation.ask is None:
        backend.submit(_submission(fields, key, hops), on_answer)
    else:
        on_failure = partial(_fail, on_response, query, headers)
        call_back(operation.ask(backend, fields), on_answer, on_failure)


def _respond(
    on_response: OnResponse,
    takes_calls: bool,
    headers: Mapping[bytes, bytes],
    fields: Fields,
    answer: Answer,
) -> None:
    reply = answer if isinstance(answer, Reply) else answer.reply
    if reply.error:  # most are not
        answer = _with_names(reply, fields)
    json = wants_json(headers, fields.get("format", ""))
    on_response(response(answer, json, headers=_ACCEPT_POST if takes_calls else ()))


def _fail(
    on_response: OnResponse, query: bytes, headers: Mapping[bytes, bytes], error: Exception
) -> None:
    on_response(failed(report(error), query, headers))


def _check_names(known: frozenset[str], fields: Fields) -> None:
    """Raises UnusableError when there are other parameters."""
    if not fields.keys() <= known:
        names = ", ".join(sorted(known))
        why = f"Only these parameters are understood here: {names}"
        raise UnusableError(400, _naming(why, fields))


def _answer_many(
    backend: Backend, headers: Mapping[bytes, bytes], body: bytes, on_response: OnResponse
) -> None:
    """Answer the calls of one request, each as if it came alone.

    Raises UnusableError when the body is no list of calls.
    """
    params.check_encoding(headers)
    calls = params.parse_calls(body)
    hops = _hops(headers) if _HOPS in headers else 0
    replies: dict[int, Reply] = {}
    caller = callers.current()
    caller.calls = sum(isinstance(call, dict) and bool(call.get("apikey")) for call in calls)

    def on_reply(number: int, reply: Reply) -> None:
        replies[number] = reply
        if len(replies) == len(calls):
            on_response(many(replies[number] for number in range(len(calls))))

    if not calls:
        on_response(many(()))
    for number, call in enumerate(calls):
        _submit_call(backend, call, hops, partial(on_reply, number))


def _submit_call(backend: Backend, call: object, hops: int, on_reply: OnReply) -> None:
    """Submit one of many calls."""
    try:
        fields, key = _call(call)
    except UnusableError as error:
        on_reply(not_sent(error.why))
        return
    try:
        backend.submit(_submission(fields, key, hops), on_reply)
    except Exception as error:  # the other calls are answered all the same
        on_reply(_unforeseen(report(error)))


def _call(call: object) -> tuple[Fields, str]:
    """The parameters of one of many calls, and its idempotency key. Raises UnusableError."""
    if not isinstance(call, dict):
        raise UnusableError(400, "The call is not a JSON object")
    fields = params.named(call)
    fields["apikey"] = fields.get("apikey", "").strip()
    key = fields.get("idempotency_key")
    return fields, "" if key is None else _checked(key)


def _with_names(reply: Reply, fields: Fields) -> Reply:
    """The refusal, with the unknown parameters in its note where they may have caused it."""
    if reply.error not in _OF_NAMES:
        return reply
    return reply._replace(note=_naming(reply.sentence, fields))


def _naming(why: str, fields: Fields) -> str:
    """The reason `why`, and the unknown parameters."""
    names = params.unknown(fields)
    return f"{why} (not known here: {', '.join(names)})" if names else why


def _media_type(headers: Mapping[bytes, bytes]) -> bytes:
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def _unusable(error: UnusableError, query: bytes, headers: Mapping[bytes, bytes]) -> Response:
    close = ((b"connection", b"close"),) if error.status in (408, 413) else ()
    return response(
        not_sent(error.why), _json_asked_for(query, headers), status=error.status, headers=close
    )


def failed(incident: str, query: bytes, headers: Mapping[bytes, bytes]) -> Response:
    """The answer to a request that failed with an unexpected exception."""
    return response(_unforeseen(incident), _json_asked_for(query, headers), status=500)


def unreadable(
    status: int, why: str, path: bytes, query: bytes, headers: Mapping[bytes, bytes]
) -> Response:
    """The answer to a malformed HTTP request, with the reason."""
    if status == 503:
        reply = Reply(Code.INTERNAL, note=why)
    else:
        reply = not_sent(why) if status < 500 or status in (501, 505) else Reply(Code.INTERNAL)
    return response(reply, _json_asked_for(query, headers), status=status)


def _unforeseen(incident: str) -> Reply:
    return Reply(Code.INTERNAL, note=f"{Code.INTERNAL.sentence} (incident {incident})")


def _json_asked_for(query: bytes, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request whose parameters could not be read wants its answer in JSON."""
    asked = re.search(rb"(?:^|&)format=(\w+)", query)
    return wants_json(headers, asked[1].decode() if asked else "")


def _hops(headers: Mapping[bytes, bytes]) -> int:
    """How many relays a request has passed, by these headers, which say it."""
    if not re.fullmatch(rb"[0-9]{1,4}", headers[_HOPS]):
        raise UnusableError(400, "The header Sendsmsnow-Hops is not a whole number")
    return int(headers[_HOPS])


def _idempotency_key(headers: Mapping[bytes, bytes]) -> str:
    """The key in these headers, which have one."""
    return _checked(headers[b"idempotency-key"].decode("latin-1"))


def _checked(key: str) -> str:
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise UnusableError(400, "The Idempotency-Key is not 1 to 255 visible ASCII characters")
    return key


# An invalid number or time becomes -1: the backend refuses -1, after it has judged the key.


def _number(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,19}", text.strip()) else -1


def _milliseconds(text: str) -> int:
    """A date or a time in ISO 8601, in UTC unless it says otherwise, as Unix milliseconds."""
    try:
        return read_iso(text.strip(), UTC)
    except (ValueError, OverflowError):
        return -1
