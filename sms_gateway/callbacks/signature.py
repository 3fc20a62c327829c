"""How callbacks are signed: the Standard Webhooks specification, version 1 (symmetric)."""

import base64
import hashlib
import hmac
import secrets

_PREFIX = "whsec_"


def new_secret() -> str:
    """A new secret: 256 random bits, as the specification writes them."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signed_headers(secret: str, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers by which a receiver knows who sent this body. `timestamp`: Unix seconds."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    content = f"{id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }
