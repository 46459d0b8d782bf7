"""How long to wait, and when to give up."""

from __future__ import annotations

import random

import pytest

from tasks.kube.patience import Patience, retry_after_s


def test_the_servers_own_waiting_time_is_kept():
    """Neither longer nor shorter; when it does not fit any more, nothing is waited for."""
    patience = Patience(30)

    assert [patience.wait_s(1, 0, 7.0), patience.wait_s(2, 22.9, 7.0), patience.wait_s(3, 23, 7.0)] == [7.0, 7.0, None]


def test_waits_grow_and_are_never_the_same():
    """So that a crowd does not come back at once; at most five seconds each."""
    waits = [Patience(1e9, random.Random(1)).wait_s(tries, 0, None) for tries in range(1, 12)]

    assert waits == [Patience(1e9, random.Random(1)).wait_s(tries, 0, None) for tries in range(1, 12)]
    assert all(0.5 * min(5, 0.1 * 2**n) <= wait <= min(5, 0.1 * 2**n) for n, wait in enumerate(waits))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3", 3.0), ("", None), ("soon", None), ("-1", None), ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)],
)
def test_a_retry_after_is_seconds_or_a_date(text, seconds):
    """A date that is over means now."""
    assert retry_after_s({"retry-after": text}, now_s=100.0) == seconds
