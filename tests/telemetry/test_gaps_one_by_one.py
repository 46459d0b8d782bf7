"""Gaps found for all holes at once, and by looking at one hole after the other, as their definition reads: the same."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tasks.telemetry.gaps import Gap, gaps, missing_looks
from tests.telemetry.test_gaps import T0, looked_at

SLACK = 1.5
Looks = tuple[str, dict[str, str], list[float]]


def holes(moments: Iterable[float], interval_s: float, span: tuple[float, float]) -> list[tuple[float, float, int]]:
    """Where nobody looked for one and a half intervals, between two looks or at the edges of *span*."""
    edges = [span[0], *(one for one in sorted(moments) if span[0] <= one <= span[1]), span[1]]
    steps = list(pairwise(edges))
    found = []
    for place, (start, end) in enumerate(steps):
        if end - start >= SLACK * interval_s:
            at_edge = (place == 0) + (place == len(steps) - 1)
            found.append((start, end, max(1, round((end - start) / interval_s) - 1 + at_edge)))
    return found


def usual_s(pods: list[list[float]]) -> float | None:
    """Mean of the steps that are no holes."""
    steps = np.concatenate([np.diff(np.round(np.array(one) * 1000).astype(np.int64)) for one in pods])
    return float(np.mean(steps[steps < SLACK * np.median(steps)])) / 1000 if len(steps) else None


def alone(pods: list[list[float]], interval_s: float, span: tuple[float, float]) -> list[tuple[float, float, int]]:
    """Holes of each pod while it lived."""
    lives = [(one, max(span[0], one[0]), min(span[1], one[-1])) for one in pods if one]
    return [hole for one, begin, end in lives if begin < end for hole in holes(one, interval_s, (begin, end))]


def one_by_one(targets: dict[str, list[list[float]]], span: tuple[float, float]) -> tuple[tuple[Gap, ...], int]:
    """All gaps, and how many looks are missing."""
    together = {name: sorted({one for pod in pods for one in pod}) for name, pods in targets.items()}
    usual = {name: usual_s(pods) for name, pods in targets.items()}
    known = [value for value in usual.values() if value is not None]
    if not known:
        return (), 0
    shortest_s = min(known)
    due = {name: value or shortest_s for name, value in usual.items()}
    own = {name: holes(together[name], due[name], span) for name in targets}
    common = [
        one
        for one in holes({moment for moments in together.values() for moment in moments}, shortest_s, span)
        if all(
            any(
                abs(other[end] - one[end]) < due[name]
                for name in targets
                if SLACK * due[name] <= one[1] - one[0] + 1e-6
                for other in own[name]
            )
            for end in (0, 1)
        )
    ]
    found = [Gap(start, end, None, None, missing) for start, end, missing in common]
    lost = 0
    for name, pods in targets.items():
        interval_s, single = due[name], alone(pods, due[name], span)
        shared = [one for one in common if one[1] - one[0] >= SLACK * interval_s - 1e-6]
        for start, end, missing in own[name] + [one for one in single if len(pods) > 1 and one not in own[name]]:
            within = sum(one[2] for one in shared if start <= one[0] and one[1] <= end)
            left = missing - round(within * shortest_s / interval_s)
            if left > 0 and not any(abs(start - one[0]) < interval_s and abs(end - one[1]) < interval_s for one in shared):
                found.append(Gap(start, end, name, "service", left))
        if usual[name] is not None:
            nobody = [one for one in own[name] if not any(other[0] < one[1] and one[0] < other[1] for other in single)]
            lost += sum(missing for _, _, missing in (*single, *nobody))
    return tuple(sorted(found, key=lambda gap: (gap.start_s, gap.end_s, gap.target or "", gap.role or ""))), lost


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, list[list[float]]]:
    """A few targets of one to three pods, each with its schedule and life, and holes of all of them and of single ones."""
    stretch = st.tuples(st.integers(-20, 300), st.sampled_from([3, 8, 20, 60])).map(lambda one: (one[0], one[0] + one[1]))
    outages = draw(st.lists(stretch, max_size=3))
    targets = {}
    for number in range(draw(st.integers(1, 4))):
        interval_s, pods = draw(st.sampled_from([1.0, 2.0, 5.0, 7.5, 15.0])), []
        for _ in range(draw(st.integers(1, 3))):
            begin, end = draw(st.sampled_from([(0, 300), (0, 150), (100, 300), (140, 160)]))
            late_s = draw(st.integers(0, 999)) / 1000 * interval_s
            away = outages + draw(st.lists(stretch, max_size=2))
            shifts = draw(st.sampled_from([(0.0,), (0.0, 0.3), (-0.4, 0.4, 0.1)]))
            moments = [begin + late_s + place * interval_s for place in range(int((end - begin) / interval_s))]
            moments = [moment + shifts[place % len(shifts)] * interval_s for place, moment in enumerate(moments)]
            pods.append([round((T0 + at) * 1000) / 1000 for at in moments if not any(lo < at < hi for lo, hi in away)])
        targets[f"t{number}"] = pods
    return targets


@given(worlds(), st.sampled_from([(0, 300), (-30, 400), (50, 200)]))
@settings(deadline=None, max_examples=300)
def test_all_holes_at_once_are_what_they_are_one_by_one(targets: dict[str, list[list[float]]], edges: tuple[int, int]) -> None:
    """Whatever is missing, of whom, and however long the others' holes are."""
    looked: list[Looks] = [
        (name, {"pod": str(pod)}, [moment - T0 for moment in moments]) for name, pods in targets.items() for pod, moments in enumerate(pods)
    ]
    assume(any(moments for *_, moments in looked))
    series, samples = looked_at(*looked)
    span = (float(T0 + edges[0]), float(T0 + edges[1]))

    assert (gaps(series, samples, interval_s=None, span=span), missing_looks(series, samples, span=span)) == one_by_one(targets, span)
