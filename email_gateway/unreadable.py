"""Why a mail cannot become an SMS."""


class Unreadable(Exception):
    """No text can be had from the mail; the message says why, in words for its sender."""
