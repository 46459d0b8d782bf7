import pytest

from tasks.load.histogram import bucket_of
from tasks.load.tally import Result, Tally, result_of


@pytest.mark.parametrize(
    ("status", "result"),
    [(200, "ok"), (302, "ok"), (406, "declined"), (404, "failed"), (500, "failed"), (503, "failed"), (0, "failed")],
)
def test_how_a_request_ended(status, result):
    """Declines are those that the journey names; a transport error, a 5xx and any other 4xx are failures."""
    assert result_of(status, declined=(406,)) == result


def test_a_request_counts_in_its_second_with_both_latencies():
    """Own latency from the send, intended latency with the lag of its journey."""
    tally = Tally()
    tally.request(100, "GET /", Result.OK, own_s=0.01, lag_s=0.0)
    tally.request(100, "GET /", Result.FAILED, own_s=0.01, lag_s=2.0)

    [(second, count)] = list(tally.close(before=101))

    own = bucket_of(0.01)
    assert second == 100
    assert count.to_json()["endpoints"] == {"GET /": [2, 1, 0, [own], [2], [own, bucket_of(2.01)], [1, 1]]}


def test_closed_seconds_are_handed_out_once_and_in_order():
    """The second under way stays open."""
    tally = Tally()
    for second in (12, 10, 11):
        tally.started(second, lag_s=0.5, late_s=0.1)

    assert [second for second, _ in tally.close(before=12)] == [10, 11]
    assert [second for second, _ in tally.close(before=12)] == []
    assert [second for second, _ in tally.close(before=13)] == [12]
