"""The HTTP API: unpack the parameters, call the backend, pack its answer."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from ..backend import Backend, Reply, SendSoon, Submission, never_soon
from ..codes import Code
from ..moments import read_iso
from ..remote.batching import MEDIA_TYPE
from . import params
from .express import Quick, Response, send_response
from .incident import report
from .render import Answer, many, not_sent, response, wants_json

Fields = Mapping[str, str]

_IDEMPOTENCY_KEY = re.compile("[!-~]{1,255}")
_CALLS = MEDIA_TYPE.encode()
#: The types of what may be posted, for clients that would send many calls in one request (Linked
#: Data Platform 1.0, section 7.1).
_ACCEPT_POST = ((
    b"accept-post",
    b"application/x-www-form-urlencoded, multipart/form-data, application/json, " + _CALLS,
),)  # fmt: skip
#: Codes that may be the fault of a parameter's name that was not written as it is.
_OF_NAMES = frozenset({Code.NOT_SENT, Code.KEY_MISSING, Code.ID_MISSING})


def _sendsms(backend: Backend, fields: Fields, key: str) -> Awaitable[Reply]:
    return backend.sendsms(_submission(fields, key))


def _submission(fields: Fields, key: str) -> Submission:
    get = fields.get
    return Submission(
        get("recipients", ""),
        get("message", ""),
        get("apikey", ""),
        # By their places: by name they take half as long again.
        key,
        get("sender", ""),
        get("reference", ""),
    )


def _resendsms(backend: Backend, fields: Fields, key: str) -> Awaitable[Answer]:
    return backend.resendsms(fields.get("apikey", ""), fields.get("id", ""))


def _getsms(backend: Backend, fields: Fields, key: str) -> Awaitable[Answer]:
    return backend.getsms(
        fields.get("apikey", ""),
        after=_number(fields.get("after") or "0"),
        limit=_number(fields.get("limit") or "100"),
    )


def _status(backend: Backend, fields: Fields, key: str) -> Awaitable[Answer]:
    return backend.status(fields.get("apikey", ""), fields.get("id", ""))


def _deletesms(backend: Backend, fields: Fields, key: str) -> Awaitable[Answer]:
    before = fields.get("before")
    return backend.deletesms(
        fields.get("apikey", ""),
        id=fields.get("id"),
        before=None if before is None else _milliseconds(before),
    )


@dataclass(frozen=True, slots=True)
class Operation:
    """What a path does with the parameters by name and the idempotency key (may be empty)."""

    call: Callable[[Backend, Fields, str], Awaitable[Answer]]
    #: HEAD and whatever else promises to change nothing must not send a message.
    methods: tuple[str, ...] = ("GET", "POST")
    #: The only parameters it may come with; None lets others pass unread.
    only: frozenset[str] | None = None
    #: Whether it sends a message; then one request may carry many calls, too.
    sends: bool = False


#: All paths of the API.
OPERATIONS = {
    "/sendsms/": Operation(_sendsms, sends=True),
    "/resendsms/": Operation(_resendsms),
    "/getsms/": Operation(_getsms),
    "/status/": Operation(_status),
    # No link may delete anything, and no slip of the pen more than was meant.
    "/deletesms/": Operation(
        _deletesms, methods=("POST",), only=frozenset({"apikey", "id", "before", "format"})
    ),
}


def operations(backend: Backend) -> dict[str, ASGIApp]:
    """The API's endpoints by path; each path is also reached without its trailing slash."""
    return {path: partial(_serve, backend, operation) for path, operation in OPERATIONS.items()}


def quick(backend: Backend, send_soon: SendSoon) -> dict[tuple[str, str], Quick]:
    """The short ways to the same endpoints, by method and path."""
    return {
        (method, path): partial(_answer_soon, backend, send_soon, operation, method)
        for path, operation in OPERATIONS.items()
        for method in operation.methods
    }


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
        body = await params.receive_body(receive) if method == "POST" else b""
    except params.UnusableError as error:
        answer = _unusable(error, query, headers)
    else:
        answer = await _answer(backend, operation, method, query, headers, body)
    await send_response(send, answer)


async def _answer(
    backend: Backend,
    operation: Operation,
    method: str,
    query: bytes,
    headers: Mapping[bytes, bytes],
    body: bytes,
) -> Response:
    if _is_post_of_calls(operation, method, headers):
        return await _answer_many(backend, never_soon, query, headers, body)
    try:
        fields, key = _read(operation, method, query, headers, body)
    except params.UnusableError as error:
        return _unusable(error, query, headers)
    return await _called(backend, operation, method, headers, fields, key)


def _answer_soon(
    backend: Backend,
    send_soon: SendSoon,
    operation: Operation,
    method: str,
    query: bytes,
    headers: Mapping[bytes, bytes],
    body: bytes,
    then: Callable[[Response], None],
) -> Coroutine[Any, Any, Response] | None:
    """The same as `Quick` has it."""
    if _is_post_of_calls(operation, method, headers):
        return _answer_many(backend, send_soon, query, headers, body)
    if not operation.sends:
        return _answer(backend, operation, method, query, headers, body)
    try:
        fields, key = _read(operation, method, query, headers, body)
    except params.UnusableError as error:
        then(_unusable(error, query, headers))
        return None
    submission = _submission(fields, key)
    if send_soon(submission, partial(_tell, then, operation, method, headers, fields)):
        return None
    return _sent(backend, operation, method, headers, fields, submission)


def _tell(
    then: Callable[[Response], None],
    operation: Operation,
    method: str,
    headers: Mapping[bytes, bytes],
    fields: Fields,
    answer: Answer,
) -> None:
    then(_packed(operation, method, headers, fields, answer))


def _is_post_of_calls(operation: Operation, method: str, headers: Mapping[bytes, bytes]) -> bool:
    return operation.sends and method == "POST" and _media_type(headers) == _CALLS


def _read(
    operation: Operation,
    method: str,
    query: bytes,
    headers: Mapping[bytes, bytes],
    body: bytes,
) -> tuple[Fields, str]:
    """The parameters and the idempotency key. Raises UnusableError."""
    fields = params.read(method, query, headers, body)
    key = _idempotency_key(headers)
    if operation.only is not None and not fields.keys() <= operation.only:
        known = ", ".join(sorted(operation.only))
        why = f"Only these parameters are understood here: {known}"
        raise params.UnusableError(400, _naming(why, fields))
    return fields, key


async def _sent(
    backend: Backend,
    operation: Operation,
    method: str,
    headers: Mapping[bytes, bytes],
    fields: Fields,
    submission: Submission,
) -> Response:
    return _packed(operation, method, headers, fields, await backend.sendsms(submission))


async def _called(
    backend: Backend,
    operation: Operation,
    method: str,
    headers: Mapping[bytes, bytes],
    fields: Fields,
    key: str,
) -> Response:
    return _packed(operation, method, headers, fields, await operation.call(backend, fields, key))


def _packed(
    operation: Operation,
    method: str,
    headers: Mapping[bytes, bytes],
    fields: Fields,
    answer: Answer,
) -> Response:
    takes_calls = operation.sends and method == "POST"
    reply = answer if isinstance(answer, Reply) else answer.reply
    if reply.error:  # most are not
        answer = _with_names(reply, fields)
    return response(
        answer,
        wants_json(headers, fields.get("format", "")),
        headers=_ACCEPT_POST if takes_calls else (),
    )


async def _answer_many(
    backend: Backend,
    send_soon: SendSoon,
    query: bytes,
    headers: Mapping[bytes, bytes],
    body: bytes,
) -> Response:
    """The answer to many calls in one request, each of which is treated as if it came alone."""
    try:
        params.check_encoding(headers)
        calls = params.parse_calls(body)
    except params.UnusableError as error:
        return _unusable(error, query, headers)
    replies = _Replies(len(calls))
    for number, call in enumerate(calls):
        tell = partial(replies.tell, number)
        try:
            fields, key = _call(call)
        except params.UnusableError as error:
            tell(not_sent(error.why))
            continue
        submission = _submission(fields, key)
        if not send_soon(submission, tell):
            replies.wait_for(_told(backend, submission, tell))
    return many(await replies.all())


class _Replies:
    """The replies to many calls, as they come."""

    def __init__(self, count: int) -> None:
        self._replies = [Reply(Code.INTERNAL)] * count
        self._missing = count
        self._complete = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def tell(self, number: int, reply: Reply) -> None:
        """This is the reply to a call."""
        self._replies[number] = reply
        self._missing -= 1
        if not self._missing:
            self._complete.set()

    def wait_for(self, outbox: Coroutine[Any, Any, None]) -> None:
        """What takes a task to be told."""
        self._tasks.append(asyncio.get_running_loop().create_task(outbox))

    async def all(self) -> Sequence[Reply]:
        """All of them."""
        if self._missing:
            await self._complete.wait()
        return self._replies


def _call(call: object) -> tuple[Fields, str]:
    """The parameters of one of many calls, and its idempotency key. Raises UnusableError."""
    if not isinstance(call, dict):
        raise params.UnusableError(400, "The call is not a JSON object")
    fields = params.named(call)
    fields["apikey"] = fields.get("apikey", "").strip()
    key = fields.get("idempotency_key")
    return fields, "" if key is None else _checked(key)


async def _told(backend: Backend, submission: Submission, tell: Callable[[Reply], None]) -> None:
    try:
        tell(await backend.sendsms(submission))
    except Exception as error:
        tell(_unforeseen(report(error)))


def _with_names(reply: Reply, fields: Fields) -> Reply:
    """A refusal that names parameters that nobody knows, where that may be why."""
    if reply.error not in _OF_NAMES:
        return reply
    return reply._replace(note=_naming(reply.sentence, fields))


def _naming(why: str, fields: Fields) -> str:
    """What is wrong, and which parameters nobody knows."""
    names = params.unknown(fields)
    return f"{why} (not known here: {', '.join(names)})" if names else why


def _media_type(headers: Mapping[bytes, bytes]) -> bytes:
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def _unusable(
    error: params.UnusableError, query: bytes, headers: Mapping[bytes, bytes]
) -> Response:
    close = ((b"connection", b"close"),) if error.status in (408, 413) else ()
    return response(
        not_sent(error.why), _json_asked_for(query, headers), status=error.status, headers=close
    )


def failed(incident: str, query: bytes, headers: Mapping[bytes, bytes]) -> Response:
    """The answer to a request that failed unforeseen."""
    return response(_unforeseen(incident), _json_asked_for(query, headers), status=500)


def unreadable(
    status: int, why: str, path: bytes, query: bytes, headers: Mapping[bytes, bytes]
) -> Response:
    """The answer to a request that is no HTTP as it should be, and what is wrong with it."""
    if status == 503:
        reply = Reply(Code.INTERNAL, note=why)
    else:
        reply = not_sent(why) if status < 500 or status in (501, 505) else Reply(Code.INTERNAL)
    return response(reply, _json_asked_for(query, headers), status=status)


def _unforeseen(incident: str) -> Reply:
    return Reply(Code.INTERNAL, note=f"{Code.INTERNAL.sentence} (incident {incident})")


def _json_asked_for(query: bytes, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request whose parameters are not known wants its answer in JSON."""
    asked = re.search(rb"(?:^|&)format=(\w+)", query)
    return wants_json(headers, asked[1].decode() if asked else "")


def _idempotency_key(headers: Mapping[bytes, bytes]) -> str:
    key = headers.get(b"idempotency-key")
    return "" if key is None else _checked(key.decode("latin-1"))


def _checked(key: str) -> str:
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise params.UnusableError(
            400, "The Idempotency-Key is not 1 to 255 visible ASCII characters"
        )
    return key


# What is no number or no time becomes -1: a backend refuses that, after it has judged the key.


def _number(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,19}", text.strip()) else -1


def _milliseconds(text: str) -> int:
    """A date or a time in ISO 8601, in UTC unless it says otherwise, as Unix milliseconds."""
    try:
        return read_iso(text.strip(), UTC)
    except (ValueError, OverflowError):
        return -1
