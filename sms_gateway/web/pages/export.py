"""Writes the sent history as CSV."""

import csv
import io
import re
from collections.abc import Iterator

from ...moments import utc
from ...sms.message import FATES
from ...store import Store, history

COLUMNS = ("id", "accepted (UTC)", "recipient", "state", "parts", "sender", "message", "outcome")
#: Messages that are read from the store at once.
_AT_ONCE = 500


def export(store: Store, account_id: int) -> Iterator[bytes]:
    """The messages that an account has sent, newest first, one line for each recipient.

    The pieces are UTF-8, with a byte order mark, by which spreadsheets recognise UTF-8.
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


# Characters after which a spreadsheet may begin a cell: some split at other characters than commas,
# ignore quotes, or end a line at any of these line breaks.
_SPLITS = ",;|\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029"
# Characters that spreadsheets may skip: white space, quotes, and invisible characters.
_PASSED = ' "\xa0\xad\u2000-\u200f\u202a-\u202f\u205f-\u2064\u3000\ufeff\0-\x08\x0e-\x1b\x1f\x7f'
# Characters that may begin a formula.
_SIGNS = "=+\\-@|%＝＋－＠"
_FORMULA = re.compile(rf"(?:\A|(?<=[{_SPLITS}]))(?=[{_PASSED}]*[{_SIGNS}])")


def harmless(text: str) -> str:
    """A cell in which no spreadsheet finds a formula, wherever it splits the text into cells.

    An apostrophe is put before each piece that could be a formula, and before a text that begins
    with a character of _SPLITS.
    """
    marked = _FORMULA.sub("'", text)
    return f"'{marked}" if re.match(f"[{_SPLITS}]", marked) else marked


def _lines(rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
