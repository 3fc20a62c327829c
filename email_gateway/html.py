"""HTML mails as plain text, without what mail programs mark as quoted or as a signature."""

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

from .lines import Line, Mark
from .unreadable import UnreadableMailError

#: How deep elements may lie in each other. For each end tag that ends nothing the parser looks
#: through all that are open.
MAX_DEPTH = 500
#: Octets that the parser gets at a time. It stops for an error only at the end of a piece.
PIECE = 16_384

# Elements that begin and end on a line of their own.
_BLOCK = re.compile(
    "address|article|aside|blockquote|body|center|d[dlt]|div|fieldset|figcaption|figure|footer|form"
    "|h[1-6]|header|hr|html|li|main|nav|ol|p|pre|section|table|tbody|tfoot|thead|tr|ul"
)
_CELL = re.compile("t[dh]")
_UNSEEN = re.compile("head|img|object|script|select|style|template|textarea|title")

# The classes, ids and names by which mail programs mark elements.
_MARKS = {
    **dict.fromkeys(
        (
            *("gmail_quote", "gmail_extra", "gmail_attr", "moz-cite-prefix", "yahoo_quoted"),
            *("protonmail_quote", "tutanota_quote", "zmail_extra", "missive_quote", "airmail_on"),
            *("messagereplysection", "front-blockquote", "reply-intro", "bloop_original_html"),
            *("outlookmessageheader", "quote-header", "olk_src_body_section"),
        ),
        Mark.QUOTED,
    ),
    **dict.fromkeys(
        (
            *("gmail_signature", "gmail_signature_prefix", "moz-signature", "moz-txt-sig"),
            *(
                "signature",
                "ms-outlook-mobile-signature",
                "applemailsignature",
                "composer_signature",
            ),
            *("protonmail_signature_block", "messagesignaturesection", "bloop_sign"),
            "ms-outlook-mobile-body-separator-line",
        ),
        Mark.SIGNATURE,
    ),
}
# These mark only where a quote begins: all that follows is quoted.
_QUOTED_FROM = {
    *("divrplyfwdmsg", "appendonsend", "mail-editor-reference-message-container"),
    "stopspelling",
}
# Yahoo puts a random prefix before this name.
_QUOTED_ENDS = "yahoo_quoted"
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n\f]+")


def text_of_html(html: str) -> str:
    """The text that HTML shows, without quotes and signatures that are marked as such."""
    return "\n".join(
        line.text for line in lines_of_html(html) if line.mark in (Mark.NONE, Mark.INDENTED)
    )


def lines_of_html(html: str) -> list[Line]:
    """The text that HTML shows, each paragraph on a line; the cost is linear in its length.

    Raises UnreadableMailError.
    """
    reader: Any = _Reader()
    # A parser with a target builds no tree, to which attributes are added in quadratic time.
    parser = etree.HTMLParser(target=reader, encoding="utf-8", no_network=True)
    octets = html.encode("utf-8", "replace")
    # Even of nothing there has to be a piece.
    for start in range(0, len(octets) + 1, PIECE):
        parser.feed(octets[start : start + PIECE])
    parser.close()
    lines: list[Line] = reader.lines()
    return lines


class _Reader:
    """The target of lxml's parser: it gets elements and texts as they come."""

    def __init__(self) -> None:
        self._lines: list[Line] = []
        #: Of the line that is being read.
        self._pieces: list[str] = []
        #: Whether white space stands between the last piece and the next.
        self._space = False
        #: That white space itself, as far as it came as text.
        self._blank = ""
        self._depth = 0
        self._pre = 0
        #: The depth of the element that is passed over.
        self._unseen: int | None = None
        #: The marks in force, innermost last, each with the depth of its element; at depth 0 it
        #: holds to the end of the document.
        self._marks = [(Mark.NONE, 0)]

    @property
    def _mark(self) -> Mark:
        return self._marks[-1][0]

    def lines(self) -> list[Line]:
        self._new_line()
        return self._lines

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnreadableMailError("the HTML of the mail is nested too deep")
        if self._unseen is not None:
            return
        if _BLOCK.fullmatch(tag):
            self._fresh_line()
        if _UNSEEN.fullmatch(tag) or _HIDDEN.search(attributes.get("style", "")):
            self._unseen = self._depth
            return
        if self._mark in (Mark.NONE, Mark.INDENTED):
            self._begin_mark(tag, attributes)
        if tag == "br":
            self._new_line()
        elif tag == "pre":
            self._pre += 1
        elif tag == "li":
            self._add("- ")
        elif _CELL.fullmatch(tag):
            self._space, self._blank = True, ""

    def end(self, tag: str) -> None:
        if self._unseen is None:
            if _BLOCK.fullmatch(tag):
                self._fresh_line()
                if tag == "pre":
                    self._pre -= 1
            if self._marks[-1][1] == self._depth:
                self._fresh_line()
                self._marks.pop()
        if self._unseen == self._depth:
            self._unseen = None
        self._depth -= 1

    def data(self, text: str) -> None:
        if self._unseen is not None:
            return
        if self._pre > 0:
            for number, line in enumerate(re.split(r"\r\n?|\n", text)):
                if number:
                    self._new_line()
                self._add(line)
            return
        words = _SPACE.split(text)
        for number, word in enumerate(words):
            self._space |= number > 0
            self._add(word)
        rest = text[len(text.rstrip(" \t\r\n\f")) :]
        self._blank = (self._blank + rest if rest == text else rest)[:2]

    def close(self) -> None:
        """Called at the end of the document."""

    def _begin_mark(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Mark the lines from here on, where the element says what they are."""
        names = {
            *(attributes.get(name, "").lower() for name in ("id", "name")),
            *attributes.get("class", "").lower().split(),
        }
        mark = next((_MARKS[name] for name in names if name in _MARKS), None)
        depth = self._depth
        if names & _QUOTED_FROM:
            mark, depth = Mark.QUOTED, 0
        elif any(name.endswith(_QUOTED_ENDS) for name in names):
            mark = Mark.QUOTED
        elif tag == "blockquote" and attributes.get("type", "").lower() == "cite":
            mark = mark or Mark.CITED
        elif tag == "blockquote" and self._mark is Mark.NONE and mark is None:
            mark = Mark.INDENTED
        if mark is not None:
            self._fresh_line()
            self._marks.append((mark, depth))

    def _add(self, text: str) -> None:
        if not text:
            return
        if self._space and self._pieces:
            self._pieces.append(" ")
        self._pieces.append(text)
        self._space = False

    def _fresh_line(self) -> None:
        if self._pieces:
            self._new_line()

    def _new_line(self) -> None:
        if self._pieces == ["--"] and self._space and self._blank == " ":
            # A signature's separator ends in a blank, which is nothing anywhere else.
            self._pieces.append(" ")
        self._lines.append(Line("".join(self._pieces), self._mark))
        self._pieces.clear()
        self._space, self._blank = False, ""
