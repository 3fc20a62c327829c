"""A provider that nobody has: how one is written on the base of ways out by HTTP, in one file."""

import hmac
import json
from dataclasses import dataclass, field, replace
from typing import Literal

from sms_gateway.remote.answers import Answer
from sms_gateway.sms.message import State
from sms_gateway.upstream import Delivery, Incoming, Outcome
from sms_gateway.upstream.http_contract import Judgement, Request, by_status, json_request
from sms_gateway.upstream.http_options import HttpOptions
from sms_gateway.upstream.push import Heard, Push, PushError, receipt

#: Its words for what became of a message.
STATES = {
    "sent": State.SUBMITTED,
    "delivered": State.DELIVERED,
    "failed": State.UNDELIVERABLE,
    "timed_out": State.EXPIRED,
}
#: What its errors mean that its statuses do not tell.
ERRORS = {
    "no_credit": Judgement(outcome=Outcome.RETRY, is_locked_out=True),
    "handset_busy": Judgement(outcome=Outcome.BUSY),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CourierOptions(HttpOptions):
    """An account at Courier."""

    token: str = field(repr=False)


class Courier:
    """Courier, as a `Provider` that `TakesPushes`."""

    receipts_of: Literal["first"] = "first"

    def __init__(self, options: CourierOptions) -> None:
        self.options = options

    def request(self, delivery: Delivery) -> Request:
        told = {"to": delivery.recipient, "from": delivery.sender, "text": delivery.text}
        return json_request("/v1/messages", told, {"Authorization": f"Bearer {self.options.token}"})

    def judge(self, answer: Answer) -> Judgement:
        if answer.status == 201:
            return Judgement(outcome=Outcome.ACCEPTED, ids=(json.loads(answer.body)["id"],))
        if answer.status != 400:
            return by_status(answer)
        error = json.loads(answer.body)["error"]
        return replace(ERRORS.get(error, by_status(answer)), reason=error)

    def hear(self, push: Push) -> Heard:
        signed = hmac.digest(self.options.token.encode(), push.url.encode() + push.body, "sha256")
        if not hmac.compare_digest(signed.hex(), push.headers.get("x-signature", "")):
            raise PushError(403, "the signature is wrong")
        told = push.json()
        if told["kind"] == "message":
            text = {"sender": told["from"], "recipient": told["to"], "text": told["text"]}
            return Heard(messages=[Incoming(**text, id=told["id"])], answer=b"thanks")
        state = STATES[told["status"]]
        return Heard(receipts=[receipt(told["id"], state, told["to"], error=told["code"])])
