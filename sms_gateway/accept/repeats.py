"""Recognises repeats by their idempotency key, and answers them with the first reply."""

import hashlib
import re

from sqlalchemy import Connection

from ..accounts import Account
from ..backend import ID_KEY, Reply, Submission
from ..codes import Code
from ..sms.address import AddressError, TooManyNumbersError, parse_recipients
from ..sms.segments import plain
from ..store import intake

_NAME = re.compile(ID_KEY + "([0-9a-f]{12})(7[0-9a-f]{3}[89ab][0-9a-f]{15})")

_ANOTHER = Reply(Code.NOT_SENT, note="This idempotency key was used before for another message")


def name_of(idempotency_key: str, now: int) -> str:
    """The message id in an idempotency key `sendsmsnow-<id>`; empty when there is none.

    An id contains its time. If that is more than a day from `now`, the key counts as one without an
    id: old messages are found and erased by the time in their ids.
    """
    named = _NAME.fullmatch(idempotency_key)
    if named is None or abs(int(named[1], 16) - now) > intake.REMEMBERED:
        return ""
    return named[1] + named[2]


def own_name(
    connection: Connection, account: Account, name: str, named: dict[str, intake.Content]
) -> str:
    """The id for a message of this account that names the id `name`.

    It is `name`, unless a message of another account has that id. Then it is computed from the
    account and the name, so that each repeat gets the same id.

    So an account that guesses the id of another's message learns nothing: its own message is
    accepted as under any other id, and no two messages have the same id. `named`: the contents of
    the messages with such ids; this adds those that it reads.
    """
    while name in named and named[name].account_id != account.id:
        digest = hashlib.sha256(f"{account.id} {name}".encode()).hexdigest()
        # RFC 9562, section 5.7: the time, the version and the variant stay.
        name = f"{name[:13]}{digest[:3]}{name[16]}{digest[3:18]}"
        if name not in named:
            named |= intake.accepted_as(connection, [name])
    return name


def repeat_of(account: Account, submission: Submission, message: str) -> tuple[bytes, bytes]:
    """The digests of a submission's idempotency key, and of its content with this text."""
    recipients = submission.recipients
    content = f"{len(recipients)}:{recipients}{message}"
    if submission.sender or submission.reference:
        # No other content begins like this.
        more = f"{submission.sender}:{len(submission.reference)}:{submission.reference}"
        content = f"from {len(submission.sender)}:{more}{content}"
    content_hash = intake.digest(content)
    return intake.repeat_id(account.id, submission.idempotency_key), content_hash


def reply_again(first: intake.Accepted, content_hash: bytes) -> Reply:
    """The first reply once more; a refusal if the content differs from the first."""
    if first.content_hash != content_hash:
        return _ANOTHER
    return Reply(Code.SENT, sent=first.sent, id=first.message_id)


def reply_again_named(
    account: Account, name: str, first: intake.Content, content: intake.Content
) -> Reply:
    """As `reply_again`, for a key that contains the id of its message."""
    first = first._replace(sender=asked_sender(account, first.sender))
    if not first.is_repeated_by(content._replace(sender=asked_sender(account, content.sender))):
        return _ANOTHER
    return Reply(Code.SENT, sent=len(first.recipients), id=name)


def asked_sender(account: Account, sender: str) -> str:
    """The sender that a request must have named to get this one; empty for the key's own sender,
    which may have changed meanwhile."""
    return sender if sender != account.sender and account.may_show(sender) else ""


def before(
    connection: Connection, account: Account, submission: Submission, region: str | None, now: int
) -> Reply | None:
    """The first reply, if this repeats an accepted request. `now`: Unix milliseconds."""
    message = plain(submission.message)
    if not (name := name_of(submission.idempotency_key, now)):
        key, content_hash = repeat_of(account, submission, message)
        first = intake.accepted_before(connection, [key], now).get(key)
        return None if first is None else reply_again(first, content_hash)
    accepted = intake.accepted_as(connection, [name])
    name = own_name(connection, account, name, accepted)
    named = accepted.get(name)
    if named is None:
        return None
    try:
        addresses = parse_recipients(submission.recipients, region)
    except (AddressError, TooManyNumbersError):
        return _ANOTHER
    numbers = tuple([address.number for address in addresses])
    sender = submission.sender or account.sender
    content = intake.Content(account.id, message, numbers, sender, submission.reference)
    return reply_again_named(account, name, named, content)
