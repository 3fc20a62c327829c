"""What a mail's writer wrote: its text without quoted mails, signature and telephone's footer."""

import re

# The words of mail programs in English, French, Dutch and German.
_ATTRIBUTION = re.compile(
    r"(?:on|le|op|am)\s.*(?:\bwrote|\ba écrit|\bschreef\b.*|\bschrieb\b.*)\s?:"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}\s[^<]*<[^@]*@.*>\s?:",
    re.IGNORECASE,
)
_MAY_INTRODUCE = re.compile(r"\s*(?:(?:on|le|op|am)\s|[0-9]{4}-)", re.IGNORECASE)
_SEPARATOR = re.compile(
    r"-{2,}\s*(?:original message|message d['’]origine|(?:message|mail|e-mail) original"
    r"|oorspronkelijk bericht|ursprüngliche nachricht|forwarded message|message transféré"
    r"|message réexpédié|doorgestuurd bericht|weitergeleitete nachricht)\s*-{2,}"
    r"|begin forwarded message\s?:|début du message (?:réexpédié|transféré)\s?:"
    r"|begin doorgestuurd bericht\s?:|anfang der weitergeleiteten nachricht\s?:",
    re.IGNORECASE,
)
# The headers that Outlook puts above a quoted mail.
_FROM = re.compile(r"\*?(?:from|de|van|von)\s?:\*?\s.*", re.IGNORECASE)
_SENT = re.compile(
    r"\*?(?:sent|date|envoyé(?: le)?|verzonden|datum|gesendet)\s?:\*?\s.*", re.IGNORECASE
)
_ABOUT = re.compile(
    r"\*?(?:to|subject|[àa]|objet|aan|onderwerp|an|betreff)\s?:\*?\s.*", re.IGNORECASE
)
_RULE = re.compile(r"[_-]{10,}")

_DEVICE = (
    r"(?:iphone|ipad|ipod|android|samsung|galaxy|blackberry|huawei|xiaomi|redmi|oppo|oneplus|pixel"
    r"|motorola|nokia|xperia|smartphone|mobile|phone|téléphone|telefoon|handy|tablet|tablette"
    r"|outlook|yahoo|gmail|proton|mail|courrier)"
)
_FOOTER = re.compile(
    rf"(?:sent (?:from|via|with|using)|envoyé (?:de|depuis|à partir|par|via|avec)"
    rf"|(?:verzonden|verstuurd) (?:vanaf|vanuit|van|via|met)|gesendet (?:von|mit))\s.*{_DEVICE}.*"
    rf"|von meinem .*{_DEVICE}.* gesendet.?"
    r"|(?:get|download|obtenir|obtenez|téléchargez|télécharger|download|holen sie sich) outlook .*"
    r"|provenance\s?: (?:courrier|mail) .*",
    re.IGNORECASE,
)
# No program's line is longer.
_LONGEST = 300
# How many lines an attribution may be broken over, and Outlook's headers take.
_ATTRIBUTION_LINES, _HEADER_LINES = 3, 6

# A no-break space would be a reason for an encoding with less room; the others show nothing.
_INVISIBLE = str.maketrans(
    {"\xa0": " ", "\u202f": " ", "\xad": None, "\u200b": None, "\ufeff": None}
)


def own_words(text: str) -> str:
    """The text without what was quoted, signed or added, its blank lines at most one at a time.

    Cut are lines that begin with `>` and the line that introduces them, everything from a
    signature (`-- `, RFC 3676 §4.3) or from the headers of a quoted mail on, and at the end what a
    telephone adds. Empty when nothing else is there.
    """
    lines = [line.rstrip() for line in text.translate(_INVISIBLE).split("\n")]
    kept: list[str] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        if line == "--" or _ends(lines, number):
            break
        introduced = _attribution(lines, number)
        if introduced:
            following = _first_not_blank(lines, number + introduced)
            joined = " ".join(lines[number : number + introduced])
            quotes = following.startswith(">")
            if quotes or (not following and any(map(str.isdigit, joined))):
                number += introduced
                continue
            if "@" in joined:
                break
        if not line.startswith(">") and (line or (kept and kept[-1])):
            kept.append(line)
        number += 1
    while kept and (not kept[-1] or _is_footer(kept[-1])):
        kept.pop()
    return "\n".join(kept).strip()


def _ends(lines: list[str], number: int) -> bool:
    """Whether a quoted mail begins here that goes on to the end."""
    line = lines[number].strip()
    if not line or len(line) > _LONGEST:
        return False
    if _SEPARATOR.fullmatch(line):
        return True
    if _RULE.fullmatch(line):
        following = next((n for n in range(number + 1, len(lines)) if lines[n]), None)
        return following is not None and _are_headers(lines, following)
    return _are_headers(lines, number)


def _are_headers(lines: list[str], number: int) -> bool:
    if not _FROM.fullmatch(lines[number].strip()[:_LONGEST]):
        return False
    block = [line.strip()[:_LONGEST] for line in lines[number + 1 : number + _HEADER_LINES]]
    return any(map(_SENT.fullmatch, block)) and any(map(_ABOUT.fullmatch, block))


def _attribution(lines: list[str], number: int) -> int:
    """How many lines from here on say who wrote what is quoted next; 0 for none."""
    if not _MAY_INTRODUCE.match(lines[number]):
        return 0
    joined = ""
    for count in range(1, _ATTRIBUTION_LINES + 1):
        more = lines[number + count - 1 : number + count]
        if not more or not more[0] or len(joined) + len(more[0]) > _LONGEST:
            return 0
        joined = f"{joined} {more[0].strip()}".strip()
        if _ATTRIBUTION.fullmatch(joined):
            return count
    return 0


def _first_not_blank(lines: list[str], start: int) -> str:
    return next((lines[n] for n in range(start, len(lines)) if lines[n]), "")


def _is_footer(line: str) -> bool:
    return len(line) <= _LONGEST and _FOOTER.fullmatch(line.strip()) is not None
