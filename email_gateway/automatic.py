"""Mails that no person wrote to be an SMS: reports, automatic answers, lists."""

from enum import Enum

from .mime import Part


class Automatic(Enum):
    """What is done with a mail that must not become an SMS."""

    #: A report or an answer by a machine: accepted and thrown away. Refused, it would be reported
    #: to somebody who never wrote it (RFC 3834 §4, RFC 5321 §4.5.5).
    DISCARD = "an automatic answer"
    #: Made by a machine, or for many: refused, so that whoever set it up is told, and a list takes
    #: the address off. Its report has a null sender and is discarded: there is no loop.
    REFUSE = "an automatic mail"


_ANSWERS = frozenset({"auto-replied", "auto-notified"})  # RFC 3834 §5, RFC 5436 §2.7
# What answering programs said before RFC 3834.
_ANSWERED = (
    "x-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-auto-reply",
    "x-failed-recipients",
)
_PRECEDENCE = {
    "auto_reply": Automatic.DISCARD,
    "auto-reply": Automatic.DISCARD,
    "bulk": Automatic.REFUSE,
    "list": Automatic.REFUSE,
    "junk": Automatic.REFUSE,
}


def automatic(mail: Part, envelope_sender: str) -> Automatic | None:
    """What to do with a mail that a machine wrote; None for one by a person.

    `envelope_sender` is empty for the null sender, which only reports and answers have.
    """
    submitted = mail.header("auto-submitted").partition(";")[0].strip().lower()
    if (
        not envelope_sender
        or mail.type in ("multipart/report", "message/delivery-status")
        or submitted in _ANSWERS
        or any(map(mail.header, _ANSWERED))
    ):
        return Automatic.DISCARD
    precedence = mail.header("precedence").strip().lower()
    if precedence in _PRECEDENCE:
        return _PRECEDENCE[precedence]
    if submitted not in ("", "no") or mail.header("list-id") or mail.header("list-unsubscribe"):
        return Automatic.REFUSE
    return None
