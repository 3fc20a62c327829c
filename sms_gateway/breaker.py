"""Whether something that fails now and then is worth a try at the moment: a circuit breaker."""

from enum import StrEnum

from . import backoff


class Circuit(StrEnum):
    """The state of a circuit breaker."""

    #: The upstream works, as far as is known.
    CLOSED = "closed"
    #: The upstream fails: nothing is tried.
    OPEN = "open"
    #: The upstream failed a while ago: one trial at a time shows whether it still does.
    HALF_OPEN = "half open"


class Breaker:
    """Opens on failures in a row or on a long absence, and closes when a trial succeeds.

    `now` is any clock in seconds that never goes back.
    """

    def __init__(
        self, *, failures: int = 10, grace: float = 10.0, pause: float = 1.0, longest: float = 60.0
    ) -> None:
        """It opens when at least so many `failures` in a row have lasted for `grace` seconds, or
        an absence has. The first trial comes after `pause` seconds; the pause doubles with each
        trial that fails, up to `longest`."""
        self._most_failures = failures
        self._grace = grace
        self._first_pause = pause
        self._longest = longest
        self._failures = 0
        self._failing_since = 0.0
        self._away_since: float | None = None
        self._away = False
        #: The one that is to come, of those in a row.
        self._trials = 1
        # When the next trial may be made; None while the circuit is closed.
        self._trial_at: float | None = None
        self._trying = False

    def circuit(self, now: float) -> Circuit:
        """The state at this time."""
        if self._trial_at is None:
            return Circuit.CLOSED
        return Circuit.OPEN if self._away or now < self._trial_at else Circuit.HALF_OPEN

    def admits(self, now: float) -> bool:
        """Whether a try may be made: any while it is closed, one at a time while half open."""
        circuit = self.circuit(now)
        return circuit is Circuit.CLOSED or (circuit is Circuit.HALF_OPEN and not self._trying)

    def trying(self) -> None:
        """A trial is under way; its outcome decides."""
        self._trying = True

    def undecided(self) -> None:
        """The trial showed nothing: another may be made."""
        self._trying = False

    def succeeded(self, now: float) -> None:
        """A try succeeded."""
        self._failures = 0
        self._trying = False
        if self.circuit(now) is Circuit.OPEN and not self._away:
            # This try began before the circuit opened. It gives hope: the next trial comes at once.
            self._trial_at = now
        elif not self._away:
            self._trial_at = None
            self._trials = 1

    def failed(self, now: float) -> None:
        """A try failed."""
        self._trying = False
        match self.circuit(now):
            case Circuit.HALF_OPEN:
                self._trials += 1
                self._trial_at = now + backoff.pause(self._trials, self._first_pause, self._longest)
            case Circuit.CLOSED:
                if not self._failures:
                    self._failing_since = now
                self._failures += 1
                lasted = now - self._failing_since >= self._grace
                if self._failures >= self._most_failures and lasted:
                    self._trial_at = now + self._first_pause

    def absent(self, now: float) -> None:
        """The upstream is away. Call this again and again while it is."""
        if self._away_since is None:
            self._away_since = now
        if not self._away and now - self._away_since >= self._grace:
            self._away = True
            self._trying = False
            self._trial_at = now

    def present(self, now: float) -> None:
        """The upstream is back. After a long absence a trial may be made at once."""
        self._away_since = None
        if self._away:
            self._away = False
            self._failures = 0
            self._trial_at = now
