"""The timeline as text: one line of load and one of faults for each recording, and a list of the trials."""

from flows.document import Experiment
from flows.timeline import PlannedRecording, Timeline
from tasks.cluster.config import KubernetesSettings
from tasks.cluster.kube.needs import opted_in
from tasks.faults.schedule import PlannedTrial
from tasks.load.journey import shipped_folders
from tasks.load.shapes import Curve, curve_of

WIDTH = 72
BARS = " ▁▂▃▄▅▆▇█"


def drawn(document: Experiment, made: Timeline) -> str:
    """The whole plan."""
    place = f"{len(made.recordings)} recordings on {document.cluster.provider}" if made.recordings else "nothing is recorded"
    lines = [f"{document.name}: seed {document.seed}, {place}", ""]
    lines += [f"{entry.name} ({entry.role}): imported, {entry.imported}" for entry in document.recordings if entry.imported is not None]
    lines += [""] if document.imported else []
    for one in made.recordings:
        lines += [*_recording(one, curve_of(document.traffic().users, shipped_folders())), ""]
    total = f"{made.samples:,} samples, about {made.disk_bytes / 1e6:,.0f} MB"
    lines += [f"opted in: {text}" for text in opted_in(document.cluster)] if isinstance(document.cluster, KubernetesSettings) else []
    lines.append(f"ETA {minutes(made.eta_s)}; {total}; an alarm counts until {made.grace_s:g} s after a revert")
    return "\n".join(lines)


def _recording(one: PlannedRecording, curve: Curve) -> list[str]:
    step = one.length_s / WIDTH
    when = f"starts at {minutes(one.start_s)}, lasts {minutes(one.length_s)}, warm-up {one.warmup_s:g} s"
    lines = [
        f"{one.name} ({one.role}): {when}, {one.journeys:,.0f} journeys, at most {one.users_peak:g} users",
        f"  load   |{_bars(curve, one, step)}|",
    ]
    if one.trials:
        benign = ", b benign change" if any(trial.benign for trial in one.trials) else ""
        lines.append(f"  faults |{_marks(one, step)}|  # fault, o placebo{benign}, - cool-down")
        lines += [
            f"    {trial.start_s:7.1f} s  {trial.id:14} {trial.kind:12} on {trial.target:13} at {trial.intensity:.2f} "
            f"for {trial.duration_s:g} s, then {trial.quiet_s:.1f} s quiet{_remark(trial)}"
            for trial in one.trials
        ]
    return lines


def _bars(curve: Curve, one: PlannedRecording, step: float) -> str:
    peak = max(one.users_peak, 1e-9)
    places = [one.warmup_s + (index + 0.5) * step for index in range(WIDTH)]
    return "".join(BARS[round(8 * min(1.0, curve.at(place) / peak))] for place in places)


def _marks(one: PlannedRecording, step: float) -> str:
    line = [" "] * WIDTH
    for trial in one.trials:
        for index in range(WIDTH):
            at = (index + 0.5) * step
            if trial.start_s <= at < trial.start_s + trial.duration_s:
                line[index] = "o" if trial.placebo else "b" if trial.benign else "#"
            elif trial.start_s + trial.duration_s <= at < trial.start_s + trial.duration_s + trial.quiet_s and line[index] == " ":
                line[index] = "-"
    return "".join(line)


def _remark(trial: PlannedTrial) -> str:
    return "  (placebo)" if trial.placebo else "  (benign)" if trial.benign else ""


def minutes(seconds: float) -> str:
    """``75.0`` as ``1 min 15 s``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
