"""What the benchmark says while it works."""

import sys
import time

_BEGAN = time.monotonic()


def tell(line: str) -> None:
    """A line of progress, on standard error."""
    print(f"{time.monotonic() - _BEGAN:6.0f} s  {line}", file=sys.stderr, flush=True)
