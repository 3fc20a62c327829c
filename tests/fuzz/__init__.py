"""Anything that a peer may send, found by coverage: `tox -e fuzz` (see `__main__`)."""
