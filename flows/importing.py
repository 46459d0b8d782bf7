"""Other people's samples as a recording of this store: out of a Prometheus, without Prefect, and on from where it was stopped."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.records import RunRecord, complete, numbers_of, reconcile
from tasks.artifacts.fingerprint import fingerprint
from tasks.artifacts.refs import Ref
from tasks.artifacts.store import Made, Store
from tasks.base.clock import SystemClock, iso
from tasks.base.errors import DocumentError, IncompleteError, PreflightError, StorageError, TidegaugeError
from tasks.base.files import canonical_json, sha256_file, sha256_text
from tasks.base.intervals import Interval
from tasks.base.parquet import sparing
from tasks.base.progress import Progress, Report
from tasks.base.stopping import interruptible, stop_if_asked, stoppable
from tasks.base.trials import Trial
from tasks.recordings.imported import Imported, write_imported
from tasks.recordings.label_file import read_labels
from tasks.telemetry.ledger import ledger_path
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.adapter import DirectAdapter
from tasks.telemetry.prometheus.asked import FILE, added, remember, remembered
from tasks.telemetry.prometheus.certified import certified, usual_interval_s
from tasks.telemetry.prometheus.client import Client
from tasks.telemetry.prometheus.export import Export
from tasks.telemetry.prometheus.identity import SERVICE_LABELS
from tasks.telemetry.prometheus.preflight import looked_over, require_matches, require_readable, require_room
from tasks.telemetry.prometheus.selectors import Matcher, parse_selector
from tasks.telemetry.prometheus.writer import WindowWriter


@dataclass(frozen=True, slots=True)
class PrometheusImport:
    """A past window of a Prometheus, and what it is to be in the store."""

    access: Access
    span: Interval
    match: tuple[str, ...]
    name: str
    role: str
    way: str = "auto"
    service_labels: tuple[str, ...] = SERVICE_LABELS
    labels: Path | None = None
    labels_clock: str = "server"
    """Whose clock the times in *labels* are: ``server``, or ``client``: this machine's, of which the server's may differ."""

    def settings(self) -> dict[str, Any]:
        """Everything that decides what comes: the key of the recording, kept in its manifest. Nothing secret is in it."""
        return {
            "kind": "prometheus",
            "access": self.access.to_json(),
            "start": iso(self.span.start_s),
            "end": iso(self.span.end_s),
            "match": list(self.match),
            "name": self.name,
            "role": self.role,
            "way": self.way,
            "service_labels": list(self.service_labels),
            "labels_sha256": self._labels_sha256(),
            "labels_clock": self.labels_clock,
        }

    def _labels_sha256(self) -> str | None:
        try:
            return None if self.labels is None else sha256_file(self.labels)
        except OSError as error:
            raise DocumentError(f"{self.labels} cannot be read: {error}") from error

    @property
    def stage(self) -> str:
        """Its name among the stages of a run."""
        return f"record:{self.name}"

    @property
    def key(self) -> str:
        """What the store finds it by."""
        return sha256_text(canonical_json({"stage": self.stage, "settings": self.settings()}))[:40]

    @property
    def selectors(self) -> tuple[tuple[Matcher, ...], ...]:
        """What is asked for."""
        return tuple(parse_selector(text) for text in self.match)

    def trials(self, offset_s: float = 0.0) -> tuple[Trial, ...]:
        """
        What *labels* says, in the server's time, whose clock is *offset_s* ahead of this machine's.

        Raises:
            DocumentError: See :func:`tasks.recordings.label_file.read_labels`.
        """
        shift_s = offset_s if self.labels_clock == "client" else 0.0
        return () if self.labels is None else read_labels(self.labels, self.span, shift_s)


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of the one stage of an import: as :class:`tasks.artifacts.jobs.Result`, without the models that take long to load."""

    stage: str
    ref: str
    outcome: str
    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Telling:
    """Where news of the work goes: steps, and sentences."""

    report: Report
    say: Callable[[str], None]


def import_prometheus(wanted: PrometheusImport, store: Store, telling: Telling, *, refresh: bool = False) -> dict[str, Any]:
    """
    Make the recording, or find it; the record of a run that holds it and nothing else.

    Raises:
        DocumentError: A selector, an address or a label is wrong.
        PreflightError: The server cannot give what is asked for.
        Cancelled: It was stopped on the way; the same command goes on where it stopped.
    """
    if problems := wanted.access.problems():
        raise DocumentError("; ".join(problems), next_step="tidegauge import prometheus --help")
    _ = wanted.selectors, wanted.trials() if wanted.labels_clock == "server" else ()
    for _, sentence in reconcile(store, "import"):
        telling.say(sentence)
    record = RunRecord.begin(store, name=wanted.name, document={}, profile="", extent="import", parent=None, prefect=NO_PREFECT)
    clock = SystemClock()
    begun_s = clock.monotonic_s()
    try:
        with stoppable():
            found = None if refresh else store.find("recording", wanted.key)
            ref = _made(wanted, store, telling) if found is None else found
        outcome, why = (
            ("ran", "asked for anew" if refresh else "not imported before")
            if found is None
            else ("cached", "same server, window and selectors")
        )
        record.add(Brought(stage=wanted.stage, ref=str(ref), outcome=outcome, why=why, seconds=clock.monotonic_s() - begun_s))
    except TidegaugeError as error:
        record.end("cancelled" if error.exit_code > 128 else "failed", error.exit_code, error.message)
        raise
    except BaseException as error:
        record.end("failed", 1, f"{type(error).__name__}: {error}")
        raise
    whole = complete(store, record.body["artifacts"])
    error_text = None if whole else f"the samples have gaps; `tidegauge runs show {record.run} --gaps` lists them"
    status, code = ("complete", 0) if whole else ("incomplete", IncompleteError.exit_code)
    record.end(status, code, error_text, **numbers_of(store, record.body["artifacts"]))
    return record.body


NO_PREFECT = {"flow_run": None, "server": None}


def _made(wanted: PrometheusImport, store: Store, telling: Telling) -> Ref:
    """Bring the samples into a folder that the same command finds again, and commit it once it is whole."""
    sparing()
    client = Client(DirectAdapter(wanted.access))
    facts = looked_over(client, wanted.way)
    require_readable(client, wanted.match, wanted.selectors)
    for sentence in facts.doubts(wanted.span):
        telling.say(sentence)
    trials = wanted.trials(facts.clock_offset_s)
    expected = client.scraped_samples(wanted.span)
    require_room(store.root, expected)
    folder = store.root / "staging" / f"import-{wanted.key}"
    earlier = remembered(folder / FILE)
    writer = _writer(folder, wanted)
    try:
        if writer.chunk:
            there = f"{int(writer.tally.count.sum()):,} samples are there"
            telling.say(f"going on from {iso((writer.until_ms or 0) / 1000)}, where it was stopped: {there}")
        export = Export(client, facts, wanted.selectors, writer, told=telling.say)
        _bring(export, wanted, expected, telling.report, earlier)
        _require_matches(wanted, export)
        _write_down(wanted, export, trials, folder, added(earlier, export.to_json()))
    finally:
        writer.close()
    ref = store.commit(folder, "recording", Made(wanted.stage, wanted.key, settings=wanted.settings()))
    shutil.rmtree(folder, ignore_errors=True)
    return ref


def _require_matches(wanted: PrometheusImport, export: Export) -> None:
    """Refuse an import of which a selector found nothing; nothing of it is left, since it would end the same way again."""
    writer = export.writer
    try:
        require_matches(export.client.adapter.name, wanted.match, wanted.selectors, writer.tally.series())
    except PreflightError as error:
        if left := sorted(writer.tally.histograms):
            error.next_step = f"native histograms are not kept ({', '.join(left)}): let the server keep classic ones too"
        shutil.rmtree(writer.folder, ignore_errors=True)
        raise


def _writer(folder: Path, wanted: PrometheusImport) -> WindowWriter:
    """On a new folder, or on the one where the same import was stopped."""
    begun = (folder / "samples").is_dir()
    try:
        return WindowWriter(folder, wanted.service_labels)
    except StorageError as error:
        if begun and "disk space" not in (error.next_step or ""):
            error.next_step = f"rm -r {folder}, then run the same command again: it begins anew"
        raise


def _bring(export: Export, wanted: PrometheusImport, expected: int | None, report: Report, earlier: Mapping[str, Any] | None) -> None:
    start_s, length_s = wanted.span.start_s, wanted.span.length_s

    def done(end_ms: int, _: int) -> None:
        remember(export.writer.folder, added(earlier, export.to_json()))
        stop_if_asked()
        samples = int(export.writer.tally.count.sum())
        of = "" if expected is None else f" of about {expected:,}"
        report(Progress("import", f"{samples:,} samples{of}", end_ms / 1000 - start_s, length_s))

    with interruptible():
        export.span(round(start_s * 1000), round(wanted.span.end_s * 1000), done, expected)


def _write_down(wanted: PrometheusImport, export: Export, trials: Sequence[Trial], folder: Path, server: Mapping[str, Any] | None) -> None:
    for left in folder.iterdir():  # by one that was killed while it wrote down or committed: a manifest must not list another
        if left.is_file() and left != ledger_path(folder):
            left.unlink()
    tally, span = export.writer.tally, wanted.span
    certificate = certified(tally, span=(span.start_s, span.end_s), server=server)
    about = Imported(
        name=wanted.name,
        role=wanted.role,
        span=span,
        source=wanted.settings(),
        interval_s=usual_interval_s(tally),
        modules=fingerprint(("tasks.telemetry.prometheus",)).modules,
    )
    write_imported(folder, about, certificate, trials)
