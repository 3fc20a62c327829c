"""How moments are written and read."""

from datetime import UTC, timedelta, timezone

import pytest

from sms_gateway.moments import iso, now, read_iso, utc


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_769_860_800_001, "2026-01-31T12:00:00.001Z"),
        (1_769_860_800_999, "2026-01-31T12:00:00.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_a_moment_is_written_and_read(milliseconds: int, written: str) -> None:
    assert iso(milliseconds) == written
    assert read_iso(written) == milliseconds
    assert iso(milliseconds, "seconds") == written[:19] + "Z"
    assert iso(milliseconds, sep=" ") == written.replace("T", " ")


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-01-31T12:00:00+01:00", 1_769_857_200_000),
        ("20260131T120000Z", 1_769_860_800_000),
        ("2026-01-31T12:00:00.0019Z", 1_769_860_800_001),
        ("2026-W05-6T12:00:00-00:30", 1_769_862_600_000),
    ],
)
def test_a_moment_is_read_however_iso_8601_writes_it(text: str, milliseconds: int) -> None:
    assert read_iso(text) == milliseconds


def test_a_time_without_a_zone_is_read_only_where_one_is_given() -> None:
    assert read_iso("2026-01-31", UTC) == 1_769_817_600_000
    assert read_iso("2026-01-31", timezone(timedelta(hours=1))) == 1_769_814_000_000
    with pytest.raises(ValueError, match="no zone"):
        read_iso("2026-01-31")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "10000-01-01T00:00:00Z", "12:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are Python's
        read_iso(text, UTC)


def test_what_is_beyond_iso_8601_has_no_date() -> None:
    with pytest.raises(OverflowError):
        iso(253_402_300_800_000)


def test_now_is_between_two_other_nows() -> None:
    before = utc(now())
    assert before <= utc(now())
