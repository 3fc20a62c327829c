"""Accounts: who may send, how much and where to. One account has one API key."""

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
    """At most `count` messages in every `period` milliseconds."""

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

        `next_free` is what `allowance` calls `free_at`; it, `now` and the result are in
        microseconds.
        """
        interval = self.period * 1_000 // self.count
        return admit(next_free, now, interval, self.count, messages)


#: What stands for every sender; it is none itself.
ANY_SENDER = "*"

#: What a free key may do.
FREE_RATE = Rate(1, _PERIODS["min"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A sender, with the options of its key."""

    id: int
    name: str
    #: The last characters of the key, so that people can tell keys apart.
    key_hint: str
    enabled: bool
    #: May name several recipients in one request.
    multi: bool
    #: Sends to the sandbox only.
    test: bool
    #: None is no limit.
    rate: Rate | None
    #: It was handed out to somebody who is known by a mail address only.
    free: bool = False
    #: How many parts may be accepted for it; None: nothing is counted for it.
    caps: tuple[Cap, ...] | None = None
    #: The kinds of numbers that are open to it beside the usual ones.
    kinds: frozenset[Kind] = frozenset()
    #: ISO 3166 codes of the countries it may send to; None is all.
    countries: frozenset[str] | None
    #: Who the handset shows; empty leaves it to the route.
    sender: str
    #: Who else a request may name as that, numbers without the plus sign; ANY_SENDER among them is
    #: everybody, None is nobody.
    senders: frozenset[str] | None = None
    #: The local part of its e-mail address: digits that cannot be guessed.
    mail_address: str
    #: Mail addresses, or domains as `@example.com`, that may write to it; None is everybody.
    mail_senders: frozenset[str] | None
    #: Takes the text of a mail as it is, with what it quotes.
    mail_whole: bool = False
    #: Takes mails that machines wrote; None: where it has a list of those who may write.
    mail_machines: bool | None = None
    #: How long its messages are worth delivering, milliseconds; None leaves it to the route.
    validity: int | None = None
    #: How many recipients have asked it to stop.
    stops: int = 0
    #: Where its events are sent; empty for nowhere.
    callback_url: str = ""
    #: Since when nothing is sent there any more, Unix milliseconds, and why.
    callback_paused_at: int | None = None
    callback_paused_reason: str = ""
    #: Raised with every change, so that a copy in memory can be told from the row.
    version: int
    #: Unix milliseconds.
    created_at: int
    #: When the key that it was found by ends (Unix milliseconds), as there is a newer one; None for
    #: the newest.
    valid_until: int | None = None

    def may_show(self, sender: str) -> bool:
        """Whether a request may name this sender."""
        allowed = self.senders
        return allowed is not None and (
            ANY_SENDER in allowed or sender.removeprefix("+") in allowed
        )

    @property
    def takes_mails_of_machines(self) -> bool:
        """Whether alerts and the like become SMS; by itself only where not everybody may write."""
        if self.mail_machines is None:
            return self.mail_senders is not None
        return self.mail_machines


@dataclass(frozen=True, slots=True)
class OldKey:
    """A key that is valid for a while although there is a newer one."""

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
    """What is stored of a key. Its 160 bits cannot be guessed, so a plain digest is enough."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
