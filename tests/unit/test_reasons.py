"""Why something happened, in a reader's language."""

import re

import pytest
from support.reasons import reasons

from sms_gateway.codes import Code
from sms_gateway.smpp.status import STATUSES, lookup
from sms_gateway.sms.address import AddressError, parse_recipients
from sms_gateway.words import words
from sms_gateway.words.reasons import FORMS, SENTENCES, in_words

FRENCH, ENGLISH = words("fr"), words("en")


def test_every_reason_in_the_code_is_known_and_reads_in_french():
    found = reasons()
    # What is looked for is found: of the journal, of upstreams, of callbacks, of requests.
    assert len(found) > 180
    assert {
        "the recipient has asked to stop",
        "no receipt came before its validity ended",
        "not bound",
        "its address is not public",
        "it has no result",
        "the text is empty",
        "has an extension, which no SMS reaches; write the number without it",
        "nothing listens there; check host and port",
        "the number is busy until 2026-11-30 07:00Z",
        "There has to be one Host header",
        "There is nothing at this address",
        "The body is not JSON",
    } <= found.keys()
    unknown = {
        reason: where
        for reason, where in found.items()
        if "«" in in_words(reason, FRENCH) or in_words(reason, FRENCH) == reason
    }
    assert unknown == {}, "add them to words/reasons.py and to the .po files"


@pytest.mark.parametrize("status", [*STATUSES.values(), lookup(0x400), lookup(0x120)], ids=str)
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
        (
            "not reached: nothing listens there",
            "not reached: nothing listens there",
            "injoignable : rien n’écoute à cet endroit",
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
        # What was wrong with a number: the sign, with what Unicode calls it, and the country.
        (
            'the number has a letter or sign that telephone numbers do not have: the sign "%"',
            "the number has a letter or sign that telephone numbers do not have: the sign “%”",
            "le numéro a une lettre ou un signe que les numéros de téléphone n’ont pas : "
            "le signe « % »",
        ),
        (
            "number 2 of 3 has a letter or sign that telephone numbers do not have: "
            'the letter "\u0430" (cyrillic small letter a)',
            "number 2 of 3 has a letter or sign that telephone numbers do not have: "
            "the letter “\u0430” (cyrillic small letter a)",
            "le numéro 2 sur 3 a une lettre ou un signe que les numéros de téléphone n’ont pas : "
            "la lettre « \u0430 » (« cyrillic small letter a » dans Unicode)",
        ),
        (
            "the sign that cannot be shown (arabic number sign)",
            "the sign that cannot be shown (arabic number sign)",
            "le signe, qui ne peut pas être affiché (« arabic number sign » dans Unicode)",
        ),
        (
            "it is too short for a number of BE",
            "it is too short for a number of Belgium",
            "il est trop court pour sa destination (Belgique)",
        ),
        (
            "no numbers of US or another country with its calling code begin so, or none of them "
            "is so long",
            "no numbers of United States or another country with its calling code begin so, or "
            "none of them is so long",
            "aucun numéro de sa destination (États-Unis, ou un autre pays avec le même indicatif) "
            "ne commence ainsi, ou aucun n’a cette longueur",
        ),
        (
            "it is too long for a number of its calling code",
            "it is too long for a number of its calling code",
            "il est trop long pour sa destination (indicatif sans pays)",
        ),
        # Two halves, both ours; one that is not ours has the whole quoted.
        (
            "nothing listens there; check host and port",
            "nothing listens there; check host and port",
            "rien n’écoute à cet endroit ; vérifiez l’hôte et le port",
        ),
        (
            "nothing listens there; go away",
            "“nothing listens there; go away”",
            "« nothing listens there; go away »",
        ),
        # The names are the sender's.
        (
            "API key is missing (not known here: api_key, to)",
            "API key is missing (not known here: api_key, to)",
            "La clé API manque (inconnu ici : api_key, to)",
        ),
        ("100 % <b>%(words)s</b>", "100 “% <b>%(words)s</b>”", "100 « % <b>%(words)s</b> »"),
        ("", "", ""),
    ],
)
def test_a_reason_is_ours_or_quoted(reason, english, french):
    assert in_words(reason, ENGLISH) == english
    assert in_words(reason, FRENCH) == french


@pytest.mark.parametrize("region", [None, "BE"])
@pytest.mark.parametrize(
    "numbers",
    [
        "",
        "1, " * 101,
        "3.2494E+10",
        "+32 494 00 00 00 ext 12",
        "isub=1",
        "+32494x",
        "+32494é00",
        "+32494\u0600",
        "+32494\uf8ff",
        "+32494, 0032494",
        "+32 494 00 00 00 00 00",
        "+32 011 00 00 0",
        "+1 555",
        "+1 111 111 1111",
        "+800 1",
        "+870 000 000 000",
        "+999 1",
        "1",
        "+",
        "(+)",
        "1+1",
    ],
)
def test_why_a_number_is_refused_reads_in_french(numbers, region):
    with pytest.raises(AddressError) as refused:
        parse_recipients(numbers, region)
    reason = str(refused.value)
    told = in_words(reason, FRENCH)
    quoted = re.findall("« ([^»]+) »", told)
    # Nothing is quoted but the sign, and what Unicode calls it.
    assert all(f'"{each}"' in reason or f"({each})" in reason for each in quoted), told
    assert not re.search(r"\b(the|is|it|of|number)\b", re.sub("«[^»]+»", "", told)), told


def test_no_sentence_is_there_twice():
    sentences = [*SENTENCES, *(sentence for _, sentence in FORMS)]
    assert len(sentences) == len(set(sentences)) + 1  # "%(code)s %(words)s", in two forms
