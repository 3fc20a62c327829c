"""Defines the root of our exceptions, and the one by which a command ends."""


class GatewayError(Exception):
    """The root of all exceptions of the gateway."""


class UnavailableError(GatewayError):
    """Something that a command needs is not there.

    The text says in one line, without secrets, what is missing.
    """
