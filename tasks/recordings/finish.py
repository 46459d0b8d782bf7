"""From the folder of a recording that has ended to one that can be committed: ledgers, labels, facts."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.base.clock import iso
from tasks.base.files import read_json, write_json
from tasks.base.intervals import Interval
from tasks.base.trials import Trial
from tasks.features.build import build_from
from tasks.features.config import FeaturesConfig
from tasks.features.matrix import Matrix
from tasks.load.fidelity import Machine
from tasks.load.history import LoadHistory, finish, read_history
from tasks.recordings.format import FORMAT
from tasks.telemetry.certificate import Certificate, certify
from tasks.telemetry.gaps import Gap, gaps_json
from tasks.telemetry.kube.beside import EVENTS
from tasks.telemetry.kube.certified import certified as certified_in_cluster
from tasks.telemetry.kube.state import KUBERNETES
from tasks.telemetry.outages import explained, outages
from tasks.telemetry.prometheus.certified import certified
from tasks.telemetry.prometheus.writer import counted
from tasks.telemetry.samples import Samples, read_samples, read_series
from tasks.telemetry.series import Series


@dataclass(frozen=True, slots=True)
class Taken:
    """What was measured, read back and verified."""

    span: Interval
    interval_s: float
    series: tuple[Series, ...]
    samples: Samples
    history: LoadHistory
    certificate: Certificate
    features: FeaturesConfig

    def matrix(self) -> Matrix:
        """The recording on the judging grid."""
        return build_from(self.series, self.samples, self.features, start_s=self.span.start_s, end_s=self.span.end_s)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Holes in the samples."""
        return self.certificate.gaps


def read_back(folder: Path, span: Interval, interval_s: float, features: FeaturesConfig, *, alone: bool = True) -> Taken:
    """
    Merge the load's logs, then read everything that was written, verified.

    *alone* says that the experiment has this machine for itself: targets are scraped at one interval, and whatever else works there
    disturbs it. In a cluster each target has an interval of its own, and others are at home.

    Raises:
        StorageError: Something on disk is not what was written.
    """
    series, samples = read_series(folder), read_samples(folder)
    certificate = certificate_of(folder, series, samples, interval_s if alone else None, (span.start_s, span.end_s))
    finish(folder / "load")
    generator = read_history(folder / "load")
    finish(folder / "load", machine=machine_of(folder, series, samples, features, generator) if alone else None)
    return Taken(span, interval_s, series, samples, read_history(folder / "load"), certificate, features)


def certificate_of(
    folder: Path, series: Sequence[Series], samples: Samples, interval_s: float | None, span: tuple[float, float]
) -> Certificate:
    """
    By the planned interval where we scraped ourselves; by what a server did, or each target in a cluster, where it was not us.

    The collecting process told why there are gaps; one that watched beside it, why its own looks are missing.
    """
    path = folder / "collector.json"
    said = read_json(path) if path.exists() else {}
    if "kubelet" in said:
        made = certified_in_cluster(series, samples, span=span, rounds=said["kubelet"].get("rounds"))
    elif "server" in said:
        made = certified(counted(folder), span=span, server=said["server"])
    else:
        made = certify(series, samples, interval_s=interval_s, span=span)
    known = outages(read_events(folder / "collector-events.jsonl"), scraping="server" not in said)
    beside = [replace(one, target=KUBERNETES) for one in outages(read_events(folder / EVENTS), scraping=True)]
    return replace(made, gaps=explained(made.gaps, [*known, *beside]))


def machine_of(folder: Path, series: Sequence[Series], samples: Samples, features: FeaturesConfig, generator: LoadHistory) -> Machine:
    """
    What the machine did in each second of the load: steal, the load of processes that are not part of the experiment, clock jumps.

    The other load is the machine's busy share less that of the services, the harness (supervisor, proxy, guards) and the load
    generator; the collector and the recorder itself stay in it, and are small. Shares are of the whole machine.
    """
    seconds = generator.second
    matrix = build_from(series, samples, features, start_s=float(seconds[0]) + 1.0, end_s=float(seconds[-1]) + 1.0)
    ours = np.nansum(
        [_by_second(matrix, name, seconds) for name in matrix.names if name.endswith("/cpu_cores") and name[:5] != "node/"], axis=0
    )
    harness = harness_cores(series, samples, seconds.astype(np.float64) + 1.0, features.rate_window_s)
    busy = _by_second(matrix, "node/cpu_cores", seconds)
    recent = np.convolve(generator.generator_cpu_ratio, np.ones(5) / 5)[: len(seconds)]
    jumps = np.zeros(len(seconds))
    for event in read_events(folder / "collector-events.jsonl"):
        place = int(event["time_s"]) - int(seconds[0])
        if event["kind"] == "clock_jump" and 0 <= place < len(seconds):
            jumps[place] = abs(float(event["by_s"]))
    other = np.maximum(0.0, busy - ours - harness - recent) / processors()
    return Machine(
        second=seconds, steal_ratio=_by_second(matrix, "node/cpu_steal_ratio", seconds), other_load_ratio=other, clock_jump_s=jumps
    )


def processors() -> int:
    """Cores of the machine, as its accounting counts them."""
    return os.cpu_count() or 1


def harness_cores(series: Sequence[Series], samples: Samples, at_s: NDArray[np.float64], window_s: float) -> NDArray[np.float64]:
    """Cores that the harness's own processes used over *window_s* before each moment of *at_s*; 0 where nothing is known."""
    total = np.zeros(len(at_s))
    for one in series:
        if one.role != "harness" or one.name != "harness_cpu_seconds_total":
            continue
        first, last = np.searchsorted(samples.series, [one.id, one.id + 1])
        times, values = samples.time_ms[first:last] / 1000, samples.value[first:last]
        if len(times) > 1:
            grown = np.interp(at_s, times, values) - np.interp(at_s - window_s, times, values)
            total += np.maximum(0.0, grown) / window_s
    return total


def _by_second(matrix: Matrix, name: str, seconds: NDArray[np.int64]) -> NDArray[np.float64]:
    """The column around the end of each second; NaN where it is not known."""
    values = np.full(len(seconds), np.nan)
    if matrix.has(name):
        place = np.rint(matrix.time_s - matrix.step_s / 2 - 1.0).astype(np.int64) - seconds[0]
        inside = (place >= 0) & (place < len(seconds))
        values[place[inside]] = matrix.column(name)[inside]
    return values


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events in a JSON-lines file, without a torn last line; none when there is no file."""
    found = []
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def complete(gaps: Sequence[Gap], trials: Sequence[Trial], grace_s: float, ended_early: bool) -> bool:
    """Whether the planned span was recorded to its end and every gap lies inside [requested, back to normal + grace] of a fault."""
    spans = [
        Interval(trial.windows.requested, trial.windows.back_to_normal + grace_s)
        for trial in trials
        if trial.windows.back_to_normal is not None and trial.windows.back_to_normal >= trial.windows.requested
    ]
    return not ended_early and all(any(span.covers(Interval(gap.start_s, gap.end_s)) for span in spans) for gap in gaps)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is written down beside the data."""

    name: str
    role: str
    seed: int
    planned_s: float
    edges: Sequence[tuple[str, str]]
    begun: dict[str, float]
    machine: dict[str, Any]
    versions: dict[str, str]
    modules: dict[str, str]
    processes: dict[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


def write_ledgers(folder: Path, taken: Taken, trials: Sequence[Trial], about: Circumstances, *, whole: bool) -> dict[str, Any]:
    """
    Write ``gaps.json``, ``degraded.json`` and ``recording.json``; the facts of the latter.

    Samples before the span (warm-up) and after it stay in the folder; the span says what counts.
    """
    degraded = [
        {"second": int(second), "reasons": list(reasons)}
        for second, reasons in zip(taken.history.second, taken.history.reasons, strict=True)
        if reasons and int(second) + 1 >= taken.span.start_s and second <= taken.span.end_s
    ]
    write_json(folder / "gaps.json", gaps_json(taken.gaps, interval_s=taken.interval_s))
    write_json(folder / "degraded.json", degraded)
    facts = {
        "format": FORMAT,
        "name": about.name,
        "role": about.role,
        "status": "complete" if whole else "incomplete",
        "start": iso(taken.span.start_s),
        "end": iso(taken.span.end_s),
        "length_s": round(taken.span.length_s, 3),
        "planned_s": about.planned_s,
        "begun": about.begun,
        "seed": about.seed,
        "interval_s": taken.interval_s,
        "judged_by": taken.features.model_dump(mode="json"),
        "series": len(taken.series),
        "samples": len(taken.samples.value),
        "gaps": len(taken.gaps),
        "degraded_s": len(degraded),
        "trials": len(trials),
        "certificate": taken.certificate.to_json(),
        "edges": [list(edge) for edge in about.edges],
        "machine": about.machine,
        "versions": about.versions,
        "recorded_by": about.modules,
        "processes": about.processes,
        "notes": list(about.notes),
    }
    write_json(folder / "recording.json", facts)
    return facts


def keep_outputs(folder: Path, state_dir: Path) -> None:
    """Move the services' output and the deployment's events into the recording; drop what only the run itself needed."""
    if (state_dir / "logs").is_dir():
        shutil.copytree(state_dir / "logs", folder / "logs", dirs_exist_ok=True)
    for name in ("events.jsonl", "supervisor.log"):
        if (state_dir / name).is_file():
            shutil.copy2(state_dir / name, folder / name)
    if (state_dir / "journal" / "faults.jsonl").is_file():
        shutil.copy2(state_dir / "journal" / "faults.jsonl", folder / "journal.jsonl")


def drop_scaffolding(folder: Path) -> None:
    """Remove what the tables hold already and what only the processes themselves needed."""
    for pattern in ("load/raw-*.jsonl", "load/generator-*.json", "collector-config.json", "collector.json", "collector.lock"):
        for path in folder.glob(pattern):
            path.unlink()


def last_moment(folder: Path) -> float:
    """Time of the newest sample, seconds since 1970."""
    samples = read_samples(folder)
    return float(samples.time_ms.max()) / 1000 if len(samples.time_ms) else 0.0
