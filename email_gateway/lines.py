"""The lines of a mail's text, with what its HTML says of them."""

from enum import Enum
from typing import NamedTuple


class Mark(Enum):
    """The mark that a mail program gave a line in HTML."""

    NONE = "nothing"
    #: Part of the answered or forwarded mail, by the class or id that the program gave it.
    QUOTED = "quoted"
    #: In a `<blockquote type="cite">`, which is what `>` is in plain text.
    CITED = "cited"
    #: In a `<blockquote>` without more: a quote where an attribution is above it.
    INDENTED = "indented"
    SIGNATURE = "signature"


class Line(NamedTuple):
    """One line, without its end."""

    text: str
    mark: Mark = Mark.NONE

    @property
    def is_quoted(self) -> bool:
        """Whether the line looks quoted, by `>` or by its mark."""
        return self.mark in _QUOTES or self.text.startswith(">")


_QUOTES = frozenset({Mark.QUOTED, Mark.CITED, Mark.INDENTED})


def lines_of(text: str) -> list[Line]:
    """The lines of a plain text."""
    return [Line(line) for line in text.split("\n")]
