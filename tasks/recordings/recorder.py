"""One recording, from the start of a deployment to its teardown: where cluster, app, load, telemetry and faults meet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.app.model import App
from tasks.base.clock import Clock, SystemClock
from tasks.base.errors import LeftBehindError, TidegaugeError
from tasks.base.intervals import Interval
from tasks.base.progress import Progress, Report
from tasks.base.stopping import sheltered, stop_if_asked
from tasks.base.trials import Trial
from tasks.cluster.config import LocalCluster
from tasks.cluster.provider import Leftover
from tasks.faults.catalogue import kinds_for
from tasks.faults.kind import FaultKind
from tasks.faults.witness import REFERENCE_ROWS
from tasks.features.config import FeaturesConfig
from tasks.load.status import Load
from tasks.recordings import finish
from tasks.recordings.board import Board
from tasks.recordings.deployment import forget
from tasks.recordings.evidence import Scene, callers_of
from tasks.recordings.gate import Gate
from tasks.recordings.judging import grace_of, judged
from tasks.recordings.kube.noted import Noted
from tasks.recordings.labels import write_labels
from tasks.recordings.length import measured_s
from tasks.recordings.live import LiveWindow, remembered
from tasks.recordings.machine import clocks, machine, versions
from tasks.recordings.place import Deployed, place_of
from tasks.recordings.planning import planned_trials
from tasks.recordings.settings import RecordingSettings
from tasks.recordings.settling import judging_features, provider_of
from tasks.recordings.truth import with_journal
from tasks.recordings.trying import Trying
from tasks.telemetry.runner import Collector

TAIL_S = 1.0
"""Sampled beyond the end, so that the last row is whole."""


@dataclass(slots=True)
class Recorder:
    """Makes one recording in *folder*; the deployment lives in *state_dir*."""

    settings: RecordingSettings
    folder: Path
    state_dir: Path
    report: Report
    root: Path
    """The store."""
    run_id: str = ""
    """The run that it is for."""
    modules: dict[str, str] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)
    kept: bool = False
    """Whether *folder* holds a readable recording, also after an exception."""
    board: Board = field(init=False)
    _begun: dict[str, float] = field(default_factory=clocks)
    _start_wall_s: float | None = None
    _end_wall_s: float | None = None
    """By this process's clock, not by the newest sample: a tail that nobody recorded is a gap."""
    _measured: bool = False
    """Whether the planned span is over: whatever happens afterwards takes nothing from it."""
    _notes: list[str] = field(default_factory=list)
    _processes: dict[str, Any] = field(default_factory=dict)
    _trials: list[Trial] = field(default_factory=list)
    _left: bool = False
    """Whether something was still there after the teardown."""

    def __post_init__(self) -> None:
        entry = self.settings.entry
        facts = {
            "name": entry.name,
            "role": entry.role,
            "planned_s": measured_s(entry, self.settings.faults),
            "folder": str(self.folder),
        }
        self.board = Board(self.state_dir, self.report, self.clock, facts)
        self.report = self.board

    def run(self) -> dict[str, Any]:
        """
        Deploy, load, wait, break, take down, and write everything down; the facts of ``recording.json``.

        Whatever ends it early: faults are reverted first, then everything is taken down, then what was recorded is closed
        as incomplete (``kept``), and the cause goes on.

        Raises:
            PreflightError: It could not start; nothing is left.
            FaultActiveError: A fault could not be verified to be over.
            LeftBehindError: Something is still running after the teardown.
        """
        app = self.settings.resolved_app()
        trials = () if self.settings.faults is None else planned_trials(self.settings, app)
        try:
            with self._deployment(app) as deployed, self._telemetry(deployed) as collector, self._load(deployed) as load:
                self._measure(app, deployed, collector, load, trials)
        except BaseException as error:
            self._keep_what_there_is(app, error)
            raise
        with sheltered():
            return self._close(app, ended_early=not self._measured)

    def _keep_what_there_is(self, app: App, cause: BaseException) -> None:
        if self._start_wall_s is None:
            return
        if not self._measured:
            self._notes.append(f"ended early: {getattr(cause, 'message', None) or repr(cause)}")
        try:
            with sheltered():
                self._close(app, ended_early=not self._measured)
        except Exception as error:  # the cause matters more; what cannot be closed is not kept
            cause.add_note(f"what was recorded could not be closed: {type(error).__name__}: {error}")

    @contextmanager
    def _deployment(self, app: App) -> Iterator[Deployed]:
        with ExitStack() as cleanup:
            shelter = ExitStack()
            cleanup.push(shelter)  # left last, when everything else is down
            cleanup.callback(self._forget)
            deployed = self._deployed(app)
            cleanup.callback(self._take_down, deployed)
            cleanup.callback(deployed.injector.revert_all)
            self._processes = deployed.facts()
            try:
                yield deployed
            finally:
                shelter.enter_context(sheltered())

    def _telemetry(self, deployed: Deployed) -> AbstractContextManager[Collector]:
        entry = self.settings.entry
        planned_s = entry.warmup_s + measured_s(entry, self.settings.faults)
        return deployed.sampling(self.settings.telemetry, self.folder, planned_s=planned_s, clock=self.clock)

    def _deployed(self, app: App) -> Deployed:
        try:
            return place_of(self.settings, self.root, self.run_id).deploy(app, self.state_dir, owned=True, report=self.report)
        except LeftBehindError:
            self._left = True
            raise

    def _forget(self) -> None:
        """Nothing is left of it: then neither need anything be known. In a cluster, what is left is found by its note alone."""
        if not (self._left and Noted.read(self.state_dir)):
            forget(self.state_dir)

    def _take_down(self, deployed: Deployed) -> None:
        self.report(Progress("teardown", "stopping the services"))
        self._left = True  # until it is known: where nobody answers, everything may be there
        left = self._downed(deployed)
        self._left = bool(left)
        self._trials = with_journal(self._trials, self.state_dir)
        deployed.keep_outputs(self.folder)
        if left:
            named = ", ".join(f"{one.name} ({one.identity})" for one in left)
            raise LeftBehindError(f"still there after the teardown: {named}", next_step="tidegauge down --all")

    def _downed(self, deployed: Deployed) -> Sequence[Leftover]:
        try:
            return deployed.down()
        except TidegaugeError as error:
            error.next_step = f"{error.next_step or 'see why'}; then `tidegauge down --all`, since what it has made may still be there"
            raise

    @contextmanager
    def _load(self, deployed: Deployed) -> Iterator[Load]:
        self.report(Progress("warm-up", "smoke test"))
        deployed.smoke(self.settings.resolved_app(), self.settings.load)
        load = deployed.load(self.settings.load, seed=self.settings.seed, out=self.folder / "load")
        try:
            yield load
        finally:
            with sheltered():
                load.stop()

    def _gate(self) -> Gate:
        entry = self.settings.entry
        return Gate(
            app=self.settings.resolved_app(),
            required_metrics=self.settings.telemetry.required_metrics,
            samples=self.folder,
            warmup_s=entry.warmup_s,
            limit_s=max(entry.warmup_limit_s, entry.warmup_s),
        )

    def _measure(self, app: App, deployed: Deployed, collector: Collector, load: Load, trials: Any) -> None:
        def keep() -> None:
            stop_if_asked()
            deployed.check()
            if collector.keep():
                self._notes.append("the collector died and was started again")
            if (restart := load.keep()) is not None:
                self._notes.append(f"{restart.who} was {restart.why} and was started again")

        self.board.load = load.status
        self._gate().pass_under_load(load.status, keep, self.clock, self.report)
        self._start_wall_s, start_mono_s = self.clock.wall_s(), self.clock.monotonic_s()
        trying = self._trying(app, deployed, keep)
        self.board.trials, self.board.measured_since_s = trials, self._start_wall_s
        self.board.begun = trying.begun
        entry, faults = self.settings.entry, self.settings.faults
        try:
            if faults is None:
                trying.hold(start_mono_s + measured_s(entry, None), f"{entry.name}: normal operation")
            else:
                trying.walk(trials, start_mono_s, retry=faults.retry_not_injected)
        finally:
            self._trials = trying.done
        self._end_wall_s = self.clock.wall_s()
        self.clock.sleep(TAIL_S)
        if trying.untried:
            self._notes.append(trying.untried)
        self._measured = not trying.untried

    @property
    def _features(self) -> FeaturesConfig:
        """By which faults are judged."""
        return judging_features(self.settings.telemetry.interval_s, self.settings.telemetry.rate_window_s)

    @property
    def _kinds(self) -> Mapping[str, FaultKind]:
        """What can be done to the app where it runs."""
        return kinds_for(provider_of(self.settings.cluster))

    def _trying(self, app: App, deployed: Deployed, keep: Any) -> Trying:
        features = self._features
        live = LiveWindow(self.folder, features)
        callers = callers_of(app.edges)

        def scene(busy: Sequence[Interval], requested_s: float) -> Scene | None:
            need_s, lead_s = 2 * REFERENCE_ROWS * features.grid_s, features.rate_window_s + features.grid_s
            newest = live.refresh(remembered(busy, requested_s, need_s=need_s, lead_s=lead_s))
            if newest is None:
                return None
            begin = max(self._start_wall_s or newest, live.oldest_s or newest)
            return Scene(live.matrix(start_s=begin, end_s=newest), live.series(), live.window, callers, kinds=self._kinds)

        telemetry = self.settings.telemetry
        return Trying(
            injector=deployed.injector,
            clock=self.clock,
            scene=scene,
            keep=keep,
            report=self.report,
            grace_s=grace_of(features.rate_window_s, features.grid_s),
            lag_s=telemetry.lag_s,
            settle_limit_s=0.0 if self.settings.faults is None else self.settings.faults.settle_limit_s,
        )

    def _close(self, app: App, *, ended_early: bool) -> dict[str, Any]:
        self.report(Progress("close", "verifying what was written"))
        assert self._start_wall_s is not None  # noqa: S101 -- only called once the span has begun
        interval_s = self.settings.telemetry.interval_s
        features = self._features
        end_s = finish.last_moment(self.folder) if self._end_wall_s is None else self._end_wall_s
        span = Interval(self._start_wall_s, max(self._start_wall_s, end_s))
        alone = isinstance(self.settings.cluster, LocalCluster)
        taken = finish.read_back(self.folder, span, interval_s, features, alone=alone)
        grace_s = grace_of(features.rate_window_s, features.grid_s)
        scene = Scene(taken.matrix(), taken.series, taken.samples, callers_of(app.edges), taken.history, self._kinds)
        trials = judged(scene, self._trials, grace_s, span.end_s)
        write_labels(self.folder, trials)
        whole = finish.complete(taken.gaps, trials, grace_s, ended_early)
        facts = finish.write_ledgers(self.folder, taken, trials, self._about(app), whole=whole)
        finish.drop_scaffolding(self.folder)
        self.kept = True
        return facts

    def _about(self, app: App) -> finish.Circumstances:
        entry = self.settings.entry
        return finish.Circumstances(
            name=entry.name,
            role=entry.role,
            seed=self.settings.seed,
            planned_s=measured_s(entry, self.settings.faults),
            edges=app.edges,
            begun=self._begun,
            machine=machine(),
            versions=versions(),
            modules=self.modules,
            processes=self._processes,
            notes=tuple(dict.fromkeys([*self._notes, *([] if app.edge_note is None else [app.edge_note])])),
        )
