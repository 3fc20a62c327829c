"""The command_status values of SMPP 3.4 (§5.1.3) and 5.0 (§4.7.6), and what each means for the
refused message.

A status that finds fault with the message itself is REFUSED: the same bytes would meet it again.
Everything else is RETRY. An answer with an error says that nothing was accepted, so another try
cannot send twice, and the message's validity puts an end to it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The meaning of an answer's status for the message."""

    OK = "ok"
    #: Not now: worth another try later.
    RETRY = "retry"
    #: Not so fast: worth another try, and everything is to go slower.
    SLOW_DOWN = "slow down"
    #: Not to this number now; not so fast, where many different numbers meet it.
    FULL = "full"
    #: Not this message, ever.
    REFUSED = "refused"
    #: Not this account: a bind fails until somebody changes a setting; a message may wait for that.
    LOCKED_OUT = "locked out"


@dataclass(frozen=True, slots=True)
class Status:
    """A command_status: its number, its words and its verdict."""

    number: int
    words: str
    verdict: Verdict

    def __str__(self) -> str:
        return f"0x{self.number:08x} {self.words}"


#: SMPP 3.4 §5.1.3, and from 0x100 on SMPP 5.0 §4.7.6, by number.
STATUSES = {
    status.number: status
    for status in (
        Status(0x00, "no error", Verdict.OK),
        Status(0x01, "message length is invalid", Verdict.REFUSED),
        # 2 to 4 are about the conversation, not the message: after a slip in the stream, or on a
        # link that the SMSC has quietly unbound, the same message fares better next time.
        Status(0x02, "command length is invalid", Verdict.RETRY),
        Status(0x03, "invalid command id", Verdict.RETRY),
        Status(0x04, "incorrect bind status for given command", Verdict.RETRY),
        # The last connection is not yet forgotten by the SMSC.
        Status(0x05, "ESME already in bound state", Verdict.RETRY),
        Status(0x06, "invalid priority flag", Verdict.REFUSED),
        Status(0x07, "invalid registered delivery flag", Verdict.REFUSED),
        # Trouble inside the SMSC. It says nothing about load, so the rate stays as it is.
        Status(0x08, "system error", Verdict.RETRY),
        Status(0x0A, "invalid source address", Verdict.REFUSED),
        Status(0x0B, "invalid destination address", Verdict.REFUSED),
        Status(0x0C, "message id is invalid", Verdict.REFUSED),
        # No reason given; seen for "too many binds" as much as for anything else.
        Status(0x0D, "bind failed", Verdict.RETRY),
        Status(0x0E, "invalid password", Verdict.LOCKED_OUT),
        Status(0x0F, "invalid system id", Verdict.LOCKED_OUT),
        Status(0x11, "cancel SM failed", Verdict.REFUSED),
        Status(0x13, "replace SM failed", Verdict.REFUSED),
        # SMSCs mean the queue of a handset as often as that of the account. Which of the two it is
        # shows in how many different numbers meet it.
        Status(0x14, "message queue full", Verdict.FULL),
        Status(0x15, "invalid service type", Verdict.REFUSED),
        Status(0x33, "invalid number of destinations", Verdict.REFUSED),
        Status(0x34, "invalid distribution list name", Verdict.REFUSED),
        Status(0x40, "destination flag is invalid", Verdict.REFUSED),
        Status(0x42, "invalid submit with replace request", Verdict.REFUSED),
        Status(0x43, "invalid esm_class field data", Verdict.REFUSED),
        Status(0x44, "cannot submit to distribution list", Verdict.REFUSED),
        # No reason given: sent for a database that is away as well as for a blocked number. Like
        # 0x64, 0xFE, 0xFF and what vendors have of their own it never speaks of load, so that the
        # rate stays as it is.
        Status(0x45, "submit failed", Verdict.RETRY),
        Status(0x48, "invalid source address TON", Verdict.REFUSED),
        Status(0x49, "invalid source address NPI", Verdict.REFUSED),
        Status(0x50, "invalid destination address TON", Verdict.REFUSED),
        Status(0x51, "invalid destination address NPI", Verdict.REFUSED),
        Status(0x53, "invalid system_type field", Verdict.LOCKED_OUT),
        Status(0x54, "invalid replace_if_present flag", Verdict.REFUSED),
        Status(0x55, "invalid number of messages", Verdict.REFUSED),
        # More parts per second than agreed: the rate of the bind is what has to change.
        Status(0x58, "throttling error", Verdict.SLOW_DOWN),
        Status(0x61, "invalid scheduled delivery time", Verdict.REFUSED),
        Status(0x62, "invalid message validity period", Verdict.REFUSED),
        Status(0x63, "predefined message invalid or not found", Verdict.REFUSED),
        Status(0x64, "temporary application error", Verdict.RETRY),
        Status(0x65, "permanent application error", Verdict.REFUSED),
        Status(0x66, "rejected by the application", Verdict.REFUSED),
        Status(0x67, "query SM failed", Verdict.REFUSED),
        Status(0xC0, "error in the optional part of the PDU body", Verdict.REFUSED),
        Status(0xC1, "optional parameter not allowed", Verdict.REFUSED),
        Status(0xC2, "invalid parameter length", Verdict.REFUSED),
        Status(0xC3, "expected optional parameter missing", Verdict.REFUSED),
        Status(0xC4, "invalid optional parameter value", Verdict.REFUSED),
        Status(0xFE, "delivery failure", Verdict.RETRY),
        Status(0xFF, "unknown error", Verdict.RETRY),
        Status(0x100, "not authorised to use this service_type", Verdict.REFUSED),
        # About the account, not the message: it passes once the operator allows it.
        Status(0x101, "prohibited from this operation", Verdict.RETRY),
        Status(0x102, "service_type is unavailable", Verdict.RETRY),
        Status(0x103, "service_type is denied", Verdict.REFUSED),
        Status(0x104, "invalid data_coding", Verdict.REFUSED),
        Status(0x105, "invalid source_addr_subunit", Verdict.REFUSED),
        Status(0x106, "invalid dest_addr_subunit", Verdict.REFUSED),
    )
}

OK = STATUSES[0x00]
INVALID_COMMAND_LENGTH = STATUSES[0x02]
INVALID_COMMAND_ID = STATUSES[0x03]
INVALID_BIND_STATUS = STATUSES[0x04]
SYSTEM_ERROR = STATUSES[0x08]
INVALID_PASSWORD = STATUSES[0x0E]
QUEUE_FULL = STATUSES[0x14]
THROTTLED = STATUSES[0x58]
UNKNOWN_ERROR = STATUSES[0xFF]


def lookup(number: int) -> Status:
    """The status with this number; one that no SMPP knows is worth another try.

    0x400 to 0x4FF are each vendor's own; anything else unlisted is reserved.
    """
    known = STATUSES.get(number)
    if known is not None:
        return known
    words = "vendor-specific error" if 0x400 <= number <= 0x4FF else "reserved status"
    return Status(number, words, Verdict.RETRY)
