"""Defines the commands about dedicated numbers: the account of a number receives its messages."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import click
from sqlalchemy.exc import IntegrityError

from .. import database
from ..deliver.ledger.owners import owners
from ..errors import UnavailableError
from ..moments import iso, now
from ..settings import Settings
from ..sms.address import AddressError, TooManyNumbersError, parse_recipients
from ..sms.stop_words import bare
from ..store import accounts, audit, inbox
from ..store.audit import Action
from .options import CONFIG, settings_of

# Carriers also assign short codes; the shortest have three digits.
_SHORT_CODE = re.compile(r"[0-9]{3,8}")
# Always a short code. Some countries have phone numbers as short; these need a +.
_ALWAYS_SHORT = re.compile(r"[1-9][0-9]{2,5}")
#: A received message is looked at no further.
_LONGEST_KEYWORD = 40


@click.group()
def number() -> None:
    """Dedicated numbers: who receives what is sent to them."""


@number.command()
@click.argument("number")
@click.argument("key")
@click.option("--with-unowned", is_flag=True, help="Give it what came while nobody had NUMBER.")
@click.option("--keyword", metavar="WORD", help="Only messages whose first word is WORD.")
@CONFIG
@click.pass_context
def assign(
    ctx: click.Context,
    /,
    number: str,
    key: str,
    with_unowned: bool,
    keyword: str | None,
    config: Path | None,
) -> None:
    """Give NUMBER to the key named KEY.

    What comes in on it from now on is received by /getsms/ with that key. NUMBER is an
    international number or a short code; three to six digits without + are a short code.

    With --keyword keys share a number that another key has: KEY receives the messages whose first
    word is WORD, whatever its case and accents.
    """
    settings = settings_of(ctx, config)
    digits = digits_of(number, settings.default_region)
    if keyword is not None:
        if with_unowned:
            raise click.UsageError("--with-unowned is for whole numbers, without --keyword")
        _assign_keyword(settings, digits, key, keyword)
        return
    with database.opened(settings) as store:
        with store.read() as connection:
            account = accounts.by_name(connection, key)
            owner = {row.digits: row.account for row in inbox.numbers(connection)}.get(digits)
        if account is None:
            raise UnavailableError(f"there is no key named {key!r}; sendsmsnow key list shows all")
        taken = UnavailableError(f"the number {digits} has been given to {owner or 'another key'}")
        if owner is not None:
            raise taken
        try:
            with store.write() as connection:
                inbox.assign(connection, digits, account.id, now())
                unowned = inbox.unowned(connection)
                found = owners(connection, [row.recipient for row in unowned])
                theirs = [row for row in unowned if found.get(row.recipient, ("",))[0] == digits]
                if with_unowned:
                    inbox.give_unowned(connection, [r.recipient for r in theirs], account.id)
                facts = {"number": audit.masked(digits), "with_unowned": with_unowned}
                audit.record(connection, Action.NUMBER_ASSIGN, account, facts, now=now())
        except IntegrityError:
            raise taken from None
    click.echo(f"{digits} {account.name}")
    if theirs:
        count = sum(row.messages for row in theirs)
        what = "given to it" if with_unowned else "kept for nobody (--with-unowned gives them)"
        click.echo(f"messages that had come before: {count}, {what}", err=True)


def _assign_keyword(settings: Settings, digits: str, key: str, keyword: str) -> None:
    """Give a key the messages to a number that begin with a word."""
    word = _word(keyword)
    with database.opened(settings) as store:
        with store.read() as connection:
            account = accounts.by_name(connection, key)
            shared = {(row.digits, row.word): row.account for row in inbox.keywords(connection)}
            is_owned = digits in {row.digits for row in inbox.numbers(connection)}
        if account is None:
            raise UnavailableError(f"there is no key named {key!r}; sendsmsnow key list shows all")
        if not is_owned:
            raise UnavailableError(
                f"nobody has the number {digits}: give it to the key that receives all other "
                f"messages first, sendsmsnow number assign {digits} KEY"
            )
        owner = shared.get((digits, word), "another key")
        taken = UnavailableError(f"the keyword {word} of {digits} has been given to {owner}")
        if (digits, word) in shared:
            raise taken
        try:
            with store.write() as connection:
                inbox.assign_keyword(connection, digits, word, account.id, now())
                facts = {"number": audit.masked(digits), "keyword": word}
                audit.record(connection, Action.NUMBER_ASSIGN, account, facts, now=now())
        except IntegrityError:
            raise taken from None
    click.echo(f"{digits} {word} {account.name}")


def _word(keyword: str) -> str:
    word = bare(keyword)
    if not word or " " in word or len(word) > _LONGEST_KEYWORD:
        raise click.UsageError(
            f"--keyword {keyword!r}: allowed is one word of up to {_LONGEST_KEYWORD} letters and "
            "digits"
        )
    return word


@number.command("unowned")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@CONFIG
@click.pass_context
def list_unowned(ctx: click.Context, /, config: Path | None, as_json: bool) -> None:
    """List the numbers that messages came to and nobody has."""
    with database.opened(settings_of(ctx, config)) as store, store.read() as connection:
        rows = [
            (row.recipient, row.messages, iso(row.last_at, "seconds"))
            for row in inbox.unowned(connection)
        ]
    columns = (("number", "NUMBER", "15"), ("messages", "MESSAGES", ">8"), ("last_at", "LAST", ""))
    _list(rows, columns, as_json)


@number.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@CONFIG
@click.pass_context
def list_numbers(ctx: click.Context, /, config: Path | None, as_json: bool) -> None:
    """List all dedicated numbers with their keys."""
    with database.opened(settings_of(ctx, config)) as store, store.read() as connection:
        rows = [
            (row.digits, word, iso(row.assigned_at, "seconds"), row.account)
            for word, row in (
                *(("", row) for row in inbox.numbers(connection)),
                *((row.word, row) for row in inbox.keywords(connection)),
            )
        ]
    rows.sort(key=lambda row: row[:2])
    columns = (
        ("number", "NUMBER", "15"),
        ("keyword", "KEYWORD", "10"),
        ("assigned_at", "ASSIGNED", "20"),
        ("key", "KEY", ""),
    )
    _list(rows, columns, as_json)


def _list(
    rows: Sequence[tuple[object, ...]], columns: Sequence[tuple[str, str, str]], as_json: bool
) -> None:
    """Print rows as JSON, or as a table. `columns`: name in JSON, heading and format of each."""
    names, headings, formats = zip(*columns, strict=True)
    if as_json:
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return
    for row in (headings, *rows):
        cells = [format(cell, form) for cell, form in zip(row, formats, strict=True)]
        click.echo("  ".join(cells))


@number.command()
@click.argument("number")
@click.option("--keyword", metavar="WORD", help="Only this keyword; the number stays.")
@CONFIG
@click.pass_context
def release(ctx: click.Context, /, number: str, keyword: str | None, config: Path | None) -> None:
    """Take NUMBER back, with all of its keywords; what it has received stays with its key."""
    settings = settings_of(ctx, config)
    digits = digits_of(number, settings.default_region)
    with database.opened(settings) as store, store.write() as connection:
        if keyword is not None:
            word = _word(keyword)
            shared = {(row.digits, row.word): row.account for row in inbox.keywords(connection)}
            if not inbox.release_keywords(connection, digits, word):
                raise UnavailableError(
                    f"{digits} has no keyword {word}; sendsmsnow number list shows all"
                )
            account = accounts.by_name(connection, shared.get((digits, word), ""))
            facts = {"number": audit.masked(digits), "keyword": word}
            audit.record(connection, Action.NUMBER_RELEASE, account, facts, now=now())
            return
        inbox.release_keywords(connection, digits)
        owner = {row.digits: row.account for row in inbox.numbers(connection)}.get(digits, "")
        if not inbox.release(connection, digits):
            raise UnavailableError(
                f"nobody has the number {digits}; sendsmsnow number list shows all"
            )
        account = accounts.by_name(connection, owner)
        facts = {"number": audit.masked(digits)}
        audit.record(connection, Action.NUMBER_RELEASE, account, facts, now=now())


def digits_of(number: str, region: str | None) -> str:
    """The stored form of a dedicated number; UsageError for any other text."""
    if _ALWAYS_SHORT.fullmatch(number):
        return number
    try:
        (address,) = parse_recipients(number, region)
        return address.number.removeprefix("+")
    except (AddressError, TooManyNumbersError, ValueError):
        if _SHORT_CODE.fullmatch(number):
            return number
    raise click.UsageError(f"{number!r} is neither an international number nor a short code")
