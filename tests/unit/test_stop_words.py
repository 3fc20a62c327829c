"""STOP and START, as people write them."""

import pytest

from sms_gateway.sms.stop_words import STOP_WORDS, StopWords, Wish


@pytest.mark.parametrize(
    "text",
    ["STOP", "stop", " Stop. ", "STOP!", "«Arrêt»", "ARRET", "arre\u0302t", "Désabonner\n",
     "stop  all", "STOP SMS", "ABMELDEN", "baja", "\uff33\uff34\uff2f\uff30"],
)  # fmt: skip
def test_a_word_alone_stops_whatever_its_case_and_accents(text: str) -> None:
    assert StopWords().wish(text) is Wish.STOP


@pytest.mark.parametrize(
    "text",
    ["", " ", "please stop", "stop it", "don't stop", "non-stop", "stopover", "5", "😀",
     "STOP " * 99],
)  # fmt: skip
def test_a_word_among_others_stops_nothing(text: str) -> None:
    assert StopWords().wish(text) is None


def test_start_undoes_it() -> None:
    assert StopWords().wish("start") is Wish.START


def test_the_words_are_a_setting() -> None:
    words = StopWords({"sv": ["AVSLUTA"]}, {})
    assert words.wish("avsluta") is Wish.STOP
    assert words.wish("STOP") is None


def test_every_word_of_every_language_is_understood() -> None:
    words = StopWords()
    for language in STOP_WORDS.values():
        for word in language:
            assert words.wish(word.lower()) is Wish.STOP
