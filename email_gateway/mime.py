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
from .encrypted import refuse_encrypted
from .flowed import joined
from .html import lines_of_html
from .lines import Line, lines_of
from .unreadable import UnreadableMailError

#: How deep parts may lie in each other, and how many there may be in all.
MAX_DEPTH, MAX_PARTS = 12, 200
#: The most semicolons in a header that is looked into: the standard library looks for the quotes
#: before each anew.
MAX_PARAMETERS = 64
#: The most octets in the headers of a mail or part, in the value of one that is looked into, and
#: in a text with all that it quotes.
MAX_HEADERS, MAX_HEADER, MAX_TEXT = 131_072, 2_000, 1_000_000
#: The most lines of a text with all that it quotes: each may introduce a quote and is examined.
MAX_LINES = 20_000
#: How many lines may begin like a delimiter of parts without being one: those of nested parts.
MAX_OTHERS = 1_000

_BLANK_LINE = re.compile(rb"\n\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_NO_TEXT = "there is no text in the mail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A mail, or a part of one: its headers, and where in the mail the octets after them are."""

    headers: Message
    #: The whole mail: parts within parts are copied by none of them.
    mail: bytes
    start: int
    end: int

    @property
    def body(self) -> bytes:
        return self.mail[self.start : self.end]

    @property
    def type(self) -> str:
        return self.headers.get_content_type()

    def header(self, name: str) -> str:
        """A header as it came, octets beyond ASCII as surrogates; empty when there is none."""
        return next(self.fields(name), "")

    def fields(self, name: str) -> Iterator[str]:
        """All headers of this name, as `header` has one."""
        return (str(value) for each, value in self.headers.raw_items() if each.lower() == name)


def part(mail: bytes, start: int = 0, end: int | None = None) -> Part:
    """A mail, or its part between two places, with its headers read; raises UnreadableMailError."""
    end = len(mail) if end is None else end
    at_once = _LINE_END.match(mail, start, end)
    blank = at_once or _BLANK_LINE.search(mail, start, min(end, start + MAX_HEADERS + 4))
    body = blank.end() if blank else end
    if body - start > MAX_HEADERS:
        raise UnreadableMailError("the headers of the mail are too long")
    headers = BytesHeaderParser().parsebytes(mail[start:body])
    found = Part(headers=headers, mail=mail, start=body, end=end)
    for name in ("content-type", "content-disposition", "content-transfer-encoding"):
        values = list(found.fields(name))
        if len(set(values)) > 1:
            # Two readers of the mail would each believe another one (RFC 2045 §3, RFC 5322 §3.6).
            raise UnreadableMailError(f"the mail has two {name} fields")
        if values and (len(values[0]) > MAX_HEADER or values[0].count(";") > MAX_PARAMETERS):
            raise UnreadableMailError(f"the {name} of the mail is too long")
    return found


def lines_of_mail(mail: Part) -> list[Line]:
    """The text that a mail shows, line by line; raises UnreadableMailError.

    Of alternatives the plain one counts; HTML is read as text; attachments are left out.
    """
    texts = [lines for lines in _Reader().texts(mail, 0) if _says_something(lines)]
    if not texts:
        raise UnreadableMailError(_NO_TEXT)
    if sum(map(len, texts)) > MAX_LINES:
        raise UnreadableMailError("the text has too many lines")
    return [line for lines in texts for line in lines]


def _says_something(lines: list[Line]) -> bool:
    return any(line.text and not line.text.isspace() for line in lines)


class _Reader:
    def __init__(self) -> None:
        #: How many parts the mail was found to have, itself apart.
        self._parts = 0

    def texts(self, mail: Part, depth: int) -> list[list[Line]]:
        """The texts of a part, in their order."""
        refuse_encrypted(mail.type, _parameter(mail, "smime-type") or "")
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
        for start, end in _split(mail):
            self._parts += 1
            if depth == MAX_DEPTH or self._parts > MAX_PARTS:
                raise UnreadableMailError("the mail has too many parts")
            children.append(part(mail.mail, start, end))
        return children

    def _best(self, alternatives: list[Part], depth: int) -> list[list[Line]]:
        """The plain alternative, or else the first that can be read and is not empty."""
        problem = None
        for alternative in sorted(alternatives, key=lambda each: each.type != "text/plain"):
            try:
                texts = self.texts(alternative, depth + 1)
            except UnreadableMailError as unreadable:
                problem = problem or unreadable
                continue
            if any(map(_says_something, texts)):
                return texts
        if problem is not None:
            raise problem
        return []


def _is_attached(mail: Part) -> bool:
    disposition = mail.headers.get_content_disposition()
    if disposition == "attachment":
        return True
    if mail.headers.get_content_maintype() == "multipart":
        return False
    # Without a disposition a text is a text (RFC 2183 §2), whatever its name is good for.
    named = disposition is not None or mail.headers.get_content_maintype() != "text"
    return _parameter(mail, "filename", "content-disposition") is not None or (
        named and _parameter(mail, "name") is not None
    )


def _split(mail: Part) -> Iterator[tuple[int, int]]:
    """The start and end of each part of a multipart (RFC 2046 §5.1.1).

    The last part counts also when the closing delimiter is missing.
    """
    boundary = (_parameter(mail, "boundary") or "").encode("utf-8", "surrogateescape").strip()
    if not boundary:
        raise UnreadableMailError("the parts of the mail have no boundary")
    start = None
    for found in _delimiters(mail, b"--" + boundary):
        if start is not None:
            yield start, max(start, found.start())
        if found[1]:
            return
        start = found.end()
    if start is not None:
        yield start, mail.end


def _delimiters(mail: Part, delimiter: bytes) -> Iterator[re.Match[bytes]]:
    """The delimiter lines. The line end before a delimiter belongs to it."""
    # Searching for octets is twenty times as fast as a regular expression that begins with a
    # choice, and a mail is read as often as parts lie in each other.
    octets, end = mail.mail, mail.end
    whole = re.compile(rb"(?:\r?\n)?" + re.escape(delimiter) + rb"(--)?[ \t]*(?:\r?\n|\Z)")
    others = 0
    at = mail.start
    if not octets.startswith(delimiter, at, end):
        at = octets.find(b"\n" + delimiter, at, end)
    while at >= 0:
        after_cr = at > mail.start and octets[at - 1] == 13
        found = whole.match(octets, at - after_cr, end)
        if found is not None:
            yield found
        else:
            others += 1
            if others > MAX_OTHERS:
                raise UnreadableMailError(
                    "too many lines of the mail are nearly a boundary of its parts"
                )
        # The line end of one delimiter may be the one before the next.
        at = octets.find(b"\n" + delimiter, found.end() - 1 if found is not None else at + 1, end)


def _text(mail: Part) -> list[Line]:
    """The lines of a text part; raises UnreadableMailError."""
    if mail.end - mail.start > MAX_TEXT:
        raise UnreadableMailError("the text is too long")
    octets = transferred(mail.body, mail.header("content-transfer-encoding"))
    charset = _parameter(mail, "charset") or ""
    text = decoded(octets, charset if charset.isascii() else "")
    if mail.type == "text/html":
        return lines_of_html(text)
    text = re.sub(r"\r\n?", "\n", text)
    if _is(mail, "format", "flowed"):
        text = joined(text, delete_space=_is(mail, "delsp", "yes"))
    return lines_of(text)


def _is(mail: Part, name: str, value: str) -> bool:
    return (_parameter(mail, name) or "").strip().lower() == value


def _parameter(mail: Part, name: str, header: str = "content-type") -> str | None:
    """A parameter of a header; None when it is not there. Raises UnreadableMailError.

    One in another charset (RFC 2231 §4) is read as Latin-1, as all that we look for is ASCII. The
    standard library would read it by any codec of Python's that the mail names: some are slow, some
    fail, and a name that is none is remembered for ever.
    """
    try:
        value = mail.headers.get_param(name, header=header)
    except TypeError:  # of the standard library, for a part with a number and one without
        raise UnreadableMailError(f"the {header} of the mail is broken") from None
    return value[2] if isinstance(value, tuple) else value
