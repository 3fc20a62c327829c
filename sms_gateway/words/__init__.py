"""The sentences that people read, in their language.

The code holds them in English, which is also their key. A file beside this one has each other
language (gettext's PO format, read as it is).
"""

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files

from babel.messages.pofile import read_po

#: The first one stands for all that are not here.
LANGUAGES = ("en", "fr")


class Words:
    """The sentences of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._singular: dict[str, str] = {}
        self._plural: dict[str, tuple[str, ...]] = {}
        self._form: Callable[[int], int] = lambda n: int(n != 1)
        if language != LANGUAGES[0]:
            self._read()

    def _read(self) -> None:
        with (files(__name__) / f"{self.language}.po").open("rb") as file:
            catalogue = read_po(file, locale=self.language, abort_invalid=True)
        for message in catalogue:
            match message.id, message.string:
                case (str(one), _), (list() | tuple()) as forms:
                    self._plural[one] = tuple(forms)
                case str(sentence), str(translated) if sentence:
                    self._singular[sentence] = translated
        if self.language == "fr":
            self._form = lambda n: int(n > 1)  # in French zero is singular

    def gettext(self, sentence: str) -> str:
        """The sentence in this language."""
        return self._singular.get(sentence) or sentence

    def ngettext(self, one: str, many: str, number: int) -> str:
        """The sentence that goes with a number."""
        return self._plural.get(one, (one, many))[self._form(number)]


@cache
def words(language: str) -> Words:
    """The sentences of one of LANGUAGES."""
    return Words(language)


def preferred(accept_language: str) -> str:
    """The one of LANGUAGES that a reader likes best (RFC 9110, section 12.5.4)."""
    best, quality = LANGUAGES[0], 0.0
    for tag, q in re.findall(r"([A-Za-z*-]+)(?:\s*;\s*q=([01](?:\.\d{0,3})?))?", accept_language):
        language = tag.lower().partition("-")[0]
        liked = float(q or 1)
        if language in LANGUAGES and liked > quality:
            best, quality = language, liked
    return best
