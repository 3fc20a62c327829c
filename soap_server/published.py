"""Publishes the WSDL: which file a request asks for, and the answer to it."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

import wsdl

#: The contract, and the same with the port of SOAP 1.1 only, for Salesforce and XML::Compile.
WSDL = "/sendsms/wsdl/sendSmsNow.wsdl"
WSDL11 = "/sendsms/wsdl/sendSmsNow11.wsdl"

#: The path of the file that each path is for: people type small letters.
FILES = {path: file for file in (WSDL, WSDL11) for path in (file, file.lower())}

#: Queries of the endpoint that ask for the WSDL. It imports nothing, so it is a single file, too
#: (`?singleWsdl` of .NET).
_WSDL_QUERIES = frozenset({"wsdl", "singlewsdl"})


@dataclass(frozen=True, slots=True)
class File:
    """A published file, plain and packed, each with its entity tag (RFC 9110, section 8.8.3)."""

    plain: bytes
    packed: bytes
    tag: bytes
    packed_tag: bytes

    @classmethod
    def of(cls, content: bytes) -> "File":
        digest = hashlib.sha256(content).hexdigest()[:32].encode()
        packed = gzip.compress(content, mtime=0)
        return cls(content, packed, b'"' + digest + b'"', b'"' + digest + b'-gzip"')


def files(endpoint: str) -> dict[str, File]:
    """The files by their paths, for an endpoint with this URL."""
    return {
        WSDL: File.of(wsdl.document(endpoint)),
        WSDL11: File.of(wsdl.document(endpoint, soap12=False)),
    }


def file_asked_for(path: str, query: bytes) -> str | None:
    """The path of the WSDL that a GET asks for; None when it asks for none.

    Names and values of the query count in any case. `soap=1.1` leaves SOAP 1.2 out.
    """
    fields = dict(parse_qsl(query.decode("latin-1").lower(), keep_blank_values=True))
    file = FILES.get(path)
    if file is None and not _WSDL_QUERIES.isdisjoint(fields):
        file = WSDL
    return WSDL11 if file is not None and fields.get("soap") == "1.1" else file


def answer(
    file: File, headers: Mapping[bytes, bytes]
) -> tuple[int, bytes, tuple[tuple[bytes, bytes], ...]]:
    """The status, the body and the headers beside type and length of the answer to a GET.

    RFC 9110, sections 12.5.3 (Accept-Encoding) and 13.1.2 (If-None-Match).
    """
    packs = _takes_gzip(headers.get(b"accept-encoding", b""))
    tag = file.packed_tag if packs else file.tag
    more = ((b"etag", tag), (b"vary", b"accept-encoding"), (b"cache-control", b"no-cache"))
    # Weak comparison (section 8.8.3.2): W/ means nothing here.
    known = {
        each.strip().removeprefix(b"W/") for each in headers.get(b"if-none-match", b"").split(b",")
    }
    if known & {tag, b"*"}:
        return 304, b"", more
    if packs:
        return 200, file.packed, (*more, (b"content-encoding", b"gzip"))
    return 200, file.plain, more


def _takes_gzip(accepted: bytes) -> bool:
    for each in accepted.lower().split(b","):
        coding, _, weight = each.partition(b";")
        if coding.strip() in (b"gzip", b"x-gzip"):
            return weight.replace(b" ", b"").removeprefix(b"q=").strip(b"0.") != b"" or not weight
    return False
