"""What is kept of a recording that goes on, while its faults are judged."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.intervals import Interval
from tasks.faults.witness import REFERENCE_ROWS, Indicator, reference
from tasks.recordings.live import Window, joined, remembered
from tasks.telemetry.samples import Samples

NOTHING = Samples(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), 0, 0, 0)
NEED_S = 2.0 * REFERENCE_ROWS


def window(seconds: int) -> Window:
    """One series with a sample a second."""
    return Window(np.zeros(seconds, np.int32), np.arange(seconds, dtype=np.int64) * 1000, np.arange(seconds, dtype=np.float64))


def indicator(time_s: np.ndarray) -> Indicator:
    """A series whose value is its time, so that another reference is another number."""
    return Indicator("x", time_s, time_s.copy(), np.ones(len(time_s), bool), 1e-9)


def test_the_reference_of_a_second_long_fault_is_kept():
    """A minute of fault, and a quiet time that the first one's grace fills: the only fault-free rows are older than four minutes."""
    busy = [Interval(120, 304)]
    kept = joined(window(420), NOTHING, keep_s=240, spans=remembered(busy, 300.0, need_s=NEED_S, lead_s=6))

    assert kept.time_ms.min() == 84_000, "thirty seconds before the first fault, and what their rates read"
    assert reference(indicator(kept.time_ms / 1000.0), 300.0, busy) is not None


def test_a_fault_longer_than_the_window_is_judged_from_its_beginning():
    """What is younger than the request is kept, however long ago that was."""
    kept = joined(window(1000), NOTHING, keep_s=240, spans=remembered([], 300.0, need_s=NEED_S, lead_s=6))

    assert kept.time_ms.min() == 264_000
    assert len(kept.time_ms) == 1000 - 264


def test_what_nobody_reads_is_forgotten():
    """Between old fault-free time and the last minutes, the rows of earlier faults leave."""
    kept = joined(window(900), NOTHING, keep_s=240, spans=remembered([Interval(120, 799)], 800.0, need_s=NEED_S, lead_s=6))

    assert [int(kept.time_ms.min()), int(kept.time_ms.max())] == [85_000, 899_000]
    assert 500_000 not in kept.time_ms


def test_what_is_young_stands_in_for_rows_that_say_nothing():
    """A minute without samples just before a fault: by time alone no row of a reference would be left of what is known."""
    known = window(300)
    quiet = known.time_ms < 240_000
    gappy = Window(known.series[quiet], known.time_ms[quiet], known.value[quiet])
    spans = remembered([], 300.0, need_s=NEED_S, lead_s=2)
    found = {keep_s: joined(gappy, NOTHING, keep_s=keep_s, spans=spans) for keep_s in (0.0, 240.0)}
    references = {keep_s: reference(indicator(kept.time_ms / 1000.0), 300.0, []) for keep_s, kept in found.items()}

    assert references[0.0] is None
    assert references[240.0] == reference(indicator(gappy.time_ms / 1000.0), 300.0, [])


@given(
    faults=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 150)), min_size=1, max_size=8),
    begin=st.integers(5, 120),
)
def test_references_are_those_of_the_whole_recording(faults, begin):
    """Whatever is forgotten on the way, a fault's reference is the one that the finished recording gives."""
    busy: list[Interval] = []
    moment = float(begin)
    everything = window(begin + sum(quiet + long for quiet, long in faults) + 60)
    alive = Window(everything.series[:0], everything.time_ms[:0], everything.value[:0])
    seen = 0
    for quiet, long in faults:
        requested, now = moment, int(moment + long)
        fresh = slice(seen, now)
        chunk = Samples(everything.series[fresh], everything.time_ms[fresh], everything.value[fresh], 1, 0, 0)
        alive = joined(alive, chunk, keep_s=20, spans=remembered(busy, requested, need_s=NEED_S, lead_s=2))
        seen = now

        assert reference(indicator(alive.time_ms / 1000.0), requested, busy) == reference(
            indicator(everything.time_ms[:now] / 1000.0), requested, busy
        )
        busy.append(Interval(requested, requested + long))
        moment += long + quiet
