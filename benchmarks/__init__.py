"""Measures the gateway beside others: `tox -e bench`. See docs/performance.md."""
