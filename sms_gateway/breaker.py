"""Decides by a circuit breaker whether to try something that may fail."""

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
        """The circuit opens when at least `failures` failures in a row, or an absence, have lasted
        for `grace` seconds. The first trial comes after `pause` seconds; each failed trial doubles
        the pause, up to `longest`."""
        self._most_failures = failures
        self._grace = grace
        self._first_pause = pause
        self._longest = longest
        self._failures = 0
        self._failing_since = 0.0
        self._away_since: float | None = None
        self._away = False
        #: The number of the next trial since the circuit opened.
        self._trials = 1
        # When the next trial may be made; None while the circuit is closed.
        self._trial_at: float | None = None
        self._trying = False

    def circuit(self, now: float) -> Circuit:
        """The state of the circuit at this time."""
        if self._trial_at is None:
            return Circuit.CLOSED
        return Circuit.OPEN if self._away or now < self._trial_at else Circuit.HALF_OPEN

    def admits(self, now: float) -> bool:
        """Whether to try: always while closed, one at a time while half open."""
        circuit = self.circuit(now)
        return circuit is Circuit.CLOSED or (circuit is Circuit.HALF_OPEN and not self._trying)

    def trying(self) -> None:
        """Record that a trial has begun."""
        self._trying = True

    def undecided(self) -> None:
        """Record that the trial ended without a result: another may be made."""
        self._trying = False

    def succeeded(self, now: float) -> None:
        """Record that a try succeeded."""
        self._failures = 0
        self._trying = False
        if self.circuit(now) is Circuit.OPEN and not self._away:
            # A try from before the circuit opened gives hope: the next trial comes at once.
            self._trial_at = now
        elif not self._away:
            self._trial_at = None
            self._trials = 1

    def failed(self, now: float) -> None:
        """Record that a try failed."""
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
        """Record that the upstream is away. Call this repeatedly while it is."""
        if self._away_since is None:
            self._away_since = now
        if not self._away and now - self._away_since >= self._grace:
            self._away = True
            self._trying = False
            self._trial_at = now

    def present(self, now: float) -> None:
        """Record that the upstream is back. After a long absence a trial may be made at once."""
        self._away_since = None
        if self._away:
            self._away = False
            self._failures = 0
            self._trial_at = now
