"""Regular expressions of the settings, by RE2: linear time and bounded memory whatever the text."""

import re
from typing import Any

import re2

#: The most memory of one pattern with its automata, octets: RE2 refuses what takes more.
_MEMORY = 1 << 20
_GROUP = re.compile(r"\\([0-9]|\\)")


class Pattern:
    """A regular expression in RE2's syntax, without back-references and look-around."""

    def __init__(self, source: str) -> None:
        """ValueError for a wrong pattern."""
        options = re2.Options()
        options.max_mem, options.log_errors = _MEMORY, False
        try:
            self._compiled: Any = re2.compile(source, options)
        except re2.error as error:
            (why,) = error.args
            told = why.decode() if isinstance(why, bytes) else why
            raise ValueError(f"the pattern {source!r} is wrong: {told}") from None
        self.source = source
        self.groups: int = self._compiled.groups

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    def __repr__(self) -> str:
        return f"Pattern({self.source!r})"

    def found_in(self, text: str) -> bool:
        """Whether it matches somewhere in a text."""
        return self._compiled.search(text) is not None

    def replaced(self, replacement: "Replacement", text: str) -> str:
        """A text with the replacement for each match."""
        pieces, end = [], 0
        for match in self._compiled.finditer(text):
            pieces.append(text[end : match.start()])
            pieces += (
                match.group(each) or "" if isinstance(each, int) else each
                for each in replacement.pieces
            )
            end = match.end()
        return "".join((*pieces, text[end:]))


class Replacement:
    """The replacement for what a pattern finds: \\0 is all of it, \\1 its first group."""

    def __init__(self, source: str, pattern: Pattern) -> None:
        """ValueError for a group that the pattern has not."""
        self.source = source
        #: Literal texts, and the numbers of groups.
        self.pieces: list[str | int] = []
        for number, piece in enumerate(_GROUP.split(source)):
            is_group = number % 2 == 1 and piece != "\\"
            if is_group and int(piece) > pattern.groups:
                raise ValueError(f"the replacement {source!r} has a group that the pattern has not")
            self.pieces.append(int(piece) if is_group else piece)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Replacement) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)
