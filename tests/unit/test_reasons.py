"""Why something happened, in a reader's language."""

import re

import pytest
from support.reasons import reasons

from sms_gateway.codes import Code
from sms_gateway.smpp.status import STATUSES, lookup
from sms_gateway.words import words
from sms_gateway.words.reasons import FORMS, SENTENCES, in_words

FRENCH, ENGLISH = words("fr"), words("en")
#: About parameters that no page sends.
_OF_THE_API = re.compile(r"(after|limit|before) .*")


def test_every_reason_in_the_code_is_known_and_reads_in_french():
    found = {r: where for r, where in reasons().items() if not _OF_THE_API.fullmatch(r)}
    # What is looked for is found: of the journal, of upstreams, of callbacks, of requests.
    assert len(found) > 80
    assert {
        "the recipient has asked to stop",
        "no receipt came before its validity ended",
        "not bound",
        "its address is not public",
        "it has no result",
        "the text is empty",
    } <= found.keys()
    unknown = {
        reason: where
        for reason, where in found.items()
        if "«" in in_words(reason, FRENCH) or in_words(reason, FRENCH) == reason
    }
    assert unknown == {}, "add them to words/reasons.py and to the .po files"


@pytest.mark.parametrize("status", [*STATUSES.values(), lookup(0x400), lookup(0x101)], ids=str)
def test_every_status_of_smpp_reads_in_french_behind_its_number(status):
    number, _, said = in_words(str(status), FRENCH).partition(" ")
    assert number == f"0x{status.number:08x}"
    assert said == FRENCH.gettext(status.words) != status.words


@pytest.mark.parametrize("code", [code for code in Code if code])
def test_what_a_relay_answered_reads_in_french(code):
    told = in_words(f"{code:d} {code.sentence}", FRENCH)
    assert told == f"{code:d} {FRENCH.gettext(code.sentence)}"


@pytest.mark.parametrize(
    ("reason", "english", "french"),
    [
        # Ids, names of upstreams and prefixes stay as they are.
        ("00A1", "00A1", "00A1"),
        ("default", "default", "default"),
        (
            "00A1 0x00000058 throttling error",
            "00A1 0x00000058 throttling error",
            "00A1 0x00000058 trop de messages à la fois",
        ),
        (
            "00A1 known from its receipt (late)",
            "00A1 known from its receipt (late)",
            "00A1 connu par son accusé (tardif)",
        ),
        ("00A1 (late)", "00A1 (late)", "00A1 (tardif)"),
        ("delivered err 000", "delivered, error code 000", "livré, code d’erreur 000"),
        (
            "undeliverable err 00B",
            "undeliverable, error code 00B",
            "non livrable, code d’erreur 00B",
        ),
        ("delivered", "delivered", "livré"),
        ("it was uncertain", "it was uncertain", "l’état était : incertain"),
        (
            "bind refused: 0x0000000e invalid password",
            "bind refused: 0x0000000e invalid password",
            "session refusée : 0x0000000e mot de passe invalide",
        ),
        # What a system or a carrier said.
        (
            "not reached: Connection refused",
            "not reached: “Connection refused”",
            "injoignable : « Connection refused »",
        ),
        ("Absent subscriber", "“Absent subscriber”", "« Absent subscriber »"),
        (
            "delivery.failed 0193a7: HTTP status 500",
            "delivery.failed 0193a7: HTTP status 500",
            "delivery.failed 0193a7 : statut HTTP 500",
        ),
        # At the beginning of a sentence.
        (
            "The recipient has asked to stop",
            "The recipient has asked to stop",
            "Le destinataire a demandé l’arrêt des messages",
        ),
        (
            "number 2 of 3 is a funny one",
            "number 2 of 3 “is a funny one”",
            "le numéro 2 sur 3 « is a funny one »",
        ),
        ("100 % <b>%(words)s</b>", "100 “% <b>%(words)s</b>”", "100 « % <b>%(words)s</b> »"),
        ("", "", ""),
    ],
)
def test_a_reason_is_ours_or_quoted(reason, english, french):
    assert in_words(reason, ENGLISH) == english
    assert in_words(reason, FRENCH) == french


def test_no_sentence_is_there_twice():
    sentences = [*SENTENCES, *(sentence for _, sentence in FORMS)]
    assert len(sentences) == len(set(sentences)) + 1  # "%(code)s %(words)s", in two forms
