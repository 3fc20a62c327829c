"""Reads the recipients' numbers from a subject, without the words that programs and people add.

Nothing is guessed: a word that is not in these tables stays, and the numbers are refused for it.
"""

import re
from enum import Enum
from typing import NamedTuple

from .unreadable import UnreadableMailError


class Said(Enum):
    """The meaning of a prefix."""

    NOTHING = 0
    ANSWER = 1
    FORWARD = 2


#: Prefixes of answers and of forwarded mails, in many languages.
ANSWER_PREFIXES = (
    *(
        "re",
        "ré",
        "réf",
        "ref",
        "rép",
        "aw",
        "antw",
        "antwort",
        "sv",
        "odp",
        "ynt",
        "r",
        "ri",
        "rif",
    ),
    *("res", "resp", "bls", "balas", "atb", "odg", "ats", "vá", "vál", "ve", "rv re", "απ", "σχετ"),
    *("на", "отв", "ответ", "відп", "回复", "回覆", "答复", "答覆", "返信", "회신", "답장", "رد"),
    *("השב", "תגובה", "trả lời", "tl", "ตอบ", "ตอบกลับ", "отговор", "одг", "hf", "svar"),
)
FORWARD_PREFIXES = (
    *("fw", "fwd", "tr", "wg", "doorst", "rv", "i", "enc", "pd", "vl", "vb", "vid", "ilt", "i̇lt"),
    *(
        "továbbítás",
        "fs",
        "fyi",
        "转发",
        "轉寄",
        "轉發",
        "転送",
        "전달",
        "إعادة توجيه",
        "הועבר",
        "העבר",
    ),
    *("προώθ", "πρθ", "пер", "пересл", "chuyển tiếp", "trs", "redir", "prosl", "teruskan", "ส่งต่อ"),
    *("переслать", "fdw", "weitergeleitet", "mfw"),
)
#: Means an answer in Finnish, and a forwarded mail in Danish and Norwegian.
EITHER_PREFIXES = ("vs",)
#: Words that people write before a number.
NUMBER_PREFIXES = (
    *("sms", "sms to", "sms an", "sms à", "sms a", "sms aan", "sms naar", "sms para", "sms per"),
    *("sms für", "sms voor", "sms pour", "sms til", "sms till", "sms do", "text to", "send sms to"),
    *(
        "smsto",
        "tel",
        "tél",
        "tel.",
        "tél.",
        "tlf",
        "telefon",
        "telefoon",
        "téléphone",
        "telephone",
    ),
    *("phone", "mobile", "mobil", "mob", "gsm", "cell", "handy", "portable", "number", "numéro"),
    *("nummer", "numero", "número", "nr", "no", "to", "an", "aan", "à", "тел", "телефон", "callto"),
    *("電話", "电话", "手机"),
)
#: Words that may stand before a number without a colon.
_WITHOUT_COLON = tuple(
    each
    for each in NUMBER_PREFIXES
    if each.startswith(("sms", "send sms", "text", "tel", "tél", "gsm", "phone", "mob", "cell"))
)
#: Tags that mail servers put before the subject of a mail from outside or of a suspect one.
TAG_WORDS = (
    *("external", "ext", "extern", "externe", "externo", "esterno", "external email", "externes"),
    *("external mail", "spam", "suspected spam", "possible spam", "caution", "warning", "bulk"),
    *(
        "newsletter",
        "sms",
        "urgent",
        "important",
        "confidential",
        "secure",
        "encrypted",
        "unclassified",
    ),
)
#: Prefixes that Exchange and others put before the subject of an automatic answer.
AUTOMATIC_PREFIXES = (
    *("automatic reply", "automatic response", "auto reply", "autoreply", "auto-reply", "auto"),
    *("out of office", "out of office autoreply", "out-of-office", "ooo", "vacation", "away"),
    *("réponse automatique", "absence du bureau", "absent", "automatische antwort", "autosvar"),
    *("abwesenheitsnotiz", "abwesend", "automatisch antwoord", "afwezig", "afwezigheidsbericht"),
    *("respuesta automática", "fuera de la oficina", "risposta automatica", "fuori sede"),
    *("resposta automática", "ausência temporária", "automatyczna odpowiedź", "poza biurem"),
    *(
        "автоматический ответ",
        "автоответ",
        "автоматична відповідь",
        "自动答复",
        "自动回复",
        "自動回覆",
    ),
    *("自動応答", "自動返信", "자동 회신", "otomatik yanıt", "automatiskt svar", "automatisk svar"),
    *("automaattinen vastaus", "automatická odpověď", "automatikus válasz", "räspuns automat"),
    *("răspuns automat", "αυτόματη απάντηση", "מענה אוטומטי", "رد تلقائي", "trả lời tự động"),
    *("balasan otomatis", "การตอบกลับอัตโนมัติ", "ข้อความตอบกลับอัตโนมัติ"),
    *("undeliverable", "undelivered mail returned to sender", "delivery status notification"),
    *("mail delivery failed", "delivery failure", "returned mail", "failure notice"),
)
#: The longest subject that is read; no list of numbers that a request may carry is longer.
MAX_SUBJECT = 8_000

_MEANING = {
    **dict.fromkeys(ANSWER_PREFIXES, Said.ANSWER),
    **dict.fromkeys(FORWARD_PREFIXES, Said.FORWARD),
    **dict.fromkeys(EITHER_PREFIXES, Said.NOTHING),
    **dict.fromkeys(NUMBER_PREFIXES, Said.NOTHING),
    **dict.fromkeys(TAG_WORDS, Said.NOTHING),
}


def _any(names: tuple[str, ...]) -> str:
    return "|".join(re.escape(each).replace(r"\ ", r"\s") for each in sorted(names, key=len)[::-1])


# Re: RE[2]: Re(2): Re^2: with a colon of either width.
_PREFIX = re.compile(
    rf"\s*({_any(tuple(_MEANING))})\s?(?:[\[(*^]?[0-9]{{1,3}}[\])]?)?\s?[:：](?://)?"
    rf"|\s*({_any(_WITHOUT_COLON)})\s(?=[+0-9(]|tel[:：])",
    re.IGNORECASE,
)
_AUTOMATIC = re.compile(rf"\s*(?:{_any(AUTOMATIC_PREFIXES)})\s?[:：(-]", re.IGNORECASE)
# A tag has letters and no number: [EXTERNAL], (EXT), {Spam?}, ***SPAM***, <EXTERN>.
_TAG = re.compile(
    r"\s*(?:\[[^\[\]+0-9]{1,60}\]|\{[^{}+0-9]{1,60}\}|\*{1,5}[^*+0-9]{1,60}\*{1,5}"
    rf"|[(<](?:{_any(TAG_WORDS)})[?!]?[)>])\s*",
    re.IGNORECASE,
)
_TAGS_AT_THE_END = re.compile(
    rf"(?:\s?[\[(<{{*]{{1,3}}(?:{_any(TAG_WORDS)})[?!]?[\])>}}*]{{1,3}})+\s*\Z", re.I
)
_LONGEST_TAGS = 100
# `Name <+32…>`, `"Name, first" <tel:+32…>`.
_NAMED = re.compile(r"(?<![^\s,;])(?:\"([^\"]{0,100})\"|([^\"<>,;]{0,100}))\s?<([^<>]{3,60})>")
_URI = re.compile(r"(?<![^\s,;<])(?:tel|sms|smsto|callto)[:：]\s?(?:/{2})?", re.IGNORECASE)
_DIGITS = re.compile(r"\d")
# A few digits are part of a name: `Room 12 <+32…>`.
_MOST_DIGITS_IN_A_NAME = 4
# Signs of ASCII that no telephone number has, however it is written.
_NO_SIGNS = frozenset('!"#$%&*<=>?@\\^_`{|}~:')


class Subject(NamedTuple):
    """A subject, read."""

    #: The numbers as they were written.
    recipients: str
    #: The meaning of its first prefix.
    said: Said


def read_subject(text: str) -> Subject:
    """A subject, unfolded and decoded, without prefixes, tags and names."""
    said = Said.NOTHING
    at = 0
    while True:
        found = _TAG.match(text, at)
        if found is None:
            found = _PREFIX.match(text, at)
            if found is None:
                break
            if said is Said.NOTHING:
                name = re.sub(r"\s", " ", (found[1] or found[2]).casefold())
                said = _MEANING.get(name, Said.NOTHING)
        at = found.end()
    rest = text[at:]
    tags = _TAGS_AT_THE_END.search(rest, max(len(rest) - _LONGEST_TAGS, 0))
    rest = rest[: tags.start()] if tags else rest
    rest = _URI.sub("", _NAMED.sub(_without_name, rest))
    return Subject(rest.strip(), said)


def _without_name(found: re.Match[str]) -> str:
    name, number = found[1] or found[2] or "", found[3]
    digits = len(_DIGITS.findall(name))
    if digits <= _MOST_DIGITS_IN_A_NAME or _digits(name) == _digits(number):
        return f" {number} " if _DIGITS.search(number) else found[0]
    return found[0]


def _digits(text: str) -> str:
    return "".join(_DIGITS.findall(text))


def is_automatic_subject(text: str) -> bool:
    """Whether a machine that answers by itself wrote this subject."""
    return _AUTOMATIC.match(text) is not None


def refuse_letters(recipients: str) -> None:
    """Raise UnreadableMailError, which names the first letter or sign that no number has."""
    for place, sign in enumerate(recipients):
        letter = sign.isalpha()
        if not letter and sign not in _NO_SIGNS:
            continue
        shown = f'"{sign}"' if sign.isascii() else f"U+{ord(sign):04X}"
        kind = "letter" if letter else "sign"
        before = sum(map(str.isdigit, recipients[:place]))
        where = f"after {before} digits" if before else "before any digit"
        raise UnreadableMailError(
            f"the subject has the {kind} {shown} {where}: write only telephone numbers there, such "
            "as +32494000000, and the text below"
        )
