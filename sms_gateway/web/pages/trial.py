"""Serves the test page: try a key, a number and a text, and follow the message to its receipt."""

import asyncio
import hmac
import json
import secrets
from collections.abc import Callable, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ...accounts import key_hash
from ...backend import Backend, PageBackend, Reply, Submission, content_key
from ...codes import MAX_RECIPIENTS, Code
from ...sms.address import AddressError
from ...sms.countries import names_of_countries
from ...sms.message import TERMINAL, State
from ...sms.readings import Reading
from ...sms.segments import Segments, TextError, count, validate_text
from ...store import Store, history
from .. import params
from ..render import as_json, as_xml
from ..wrong_keys import WrongKeys
from .site import Fields, Site, Visit

_NO_KEY = frozenset({Code.KEY_DISABLED, Code.KEY_WRONG, Code.KEY_MISSING})


class TrialPages:
    """`/sendsms/test/`, and the pages below it."""

    def __init__(
        self,
        site: Site,
        backend: Backend,
        *,
        checking: PageBackend | None,
        store: Store | None,
        wrong_keys: WrongKeys | None,
        read: Callable[[str], Sequence[Reading]] | None,
    ) -> None:
        """`backend` slows wrong keys by itself; `wrong_keys` slows those that `checking` finds.

        Without `checking` the page has no button to check. Without `store` messages cannot be
        followed. Without `read` the page does not show how it reads the numbers.
        """
        self._site = site
        self._backend = backend
        self._checking = checking
        self._store = store
        self._read = read
        self._wrong_keys = wrong_keys

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/sendsms/test", self.show, methods=["GET", "POST"]),
            Route("/sendsms/test/count", self.count, methods=["POST"]),
            Route("/sendsms/test/{id:str}/{ticket:str}", self.follow),
        ]

    async def show(self, request: Request) -> Response:
        """The form, and the reply to the form that came."""
        visit = self._site.visit(request)
        if request.method != "POST":
            return self._page(visit, {}, None)
        fields = await self._site.form(request, visit)
        reply = await self._ask(fields)
        return self._page(visit, fields, reply, status=503 if reply.retry_after else 200)

    async def _ask(self, fields: Fields) -> Reply:
        recipients, message = fields.get("recipients", ""), fields.get("message", "")
        # Reloading the answer sends no second message; another text from the same form does.
        once = fields.get("once", "")
        key = content_key(f"test page {once}", recipients, message) if once else ""
        submission = Submission(recipients, message, fields.get("apikey", ""), idempotency_key=key)
        if self._checking is not None and "check" in fields:
            reply = await self._checking.check(submission)
            if reply.error is Code.KEY_WRONG and self._wrong_keys is not None:
                await self._wrong_keys.came()
            return reply
        return await self._backend.sendsms(submission)

    def _page(
        self, visit: Visit, fields: Fields, reply: Reply | None, status: int = 200
    ) -> Response:
        checked = self._checking is not None and "check" in fields
        follow, apikey = "", fields.get("apikey", "")
        if reply is not None and reply.id and self._store is not None:
            ticket = _ticket(key_hash(apikey), reply.id)
            follow = f"{self._site.root}/sendsms/test/{reply.id}/{ticket}"
        message = fields.get("message", "")
        return self._site.page(
            visit,
            "trial.html",
            {
                "here": "trial",
                "recipients": fields.get("recipients", ""),
                "message": message,
                "segments": _segments(message),
                "most": MAX_RECIPIENTS,
                "once": secrets.token_hex(16),
                "checks": self._checking is not None,
                "checked": checked,
                "reply": reply,
                "numbers": self._numbers(fields.get("recipients", ""), reply),
                "country": names_of_countries(visit.language),
                "follow": follow,
                "xml": "" if reply is None else as_xml(reply).decode(),
                "json": "" if reply is None else as_json(reply).decode(),
            },
            status,
        )

    def _numbers(self, recipients: str, reply: Reply | None) -> Sequence[Reading]:
        """How the gateway read the numbers; shown only to a visitor with a right key.

        Empty for numbers that cannot be read, as the reply names the reason.
        """
        if self._read is None or reply is None or reply.error in _NO_KEY or reply.retry_after:
            return ()
        try:
            return self._read(recipients)[:MAX_RECIPIENTS]
        except AddressError:
            return ()

    async def count(self, request: Request) -> Response:
        """The page's words on how a text is encoded, for the page's script."""
        visit = self._site.visit(request)
        fields = await params.receive(request.scope, request.receive)
        segments = _segments(fields.get("message", ""))
        words = self._site.render(visit.language, "encoding.html", {"segments": segments})
        return self._site.data(json.dumps({"html": words}).encode(), "application/json")

    async def follow(self, request: Request) -> Response:
        """A message's history so far, for the visitor who sent it from the test page."""
        id, ticket = request.path_params["id"], request.path_params["ticket"]
        found = await asyncio.to_thread(self._followed, id, ticket)
        if found is None:
            raise HTTPException(404)
        return self._site.page(
            self._site.visit(request),
            "follow.html",
            {"here": "trial", "found": found, "ended": is_over(found)},
        )

    def _followed(self, id: str, ticket: str) -> history.MessageHistory | None:
        if self._store is None:
            return None
        with self._store.read() as connection:
            found = history.of_message(connection, id)
            if found is None or found.erased:
                return None
            digest = history.key_hash_of(connection, found.account_id) or b""
        right = _ticket(digest, id).encode()
        return found if hmac.compare_digest(ticket.encode("utf-8", "replace"), right) else None


def is_over(found: history.MessageHistory) -> bool:
    """Whether a message's deliveries have all ended, or are uncertain."""
    return all(d.state in TERMINAL or d.state is State.UNCERTAIN for d in found.deliveries)


def _ticket(digest: bytes, id: str) -> str:
    """Proves that the visitor had the key when the message was sent; a new key invalidates it."""
    return hmac.digest(digest, f"follow {id}".encode(), "sha256").hex()


def _segments(message: str) -> Segments | str | None:
    """The segments of a text; None for no text; the reason for a text that cannot be sent."""
    if not message:
        return None
    try:
        validate_text(message)
        return count(message)
    except TextError as bad:
        return str(bad)
