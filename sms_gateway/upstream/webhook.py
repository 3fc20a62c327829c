"""Verifies signatures of pushes by the Standard Webhooks specification, version 1 (symmetric)."""

import base64
import hashlib
import hmac

from .push import Push, PushError

#: How far the sender's clock may be from ours, ms; the specification sets no limit.
TOLERANCE = 300_000


def verify(push: Push, key: bytes) -> None:
    """PushError (403) unless a request is signed with this key and was not signed long ago."""
    id, timestamp, signatures = (
        push.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    content = f"{id}.{timestamp}.".encode() + push.body
    right = base64.b64encode(hmac.digest(key, content, hashlib.sha256))
    # A sender that changes its secret signs with both the old and the new one.
    given = [each.removeprefix("v1,").encode() for each in signatures.split(" ")]
    is_ours = any(hmac.compare_digest(each, right) for each in given)
    is_fresh = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12
    if not is_ours or not is_fresh or abs(push.at - 1_000 * int(timestamp)) > TOLERANCE:
        raise PushError(403, "the signature is wrong or old")
