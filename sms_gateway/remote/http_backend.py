"""Implements Backend over HTTP, by any server that speaks /sendsms/, ours or the original."""

import asyncio
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from .. import __version__
from ..backend import HOPS_HEADER, ID_KEY, Backend, Inbox, MessageStatus, OnReply, Reply, Submission
from ..codes import Code
from ..errors import GatewayError
from ..moments import iso, now
from ..sms.ids import new_id
from .answers import (
    Answer,
    InvalidAnswerError,
    read_count,
    read_inbox,
    read_replies,
    read_reply,
    read_status,
)
from .batching import MEDIA_TYPE, BatchedCalls, Call
from .http_client import FORM, Client, CutOffError, UnreachedError

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

#: The largest reply to read, in bytes; a reply takes some two hundred.
_LONGEST_REPLY = 64 * 1024
#: The largest page of messages or of steps, in bytes: our own pages have at most a million
#: characters, each of at most six bytes.
_LONGEST_PAGE = 16 * 1024 * 1024
_HEADERS = {
    "Accept": "application/json, text/xml;q=0.9",
    "Accept-Encoding": "identity",
    "User-Agent": f"sendsmsnow/{__version__}",
}
_HEADER_SAFE = re.compile(r"[!-~]{1,255}")


class NotTakenError(GatewayError):
    """The server answered 3xx or 4xx without a reply in the body: it accepted nothing."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")


class HttpBackend(Backend):
    """Posts to the paths of another server and reads its answers, XML or JSON.

    When the connection fails, a request is repeated once if it may safely be carried out twice: a
    message, which carries an idempotency key, and a request that only reads.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        """`url`: the server's, with or without the path /sendsms/; ValueError unless it is an http
        or https URL. `timeout`: seconds until code 6, the repetition included.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("is no http:// or https:// URL")
        if parts.query or parts.fragment or parts.username or parts.password:
            raise ValueError("may have no query, fragment or credentials")
        base = parts._replace(path=parts.path.rstrip("/").removesuffix("/sendsms"))
        self._client = Client(base, _HEADERS, connect_timeout=None)
        self._timeout = timeout
        #: The latest deadline of calls that go alone after a cut batch, which may have arrived.
        self._doubt = 0.0
        self._calls = BatchedCalls(self._alone, self._together)

    def submit(self, submission: Submission, on_reply: OnReply) -> None:
        """See `Backend.submit`."""
        self._calls.submit(self._call(submission), on_reply)

    def _call(self, submission: Submission) -> Call:
        # Because of the key a repetition does not send the message twice.
        key = _header_safe(submission.idempotency_key)
        key = key or ID_KEY + new_id(now())
        return Call(submission, key, self._deadline())

    async def _alone(self, call: Call) -> Reply:
        form, headers = parameters(call.submission), {"Idempotency-Key": call.key}
        if call.submission.hops:
            headers[HOPS_HEADER] = f"{call.submission.hops}"

        async def ask() -> Reply:
            answer, cut = await self._post("/sendsms/", _form(form), headers)
            self._calls.is_possible = MEDIA_TYPE in answer.accept_post
            return _of_both(_read(answer, read_reply, cut), cut)

        reply = await self._in_time(ask(), call.deadline, _same, writes=True)
        return _of_both(reply, call.deadline <= self._doubt)

    async def _together(self, count: int, body: bytes, deadline: float) -> list[Reply | None]:
        """The replies to the calls of a body; None for each when the server refused the batch."""

        async def ask() -> list[Reply | None]:
            answer, cut = await self._post(
                "/sendsms/", body, {}, count * _LONGEST_REPLY, media_type=MEDIA_TYPE
            )
            try:
                return [_of_both(reply, cut) for reply in read_replies(answer, count)]
            except InvalidAnswerError:
                # No more batches until an answer has MEDIA_TYPE in its Accept-Post again.
                self._calls.is_possible = False
                if not _is_refusal(answer):
                    raise
                if cut:
                    self._doubt = self._deadline()
                return [None] * count

        return await self._in_time(ask(), deadline, lambda reply: [reply] * count, writes=True)

    async def resendsms(self, apikey: str, id: str) -> Reply:
        """See `Backend.resendsms`."""
        form = {"apikey": apikey, "id": id}
        return await self._ask("/resendsms/", form, read_reply, failed=_same, repeat=False)

    async def getsms(self, apikey: str, *, after: int = 0, limit: int = 100) -> Inbox:
        """See `Backend.getsms`."""
        return await self._ask(
            "/getsms/",
            {"apikey": apikey, "after": str(after), "limit": str(limit)},
            lambda answer: read_inbox(answer, after=after, limit=limit),
            failed=Inbox,
            longest=_LONGEST_PAGE,
        )

    async def status(self, apikey: str, id: str) -> MessageStatus:
        """See `Backend.status`."""
        return await self._ask(
            "/status/",
            {"apikey": apikey, "id": id},
            lambda answer: read_status(answer, id),
            failed=MessageStatus,
            longest=_LONGEST_PAGE,
        )

    async def deletesms(
        self, apikey: str, *, id: str | None = None, before: int | None = None
    ) -> Reply:
        """See `Backend.deletesms`."""
        form = {"apikey": apikey}
        if id is not None:
            form["id"] = id
        if before is not None:
            form["before"] = _moment(before)
        return await self._ask("/deletesms/", form, read_count, failed=_same, repeat=False)

    async def aclose(self) -> None:
        """Close the connections; they are opened again when needed."""
        await self._calls.aclose()
        self._client.close()

    async def _ask(
        self,
        path: str,
        fields: Mapping[str, str],
        read: Callable[[Answer], _Result],
        *,
        failed: Callable[[Reply], _Result],
        repeat: bool = True,
        longest: int = _LONGEST_REPLY,
    ) -> _Result:
        """The result that `read` finds in the answer; without an answer, the result of `failed`.

        Without `repeat` the request writes, and is not repeated.
        """

        async def ask() -> _Result:
            answer, _ = await self._post(path, _form(fields), {}, longest, repeat=repeat)
            return _read(answer, read)

        return await self._in_time(ask(), self._deadline(), failed, writes=not repeat)

    async def _post(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        longest: int = _LONGEST_REPLY,
        *,
        repeat: bool = True,
        media_type: str = FORM,
    ) -> tuple[Answer, bool]:
        """The answer, and whether it answers a repetition of a request that may have arrived."""
        # A kept connection may be about to close: a request on it may have an unknown outcome.
        post = partial(
            self._client.post, path, body, headers, longest, keep=repeat, media_type=media_type
        )
        try:
            return await post(), False
        except (UnreachedError, CutOffError) as error:
            if not repeat:
                raise
            log.info("backend asked again", extra={"error": type(error).__name__})
            first = error
        # The other kept connections may be about to end like this one.
        self._client.close()
        cut = isinstance(first, CutOffError)
        try:
            return await post(), cut
        except UnreachedError:
            if cut:
                raise first from None
            raise

    def _deadline(self) -> float:
        """The deadline of a call that begins now, by the loop's clock."""
        return self._calls.now() + self._timeout

    async def _in_time(
        self,
        work: Awaitable[_Result],
        deadline: float,
        failed: Callable[[Reply], _Result],
        *,
        writes: bool,
    ) -> _Result:
        """The result of the work; after an error, the result of `failed` for the reply.

        The reply has code 6 after a time-out, or where the outcome is unknown, and code 30 where
        the server did nothing, or the request only reads.
        """
        code = Code.TIMED_OUT if writes else Code.INTERNAL
        try:
            async with asyncio.timeout_at(deadline):
                return await work
        except TimeoutError:
            log.warning("backend too slow", extra={"timeout": self._timeout})
            return failed(Reply(Code.TIMED_OUT))
        except UnicodeEncodeError:
            return failed(Reply(Code.NOT_SENT, note="The text has characters that do not exist"))
        except UnreachedError as error:
            log.warning("backend not reached", extra={"why": error.trouble.what})
            code = Code.INTERNAL
        except NotTakenError as error:
            log.warning("odd answer of the backend", extra={"reason": str(error)})
            code = Code.INTERNAL
        except InvalidAnswerError as error:
            log.warning("odd answer of the backend", extra={"reason": str(error)})
        except Exception as error:
            log.warning("backend did not answer", extra={"error": type(error).__name__})
        return failed(Reply(code))


def _form(fields: Mapping[str, str]) -> bytes:
    """The fields as a form; raises UnicodeEncodeError for half a surrogate pair."""
    return urlencode(fields).encode("ascii")


def _is_refusal(answer: Answer) -> bool:
    """Whether an answer refuses a batch as if it were one call, so that no call was accepted."""
    if 300 <= answer.status < 500:
        return True
    try:
        return bool(read_reply(answer).error)
    except InvalidAnswerError:
        return False


def _read(answer: Answer, read: Callable[[Answer], _Result], cut: bool = False) -> _Result:
    """The result that `read` finds in an answer.

    NotTakenError when by its status the server did nothing. If the first request was `cut` off,
    InvalidAnswerError instead: the server may have carried out that one.
    """
    try:
        return read(answer)
    except InvalidAnswerError:
        if 300 <= answer.status < 500 and not cut:
            raise NotTakenError(answer.status) from None
        raise


def _of_both(reply: Reply, cut: bool) -> Reply:
    """The reply to a request and its repetition.

    Where the first was `cut` off, code 30 becomes code 6: code 30 is about the repetition, and the
    outcome of the first is unknown.
    """
    return Reply(Code.TIMED_OUT) if cut and reply.error is Code.INTERNAL else reply


def _same(reply: Reply) -> Reply:
    return reply


def _moment(milliseconds: int) -> str:
    """A time as the API takes it; an impossible time stays a number, which the API refuses."""
    try:
        return iso(milliseconds)
    except OverflowError:
        return str(milliseconds)


def parameters(submission: Submission) -> dict[str, str]:
    """The form fields of a submission."""
    form = {
        "recipients": submission.recipients,
        "message": submission.message,
        "apikey": submission.apikey,
    }
    # Leave out empty fields: the original service does not know these parameters.
    if submission.sender:
        form["sender"] = submission.sender
    if submission.reference:
        form["reference"] = submission.reference
    return form


def _header_safe(key: str) -> str:
    """An idempotency key as a header may carry it; other keys are hashed."""
    if not key or _HEADER_SAFE.fullmatch(key):
        return key
    return "hash-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
