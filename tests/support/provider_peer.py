"""A server that behaves as a provider documents it: by a file of tests/recorded/providers.

Each has what the provider demands of a request, what it answers, and what it pushes. What the
server does goes by words in the text: #bad, #throttle (once for each number), #silent, #before (it
reports before it answers), #twice, #mo (a message comes from the number).
"""

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import re
import time
import tomllib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import aiohttp
from aiohttp import web

from sms_gateway.sms.segments import count

FOLDER = Path(__file__).parents[1] / "recorded/providers"
NAMES = sorted(file.stem for file in FOLDER.glob("*.toml"))
FORM = "application/x-www-form-urlencoded"
MINE = "+3228850000"


def record(name: str) -> dict[str, Any]:
    """What is recorded of a provider."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))


def _filled(fields: Mapping[str, str], facts: Mapping[str, str]) -> dict[str, str]:
    return {name: Template(text).substitute(facts) for name, text in fields.items()}


def _at(document: Any, where: str) -> str:
    for step in where.strip("/").split("/"):
        document = document[int(step)] if isinstance(document, list) else document[step]
    return str(document)


class Peer:
    """The server."""

    def __init__(self, name: str) -> None:
        self.record = record(name)
        self.port = 0
        #: Where it pushes to, for providers that are told so in their portals.
        self.address = ""
        #: What it was asked: method, path with query, headers, body.
        self.requests: list[tuple[str, str, Mapping[str, str], bytes]] = []
        #: The numbers of the messages that it took.
        self.taken: list[str] = []
        #: What was wrong with requests; nothing may be.
        self.complaints: list[str] = []
        self._numbers = itertools.count(1)
        self._throttled: Counter[str] = Counter()
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """The URL that stands for that of the provider."""
        return f"http://127.0.0.1:{self.port}{self.record.get('base', '')}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asked = self.record["request"]
        body = await request.read()
        self.requests.append((request.method, request.path_qs, dict(request.headers), body))
        if request.method == "GET":
            return self._asked(request)
        self._look_at(request, asked)
        document = self._read(asked.get("format", "json"), body, request)
        to, text = _at(document, asked["to"]), _at(document, asked["text"])
        told = {"to": to.removeprefix("00").lstrip("+"), "text": text}
        words = set(told["text"].split())
        if "#bad" in words:
            return self._told("refused", told)
        self._throttled[told["to"]] += 1
        if "#throttle" in words and self._throttled[told["to"]] == 1:
            return self._told("throttled", told)
        self.taken.append(told["to"])
        if "#silent" in words:
            await self._ended.wait()
        address = _at(document, asked["callback"]) if "callback" in asked else self.address
        parts = count(told["text"]).parts if self.record["accepted"].get("each") else 1
        ids = [self._id() for _ in range(parts)]
        for id in ids if "receipt" in self.record else ():
            facts = told | {"id": id}
            if "#before" in words:
                await self._push("receipt", facts, address)
            else:
                self._later("receipt", facts, address)
            if "#twice" in words:
                self._later("receipt", facts, address)
        if "#mo" in words:
            self._later("message", told | {"id": self._id()}, self.address)
        return self._told("accepted", told, ids)

    def _asked(self, request: web.Request) -> web.StreamResponse:
        """The state of a message."""
        for what in ("poll", "check"):
            asked = self.record.get(what, {})
            if re.fullmatch(self.record.get("base", "") + asked.get("path", "-"), request.path):
                return self._told(what, {})
        self.complaints.append(f"path {request.path}")
        return web.Response(status=404)

    def _look_at(self, request: web.Request, asked: Mapping[str, Any]) -> None:
        if request.method != asked.get("method", "POST"):
            self.complaints.append(f"method {request.method}")
        path = re.sub("^" + re.escape(self.record.get("base", "")), "", request.path)
        if not re.fullmatch(asked["path"], path):
            self.complaints.append(f"path {path}")
        for name, pattern in asked.get("headers", {}).items():
            if not re.fullmatch(pattern, request.headers.get(name, "")):
                self.complaints.append(f"{name}: {request.headers.get(name)}")
        for name, pattern in asked.get("query", {}).items():
            if not re.fullmatch(pattern, request.query.get(name, "")):
                self.complaints.append(f"{name}: {request.query.get(name)}")

    def _read(self, format: str, body: bytes, request: web.Request) -> Any:
        asked = self.record["request"]
        if format == "query":
            document: Any = dict(request.query)
        elif format == "form":
            pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
            document = dict(pairs)
            assert len(document) == len(pairs)
        else:
            assert request.content_type == "application/json"
            document = json.loads(body)
        if asked.get("signed") == "ovh":
            self._look_at_signature(request, body)
        for where, pattern in asked.get("fields", {}).items():
            value = _at(document, where)
            if not re.fullmatch(pattern, value, re.DOTALL):
                self.complaints.append(f"{where}: {value}")
        unknown = set(document) - set(asked.get("allowed", document))
        if unknown:
            self.complaints.append(f"unknown fields: {unknown}")
        return document

    def _look_at_signature(self, request: web.Request, body: bytes) -> None:
        """help.ovhcloud.com/csm/en-api-getting-started-ovhcloud-api"""
        options = self.record["options"]
        url = f"http://127.0.0.1:{self.port}{request.path_qs}"
        parts = [options["secret"], options["consumer"], request.method, url, body.decode()]
        content = "+".join([*parts, request.headers["X-Ovh-Timestamp"]])
        right = "$1$" + hashlib.sha1(content.encode()).hexdigest()
        if request.headers["X-Ovh-Signature"] != right:
            self.complaints.append("signature")

    def _id(self) -> str:
        number = next(self._numbers)
        form = self.record.get("id", "uuid")
        hashed = hashlib.sha256(str(number).encode()).hexdigest()
        made = {
            "uuid": str(uuid.UUID(hashed[:32])),
            "hex": hashed[:32],
            "number": str(5_000_000_000 + number),
        }
        return str(form).replace("HEX", hashed[:32]) if form not in made else made[form]

    def _told(
        self, what: str, facts: Mapping[str, str], ids: list[str] | None = None
    ) -> web.StreamResponse:
        told = self.record[what]
        body = told.get("body", "")
        if ids is not None:
            each = told.get("each", "$id")
            items = ", ".join(Template(each).substitute(facts, id=id) for id in ids)
            facts = {**facts, "id": ids[0], "items": items, "count": str(len(ids))}
        return web.Response(
            status=told.get("status", 200),
            text=Template(body).substitute(facts),
            content_type=told.get("media_type", "application/json"),
            headers=told.get("headers"),
        )

    def _later(self, what: str, facts: Mapping[str, str], address: str) -> None:
        task = asyncio.get_running_loop().create_task(self._push(what, facts, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _push(self, what: str, facts: Mapping[str, str], address: str) -> None:
        is_taken = False
        while not is_taken:
            with suppress(aiohttp.ClientConnectionError):
                is_taken = await self.push_once(what, facts, address) in range(200, 300)
            if not is_taken:
                await asyncio.sleep(0.05)

    async def push_once(
        self, what: str, facts: Mapping[str, str], address: str = "", *, spoilt: bool = False
    ) -> int:
        """The status with which a push is answered; `spoilt`: with a wrong signature."""
        pushed = self.record[what]
        facts = {"mine": MINE.lstrip("+"), "sig": "", "now": str(int(time.time())), **facts}
        url = address or self.address
        body, media_type = b"", ""
        if "form" in pushed:
            body, media_type = urlencode(_filled(pushed["form"], facts)).encode(), FORM
        elif "query" in pushed:
            url += f"?{urlencode(_filled(pushed['query'], facts), quote_via=quote)}"
        else:
            body = Template(pushed["json"]).substitute(facts).encode()
            media_type = "application/json"
        method = "GET" if "query" in pushed else "POST"
        headers = {"Content-Type": media_type} if media_type else {}
        if self.record.get("signature") == "vonage":
            body = _vonage(self.record["options"], body)
            body = body.replace(b"Hi", b"Ho") if spoilt else body
        elif "signature" in self.record:
            sign = SIGNATURES[self.record["signature"]]
            signed = (body + b" ", url + " ") if spoilt else (body, url)
            headers |= sign(self.record["options"], signed[1], signed[0], facts["now"])
        assert self._session is not None
        async with self._session.request(
            method, aiohttp.typedefs.URL(url, encoded=True), data=body or None, headers=headers
        ) as answer:
            await answer.read()
            return answer.status


def _digest(key: str, content: bytes, name: str) -> bytes:
    return hmac.new(key.encode(), content, name).digest()


Options = Mapping[str, Any]


def _twilio(options: Options, url: str, body: bytes, now: str) -> dict[str, str]:
    pairs = sorted(parse_qsl(body.decode(), keep_blank_values=True))
    content = url + "".join(name + value for name, value in pairs)
    signed = _digest(options["auth_token"], content.encode(), "sha1")
    return {"X-Twilio-Signature": base64.b64encode(signed).decode()}


def _sinch(options: Options, url: str, body: bytes, now: str) -> dict[str, str]:
    nonce = "01FJA8B4A7BM43YGWSG9GBV067"
    signed = _digest(options["webhook_secret"], body + f".{nonce}.{now}".encode(), "sha256")
    return {
        "x-sinch-webhook-signature": base64.b64encode(signed).decode(),
        "x-sinch-webhook-signature-nonce": nonce,
        "x-sinch-webhook-signature-timestamp": now,
        "x-sinch-webhook-signature-algorithm": "HmacSHA256",
    }


def _telnyx(options: Options, url: str, body: bytes, now: str) -> dict[str, str]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    signed = base64.b64encode(key.sign(now.encode() + b"|" + body)).decode()
    return {"telnyx-signature-ed25519": signed, "telnyx-timestamp": now}


def _plivo(options: Options, url: str, body: bytes, now: str) -> dict[str, str]:
    pairs = sorted(parse_qsl(body.decode(), keep_blank_values=True))
    content = url + "?" + "".join(name + value for name, value in pairs) + ".12345"
    signed = base64.b64encode(_digest(options["token"], content.encode(), "sha256")).decode()
    return {"X-Plivo-Signature-V3": signed, "X-Plivo-Signature-V3-Nonce": "12345"}


def _messagebird(options: Options, url: str, body: bytes, now: str) -> dict[str, str]:
    claims = {
        "iss": "MessageBird",
        "nbf": int(now),
        "exp": int(now) + 60,
        "jti": "1",
        "url_hash": hashlib.sha256(url.encode()).hexdigest(),
    }
    parts = [
        base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=")
        for each in ({"alg": "HS256", "typ": "JWT"}, claims)
    ]
    signed = _digest(options["signing_key"], ".".join(parts).encode(), "sha256")
    told = base64.urlsafe_b64encode(signed).decode().rstrip("=")
    return {"MessageBird-Signature-JWT": ".".join([*parts, told])}


def _vonage(options: Options, body: bytes) -> bytes:
    told = json.loads(body)
    content = "".join(f"&{name}={told[name]}" for name in sorted(told))
    signed = _digest(options["signature_secret"], content.encode(), "sha256")
    return json.dumps(told | {"sig": signed.hex()}).encode()


#: How each provider signs its pushes, from its documentation.
SIGNATURES: dict[str, Callable[[Options, str, bytes, str], dict[str, str]]] = {
    "twilio": _twilio,
    "sinch": _sinch,
    "telnyx": _telnyx,
    "plivo": _plivo,
    "messagebird": _messagebird,
}


@asynccontextmanager
async def provider_peer(name: str) -> AsyncIterator[Peer]:
    """A running server."""
    peer = Peer(name)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", peer._answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    peer.port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as peer._session:
        try:
            yield peer
        finally:
            peer._ended.set()
            for task in peer._tasks:
                task.cancel()
            await asyncio.gather(*peer._tasks, return_exceptions=True)
            await runner.cleanup()


def settings_of(peer: Peer) -> dict[str, Any]:
    """The table of the settings with which a provider's server is used; for one that is not known
    by name, that of docs/use/http.md."""
    entries: dict[str, Any] = {"push_secret": "s" * 32, **peer.record["options"]}
    if entries["kind"] == "http":
        page = (FOLDER.parents[2] / "docs/use/http.md").read_text("utf-8")
        sample = re.findall(r"^```toml\n(.*?)^```", page, re.M | re.S)[0]
        entries = next(iter(tomllib.loads(sample)["upstreams"].values()))
    return entries | {"url": peer.url}
