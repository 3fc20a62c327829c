"""A mail as a request to send an SMS: the subject is the numbers, the body the text."""

from dataclasses import dataclass

from .charset import unfolded
from .encrypted import refuse_armour
from .mime import Part, lines_of_mail
from .reply_text import Kind, reply_text, whole
from .subject import MAX_SUBJECT, Said, read_subject
from .unreadable import UnreadableMailError

#: Fields that a mail may have once (RFC 5322 §3.6) and that say who sends it and which mail it
#: answers. Given two different values, two readers may each believe another one.
_SINGLE = ("from", "message-id", "in-reply-to", "references")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """The parts of a mail that the backend gets."""

    recipients: str
    text: str
    #: Its Message-ID; empty when it has none.
    id: str


def read(mail: Part, *, body_as_it_is: bool = False) -> Mail:
    """Read a mail; raises UnreadableMailError. The backend checks numbers and text.

    `body_as_it_is` leaves quotes, signatures and footers in the text.
    """
    subject = read_subject(subject_of(mail))
    for name in _SINGLE:
        if len({value.strip() for value in mail.fields(name)}) > 1:
            raise UnreadableMailError(f"the mail has two {name} fields")
    lines = lines_of_mail(mail)
    text = whole(lines) if body_as_it_is else reply_text(lines, _kind(mail, subject.said))
    refuse_armour(text)
    return Mail(recipients=subject.recipients, text=text, id=mail.header("message-id").strip())


def subject_of(mail: Part) -> str:
    """The subject, decoded; raises UnreadableMailError."""
    subjects = list(mail.fields("subject"))
    if len(subjects) > 1:
        raise UnreadableMailError(
            "the mail has two subjects, and the numbers could be those of either"
        )
    return unfolded(subjects[0][:MAX_SUBJECT]) if subjects else ""


def _kind(mail: Part, said: Said) -> Kind:
    forward = said is Said.FORWARD
    answers = said is Said.ANSWER or any(map(mail.header, ("in-reply-to", "references")))
    return Kind(answer=answers and not forward, forward=forward)
