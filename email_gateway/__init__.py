"""The e-mail face: mails that come in by SMTP become SMS, through a `MailBackend`."""

from .server import MailServer

__all__ = ["MailServer"]
