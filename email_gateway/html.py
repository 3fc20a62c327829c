"""HTML mails as plain text, without what mail programs mark as quoted or as a signature."""

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

from .unreadable import Unreadable

#: How deep elements may lie in each other. For each end tag that ends nothing the parser looks
#: through all that are open.
MAX_DEPTH = 500
#: What the parser is given at a time, in octets: it does not stop before the end of that.
PIECE = 16_384

# What begins and ends on a line of its own.
_BLOCK = re.compile(
    "address|article|aside|blockquote|body|center|d[dlt]|div|fieldset|figcaption|figure|footer|form"
    "|h[1-6]|header|hr|html|li|main|nav|ol|p|pre|section|table|tbody|tfoot|thead|tr|ul"
)
_CELL = re.compile("t[dh]")
_UNSEEN = re.compile("head|img|object|script|select|style|template|textarea|title")

# What replies quote, and signatures, by class or id.
_QUOTED = frozenset(
    {
        *("gmail_quote", "gmail_extra", "gmail_attr", "gmail_signature", "gmail_signature_prefix"),
        *("moz-cite-prefix", "moz-signature", "moz-txt-sig"),
        *("signature", "ms-outlook-mobile-signature", "applemailsignature"),
        *("yahoo_quoted", "protonmail_quote", "protonmail_signature_block"),
    }
)
# After these all is quoted: Outlook marks the beginning only.
_QUOTED_FROM = {"divrplyfwdmsg", "appendonsend", "mail-editor-reference-message-container"}
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n\f]+")


def text_of_html(html: str) -> str:
    """What a reader sees of HTML, each paragraph on a line; cost linear in its length.

    Raises Unreadable.
    """
    reader: Any = _Reader()
    # A parser with a target builds no tree, to which attributes are added in quadratic time.
    parser = etree.HTMLParser(target=reader, encoding="utf-8", no_network=True)
    octets = html.encode("utf-8", "replace")
    # Even of nothing there has to be a piece.
    for start in range(0, len(octets) + 1, PIECE):
        parser.feed(octets[start : start + PIECE])
    parser.close()
    text: str = reader.text()
    return text


class _Reader:
    """What lxml's parser tells of elements and texts, as they come."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        #: Whether the last line of the pieces has anything on it.
        self._begun = False
        #: Whether white space stands between the last piece and the next.
        self._space = False
        self._depth = 0
        self._pre = 0
        #: The depth of the element that is passed over; 0 is the end of it all.
        self._unseen: int | None = None

    def text(self) -> str:
        return "".join(self._pieces)

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable("the HTML of the mail is nested too deep")
        if self._unseen is not None:
            return
        if _BLOCK.fullmatch(tag):
            self._fresh_line()
        names = {attributes.get("id", "").lower(), *attributes.get("class", "").lower().split()}
        if names & _QUOTED_FROM:
            self._unseen = 0
        elif (
            _UNSEEN.fullmatch(tag)
            or names & _QUOTED
            or (tag == "blockquote" and attributes.get("type", "").lower() == "cite")
            or _HIDDEN.search(attributes.get("style", ""))
        ):
            self._unseen = self._depth
        elif tag == "br":
            self._new_line()
        elif tag == "pre":
            self._pre += 1
        elif tag == "li":
            self._add("- ")
        elif _CELL.fullmatch(tag):
            self._space = True

    def end(self, tag: str) -> None:
        if self._unseen is None and _BLOCK.fullmatch(tag):
            self._fresh_line()
            if tag == "pre":
                self._pre -= 1
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
        for number, word in enumerate(_SPACE.split(text)):
            self._space |= number > 0
            self._add(word)

    def close(self) -> None:
        """Called at the end of the document."""

    def _add(self, text: str) -> None:
        if not text:
            return
        if self._space and self._begun:
            self._pieces.append(" ")
        self._pieces.append(text)
        self._begun, self._space = True, False

    def _fresh_line(self) -> None:
        if self._begun:
            self._new_line()

    def _new_line(self) -> None:
        self._pieces.append("\n")
        self._begun = self._space = False
