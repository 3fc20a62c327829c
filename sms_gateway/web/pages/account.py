"""Serves the account pages: the rights of a key, its messages sent and received, and changes."""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from datetime import time as time_of_day

from sqlalchemy import Connection
from starlette.concurrency import iterate_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from ... import moments
from ...accounts import Account
from ...backend import PageBackend
from ...callers import Face
from ...caps import NO_CAPS, Cap, OperatorCaps
from ...codes import Code
from ...signup.sessions import Sessions
from ...sms.countries import countries
from ...sms.message import State
from ...store import Store, audit, counters, history
from ...store.audit import Action
from ...store.inbox import Received
from ..wrong_keys import WrongKeys
from . import chart
from .export import export
from .site import ERROR, Fields, Site, Visit
from .trial import is_over

#: States of a delivery that may be sent again.
AGAIN = (State.QUEUED, State.FAILED, State.EXPIRED, State.UNCERTAIN, State.UNDELIVERABLE)
_MOST = 25
#: Accounts whose counts are kept in memory.
_MOST_COUNTED = 1_000

#: How long the old key remains valid, by the form's value of `old`; milliseconds.
_OVERLAPS = {"day": 24 * 3_600_000, "now": 0}

Counts = Mapping[tuple[int, State], int]


class AccountPages:
    """`/account/`."""

    def __init__(
        self,
        site: Site,
        gateway: PageBackend,
        store: Store,
        sessions: Sessions,
        *,
        mail_domain: str | None,
        caps: OperatorCaps = NO_CAPS,
        region: str | None = None,
        audit_days: int,
        wrong_keys: WrongKeys,
    ) -> None:
        """`region`: the country of numbers without a country code (ISO 3166 alpha-2)."""
        self._site = site
        self._gateway = gateway
        self._store = store
        self._sessions = sessions
        self._mail_domain = mail_domain
        self._caps = caps
        self._region = region
        self._audit_days = audit_days
        self._counts: dict[int, tuple[float, Counts]] = {}
        self._wrong_keys = wrong_keys

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/account", self.overview, methods=["GET", "POST"]),
            Route("/account/signout", self.sign_out, methods=["POST"]),
            Route("/account/sent.csv", self.csv),
            Route("/account/received", self.received),
            Route("/account/activity", self.activity),
            Route("/account/message/{id}", self.message, methods=["GET", "POST"]),
            Route("/account/delete", self.delete, methods=["GET", "POST"]),
            Route("/account/key", self.rotate, methods=["GET", "POST"]),
            Route("/account/address", self.new_address, methods=["POST"]),
        ]

    # Signing in and out.

    async def _who(self, request: Request) -> tuple[Visit, Account | None]:
        visit = self._site.visit(request)
        if visit.fresh:
            return visit, None
        return visit, await asyncio.to_thread(self._sessions.account, visit.token)

    async def _signed_in(self, request: Request) -> tuple[Visit, Account, Fields]:
        """The visit, the account that is signed in, and the form that came.

        A visitor who is not signed in is redirected to sign in.
        """
        visit, account = await self._who(request)
        fields = await self._site.form(request, visit) if request.method == "POST" else {}
        if account is None:
            raise HTTPException(303, headers={"location": f"{self._site.root}/account/"})
        return visit, account, fields

    async def _sign_in(self, request: Request, visit: Visit) -> Response:
        fields = await self._site.form(request, visit)
        apikey = fields.get("apikey", "").strip()
        found = await asyncio.to_thread(self._sessions.sign_in, apikey) if apikey else None
        match found:
            case (token, _):
                response = self._site.see("/account/")
                # A new cookie: somebody may have planted the old one, and would know it.
                self._site.remember(response, token)
                return response
            case Account(enabled=True):
                problem = REPLACED
            case Account() as disabled:
                problem = Code.KEY_DISABLED.sentence
                self._wrong_keys.note(Action.SESSION_REFUSE, visit.network, disabled)
            case _ if apikey:
                problem = Code.KEY_WRONG.sentence
                wait = await self._wrong_keys.came(visit.network, Action.SESSION_REFUSE)
                if wait:
                    return self._sign_in_page(visit, problem=TOO_MANY, wait=wait, status=429)
            case _:
                problem = Code.KEY_MISSING.sentence
        return self._sign_in_page(visit, problem=problem, status=403)

    def _sign_in_page(
        self, visit: Visit, *, problem: str = "", wait: int = 0, status: int = 200
    ) -> Response:
        context = {"here": "account", "problem": problem, "wait": wait}
        response = self._site.page(visit, "signin.html", context, status)
        if wait:
            response.headers["retry-after"] = str(wait)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        visit, _, _ = await self._signed_in(request)
        await asyncio.to_thread(self._sessions.sign_out, visit.token)
        response = self._site.see("/account/")
        self._site.forget(response)
        return response

    # Pages that show.

    async def overview(self, request: Request) -> Response:
        """Options, chart and sent messages; without a session the form to sign in."""
        visit, account = await self._who(request)
        if request.method == "POST":
            return await self._sign_in(request, visit)
        if account is None:
            return self._sign_in_page(visit)
        before = request.query_params.get("before", "")
        if not re.fullmatch("[0-9a-f]{32}|", before):
            raise HTTPException(404)
        search = request.query_params.get("search", "").strip()[:200].replace("\0", "")
        texts = "texts" in request.query_params
        now = moments.now()
        whole = not before and not search

        def read() -> tuple[
            history.SentPage, chart.Chart | None, list[str], Sequence[tuple[Cap, int]]
        ]:
            with self._store.read() as connection:
                if search:
                    page = history.found_page(
                        connection,
                        account.id,
                        search,
                        before=before,
                        regions=self._regions(account),
                        texts=texts,
                        most=_MOST,
                    )
                else:
                    page = history.sent_page(connection, account.id, before=before, most=_MOST)
                if not whole:
                    return page, None, [], ()
                counts = self._counted(connection, account.id, now)
                numbers = list(history.numbers_of(connection, account.id))
                caps = self._caps.of_key(account.caps, free=account.free)
                parts = counters.used(connection, account.id, caps, now)
                return page, chart.chart(counts, now), numbers, parts

        page, bars, numbers, parts = await asyncio.to_thread(read)
        deleted = request.query_params.get("deleted", "")
        return self._site.page(
            visit,
            "account.html",
            {
                "here": "account",
                "account": account,
                "countries": _names(account, visit.language),
                "mail": self._mail(account),
                "old_keys": await asyncio.to_thread(self._sessions.old_keys, account),
                "readdressed": bool(self._mail_domain) and "address" in request.query_params,
                "numbers": numbers,
                "parts": parts,
                "kinds": sorted(account.kinds),
                "chart": bars,
                "fates": chart.DRAWN,
                "page": page,
                "first": not before,
                "search": search,
                "deleted": int(deleted) if re.fullmatch("[0-9]{1,9}", deleted) else None,
            },
        )

    def _regions(self, account: Account) -> list[str]:
        """The countries in whose national form an account's numbers may have been written."""
        here = [] if self._region is None else [self._region]
        return [*here, *sorted((account.countries or frozenset()) - {*here})]

    def _counted(self, connection: Connection, account_id: int, now: int) -> Counts:
        """The counts for the chart.

        Counting a million messages takes seconds. So counts are cached, for twenty times as long as
        the counting took.
        """
        began = time.monotonic()
        until, counts = self._counts.get(account_id, (0.0, {}))
        if began >= until:
            counts = history.by_day(connection, account_id, chart.first_day(now))
            ended = time.monotonic()
            while len(self._counts) >= _MOST_COUNTED:
                self._counts.pop(next(iter(self._counts)))
            self._counts[account_id] = (ended + 20 * (ended - began), counts)
        return counts

    async def message(self, request: Request) -> Response:
        """The history of one message; a form sends the message again."""
        visit, account, _ = await self._signed_in(request)
        id = request.path_params["id"]
        if request.method == "POST":
            reply = await self._gateway.resend_for(account.id, id)
            return self._site.see(f"/account/message/{_id(id)}?answer={reply.error:d}")

        def read() -> history.MessageHistory | None:
            with self._store.read() as connection:
                return history.of_message(connection, id)

        found = await asyncio.to_thread(read)
        if found is None or found.account_id != account.id or found.erased:
            raise HTTPException(404)
        answer = request.query_params.get("answer", "")
        return self._site.page(
            visit,
            "message.html",
            {
                "here": "account",
                "found": found,
                "ended": is_over(found),
                "again": any(d.state in AGAIN and d.recipient for d in found.deliveries),
                "answer": next((code for code in Code if str(code.value) == answer), None),
            },
        )

    async def received(self, request: Request) -> Response:
        """The messages that the account's numbers received."""
        visit, account, _ = await self._signed_in(request)
        before = request.query_params.get("before", str(2**62))
        if not re.fullmatch("[0-9]{1,18}|" + str(2**62), before):
            raise HTTPException(404)

        def read() -> tuple[list[Received], list[str]]:
            with self._store.read() as connection:
                found = history.received_page(
                    connection, account.id, before=int(before), most=_MOST + 1
                )
                return list(found), list(history.numbers_of(connection, account.id))

        found, numbers = await asyncio.to_thread(read)
        context = {
            "here": "account",
            "messages": found[:_MOST],
            "numbers": numbers,
            "before": found[_MOST - 1].id if len(found) > _MOST else "",
        }
        return self._site.page(visit, "received.html", context)

    async def activity(self, request: Request) -> Response:
        """The account's entries in the audit trail."""
        visit, account, _ = await self._signed_in(request)
        before = request.query_params.get("before", "")
        if not re.fullmatch("[0-9]{0,18}", before):
            raise HTTPException(404)

        def read() -> Sequence[audit.Entry]:
            with self._store.read() as connection:
                last = int(before) if before else 2**62
                return audit.page(connection, account.id, before=last, most=_MOST + 1)

        found = await asyncio.to_thread(read)
        context = {
            "here": "account",
            "entries": found[:_MOST],
            "faces": FACES,
            "days": self._audit_days,
            "first": not before,
            "before": found[_MOST - 1].id if len(found) > _MOST else "",
        }
        return self._site.page(visit, "activity.html", context)

    async def csv(self, request: Request) -> Response:
        """The sent history, for a spreadsheet."""
        _, account, _ = await self._signed_in(request)
        return StreamingResponse(
            iterate_in_threadpool(export(self._store, account.id)),
            headers={
                "cache-control": "no-store",
                "content-disposition": 'attachment; filename="sent.csv"',
                "x-content-type-options": "nosniff",
            },
            media_type="text/csv; charset=utf-8",
        )

    # Pages that change.

    async def delete(self, request: Request) -> Response:
        """Delete the sent history, all of it or the part before a date; asks first."""
        visit, account, fields = await self._signed_in(request)
        given = fields if request.method == "POST" else request.query_params
        everything = given.get("what", "older") == "all"
        day = given.get("before", "")
        before = None if everything else _midnight(day)
        wrong = bool(day) and before is None and not everything
        # Deletes only what the page before has announced.
        if fields.get("sure") == "yes" and (everything or before is not None):
            reply = await self._gateway.delete_for(account.id, before=before)
            if reply.error:
                context = {"title": ERROR, "why": reply.error.sentence}
                return self._site.page(visit, "problem.html", context, 500)
            return self._site.see(f"/account/?deleted={reply.sent}")
        asking: dict[str, object] = {
            "here": "account",
            "everything": everything,
            "day": "" if wrong else day,
            "before": before,
            "wrong": wrong,
            "asked": everything or before is not None,
        }
        return self._site.page(visit, "delete.html", asking, 400 if wrong else 200)

    async def rotate(self, request: Request) -> Response:
        """Replace the key, and show the new one once; the old one may stay valid for a day."""
        visit, account, fields = await self._signed_in(request)
        overlap = _OVERLAPS.get(fields.get("old", ""))
        if overlap is None:
            context = {
                "here": "account",
                "account": account,
                "old_keys": await asyncio.to_thread(self._sessions.old_keys, account),
                "mail": self._mail(account),
                "wrong": request.method == "POST",
            }
            return self._site.page(visit, "rotate.html", context, 400 if context["wrong"] else 200)
        key = await asyncio.to_thread(self._sessions.rotate, account, overlap)
        if key is None:  # deleted meanwhile
            return self._site.see("/account/")
        old = await asyncio.to_thread(self._sessions.old_keys, account)
        context = {"key": key, "rotated": True, "old_keys": old}
        return self._site.page(visit, "key.html", context)

    async def new_address(self, request: Request) -> Response:
        """Replace the account's mail address, as somebody else knows the old one."""
        _, account, _ = await self._signed_in(request)
        if not self._mail_domain:
            raise HTTPException(404)
        await asyncio.to_thread(self._sessions.new_address, account)
        return self._site.see("/account/?address=new")

    def _mail(self, account: Account) -> str:
        return f"{account.mail_address}@{self._mail_domain}" if self._mail_domain else ""


def _names(account: Account, language: str) -> list[str] | None:
    """The countries an account may send to; None is all."""
    if account.countries is None:
        return None
    return [c.name for c in countries(language) if c.code in account.countries]


def _id(id: str) -> str:
    """An id that is safe in a URL; "unknown" for an invalid one."""
    return id if re.fullmatch("[0-9a-f]{32}", id) else "unknown"


def _midnight(day: str) -> int | None:
    """The beginning of a day (UTC), in Unix milliseconds; None for an invalid date."""
    try:
        midnight = datetime.combine(date.fromisoformat(day), time_of_day(), UTC)
    except ValueError:
        return None
    milliseconds = int(midnight.timestamp()) * 1_000
    return milliseconds if milliseconds >= 0 else None


# Sentences of the pages; the templates look them up.
REPLACED = "A new key has taken the place of this one: sign in with the new one"
TOO_MANY = "Too many wrong keys came from your network"
#: The actor of an entry in the audit trail. The page does not tell which operator it was.
FACES = {
    Face.COMMAND: "the operator",
    Face.PAGE: "on these pages",
    Face.API: "a program with the key",
    Face.GATEWAY: "the gateway",
}
