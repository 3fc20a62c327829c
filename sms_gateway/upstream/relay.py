"""Sends messages to another server that speaks /sendsms/: the original service or a gateway.

The other end splits a text into parts by its own rules. It reports the states of messages at
/status/, or by callbacks to our address.
"""

from dataclasses import dataclass, replace
from typing import Literal

from ..backend import HOPS_HEADER, IN_A_CIRCLE, Submission
from ..codes import Code
from ..remote.answers import Answer, InvalidAnswerError, read_reply, read_status
from ..remote.http_backend import parameters
from ..sms.message import State
from . import Delivery, Incoming, Outcome
from .http_contract import Judgement, Request, form_request, idempotency_key, message_id
from .http_poll import NoReceiptError
from .push import STATES, Heard, Push, receipt
from .relay_options import RelayOptions, options_from_url
from .webhook import verify

_ACCEPT = {"Accept": "application/json, text/xml;q=0.9"}
#: Our ids have 32 digits; the store keeps them without leading zeros.
_DIGITS = 32


@dataclass(frozen=True, slots=True)
class _Meaning:
    """The meaning of the other end's code for a delivery."""

    outcome: Outcome
    #: Every message will get this code until an operator changes something.
    is_locked_out: bool = False


#: By the other end's code; docs/api.md has the sentence of each.
MEANINGS = {
    Code.SENT: _Meaning(Outcome.ACCEPTED),
    Code.TIMED_OUT: _Meaning(Outcome.UNANSWERED),
    Code.NOT_SENT: _Meaning(Outcome.REFUSED),
    Code.INTERNAL: _Meaning(Outcome.RETRY),
    # Once an operator has corrected the key the message can still go.
    Code.KEY_DISABLED: _Meaning(Outcome.RETRY, is_locked_out=True),
    Code.KEY_WRONG: _Meaning(Outcome.RETRY, is_locked_out=True),
    Code.KEY_MISSING: _Meaning(Outcome.RETRY, is_locked_out=True),
    Code.TOO_MANY: _Meaning(Outcome.REFUSED),
    Code.NOT_MULTIPLE: _Meaning(Outcome.REFUSED),
    Code.UNREACHABLE: _Meaning(Outcome.REFUSED),
    Code.TOO_FAST: _Meaning(Outcome.RETRY),
    # These answer other requests than ours: here their meaning is unknown.
    Code.ID_MISSING: _Meaning(Outcome.UNANSWERED),
    Code.ID_UNKNOWN: _Meaning(Outcome.UNANSWERED),
    Code.ALREADY_SENT: _Meaning(Outcome.UNANSWERED),
}


class Relay:
    """A server that speaks /sendsms/, as a `Provider`."""

    def __init__(self, options: RelayOptions) -> None:
        base = options.url.rstrip("/").removesuffix("/sendsms")
        self.options = replace(options, url=base)
        #: Questions at /status/ are about each part; a callback is about the whole message.
        self.receipts_of: Literal["first", "each"] = "first" if options.push_secret else "each"

    def request(self, delivery: Delivery) -> Request:
        """See `Provider.request`."""
        sender = delivery.sender if self.options.sender else ""
        submission = Submission(
            delivery.recipient, delivery.text, self.options.apikey, sender=sender
        )
        headers = {
            "Idempotency-Key": idempotency_key(delivery),
            HOPS_HEADER: f"{delivery.hops + 1}",
        }
        return form_request("/sendsms/", parameters(submission), {**_ACCEPT, **headers})

    def judge(self, answer: Answer) -> Judgement:
        """See `Provider.judge`. After 3xx or 4xx without a reply in the body nothing was accepted,
        and an operator has to act."""
        try:
            reply = read_reply(answer)
        except InvalidAnswerError:
            if not 300 <= answer.status < 500:
                raise
            reason = f"HTTP status {answer.status}"
            return Judgement(outcome=Outcome.RETRY, reason=reason, is_locked_out=True)
        code, meaning = reply.error, MEANINGS[reply.error]
        # Notes of others may have numbers and texts in them.
        sentence = IN_A_CIRCLE if reply.note == IN_A_CIRCLE else code.sentence
        return Judgement(
            outcome=meaning.outcome,
            ids=(reply.id,),
            reason="" if code is Code.SENT else f"{code:d} {sentence}",
            is_throttled=code is Code.TOO_FAST,
            is_locked_out=meaning.is_locked_out,
        )

    def hear(self, push: Push) -> Heard:
        """See `TakesPushes.hear`; docs/callbacks.md describes the callback."""
        if self.options.callback_secret:
            verify(push, self.options.callback_key())
        event = push.json()
        kind, data = event["type"], event["data"]
        if kind == "message.received":
            incoming = Incoming(
                sender=data["from"], recipient=data["to"], text=data["message"], id=f"{data['id']}"
            )
            return Heard(messages=[incoming])
        state = _STATES.get(kind)
        return Heard(receipts=[receipt(data["id"], state, data["recipient"])] if state else [])


#: By the type of an event.
_STATES = {f"delivery.{word}": state for word, state in STATES.items()}


class AskedRelay(Relay):
    """A relay to a sendSmsNow, which can be asked for states at /status/ (`IsAsked`)."""

    def question(self, id: str) -> Request:
        """See `IsAsked.question`."""
        fields = {"apikey": self.options.apikey, "id": id}
        return form_request("/status/", fields, _ACCEPT)

    def state(self, answer: Answer, id: str, recipient: str) -> State | None:
        """See `IsAsked.state`."""
        status = read_status(answer, id)
        if status.reply.error is Code.ID_UNKNOWN:
            raise NoReceiptError
        states = {each.recipient: State(each.state) for each in status.deliveries}
        return states.get(recipient)

    def id_of(self, key: str) -> str:
        """See `IsAsked.id_of`."""
        return message_id(key).zfill(_DIGITS)


def provider(url: str) -> Relay:
    """The relay that a URL of the settings describes; ValueError as `options_from_url`."""
    options = options_from_url(url)
    return AskedRelay(options) if options.receipts else Relay(options)
