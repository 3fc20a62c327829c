"""Hostile headers, queries and paths: what any library of ours reads of them, at its longest.

They are good requests but for one header, and are asked of every kind of path: what comes back is
what would come without it, or a refusal.
"""

from collections.abc import Callable, Iterator

from .cases import FORM, GOOD, GOOD_FORM, KEY, SOAP

#: What fits into a header by gunicorn's limit, and how many such headers into a head by ours.
LONGEST, MOST = 8150, 7


def _filled(start: str, piece: str, end: str = "") -> str:
    """As many pieces as fit."""
    return start + piece * ((LONGEST - len(start) - len(end)) // len(piece)) + end


def _all_parameters(name: str, start: str) -> Iterator[tuple[str, str, str]]:
    """Ways to write parameters (RFC 9110, section 5.6.6) that are hard to read, for a header."""
    for what, value in {
        "of 8,000 semicolons": _filled(f"{start};", ";"),
        "of 2,000 parameters": _filled(start, ";a=b"),
        "of 8,000 backslashes in quotes": _filled(f'{start}; a="', "\\", '"'),
        "of escaped quotes": _filled(f'{start}; a="', '\\"', '"'),
        "of quotes that never end": _filled(start, ';a="\\"'),
        "of a quote with 8,000 semicolons": _filled(f'{start}; a="', ";"),
        "of a name in pieces": _filled(start, ";a*0=b"),
        "of 8,000 blanks": _filled(f"{start};", " ", "a=b"),
        "of bytes above ASCII": _filled(f"{start}; a=", "\xe9"),
    }.items():
        yield name, what, value


def _values() -> Iterator[tuple[str, str, str]]:
    yield from _all_parameters("Cookie", "visit=x")
    yield "Cookie", "of 8,000 octal escapes", _filled('visit="', "\\000", '"')
    yield "Cookie", "of ours 900 times", _filled("", "visit=x;")
    yield "Cookie", "without a name", _filled("", "=;")
    for accept in ("Accept", "Accept-Language", "Accept-Encoding", "Accept-Charset"):
        start = {"Accept": "application/json", "Accept-Language": "fr"}.get(accept, "x")
        yield from _all_parameters(accept, start)
        yield accept, "of 8,000 commas", _filled(start, ",")
        yield accept, "of 1,000 ranges", _filled(start, ",*/*;q=1")
        yield accept, "of a quality of 8,000 digits", _filled(f"{start};q=0.", "9")
        yield accept, "of 8,000 stars", _filled("", "*")
        yield accept, "of letters and blanks", _filled("", "a ;")
    yield from _all_parameters("Content-Type", "multipart/form-data; boundary=b")
    yield (
        "Content-Type",
        "with a boundary of 8,000 letters",
        _filled("multipart/form-data; boundary=", "b"),
    )
    yield from _all_parameters("Content-Type ", "multipart/related")
    yield from _all_parameters("Content-Disposition", "form-data")
    for name, value in {
        "Range of 1,600 ranges": _filled("bytes=0-0", ",0-0,"),
        "Range of ranges that overlap": _filled("bytes=0-", ",0-9"),
        "Range of 8,000 digits": _filled("bytes=", "9", "-"),
        "If-None-Match of 1,600 tags": _filled('"a"', ',"a"'),
        "If-None-Match that never ends": _filled('"', "\\"),
        "If-Match of 1,600 tags": _filled('"a"', ',W/"a"'),
        "If-Range of 8,000 letters": _filled("", "a"),
        "If-Modified-Since of 8,000 digits": _filled("Mon, ", "9"),
        "If-Unmodified-Since of 8,000 commas": _filled("", ","),
        "Authorization of 8,000 letters": _filled("Bearer ", "k"),
        "Authorization of 8,000 blanks": _filled("Bearer", " "),
        "Authorization of base64": _filled("Basic ", "YTph"),
        "Authorization of Digest": _filled('Digest username="a"', ',a="\\""'),
        "Forwarded of 1,000 hops": _filled("for=a", ",for=1.2.3.4"),
        "Forwarded of quotes": _filled('for="', "\\"),
        "X-Forwarded-For of 800 trusted hops": _filled("127.0.0.1", ",127.0.0.1"),
        "X-Forwarded-For of 8,000 commas": _filled("", ","),
        "X-Forwarded-For of 8,000 colons": _filled("", ":"),
        "X-Forwarded-Proto of 8,000 commas": _filled("https", ","),
        "X-Forwarded-Host of 8,000 letters": _filled("", "a"),
        "Origin of 8,000 letters": _filled("https://", "a"),
        "Referer of 8,000 brackets": _filled("https://[", "["),
        "Host of 8,000 colons": _filled("a", ":"),
        "User-Agent of 8,000 brackets": _filled("(", "("),
        "Via of 1,600 hops": _filled("1.1 a", ",1.1 a"),
        "Connection of 4,000 names": _filled("keep-alive", ",a"),
        "TE of 1,000 codings": _filled("trailers", ",a;q=1"),
        "Trailer of 4,000 names": _filled("a", ",a"),
        "Upgrade of 4,000 protocols": _filled("h2c", ",a"),
        "Expect of 8,000 letters": _filled("", "a"),
        "Content-Encoding of 2,000 packings": _filled("gzip", ",gzip"),
        "Idempotency-Key of 8,000 letters": _filled("", "k"),
        "SOAPAction of 8,000 quotes": _filled("", '"'),
        "Sec-Fetch-Site of 8,000 letters": _filled("", "a"),
        "Cache-Control of 800 directives": _filled("no-cache", ",max-age=1"),
        "DNT of 8,000 letters": _filled("", "a"),
    }.items():
        header, _, what = name.partition(" ")
        yield header, what, value


#: By what they are called: a header, and its value.
HEADERS: dict[str, tuple[str, str]] = {
    f"header: {header.strip()} {what}{'' if header == header.strip() else ' (SOAP)'}": (
        header.strip(),
        value,
    )
    for header, what, value in _values()
}

#: Methods and paths, of which `static` stands for a file that a page names.
PATHS = (
    ("GET", f"/sendsms/?{GOOD_FORM.decode().replace(KEY, 'none')}"),
    ("POST", FORM),
    ("GET", "/getsms/?apikey=none"),
    ("POST", SOAP),
    ("GET", f"{SOAP}?wsdl"),
    ("GET", "/"),
    ("GET", "/sendsms/test/"),
    ("POST", "/sendsms/test/"),
    ("GET", "/account/"),
    ("POST", "/account/"),
    ("GET", "/countries/"),
    ("GET", "static"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/nowhere"),
)


def asked(method: str, target: str, header: str = "", value: str = "", times: int = 1) -> bytes:
    """A request with a header, which may come more than once."""
    body = b""
    lines = ["Host: localhost", "Connection: close"]
    if method == "POST":
        body = (GOOD if target == SOAP else GOOD_FORM).replace(KEY.encode(), b"none")
        kind = "text/xml" if target == SOAP else "application/x-www-form-urlencoded"
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    if header:
        lines = [line for line in lines if not line.startswith(f"{header}:")]
        lines += [f"{header}: {value}"] * times
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body


#: Queries, behind any path.
QUERIES: dict[str, Callable[[], str]] = {
    "query: 4,000 ampersands": lambda: "&" * 4000,
    "query: 2,000 names": lambda: "a=b&" * 1900,
    "query: 2,500 escapes": lambda: "message=" + "%E9" * 2500,
    "query: 7,000 signs of per cent": lambda: "message=" + "%" * 7000,
    "query: one name 900 times": lambda: "format=x&" * 850,
    "query: names that are escaped": lambda: "%66ormat=json&" * 500,
    "query: brackets": lambda: "recipients" + "[" * 7000,
    "query: plus signs": lambda: "search=" + "+" * 7000,
    "query: a search of 1,200 letters of two bytes": lambda: "search=" + "%C3%A9" * 1200,
    "query: a page of 7,000 digits": lambda: "before=1&page=" + "9" * 7000,
}
#: Paths, for GET.
TARGETS: dict[str, Callable[[], str]] = {
    "path: 8,000 slashes": lambda: "/" * 8000,
    "path: 2,600 steps up": lambda: "/.." * 2600,
    "path: 2,600 escapes": lambda: "/" + "%2e" * 2600,
    "path: a file of 8,000 letters": lambda: "/static/a/" + "a" * 8000,
    "path: files in 4,000 folders": lambda: "/static" + "/a" * 4000,
    "path: a message of 8,000 digits": lambda: "/account/messages/" + "9" * 8000,
    "path: a link of 8,000 letters": lambda: "/apikey/confirm/" + "a" * 8000,
    "path: 2,600 bytes above ASCII": lambda: "/" + "\xe9" * 2600,
    "path: an absolute form of 4,000 slashes": lambda: "http://a" + "/" * 4000,
    "path: an absolute form of brackets": lambda: "http://[" + "[" * 4000 + "/",
}
#: All names, as the document has them.
NAMES = (*HEADERS, *QUERIES, *TARGETS)
