"""The vocabulary in which a provider by HTTP is described: `[upstreams.NAME]` with kind = "http",
and the files in `providers/`. docs/use/http.md explains it.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from .http_options import HttpOptions
from .locate import Format
from .push import STATES
from .signing import Hash

#: The words for what an error means.
Meaning = Literal["refused", "retry", "throttled", "busy", "locked", "uncertain"]
MEANINGS: tuple[str, ...] = ("refused", "retry", "throttled", "busy", "locked", "uncertain")

#: One value, or several of which any will do.
Some = str | tuple[str, ...]


_Model = TypeVar("_Model", bound=BaseModel)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Asked(_Table):
    """A request: below `url`, with templates in it."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: str = ""
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    form: dict[str, str] | None = None
    json_: Annotated[dict[str, Any] | list[Any] | str | None, Field(alias="json")] = None
    xml: str | None = None
    text: str | None = None
    media_type: str = ""

    @model_validator(mode="after")
    def _has_one_body(self) -> "Asked":
        bodies = [self.form, self.json_, self.xml, self.text]
        if sum(body is not None for body in bodies) > 1:
            raise ValueError("it has one of form, json, xml and text")
        if self.media_type and self.xml is None and self.text is None:
            raise ValueError("media_type goes with xml or text")
        return self


class Accepted(_Table):
    """How an answer says that the message is accepted."""

    status: tuple[int, ...] = ()
    when: dict[str, Some] = {}
    each: str | None = None
    id: Some = ()


class Receipts(_Table):
    """Where the receipts stand in what is pushed."""

    when: dict[str, Some] = {}
    each: str | None = None
    id: Some
    status: Some
    recipient: Some = ()
    error: Some = ()


class Messages(_Table):
    """Where the received messages stand in what is pushed."""

    when: dict[str, Some] = {}
    each: str | None = None
    id: Some = ()
    sender: Some
    recipient: Some
    text: Some
    reference: Some = ()
    total: Some = ()
    number: Some = ()


class Auth(_Table):
    """How we sign in: one of basic, bearer, header, query, oauth2."""

    basic: str | None = None
    bearer: str | None = None
    header: str | None = None
    query: str | None = None
    oauth2: str | None = None
    value: str = ""
    password: str = ""
    client_id: str = ""
    client_secret: str = ""
    scope: str = ""

    @model_validator(mode="after")
    def _is_one(self) -> "Auth":
        kinds = {
            "basic": (self.basic, "password"),
            "bearer": (self.bearer, ""),
            "header": (self.header, "value"),
            "query": (self.query, "value"),
            "oauth2": (self.oauth2, "client_secret"),
        }
        given = [name for name, (value, _) in kinds.items() if value is not None]
        if len(given) != 1:
            raise ValueError(f"it has one of {', '.join(kinds)}")
        need = kinds[given[0]][1]
        if need and not getattr(self, need):
            raise ValueError(f"{given[0]} goes with {need}")
        if given == ["oauth2"] and not self.client_id:
            raise ValueError("oauth2 goes with client_id")
        return self


class Signed(_Table):
    """See `Signature`."""

    header: str
    kind: Literal["hmac", "hash", "jwt", "ed25519"] = "hmac"
    key: str = ""
    key_form: Literal["text", "base64", "hex"] = "text"
    hash: Hash = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    of: str = "{body}"
    time: str = ""
    nonce: str = ""
    tolerance: Annotated[int, Field(ge=1, le=86_400)] = 300


class Pushed(_Table):
    """The form of what is pushed, and what the provider wants to read."""

    format: Literal["json", "form", "query", "xml"] = "json"
    answer: str = ""
    media_type: str = "text/plain"


class Poll(Asked):
    """How the provider is asked for the state of a message."""

    status: Some
    error: Some = ()
    #: The HTTP statuses with which it says that it does not know the message.
    gone: tuple[int, ...] = (404, 410)
    #: How its ids are written; the store keeps them in lower case and without leading zeros.
    id_case: Literal["lower", "upper"] = "lower"
    id_length: Annotated[int, Field(ge=0, le=64)] = 0
    id_prefix: str = ""


class Inbox(Asked):
    """How the provider is asked for receipts and received messages that it keeps for us."""

    #: Seconds between two questions.
    every: Annotated[float, Field(ge=0.01, le=86_400)] = 60
    #: The request after each message that is stored, with {id}.
    done: Asked | None = None


class Validity(_Table):
    """The least and the most seconds of validity that the provider takes."""

    least: Annotated[int, Field(ge=1)] = 1
    most: Annotated[int, Field(ge=1)] = 2_147_483_647


class Option(_Table):
    """An option that a user of the provider sets."""

    about: str
    secret: bool = False
    required: bool = True
    default: str = ""
    #: A regular expression of the values that there are.
    form: str = ""


class Check(Asked):
    """A request that shows whether we are let in, and sends nothing."""

    #: The statuses that say yes.
    ok: tuple[int, ...] = (200,)
    #: What of the answer to show.
    show: Some = ()


class HttpTable(Asked):
    """A provider by HTTP."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    per: Literal["text", "part"] = "text"
    secrets: dict[str, str] = Field(default={}, repr=False)
    #: Who the handset shows where the message names nobody.
    sender: str = ""
    #: Whether the provider takes no message without a sender.
    sender_required: bool = False
    encodings: dict[Literal["gsm7", "ucs2"], str | bool | int] = {}
    validity: Validity = Validity()
    auth: Auth | None = None
    sign: Signed | None = None
    answer: Format = "json"
    namespaces: dict[str, str] = {}
    accepted: Accepted = Accepted()
    error: Some = ()
    errors: dict[str, str] = {}
    #: What an answer has that refuses the message for good and has no code.
    refused: dict[str, Some] = {}
    statuses: dict[str, str] = {}
    push: Pushed = Pushed()
    receipts: Receipts | tuple[Receipts, ...] = ()
    messages: Messages | tuple[Messages, ...] = ()
    states: dict[str, str] = {}
    signature: Signed | None = None
    poll: Poll | None = None
    inbox: Inbox | None = None
    check: Check | None = None

    @model_validator(mode="after")
    def _means_something(self) -> "HttpTable":
        for name in ("errors", "statuses"):
            for code, words in getattr(self, name).items():
                meaning_of(words, f"{name}.{code}")
        for code in self.statuses:
            if not (code.isdigit() and len(code) == 3):
                raise ValueError(f"statuses.{code}: it is no HTTP status")
        for word, state in self.states.items():
            if state not in STATES:
                raise ValueError(f"states.{word}: allowed are {', '.join(STATES)}")
        if (self.receipts or self.poll) and not self.states:
            raise ValueError(
                "states: receipts need a table of the provider's words, such as "
                'DELIVRD = "delivered"'
            )
        told = self.accepted
        if not (told.id or told.when or told.status):
            raise ValueError("accepted: it is missing; id, when or status tell an acceptance")
        if self.errors and not self.error:
            raise ValueError("errors goes with error, the place of the code in an answer")
        if self.inbox and not (self.receipts or self.messages):
            raise ValueError("inbox goes with receipts or messages")
        return self


def meaning_of(words: str, where: str = "") -> tuple[str, str]:
    """The outcome and the words of an error, written `refused: no such number`.

    ValueError for another outcome than those of MEANINGS.
    """
    meaning, _, told = words.partition(":")
    if meaning.strip() not in MEANINGS:
        raise ValueError(f"{where}: it begins with one of {', '.join(MEANINGS)}, and a colon")
    return meaning.strip(), told.strip()


class Named(HttpTable):
    """A provider by name: a file in `providers/`."""

    #: Its name for people.
    name: str
    #: What to buy and where, in Markdown.
    about: str
    #: Its public documentation.
    sources: tuple[str, ...]
    #: What of the table was read there, when, and what was not found, in Markdown.
    verified: str
    url: str
    options: dict[str, Option] = {}
    #: How a repeat is made safe, or why it is not.
    repeats: str
    #: Whether the provider recognises a repeat by what `{key}` is filled with.
    idempotent: bool = False
    #: What a user has to do at the provider so that receipts and messages come.
    pushes: str = ""
    #: The most parts a second, where its documentation says so.
    rate: float | None = None
    #: The most characters of `{callback}`, where its documentation says so.
    callback_most: int | None = None


#: The options of the connection, which every provider by HTTP has.
CONNECTION = tuple(each.name for each in fields(HttpOptions))

FOLDER = Path(__file__).parent / "providers"


def names() -> list[str]:
    """The providers that there are by name."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


@cache
def named(kind: str) -> Named:
    """A provider by its name. KeyError for another."""
    file = FOLDER / f"{kind}.toml"
    if kind not in names():
        raise KeyError(kind)
    return checked(Named, tomllib.loads(file.read_text("utf-8")))


def options_of(given: Mapping[str, Any]) -> HttpOptions:
    """The options of the connection; ValueError in one line for a wrong one."""
    try:
        return TypeAdapter(HttpOptions).validate_python(dict(given))
    except ValidationError as error:
        raise ValueError(first_error(error, CONNECTION)) from None


def checked(model: type[_Model], given: Mapping[str, Any]) -> _Model:
    """A table by its model; ValueError in one line for a wrong one."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise ValueError(first_error(error, ())) from None


def first_error(error: ValidationError, names: tuple[str, ...]) -> str:
    """The first error in one line, without the value."""
    errors = error.errors(include_url=False, include_input=False)
    # A name that is not known explains why the right one is missing.
    first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    place = ".".join(
        str(each) for each in first["loc"] if str(each).islower() or str(each)[0] in "/_"
    )
    match first["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"{place}: there is no such option"
        case "missing" | "missing_keyword_only_argument":
            return f"{place}: it is missing"
        case "value_error":
            told = str(first["ctx"]["error"])
            return f"{place}: {told}" if place else told
    return f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}"
