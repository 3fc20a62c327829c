"""What people read, in each language."""

import re

import pytest
from support.sentences import sentences

from sms_gateway.words import LANGUAGES, Words, preferred, words

OTHERS = [language for language in LANGUAGES if language != "en"]


def catalogue(language: str) -> dict[str, tuple[str, ...]]:
    """All that a language has."""
    found = Words(language)
    return {**{key: (value,) for key, value in found._singular.items()}, **found._plural}


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_exists_in_every_language_and_no_other_does(language):
    wanted = {s if isinstance(s, str) else s[0] for s in sentences()}
    assert len(wanted) > 150
    assert catalogue(language).keys() == wanted


@pytest.mark.parametrize("language", OTHERS)
def test_no_sentence_is_empty_and_each_has_the_same_places_for_values(language):
    places = re.compile(r"%\(\w+\)[ds]")
    for sentence, translated in catalogue(language).items():
        said = sorted(places.findall(sentence))
        for each in translated:
            assert each
            assert sorted(places.findall(each)) == said, sentence


def test_english_is_what_the_code_says():
    english = words("en")
    assert english.gettext("API key") == "API key"
    assert english.ngettext("%(num)d part", "%(num)d parts", 0) == "%(num)d parts"


def test_french_counts_as_the_french_do():
    french = words("fr")
    forms = [french.ngettext("%(num)d part", "%(num)d parts", n) for n in (0, 1, 2)]
    assert forms == ["%(num)d partie", "%(num)d partie", "%(num)d parties"]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("fr-BE,fr;q=0.9,en;q=0.8", "fr"),
        ("en-GB,en;q=0.9,fr;q=0.8", "en"),
        ("nl,fr;q=0.5,en;q=0.4", "fr"),
        ("nl", "en"),
        ("fr;q=0", "en"),
        ("*", "en"),
        ("FR", "fr"),
        ("fr;q=x,;;;", "fr"),
        ("en;q=0.1, fr;q=0.11", "fr"),
    ],
)
def test_the_reader_has_the_language_they_like_best(accepted, language):
    assert preferred(accepted) == language
