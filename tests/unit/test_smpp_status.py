"""What the numbers of SMPP 3.4 §5.1.3 mean."""

import pytest

from sms_gateway.smpp.status import STATUSES, Verdict, lookup


@pytest.mark.parametrize(
    ("number", "verdict", "shown"),
    [
        (0x00, Verdict.OK, "0x00000000 no error"),
        (0x58, Verdict.SLOW_DOWN, "0x00000058 throttling error"),
        (0x14, Verdict.FULL, "0x00000014 message queue full"),
        (0x08, Verdict.RETRY, "0x00000008 system error"),
        (0x45, Verdict.RETRY, "0x00000045 submit failed"),
        (0x0B, Verdict.REFUSED, "0x0000000b invalid destination address"),
        (0x0E, Verdict.LOCKED_OUT, "0x0000000e invalid password"),
        (0x4FF, Verdict.RETRY, "0x000004ff vendor-specific error"),
        (0x400, Verdict.RETRY, "0x00000400 vendor-specific error"),
        (0x500, Verdict.RETRY, "0x00000500 reserved status"),
        (0x09, Verdict.RETRY, "0x00000009 reserved status"),
        (0xFFFFFFFF, Verdict.RETRY, "0xffffffff reserved status"),
    ],
)
def test_a_status_says_what_to_do_and_names_itself(
    number: int, verdict: Verdict, shown: str
) -> None:
    status = lookup(number)
    assert (status.number, status.verdict, str(status)) == (number, verdict, shown)


def test_only_throttling_is_about_the_rate_of_the_bind_and_only_a_full_queue_may_be() -> None:
    # Vendors' own statuses say nothing about load that anybody could know.
    verdicts = {number: lookup(number).verdict for number in range(0x600)}
    assert [n for n, verdict in verdicts.items() if verdict is Verdict.SLOW_DOWN] == [0x58]
    assert [n for n, verdict in verdicts.items() if verdict is Verdict.FULL] == [0x14]


def test_only_zero_is_success() -> None:
    assert [s.number for s in STATUSES.values() if s.verdict is Verdict.OK] == [0]
    assert all(lookup(number).verdict is not Verdict.OK for number in range(1, 0x600))
