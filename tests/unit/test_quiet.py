"""Quiet hours: when a message may go, by whose clock."""

from datetime import UTC, datetime

import pytest

from sms_gateway.routing.quiet_hours import QuietHours

BELGIAN, AMERICAN, RUSSIAN = "+32494000000", "+12125550100", "+79161234567"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("hours", "zone", "number", "now", "until"),
    [
        # In Belgium it is two hours later in summer, and one in winter.
        ("21:00-08:00", "", BELGIAN, "2026-07-01T18:59", None),
        ("21:00-08:00", "", BELGIAN, "2026-07-01T19:00", "2026-07-02T06:00"),
        ("21:00-08:00", "", BELGIAN, "2026-07-02T05:59", "2026-07-02T06:00"),
        ("21:00-08:00", "", BELGIAN, "2026-07-02T06:00", None),
        ("21:00-08:00", "", BELGIAN, "2026-01-02T06:30", "2026-01-02T07:00"),
        # The night in which the clocks go forward.
        ("21:00-08:00", "", BELGIAN, "2026-03-28T20:30", "2026-03-29T06:00"),
        ("12:00-14:00", "", BELGIAN, "2026-07-01T10:00", "2026-07-01T12:00"),
        ("21:00-08:00", "Asia/Tokyo", BELGIAN, "2026-07-01T18:00", "2026-07-01T23:00"),
        # From New York to Honolulu: when it is morning everywhere.
        ("21:00-08:00", "", AMERICAN, "2026-07-01T02:30", "2026-07-01T18:00"),
        ("21:00-08:00", "", AMERICAN, "2026-07-01T20:30", None),
        # From Kaliningrad to Kamchatka it is never day everywhere.
        ("18:00-09:30", "", RUSSIAN, "2026-07-01T05:30", "2026-07-01T07:30"),
        # No country at all: by UTC.
        ("21:00-08:00", "", "+88212345678", "2026-07-01T22:00", "2026-07-02T08:00"),
    ],
)
def test_a_message_waits_for_the_end_of_the_hours(hours, zone, number, now, until) -> None:
    found = QuietHours.parse(hours, zone).until(number, at(now))
    assert found == (None if until is None else at(until))


@pytest.mark.parametrize("hours", ["", "21-8", "24:00-08:00", "21:00-21:00", "21:00-08:60"])
def test_what_are_no_hours_is_told(hours: str) -> None:
    with pytest.raises(ValueError, match="21:00-08:00"):
        QuietHours.parse(hours)


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "../etc/passwd", "/etc/passwd"])
def test_what_is_no_time_zone_is_told(zone: str) -> None:
    with pytest.raises(ValueError, match="a time zone is written"):
        QuietHours.parse("21:00-08:00", zone)
