"""Options of keys: rates and what is stored of a key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import accounts as support

from sms_gateway.accounts import Rate, key_hash, new_key
from sms_gateway.store import Store, accounts

SECOND = 1_000_000  # in microseconds, as the limiter counts


@pytest.mark.parametrize("text", ["1/min", "20/s", "100/h", "1000/day"])
def test_a_rate_reads_as_it_is_written(text: str) -> None:
    assert str(Rate.parse(text)) == text


def test_none_is_no_limit() -> None:
    assert Rate.parse("none") is None


@pytest.mark.parametrize("text", ["", "0/s", "1", "1/year", "-1/s", "1.5/s", "1/s ", "12345678/s"])
def test_a_wrong_rate_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"1/min, 20/s"):
        Rate.parse(text)


def test_one_per_minute_admits_the_next_after_a_minute() -> None:
    rate = Rate.parse("1/min")
    assert rate is not None
    busy = rate.admit(0, 1_000 * SECOND, 1)
    assert busy is not None
    assert rate.admit(busy, 1_000 * SECOND + 1, 1) is None
    assert rate.admit(busy, 1_059 * SECOND, 1) is None
    assert rate.admit(busy, 1_060 * SECOND, 1) is not None


def test_four_messages_at_once_are_paid_for_by_the_following_minutes() -> None:
    rate = Rate(1, 60_000)
    busy = rate.admit(0, 1_000 * SECOND, 4)
    assert busy is not None
    assert rate.admit(busy, 1_239 * SECOND, 1) is None
    assert rate.admit(busy, 1_240 * SECOND, 1) is not None


@given(
    st.integers(1, 50),
    st.sampled_from([1_000, 60_000]),
    st.lists(st.integers(0, 3 * SECOND), max_size=200),
)
def test_no_period_admits_more_than_twice_the_count(
    count: int, period: int, gaps: list[int]
) -> None:
    # A full allowance may be used at the end of one period and earned anew within the next.
    rate, now, next_free, admitted = Rate(count, period), 10**12, 0, []
    for gap in gaps:
        now += gap
        charged = rate.admit(next_free, now, 1)
        if charged is not None:
            next_free = charged
            admitted.append(now)
    for start in admitted:
        within = [at for at in admitted if start <= at < start + period * 1_000]
        assert len(within) <= 2 * count


def test_keys_are_stored_hashed_only(store: Store) -> None:
    key, account = support.create(store)
    with store.read() as connection:
        assert accounts.by_key(connection, key_hash(key), 0) == account
        row = connection.exec_driver_sql("SELECT * FROM account").one()
    assert not any(key in str(value) for value in row)
    assert account.key_hint == key[-4:]


def test_a_changed_account_has_a_new_version(store: Store) -> None:
    _, before = support.create(store, rate=None, countries=frozenset({"BE", "FR"}))
    with store.write() as connection:
        assert accounts.change(connection, "acme", rate=Rate(2, 1_000), multi=True)
        assert not accounts.change(connection, "nobody", multi=True)
        after = accounts.by_name(connection, "acme")
    assert after is not None
    assert after.version == before.version + 1
    assert (after.rate, after.multi) == (Rate(2, 1_000), True)
    assert after.countries == frozenset({"BE", "FR"})


def test_new_keys_differ_and_are_plain_to_type() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.isalnum() and len(key) == 40 for key in keys)
