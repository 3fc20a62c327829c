"""What each network may have, and how replies are answered to mail servers."""

import re
from pathlib import Path

from email_gateway.answers import STATUSES, answer
from email_gateway.limits import Limits
from sms_gateway.backend import Reply
from sms_gateway.codes import Code


def test_a_minute_holds_so_many_mails_of_a_network_and_then_one_after_the_other() -> None:
    limits = Limits(connections=1, per_network=1, mails_per_minute=6)
    assert [limits.admit("a", 0.0) for _ in range(7)] == [True] * 6 + [False]
    assert limits.admit("b", 0.0)
    assert not limits.admit("a", 9.9)
    assert limits.admit("a", 10.0)
    assert not limits.admit("a", 10.0)
    assert [limits.admit("a", 100.0) for _ in range(7)] == [True] * 6 + [False]


def test_no_limit_counts_nothing() -> None:
    limits = Limits(connections=1, per_network=1, mails_per_minute=0)
    assert all(limits.admit("a", 0.0) for _ in range(1_000))


def test_connections_are_counted_in_all_and_by_network() -> None:
    limits = Limits(connections=3, per_network=2, mails_per_minute=0)
    assert [limits.connect("a") for _ in range(3)] == [True, True, False]
    assert [limits.connect("b") for _ in range(2)] == [True, False]
    limits.disconnect("a")
    assert limits.connect("b")
    assert not limits.connect("a")


def test_every_code_has_an_answer_of_its_class() -> None:
    assert STATUSES.keys() == set(Code)
    later = {Code.TIMED_OUT, Code.INTERNAL, Code.TOO_FAST}
    for code in Code:
        line = answer(Reply(code))
        match = re.fullmatch(r"([245])[0-9]{2} ([245])\.[0-9]\.[0-9] ([0-9]+) (.+)", line)
        assert match is not None
        # The enhanced status says the same (RFC 3463 §2).
        assert match[1] == match[2] == ("2" if not code else "4" if code in later else "5")
        assert (match[3], match[4]) == (f"{code:d}", code.sentence)


def test_an_answer_is_one_short_line_of_ascii() -> None:
    line = answer(Reply(Code.NOT_SENT, note="é\r\n250 OK\0" + "x" * 1_000))
    assert line.startswith("554 5.6.0 7 ???250 OK?xxx")
    assert len(line) < 500


def test_the_document_has_every_answer() -> None:
    page = (Path(__file__).parents[2] / "docs" / "email.md").read_text("utf-8")
    for code in (Code.SENT, Code.KEY_WRONG, Code.TOO_FAST):
        assert f"`{answer(Reply(code))}" in page
    for code in (Code.INTERNAL, Code.TIMED_OUT, Code.NOT_SENT):
        assert f"`{STATUSES[code]} {code:d} …`" in page
    for code in (Code.KEY_DISABLED, Code.TOO_MANY, Code.UNREACHABLE):
        assert f"{code:d} (`{STATUSES[code].partition(' ')[2]}`)" in page
