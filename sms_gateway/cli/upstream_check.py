"""Defines `sendsmsnow upstream check`: an upstream is tried, or what it would send is shown."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path
from typing import BinaryIO

import click

from .. import database
from ..bootstrap.upstreams import described, masked, upstreams
from ..errors import UnavailableError
from ..moments import now
from ..remote.answers import Answer, InvalidAnswerError
from ..settings import Settings
from ..sms.message import TERMINAL
from ..sms.segments import count
from ..store import receipts
from ..upstream import Delivery
from ..upstream.checking import Step, send, steps
from ..upstream.http_provider import HttpProvider
from .options import CONFIG, e164, settings_of

#: A number that nobody has (the range of Ofcom for drama).
_NOBODY = "+447700900123"
_TEXT = "Test message of sendSmsNow"
#: A name of a header, a field or an element whose value is not shown: a secret may stand literally
#: in the table, where nothing else tells it from other values.
_NAME = r"(?:auth|token|secret|pass|pwd|key|sign|credential)"
_SECRET = re.compile(f"(?i){_NAME}")
#: Such values in a query or a form, in JSON, and in elements and attributes of XML.
_VALUES = [
    (re.compile(pattern, re.IGNORECASE), shown)
    for pattern, shown in (
        (rf"((?:^|[?&\s])[^=&\s?<>\"']*{_NAME}[^=&\s<>\"']*=)[^&\s<>\"']+", r"\1***"),
        (rf'("[^"]*{_NAME}[^"]*"\s*:\s*)(?:"(?:[^"\\]|\\.)*"|[-0-9.eE+]+)', r'\1"***"'),
        (rf"(<[\w:.-]*{_NAME}[\w:.-]*(?:\s[^<>]*)?>)[^<]+", r"\1***"),
        (rf"([\w:.-]*{_NAME}[\w:.-]*\s*=\s*)(\"|')[^\"'<>]*\2", r"\1\2***\2"),
    )
]


@click.command()
@click.argument("name")
@click.option(
    "--answer", type=click.File("rb"), metavar="FILE", help="Judge this answer (- : stdin)."
)
@click.option("--status", type=int, default=200, help="The HTTP status of the answer (200).")
@click.option(
    "--send", "number", metavar="NUMBER", help="Send a real message, and await its receipt."
)
@click.option("--sender", default="", help="Who the message is from.")
@click.option("--text", default=_TEXT, help="The text of the message.")
@click.option("--wait", type=float, default=60, help="Seconds to wait for the receipt (60).")
@click.option("--dry-run", is_flag=True, help="Show the request, and connect to nothing.")
@CONFIG
@click.pass_context
def check(
    ctx: click.Context,
    /,
    name: str,
    answer: BinaryIO | None,
    status: int,
    number: str | None,
    sender: str,
    text: str,
    wait: float,
    dry_run: bool,
    config: Path | None,
) -> None:
    """Try the upstream NAME: look it up, connect, sign in; nothing is sent without --send.

    For providers by HTTP it shows the request that would go out, with *** for secrets.
    """
    settings = settings_of(ctx, config)
    urls = settings.upstream_urls()
    if name not in urls:
        raise UnavailableError(f"there is no upstream {name!r}; there are {', '.join(urls)}")
    shown = masked(name, settings)
    if answer is not None:
        if shown is None:
            raise click.UsageError("--answer is for providers by HTTP")
        click.echo(_judged(shown, Answer(status, None, answer.read())))
        return
    if shown is not None:
        region = settings.default_region
        to = f"+{e164(number, region).digits}" if number else _NOBODY
        click.echo(_request(shown, text, sender, to))
    if dry_run:
        return
    found = upstreams(settings)[name]
    within = 15.0
    tried = asyncio.run(_shown(steps(found, within)))
    if tried and number:
        to = f"+{e164(number, settings.default_region).digits}"
        stored = _stored(settings, name) if described(name, urls[name]) else None
        tried = asyncio.run(
            _shown(
                send(
                    upstreams(settings)[name],
                    to,
                    text,
                    sender=sender,
                    within=within,
                    wait=wait,
                    stored=stored,
                )
            )
        )
    if not tried:
        ctx.exit(1)


async def _shown(found: AsyncIterator[Step]) -> bool:
    """Show steps as they are done; whether none has failed."""
    is_fine = True
    async for step in found:
        word = {True: "ok", False: "FAILED", None: "-"}[step.is_ok]
        click.echo(f"{step.name:9} {word:7} {step.told}")
        is_fine = is_fine and step.is_ok is not False
    return is_fine


def _stored(settings: Settings, name: str) -> Callable[[Sequence[str]], str]:
    """Finds the receipts that a running gateway was pushed."""

    def state(ids: Sequence[str]) -> str:
        try:
            with database.opened(settings) as store, store.read() as connection:
                found = receipts.states_of_early(connection, name, ids)
        except UnavailableError:
            return ""  # no gateway has run here
        return next((each for each in found if each in TERMINAL), "")

    return state


def _request(provider: HttpProvider, text: str, sender: str, recipient: str) -> str:
    """The request for a text, as HTTP has it, with *** for secrets."""
    segments = count(text)
    delivery = Delivery(
        id=1,
        message_id="0" * 32,
        sender=sender,
        recipient=recipient,
        text=text,
        encoding=segments.encoding,
        parts=segments.parts,
        expires_at=now() + 86_400_000,
    )
    request = provider.request(delivery)
    auth = provider.table.auth
    own = {name.lower() for name in (auth.header, auth.query) if name} if auth else set()
    lines = [f"{request.method} {_masked(provider.options.url.rstrip('/') + request.path, own)}"]
    lines += [
        f"{header}: {'***' if header.lower() in own or _SECRET.search(header) else value}"
        for header, value in request.headers.items()
    ]
    if request.body:
        lines += ["", _masked(request.body.decode("utf-8", "replace"), own)]
    return "\n".join(lines).replace("%2A%2A%2A", "***") + "\n"


def _masked(text: str, own: Collection[str]) -> str:
    """An address or a body with *** for values whose names are those of secrets.

    `own`: names of fields, in lower case, that hold one whatever they are called.
    """
    for pattern, shown in _VALUES:
        text = pattern.sub(shown, text)
    for name in own:
        text = re.sub(rf"(?i)([?&]{re.escape(name)}=)[^&\s]+", r"\1***", text)
    return text


def _judged(provider: HttpProvider, answer: Answer) -> str:
    """What an answer means."""
    try:
        judgement = provider.judge(answer)
    except InvalidAnswerError as error:
        repeat = "the request is repeated" if provider.options.idempotent else "it is uncertain"
        return f"uncertain: {error}; nobody knows whether it was accepted: {repeat}"
    told = [str(judgement.outcome)]
    if judgement.ids:
        told.append(f"as {', '.join(judgement.ids)}")
    if judgement.reason:
        told.append(f"({judgement.reason})")
    if judgement.is_throttled:
        told.append("- the pace becomes slower")
    if judgement.is_locked_out:
        told.append("- nothing is sent until somebody has put it right")
    return " ".join(told)
