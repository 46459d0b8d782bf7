"""
From what happened to a collecting process to the causes of the holes in its data.

Holes are found in the samples alone (:mod:`tasks.telemetry.gaps`). What the process told meanwhile never makes or mends one: it
only says why, where it fits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tasks.telemetry.causes import API_SERVER, COLLECTOR, NO_ANSWER, PROMETHEUS, Cause
from tasks.telemetry.gaps import Gap

SHARE = 0.45
"""An outage explains a hole of which it is about half or more: between the last look and the first failed one lies an interval."""
BEGIN = {"api_down": API_SERVER, "server_down": PROMETHEUS, "rounds_late": COLLECTOR, "target_unheard": API_SERVER}
"""Events that begin an outage, and whose it is."""
END = {"api_up": "api_down", "server_up": "server_down", "rounds_kept": "rounds_late"}
END |= {"target_heard": "target_unheard", "target_gone": "target_unheard"}
"""Events that end one, and with which it began."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which all targets, or one, could not be looked at; a moment where it begins when it ends."""

    start_s: float
    end_s: float
    """Wall time, seconds since 1970; infinite: it never ended."""
    cause: Cause
    target: str | None = None
    """None: all."""

    def of(self, gap: Gap) -> float | None:
        """How many seconds of *gap* it explains; None: it is not its cause."""
        if self.target not in (None, gap.target):
            return None
        shared_s = min(self.end_s, gap.end_s) - max(self.start_s, gap.start_s)
        if self.start_s == self.end_s:
            return shared_s if shared_s == 0 and gap.target is None else None
        return shared_s if shared_s > 0 and shared_s >= SHARE * (gap.end_s - gap.start_s) else None


def outages(events: Iterable[Mapping[str, Any]], *, scraping: bool) -> tuple[Outage, ...]:
    """
    What kept a collecting process from looking.

    Args:
        events: Its own, in their order (``collector-events.jsonl``).
        scraping: Whether it scrapes itself. Where a server does, that its reader was away is made up for later, and no cause.
    """
    found: list[Outage] = []
    going: dict[tuple[str, str | None], Outage] = {}
    begun = False
    for event in events:
        kind, at_s, target = event["kind"], float(event.get("since_s", event["time_s"])), event.get("target")
        if kind == "started":
            found += [replace(one, end_s=at_s) for one in going.values()]
            found += [Outage(at_s, at_s, Cause.of(COLLECTOR, "started anew", ""))] if begun and scraping else []
            begun = True
            going.clear()
        elif kind == "stood_still" and scraping:
            found.append(Outage(at_s, at_s, Cause.of(COLLECTOR, "stood still", f"{event['missed_ticks']} ticks")))
        elif kind in BEGIN:
            going.setdefault((kind, target), Outage(at_s, math.inf, _cause(event), event.get("service")))
        elif kind in END and (one := going.pop((END[kind], target), None)) is not None:
            found.append(replace(one, end_s=max(one.start_s, at_s)))
    return (*found, *going.values())


def explained(gaps: Sequence[Gap], known: Sequence[Outage]) -> tuple[Gap, ...]:
    """*gaps* with the cause that explains the most of each, where there is one; of those alike the one told first."""
    return tuple(_explained(gap, known) for gap in gaps)


def _explained(gap: Gap, known: Sequence[Outage]) -> Gap:
    fitting = [(shared_s, one.cause) for one in known if (shared_s := one.of(gap)) is not None]
    return replace(gap, cause=max(fitting, key=lambda one: one[0])[1]) if fitting else gap


def _cause(event: Mapping[str, Any]) -> Cause:
    return Cause.of(BEGIN[event["kind"]], str(event.get("word") or NO_ANSWER), str(event.get("error") or ""))
