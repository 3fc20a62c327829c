"""Free keys, the mails that confirm an address, and sessions: on both databases."""

from email.message import EmailMessage
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import update
from support.accounts import create
from support.clock import Clock

from sms_gateway.signup.confirmation_mails import Postman, Relay
from sms_gateway.signup.requests import (
    AGAIN_AFTER,
    LINK_LASTS,
    Asked,
    Signup,
    TooManyKeysError,
    normal_address,
    without_plus,
)
from sms_gateway.signup.sessions import LASTS, Sessions
from sms_gateway.store import Store, accounts, tables


class Post:
    """Stands at the end of the wire."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.failure: Exception | None = None

    def send(self, mail: EmailMessage) -> None:
        if self.failure is not None:
            raise self.failure
        self.mails.append(mail)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signup(store: Store, clock: Clock) -> Signup:
    return Signup(store, by_mail=True, clock=clock)


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def postman(store: Store, clock: Clock, post: Post) -> Postman:
    return Postman(
        store,
        cast(Relay, post),
        sender="SMS <sms@example.com>",
        public_url="https://sms.test",
        clock=clock,
    )


def ask(signup: Signup, address: str = "anna@example.com", language: str = "en") -> Asked:
    return signup.ask(address, language=language, network="198.51.100.0/24")


def token(mail: EmailMessage) -> str:
    return str(mail.get_content()).split("/apikey/confirm/")[1].split()[0]


def test_a_confirmed_address_has_its_key_once(store, signup, postman, post):
    assert ask(signup) is Asked.TAKEN
    assert postman.send_one()
    assert not postman.send_one()
    link = token(post.mails[0])
    assert signup.address_of(link) == "anna@example.com"
    key = signup.confirm(link)
    assert key is not None
    assert signup.confirm(link) is None
    found = Sessions(store).sign_in(key)
    assert isinstance(found, tuple)
    assert found[1].name == "anna@example.com"


def test_a_link_is_dead_after_a_day(signup, postman, post, clock):
    ask(signup)
    postman.send_one()
    clock.now += LINK_LASTS
    assert signup.address_of(token(post.mails[0])) is None
    assert signup.confirm(token(post.mails[0])) is None


def test_who_asks_again_at_once_gets_no_second_mail_and_after_an_hour_a_new_link(
    signup, postman, post, clock
):
    ask(signup)
    postman.send_one()
    ask(signup)
    assert not postman.send_one()
    clock.now += AGAIN_AFTER + 1
    ask(signup)
    assert postman.send_one()
    old, new = map(token, post.mails)
    assert signup.confirm(old) is None
    assert signup.confirm(new) is not None


def test_an_address_with_a_key_is_told_so_by_mail_only(store, signup, postman, post):
    create(store, "anna@example.com")
    assert ask(signup, language="fr") is Asked.TAKEN
    assert postman.send_one()
    assert post.mails[0]["Subject"] == "Vous avez déjà une clé API"
    assert "/confirm/" not in post.mails[0].get_content()


def test_a_mail_that_the_relay_does_not_take_is_sent_later(signup, postman, post, clock):
    ask(signup)
    post.failure = ConnectionRefusedError()
    assert postman.send_one()
    assert not postman.send_one()
    clock.pass_(seconds=30)
    post.failure = None
    assert postman.send_one()
    assert signup.confirm(token(post.mails[0])) is not None


def test_no_link_is_in_the_database(store, signup, postman, post, tmp_path: Path):
    ask(signup)
    postman.send_one()
    if store.is_sqlite:
        files = b"".join(file.read_bytes() for file in tmp_path.glob("sms.sqlite3*"))
        assert b"anna@example.com" in files
        assert token(post.mails[0]).encode() not in files


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" Anna@Example.COM ", "anna@example.com"),
        ("a+b@sub.example.org", "a+b@sub.example.org"),
        ("anna", None),
        ("anna@localhost", None),
        ("a b@example.com", None),
        ("anna@example.com\nBcc: x@example.com", None),
        ("anna@example.com, x@example.com", None),
        ("<anna@example.com>", None),
        ("a" * 65 + "@example.com", None),
        ("a@" + "x" * 260 + ".com", None),
        ("anna@exa..mple.com", None),
    ],
)
def test_addresses_are_read_strictly(text, address):
    assert normal_address(text) == address


def test_sessions_end_by_the_clock_by_sign_out_and_by_a_new_key(store, clock):
    sessions = Sessions(store, clock=clock)
    key, account = create(store)
    assert sessions.sign_in("nobody's") is None
    tokens = []
    for _ in range(3):
        found = sessions.sign_in(key)
        assert isinstance(found, tuple)
        tokens.append(found[0])
    sessions.sign_out(tokens[0])
    assert [sessions.account(each) is not None for each in tokens] == [False, True, True]
    new = sessions.rotate(account, 0)
    assert new is not None
    assert [sessions.account(each) for each in tokens] == [None] * 3
    assert sessions.sign_in(key) is None
    found = sessions.sign_in(new)
    assert isinstance(found, tuple)
    clock.now += LASTS
    assert sessions.account(found[0]) is None


def test_a_disabled_key_does_not_sign_in_and_ends_its_sessions(store, clock):
    sessions = Sessions(store, clock=clock)
    key, account = create(store)
    found = sessions.sign_in(key)
    assert isinstance(found, tuple)
    with store.write() as connection:
        accounts.change(connection, account.name, enabled=False)
    assert sessions.account(found[0]) is None
    refused = sessions.sign_in(key)
    assert refused is not None
    assert not isinstance(refused, tuple)


@pytest.mark.parametrize(
    ("address", "folded"),
    [
        ("anna+shop@example.com", "anna@example.com"),
        ("anna+a+b@example.com", "anna@example.com"),
        ("anna@example.com", "anna@example.com"),
        ("+anna@example.com", "+anna@example.com"),
        ("an.na@gmail.com", "an.na@gmail.com"),
    ],
)
def test_what_follows_a_plus_sign_is_left_out(address: str, folded: str) -> None:
    assert without_plus(address) == folded


def links(signup: Signup, postman: Postman, post: Post, *addresses: str) -> list[str]:
    for address in addresses:
        assert ask(signup, address) is Asked.TAKEN
        assert postman.send_one()
    return [token(mail) for mail in post.mails]


def test_plus_addresses_of_a_mailbox_have_one_free_key_together(store, signup, postman, post):
    first, second = links(signup, postman, post, "anna+1@example.com", "anna+2@example.com")
    assert signup.confirm(first) is not None
    assert signup.confirm(second) is None
    with store.read() as connection:
        (account,) = accounts.everyone(connection)
    assert (account.name, account.free, account.caps) == ("anna@example.com", True, ())
    ask(signup, "anna+3@example.com")
    assert postman.send_one()
    assert "/confirm/" not in post.mails[-1].get_content()


def test_a_key_of_a_plus_address_from_before_counts_and_no_other_address_is_taken_for_it(
    store, signup, postman, post
):
    create(store, "anna+old@example.com")
    create(store, "b_b+x@example.com")
    create(store, "anna+old@example.org")
    ours, like, other = links(
        signup, postman, post, "bob@example.com", "bxb@example.com", "ann@example.com"
    )
    assert all(signup.confirm(link) for link in (ours, like, other))
    ask(signup, "anna@example.com")
    assert postman.send_one()
    assert "/confirm/" not in post.mails[-1].get_content()


def test_plus_addresses_are_apart_where_the_operator_says_so(store, clock, post):
    signup = Signup(store, by_mail=True, fold_plus=False, clock=clock)
    postman = Postman(
        store, post, sender="a@b.example", public_url="https://s", fold_plus=False, clock=clock
    )
    both = links(signup, postman, post, "anna+1@example.com", "anna+2@example.com")
    assert all(signup.confirm(link) for link in both)


def test_a_network_gets_so_many_keys_a_day_and_not_one_more(store, clock, postman, post):
    signup = Signup(store, by_mail=True, keys_per_network=2, clock=clock)
    a, b, c = links(signup, postman, post, "a@x.example", "b@x.example", "c@x.example")
    assert signup.confirm(a)
    assert signup.confirm(b)
    with pytest.raises(TooManyKeysError):
        signup.confirm(c)
    assert ask(signup, "d@x.example") is Asked.TOO_OFTEN
    elsewhere = signup.ask("d@x.example", language="en", network="203.0.113.0/24")
    assert elsewhere is Asked.TAKEN
    with store.write() as connection:
        connection.execute(update(tables.counter).values(start=tables.counter.c.start - 86_400_000))
    assert signup.confirm(c)
