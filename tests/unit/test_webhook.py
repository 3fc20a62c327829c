"""Signatures, judged by the library of the Standard Webhooks project."""

import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from sms_gateway.callbacks.signature import new_secret, signed_headers

BODY = '{"type":"message.received","data":{"message":"Grüße 😀"}}'.encode()


def test_the_signature_is_what_the_specification_says() -> None:
    secret = new_secret()
    headers = signed_headers(secret, "0194", int(time.time()), BODY)
    assert Webhook(secret).verify(BODY, headers)["type"] == "message.received"


def test_the_signature_of_its_example() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    headers = signed_headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("changed", ["secret", "id", "body", "timestamp"])
def test_nothing_of_it_can_be_changed(changed: str) -> None:
    secret, now, body = new_secret(), int(time.time()), BODY
    headers = signed_headers(secret, "0194", now, body)
    if changed == "secret":
        secret = new_secret()
    elif changed == "id":
        headers["webhook-id"] = "0195"
    elif changed == "body":
        body += b" "
    else:
        headers["webhook-timestamp"] = str(now + 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_secrets_are_not_alike() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
