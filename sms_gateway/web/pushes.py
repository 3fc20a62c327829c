"""Takes the pushes of providers: `POST /upstream/NAME/SECRET`.

The secret in the path authenticates the provider. A client without the secret gets 404, whatever
the name, the method or the body, before any of the body is read. A push is answered with success
only once it is stored; a provider repeats a push that gets another answer.
"""

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from starlette.types import Receive, Scope, Send

from ..log import error_facts, log_error
from ..moments import now
from ..network.asgi_body import UnusableError, receive_body
from ..upstream.http_options import MOST_SECRETS
from ..upstream.push import Heard, Push, PushError, PushesOtherwise, TakesPushes, checked
from .express import Response, send_response
from .incident import report
from .params import check_encoding

log = logging.getLogger(__name__)

#: The beginning of the paths.
PREFIX = "/upstream"
#: Seconds until a provider may repeat a push that could not be stored.
_RETRY_AFTER = 5
#: Seconds between two log lines about requests without the secret: strangers may send many.
_QUIET = 60.0

#: Stores a push for the upstream of this name; raises when the push is not on disk.
Keep = Callable[[str, Heard], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The endpoint of one provider."""

    #: The path has to contain one of these.
    secrets: Sequence[str]
    #: See `TakesPushes.hear`.
    hear: Callable[[Push], Heard]
    method: str = "POST"


def door_of(provider: TakesPushes) -> Door:
    """The endpoint of a provider."""
    method = provider.push_method if isinstance(provider, PushesOtherwise) else "POST"
    return Door(secrets=provider.options.push_secrets(), hear=provider.hear, method=method)


def address(public_url: str, name: str, secret: str) -> str:
    """The URL that the provider of an upstream pushes to."""
    return f"{public_url.rstrip('/')}{PREFIX}/{quote(name, safe='')}/{secret}"


class Pushes:
    """The ASGI application of all doors, below PREFIX."""

    def __init__(
        self, doors: Mapping[str, Door], keep: Keep, *, public_url: str, patience: float
    ) -> None:
        """`doors`: by the names of their upstreams. `patience`: the seconds that storing a push may
        take."""
        self._doors = doors
        self._keep = keep
        self._public_url = public_url
        self._patience = patience
        self._digests = {name: _digests(door.secrets) for name, door in doors.items()}
        self._nobody = _digests(())
        self._told_at = -_QUIET

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await send_response(send, await self._answer(scope, receive))

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        name, _, secret = scope["path"].removeprefix(f"{PREFIX}/").rpartition("/")
        if not self._lets_in(name, secret):
            self._tell_of_strangers()
            return _plain(404, "Not Found")
        method = self._doors[name].method
        if scope["method"] != method:
            allowed = (b"allow", method.encode())
            return _plain(405, f"Only {method} is understood here", allowed)
        headers = dict(scope["headers"])
        try:
            check_encoding(headers)
            query = scope["query_string"].decode("latin-1")
            push = Push(
                url=address(self._public_url, name, secret) + (query and f"?{query}"),
                headers={k.decode("latin-1"): v.decode("latin-1") for k, v in headers.items()},
                body=await receive_body(receive),
                at=now(),
                method=method,
            )
            heard = self._heard(name, push)
        except (UnusableError, PushError) as error:
            facts = {"upstream": name, "status": error.status, "why": error.why}
            log.warning("push refused", extra=facts)
            return _plain(error.status, error.why)
        except Exception as error:
            return _plain(500, f"incident {report(error)}")
        try:
            async with asyncio.timeout(self._patience):
                await self._keep(name, heard)
        except Exception as error:
            log_error(log, "push not stored", error, upstream=name)
            later = (b"retry-after", b"%d" % _RETRY_AFTER)
            return _plain(503, "It could not be stored: try again later", later)
        return _written(200, heard.media_type, heard.answer)

    def _lets_in(self, name: str, secret: str) -> bool:
        """Whether the upstream has this secret; takes equally long for every name and secret."""
        given = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        known = self._digests.get(name, self._nobody)
        return sum([hmac.compare_digest(given, each) for each in known]) > 0

    def _heard(self, name: str, push: Push) -> Heard:
        try:
            return checked(self._doors[name].hear(push))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            # The exceptions of a parser when a field is missing or has another type.
            log.warning("push not understood", extra={"upstream": name, **error_facts(error)})
            raise PushError(400, "the body has not the fields that it should have") from None

    def _tell_of_strangers(self) -> None:
        clock = time.monotonic()
        if clock - self._told_at >= _QUIET:
            self._told_at = clock
            log.warning(
                "a push was not let in: no upstream has this address; "
                "sendsmsnow upstream address shows those that there are"
            )


def _digests(secrets: Sequence[str]) -> list[bytes]:
    """The digests of secrets, padded to MOST_SECRETS with digests that no secret has.

    So a comparison takes equally long for every upstream.
    """
    found = [hashlib.sha256(secret.encode()).digest() for secret in secrets]
    return found + [bytes(32)] * (MOST_SECRETS - len(found))


def _plain(status: int, why: str, *more: tuple[bytes, bytes]) -> Response:
    return _written(status, "text/plain; charset=utf-8", why.encode() + b"\n", *more)


def _written(status: int, media_type: str, body: bytes, *more: tuple[bytes, bytes]) -> Response:
    usual = (b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))
    return status, (*usual, *more, (b"cache-control", b"no-store")), body
