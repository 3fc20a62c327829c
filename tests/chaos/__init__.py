"""Kills, stalls and fills up everything that a running gateway is made of, then compares books.

`python -m chaos` is the command (see `__main__`), `tox -e chaos` runs it.
"""
