"""VUS-PR by its published definition, row by row and threshold by threshold: slow, and written to be read."""

from __future__ import annotations

import math
from collections.abc import Sequence


def runs_of(labels: Sequence[int]) -> list[tuple[int, int]]:
    """Label runs, both ends included."""
    found, start = [], None
    for row, label in enumerate([*labels, 0]):
        if label and start is None:
            start = row
        if not label and start is not None:
            found.append((start, row - 1))
            start = None
    return found


def weights_of(labels: Sequence[int], window: int) -> list[float]:
    """The label 1, and in the buffers sqrt(1 - distance / window), added over runs and cut at 1."""
    weights = [float(label) for label in labels]
    for start, end in runs_of(labels):
        for distance in range(1, window // 2 + 1):
            for row in (start - distance, end + distance):
                if 0 <= row < len(labels):
                    weights[row] += math.sqrt(1 - distance / window)
    return [min(1.0, weight) for weight in weights]


def extended_runs(labels: Sequence[int], window: int) -> list[tuple[int, int]]:
    """Runs with their buffers; those that touch are one."""
    merged: list[tuple[int, int]] = []
    for start, end in runs_of(labels):
        first, last = max(0, start - window // 2), min(len(labels) - 1, end + window // 2)
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


def area(labels: Sequence[int], scores: Sequence[float], window: int, cuts: Sequence[float]) -> float:
    """The sum of recall steps times precision in one window."""
    weights, extended = weights_of(labels, window), extended_runs(labels, window)
    total, before = 0.0, 0.0
    for cut in cuts:
        predicted = [score >= cut for score in scores]
        hits = math.fsum(weight for weight, flag in zip(weights, predicted, strict=True) if flag)
        outside = math.fsum(w for w, flag, label in zip(weights, predicted, labels, strict=True) if flag and not label)
        positives = (sum(labels) + (sum(labels) + outside)) / 2
        existing = sum(any(predicted[first : last + 1]) for first, last in extended) / len(extended)
        recall = min(hits / positives, 1.0) * existing
        total += (recall - before) * hits / sum(predicted)
        before = recall
    return total


def plain_vus_pr(labels: Sequence[int], scores: Sequence[float], buffer: int, thresholds: int | None) -> float:
    """The mean area over windows 0 ... buffer; thresholds as the measured function takes them."""
    falling = sorted(scores, reverse=True)
    if thresholds is None:
        cuts = sorted(set(scores), reverse=True)
    elif thresholds == 1:
        cuts = [falling[0]]
    else:
        step = (len(scores) - 1) / (thresholds - 1)
        cuts = [falling[int(i * step) if i < thresholds - 1 else len(scores) - 1] for i in range(thresholds)]
    return math.fsum(area(labels, scores, window, cuts) for window in range(buffer + 1)) / (buffer + 1)
