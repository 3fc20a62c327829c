"""Defines the commands that list routes and check the way of a number."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

from .. import database
from ..accept.request import RefusedError
from ..accept.rules import Acceptance
from ..accounts import ANY_SENDER, Account, key_hash
from ..backend import Reply, Submission
from ..bootstrap import gateway, upstreams
from ..codes import Code
from ..deliver.ledger.owners import owners
from ..errors import UnavailableError
from ..moments import now
from ..routing.conditions import Case
from ..routing.operators import may_be_ported, operator_of
from ..routing.routes import TEST, Route, Routes
from ..settings.values import show_milliseconds
from ..sms.kinds import NAMES
from ..sms.readings import Reading, readings
from ..sms.segments import TextError, measure, plain
from ..store import accounts, queue, workers
from .options import CONFIG, e164, settings_of


@click.group()
def route() -> None:
    """Routes: which numbers leave by which upstreams."""


@route.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@CONFIG
@click.pass_context
def list_routes(ctx: click.Context, /, config: Path | None, as_json: bool) -> None:
    """List all routes of the settings."""
    routes = upstreams.routes(settings_of(ctx, config))
    for each in sorted(routes.all(), key=lambda route: route.prefix):
        if each is not TEST:
            facts = described(each)
            line = "  ".join(f"{name}={value}" for name, value in facts.items())
            click.echo(json.dumps(facts) if as_json else line)


@route.command()
@click.argument("number")
@click.option("--key", "name", metavar="NAME", help="For the key of this name.")
@click.option("--apikey", metavar="KEY", help="For this key.")
@click.option("--message", metavar="TEXT", help="With this text.")
@click.option("--sender", metavar="SENDER", default="", help="From this sender.")
@CONFIG
@click.pass_context
def check(
    ctx: click.Context,
    /,
    number: str,
    name: str | None,
    apikey: str | None,
    message: str | None,
    sender: str,
    config: Path | None,
) -> None:
    """Say where a message to NUMBER would go, and why; nothing is sent.

    Every rule is asked that a message is accepted by. The exit status is 1 when it would be
    refused.
    """
    settings = settings_of(ctx, config)
    routes, rules = upstreams.routes(settings), gateway.rules(settings)
    address = e164(number, settings.default_region)
    (reading,) = readings(number, settings.default_region)
    # Without --message: one character that every alphabet has.
    text = "x" if message is None else message
    with database.opened(settings) as store:
        with store.read() as connection:
            account = _account(connection, name, apikey)
            case = _case(address.number, account or _ANYBODY, sender, text)
            found = routes.special(case) or routes.find(address.number)
            steps = list(_weighed(routes, case))
            if account is not None and account.test:
                found, steps = TEST, []
            lines = [*told(connection, rules, reading, account, found)]
            lines[1:1] = [*_own_number(connection, address.number), *steps]
            if found is not None:
                lines += _rewritten(found, case)
        for line in lines:
            click.echo(line)
        try:
            submission = Submission(number, text, sender=sender)
            request = rules.check(account or _ANYBODY, submission)
            if message is not None:
                click.echo(f"{request.encoding}, parts: {request.recipients[0][2]}")
            refusal = None if account is None else _refusal(rules.try_out(store, request))
        except RefusedError as error:
            refusal = _told(error.reply.error, error.for_operator)
    if refusal:
        raise UnavailableError(f"it would be refused: {refusal}")
    click.echo("it would be accepted")


def _refusal(reply: Reply | None) -> str:
    """The reason why a message would be refused; empty if it would be accepted."""
    if reply is None:
        return "the key has changed meanwhile; try again"
    return _told(reply.error, reply.note or reply.error.sentence) if reply.error else ""


def _told(code: Code, why: str) -> str:
    """A code and its reason, as a part of a sentence."""
    return f"code {code:d}, " + (why[0].lower() + why[1:] if why[1:2].islower() else why)


# The account for a check without a key: it may do everything that a key can.
_ANYBODY = Account(
    id=0,
    name="",
    key_hint="",
    enabled=True,
    multi=True,
    test=False,
    rate=None,
    countries=None,
    sender="",
    senders=frozenset({ANY_SENDER}),
    mail_address="",
    mail_senders=None,
    version=0,
    created_at=0,
)


def _account(connection: Connection, name: str | None, apikey: str | None) -> Account | None:
    if name is None and apikey is None:
        return None
    found = (
        accounts.by_name(connection, name)
        if name is not None
        else accounts.by_key(connection, key_hash(apikey or ""), now())
    )
    if found is None:
        raise UnavailableError("there is no such key; sendsmsnow key list shows all")
    return found


def told(
    connection: Connection,
    rules: Acceptance,
    reading: Reading,
    account: Account | None,
    found: Route | None,
) -> Iterator[str]:
    """The lines that say where a message to a number goes, and why."""
    yield f"{reading.number} is a number of {reading.country}"
    if reading.how:
        yield reading.how % {"region": reading.region, "other": reading.other}
    yield f"kind: {reading.kind}" + (f". {reading.note}" if reading.note else "")
    if found is None:
        return
    if found is TEST:
        yield "the key is for tests: its messages go to the sandbox only"
    elif found.when is not None:
        yield f"route {found.prefix}: the first of which all conditions hold"
    elif found.prefix:
        yield f"route {found.prefix}: the longest prefix that fits"
    else:
        yield "the route for every number: no longer prefix fits"
    for name, value in described(found).items():
        if name != "prefix":
            yield f"  {name}: {value}"
    if account is not None:
        yield f"from {found.sender_for(account.sender) or 'whoever the carrier puts there'}"
        yield f"worth delivering for {show_milliseconds(rules.validity(account, found))}"
    until = found.quiet and found.quiet.until(reading.number, now())
    if until:
        yield f"now are quiet hours: it would wait until {queue.moment(until)}"
    yield f"{queue.waiting(connection, found.prefix)} messages wait on this route"
    if found.closed:
        return
    alive = workers.alive(connection, now=now())
    if not alive:
        yield "no worker is running"
    # Each worker decides by the state of its own connections.
    for worker, failed in alive.items():
        serving = [each for each in found.upstreams if each not in failed]
        chosen = ", ".join(serving if found.weights else serving[:1]) or "none"
        named = ", ".join(each for each in found.upstreams if each in failed)
        yield f"worker {worker} sends by {chosen}" + (
            f"; others stand in for {named}" if named else ""
        )


def _case(number: str, account: Account, sender: str, text: str) -> Case:
    """The message as conditions see it; one that is refused anyway counts as of one part."""
    text = plain(text)
    try:
        parts = measure(text).parts
    except TextError:
        parts = 1
    return Case(number, account.name, sender or account.sender, text, parts, now())


def _weighed(routes: Routes, case: Case) -> Iterator[str]:
    """What became of each route with conditions that was asked, and the operator if one asked."""
    asked = list(routes.weigh(case))
    if any(each.when is not None and each.when.operators for each, _ in asked):
        yield _operator(case.number)
    for each, unmet in asked:
        yield f"route {each.prefix}: " + (f"passed over, {unmet}" if unmet else "takes it")


def _operator(number: str) -> str:
    told = f"operator by its range: {operator_of(number) or 'unknown'}"
    return told + "; it may have been ported to another" * may_be_ported(number)


def _own_number(connection: Connection, number: str) -> Iterator[str]:
    owner = owners(connection, [number]).get(number)
    if owner is not None:
        yield "this is a dedicated number of this gateway: the message would come back to it"


def _rewritten(route: Route, case: Case) -> Iterator[str]:
    """What the rules of a route change."""
    sender, text = route.sender_after_rules(case.sender), route.text_for(case.text)
    if sender != case.sender:
        yield f"its rules make the sender {case.sender!r} {sender!r}"
    if text != case.text:
        yield f"its rules rewrite the text: {len(case.text)} characters become {len(text)}"


def described(route: Route) -> dict[str, Any]:
    """The options that a route sets."""
    weights = route.weights or ("",) * len(route.upstreams)
    upstreams = [
        f"{name}:{weight}" if weight else name
        for name, weight in zip(route.upstreams, weights, strict=True)
    ]
    if route.prices:
        prices = zip(route.upstreams, route.prices, strict=True)
        upstreams = [f"{name} at {price:g}" for name, price in prices]
    facts: dict[str, Any] = {
        "prefix": route.prefix or "(every number)",
        "upstreams": ",".join(upstreams),
        "closed": "yes" if route.closed else "",
        "uncertain": "" if route.closed else "resend" if route.resend else "hold",
        "rate": route.rate and f"{route.rate:g}/s",
        "window": route.window,
        "validity": route.validity and show_milliseconds(route.validity),
        "alphabet": route.alphabet,
        "senders": "" if route.senders == "any" else str(route.senders),
        "sender": route.sender,
        "kinds": ",".join(name for name, kind in NAMES.items() if kind in route.kinds),
        "quiet": route.quiet and str(route.quiet),
    }
    return {name: value for name, value in facts.items() if value not in ("", None)}
