"""Defines the options of commands that say what a key may do, and reads them."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import click
import phonenumbers
from pydantic import TypeAdapter, ValidationError

from ..accounts import ANY_SENDER, Rate
from ..routing.routes import SENDER
from ..settings.values import Hours, show_milliseconds
from ..sms.kinds import NAMES, Kind
from .options import CONFIG

_PERIODS = ("minute", "day", "month")
# A mail address, or `@domain` for all of its addresses.
_WRITER = re.compile(r"[^\s@,]*@[^\s@,.]+(\.[^\s@,.]+)*")
#: The words that --senders takes besides a list of senders.
_WORDS_FOR_SENDERS = {"any": frozenset({ANY_SENDER}), "none": None}


def limits(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what a key may do to a command."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print everything, as JSON."),
        click.option(
            "--test/--no-test", default=None, help="Send to the sandbox, never to a carrier."
        ),
        click.option(
            "--sender",
            metavar="S",
            help="Who the handset shows: digits or up to 11 letters; '' leaves it to the carrier.",
        ),
        click.option(
            "--senders",
            metavar="A,B",
            help="Who a request may name as sender: ACME,8000 and so on, any, or none.",
        ),
        click.option(
            "--countries", metavar="BE,FR", help="The only countries it may send to, or all."
        ),
        click.option(
            "--mail-senders",
            metavar="A,B",
            help="Who may send by e-mail: a@b.example,@c.example and so on, or any.",
        ),
        click.option(
            "--mail-body",
            type=click.Choice(["new", "whole"]),
            help="new: a mail's text without what it quotes; whole: the text as it is.",
        ),
        click.option(
            "--mail-machines",
            type=click.Choice(["on", "off", "listed"]),
            help="Whether alerts by mail become SMS; listed: where --mail-senders has a list.",
        ),
        click.option(
            "--validity", metavar="D", help="How long its messages are worth delivering, or none."
        ),
        click.option("--rate", metavar="R", help="1/min, 20/s, 100/h, 1000/day or none."),
        *(
            click.option(
                f"--parts-per-{period}",
                metavar="N",
                help=f"The most parts in a {period} (UTC), or none.",
            )
            for period in reversed(_PERIODS)
        ),
        click.option(
            "--kinds",
            metavar="A,B",
            help=f"Kinds of numbers that are open to it: {', '.join(NAMES)}; or none.",
        ),
        click.option(
            "--free/--no-free", default=None, help="Whether the settings of free keys hold for it."
        ),
        click.option("--multi/--no-multi", default=None, help="Up to four numbers in a request."),
        CONFIG,
    ):
        command = option(command)
    return command


def given(
    *,
    multi: bool | None = None,
    rate: str | None = None,
    countries: str | None = None,
    sender: str | None = None,
    senders: str | None = None,
    test: bool | None = None,
    mail_senders: str | None = None,
    mail_body: str | None = None,
    mail_machines: str | None = None,
    validity: str | None = None,
    kinds: str | None = None,
    free: bool | None = None,
    parts_per_minute: str | None = None,
    parts_per_day: str | None = None,
    parts_per_month: str | None = None,
) -> dict[str, Any]:
    """The given options, as arguments for the store."""
    chosen: dict[str, Any] = {}
    if multi is not None:
        chosen["multi"] = multi
    if test is not None:
        chosen["test"] = test
    if free is not None:
        chosen["free"] = free
    if kinds is not None:
        chosen["kinds"] = _kinds(kinds)
    parts = zip(_PERIODS, (parts_per_minute, parts_per_day, parts_per_month), strict=True)
    for period, most in parts:
        if most is not None:
            chosen[f"parts_per_{period}"] = _parts(f"--parts-per-{period}", most)
    if rate is not None:
        try:
            chosen["rate"] = Rate.parse(rate)
        except ValueError as error:
            raise click.UsageError(f"--rate {rate!r}: {error}") from None
    if countries is not None:
        chosen["countries"] = _countries(countries)
    if validity is not None:
        chosen["validity"] = _validity(validity)
    if mail_senders is not None:
        chosen["mail_senders"] = _mail_senders(mail_senders)
    if mail_body is not None:
        chosen["mail_whole"] = mail_body == "whole"
    if mail_machines is not None:
        chosen["mail_machines"] = {"on": True, "off": False, "listed": None}[mail_machines]
    if sender is not None:
        if not SENDER.fullmatch(sender):
            raise click.UsageError(
                f"--sender {sender!r}: a sender is up to 15 digits, or up to 11 letters and digits"
            )
        chosen["sender"] = sender
    if senders is not None:
        chosen["senders"] = _senders(senders)
    return chosen


def _kinds(text: str) -> frozenset[Kind] | None:
    names = frozenset(text.lower().replace(",", " ").split())
    if names == {"none"}:
        return None
    if not names or not names <= NAMES.keys():
        raise click.UsageError(
            f"--kinds {text!r}: allowed: {', '.join(NAMES)}, with a comma between them; or none"
        )
    return frozenset(NAMES[name] for name in names)


def _parts(option: str, text: str) -> int | None:
    if text.lower() == "none":
        return None
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise click.UsageError(f"{option} {text!r}: allowed: 1 to 999999999, or none")
    return int(text)


def _senders(text: str) -> frozenset[str] | None:
    word = text.strip().lower()
    if word in _WORDS_FOR_SENDERS:
        return _WORDS_FOR_SENDERS[word]
    listed = [each.strip() for each in text.split(",")]
    for sender in listed:
        # In a list these words are ambiguous: a sender, or all or none.
        if not (sender and SENDER.fullmatch(sender)) or sender.lower() in _WORDS_FOR_SENDERS:
            raise click.UsageError(
                f"--senders {text!r}: allowed: senders of up to 15 digits, or up to 11 letters "
                "and digits, with a comma between them; or any, or none"
            )
    return frozenset(sender.removeprefix("+") for sender in listed)


def _validity(text: str) -> int | None:
    return None if text.lower() == "none" else duration("--validity", text, "none")


def duration(option: str, text: str, word: str = "0") -> int:
    """The duration of an option, milliseconds. `word`: the text for no duration, such as 0."""
    if text == word == "0":
        return 0
    try:
        read: timedelta = TypeAdapter(Hours).validate_python(text)
    except ValidationError:
        raise click.UsageError(f"{option} {text!r}: allowed: 1m to 30d, or {word}") from None
    return read // timedelta(milliseconds=1)


def _mail_senders(text: str) -> frozenset[str] | None:
    if text.lower() == "any":
        return None
    senders = frozenset(text.lower().replace(",", " ").split())
    if not senders or not all(map(_WRITER.fullmatch, senders)):
        raise click.UsageError(
            f"--mail-senders {text!r}: allowed: addresses and @domains, such as "
            "a@b.example,@c.example, or any"
        )
    return senders


def _countries(text: str) -> frozenset[str] | None:
    if text.lower() == "all":
        return None
    codes = frozenset(text.upper().replace(",", " ").split())
    wrong = sorted(codes - phonenumbers.SUPPORTED_REGIONS)
    if wrong or not codes:
        raise click.UsageError(
            f"--countries {text!r}: a country is two letters (ISO 3166): BE,FR and so on, or all"
        )
    return codes


#: The options whose values the audit trail shows, and how. The others may contain numbers,
#: addresses and secrets, so the trail only shows that they were set.
_SHOWN: Mapping[str, Callable[[Any], object]] = {
    "multi": bool,
    "test": bool,
    "rate": lambda rate: "none" if rate is None else str(rate),
    "countries": lambda countries: "all" if countries is None else countries,
    "validity": lambda value: "none" if value is None else show_milliseconds(value),
}


def facts_of(options: Mapping[str, Any]) -> dict[str, object]:
    """The facts for the audit trail about these options of the store."""
    shown = {name: show(options[name]) for name, show in _SHOWN.items() if name in options}
    # A callback has several columns.
    others = {
        "callback" if name.startswith("callback") else name
        for name in options.keys() - _SHOWN.keys() - {"enabled"}
    }
    return {**shown, "set": others or None}
