"""Sent history as CSV."""

import csv
import io
import re
from collections.abc import Iterator

from ...moments import utc
from ...sms.message import FATES
from ...store import Store, history

COLUMNS = ("id", "accepted (UTC)", "recipient", "state", "parts", "sender", "message", "outcome")
#: Messages that are read at once.
_AT_ONCE = 500


def export(store: Store, account_id: int) -> Iterator[bytes]:
    """All that an account has sent, newest first, piece by piece; one line for each recipient.

    UTF-8 with a mark, by which spreadsheets tell.
    """
    yield b"\xef\xbb\xbf" + _lines([COLUMNS])
    before = ""
    while True:
        with store.read() as connection:
            page = history.sent_page(connection, account_id, before=before, most=_AT_ONCE)
        if page.messages:
            yield _lines(
                [
                    (
                        message.id,
                        f"{utc(message.accepted_at):%Y-%m-%d %H:%M:%S}",
                        recipient.removeprefix("+"),
                        state.value,
                        str(message.parts),
                        harmless(message.sender),
                        harmless(message.text),
                        FATES[state].value,
                    )
                    for message in page.messages
                    for recipient, state in message.recipients
                ]
            )
        before = page.before
        if not before:
            return


# Where a spreadsheet may begin a cell: not every one splits at commas and minds quotes, and a line
# break ends what it takes for a line.
_SPLITS = ",;|\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029"
# What spreadsheets may pass over: white space, quotes, and what nobody sees.
_PASSED = ' "\xa0\xad\u2000-\u200f\u202a-\u202f\u205f-\u2064\u3000\ufeff\0-\x08\x0e-\x1b\x1f\x7f'
# What formulas begin with.
_SIGNS = "=+\\-@|%＝＋－＠"
_FORMULA = re.compile(rf"(?:\A|(?<=[{_SPLITS}]))(?=[{_PASSED}]*[{_SIGNS}])")


def harmless(text: str) -> str:
    """A cell of which no spreadsheet takes any piece for a formula, wherever it splits lines.

    An apostrophe stands before each piece that it could; and before what begins with a split.
    """
    marked = _FORMULA.sub("'", text)
    return f"'{marked}" if re.match(f"[{_SPLITS}]", marked) else marked


def _lines(rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
