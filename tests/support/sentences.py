"""All sentences that people read on pages and in mails, as the code has them."""

from collections.abc import Iterator
from pathlib import Path

from babel.messages.extract import extract
from jinja2.ext import babel_extract

import sms_gateway
from sms_gateway.codes import Code
from sms_gateway.sms import readings
from sms_gateway.sms.kinds import Kind
from sms_gateway.sms.message import Fate, State
from sms_gateway.store import audit
from sms_gateway.web.pages import account, developer, free_key, site
from sms_gateway.words import reasons

ROOT = Path(sms_gateway.__file__).parent
_OPTIONS = {"trimmed": "false", "silent": "false"}
#: What a delivery's journal calls its steps, besides the states.
EVENTS = (
    "accepted",
    "claimed",
    "put off",
    "refused",
    "not answered",
    "not written",
    "resend",
    "rerouted",
    "receipt",
    "pushed",
    "not pushed",
)


def sentences() -> set[str | tuple[str, str]]:
    """Each sentence; a pair where a number decides."""
    found: set[str | tuple[str, str]] = set()
    for template in (ROOT / "web/templates").glob("*.html"):
        with template.open("rb") as file:
            for _, _, message, _ in babel_extract(file, ("_", "ngettext"), [], _OPTIONS):
                found.update(_ones(message))
    for module in ROOT.rglob("*.py"):
        with module.open("rb") as file:
            for _, message, _, _ in extract("python", file, {"_": None}):
                found.update(_ones(message))
    return found | set(_from_tables())


def _ones(message: object) -> Iterator[str | tuple[str, str]]:
    match message:
        case (str(one), str(many), *_):
            yield one, many
        case (str(sentence), *_) | str(sentence):
            yield sentence


def _from_tables() -> Iterator[str | tuple[str, str]]:
    """What templates look up by what they are given."""
    yield from (code.sentence for code in Code)
    yield from (state.value for state in State)
    yield from (fate.value for fate in Fate)
    yield from site.COUNTED.values()
    yield from EVENTS
    yield from ("open", "closed")
    yield from Kind
    yield from readings.NOTES.values()
    yield from readings.HOW
    yield from reasons.SENTENCES
    yield from (sentence for _, sentence in reasons.FORMS)
    yield reasons.QUOTED
    yield reasons.ADVISED
    yield from audit.WORDS.values()
    yield from account.FACES.values()
    yield from (free_key.NO_ADDRESS, free_key.TOO_OFTEN, account.TOO_MANY, account.REPLACED)
    # The titles of the page that says what is wrong; what it says is among the reasons.
    yield from (*site.TITLES.values(), site.ERROR)
    yield from (sample.needs for sample in developer.SAMPLES if sample.needs)
    yield from developer.PARAMETERS.values()
    yield from (what for what, _ in developer.REFERENCE.values())
