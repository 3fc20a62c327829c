"""The text of a mail: which of its MIME parts it is in, and that part as text.

The parser is our own, as the standard library's takes seconds and hundreds of levels of recursion
for a mail that is made for it; here each level of parts is one pass of a regular expression.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser

from .charset import decoded, transferred
from .flowed import joined
from .html import text_of_html
from .unreadable import Unreadable

#: How deep parts may lie in each other, and how many there may be in all.
MAX_DEPTH, MAX_PARTS = 12, 200
#: The most semicolons in a header that is looked into: the standard library looks for the quotes
#: before each anew.
MAX_PARAMETERS = 64
#: The most octets in the headers of a mail or part, in the value of one that is looked into, and
#: in a text with all that it quotes.
MAX_HEADERS, MAX_HEADER, MAX_TEXT = 131_072, 2_000, 1_000_000

_BLANK_LINE = re.compile(rb"(?:\A|\r?\n)\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_NO_TEXT = "there is no text in the mail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A mail, or a part of one: its headers, and the octets after them."""

    headers: Message
    body: memoryview

    @property
    def type(self) -> str:
        return self.headers.get_content_type()

    def header(self, name: str) -> str:
        """A header as it came, octets beyond ASCII as surrogates; empty when there is none."""
        for each, value in self.headers.raw_items():
            if each.lower() == name:
                return str(value)
        return ""


def part(octets: bytes | memoryview) -> Part:
    """A mail or part with its headers read; raises Unreadable."""
    view = memoryview(octets)
    blank = _BLANK_LINE.search(view)
    end = blank.end() if blank else len(view)
    if end > MAX_HEADERS:
        raise Unreadable("the headers of the mail are too long")
    headers = BytesHeaderParser().parsebytes(bytes(view[:end]))
    found = Part(headers=headers, body=view[end:])
    for name in ("content-type", "content-disposition", "content-transfer-encoding"):
        value = found.header(name)
        if len(value) > MAX_HEADER or value.count(";") > MAX_PARAMETERS:
            raise Unreadable(f"the {name} of the mail is too long")
    return found


def text_of(mail: Part) -> str:
    """What a reader sees of a mail, as plain text with `\\n`; raises Unreadable.

    Of alternatives the plain one; HTML is read as text; what is attached is passed over.
    """
    texts = [text for text in _Reader().texts(mail, 0) if text.strip()]
    if not texts:
        raise Unreadable(_NO_TEXT)
    return "\n".join(texts)


class _Reader:
    def __init__(self) -> None:
        #: How many parts the mail was found to have, itself apart.
        self._parts = 0

    def texts(self, mail: Part, depth: int) -> list[str]:
        """The texts of a part, in their order."""
        if _is_attached(mail):
            return []
        kind, _, subtype = mail.type.partition("/")
        if kind == "text":
            return [_text(mail)] if subtype in ("plain", "html") else []
        if kind != "multipart":
            return []
        children = self._children(mail, depth)
        if subtype == "alternative":
            return self._best(children, depth)
        if subtype == "signed":  # the other part is the signature (RFC 1847 §2.1)
            children = children[:1]
        return [text for child in children for text in self.texts(child, depth + 1)]

    def _children(self, mail: Part, depth: int) -> list[Part]:
        children = []
        for octets in _split(mail):
            self._parts += 1
            if depth == MAX_DEPTH or self._parts > MAX_PARTS:
                raise Unreadable("the mail has too many parts")
            children.append(part(octets))
        return children

    def _best(self, alternatives: list[Part], depth: int) -> list[str]:
        """The plain alternative, or else the first that can be read and is not empty."""
        problem = None
        for alternative in sorted(alternatives, key=lambda each: each.type != "text/plain"):
            try:
                texts = self.texts(alternative, depth + 1)
            except Unreadable as unreadable:
                problem = problem or unreadable
                continue
            if any(text.strip() for text in texts):
                return texts
        if problem is not None:
            raise problem
        return []


def _is_attached(mail: Part) -> bool:
    if mail.headers.get_content_disposition() == "attachment":
        return True
    return mail.headers.get_content_maintype() != "multipart" and (
        _parameter(mail, "filename", "content-disposition") is not None
        or _parameter(mail, "name") is not None
    )


def _split(mail: Part) -> Iterator[memoryview]:
    """The parts of a multipart (RFC 2046 §5.1.1), the last also without the line that ends it."""
    boundary = (_parameter(mail, "boundary") or "").encode("utf-8", "surrogateescape").strip()
    if not boundary:
        raise Unreadable("the parts of the mail have no boundary")
    line = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    start = None
    for found in line.finditer(mail.body):
        if start is not None:
            yield mail.body[start : max(start, found.start())]
        if found[1]:
            return
        after = _LINE_END.match(mail.body, found.end())
        start = after.end() if after else found.end()
    if start is not None:
        yield mail.body[start:]


def _text(mail: Part) -> str:
    """A text part as plain text; raises Unreadable."""
    if len(mail.body) > MAX_TEXT:
        raise Unreadable("the text is too long")
    octets = transferred(bytes(mail.body), mail.header("content-transfer-encoding"))
    charset = _parameter(mail, "charset") or ""
    text = decoded(octets, charset if charset.isascii() else "")
    if mail.type == "text/html":
        return text_of_html(text)
    text = re.sub(r"\r\n?", "\n", text)
    if _is(mail, "format", "flowed"):
        text = joined(text, delete_space=_is(mail, "delsp", "yes"))
    return text


def _is(mail: Part, name: str, value: str) -> bool:
    return (_parameter(mail, name) or "").strip().lower() == value


def _parameter(mail: Part, name: str, header: str = "content-type") -> str | None:
    """A parameter of a header; None when it is not there. Raises Unreadable.

    One in another charset (RFC 2231 §4) is read as Latin-1, as all that we look for is ASCII. The
    standard library would read it by any codec of Python's that the mail names: some are slow, some
    fail, and a name that is none is remembered for ever.
    """
    try:
        value = mail.headers.get_param(name, header=header)
    except TypeError:  # of the standard library, for a part with a number and one without
        raise Unreadable(f"the {header} of the mail is broken") from None
    return value[2] if isinstance(value, tuple) else value
