"""Names for messages: UUIDs that sort by time."""

import os
import threading

_lock = threading.Lock()
# The time and the counter of the last id: 48 bits of milliseconds, then 12 bits.
_last = 0
# The last 16 digits of ids to come: variant and rand_b. They are drawn from the system many at a
# time, as asking it gives the interpreter to whoever waits for it.
_drawn: list[str] = []

_COUNTER_BITS = 12
_MOST_IN_A_MILLISECOND = (1 << _COUNTER_BITS) - 1
_VERSION = 7 << _COUNTER_BITS
_DRAWN_AT_ONCE = 256
# The two highest bits of each 64 are the variant, 10.
_VARIANT = int("8000000000000000" * _DRAWN_AT_ONCE, 16)
_RANDOM = int("3fffffffffffffff" * _DRAWN_AT_ONCE, 16)


def new_id(now_ms: int) -> str:
    """A UUIDv7 as 32 hex digits, greater than every earlier one of this process.

    `now_ms` is Unix time in milliseconds. Within one millisecond, and when the clock goes back,
    rand_a counts on; after 4096 ids it carries into the time. RFC 9562 §5.7, §6.2 (method 1).
    """
    global _last
    with _lock:
        _last = now = max(now_ms << _COUNTER_BITS, _last + 1)
        if not _drawn:
            digits = f"{int.from_bytes(os.urandom(8 * _DRAWN_AT_ONCE)) & _RANDOM | _VARIANT:x}"
            _drawn.extend([digits[at : at + 16] for at in range(0, len(digits), 16)])
        random = _drawn.pop()
    time, counter = now >> _COUNTER_BITS, now & _MOST_IN_A_MILLISECOND
    return (time << 16 | _VERSION | counter).to_bytes(8).hex() + random


def first_id(now_ms: int) -> str:
    """No id of an earlier time is greater than this, and none of this time or later is less."""
    return f"{now_ms << 80:032x}"


def moment_of(id: str) -> int:
    """The time in an id, Unix milliseconds."""
    return int(id[:12], 16)


def _begin_anew_after_fork() -> None:
    # Another thread may have held the lock when the process forked; it does not live on here. What
    # had been drawn is the parent's.
    global _lock
    _lock = threading.Lock()
    _drawn.clear()


os.register_at_fork(after_in_child=_begin_anew_after_fork)
