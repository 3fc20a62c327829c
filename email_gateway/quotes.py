"""Finds where a mail quotes another: attributions, separators and header blocks, in any language.

The form alone tells most of them: an attribution is a line that ends in a colon and holds a date or
time and an address. Where one of these is missing, the words of `languages` decide.
"""

import re
from collections.abc import Sequence
from enum import Enum
from functools import cache

from .languages import LANGUAGES, words
from .lines import Line

#: No program's line is longer, in characters.
LONGEST = 300
#: How many lines an attribution may be broken over, and a block of headers may have.
ATTRIBUTION_LINES, HEADER_LINES = 4, 14
# Programs break lines at 65 to 80 columns: a shorter line was ended by its writer.
_WIDTH = 62

# Marks for the direction of writing, which Hebrew and Arabic attributions hold.
_DIRECTION = dict.fromkeys(
    map(ord, "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
)
_ADDRESS = re.compile(r"[^\s<>()\[\]@:,;]{1,64}@[^\s<>()\[\]@:,;]{1,255}")
# An address as programs write it after a name.
_IN_BRACKETS = re.compile(
    r"[<(\[](?:mailto:)?[^\s<>()\[\]@:,;]{1,64}@[^\s<>()\[\]@,;]{1,255}[>)\]]"
)
_TIME = re.compile(
    r"\d{1,2}\s?[:.h時时시点點]\s?\d{2}(?!\d)|\d{1,2}\s?(?:am|pm|uhr)\b", re.IGNORECASE
)
_DATE = re.compile(
    r"(?<!\d)\d{1,4}([-./])\s?\d{1,2}\1\s?\d{2,4}(?!\d)|(?<!\d)(?:19|20|25)\d{2}(?!\d)"
    r"|(?<!\d)[٠-٩۰-۹]{4}(?!\d)"
)
# Zoho and old Yahoo put dashes around it.
_FRAMED = re.compile(r"-{2,5}\s(.*?)(?::|\s-{2,5})")
# Colons: of ASCII, of full width, of the Ethiopic, Khmer, Armenian (two) and Hebrew scripts.
_COLONS = ":：︓﹕፦፡៖՝։׃"
_COLON = re.compile(rf"\s?[{_COLONS}]$")
_RULE = re.compile(r"[_\-–—=*⎯─]{8,}")
_DASHES = "-–—_ "
_THREE_DASHES = re.compile(r"[-–—_]\s?[-–—_]\s?[-–—_]")
_INTRODUCED = re.compile(r"([^-–—_=*#>:：][^>:：]{1,60}?)\s?[:：]")
_LABELLED = re.compile(r"[*_]{0,2}([^\W\d_][^:：*<>@|]{0,30}?)[*_]{0,2}\s?[:：][*_]{0,2}\s*(.*)")
_URL = re.compile(r"\s?<[^<>]{1,300}>$")


def plain(line: str) -> str:
    """A line to be looked into: without marks of direction, and blanks at its ends."""
    return line.translate(_DIRECTION).strip()


class _Below(Enum):
    """The kind of the next line that is not blank."""

    QUOTE = 0
    INDENTED = 1
    TEXT = 2
    END = 3


class Text:
    """The lines of one text, prepared so that each question costs the same at every line."""

    def __init__(self, lines: Sequence[Line], *, answer: bool) -> None:
        self.lines = lines
        #: Whether the mail's headers say that it answers another.
        self.answer = answer
        # A line that is longer than any mail program's is none of its.
        self._plain = [plain(line.text) if len(line.text) <= LONGEST else "" for line in lines]
        #: For each line and the end: the first line from there on that is not blank.
        self._not_blank = [len(lines)] * (len(lines) + 1)
        for number in reversed(range(len(lines))):
            blank = not lines[number].text.strip()
            self._not_blank[number] = self._not_blank[number + 1] if blank else number
        self._first_quoted = next((n for n, line in enumerate(lines) if line.is_quoted), len(lines))
        #: By the line it begins at: how many lines an attribution has.
        self._attributions: dict[int, int] = {}
        for last, text in enumerate(self._plain):
            if text and _closes(text) and self._may_end_attribution(last):
                self._find_attribution(last)

    def attribution(self, number: int) -> int:
        """How many lines the attribution that begins here has; 0 for no attribution."""
        return self._attributions.get(number, 0)

    def is_forwarded_from(self, number: int) -> bool:
        """Whether a mail that is passed on begins here."""
        return _separates(self._plain[number], "forwarded")

    def is_quoted_from(self, number: int) -> bool:
        """Whether a mail that is answered begins here and goes on to the end."""
        text = self._plain[number]
        if not text or self.lines[number].text.startswith(">"):
            return False
        if _separates(text, "original"):
            return True
        is_rule = _RULE.fullmatch(text) is not None
        if is_rule or _between_dashes(text):
            following = self._not_blank[number + 1]
            return following < len(self.lines) and self._are_headers(
                following, after_rule=is_rule or self.answer
            )
        return self._are_headers(number, after_rule=False)

    def goes_on_unmarked(self, number: int) -> bool:
        """Whether what follows an attribution is quoted to the end, though no line says so."""
        following = self._not_blank[number + self._attributions[number]]
        return following < len(self.lines) and not self.lines[following].is_quoted

    def _find_attribution(self, last: int) -> None:
        """Remember the attribution that ends at a line, if one does."""
        below = self._below(last)
        said = self._plain[last]
        first = last
        while not self._says_who(said, below):
            first -= 1
            if not self._may_be_broken(first, last):
                # Between quotes it is part of the answer.
                if (
                    self.answer
                    and below is _Below.QUOTE
                    and last < self._first_quoted
                    and _hints(self._plain[last])
                ):
                    self._attributions.setdefault(last, 1)
                return
            between = "" if _is_open(self._plain[first]) else " "
            said = f"{self._plain[first]}{between}{said}"
        # The attribution's first word may stand on an earlier line.
        start = first
        while self._may_be_broken(start - 1, last):
            start -= 1
            if _opens(self._plain[start]) or _is_open(self._plain[start]):
                first = start
                break
        self._attributions.setdefault(first, last - first + 1)

    def _may_end_attribution(self, last: int) -> bool:
        """Whether a line is no quoted one; a `>` may also end the address of the line above."""
        return not self.lines[last].text.startswith(">") or (
            last > 0 and _is_open(self._plain[last - 1])
        )

    def _may_be_broken(self, first: int, last: int) -> bool:
        """Whether a program may have broken an attribution between this line and the next."""
        if first < 0 or last - first >= ATTRIBUTION_LINES:
            return False
        line, following = self._plain[first], self._plain[first + 1]
        if not line or self.lines[first].text.startswith(">") or _closes(line):
            return False
        word = following.partition(" ")[0]
        return (
            len(line) + 1 + len(word) > _WIDTH
            or following.startswith("<")
            or _is_open(line)
            or _said(following) in words("wrote")
        )

    def _below(self, last: int) -> _Below:
        """The kind of the next line that is not blank."""
        number = self._not_blank[last + 1]
        if number == len(self.lines):
            return _Below.END
        if self.lines[number].is_quoted:
            return _Below.QUOTE
        # Yahoo's plain text indents its quotes.
        return _Below.INDENTED if self.lines[number].text.startswith("  ") else _Below.TEXT

    def _says_who(self, said: str, below: _Below) -> bool:
        """Whether these words are an attribution, judged by them and by the line below."""
        dated, address = _is_dated(said), _ADDRESS.search(said) is not None
        sure = dated and _IN_BRACKETS.search(said) is not None
        wrote = _wrote(_said(said))
        match below:
            case _Below.QUOTE:
                return (
                    sure
                    or (self.answer and dated and address)
                    or (wrote and (address or any(map(str.isdigit, said))))
                )
            case _Below.END:
                return (
                    sure
                    or (wrote and dated and address)
                    or (self.answer and dated and (address or wrote))
                )
            case _Below.INDENTED:
                return dated and address and (wrote or self.answer)
        return (self.answer and sure) or (
            wrote and dated and address and (self.answer or _is_framed(said))
        )

    def _are_headers(self, first: int, *, after_rule: bool) -> bool:
        """Whether a quoted mail's headers begin here: by their labels or, in an answer, by form."""
        label, value = _label(self._plain[first])
        # GMX begins with the date.
        by_words = label in words("sender") or label in words("sent")
        if not value or not (by_words or self.answer):
            return False
        if not by_words and not (
            (after_rule or self._is_paragraph(first)) and _ADDRESS.search(value)
        ):
            return False
        kinds: set[str] = set()
        labelled, moment, address = 0, False, False
        for number in range(first, min(first + HEADER_LINES, len(self.lines))):
            text = self._plain[number]
            if not text:
                break
            label, value = _label(text)
            kind = _kind(label)
            if kind is None:
                # The end of a long list of recipients, or another form than a mail's headers.
                if label and by_words and not self.answer:
                    return False
                labelled += bool(label)
                moment |= _is_moment(value)
                address |= number == first
                continue
            if kind in kinds and kind != "copy":
                return False
            labelled += 1
            kinds.add(kind)
            if kind == "sent":
                moment |= _is_moment(value)
            elif kind != "subject":
                address |= _ADDRESS.search(value) is not None
        if not by_words:
            return labelled >= 3 and moment and address
        if not kinds >= {"sender", "sent"}:
            return False
        # A bill may have a date in it, too, but a mail's has a time.
        needed = 1 if self.answer or after_rule else 2
        return len(kinds & {"to", "subject"}) >= needed and (address or moment)

    def _is_paragraph(self, number: int) -> bool:
        return number == 0 or not self._plain[number - 1]


def _closes(text: str) -> bool:
    return text.endswith(tuple(_COLONS)) or _is_framed(text)


def _is_framed(text: str) -> bool:
    return text.startswith("--") and _FRAMED.fullmatch(text) is not None


def _is_open(text: str) -> bool:
    """Whether a line was broken within the brackets of an address."""
    return text.rfind("<") > text.rfind(">")


def _is_dated(text: str) -> bool:
    return _DATE.search(text) is not None or _TIME.search(text) is not None


def _is_moment(text: str) -> bool:
    return _DATE.search(text) is not None and _TIME.search(text) is not None


def _hints(text: str) -> bool:
    """Whether a line that stands between an answer and a quote says who wrote, or when."""
    return _is_dated(text) or _ADDRESS.search(text) is not None or _wrote(_said(text))


def _said(text: str) -> str:
    """An attribution without its colon or frame, in lower case."""
    framed = _FRAMED.fullmatch(text) if text.startswith("--") else None
    return _COLON.sub("", framed[1] if framed else text).strip().casefold()


def _separates(text: str, kind: str) -> bool:
    """Whether a line is one of the words of this kind, as programs set them off."""
    if not text or len(text) > LONGEST:
        return False
    # HTML that was bold.
    text = text.strip("*")
    said = _between_dashes(text)
    if not said and kind == "forwarded":
        # Apple's have a colon and no dashes.
        found = _INTRODUCED.fullmatch(text)
        said = found[1] if found else ""
    return said.casefold().replace("’", "'") in words(kind)


def _between_dashes(text: str) -> str:
    """The words between dashes, three at least, that begin and end the line."""
    if text[-1:] not in _DASHES or not _THREE_DASHES.match(text):
        return ""
    return text.strip(_DASHES).rstrip(":： ")


def _label(text: str) -> tuple[str, str]:
    """The label and the value of a header's line, both empty when it is none."""
    found = _LABELLED.fullmatch(text)
    return (found[1].strip().casefold().replace("’", "'"), found[2]) if found else ("", "")


def _kind(label: str) -> str | None:
    return next((kind for kind in _KINDS if label in words(kind)), None) if label else None


_KINDS = ("sender", "sent", "to", "copy", "subject")


@cache
def _verbs() -> re.Pattern[str]:
    # A word of a script with blanks between words is a word of its own.
    spaced: list[str] = []
    unspaced: list[str] = []
    for code, language in LANGUAGES.items():
        group = unspaced if code in ("zh", "ja", "ko", "th") else spaced
        group.extend(map(str.casefold, language.wrote))
    longest = sorted(map(re.escape, spaced), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(longest)})(?!\w)|{'|'.join(map(re.escape, unspaced))}")


def _wrote(said: str) -> bool:
    return _verbs().search(said) is not None


@cache
def _openers() -> re.Pattern[str]:
    return re.compile(rf"(?:-+\s)?(?:{'|'.join(map(re.escape, sorted(words('opens'))))})(?!\w)")


def _opens(text: str) -> bool:
    return _openers().match(text.casefold()) is not None
