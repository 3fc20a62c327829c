"""The root of our exceptions, and the one by which a command ends."""


class GatewayError(Exception):
    """Something went wrong in a way that the gateway knows; all its exceptions are of this kind."""


class UnavailableError(GatewayError):
    """Something that a command needs is not there.

    The text says in one line, without secrets, what is missing.
    """
