"""STOP and START: what a handset writes to have no more messages, or to have them again."""

import unicodedata
from collections.abc import Iterable, Mapping
from enum import StrEnum

#: By language (ISO 639-1): what carriers' rules and custom make people write. The English words
#: are those that CTIA's Messaging Principles (2023, §5.1.3) has a sender understand.
STOP_WORDS: Mapping[str, tuple[str, ...]] = {
    "en": ("STOP", "STOP ALL", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "OPT OUT"),
    "fr": ("STOP SMS", "ARRÊT", "ARRÊTER", "ARRÊTEZ", "DÉSABONNER", "DÉSINSCRIRE"),
    "nl": ("STOPPEN", "AFMELDEN", "UITSCHRIJVEN"),
    "de": ("STOPP", "ABMELDEN", "ABBESTELLEN"),
    "es": ("ALTO", "BAJA", "PARAR", "CANCELAR"),
    "it": ("FERMA", "BASTA", "DISISCRIVI", "CANCELLA"),
    "pt": ("PARE", "SAIR", "CANCELAR"),
}
START_WORDS: Mapping[str, tuple[str, ...]] = {
    "en": ("START", "UNSTOP"),
    "fr": ("REPRENDRE",),
    "nl": ("HERVATTEN",),
    "de": ("FORTSETZEN",),
    "es": ("REANUDAR",),
    "it": ("RIPRENDI",),
    "pt": ("RETOMAR",),
}


class Wish(StrEnum):
    """A request by a word: to stop messages, or to get them again."""

    STOP = "stop"
    START = "start"


class StopWords:
    """The words that count. Case, accents, white space around them and punctuation do not."""

    def __init__(
        self,
        stop: Mapping[str, Iterable[str]] = STOP_WORDS,
        start: Mapping[str, Iterable[str]] = START_WORDS,
    ) -> None:
        self._wishes = {
            bare(word): wish
            for words, wish in ((stop, Wish.STOP), (start, Wish.START))
            for language in words.values()
            for word in language
        }

    def wish(self, text: str) -> Wish | None:
        """The request that a message makes, if it is one of the words and nothing else."""
        return self._wishes.get(bare(text)) if len(text) <= _LONGEST else None


#: More than any of the words takes, however it is decorated.
_LONGEST = 60


def first_word(text: str) -> str:
    """The first word of a message, `bare`; empty where it has none."""
    # No keyword is longer, and a long text may begin with a long word.
    return bare(text[:_LONGEST]).partition(" ")[0]


def bare(text: str) -> str:
    """A text without case, accents and punctuation, its words with one blank between."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    words = "".join(c if c.isalnum() else " " for c in letters if not unicodedata.combining(c))
    return " ".join(words.split())
