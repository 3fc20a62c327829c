"""Counts the wrong keys of each network, in one table for all processes of a command."""

import mmap
import os
import secrets
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_UN, lockf
from hashlib import blake2b

#: Wrong keys that one network may try at once, and the seconds until each further try.
TRIES, SECONDS_EACH = 10, 30.0
# The folder of the table's file: in memory, as the table need not survive.
_MEMORY = "/dev/shm"  # noqa: S108 - a file without a name


class Guesses:
    """How many wrong keys each network has tried lately.

    Make it before the fork: all processes that are forked afterwards share it. The table has a
    fixed size; a new network takes the place of the one that was quiet longest.
    """

    #: Places in all, and the places in which one network may be: the quietest of these is reused.
    PLACES, BESIDE = 16_384, 8
    # The digest of a network, and when it will have its whole allowance again (generic cell rate
    # algorithm); negative once the log has told of the network.
    _PLACE = struct.Struct("=Qd")

    def __init__(self, *, tries: int = TRIES, seconds: float = SECONDS_EACH) -> None:
        """`tries` at once, and one more every `seconds`."""
        self._tries = tries
        self._interval = seconds
        # The file has no name any more: it goes with the last process that has it open.
        self._file, name = tempfile.mkstemp(dir=_MEMORY if os.path.isdir(_MEMORY) else None)
        os.unlink(name)
        os.truncate(self._file, self.PLACES * self._PLACE.size)
        self._table = mmap.mmap(self._file, 0)
        # A secret key, so that nobody can choose networks whose digests are neighbours.
        self._key = secrets.token_bytes(16)

    def count(self, network: str, now: float) -> tuple[float, bool]:
        """Count a wrong key of a network. `now`: time.monotonic.

        Returns the seconds until the network has a try again (0 while it has more), and whether
        this is the first time that it has none. A network that was quiet for long enough to have
        all its tries again counts as new.
        """
        digest = int.from_bytes(
            blake2b(network.encode(), key=self._key, digest_size=8).digest(), "little"
        )
        with self._alone():
            place = self._place_of(digest)
            _, told_until = self._PLACE.unpack_from(self._table, place)
            was_told, free_at = told_until < 0, max(abs(told_until), now)
            if free_at == now:
                was_told = False
            # The wait has an upper limit, however long a network goes on.
            most = now + 2 * self._tries * self._interval
            free_at = min(free_at + self._interval, most)
            wait = max(0.0, free_at - now - self._tries * self._interval)
            is_news = wait > 0 and not was_told
            sign = -1 if was_told or is_news else 1
            self._PLACE.pack_into(self._table, place, digest, sign * free_at)
        return wait, is_news

    def _place_of(self, digest: int) -> int:
        """The offset in the table at which a network's count is, or may be put."""
        first = digest % (self.PLACES // self.BESIDE) * self.BESIDE * self._PLACE.size
        places = range(first, first + self.BESIDE * self._PLACE.size, self._PLACE.size)
        quietest, until = first, float("inf")
        for place in places:
            other, told_until = self._PLACE.unpack_from(self._table, place)
            if other == digest:
                return place
            if abs(told_until) < until:
                quietest, until = place, abs(told_until)
        self._PLACE.pack_into(self._table, quietest, digest, 0.0)
        return quietest

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # The lock is the process's: only its main thread counts, and a process that dies holds
        # no lock.
        lockf(self._file, LOCK_EX)
        try:
            yield
        finally:
            lockf(self._file, LOCK_UN)
