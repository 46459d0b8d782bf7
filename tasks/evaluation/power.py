"""What a number of events can and cannot show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tasks.evaluation.intervals import LEVEL, Bounds, clopper_pearson
from tasks.evaluation.result import DetectorResult


@dataclass(frozen=True, slots=True)
class Power:
    """The strength of a table of detectors."""

    impact_events: int
    best_detected: float | None
    """Detections of the best detector; None without a detector."""
    interval: Bounds | None
    """Exact 95 % interval of the best recall; None without events."""
    detectors: int
    events_to_differ: int
    """Fewest events that one detector must find and another miss, with none the other way, to rank the two."""

    @property
    def can_rank(self) -> bool:
        """Whether there are events enough for any two detectors to be ranked."""
        return self.impact_events >= self.events_to_differ

    @property
    def line(self) -> str:
        """The sentence printed under a table."""
        events = f"{self.impact_events} impact event{'' if self.impact_events == 1 else 's'}"
        verdict = (
            f"this run can rank two detectors only if one finds {self.events_to_differ} more events than the other"
            if self.can_rank
            else "this run cannot rank detectors"
        )
        if self.interval is None or self.best_detected is None:
            return f"{events}; recall is undefined; {verdict}"
        found = f"{self.best_detected:g}/{self.impact_events}"
        return f"{events}; recall {found} has interval {_plain(self.interval.low)}-{_plain(self.interval.high)}; {verdict}"

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the fields, with the line."""
        return {**asdict(self), "can_rank": self.can_rank, "line": self.line}


def apart(results: Sequence[DetectorResult]) -> list[str]:
    """The recall of events that fell into degraded seconds beside that of the others; nothing when there are none."""
    judged = [row for row in results if row.detections and row.family != "floor"]
    bad = {detection.trial for row in judged for detection in row.detections if detection.degraded}
    if not bad:
        return []
    counts = []
    for row in judged:
        inside = [detection.detected for detection in row.detections if detection.trial in bad]
        outside = [detection.detected for detection in row.detections if detection.trial not in bad]
        counts.append(f"{row.name} {sum(inside)}/{len(inside)} there and {sum(outside)}/{len(outside)} elsewhere")
    events = f"{len(bad)} impact event{'' if len(bad) == 1 else 's'} fell into degraded seconds"
    return [f"{events} (load generator, telemetry or machine fell short): {', '.join(counts)}"]


def power(results: Sequence[DetectorResult]) -> Power:
    """
    The strength of *results*, floors left out.

    Two detectors on the same events are compared by the exact sign test on the events that only one of them found (McNemar,
    1947); d such events, all one way, give p = 2 / 2^d, which must be at most .05 over the number of pairs (Bonferroni, the
    first step of Holm).
    """
    compared = [result for result in results if result.family != "floor" and result.events_detected is not None]
    events = max((result.impact_events for result in results), default=0)
    best = max((result.events_detected for result in compared if result.events_detected is not None), default=None)
    pairs = max(1, len(compared) * (len(compared) - 1) // 2)
    needed = 1
    while 2.0 ** (1 - needed) > LEVEL / pairs:
        needed += 1
    return Power(events, best, None if best is None else clopper_pearson(best, events), len(compared), needed)


def _plain(share: float) -> str:
    """Two decimals, without a leading zero."""
    text = f"{share:.2f}"
    return text[1:] if text.startswith("0") else text
