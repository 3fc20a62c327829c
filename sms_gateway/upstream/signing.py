"""Signatures of pushes and requests: HMACs and hashes of parts of them, JWTs, and Ed25519."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from .locate import text_of
from .push import Push, PushError
from .template import Text
from .url_options import pairs_of

#: What a signature may be made of, as placeholders of `of`.
SIGNED = (
    *("method", "url", "path", "query", "body", "body:sha256"),
    *("sorted", "fields", "time", "nonce"),
)

Hash = Literal["md5", "sha1", "sha256", "sha512"]
Encoding = Literal["hex", "base64", "base64:text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How something is signed. ValueError for what cannot be.

    `kind`: "hmac", "hash" (nothing but the hash of `of`, which then has a secret in it), "jwt"
    (HS256, whose claims `payload_hash` and `url_hash` are the SHA-256 of the body and the URL),
    "ed25519".
    """

    #: The header with the signature, in lower case; of a push also the field of a form, with a
    #: colon before its name.
    header: str
    kind: Literal["hmac", "hash", "jwt", "ed25519"] = "hmac"
    #: The secret, or the public key in base64 (ed25519).
    key: str = field(repr=False)
    #: How the secret is written: as it is, in base64 or in hexadecimal.
    key_form: Literal["text", "base64", "hex"] = "text"
    hash: Hash = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    #: What stands before it in the header.
    prefix: str = ""
    #: The signed text: placeholders of SIGNED and secrets.
    of: str = "{body}"
    #: The headers with the time (Unix seconds) and with a number used once.
    time: str = ""
    nonce: str = ""
    #: The most seconds between the time and ours.
    tolerance: int = 300
    #: The secrets that `of` may name.
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        Text(self.of, [*SIGNED, *self.secrets])
        self.secret()
        if self.kind == "ed25519":
            self._public_key()

    def secret(self) -> bytes:
        """The octets of the key."""
        try:
            match self.key_form:
                case "base64":
                    return base64.b64decode(self.key, validate=True)
                case "hex":
                    return bytes.fromhex(self.key)
        except ValueError:
            raise ValueError(f"key: it is not {self.key_form}") from None
        return self.key.encode()

    def sign(self, fill: Callable[[str], bytes]) -> str:
        """The signature of a message with these parts (by the names of SIGNED)."""
        content = _octets(self.of, fill, self.secrets)
        if self.kind == "hash":
            digest = hashlib.new(self.hash, content).digest()
        else:
            digest = hmac.digest(self.secret(), content, self.hash)
        told = digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()
        return self.prefix + told

    def verify(self, push: Push) -> None:
        """PushError (403) unless a push is signed with the key, and not long ago."""
        given = self._given(push)
        at = push.headers.get(self.time, "") if self.time else ""
        is_fresh = not self.time or _is_near(at, push.at // 1000, self.tolerance)
        if not (given and is_fresh and self._is_right(push, given)):
            raise PushError(403, "the signature is wrong or old")

    def _given(self, push: Push) -> str:
        if self.header.startswith(":"):
            return fields_of(push).get(self.header[1:], "")
        return push.headers.get(self.header, "")

    def _is_right(self, push: Push, given: str) -> bool:
        if self.kind == "jwt":
            return _is_jwt(given.removeprefix("Bearer "), self.secret(), push)
        time, nonce = push.headers.get(self.time, ""), push.headers.get(self.nonce, "")
        parts = parts_of(push, time, nonce, self.header[1:])
        if self.kind == "ed25519":
            return self._is_ed25519(given, _octets(self.of, parts, self.secrets))
        right = self.sign(parts)
        # Some sign with an old and a new key for a while, and send both.
        return any(
            hmac.compare_digest(_same_case(each.strip(), self.encoding), right.encode())
            for each in given.split(",")
        )

    def _public_key(self) -> Any:
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        except ImportError:
            raise ValueError(
                "its signatures need the package cryptography: pip install sendsmsnow[encryption]"
            ) from None
        try:
            return Ed25519PublicKey.from_public_bytes(base64.b64decode(self.key, validate=True))
        except ValueError:
            raise ValueError("key: it is no public key of Ed25519 in base64") from None

    def _is_ed25519(self, given: str, content: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature

        try:
            self._public_key().verify(base64.b64decode(given, validate=True), content)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


def _same_case(given: str, encoding: str) -> bytes:
    # Hexadecimal may be written in capitals.
    return (given.lower() if encoding == "hex" else given).encode("utf-8", "surrogatepass")


def _octets(of: str, parts: Callable[[str], bytes], secrets: Mapping[str, str]) -> bytes:
    """The signed octets. Bodies need not be text, so that they go through Latin-1."""

    def fill(name: str) -> str:
        octets = secrets[name].encode() if name in secrets else parts(name)
        return octets.decode("latin-1")

    return Text(of, [*SIGNED, *secrets]).text(fill).encode("latin-1")


def fields_of(push: Push) -> dict[str, str]:
    """The fields of a push: of its form, of its JSON object, or of its query."""
    if push.method == "GET":
        return push.query()
    if "json" not in push.headers.get("content-type", ""):
        return push.form()
    told = push.json()
    if not isinstance(told, dict):
        return {}
    found = {name: text_of(value) for name, value in told.items()}
    return {name: value for name, value in found.items() if value is not None}


def parts_of(push: Push, time: str, nonce: str, signature: str) -> Callable[[str], bytes]:
    """The parts of a push that may be signed; `signature` is the field with the signature."""

    def part(name: str) -> bytes:
        match name:
            case "method":
                return push.method.encode()
            case "url":
                return push.url.encode()
            case "path":
                return urlsplit(push.url).path.encode()
            case "query":
                return urlsplit(push.url).query.encode()
            case "body":
                return push.body
            case "body:sha256":
                return hashlib.sha256(push.body).digest()
            case "sorted":
                fields = pairs_of(push.body.decode())
                return "".join(name + value for name, value in sorted(set(fields))).encode()
            case "fields":
                # developer.vonage.com/en/getting-started/concepts/signing-messages
                told = sorted(fields_of(push).items())
                plain = str.maketrans("&=", "__")
                return "".join(
                    f"&{name}={value.translate(plain)}" for name, value in told if name != signature
                ).encode()
            case "time":
                return time.encode()
        return nonce.encode()

    return part


def _is_near(at: str, now: int, tolerance: int) -> bool:
    if not (at.isascii() and at.isdigit() and len(at) < 14):
        return False
    # Some write milliseconds.
    seconds = int(at) if len(at) < 12 else int(at) // 1000
    return abs(seconds - now) <= tolerance


def _is_jwt(token: str, key: bytes, push: Push) -> bool:
    """RFC 7515 with HS256, and the claims nbf and exp of RFC 7519."""
    head, _, rest = token.partition(".")
    payload, _, signature = rest.partition(".")
    try:
        if json.loads(_base64url(head)).get("alg") != "HS256":
            return False
        right = hmac.digest(key, f"{head}.{payload}".encode(), "sha256")
        if not hmac.compare_digest(_base64url(signature), right):
            return False
        claims = json.loads(_base64url(payload))
        now = push.at / 1000
        in_time = claims.get("nbf", now) - 60 <= now <= claims.get("exp", now) + 60
        hashed, address = claims.get("payload_hash"), claims.get("url_hash")
        is_body = hashed == hashlib.sha256(push.body).hexdigest() or not (hashed or push.body)
        is_url = address in (None, hashlib.sha256(push.url.encode()).hexdigest())
        return bool(in_time and is_body and is_url)
    except (ValueError, TypeError, AttributeError):
        return False


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
