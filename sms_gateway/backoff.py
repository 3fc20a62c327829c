"""Computes exponential back-off with jitter."""

import random


def pause(failures: int, first: float, longest: float) -> float:
    """The pause after `failures` failures in a row: `first`, doubled each time, up to `longest`.

    All three are in one unit.
    """
    # 2^30 ms are 12 days, longer than any pause.
    return min(first * (1 << min(failures - 1, 30)), longest)


def spread(pause: float, by: float = 0.2) -> float:
    """A pause with jitter: longer or shorter by up to a fifth (`by`).

    So clients that failed together do not retry together.
    """
    return pause * random.uniform(1 - by, 1 + by)  # noqa: S311 - spread, not secrecy
