"""Mails that no person wrote to be an SMS: reports, automatic answers, lists."""

import re
from enum import Enum

from .mail import subject_of
from .mime import Part
from .subject import is_automatic_subject
from .unreadable import Unreadable


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
# `auto-generated (zabbix)`
_COMMENT = re.compile(r"\([^()]{0,100}\)")
_PRECEDENCE = {
    "auto_reply": Automatic.DISCARD,
    "auto-reply": Automatic.DISCARD,
    "list": Automatic.REFUSE,
    "junk": Automatic.REFUSE,
}


def automatic(mail: Part, envelope_sender: str, *, machines: bool = False) -> Automatic | None:
    """What to do with a mail that must not become an SMS; None for one that may.

    `envelope_sender` is empty for the null sender, which only reports and answers have. With
    `machines` a mail that a machine wrote of its own accord may: RFC 3834 asks that nothing answers
    it by itself, and an SMS is no answer. Answers of machines and mailing lists never may.
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
    submitted = _COMMENT.sub("", submitted).strip()
    if submitted not in ("", "no", "auto-generated") or _is_of_a_list(mail):
        return Automatic.REFUSE
    by_machine = (
        submitted == "auto-generated"
        or precedence == "bulk"
        or any(map(mail.header, ("list-id", "list-unsubscribe")))
    )
    # Exchange's answers in absence are generated, too; what they are is in their subject.
    if by_machine and (not machines or is_automatic_subject(_subject(mail))):
        return Automatic.REFUSE
    return None


def _is_of_a_list(mail: Part) -> bool:
    """Whether people write to the list that sent it (RFC 2369 §3.4); alerts have no such field."""
    return mail.header("list-post").strip().lower() not in ("", "no")


def _subject(mail: Part) -> str:
    try:
        return subject_of(mail)
    except Unreadable:  # which is told to the sender when the mail is read
        return ""
