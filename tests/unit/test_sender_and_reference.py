"""What a request may say besides: who its message is from, and what its caller calls it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from click import UsageError
from sqlalchemy import select
from support import accounts as support
from support.accepting import BELGIAN, ITALIAN, NOW, change, rows

from sms_gateway.accept.gateway import Gateway
from sms_gateway.accounts import ANY_SENDER
from sms_gateway.backend import ID_KEY, Submission
from sms_gateway.callbacks.sender import told
from sms_gateway.cli.key_options import given
from sms_gateway.codes import Code
from sms_gateway.remote.batching import Call
from sms_gateway.routing.routes import Route, Routes, Senders
from sms_gateway.sms.ids import new_id
from sms_gateway.sms.message import State
from sms_gateway.store import Store, erase, events, history, tables

pytestmark = pytest.mark.encrypted_too

HELLO = Submission(BELGIAN, "hi", "")
LISTED = frozenset({"ACME", "8000", "32494000000"})
ANY = frozenset({ANY_SENDER})
FORM = "The sender is not up to 15 digits, or up to 11 letters and digits"
NOT_NAMED = "This key may not name this sender"


def stored(store: Store, id: str) -> tuple[str, str]:
    with store.read() as connection:
        found = history.of_message(connection, id)
    assert found is not None
    return found.sender, found.reference


@pytest.mark.parametrize(
    ("senders", "sender", "note"),
    [
        (None, "", None),
        (None, "ACME", NOT_NAMED),
        # Not even what it has by itself: who says so is let by a list.
        (None, "Own", NOT_NAMED),
        (LISTED, "", None),
        (LISTED, "ACME", None),
        (LISTED, "8000", None),
        (LISTED, "32494000000", None),
        (LISTED, "+32494000000", None),
        (LISTED, "acme", NOT_NAMED),
        (LISTED, "ACME2", NOT_NAMED),
        (LISTED, "8001", NOT_NAMED),
        (LISTED, ANY_SENDER, FORM),
        (ANY, "Anybody", None),
        (ANY, "A b.&_-9", None),
        (ANY, "123456789012345", None),
        (ANY, "1234567890123456", FORM),
        (ANY, "TwelveLetter", FORM),
        (ANY, "Zoë", FORM),
        (ANY, " 32494000000", FORM),
        (ANY, "32494000000 ", FORM),
        (ANY, "ACME\n", FORM),
        (ANY, "A,B", FORM),
        (ANY, "\x00", FORM),
        (ANY, "...", FORM),
        (ANY, "٣٢", FORM),
        (ANY, "\ud83d", FORM),
        (ANY, ANY_SENDER, FORM),
    ],
)
async def test_a_sender_is_taken_as_the_key_allows(
    gateway: Gateway,
    store: Store,
    senders: frozenset[str] | None,
    sender: str,
    note: str | None,
) -> None:
    key, _ = support.create(store, rate=None, sender="Own", senders=senders)
    submission = HELLO._replace(apikey=key, sender=sender)
    tried = await gateway.check(submission)
    reply = await gateway.sendsms(submission)
    assert (tried.error, tried.note) == (reply.error, reply.note)
    if note is not None:
        assert (reply.error, reply.note) == (Code.NOT_SENT, note)
        assert rows(store) == (0, 0, 0)
    else:
        assert reply.error is Code.SENT
        assert stored(store, reply.id) == (sender or "Own", "")


@pytest.mark.parametrize(
    ("shows", "sender", "code"),
    [
        (Senders.ANY, "ACME", Code.SENT),
        (Senders.ANY, "8000", Code.SENT),
        (Senders.NUMBER, "8000", Code.SENT),
        (Senders.NUMBER, "ACME", Code.NOT_SENT),
        (Senders.ALPHANUMERIC, "ACME", Code.SENT),
        (Senders.ALPHANUMERIC, "8000", Code.NOT_SENT),
        (Senders.OWN, "ACME", Code.NOT_SENT),
        # The route's own, which is shown whatever is asked for.
        (Senders.OWN, "7000", Code.SENT),
        (Senders.OWN, "", Code.SENT),
        (Senders.NUMBER, "", Code.SENT),
    ],
)
async def test_another_sender_than_was_asked_for_is_never_shown(
    store: Store, shows: Senders, sender: str, code: Code
) -> None:
    plain = Route(prefix="39", upstreams=("a",))
    route = replace(plain, prefix="32", senders=shows, sender="7000")
    gateway = Gateway(store, Routes([plain, route]), clock=lambda: NOW)
    await gateway.start()
    key, _ = support.create(store, rate=None, multi=True, sender="Own", senders=ANY)
    both = Submission(f"{ITALIAN},{BELGIAN}", "hi", key, sender=sender)
    reply = await gateway.sendsms(both)
    assert reply.error is code
    if code:
        assert reply.note == "This sender cannot be shown at this number"
        assert rows(store) == (0, 0, 0)
    await gateway.aclose()


@pytest.mark.parametrize(
    ("reference", "note"),
    [
        ("order 4711", ""),
        ("é😀 <&> \"'", ""),
        ("a" * 100, ""),
        ("😀" * 100, ""),
        (" ", ""),
        ("a" * 101, "The reference is longer than 100 characters"),
        *(
            (f"a{each}b", "The reference has a control character in it")
            for each in ("\x00", "\t", "\r", "\n", "\x1f", "\x7f", "\x85", "\ud83d", "\uffff")
        ),
    ],
)
async def test_a_reference_is_stored_and_told_or_refused(
    gateway: Gateway, store: Store, reference: str, note: str
) -> None:
    key, _ = support.create(store, rate=None)
    reply = await gateway.sendsms(HELLO._replace(apikey=key, reference=reference))
    assert reply.note == note
    if note:
        assert reply.error is Code.NOT_SENT
        assert rows(store) == (0, 0, 0)
        return
    assert stored(store, reply.id) == ("", reference)
    assert (await gateway.status(key, reply.id)).reference == reference


async def test_a_callback_tells_the_reference_until_it_is_erased(
    gateway: Gateway, store: Store
) -> None:
    key, account = support.create(store, rate=None)
    change(store, callback_url="https://example.com/", callback_secret="whsec_")
    reply = await gateway.sendsms(HELLO._replace(apikey=key, reference="order 4711"))
    with store.write() as connection:
        (id,) = connection.execute(select(tables.delivery.c.id)).scalars()
        events.add_changes(connection, {id: (State.DELIVERED, account.id)}, NOW)
        (due,) = events.claim(connection, now=NOW, lease=0, most=1)
        assert told(due)["data"]["reference"] == "order 4711"
        connection.execute(tables.delivery.update().values(state="delivered"))
        assert erase.erase_messages(connection, now=NOW, account_id=account.id)
        (due,) = events.claim(connection, now=NOW, lease=0, most=1)
        assert told(due)["data"]["reference"] == ""
    assert stored(store, reply.id) == ("", "")


@pytest.mark.parametrize("named", [False, True], ids=["key", "id"])
async def test_a_repeat_has_the_same_sender_and_reference(
    gateway: Gateway, store: Store, named: bool
) -> None:
    key, _ = support.create(store, rate=None, sender="Own", senders=LISTED)
    contents = [
        HELLO._replace(sender=sender, reference=reference)
        for sender in ("", "ACME", "8000")
        for reference in ("", "a", "b", "8000")
    ]
    for first in contents:
        once = ID_KEY + new_id(NOW) if named else f"once {first.sender}:{first.reference}"
        given: dict[str, Any] = {"apikey": key, "idempotency_key": once}
        accepted = await gateway.sendsms(first._replace(**given))
        assert accepted.error is Code.SENT
        for second in contents:
            reply = await gateway.sendsms(second._replace(**given))
            if second == first:
                assert reply == accepted
            else:
                assert reply.error is Code.NOT_SENT
    assert rows(store)[0] == len(contents)


@pytest.mark.parametrize("named", [False, True], ids=["key", "id"])
async def test_a_repeat_is_known_though_what_the_key_may_has_changed(
    gateway: Gateway, store: Store, named: bool
) -> None:
    key, _ = support.create(store, rate=None, sender="Own", senders=LISTED)
    keys = [ID_KEY + new_id(NOW) if named else f"once {n}" for n in range(2)]
    asked = Submission(BELGIAN, "hi", key, idempotency_key=keys[0], sender="ACME", reference="r")
    left = Submission(BELGIAN, "hi", key, idempotency_key=keys[1])
    first = [await gateway.sendsms(each) for each in (asked, left)]
    change(store, senders=None, sender="Other")
    assert [await gateway.sendsms(each) for each in (asked, left)] == first


@pytest.mark.parametrize(
    ("text", "senders"),
    [
        ("none", None),
        ("NONE", None),
        ("any", ANY),
        ("ACME", {"ACME"}),
        ("ACME,8000", {"ACME", "8000"}),
        (" The Shop , +32494000000 ", {"The Shop", "32494000000"}),
    ],
)
def test_the_option_of_a_key_is_read(text: str, senders: set[str] | None) -> None:
    assert options(text) == {"senders": senders}


@pytest.mark.parametrize(
    "text", ["", ",", "ACME,", "ACME,any", "none,ACME", "*", "Zoë", "TwelveLetter", "1" * 16, "A;B"]
)
def test_what_is_no_list_of_senders_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--senders"):
        options(text)


def options(senders: str) -> dict[str, object]:
    names = "multi rate countries sender test mail_senders mail_body mail_machines validity"
    others = dict.fromkeys(names.split())
    return given(senders=senders, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "more", [{}, {"sender": "ACME"}, {"reference": 'a "b"'}, {"sender": "1", "reference": "é"}]
)
def test_a_call_among_many_says_only_what_is_said(more: dict[str, Any]) -> None:
    call = Call(Submission("1", "m", "k", **more), "once", 0.0)
    told = json.loads(call.as_json())
    given = {"recipients": "1", "message": "m", "apikey": "k", "idempotency_key": "once"}
    assert {name: value for name, value in told.items() if value} == given | more
    assert more or told == given
