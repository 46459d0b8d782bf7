"""
Which fault is tried when: order, pauses and placebos from the seed, before anything runs.

Starts never fall on round seconds: whatever the machine does by the clock must not coincide with a fault.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tasks.base.errors import DocumentError
from tasks.faults.catalogue import Provider, kinds_for, nearest
from tasks.faults.config import FaultsConfig, TrialEntry

SHUFFLES = 30
PLACES = {"local": "to processes on this machine", "kubernetes": "in a cluster"}


@dataclass(frozen=True, slots=True)
class AppFacts:
    """What the plan must know of the app and of the journeys."""

    services: Collection[str]
    entry: Collection[str]
    """Services that users come in through."""
    reached: Collection[str]
    """Services that the journeys reach, directly or through others."""
    readiness_s: Mapping[str, float]
    """Longest expected time from start to ready, by service; absent: at once."""
    provider: Provider = "local"
    """Where it runs: not every kind of fault can be done everywhere."""


@dataclass(frozen=True, slots=True)
class Settling:
    """What must fit into the quiet time between two faults, all in seconds."""

    rate_window_s: float
    persistence_s: float
    closing_s: float

    @property
    def total_s(self) -> float:
        """The sum: quiet time must be longer."""
        return self.rate_window_s + self.persistence_s + self.closing_s


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """One fault, benign change or placebo of the plan; *start_s* counts from the start of the recording."""

    id: str
    kind: str
    target: str
    intensity: float
    placebo: bool
    duration_s: float
    quiet_s: float
    """Fault-free time after it, at least; it is longer when the app has not calmed down."""
    start_s: float
    benign: bool = False
    """Its kind is benign, and it is not pretended."""

    @property
    def end_s(self) -> float:
        """Its stated end, from the start of the recording."""
        return self.start_s + self.duration_s


def plan_trials(config: FaultsConfig, app: AppFacts, settling: Settling, seed: int) -> tuple[PlannedTrial, ...]:
    """
    The trials in the order in which they are tried; the same for the same arguments.

    Args:
        config: The section ``faults``.
        app: Services and what is known of them.
        settling: What the quiet time must hold.
        seed: The experiment's seed.

    Raises:
        DocumentError: With every reason why this plan is refused.
    """
    if problems := refusals(config, app, settling):
        raise DocumentError("these faults cannot be planned:\n" + "\n".join(f"  {text}" for text in problems))
    rng = random.Random(f"faults:{seed}")  # noqa: S311 -- a plan that can be repeated, no secret
    timed: list[PlannedTrial] = []
    at_s = config.before_s
    for number, (entry, placebo) in enumerate(_ordered(config, rng), start=1):
        start_s = off_round(at_s, rng)
        duration_s, quiet_s = entry.duration_s or config.duration_s, rng.uniform(*config.quiet_s)
        timed.append(
            PlannedTrial(
                id=f"t{number:03d}",
                kind=entry.kind,
                target=entry.target,
                intensity=strength(entry, app.provider),
                placebo=placebo,
                duration_s=duration_s,
                quiet_s=round(quiet_s, 3),
                start_s=start_s,
                benign=kinds_for(app.provider)[entry.kind].benign and not placebo,
            )
        )
        at_s = start_s + duration_s + quiet_s
    return tuple(timed)


def strength(entry: TrialEntry, provider: Provider = "local") -> float:
    """The intensity of *entry*, its kind's default when it names none."""
    return entry.intensity if entry.intensity is not None else kinds_for(provider)[entry.kind].default_intensity


def length_s(planned: Sequence[PlannedTrial], config: FaultsConfig) -> float:
    """Seconds from the start of the recording to the end of the last quiet time."""
    return max((trial.end_s + trial.quiet_s for trial in planned), default=config.before_s)


def off_round(moment_s: float, rng: random.Random) -> float:
    """A moment at most 2.3 s after *moment_s* that is at least 0.13 s away from a whole second, and 1 s after a whole minute."""
    whole = int(moment_s) + (1 if moment_s % 1 > 0.6 else 0)
    found = whole + rng.uniform(0.13, 0.87)
    while found < moment_s:
        found = whole + rng.uniform(0.13, 0.87)
    return round(found + (1.0 if found % 60 < 1 else 0.0), 3)


def again(trial: PlannedTrial, number: int, start_s: float) -> PlannedTrial:
    """One more slot at the end for a fault that its witness did not show; *number* follows the last trial's."""
    return replace(trial, id=f"t{number:03d}", start_s=start_s)


def _ordered(config: FaultsConfig, rng: random.Random) -> list[tuple[TrialEntry, bool]]:
    """Every repeat shuffled by itself, placebos dealt evenly to the repeats; the same target twice in a row as rarely as found."""
    placebos: list[TrialEntry] = []
    while len(placebos) < config.placebos:  # every kind and target once before any a second time
        placebos += rng.sample(config.trials, min(len(config.trials), config.placebos - len(placebos)))
    order: list[tuple[TrialEntry, bool]] = []
    for block in range(config.repeats):
        members = [(entry, False) for entry in config.trials] + [(entry, True) for entry in placebos[block :: config.repeats]]
        shuffled = [rng.sample(members, len(members)) for _ in range(SHUFFLES)]
        order += min(shuffled, key=lambda found: _repeats_target([*order[-1:], *found]))
    return order


def _repeats_target(order: Sequence[tuple[TrialEntry, bool]]) -> int:
    return sum(first[0].target == second[0].target for first, second in pairwise(order))


def refusals(config: FaultsConfig, app: AppFacts, settling: Settling) -> tuple[str, ...]:
    """Every reason to refuse the plan, as sentences; empty when there is none."""
    return (
        *_kind_refusals(config, app),
        *_target_refusals(config, app),
        *_quiet_refusals(config, app, settling),
        *_placebo_refusals(config),
    )


def _kind_refusals(config: FaultsConfig, app: AppFacts) -> list[str]:
    kinds = kinds_for(app.provider)
    return [
        f"faults.trials[{position}].kind: {entry.kind} cannot be done {PLACES[app.provider]}{nearest(entry.kind, kinds)}"
        for position, entry in enumerate(config.trials)
        if entry.kind not in kinds
    ]


def _target_refusals(config: FaultsConfig, app: AppFacts) -> list[str]:
    found = []
    known = dict.fromkeys(app.services)
    for position, entry in enumerate(config.trials):
        where = f"faults.trials[{position}].target"
        if entry.target not in known:
            found.append(f"{where}: the app has no service {entry.target!r}{nearest(entry.target, known)}")
        elif entry.target in app.entry:
            found.append(f"{where}: {entry.target} is the entry service; faults never hit it")
        elif entry.target not in app.reached:
            found.append(f"{where}: the journeys never reach {entry.target}, so nobody could notice")
    return found


def _quiet_refusals(config: FaultsConfig, app: AppFacts, settling: Settling) -> list[str]:
    found, shortest = [], config.quiet_s[0]
    if shortest <= settling.total_s:
        found.append(
            f"faults.quiet_s: {shortest:g} s is not longer than rate window + persistence + closing"
            f" ({settling.rate_window_s:g} + {settling.persistence_s:g} + {settling.closing_s:g} s)"
        )
    if config.before_s <= settling.total_s:
        found.append(f"faults.before_s: {config.before_s:g} s is not longer than rate window + persistence + closing")
    for target in sorted({entry.target for entry in config.trials}):
        ready_s = app.readiness_s.get(target, 0.0)
        if shortest < ready_s:
            found.append(f"faults.quiet_s: {shortest:g} s is shorter than the {ready_s:g} s that {target} needs to get ready")
    return found


def _placebo_refusals(config: FaultsConfig) -> list[str]:
    real = len(config.trials) * config.repeats
    share = config.placebos / (config.placebos + real)
    if share >= config.min_placebo_ratio:
        return []
    wanted = next(n for n in range(1, 100 * real + 2) if n / (n + real) >= min(config.min_placebo_ratio, 0.99))
    asked = f"faults.placebos: {config.placebos} among {config.placebos + real} trials are fewer than min_placebo_ratio"
    return [f"{asked} {config.min_placebo_ratio:g} asks for; {wanted} would do"]
