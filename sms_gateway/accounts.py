"""Defines accounts: who may send, how much and where to. An account has one API key."""

import hashlib
import re
import secrets
from dataclasses import dataclass

from .allowance import admit
from .caps import Cap
from .sms.kinds import Kind

_PERIODS = {"s": 1_000, "min": 60_000, "h": 3_600_000, "day": 86_400_000}
_RATE = re.compile(r"([1-9][0-9]{0,6})/(s|min|h|day)")


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate limit: at most `count` messages in every `period` milliseconds."""

    count: int
    period: int

    @classmethod
    def parse(cls, text: str) -> "Rate | None":
        """Read `1/min`, `20/s`, `100/h`, `1000/day` or `none`; ValueError says what is allowed."""
        if text == "none":
            return None
        match = _RATE.fullmatch(text)
        if match is None:
            raise ValueError("a rate is written 1/min, 20/s, 100/h, 1000/day or none")
        return cls(int(match[1]), _PERIODS[match[2]])

    def __str__(self) -> str:
        unit = next(name for name, period in _PERIODS.items() if period == self.period)
        return f"{self.count}/{unit}"

    def admit(self, next_free: int, now: int, messages: int) -> int | None:
        """Charge `messages` to a limiter, or return None when its limit is reached.

        `next_free` is the `free_at` of `allowance`. It, `now` and the result are in microseconds.
        """
        interval = self.period * 1_000 // self.count
        return admit(next_free, now, interval, self.count, messages)


#: Allows every sender; is no sender itself.
ANY_SENDER = "*"

#: The rate limit of a free key.
FREE_RATE = Rate(1, _PERIODS["min"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A sender, with the options of its key."""

    id: int
    name: str
    #: The last characters of the key, so that people can tell keys apart.
    key_hint: str
    enabled: bool
    #: Whether one request may have several recipients.
    multi: bool
    #: Whether its messages go to the sandbox only.
    test: bool
    #: None: no limit.
    rate: Rate | None
    #: Whether the key was handed out to a mail address, without the operator.
    free: bool = False
    #: How many parts may be accepted; None: its parts are not counted.
    caps: tuple[Cap, ...] | None = None
    #: The kinds of numbers that it may send to besides the usual ones.
    kinds: frozenset[Kind] = frozenset()
    #: The ISO 3166 codes of the countries that it may send to; None: all.
    countries: frozenset[str] | None
    #: The sender that the handset shows; empty leaves it to the route.
    sender: str
    #: Other senders that a request may name, numbers without the plus sign. ANY_SENDER among them
    #: allows all; None allows none.
    senders: frozenset[str] | None = None
    #: The local part of its e-mail address: digits that cannot be guessed.
    mail_address: str
    #: Mail addresses, or domains such as `@example.com`, that may write to it; None: all.
    mail_senders: frozenset[str] | None
    #: Whether the whole text of a mail is sent, with its quotes.
    mail_whole: bool = False
    #: Whether mails that machines wrote are sent; None: only if `mail_senders` is a list.
    mail_machines: bool | None = None
    #: The validity of its messages, milliseconds; None leaves it to the route.
    validity: int | None = None
    #: How many recipients have asked it to stop.
    stops: int = 0
    #: The URL that its events are sent to; empty for none.
    callback_url: str = ""
    #: Since when its callback is paused, Unix milliseconds, and why.
    callback_paused_at: int | None = None
    callback_paused_reason: str = ""
    #: Grows with every change, which shows that a cached copy is out of date.
    version: int
    #: Unix milliseconds.
    created_at: int
    #: When the old key that found this account expires, Unix milliseconds; None for the current
    #: key.
    valid_until: int | None = None

    def may_show(self, sender: str) -> bool:
        """Whether a request may name this sender."""
        allowed = self.senders
        return allowed is not None and (
            ANY_SENDER in allowed or sender.removeprefix("+") in allowed
        )

    @property
    def takes_mails_of_machines(self) -> bool:
        """Whether mails of machines become SMS; by default only with a list of mail senders."""
        if self.mail_machines is None:
            return self.mail_senders is not None
        return self.mail_machines


@dataclass(frozen=True, slots=True)
class OldKey:
    """An older key that is still valid for a while."""

    #: Its last characters.
    hint: str
    #: Unix milliseconds.
    valid_until: int


def new_key() -> str:
    """A new API key: 160 random bits, letters and digits only."""
    return secrets.token_hex(20)


def new_mail_address() -> str:
    """A new local part for the e-mail face: 16 random digits."""
    return str(secrets.randbelow(9 * 10**15) + 10**15)


def key_hash(key: str) -> bytes:
    """The digest that is stored of a key. It needs no salt: nobody can guess 160 random bits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
