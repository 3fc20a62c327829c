"""Requests to the SOAP face as plain data: those that real stacks send, and the hostile ones."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import documents
from .cases import GOOD

_RECORDED = Path(__file__).parents[1] / "recorded" / "soap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The body of a POST, and what its head says of it; empty is a header that is not there."""

    name: str
    body: bytes
    content_type: str
    content_encoding: str = ""


def _recorded() -> Iterator[Envelope]:
    for path in sorted(_RECORDED.glob("*.http")):
        head, _, body = path.read_bytes().partition(b"\r\n\r\n")
        lines = re.findall(r"^(.+?):[ \t]*(.*?)\r?$", head.decode("latin-1"), re.M)
        headers = {name.lower(): value for name, value in lines}
        yield Envelope(
            name=path.stem,
            body=body,
            content_type=headers.get("content-type", ""),
            content_encoding=headers.get("content-encoding", ""),
        )


def _hostile() -> Iterator[Envelope]:
    usual = "text/xml; charset=utf-8"
    for name, body in documents.DOCUMENTS.items():
        yield Envelope(
            name=name, body=body if isinstance(body, bytes) else body(), content_type=usual
        )
    for name, (packed, encoding) in documents.PACKED.items():
        yield Envelope(name=name, body=packed(), content_type=usual, content_encoding=encoding)
    for name, (body, content_type) in documents.TYPED.items():
        yield Envelope(name=name, body=body, content_type=content_type)


def good() -> list[Envelope]:
    """One by hand, and those that real stacks sent, byte for byte."""
    by_hand = Envelope(name="by hand", body=GOOD, content_type="text/xml; charset=utf-8")
    return [by_hand, *_recorded()]


def hostile() -> list[Envelope]:
    """Those that are refused by a Fault; some are made here of many megabytes."""
    return list(_hostile())
