"""Free keys, the mails that confirm an address, and sessions: on both databases."""

from email.message import EmailMessage
from pathlib import Path
from typing import cast

import pytest
from support.accounts import create
from support.clock import Clock

from sms_gateway.signup.confirmation_mails import Postman, Relay
from sms_gateway.signup.requests import AGAIN_AFTER, LINK_LASTS, Asked, Signup, normal_address
from sms_gateway.signup.sessions import LASTS, Sessions
from sms_gateway.store import Store, accounts


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
    new = sessions.rotate(account)
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
