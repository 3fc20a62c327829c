"""A Backend over HTTP: any server that speaks /sendsms/, ours or the original service."""

import asyncio
import hashlib
import json
import logging
import re
import secrets
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode, urlsplit

import aiohttp
from lxml import etree

from . import __version__
from .backend import Reply
from .codes import MAX_RECIPIENTS, Code

log = logging.getLogger(__name__)

#: The largest answer that is read, in bytes; a reply takes some two hundred.
_LONGEST_ANSWER = 64 * 1024
#: The longest note and id that are passed on.
_LONGEST_TEXT = 500
#: Seconds. Less than servers keep idle connections open, so that these are closed from here.
_KEEPALIVE = 30
_LONGEST_WAIT = 3600
_CODES = {int(code): code for code in Code}
_HEADER_SAFE = re.compile(r"[!-~]{1,255}")


class OddAnswer(Exception):
    """An answer that is no reply; the text says what is odd about it and quotes nothing."""


class HttpBackend:
    """Posts to the /sendsms/ of another server and reads its reply, XML or JSON.

    Every request carries an idempotency key and is repeated once when its connection fails.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        """`url` is the server's, with or without the path /sendsms/; ValueError for what is no
        http or https URL. `timeout`: seconds until code 6, the repetition included."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("is no http:// or https:// URL")
        if parts.query or parts.fragment or parts.username or parts.password:
            raise ValueError("may have no query, fragment or credentials")
        path = parts.path.rstrip("/").removesuffix("/sendsms")
        self._url = parts._replace(path=f"{path}/sendsms/").geturl()
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def sendsms(
        self, recipients: str, message: str, apikey: str, *, idempotency_key: str = ""
    ) -> Reply:
        """See `Backend.sendsms`."""
        try:
            form = urlencode({"recipients": recipients, "message": message, "apikey": apikey})
        except UnicodeEncodeError:
            return Reply(Code.NOT_SENT, note="The text has characters that do not exist")
        key = _header_safe(idempotency_key) or secrets.token_hex(16)
        try:
            async with asyncio.timeout(self._timeout):
                try:
                    return await self._post(form.encode("ascii"), key)
                except aiohttp.ClientConnectionError as error:
                    # Whatever the first one came to, the key keeps the second from sending again.
                    log.info("backend asked again", extra={"error": type(error).__name__})
                    return await self._post(form.encode("ascii"), key)
        except TimeoutError:
            log.warning("backend too slow", extra={"timeout": self._timeout})
            return Reply(Code.TIMED_OUT)
        except OddAnswer as error:
            log.warning("odd answer of the backend", extra={"reason": str(error)})
        except Exception as error:
            log.warning("backend not reached", extra={"error": type(error).__name__})
        return Reply(Code.INTERNAL)

    async def aclose(self) -> None:
        """Close the connections; they are opened again when needed."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, form: bytes, key: str) -> Reply:
        if self._session is None:
            # Not before now: a session belongs to the running loop.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(keepalive_timeout=_KEEPALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                headers={
                    "Accept": "application/json, text/xml;q=0.9",
                    "Accept-Encoding": "identity",
                    "Content-Type": "application/x-www-form-urlencoded",
                    "User-Agent": f"sendsmsnow/{__version__}",
                },
            )
        headers = {"Idempotency-Key": key}
        # A redirected POST would turn into a GET or lose its body.
        async with self._session.post(
            self._url, data=form, headers=headers, allow_redirects=False
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _LONGEST_ANSWER:
                    raise OddAnswer("it is too long")
            return read_reply(response.status, response.headers.get("Retry-After"), bytes(body))


def read_reply(status: int, retry_after: str | None, body: bytes) -> Reply:
    """The reply in an HTTP answer; OddAnswer when there is none or it contradicts itself."""
    if status == 503 and retry_after is not None:
        return Reply(Code.INTERNAL, retry_after=_seconds(retry_after))
    if not 200 <= status < 300 and not 400 <= status < 500:
        raise OddAnswer(f"its status is {status}")
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    fields = _json_fields(body) if body.startswith(b"{") else _xml_fields(body)
    error = _CODES.get(_number(fields, "error"))
    if error is None:
        raise OddAnswer("its code is unknown or missing")
    if error is Code.NOT_SENT:
        return Reply(error, note=_cleaned(_text(fields, "note")))
    if error is not Code.SENT:
        return Reply(error)
    sent, name = _number(fields, "sent"), _text(fields, "id")
    if status >= 400:
        raise OddAnswer("it reports success with an error status")
    if not 1 <= sent <= MAX_RECIPIENTS:
        raise OddAnswer("it reports success with no or too many recipients")
    if not 1 <= len(name) <= _LONGEST_TEXT or not name.isprintable():
        raise OddAnswer("it reports success without an id")
    return Reply(error, sent, name)


def _json_fields(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body, object_pairs_hook=_once_each)
    except (ValueError, RecursionError):
        raise OddAnswer("it is not JSON") from None
    result = document.get("result")
    if not isinstance(result, dict):
        raise OddAnswer("it has no result")
    return result


def _xml_fields(body: bytes) -> dict[str, object]:
    if b"<!DOCTYPE" in body:
        raise OddAnswer("it has a document type")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        result = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        raise OddAnswer("it is neither XML nor JSON") from None
    if result.tag != "result":
        raise OddAnswer("it has no result")
    if any(len(field) for field in result):
        raise OddAnswer("a field holds more than text")
    fields = _once_each([(str(field.tag), (field.text or "").strip()) for field in result])
    for name in ("error", "sent"):
        if re.fullmatch("[0-9]{1,9}", str(fields.get(name))):
            fields[name] = int(str(fields[name]))
    return fields


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise OddAnswer("a field comes twice")
    return fields


def _number(fields: dict[str, object], name: str) -> int:
    value = fields.get(name, -1)
    # A truth is an int in Python, and none here.
    if not isinstance(value, int) or isinstance(value, bool):
        raise OddAnswer(f"its {name} is no number")
    return value


def _text(fields: dict[str, object], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise OddAnswer(f"its {name} is no text")
    return value.strip()


def _cleaned(note: str) -> str:
    """A note from afar on one line, without control characters."""
    return "".join(char if char.isprintable() else " " for char in note[:_LONGEST_TEXT]).strip()


def _seconds(retry_after: str) -> int:
    """Retry-After in seconds, whichever form it has (RFC 9110, section 10.2.3); at least one."""
    try:
        wait = float(int(retry_after))
    except ValueError:
        try:
            wait = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except ValueError:
            wait = 1
    return int(min(max(wait, 1), _LONGEST_WAIT))


def _header_safe(key: str) -> str:
    """An idempotency key as a header may carry it; what it may not is hashed."""
    if not key or _HEADER_SAFE.fullmatch(key):
        return key
    return "hash-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
