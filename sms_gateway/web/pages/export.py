"""Sent history as CSV."""

import csv
import io
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


def harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: those begin with one of these."""
    return f"'{text}" if text.lstrip(" ")[:1] in tuple("=+-@\t\r\n|%＝＋－＠") else text


def _lines(rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
