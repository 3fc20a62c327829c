"""Back-off: how long to wait before the next try, longer each time, and never all at once."""

import random


def pause(failures: int, first: float, longest: float) -> float:
    """The pause after so many failures in a row: `first`, doubled each time, up to `longest`. All
    in the same unit."""
    # Two to the 30th is longer than anything that is waited for, in milliseconds, too.
    return min(first * (1 << min(failures - 1, 30)), longest)


def spread(pause: float, by: float = 0.2) -> float:
    """A pause, longer or shorter by up to a fifth (`by`), so that those who failed together do not
    come back together."""
    return pause * random.uniform(1 - by, 1 + by)  # noqa: S311 - spread, not secrecy
