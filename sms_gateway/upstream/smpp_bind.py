"""Why an SMSC does not let us in, in words that say what to set or to ask its operator for."""

from ..smpp.pdu import Bind, BindReceiver, BindTransceiver, BindTransmitter
from ..smpp.status import Status, Verdict
from .smpp_options import SmppOptions

#: By the status of the answer to a bind (SMPP 3.4 §5.1.3). Operators use some of them for more than
#: their words say.
ADVICE = {
    0x02: "the operator expects another form of bind: ask which SMPP version and binds it has, and "
    "set the options version and bind",
    0x03: "the operator does not know this bind: set the option bind to separate (or to "
    "transceiver), as the operator says",
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
#: After 0x04, "incorrect bind status", by the kind of bind that was refused.
WRONG_BIND: dict[type[Bind], str] = {
    BindTransceiver: "the account may not bind as transceiver: set bind=separate (or "
    "bind=transmitter with registered_delivery=none), or ask the operator to allow transceivers",
    BindTransmitter: "the account may not bind as transmitter: set bind=transceiver, or ask the "
    "operator which binds it may have",
    BindReceiver: "the account may not bind as receiver: set bind=transceiver, or receiver_host "
    "and receiver_port if the operator has another address for receivers",
}
#: After statuses by which operators mean too many binds, where more than one is asked for.
TOO_MANY = (
    "the account may have fewer binds than binds and receivers ask for in each worker: set them "
    "to what the operator allows, divided by the workers"
)
_COUNTING = frozenset((0x05, 0x0D, 0x14, 0x58))
_VENDOR = (
    "a status of the operator's own: its documentation says what it means; commonly that this "
    "machine's address is not allowed, or that there are too many binds"
)
_OTHER = "ask the operator what it means"

#: At a bind these stay until somebody changes something, whatever they say about a message.
_LASTING = frozenset((0x02, 0x03, 0x04))
_PASSING = frozenset((Verdict.RETRY, Verdict.SLOW_DOWN, Verdict.FULL))


def advice(status: Status, options: SmppOptions, kind: type[Bind]) -> str:
    """Advice after a refused bind of this kind."""
    if status.number == 0x04:
        return WRONG_BIND[kind]
    several = options.binds > 1 or (options.bind == "separate" and options.receivers > 1)
    if status.number in _COUNTING and several:
        return TOO_MANY
    vendor = _VENDOR if 0x400 <= status.number <= 0x4FF else _OTHER
    return ADVICE.get(status.number, vendor)


def is_lasting(status: Status) -> bool:
    """Whether a bind that was refused so will be refused until somebody changes something."""
    return status.number in _LASTING or status.verdict not in _PASSING
