"""The SMTP answer to a mail, made from the backend's reply."""

import re

from sms_gateway.backend import Reply
from sms_gateway.codes import Code

#: Reply codes as SMTP has them: status (RFC 5321 §4.2.3) and enhanced status (RFC 3463). A
#: sender's mail server tries again after 4xx, and reports to the sender after 5xx.
STATUSES = {
    Code.SENT: "250 2.0.0",
    # The outcome is not known; the mail's Message-ID makes the next attempt harmless.
    Code.TIMED_OUT: "451 4.4.7",
    Code.NOT_SENT: "554 5.6.0",
    Code.INTERNAL: "451 4.3.0",
    Code.KEY_DISABLED: "554 5.2.1",
    Code.KEY_WRONG: "554 5.7.1",
    Code.KEY_MISSING: "554 5.7.1",
    Code.TOO_MANY: "554 5.5.3",
    Code.NOT_MULTIPLE: "554 5.7.1",
    # A route has to be opened by people first; by then nobody wants the SMS any more.
    Code.UNREACHABLE: "554 5.4.4",
    # The limit allows it later, and the sender's mail server will ask again by itself.
    Code.TOO_FAST: "451 4.7.1",
    Code.ID_MISSING: "554 5.5.4",
    Code.ID_UNKNOWN: "554 5.5.4",
    Code.ALREADY_SENT: "554 5.5.4",
}

# An answer is one line of at most 512 octets (RFC 5321 §4.5.3.1.5).
_LONGEST = 400


def answer(reply: Reply) -> str:
    """`554 5.7.1 50 API key is not correct`: status, enhanced status, code, sentence."""
    words = f"{reply.error:d} {reply.sentence}" + (f" ({reply.id})" if reply.id else "")
    return f"{STATUSES[reply.error]} {re.sub(r'[^ -~]', '?', words)[:_LONGEST]}"
