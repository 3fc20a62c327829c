"""Tokens of OAuth 2.0 by client credentials (RFC 6749, section 4.4)."""

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

from ..errors import GatewayError
from ..network.errors import Trouble
from ..remote.answers import InvalidAnswerError
from ..remote.http_client import Client, CutOffError, UnreachedError

_LONGEST_ANSWER = 64 * 1024
#: A token is renewed so many seconds before its end: requests take a while.
_BEFORE_END = 60.0
#: For how long a token counts whose end is not told, seconds (RFC 6749, section 5.1).
_UNTOLD = 300.0


NO_TOKEN = Trouble("the server of tokens gives none", "check the entry oauth2, and that server")


class RefusedTokenError(GatewayError):
    """There is no token until somebody changes the client's id, secret or scope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2:
    """Where tokens come from."""

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""


class Tokens:
    """Keeps a token until shortly before its end."""

    def __init__(self, source: OAuth2, headers: Mapping[str, str], *, within: float) -> None:
        """`within`: the seconds in which a token has to come."""
        self._source, self._within = source, within
        url = urlsplit(source.url)
        self._path = f"?{url.query}" if url.query else ""
        self._client = Client(url, headers, connect_timeout=within)
        self._lock = asyncio.Lock()
        self._token = ""
        self._ends_at = 0.0

    async def token(self, *, instead_of: str = "") -> str:
        """A token; a new one if `instead_of` is the one that is kept.

        Raises RefusedTokenError, and UnreachedError where there is none for now.
        """
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if not self._token or self._token == instead_of or now >= self._ends_at:
                try:
                    async with asyncio.timeout(self._within):
                        self._token, lasts = await self._fetched()
                except (TimeoutError, CutOffError, InvalidAnswerError) as error:
                    raise UnreachedError(NO_TOKEN) from error
                self._ends_at = now + max(0.0, lasts - _BEFORE_END)
            return self._token

    async def _fetched(self) -> tuple[str, float]:
        source = self._source
        fields = {"grant_type": "client_credentials"}
        if source.scope:
            fields["scope"] = source.scope
        # Section 2.3.1: both are form-encoded before they become user and password.
        pair = f"{quote(source.client_id, safe='')}:{quote(source.client_secret, safe='')}"
        basic = base64.b64encode(pair.encode()).decode("ascii")
        headers = {"Authorization": f"Basic {basic}", "Accept": "application/json"}
        body = urlencode(fields).encode()
        answer = await self._client.post(self._path, body, headers, _LONGEST_ANSWER, keep=False)
        if 400 <= answer.status < 500 and answer.status not in (408, 429):
            raise RefusedTokenError(f"no token: HTTP status {answer.status}")
        try:
            told = json.loads(answer.body)
            token, lasts = told["access_token"], float(told.get("expires_in", _UNTOLD))
        except (ValueError, LookupError, TypeError, AttributeError):
            raise InvalidAnswerError(f"no token: HTTP status {answer.status}") from None
        if (
            not isinstance(token, str)
            or not token
            or not token.isascii()
            or not token.isprintable()
        ):
            raise InvalidAnswerError("no token")
        return token, lasts

    def close(self) -> None:
        """Close the connections that are kept."""
        self._client.close()
