"""Ten hosts of one machine: PostgreSQL, web, workers, an SMSC, a name server and the callers.

Each has a network namespace of its own, and one program carries all packets between them, so that a
test can cut, part, slow down and lose what real networks do. `python -m hosts` is the command (see
`__main__`), `tox -e hosts` runs it.
"""
