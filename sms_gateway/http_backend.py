"""A Backend over HTTP: any server that speaks /sendsms/, ours or the original service."""

import asyncio
import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from . import __version__
from .backend import Inbox, MessageStatus, Reply
from .codes import Code
from .http_answers import Answer, OddAnswer, read_count, read_inbox, read_reply, read_status
from .http_client import Client, CutOff, Unreached

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

#: The largest reply that is read, in bytes; one takes some two hundred.
_LONGEST_REPLY = 64 * 1024
#: The largest page of messages, or of steps: our own have a million characters at most, each
#: written as up to six bytes.
_LONGEST_PAGE = 16 * 1024 * 1024
_HEADERS = {
    "Accept": "application/json, text/xml;q=0.9",
    "Accept-Encoding": "identity",
    "User-Agent": f"sendsmsnow/{__version__}",
}
_HEADER_SAFE = re.compile(r"[!-~]{1,255}")


class NotTaken(Exception):
    """The server answered with a redirect or an error of HTTP's own: nothing was accepted."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")


class HttpBackend:
    """Posts to the paths of another server and reads its answers, XML or JSON.

    What may be said twice is repeated once when its connection fails: a message, which carries an
    idempotency key, and what only reads.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        connect_timeout: float | None = None,
        keep_connections: bool = True,
    ) -> None:
        """`url` is the server's, with or without the path /sendsms/; ValueError for what is no
        http or https URL. `timeout`: seconds until code 6, the repetition included;
        `connect_timeout`: how many of them a connection may take. Without `keep_connections` each
        request has its own.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("is no http:// or https:// URL")
        if parts.query or parts.fragment or parts.username or parts.password:
            raise ValueError("may have no query, fragment or credentials")
        base = parts._replace(path=parts.path.rstrip("/").removesuffix("/sendsms"))
        self._client = Client(base, _HEADERS, connect_timeout=connect_timeout)
        self._timeout = timeout
        self._keep_connections = keep_connections

    async def sendsms(
        self, recipients: str, message: str, apikey: str, *, idempotency_key: str = ""
    ) -> Reply:
        """See `Backend.sendsms`."""
        return await self._ask(
            "/sendsms/",
            {"recipients": recipients, "message": message, "apikey": apikey},
            read_reply,
            failed=_same,
            # Whatever the first one came to, the key keeps a second from sending again.
            idempotency_key=_header_safe(idempotency_key) or secrets.token_hex(16),
        )

    async def sendsms_once(
        self, recipients: str, message: str, apikey: str, *, idempotency_key: str
    ) -> Reply:
        """As `sendsms`, but asked once; what happened to the request is raised.

        Unreached says that nothing was written, NotTaken that it was not understood. After CutOff,
        TimeoutError and OddAnswer nobody knows.
        """
        fields = {"recipients": recipients, "message": message, "apikey": apikey}
        headers = {"Idempotency-Key": _header_safe(idempotency_key)}
        form = urlencode(fields).encode("ascii")
        async with asyncio.timeout(self._timeout):
            answer = await self._client.post(
                "/sendsms/", form, headers, _LONGEST_REPLY, keep=self._keep_connections
            )
        try:
            return read_reply(answer)
        except OddAnswer:
            if 300 <= answer.status < 500:
                raise NotTaken(answer.status) from None
            raise

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
        self._client.close()

    async def _ask(
        self,
        path: str,
        fields: Mapping[str, str],
        read: Callable[[Answer], _Result],
        *,
        failed: Callable[[Reply], _Result],
        idempotency_key: str = "",
        repeat: bool = True,
        longest: int = _LONGEST_REPLY,
    ) -> _Result:
        """What `read` makes of the answer; `failed` gets the reply when there is none."""
        try:
            form = urlencode(fields).encode("ascii")
        except UnicodeEncodeError:
            return failed(Reply(Code.NOT_SENT, note="The text has characters that do not exist"))
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        # A kept connection may be about to close, and nobody could tell afterwards.
        keep = repeat and self._keep_connections
        try:
            async with asyncio.timeout(self._timeout):
                try:
                    answer = await self._client.post(path, form, headers, longest, keep=keep)
                except (Unreached, CutOff) as error:
                    if not repeat:
                        raise
                    log.info("backend asked again", extra={"error": type(error).__name__})
                    answer = await self._client.post(path, form, headers, longest, keep=keep)
                return read(answer)
        except TimeoutError:
            log.warning("backend too slow", extra={"timeout": self._timeout})
            return failed(Reply(Code.TIMED_OUT))
        except OddAnswer as error:
            log.warning("odd answer of the backend", extra={"reason": str(error)})
        except Exception as error:
            log.warning("backend not reached", extra={"error": type(error).__name__})
        return failed(Reply(Code.INTERNAL))


def _same(reply: Reply) -> Reply:
    return reply


def _moment(milliseconds: int) -> str:
    """A time as the API takes it; what is none stays a number, which the API refuses."""
    try:
        return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)


def _header_safe(key: str) -> str:
    """An idempotency key as a header may carry it; what it may not is hashed."""
    if not key or _HEADER_SAFE.fullmatch(key):
        return key
    return "hash-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
