"""The text that a mail's writer wrote, without quoted mails, signature and footer."""

from collections.abc import Sequence
from dataclasses import dataclass

from .footers import is_footer
from .lines import Line, Mark, lines_of
from .quotes import Text

# A no-break space would be a reason for an encoding with less room; the others show nothing.
_INVISIBLE = str.maketrans(
    {"\xa0": " ", "\u202f": " ", "\xad": None, "\u200b": None, "\ufeff": None}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The kind of a mail, as its headers tell it."""

    #: The mail answers another: In-Reply-To, References, or `Re:` in its subject.
    answer: bool = False
    #: The mail forwards another: `Fwd:` in its subject.
    forward: bool = False


def reply_text(text: str | Sequence[Line], kind: Kind = Kind()) -> str:
    """The text without what was quoted, signed or added, its blank lines at most one at a time.

    These are cut, unless nothing else would remain:

    - quoted lines (`>`, or marked in HTML) under an attribution or in an answer, with the
      attribution;
    - everything from a signature on (`-- `, RFC 3676 §4.3), and elements that HTML marks as one;
    - everything from the headers of the mail that is answered on;
    - a telephone's footer at the end.

    A forwarded mail is what its sender wants to say: everything from its beginning on stays.
    """
    lines = [Line(line.text.translate(_INVISIBLE), line.mark) for line in _lines(text)]
    return _joined(_own(lines, kind)) or _joined([line.text for line in lines])


def whole(text: str | Sequence[Line]) -> str:
    """All of the text, its blank lines at most one at a time."""
    return _joined([line.text.translate(_INVISIBLE) for line in _lines(text)])


def _lines(text: str | Sequence[Line]) -> Sequence[Line]:
    return lines_of(text) if isinstance(text, str) else text


def _own(lines: list[Line], kind: Kind) -> list[str]:
    signature = next((n for n, line in enumerate(lines) if line == Line("-- ")), len(lines))
    text = Text([Line(line.text.rstrip(), line.mark) for line in lines], answer=kind.answer)
    lines = list(text.lines)
    kept: list[str] = []
    answer = kind.answer
    under_attribution = False
    number = 0
    while number < len(lines):
        line = lines[number]
        begins = number == 0 or lines[number - 1].mark is not line.mark
        if (line.mark is not Mark.QUOTED or begins) and (
            text.is_forwarded_from(number) or (kind.forward and _begins_quote(text, number))
        ):
            between = [""] if number and not lines[number - 1].text else []
            rest = [each.text for each in lines[number:]]
            return [*_without_footer(kept), *between, *rest]
        if number >= signature:
            # A forwarded mail may come below the signature.
            number += 1
            continue
        if line.mark is Mark.NONE and text.is_quoted_from(number):
            break
        # Apple puts the attribution inside the cited block.
        if line.mark in (Mark.NONE, Mark.CITED):
            introduced = text.attribution(number)
            if introduced:
                if text.goes_on_unmarked(number):
                    break
                number += introduced
                answer = under_attribution = True
                continue
        if line.mark is Mark.QUOTED:
            # Thunderbird and Gmail mark their attributions.
            answer = True
        elif line.mark is Mark.NONE and line.text and not line.text.startswith(">"):
            under_attribution = False
        if not _is_cut(line, answer, under_attribution):
            kept.append(line.text)
        number += 1
    return _without_footer(kept)


def _begins_quote(text: Text, number: int) -> bool:
    line = text.lines[number]
    return line.mark in (Mark.QUOTED, Mark.CITED) or text.is_quoted_from(number)


def _is_cut(line: Line, answer: bool, under_attribution: bool) -> bool:
    match line.mark:
        case Mark.QUOTED | Mark.SIGNATURE:
            return True
        case Mark.INDENTED:
            return under_attribution
    return answer and (line.mark is Mark.CITED or line.text.startswith(">"))


def _without_footer(lines: list[str]) -> list[str]:
    while lines and (not lines[-1].strip() or is_footer(lines[-1])):
        lines.pop()
    return lines


def _joined(lines: list[str]) -> str:
    kept: list[str] = []
    for line in lines:
        stripped = line.rstrip()
        if stripped or (kept and kept[-1]):
            kept.append(stripped)
    return "\n".join(kept).strip()
