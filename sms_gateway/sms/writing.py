"""How people, spreadsheets and other programs write telephone numbers."""

import re
import unicodedata

_FORMATTING = "-./()[]"
_REMOVE_FORMATTING = dict.fromkeys(map(ord, _FORMATTING))
_WRITTEN = re.compile(rf"[0-9+\s{re.escape(_FORMATTING)}]*+")

# Signs of other scripts and keyboards, and their ASCII equivalents. Digits are not in this table:
# each script has its own, and Unicode knows the value of them all.
_ASCII = str.maketrans(
    {
        **dict.fromkeys("\uff0b\ufe62", "+"),
        # Dashes of all lengths, and the long vowel mark that Japanese keyboards write for one.
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d\u30fc", "-"),
        **dict.fromkeys("\uff0e\uff61\u3002\u00b7\u2022\u2024\u2027\u30fb", "."),
        **dict.fromkeys("\uff0f\u2044\u2215", "/"),
        **dict.fromkeys("\uff08", "("),
        **dict.fromkeys("\uff09", ")"),
        **dict.fromkeys("\uff3b", "["),
        **dict.fromkeys("\uff3d", "]"),
        **dict.fromkeys("\u060c\u061b\uff0c\uff1b\u3001", ","),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\uff02", '"'),
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2039\u203a\uff07", "'"),
        **dict.fromkeys("\uff1a", ":"),
        # Invisible: marks for the direction of writing, which come along when a number is copied
        # from an address book, and signs without a width.
        **dict.fromkeys("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"),
        **dict.fromkeys("\u00ad\u180e\u200b\u200c\u200d\u2060\ufeff"),
    }
)
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
# Around a word or several, as CSV has them; ="…" is how spreadsheets keep digits a text.
_QUOTED = re.compile(r"""(?<![^\s,;])(?:=?"([^"]*)"|'([^']*)')(?![^\s,;])""")
# In front of a word: an apostrophe that keeps it a text in a spreadsheet, or the scheme of an
# address (RFC 3966, RFC 5724).
_BEFORE = re.compile(
    r"(?<![^\s,;])(?:'(?=[+0-9(\[])|(?:tel|sms|smsto):(?://)?\s*+(?=[+0-9(]))", re.IGNORECASE
)

# Signs that are refused with a sentence of their own.
_EXTENSION = re.compile(
    r"(?:\b(?:e?xt(?:ension)?|isub|poste|toestel|durchwahl|x)|[0-9)\s]x|#)[.:=\s]*+[0-9]{1,7}\s*",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r"\s*[a-z][a-z-]*\s*=.*", re.IGNORECASE | re.DOTALL)
# 3.2494E+10, 32494000000.0: the digit behind the dot would be one of the number.
_DECIMAL = re.compile(
    r"\s*\+?(?:[0-9]++(?:\.[0-9]*+)?E\+?[0-9]+|[0-9]{6,}\.0{1,2})\s*", re.IGNORECASE
)


def plain(text: str) -> str:
    """The text in ASCII as far as numbers go, without what may stand around one."""
    if not text.isascii():
        text = _OTHER_DIGIT.sub(lambda digit: str(int(digit[0])), text.translate(_ASCII))
    if '"' in text or "'" in text:
        text = _QUOTED.sub(r"\1\2", text)
    return _BEFORE.sub("", text) if ":" in text or "'" in text else text


def words(piece: str) -> list[str]:
    """The words of plain text without formatting."""
    return piece.translate(_REMOVE_FORMATTING).split()


def strange(piece: str) -> str:
    """The sign or letter in a piece that no number has, as the rest of a sentence; else empty.

    The letter or sign is told, and no digit.
    """
    if _DECIMAL.fullmatch(piece):
        return (
            "is written as a decimal number, as spreadsheets do with long numbers; "
            "make its cell a text and write all digits"
        )
    if _WRITTEN.fullmatch(piece):
        return ""
    if _EXTENSION.search(piece):
        return "has an extension, which no SMS reaches; write the number without it"
    if _PARAMETER.fullmatch(piece):
        return "is a parameter of a tel: address, which is not read; write the number with +"
    sign = next(c for c in piece if not _WRITTEN.fullmatch(c))
    what = "letter" if sign.isalpha() else "sign"
    shown = f'"{sign}"' if sign.isprintable() else "that cannot be shown"
    # In an answer by SMTP only ASCII arrives.
    name = "" if sign.isascii() else unicodedata.name(sign, "")
    if name.replace(" ", "").replace("-", "").isalpha():
        shown += f" ({name.lower()})"
    return f"has a letter or sign that telephone numbers do not have: the {what} {shown}"
