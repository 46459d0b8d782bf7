"""From a folder of samples that was brought in from elsewhere to a recording that can be committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.base.clock import iso
from tasks.base.files import write_json
from tasks.base.intervals import Interval
from tasks.base.trials import Trial
from tasks.recordings.format import FORMAT
from tasks.recordings.labels import write_labels
from tasks.recordings.machine import clocks, loaded_versions
from tasks.telemetry.certificate import Certificate
from tasks.telemetry.gaps import gaps_json


@dataclass(frozen=True, slots=True)
class Imported:
    """What is known of it."""

    name: str
    role: str
    span: Interval
    source: Mapping[str, Any]
    """Where it came from: kind, address, selectors; nothing secret."""
    interval_s: float | None
    modules: Mapping[str, str]
    notes: tuple[str, ...] = ()


def write_imported(folder: Path, about: Imported, certificate: Certificate, trials: Sequence[Trial]) -> dict[str, Any]:
    """
    Write what makes *folder* a recording beside its samples; the facts of ``recording.json``.

    It is incomplete where the samples have a hole outside of the faults, as any other recording.
    """
    write_labels(folder, trials)
    write_json(folder / "gaps.json", gaps_json(certificate.gaps, interval_s=about.interval_s))
    write_json(folder / "degraded.json", [])
    notes = (*about.notes, *_notes(certificate))
    spans = [_disturbed(trial) for trial in trials]
    whole = all(any(span.covers(Interval(gap.start_s, gap.end_s)) for span in spans) for gap in certificate.gaps)
    facts = {
        "format": FORMAT,
        "name": about.name,
        "role": about.role,
        "status": "complete" if whole and certificate.samples else "incomplete",
        "start": iso(about.span.start_s),
        "end": iso(about.span.end_s),
        "length_s": round(about.span.length_s, 3),
        "planned_s": round(about.span.length_s, 3),
        "begun": clocks(),
        "seed": None,
        "interval_s": about.interval_s,
        "judged_by": None,
        "series": certificate.series,
        "samples": certificate.samples,
        "gaps": len(certificate.gaps),
        "degraded_s": None,
        "trials": len(trials),
        "certificate": certificate.to_json(),
        "edges": [],
        "machine": {},
        "versions": loaded_versions(),
        "recorded_by": dict(about.modules),
        "processes": {},
        "notes": list(notes),
        "imported": dict(about.source),
    }
    write_json(folder / "recording.json", facts)
    return facts


def _disturbed(trial: Trial) -> Interval:
    """From the moment a fault was asked for to the one from which all was well, or at least the fault was over."""
    windows = trial.windows
    ends = (windows.requested, windows.reverted, windows.back_to_normal)
    return Interval(windows.requested, max(end for end in ends if end is not None))


def _notes(certificate: Certificate) -> list[str]:
    found = []
    if not certificate.targets:
        found.append("no series `up` is among the samples, so nobody can say where they have holes")
    if certificate.left_out:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(certificate.left_out.items()))
        found.append(f"native histograms are not kept: {names}")
    if certificate.server and certificate.server.get("warnings"):
        found += [f"the server warned: {text} ({count} times)" for text, count in certificate.server["warnings"].items()]
    return found
