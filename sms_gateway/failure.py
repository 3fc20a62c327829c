"""How a command ends that cannot do its work."""


class Failure(Exception):
    """Something that is needed is not there; the text says what, in one line, without secrets."""
