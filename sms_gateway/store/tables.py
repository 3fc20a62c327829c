"""Defines the tables. Times are Unix milliseconds (UTC). See docs/architecture.md."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    false,
)

from .sealed import Sealed, bound_to

metadata = MetaData()

#: The schema that this program needs: the newest in `migrations/versions`.
SCHEMA = "0016"

# SQLite numbers rows only in a column of the type INTEGER.
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
    # Handed out to a mail address: the settings of free keys apply.
    Column("free", Boolean, nullable=False, server_default=false()),
    # The most parts in a minute, a day and a month; NULL is no cap.
    Column("parts_per_minute", BigInteger),
    Column("parts_per_day", BigInteger),
    Column("parts_per_month", BigInteger),
    # Kinds of numbers that it may send to besides the usual ones, separated by commas.
    Column("kinds", Text),
    # ISO codes separated by commas; NULL is every country.
    Column("countries", Text),
    Column("sender", Text, nullable=False),
    # Other senders that a request may name, separated by commas, * for any; NULL is none.
    Column("senders", Text),
    # The local part of its e-mail address, digits.
    Column("mail_address", Text, nullable=False, unique=True),
    # Addresses or domains that may send mails to it, separated by commas; NULL is all.
    Column("mail_senders", Text),
    # Whether the quotes in a mail are sent too, and whether mails of machines are accepted (NULL:
    # only when there is a list of senders).
    Column("mail_whole", Boolean, nullable=False, server_default=false()),
    Column("mail_machines", Boolean),
    # The validity of its messages, milliseconds; NULL leaves it to route and settings.
    Column("validity", BigInteger),
    # How many recipients have asked it to stop: its number of rows in `stop`.
    Column("stops", Integer, nullable=False, server_default="0"),
    # The URL of its callback, and the whsec_… secret that signs the events; empty for none.
    Column("callback_url", Text, nullable=False, server_default=""),
    Column("callback_secret", Text, nullable=False, server_default=""),
    # Since when every attempt of its callback has failed; NULL while it works.
    Column("callback_failing_since", BigInteger),
    # Since when the callback is paused, and why.
    Column("callback_paused_at", BigInteger),
    Column("callback_paused_reason", Text, nullable=False, server_default=""),
    Column("version", Integer, nullable=False),
    # The state of the rate limiter, Unix microseconds.
    Column("next_free", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # When it was deleted. The row stays, emptied, as messages refer to it.
    Column("deleted_at", BigInteger),
)

# Keys that were replaced by a new one and are still valid.
old_key = Table(
    "old_key",
    metadata,
    Column("key_hash", LargeBinary(32), primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("key_hint", Text, nullable=False),
    Column("valid_until", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# The history is message, delivery, part and step. On PostgreSQL these are partitioned by time
# (`periods`), without foreign keys: the transactions that write and delete keep them together.

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
    # The name that the caller gave the message.
    Column("reference", Sealed("message.reference"), nullable=False, server_default=""),
    # How many relays it has passed.
    Column("hops", Integer, nullable=False, server_default="0"),
    # When text and numbers were deleted; the row stays for the counts and for late receipts.
    Column("erased_at", BigInteger),
    # Ids grow with time, so this is also the order of an account's history. The last column lets a
    # search skip erased messages without reading their rows.
    Index("message_account", "account_id", "id", "erased_at"),
)

# How many deliveries of deleted messages there were.
daily_count = Table(
    "daily_count",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    # The day of acceptance: days since 1970, UTC.
    Column("day", Integer, primary_key=True, autoincrement=False),
    # As in `delivery`; empty where it is not known.
    Column("country", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("deliveries", BigInteger, nullable=False),
    Column("parts", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# The partitions of the history in PostgreSQL (`periods`).
period = Table(
    "period",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    # Messages whose ids have times from `start_at` until before `end_at`.
    Column("start_at", BigInteger, nullable=False),
    Column("end_at", BigInteger, nullable=False),
    # Since when new deliveries get ids of this period; NULL before.
    Column("entered_at", BigInteger),
)

# One row per recipient: what was accepted, and the outcome. It is written when the message is
# accepted and changed by its outcome only: what changes meanwhile is in `queue` and `claim`.
delivery = Table(
    "delivery",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("message_id", ForeignKey("message.id"), nullable=False, index=True),
    Column("recipient", Sealed("delivery.recipient"), nullable=False),
    # The prefix of its route.
    Column("route", Text, nullable=False),
    Column("parts", Integer, nullable=False),
    # While it waits in `queue`, too, the state here is `submitting`, which the version before
    # leaves alone; `queue.STATE` is the state for people.
    Column("state", Text, nullable=False),
    # When its last attempt ended; before that, when it was due.
    Column("due_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    # Whether it may have been sent before without an answer (on routes that resend).
    Column("possible_duplicate", Boolean, nullable=False),
    # Written by the version before only: the worker that held it.
    Column("claimed_by", BigInteger),
    # The upstream that it was last submitted to.
    Column("upstream", Text),
    # A digest that proves that the encrypted recipient belongs to the message (`sealed`).
    Column("binding", Text),
    # The country of the recipient: ISO code, or 001. NULL where an older version accepted it.
    Column("country", Text),
)


def _attempted() -> tuple[Column[Any], ...]:
    """The columns that a delivery takes with it from the queue to a claim, and back."""
    return (
        Column("message_id", Text, nullable=False),
        Column("account_id", BigInteger, nullable=False),
        # The upstreams that may take it, in order (`Routes.lane`), or ASLEEP.
        Column("lane", Text, nullable=False),
        # The prefix of its route.
        Column("route", Text, nullable=False),
        # 0 is claimed before 1, 1 before 2.
        Column("priority", SmallInteger, nullable=False),
        Column("parts", Integer, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("possible_duplicate", Boolean, nullable=False),
        # The worker and the upstream of the last attempt.
        Column("claimed_by", BigInteger),
        Column("upstream", Text),
    )


# Deliveries that wait. Rows leave when they are claimed or end, so the table is as long as the
# backlog. No foreign keys: they would cost a look-up for each row, and rows live for seconds.
queue = Table(
    "queue",
    metadata,
    Column("delivery_id", BigInteger, primary_key=True, autoincrement=False),
    *_attempted(),
    # When it may be claimed.
    Column("due_at", BigInteger, nullable=False),
    # A claim goes from account to account of a lane, and in each from the first that is due.
    Index("queue_claim", "lane", "priority", "account_id", "due_at", "delivery_id"),
    Index("queue_expiring", "expires_at"),
)

# Deliveries that a worker is handing to a carrier: at most the windows of all upstreams.
claim = Table(
    "claim",
    metadata,
    Column("delivery_id", BigInteger, primary_key=True, autoincrement=False),
    *_attempted(),
)

# Deliveries that wait for the carrier's word: submitted ones for a receipt, until `expires_at`, and
# uncertain ones for an answer, without end (NEVER).
awaited = Table(
    "awaited",
    metadata,
    Column("delivery_id", BigInteger, primary_key=True, autoincrement=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

#: The `expires_at` of uncertain deliveries in `awaited`.
NEVER = 2**62

# What only one process does at a time: it holds the lease and prolongs it.
lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    # The number of a worker.
    Column("holder", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# A part that a carrier accepted, with the id that its receipt will have.
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
    # The number of the part; 0 for the whole delivery.
    Column("part", Integer, nullable=False),
    Column("event", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

# Receipts whose part is not known yet: they came before the answer to their submit.
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
    # Whether it has waited longer than any answer takes, and is kept for people only.
    Column("given_up", Boolean, nullable=False),
)

# The dedicated numbers: the account of a number receives the messages to it.
number = Table(
    "number",
    metadata,
    # Digits only: international without the plus sign, or a short code.
    Column("digits", Sealed("number.digits"), primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("assigned_at", BigInteger, nullable=False),
)

# Words by which accounts share a dedicated number: a message whose first word is one of these is
# that account's, any other the number's.
keyword = Table(
    "keyword",
    metadata,
    Column("digits", Sealed("keyword.digits"), primary_key=True),
    # As `stop_words.bare` leaves it.
    Column("word", Text, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("assigned_at", BigInteger, nullable=False),
)

#: The columns that the encrypted text of a received message is bound to: its id may change.
RECEIVED = ("upstream", "sender", "recipient", "received_at")
#: The columns that the encrypted text of a part is bound to.
PART = ("upstream", "sender", "recipient", "reference", "total", "number")

# Received messages (MO). Their ids grow in the order of their commits, so that a client that asks
# for the messages after an id misses none.
received = Table(
    "received",
    metadata,
    Column("id", _Serial, primary_key=True),
    # NULL when no account has the number.
    Column("account_id", ForeignKey("account.id")),
    Column("upstream", Text, nullable=False),
    Column("sender", Sealed("received.sender"), nullable=False),
    Column("recipient", Sealed("received.recipient"), nullable=False),
    Column("text", Text, nullable=False, info=bound_to(*RECEIVED)),
    Column("received_at", BigInteger, nullable=False),
    Index("received_account", "account_id", "id"),
    Index("received_sender", "sender"),
    # The id of a deleted message is never used again: a client would miss that message.
    sqlite_autoincrement=True,
)

# Parts of received messages that are incomplete. Joined parts stay for a while, so that a part that
# is offered again is recognised.
incoming_part = Table(
    "incoming_part",
    metadata,
    Column("upstream", Text, primary_key=True),
    Column("sender", Sealed("incoming_part.sender"), primary_key=True),
    Column("recipient", Sealed("incoming_part.recipient"), primary_key=True),
    Column("reference", Integer, primary_key=True),
    Column("total", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    # UTF-8 of `decode_part`, which may contain half a surrogate pair.
    Column("text", LargeBinary, nullable=False, info=bound_to(*PART)),
    # When it was last offered.
    Column("received_at", BigInteger, nullable=False, index=True),
    # NULL until joined. received_at is later when the part was offered again afterwards.
    Column("joined_at", BigInteger),
    sqlite_with_rowid=False,
)

# The replies to accepted requests, to answer repeats of them.
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

# The workers. A claim holds while its worker is alive, i.e. renews alive_until by heartbeats.
worker = Table(
    "worker",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("alive_until", BigInteger, nullable=False),
    # The upstreams that failed over to others at this worker, separated by commas.
    Column("leaving", Text, nullable=False, server_default=""),
    # The schema that its program was made for; empty before there was this column.
    Column("schema", Text, nullable=False, server_default=""),
    # The number of a dead worker is never used again: that would keep its claims alive.
    sqlite_autoincrement=True,
)

# What each worker holds of the limits of upstreams and routes, in units (`upstream.allotment`), and
# what it asked for. A row counts until `until`.
allotment = Table(
    "allotment",
    metadata,
    # "upstream" or "route" and its name.
    Column("scope", Text, primary_key=True),
    Column("worker", BigInteger, primary_key=True, autoincrement=False),
    # Whether its carrier takes messages from this worker.
    Column("ready", Boolean, nullable=False),
    Column("rate_held", Integer, nullable=False),
    Column("rate_wanted", Integer, nullable=False),
    Column("window_held", Integer, nullable=False),
    Column("window_wanted", Integer, nullable=False),
    # Parts per second: what the worker wrote last, and what throttling has taught it about the
    # upstream; NULL for nothing.
    Column("speed", Float, nullable=False),
    Column("ceiling", Float),
    Column("until", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Recipients who have asked an account to stop: no message to them is accepted.
stop = Table(
    "stop",
    metadata,
    Column("account_id", ForeignKey("account.id"), primary_key=True),
    Column("recipient", Sealed("stop.recipient"), primary_key=True),
    Column("stopped_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# The callback outbox. The content of an event is read from the rows that it is about when it is
# sent, so that erased texts and numbers do not stay here.
event = Table(
    "event",
    metadata,
    # UUIDv7, the webhook-id.
    Column("id", Text, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("delivery_id", ForeignKey("delivery.id")),
    # The new state of the delivery; empty for a received message.
    Column("state", Text, nullable=False),
    Column("received_id", ForeignKey("received.id")),
    Column("happened_at", BigInteger, nullable=False),
    # When it is next sent; while it is being sent, when another worker may claim it. NULL: parked.
    Column("due_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    # The reason why the last attempt failed.
    Column("failure", Text, nullable=False),
    Index("event_due", "due_at"),
    Index("event_delivery", "delivery_id"),
    Index("event_received", "received_id"),
)

# The sessions of the pages, by the digest of the token in the cookie.
session = Table(
    "session",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# The requests for free keys: one row for each mail address, which is also the queue entry of the
# mail to it.
key_request = Table(
    "key_request",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("address", Text, nullable=False, unique=True),
    # The language of the mail.
    Column("language", Text, nullable=False),
    # The network that the request came from: a /24, or a /48 of IPv6.
    Column("network", Text, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    # The digest of the token in the link of the last mail.
    Column("token_hash", LargeBinary(32), unique=True),
    # When its mail is next sent; while it is being sent, when it is tried again. NULL: no mail.
    Column("mail_due_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    # The reason why the last attempt failed.
    Column("failure", Text, nullable=False),
    # When the key was handed out.
    Column("granted_at", BigInteger),
    Index("key_request_due", "mail_due_at"),
    Index("key_request_network", "network", "requested_at"),
)

# How many parts were accepted in a window, by the scope of a cap: `caps.Counts` and a name.
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

# The caps that were reached in a window, and how much they refused. Rows with the start 0 have the
# sums of deleted rows.
cap_trip = Table(
    "cap_trip",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    # The parts that the cap allowed.
    Column("parts", BigInteger, nullable=False),
    # The account of the first refused submission. The account may be deleted.
    Column("account_id", BigInteger, nullable=False),
    # The number of refused submissions, and of their parts.
    Column("refusals", BigInteger, nullable=False),
    Column("refused_parts", BigInteger, nullable=False),
    Column("tripped_at", BigInteger, nullable=False),
    # When an operator set the counter to 0.
    Column("lifted_at", BigInteger),
    # When the operator is next notified; while that is under way, when another worker may claim
    # the notice. NULL: the operator was notified.
    Column("due_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    # The reason why the last attempt failed.
    Column("failure", Text, nullable=False),
    Index("cap_trip_due", "due_at"),
    sqlite_with_rowid=False,
)

# The audit trail: who did what when. Triggers (migration 0008) refuse changes to rows, and deletion
# of rows that `audit_retention` does not allow. No foreign key to account: the trail outlives it.
audit = Table(
    "audit",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("at", BigInteger, nullable=False),
    # An `Action`, and the `Face` that the request came in by.
    Column("action", Text, nullable=False),
    Column("face", Text, nullable=False),
    # The user and host that ran a command; the network of a request. Empty if there is none.
    Column("operator", Text, nullable=False),
    Column("network", Text, nullable=False),
    # The account that the action concerns.
    Column("account_id", BigInteger),
    Column("account", Text, nullable=False),
    # A JSON object with the details of the action.
    Column("facts", Text, nullable=False),
    Index("audit_account", "account_id", "id"),
    Index("audit_at", "at"),
    # The id of a removed entry is never used again.
    sqlite_autoincrement=True,
)

# Entries of the trail before this time may be deleted. Only the deleting transaction has a row.
audit_retention = Table(
    "audit_retention",
    metadata,
    Column("before", BigInteger, primary_key=True, autoincrement=False),
)

# The keys that values of this database are encrypted with; all are needed to read it.
encryption_key = Table(
    "encryption_key",
    metadata,
    # Computed from the key; does not reveal it.
    Column("name", Text, primary_key=True),
    # A known text, encrypted with the key.
    Column("check_value", Text, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
