"""What is cut of answers in many languages, and what must stay of texts that quote nothing."""

import re

import pytest
from support import replies
from support.true_texts import STAY_IN_ANSWERS, TRUE_TEXTS

from email_gateway.html import lines_of_html
from email_gateway.languages import LANGUAGES
from email_gateway.lines import Line, lines_of
from email_gateway.reply_text import Kind, reply_text, whole

ANSWER, FORWARD = Kind(answer=True), Kind(forward=True)
PLAIN, HTML = dict(replies.plain()), dict(replies.html())
#: Those of which nothing is sure without a header that says that they are answers.
UNSURE = {"emacs", "163", "lv-headers"}


def stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()


@pytest.mark.parametrize("name", PLAIN)
def test_of_an_answer_only_its_own_words_are_taken(name: str) -> None:
    assert reply_text(PLAIN[name], ANSWER) == replies.NEW


@pytest.mark.parametrize("name", HTML)
def test_of_an_answer_in_html_only_its_own_words_are_taken(name: str) -> None:
    assert reply_text(lines_of_html(HTML[name]), ANSWER) == replies.NEW


def test_the_score_without_a_header_that_tells_of_an_answer() -> None:
    texts: dict[str, list[Line]] = {
        **{name: lines_of(text) for name, text in PLAIN.items()},
        **{f"html {name}": lines_of_html(text) for name, text in HTML.items()},
    }
    missed = {name for name, lines in texts.items() if reply_text(lines) != replies.NEW}
    print(f"{len(texts) - len(missed)} of {len(texts)} answers, {len(replies.LANGUAGES)} languages")
    assert missed == UNSURE


@pytest.mark.parametrize("name", PLAIN)
def test_a_key_may_have_the_whole(name: str) -> None:
    assert whole(PLAIN[name]) == re.sub(r"\n{3,}", "\n\n", stripped(PLAIN[name]))


def test_the_corpus_has_every_language_of_the_table() -> None:
    assert {code.partition("-")[0] for code in replies.LANGUAGES} == {
        "nb" if code == "no" else code for code in LANGUAGES
    }


@pytest.mark.parametrize("name", TRUE_TEXTS)
def test_nothing_is_cut_of_a_text_that_quotes_nothing(name: str) -> None:
    assert reply_text(TRUE_TEXTS[name]) == stripped(TRUE_TEXTS[name])
    assert reply_text(TRUE_TEXTS[name], FORWARD) == stripped(TRUE_TEXTS[name])


@pytest.mark.parametrize("name", STAY_IN_ANSWERS)
def test_nothing_is_cut_of_an_answer_that_quotes_nothing(name: str) -> None:
    assert reply_text(TRUE_TEXTS[name], ANSWER) == stripped(TRUE_TEXTS[name])


@pytest.mark.parametrize(
    "attribution",
    [
        "ሰኞ ኖቬምበር 30 ቀን 2026 10:00 ላይ Ann <a@b.c> ጽፏል፦",
        "នៅថ្ងៃទី 30 វិច្ឆិកា 2026 10:00 Ann <a@b.c> បានសរសេរ៖",
        "2026 թ. նոյեմբերի 30-ին 10:00-ին Ann <a@b.c>-ը գրել է՝",
        "30.11.2026 10:00 Ann <a@b.c> գրել է։",
    ],
)
@pytest.mark.parametrize("kind", [ANSWER, Kind()])
def test_a_colon_is_one_in_every_script(attribution: str, kind: Kind) -> None:
    assert reply_text(f"OK\n\n{attribution}\n> old\n> text", kind) == "OK"
    assert reply_text(f"Menu {attribution[-1]}\nsoup", kind) == f"Menu {attribution[-1]}\nsoup"


def test_words_between_dashes_above_the_headers_of_a_mail_go_with_them() -> None:
    headers = "Von: Ann <a@b.c>\nDatum: 30.11.2026 10:00\nAn: b@c.d\nBetreff: x\n\nold"
    for kind in (ANSWER, Kind()):
        assert reply_text(f"OK\n\n----- Urspr. Nachr. -----\n{headers}", kind) == "OK"
    other = "----- Menu -----\nVon: Ann\nDatum: 30.11.2026\nSuppe"
    assert reply_text(f"OK\n\n{other}") == f"OK\n\n{other}"
