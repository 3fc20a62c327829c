"""Mails that no person wrote to be an SMS: reports, automatic answers, lists."""

import re
from enum import Enum

from .mail import subject_of
from .mime import Part
from .subject import is_automatic_subject
from .unreadable import UnreadableMailError


class Automatic(Enum):
    """The two ways to handle a mail that must not become an SMS."""

    #: A report or an answer by a machine: accepted and thrown away. Refused, it would be reported
    #: to somebody who never wrote it (RFC 3834 §4, RFC 5321 §4.5.5).
    DISCARD = "an automatic answer"
    #: Made by a machine, or for many: refused, so that its maker gets a report, and a mailing list
    #: removes the address. The report has a null sender and is discarded: there is no loop.
    REFUSE = "an automatic mail"


_ANSWERS = frozenset({"auto-replied", "auto-notified"})  # RFC 3834 §5, RFC 5436 §2.7
# Fields that answering programs wrote before RFC 3834.
_ANSWERED = (
    "x-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-auto-reply",
    "x-failed-recipients",
)
# `auto-generated (zabbix)`, `(vacation 1.2) auto-replied`
_COMMENT = re.compile(r"\([^()]{0,100}\)")
# `X-Autoreply: no`
_DENIED = frozenset({"", "no", "false", "0", "none"})
_PRECEDENCE = {
    "auto_reply": Automatic.DISCARD,
    "auto-reply": Automatic.DISCARD,
    "list": Automatic.REFUSE,
    "junk": Automatic.REFUSE,
}


def automatic(mail: Part, envelope_sender: str, *, machines: bool = False) -> Automatic | None:
    """How to handle a mail that must not become an SMS; None for a mail that may.

    `envelope_sender` is empty for the null sender, which only reports and answers have. With
    `machines` a mail that a machine wrote of its own accord may become one: RFC 3834 forbids
    automatic answers to it, and an SMS is no answer. Automatic answers and mailing lists never may.
    """
    # Each program on the way may have added a field of its own: all of them count.
    submitted = _words(mail, "auto-submitted")
    if (
        not envelope_sender
        or mail.type in ("multipart/report", "message/delivery-status")
        or submitted & _ANSWERS
        or any(_words(mail, name) - _DENIED for name in _ANSWERED)
    ):
        return Automatic.DISCARD
    precedence = _words(mail, "precedence")
    told = {_PRECEDENCE[word] for word in precedence if word in _PRECEDENCE}
    if told:
        return Automatic.DISCARD if Automatic.DISCARD in told else Automatic.REFUSE
    if submitted - {"", "no", "auto-generated"} or _is_of_a_list(mail):
        return Automatic.REFUSE
    by_machine = (
        "auto-generated" in submitted
        or "bulk" in precedence
        or any(map(mail.header, ("list-id", "list-unsubscribe")))
    )
    # Exchange's answers in absence are generated, too; what they are is in their subject.
    if by_machine and (not machines or is_automatic_subject(_subject(mail))):
        return Automatic.REFUSE
    return None


def _words(mail: Part, name: str) -> set[str]:
    """The values of all fields of a name, in lower case, without comments and parameters."""
    values = (_COMMENT.sub(" ", value) for value in mail.fields(name))
    return {value.partition(";")[0].strip().lower() for value in values}


def _is_of_a_list(mail: Part) -> bool:
    """Whether people write to the list that sent it (RFC 2369 §3.4); alerts have no such field."""
    return bool(_words(mail, "list-post") - {"", "no"})


def _subject(mail: Part) -> str:
    try:
        return subject_of(mail)
    except UnreadableMailError:  # the sender hears of it when the mail is read
        return ""
