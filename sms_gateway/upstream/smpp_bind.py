"""Why an SMSC does not let us in, in words that say what to set or to ask its operator for."""

from ..smpp.status import Status, Verdict

#: By the status of bind_transceiver_resp (SMPP 3.4 §5.1.3). Operators use some of them for more
#: than their words say.
ADVICE = {
    0x02: "the operator expects another form of bind: ask for SMPP 3.4 with transceivers",
    0x03: "the operator knows no transceivers: ask for SMPP 3.4 with bind_transceiver",
    0x04: "transceivers are not allowed: ask the operator to allow this account bind_transceiver",
    0x05: "the account is bound already: run no more workers than it may have binds, stop what "
    "else uses it, or ask the operator for more; after a cut connection it passes of itself",
    0x08: "the operator has trouble of its own: if it lasts, ask the operator",
    0x0D: "no reason is given: ask the operator whether this machine's address is allowed, how "
    "many binds the account may have, and for its system_type",
    0x0E: "set the password in the upstream's address (special characters as %XX; SMPP 3.4 has "
    "at most 8), or ask the operator whether the account is active",
    0x0F: "set the user (system_id) in the upstream's address as the operator gave it",
    0x14: "the operator takes no more at the moment: if it lasts, ask the operator",
    0x53: "set the option system_type as the operator gave it, or leave it out",
    0x58: "the operator counts too many binds: it passes, unless other programs bind as well",
}
_VENDOR = (
    "a status of the operator's own: its documentation says what it means; commonly that this "
    "machine's address is not allowed, or that there are too many binds"
)
_OTHER = "ask the operator what it means"

#: At a bind these stay until somebody changes something, whatever they say about a message.
_LASTING = frozenset((0x02, 0x03, 0x04))
_PASSING = frozenset((Verdict.RETRY, Verdict.SLOW_DOWN, Verdict.FULL))


def advice(status: Status) -> str:
    """Advice after a refused bind."""
    vendor = _VENDOR if 0x400 <= status.number <= 0x4FF else _OTHER
    return ADVICE.get(status.number, vendor)


def is_lasting(status: Status) -> bool:
    """Whether a bind that was refused so will be refused until somebody changes something."""
    return status.number in _LASTING or status.verdict not in _PASSING
