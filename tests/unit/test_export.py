"""CSV: no piece of a cell is a formula, wherever a spreadsheet splits, and programs can read it."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_gateway.web.pages.export import _lines, harmless

BEGINS = tuple("=+-@|%＝＋－＠")
#: What people write, and what attackers do.
TEXTS = st.text(st.sampled_from("ab1 =+-@%|＝;,\t\r\n\"'\u2028\xa0\ufeff()!."), max_size=20)


def is_formula(cell: str) -> bool:
    """As a spreadsheet reads it: behind white space and what it does not see."""
    return cell.lstrip(' \t\r\n\u2028\xa0\ufeff\u200b"').startswith(BEGINS)


def cells(line: str, delimiter: str) -> list[str]:
    """All that some program may take for a cell: with quotes, and without a regard for them."""
    naive = re.split(f"[{delimiter}\r\n\u2028]", line)
    minding = csv.reader(io.StringIO(line, newline=""), delimiter=delimiter)
    return [*naive, *(cell for row in minding for cell in row)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("hello", "hello"),
        ("", ""),
        ("10-12; 5+5, a=b", "10-12; 5+5, a=b"),
        ("=1+1", "'=1+1"),
        ("  =1+1", "'  =1+1"),
        ("a;=1+1", "a;'=1+1"),
        ("a; =1+1", "a;' =1+1"),
        ("a\t@SUM(A1)", "a\t'@SUM(A1)"),
        ("a,+1;-2", "a,'+1;'-2"),
        ("a\n=cmd|'/c calc'!A1", "a\n'=cmd|'/c calc'!A1"),
        ('x;"=1+1"', 'x;\'"=1+1"'),
        ("a;;=1", "a;;'=1"),
        ("\t=1", "'\t'=1"),
        ("a;\xa0=1", "a;'\xa0=1"),
        ("a;＝1", "a;'＝1"),
        ("tel: +32", "tel: +32"),
        ("hi; :-)", "hi; :-)"),
        ("a;\u200b=1", "a;'\u200b=1"),
    ],
)
def test_each_piece_that_may_be_a_cell_is_harmless(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(TEXTS)
def test_no_piece_of_any_cell_is_a_formula(text: str) -> None:
    line = _lines([("id", "32494000000", harmless(text), "delivered")]).decode()
    for delimiter in ",;\t|":
        for cell in cells(line, delimiter):
            assert not is_formula(cell), (delimiter, cell)


@given(TEXTS)
def test_a_program_reads_the_cells_and_finds_the_text_but_for_apostrophes(text: str) -> None:
    row = ("id", harmless(text), "delivered")
    (read,) = csv.reader(io.StringIO(_lines([row]).decode(), newline=""))
    assert tuple(read) == row
    assert read[1].replace("'", "") == text.replace("'", "")


@given(st.text(max_size=50))
def test_what_has_none_of_these_signs_stays_as_it_is(text: str) -> None:
    plain = re.sub(r"[=+\-@|%＝＋－＠,;\s\x1c-\x1e\x85\u2028\u2029]", "", text)
    assert harmless(plain) == plain
