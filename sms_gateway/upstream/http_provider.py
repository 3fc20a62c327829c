"""A provider that a table describes (`http_table`), as a `Provider`."""

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlsplit

from ..moments import now
from ..remote.answers import Answer, InvalidAnswerError
from ..sms.encoding import Encoding
from ..sms.message import State
from . import Delivery, Incoming, Outcome
from .http_contract import Judgement, Request, UnsendableError, by_status, message_id
from .http_described import DescribedRequest, SignIn, within
from .http_options import HttpOptions
from .http_poll import NoReceiptError
from .http_table import (
    Asked,
    HttpTable,
    Messages,
    Named,
    Receipts,
    Signed,
    meaning_of,
)
from .locate import Condition, Format, Items, Place, UnreadableError, first_known, read
from .oauth2 import OAuth2
from .push import STATES, Heard, Push, PushError, receipt
from .signing import Signature
from .template import (
    PLACEHOLDERS,
    Text,
    Told,
)

log = logging.getLogger(__name__)

_ENCODINGS = {Encoding.GSM7: "gsm7", Encoding.UCS2: "ucs2"}
#: A provider's code or word that may be logged and shown: no number of a phone, and no text.
_WORD = re.compile(r"(?![0-9]{7})[A-Za-z0-9_.-]{1,40}")

_JUDGEMENTS = {
    "refused": Judgement(outcome=Outcome.REFUSED),
    "retry": Judgement(outcome=Outcome.RETRY),
    "throttled": Judgement(outcome=Outcome.RETRY, is_throttled=True),
    "busy": Judgement(outcome=Outcome.BUSY),
    "locked": Judgement(outcome=Outcome.RETRY, is_locked_out=True),
    "uncertain": Judgement(outcome=Outcome.UNANSWERED),
}


def judged(words: str, code: str = "") -> Judgement:
    """The judgement that a table has for an error."""
    meaning, told = meaning_of(words)
    return replace(_JUDGEMENTS[meaning], reason=f"{code} {told}".strip() or meaning)


class _Rule:
    """Where receipts or messages stand in a document."""

    def __init__(
        self, rule: Receipts | Messages, format: Format, namespaces: Mapping[str, str], where: str
    ) -> None:
        self.is_receipt = isinstance(rule, Receipts)
        self._places: dict[str, Place] = {}
        for name in set(type(rule).model_fields) - {"when", "each"}:
            with within(f"{where}.{name}"):
                self._places[name] = Place(format, getattr(rule, name), namespaces)
        with within(f"{where}.when"):
            self._when = Condition(format, rule.when, namespaces)
        with within(f"{where}.each"):
            self._items = Items(format, rule.each, namespaces)

    def items(self, document: Any) -> list[Any]:
        """The receipts or messages of a document."""
        return [each for each in self._items.of(document) if self._when.holds(each)]

    def text(self, name: str, item: Any) -> str:
        """A value of one; empty if there is none."""
        return self._places[name].text(item) or ""

    def texts(self, name: str, item: Any) -> list[str]:
        """The values of one that has to be there; the first place that has a meaning counts."""
        self.needed(name, item)
        return self._places[name].texts(item)

    def needed(self, name: str, item: Any) -> str:
        """A value that has to be there."""
        found = self._places[name].text(item)
        if found is None:
            raise PushError(400, "the body has not the fields that it should have")
        return found


class HttpProvider:
    """A provider that a table describes. `provider_of` makes one."""

    def __init__(
        self,
        options: HttpOptions,
        table: HttpTable,
        given: Mapping[str, str],
        *,
        callback: str = "",
    ) -> None:
        """`given`: the values of secrets and options, by their names. `callback`: the address that
        the provider pushes to. ValueError, in one line that begins with the entry, for a table
        that cannot be used."""
        self.options = options
        self.table = table
        self._given = given
        self._callback = callback if options.push_secret else ""
        self._names = [*PLACEHOLDERS, *given]
        for name in given:
            if name in PLACEHOLDERS or not re.fullmatch("[a-z_][a-z0-9_]*", name):
                raise ValueError(
                    f"secrets.{name}: a name is lower-case letters, digits and _, and none of "
                    "the placeholders that there are"
                )
        self._auth = SignIn(table.auth, given)
        self._url = options.url.rstrip("/")
        self._request = self._described(table, self._names, "")
        self._sign = self._signature(table.sign, "sign")
        self._signature_of_pushes = self._signature(table.signature, "signature")
        self._read_answers(table)
        names = list(given)
        self._check = None if table.check is None else self._described(table.check, names, "check.")
        with within("check.show"):
            show = table.check.show if table.check else ()
            self._shown = Place(table.answer, show, table.namespaces)
        format: Format = "form" if table.push.format == "query" else table.push.format
        self._rules = self._ruled(format)
        self._states = {word.lower(): STATES[state] for word, state in table.states.items()}
        if options.push_secret and not (self._rules or table.poll):
            raise ValueError("push_secret: nothing is pushed; it goes with receipts or messages")
        if table.signature and not options.push_secret and not isinstance(table, Named):
            raise ValueError("signature: it goes with push_secret")
        #: See `Provider.receipts_of`.
        # A state that is asked for is reported on each part.
        is_each = table.accepted.each is not None or table.per == "part"
        is_asked = table.poll is not None and not options.push_secret
        self.receipts_of: Literal["first", "each"] = "each" if is_each or is_asked else "first"

    def _described(self, asked: Asked, names: Sequence[str], where: str) -> DescribedRequest:
        return DescribedRequest(asked, names, where, self._auth, self._url)

    def _read_answers(self, table: HttpTable) -> None:
        format, spaces = table.answer, table.namespaces
        with within("accepted.each"):
            self._items = Items(format, table.accepted.each, spaces)
        with within("accepted.when"):
            self._accepted = Condition(format, table.accepted.when, spaces)
        with within("accepted.id"):
            self._id = Place(format, table.accepted.id, spaces)
        with within("refused"):
            self._refused = Condition(format, table.refused, spaces)
        with within("error"):
            self._error = Place(format, table.error, spaces)
        self._errors = {code.lower(): words for code, words in table.errors.items()}

    def _ruled(self, format: Format) -> list[_Rule]:
        table = self.table
        found = []
        for where, rules in (("receipts", table.receipts), ("messages", table.messages)):
            listed = rules if isinstance(rules, tuple) else (rules,)
            found += [_Rule(rule, format, table.namespaces, where) for rule in listed]
        return found

    def _signature(self, signed: Signed | None, where: str) -> Signature | None:
        if signed is None:
            return None
        with within(where):
            key = Text(signed.key, list(self._given)).text(self._given.__getitem__)
            entries = signed.model_dump() | {"key": key, "secrets": self._given}
            entries |= {name: entries[name].lower() for name in ("time", "nonce")}
            if where == "signature":
                entries["header"] = (
                    signed.header if signed.header[0] == ":" else (signed.header.lower())
                )
            # Without the key that goes with it nothing is signed: an option left out.
            return Signature(**entries) if key or signed.kind == "hash" else None

    # What is sent.

    def request(self, delivery: Delivery) -> Request:
        """See `Provider.request`. UnsendableError for a message without the sender it needs."""
        return self._filled(delivery, 0)

    def _filled(self, delivery: Delivery, part: int) -> Request:
        table = self.table
        told = Told(
            delivery=delivery,
            sender=delivery.sender or table.sender,
            part=part,
            callback=self._callback,
            encodings={
                encoding: table.encodings[name]
                for encoding, name in _ENCODINGS.items()
                if name in table.encodings
            },
            validity=(table.validity.least, table.validity.most),
        )
        if table.sender_required and not told.sender:
            raise UnsendableError("it has no sender, and the upstream has none to show")

        def fill(name: str) -> object:
            placeholder = PLACEHOLDERS.get(name)
            return self._given[name] if placeholder is None else placeholder.of(told)

        made = self._request.request(fill, self._signed)
        # A provider that gives no id knows the message by ours.
        return replace(made, message_id=told.key()[:32])

    def _asking(self, request: DescribedRequest, **values: object) -> Request:
        return request.request(lambda name: values.get(name, self._given.get(name)), self._signed)

    def _signed(self, request: Request, url: str) -> Mapping[str, str]:
        """The headers with the signature of a request."""
        if self._sign is None:
            return {}
        time = str(now() // 1000)
        values = {
            "method": request.method.encode(),
            "url": url.encode(),
            "body": request.body,
            "time": time.encode(),
            "path": urlsplit(url).path.encode(),
            "query": urlsplit(url).query.encode(),
            "body:sha256": hashlib.sha256(request.body).digest(),
        }
        told = {self._sign.header: self._sign.sign(lambda name: values.get(name, b""))}
        return told | ({self._sign.time: time} if self._sign.time else {})

    # What is answered.

    def judge(self, answer: Answer) -> Judgement:
        """See `Provider.judge`. An acceptance, a known code, a status of the table, then what HTTP
        says; a success that says nothing of these is none."""
        table = self.table
        try:
            document = read(table.answer, answer.body)
        except UnreadableError as error:
            return self._by_status(answer, "", str(error))
        items = self._items.of(document) or [document]
        ids = [self._accepted_id(answer, item) for item in items]
        if ids and None not in ids:
            return Judgement(
                outcome=Outcome.ACCEPTED,
                ids=tuple(id for id in ids if id) if table.accepted.id else (),
            )
        if any(id is not None for id in ids):
            return Judgement(outcome=Outcome.UNANSWERED, reason="it took some of the parts only")
        codes = [code for each in (*items, document) for code in self._error.texts(each) if code]
        code = next((each for each in codes if each.lower() in self._errors), "".join(codes[:1]))
        words = self._errors.get(code.lower()) or (self._errors.get("*") if code else None)
        if words is not None:
            return judged(words, _shown(code))
        if table.refused and self._refused.holds(document):
            return Judgement(outcome=Outcome.REFUSED, reason="the provider does not take it")
        return self._by_status(answer, code, "it is no acceptance and no error that is known")

    def _accepted_id(self, answer: Answer, item: Any) -> str | None:
        """The provider's id in an acceptance; None for another answer."""
        accepted = self.table.accepted
        statuses = accepted.status or range(200, 300)
        if answer.status not in statuses or not self._accepted.holds(item):
            return None
        if not accepted.id:
            return ""
        return self._id.text(item) or None

    def _by_status(self, answer: Answer, code: str, why: str) -> Judgement:
        words = self.table.statuses.get(str(answer.status))
        safe = _shown(code)
        if words is not None:
            return judged(words, safe)
        if 200 <= answer.status < 300:
            raise InvalidAnswerError(f"its code {safe} is unknown" if safe else why)
        found = by_status(answer)
        return replace(found, reason=f"{safe} {found.reason}".strip())

    def check_request(self) -> Request | None:
        """See `ChecksSignIn.check_request`."""
        return None if self._check is None else self._asking(self._check)

    def checked(self, answer: Answer) -> tuple[bool, str]:
        """See `ChecksSignIn.checked`."""
        check = self.table.check
        assert check is not None
        told = f"HTTP status {answer.status}"
        if answer.status not in check.ok:
            with suppress(InvalidAnswerError):
                told = self.judge(answer).reason
            return False, f"{told}; check the account's keys"
        try:
            shown = self._shown.text(read(self.table.answer, answer.body))
        except UnreadableError:
            return False, f"{told}; it is no answer of the provider: check url"
        where = check.show if isinstance(check.show, str) else "".join(check.show[:1])
        return True, told + (f", {where.strip('/').replace('/', ' ')} {shown}" if shown else "")

    # What is pushed.

    @property
    def push_method(self) -> str:
        """See `PushesOtherwise.push_method`."""
        return "GET" if self.table.push.format == "query" else "POST"

    def hear(self, push: Push) -> Heard:
        """See `TakesPushes.hear`."""
        table = self.table
        if self._signature_of_pushes is not None:
            self._signature_of_pushes.verify(push)
        document = self._pushed(push)
        answer = table.push.answer.encode()
        heard = self._heard(document, self._rules)
        return replace(heard, answer=answer, media_type=table.push.media_type)

    def _pushed(self, push: Push) -> Any:
        match self.table.push.format:
            case "form":
                return push.form()
            case "query":
                return push.query()
            case "json":
                return push.json()
        try:
            return read("xml", push.body)
        except UnreadableError as error:
            raise PushError(400, f"the body: {error}") from None

    def _heard(self, document: Any, rules: Sequence[_Rule]) -> Heard:
        receipts, messages, found = [], [], 0
        for rule in rules:
            for item in rule.items(document):
                found += 1
                if not rule.is_receipt:
                    messages.append(_incoming(rule, item))
                    continue
                words = rule.texts("status", item)
                state = first_known(words, self._states)
                if state is None:
                    # It may be a word that is new. What is final is told by the words known.
                    shown = _shown("".join(words[:1])) or "?"
                    log.warning("a state has no meaning", extra={"state": shown})
                    continue
                error = rule.text("error", item)
                receipts.append(
                    receipt(
                        rule.needed("id", item),
                        state,
                        rule.text("recipient", item),
                        error=_shown(error),
                    )
                )
        if not found:
            log.info("a push has neither receipts nor messages")
        return Heard(receipts=receipts, messages=messages)


def _incoming(rule: _Rule, item: Any) -> Incoming:
    texts = [rule.text(name, item) for name in ("reference", "total", "number")]
    reference, total, number = map(_number, texts) if all(texts) else (0, 1, 1)
    return Incoming(
        sender=rule.needed("sender", item),
        recipient=rule.needed("recipient", item),
        text=rule.needed("text", item),
        id=rule.text("id", item),
        reference=reference,
        total=total,
        number=number,
    )


def _number(text: str) -> int:
    """The number of a part; for a reference that is no number, one made of it."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    return int(hashlib.sha256(text.encode()).hexdigest()[:4], 16)


def _shown(word: str) -> str:
    return word if _WORD.fullmatch(word) else ""


class PartsProvider(HttpProvider):
    """One that takes each part in a request of its own (`SendsParts`)."""

    def part_request(self, delivery: Delivery, part: int) -> Request:
        """See `SendsParts.part_request`."""
        return self._filled(delivery, part)


class _Asked(HttpProvider):
    """One that is asked for states (`IsAsked`)."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        poll = self.table.poll
        assert poll is not None
        names = ["id", "recipient", "recipient:digits", *self._given]
        self._question = self._described(poll, names, "poll.")
        with within("poll.status"):
            self._status = Place(self.table.answer, poll.status, self.table.namespaces)
        self._gone = poll.gone

    def question(self, id: str) -> Request:
        """See `IsAsked.question`."""
        return self._asking(self._question, id=id)

    def state(self, answer: Answer, id: str, recipient: str) -> State | None:
        """See `IsAsked.state`."""
        if answer.status in self._gone:
            raise NoReceiptError
        if not 200 <= answer.status < 300:
            raise InvalidAnswerError(f"its status is {answer.status}")
        words = self._status.texts(read(self.table.answer, answer.body))
        state = first_known(words, self._states)
        if state is None:
            raise InvalidAnswerError("its state is unknown")
        return state

    def id_of(self, key: str) -> str:
        """See `IsAsked.id_of`."""
        poll = self.table.poll
        assert poll is not None
        if self.table.accepted.each is None and self.table.per == "text":
            key = message_id(key)
        bare = key.removeprefix(poll.id_prefix.lower()).zfill(poll.id_length)
        return poll.id_prefix + (bare.upper() if poll.id_case == "upper" else bare)


class _Inboxed(HttpProvider):
    """One that keeps messages for us (`HasInbox`)."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        inbox = self.table.inbox
        assert inbox is not None
        self.inbox_interval = inbox.every
        self._inbox = self._described(inbox, list(self._given), "inbox.")
        self._done = inbox.done and self._described(inbox.done, ["id", *self._given], "inbox.done.")
        self._inbox_rules = self._ruled(self.table.answer)

    def inbox_question(self) -> Request:
        """See `HasInbox.inbox_question`."""
        return self._asking(self._inbox)

    def inbox(self, answer: Answer) -> Heard:
        """See `HasInbox.inbox`."""
        if answer.status == 204:
            return Heard()
        if not 200 <= answer.status < 300:
            raise InvalidAnswerError(f"its status is {answer.status}")
        return self._heard(read(self.table.answer, answer.body), self._inbox_rules)

    def inbox_done(self, id: str) -> Request | None:
        """See `HasInbox.inbox_done`."""
        return self._asking(self._done, id=id) if self._done else None


class _SigningIn(HttpProvider):
    """One that wants tokens (`SignsIn`)."""

    @property
    def oauth2(self) -> OAuth2:
        """See `SignsIn.oauth2`."""
        assert self._auth.oauth2 is not None
        return self._auth.oauth2


def provider_of(
    options: HttpOptions, table: HttpTable, given: Mapping[str, str], *, callback: str = ""
) -> HttpProvider:
    """The provider that a table describes, with all that the table asks for; see `HttpProvider`."""
    kinds: list[type[HttpProvider]] = []
    if table.per == "part":
        kinds.append(PartsProvider)
    if table.poll is not None:
        kinds.append(_Asked)
    if table.inbox is not None:
        kinds.append(_Inboxed)
    if table.auth is not None and table.auth.oauth2 is not None:
        kinds.append(_SigningIn)
    if len(kinds) == 1:
        return kinds[0](options, table, given, callback=callback)
    kind = type("Provider", (*kinds, HttpProvider), {}) if kinds else HttpProvider
    made: HttpProvider = kind(options, table, given, callback=callback)
    return made
