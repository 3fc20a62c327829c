"""The tables. Times are Unix milliseconds (UTC); docs/architecture.md tells what each is for."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
)

from .sealed import Sealed, bound_to

metadata = MetaData()

# SQLite numbers rows itself only where the column is its own 64-bit INTEGER.
_Serial = BigInteger().with_variant(Integer, "sqlite")

account = Table(
    "account",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("key_hash", LargeBinary(32), nullable=False, unique=True),
    Column("key_hint", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("multi", Boolean, nullable=False),
    Column("test", Boolean, nullable=False),
    # At most rate_count messages in rate_period milliseconds; NULL is no limit.
    Column("rate_count", Integer),
    Column("rate_period", Integer),
    # It was asked for by anybody who has a mail address: the settings of free keys hold for it.
    Column("free", Boolean, nullable=False, server_default=false()),
    # The most parts in a minute, a day and a month; NULL is no cap.
    Column("parts_per_minute", BigInteger),
    Column("parts_per_day", BigInteger),
    Column("parts_per_month", BigInteger),
    # Kinds of numbers that are open to it beside the usual ones, separated by commas.
    Column("kinds", Text),
    # ISO codes separated by commas; NULL is every country.
    Column("countries", Text),
    Column("sender", Text, nullable=False),
    # Who else a request may name, separated by commas, * for everybody; NULL is nobody.
    Column("senders", Text),
    # The local part of its e-mail address, digits.
    Column("mail_address", Text, nullable=False, unique=True),
    # Who may write to it, addresses or domains separated by commas; NULL is everybody.
    Column("mail_senders", Text),
    # Whether mails are taken with what they quote, and those of machines at all; NULL: where there
    # is a list of senders.
    Column("mail_whole", Boolean, nullable=False, server_default=false()),
    Column("mail_machines", Boolean),
    # Milliseconds that its messages are worth delivering; NULL leaves it to route and settings.
    Column("validity", BigInteger),
    # How many recipients have asked it to stop: the rows of `stop` that it has.
    Column("stops", Integer, nullable=False, server_default="0"),
    # Where its events are sent, and the whsec_… they are signed with; empty for nowhere.
    Column("callback_url", Text, nullable=False, server_default=""),
    Column("callback_secret", Text, nullable=False, server_default=""),
    # Since when its callback has failed without a success between; NULL while it works.
    Column("callback_failing_since", BigInteger),
    # Since when nothing is sent to it any more, and why.
    Column("callback_paused_at", BigInteger),
    Column("callback_paused_reason", Text, nullable=False, server_default=""),
    Column("version", Integer, nullable=False),
    # The state of the rate limiter, Unix microseconds.
    Column("next_free", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # When it was deleted. What messages refer to is this row, which says nothing of anybody.
    Column("deleted_at", BigInteger),
)

# The keys that a new one has taken the place of, while they are valid still.
old_key = Table(
    "old_key",
    metadata,
    Column("key_hash", LargeBinary(32), primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("key_hint", Text, nullable=False),
    Column("valid_until", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# One row per accepted request.
message = Table(
    "message",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("sender", Sealed("message.sender"), nullable=False),
    Column("text", Text, nullable=False, info=bound_to("id")),
    Column("encoding", Text, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    # What the caller calls it.
    Column("reference", Sealed("message.reference"), nullable=False, server_default=""),
    # When text and numbers were deleted; the row stays for the counts and for late receipts.
    Column("erased_at", BigInteger),
    # Ids grow with time: this is also the order of an account's history. With the last column those
    # that are erased are passed over without a look at their rows.
    Index("message_account", "account_id", "id", "erased_at"),
)

# One row per recipient: the queue entry and the outcome in one.
delivery = Table(
    "delivery",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("message_id", ForeignKey("message.id"), nullable=False, index=True),
    Column("recipient", Sealed("delivery.recipient"), nullable=False),
    # The prefix of its route.
    Column("route", Text, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("state", Text, nullable=False),
    # When it may be claimed.
    Column("due_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    # It may have been sent before without an answer (routes that resend what is uncertain).
    Column("possible_duplicate", Boolean, nullable=False),
    # The worker that holds it while it is being submitted.
    Column("claimed_by", BigInteger),
    # Where it was submitted last.
    Column("upstream", Text),
    # What shows, where numbers are encrypted, that this one is of this message (`sealed`).
    Column("binding", Text),
)

# A part that a carrier took, under the name by which its receipt will come.
part = Table(
    "part",
    metadata,
    Column("delivery_id", ForeignKey("delivery.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("upstream", Text, nullable=False),
    Column("smsc_key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Index("part_smsc_key", "upstream", "smsc_key"),
    sqlite_with_rowid=False,
)

# The journal of a delivery, for people: what happened when, and why.
step = Table(
    "step",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("delivery_id", ForeignKey("delivery.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    # The part it is about; 0 is the whole delivery.
    Column("part", Integer, nullable=False),
    Column("event", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

# Receipts that no part is known for yet: they came before the answer to their submit.
early_receipt = Table(
    "early_receipt",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("upstream", Text, nullable=False),
    Column("smsc_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("recipient", Sealed("early_receipt.recipient"), nullable=False),
    Column("error", Text, nullable=False),
    Column("done_at", BigInteger, nullable=False),
    Column("raw", Text, nullable=False, info=bound_to("upstream", "smsc_id", "received_at")),
    Column("received_at", BigInteger, nullable=False, index=True),
    # It has waited for longer than any answer takes, and is kept for people only.
    Column("given_up", Boolean, nullable=False),
)

# The dedicated numbers: what is sent to one is received by its account.
number = Table(
    "number",
    metadata,
    # Digits only: international without the plus sign, or a short code.
    Column("digits", Sealed("number.digits"), primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("assigned_at", BigInteger, nullable=False),
)

#: What the text of a received message is bound to where it is encrypted: its id may change.
RECEIVED = ("upstream", "sender", "recipient", "received_at")
#: The same of one of its parts.
PART = ("upstream", "sender", "recipient", "reference", "total", "number")

# Received messages (MO). Their ids grow in the order of their commits, so that a reader who asks
# for what came after an id misses nothing.
received = Table(
    "received",
    metadata,
    Column("id", _Serial, primary_key=True),
    # NULL when nobody has the number.
    Column("account_id", ForeignKey("account.id")),
    Column("upstream", Text, nullable=False),
    Column("sender", Sealed("received.sender"), nullable=False),
    Column("recipient", Sealed("received.recipient"), nullable=False),
    Column("text", Text, nullable=False, info=bound_to(*RECEIVED)),
    Column("received_at", BigInteger, nullable=False),
    Index("received_account", "account_id", "id"),
    # The place of a deleted message is never given to another, whom a reader would miss.
    sqlite_autoincrement=True,
)

# Parts of received messages whose other parts are still to come, and for a while those that were
# joined, by which a part that is offered again is known.
incoming_part = Table(
    "incoming_part",
    metadata,
    Column("upstream", Text, primary_key=True),
    Column("sender", Sealed("incoming_part.sender"), primary_key=True),
    Column("recipient", Sealed("incoming_part.recipient"), primary_key=True),
    Column("reference", Integer, primary_key=True),
    Column("total", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    # UTF-8 of `decode_part`: half a surrogate pair may stand in it.
    Column("text", LargeBinary, nullable=False, info=bound_to(*PART)),
    # When it was offered last.
    Column("received_at", BigInteger, nullable=False, index=True),
    # NULL while others are missing; a part that is offered again afterwards is received later.
    Column("joined_at", BigInteger),
    sqlite_with_rowid=False,
)

# Which accepted requests are to be answered again rather than accepted again.
idempotency = Table(
    "idempotency",
    metadata,
    # A digest of the account and the key that came with the request.
    Column("id", LargeBinary(32), primary_key=True, info=bound_to()),
    Column("content_hash", LargeBinary(32), nullable=False, info=bound_to("message_id")),
    Column("message_id", Text, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# The workers: a claim holds as long as its worker is alive, that is, keeps its row fresh.
worker = Table(
    "worker",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("alive_until", BigInteger, nullable=False),
    # The upstreams for which others stand in at this worker, separated by commas.
    Column("leaving", Text, nullable=False, server_default=""),
    # The number of a dead worker is never given to another, who would keep its claims alive.
    sqlite_autoincrement=True,
)

# Who has asked an account to stop: nothing more is accepted for this recipient.
stop = Table(
    "stop",
    metadata,
    Column("account_id", ForeignKey("account.id"), primary_key=True),
    Column("recipient", Sealed("stop.recipient"), primary_key=True),
    Column("stopped_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What is still to be told to accounts with a callback. What it tells is read from the rows it is
# about when it is sent, so that erased texts and numbers are not kept here.
event = Table(
    "event",
    metadata,
    # UUIDv7, the webhook-id.
    Column("id", Text, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("delivery_id", ForeignKey("delivery.id")),
    # What the delivery had become; empty for a received message.
    Column("state", Text, nullable=False),
    Column("received_id", ForeignKey("received.id")),
    Column("happened_at", BigInteger, nullable=False),
    # When it is sent next, or, while it is being sent, when another worker may. NULL: parked.
    Column("due_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    # How the last attempt failed.
    Column("failure", Text, nullable=False),
    Index("event_due", "due_at"),
)

# Who is signed in at the pages, by the digest of what their cookie says.
session = Table(
    "session",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# Who has asked for a free key: one row for each mail address, which is the queue entry of its mail
# as well.
key_request = Table(
    "key_request",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("address", Text, nullable=False, unique=True),
    # In which the mail is written.
    Column("language", Text, nullable=False),
    # Where it was asked from: a /24, or a /48 of IPv6.
    Column("network", Text, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    # The digest of what is in the link of the last mail.
    Column("token_hash", LargeBinary(32), unique=True),
    # When its mail is sent, or, while it is being sent, tried again; NULL: no mail is to be sent.
    Column("mail_due_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    # How the last attempt went wrong.
    Column("failure", Text, nullable=False),
    # When the key was handed out.
    Column("granted_at", BigInteger),
    Index("key_request_due", "mail_due_at"),
    Index("key_request_network", "network", "requested_at"),
)

# How many parts were accepted in a window, for what a cap counts by: `caps.Counts` and a name.
counter = Table(
    "counter",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    # When the window began.
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("parts", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# The caps that were reached in a window, and what they refused. Rows whose start is 0 have the sums
# of those that were swept.
cap_trip = Table(
    "cap_trip",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    # What the cap allowed.
    Column("parts", BigInteger, nullable=False),
    # Whose submission was refused first. It may be there no more.
    Column("account_id", BigInteger, nullable=False),
    # Submissions that were refused, and their parts.
    Column("refusals", BigInteger, nullable=False),
    Column("refused_parts", BigInteger, nullable=False),
    Column("tripped_at", BigInteger, nullable=False),
    # When an operator had it counted anew.
    Column("lifted_at", BigInteger),
    # When the operator is told next, or, while that is under way, when another worker may tell.
    # NULL: the operator knows.
    Column("due_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    # How the last attempt failed.
    Column("failure", Text, nullable=False),
    Index("cap_trip_due", "due_at"),
    sqlite_with_rowid=False,
)

# Who did what when. Triggers (migration 0008) let nobody change a row, and nobody delete one but
# for those that `audit_retention` names. No account is referred to, as the trail outlives it.
audit = Table(
    "audit",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("at", BigInteger, nullable=False),
    # An `Action`, and the `Face` by which it was done.
    Column("action", Text, nullable=False),
    Column("face", Text, nullable=False),
    # Who ran the command, and where the request came from; empty for what there was none of.
    Column("operator", Text, nullable=False),
    Column("network", Text, nullable=False),
    # Whom it concerns.
    Column("account_id", BigInteger),
    Column("account", Text, nullable=False),
    # JSON: an object of what else there is to tell.
    Column("facts", Text, nullable=False),
    Index("audit_account", "account_id", "id"),
    Index("audit_at", "at"),
    # The number of an entry that was removed is never given to another.
    sqlite_autoincrement=True,
)

# Until when entries of the trail may be deleted; it has a row only in the transaction that does so.
audit_retention = Table(
    "audit_retention",
    metadata,
    Column("before", BigInteger, primary_key=True, autoincrement=False),
)

# The keys by which values of this database are encrypted, and with which it can be read whole.
encryption_key = Table(
    "encryption_key",
    metadata,
    # Computed from the key, which it does not tell.
    Column("name", Text, primary_key=True),
    # A known text, encrypted by it.
    Column("check_value", Text, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
