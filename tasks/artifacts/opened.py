"""
A run as tables, for notebooks: what ``tidegauge.open_run`` gives.

Every table is read through its artifact's manifest: the manifest must have its digest, the file its SHA-256, and Parquet
pages their checksums. A contract: names and meanings of columns change only with the format's number (``recording/1``,
``matrix/1``, ``evaluation/1``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import pyarrow as pa

from tasks.artifacts.refs import Ref
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Artifact, Store
from tasks.base.errors import DocumentError, StorageError
from tasks.base.files import read_json, sha256_file
from tasks.base.parquet import read_table
from tasks.telemetry.causes import cause_text
from tasks.telemetry.samples import read_samples, read_series

PUBLIC = ("run", "parent", "status", "report", "profile", "recordings", "faults", "detectors", "ranking", "stages", "prefect")
WINDOWS = ("requested", "acknowledged", "first_effect", "revert_requested", "reverted", "back_to_normal")


def open_run(run: str = "latest", store: str | Path | None = None) -> OpenedRun:
    """
    Open a run for reading; nothing is written.

    Args:
        run: Its id, or ``latest``: the newest one with an evaluation.
        store: The store's folder; None: ``TIDEGAUGE_STORE``, or ``tidegauge-data`` in the working directory.

    Raises:
        DocumentError: There is no such run.
        StorageError: Its record is not what was written.
    """
    found = Store(Path(store if store is not None else os.environ.get("TIDEGAUGE_STORE") or "tidegauge-data"))
    record = Runs(found).look(run)
    artifacts = {name: Ref.parse(text) for name, text in record["artifacts"].items()}
    recordings = {name.partition(":")[2]: found.open(ref) for name, ref in artifacts.items() if name.startswith("record:")}
    opened = {name: OpenedRecording(name, artifact) for name, artifact in recordings.items()}
    return OpenedRun(
        found, {name: record[name] for name in PUBLIC}, record["document"], MappingProxyType(opened), MappingProxyType(artifacts)
    )


@dataclass(frozen=True, slots=True)
class OpenedRecording:
    """One deployment of the app: raw samples, load, labels, and the facts about them."""

    name: str
    artifact: Artifact

    @property
    def folder(self) -> Path:
        """Where its files are; the format is documented, other programs may read them."""
        return self.artifact.folder

    @property
    def facts(self) -> dict[str, Any]:
        """``recording.json``: role, status, span, counts, certificate, machine, versions."""
        return dict(read_json(verified(self.artifact, "recording.json")))

    def series(self) -> pd.DataFrame:
        """All series, indexed by ``series`` (their number in this recording): name, service, role, labels (a dict)."""
        self._verify("series/")
        rows = [(one.id, one.name, one.service, one.role, dict(one.labels)) for one in read_series(self.folder)]
        return pd.DataFrame(rows, columns=["series", "name", "service", "role", "labels"]).set_index("series")

    def samples(self, name: str | None = None, service: str | None = None) -> pd.DataFrame:
        """
        Raw samples as scraped, in order of series and time; nothing is filled in.

        Args:
            name: Only series of this metric name.
            service: Only series of this service.

        Returns:
            Columns ``time`` (UTC), ``series`` (int32, see :meth:`series`), ``value`` (float64, as exposed: counters still count).
        """
        self._verify("samples/")
        found = read_samples(self.folder)
        table = pd.DataFrame({"time": pd.to_datetime(found.time_ms, unit="ms", utc=True), "series": found.series, "value": found.value})
        if name is None and service is None:
            return table
        series = self.series()
        wanted = (series["name"] == name if name is not None else True) & (series["service"] == service if service is not None else True)
        return table[table["series"].isin(series.index[wanted])].reset_index(drop=True)

    def labels(self) -> pd.DataFrame:
        """The trials, indexed by ``fault_id``; windows are UTC times, NaT where something did not happen or was not seen."""
        table = pd.read_csv(
            verified(self.artifact, "labels.csv"), index_col="fault_id", keep_default_na=False, dtype={"placebo": str, "benign": str}
        )
        for window in WINDOWS:
            table[window] = pd.to_datetime(table[window].replace("", None), utc=True, format="ISO8601")
        benign = table["benign"] == "true" if "benign" in table else False  # a recording from before there were benign changes
        return table.assign(placebo=table["placebo"] == "true", benign=benign, outcome=table["outcome"].replace("", None))

    def load(self) -> pd.DataFrame:
        """Load by second, indexed by UTC time (its start): users, journeys, requests, failures, reasons; planned and achieved."""
        seconds = _frame(read_table(verified(self.artifact, "load/seconds.parquet")))
        requests = self.requests().groupby("second")[["requests", "failures", "declined"]].sum()
        table = seconds.join(requests, on="second").fillna({"requests": 0, "failures": 0, "declined": 0})
        return _by_time(table.astype({"requests": int, "failures": int, "declined": int}), "second")

    def requests(self) -> pd.DataFrame:
        """Requests by second and endpoint, with both latency histograms (bucket and count lists)."""
        return _frame(read_table(verified(self.artifact, "load/requests.parquet")))

    def gaps(self) -> pd.DataFrame:
        """Holes in the samples: target (None: nothing was scraped), role, start and end (UTC), missing scrapes, cause as a text."""
        holes = [{**gap, "cause": cause_text(gap.get("cause"))} for gap in read_json(verified(self.artifact, "gaps.json"))["gaps"]]
        table = pd.DataFrame(holes, columns=["target", "role", "start", "end", "missing", "cause"])
        return table.assign(**{side: pd.to_datetime(table[side], utc=True, format="ISO8601") for side in ("start", "end")})

    def _verify(self, prefix: str) -> None:
        for name in self.artifact.manifest["files"]:
            if name.startswith((prefix, "chunks.jsonl")):
                verified(self.artifact, name)


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """One run: its recordings, and everything computed from them."""

    store: Store
    run: dict[str, Any]
    """The public object, as ``tidegauge runs show --json`` prints it."""
    document: dict[str, Any]
    """The experiment document as it was used, defaults filled in."""
    recordings: Mapping[str, OpenedRecording]
    """By name, in the document's order."""
    artifacts: Mapping[str, Ref]
    """References by stage; ``store.open`` opens one."""

    @property
    def id(self) -> str:
        """The run's id."""
        return str(self.run["run"])

    def matrix(self, recording: str) -> pd.DataFrame:
        """
        The feature matrix of *recording*.

        Returns:
            float32, indexed by UTC time, a column ``service/metric`` each; NaN: not observed, or undefined (latency of no request).
        """
        artifact = self._artifact(f"featurize:{recording}")
        table = read_table(verified(artifact, "matrix.parquet"))
        names = [column["name"] for column in read_json(verified(artifact, "columns.json"))["columns"]]
        times = pd.to_datetime(table.column("time_s").to_numpy(), unit="s", utc=True)
        frame = pd.DataFrame({name: table.column(name).to_numpy() for name in names}, index=pd.DatetimeIndex(times, name="time"))
        return frame.astype("float32")

    def labels(self, recording: str) -> pd.DataFrame:
        """The trials of *recording*; see :meth:`OpenedRecording.labels`."""
        return self._recording(recording).labels()

    def load(self, recording: str) -> pd.DataFrame:
        """Load of *recording* by second; see :meth:`OpenedRecording.load`."""
        return self._recording(recording).load()

    def scores(self, detector: str, recording: str) -> pd.DataFrame:
        """
        Scores of *detector* on *recording*, indexed by UTC time.

        Returns:
            ``score`` (the higher, the more anomalous; NaN: no score), and where the detector can say, the columns that contributed
            most (``top_1`` ...) with their shares (``share_1`` ...).
        """
        table = read_table(verified(self._artifact(f"score:{detector}"), f"{recording}.parquet"))
        return _by_time(_named(table, lambda: list(self.matrix(recording).columns)), "time_s")

    def threshold(self, detector: str) -> float | None:
        """The threshold of *detector*, from its false-alarm budget on the calibration recording; None: it never alarms."""
        row = next((one for one in self.evaluation()["results"] if one["name"] == detector), None)
        if row is None:
            raise DocumentError(
                f"run {self.id} has no detector {detector}; it has {', '.join(one['name'] for one in self.run['detectors'])}"
            )
        return None if row["threshold"] is None else row["threshold"]["value"]

    def alarms(self, detector: str, recording: str) -> pd.DataFrame:
        """Alarms of *detector* on *recording*: columns ``open`` and ``close``, UTC."""
        spans = self.evaluation()["alarms"].get(detector, {}).get(recording, [])
        sides = {"open": [begin for begin, _ in spans], "close": [end for _, end in spans]}
        return pd.DataFrame({side: pd.to_datetime(pd.Series(times, dtype="float64"), unit="s", utc=True) for side, times in sides.items()})

    def evaluation(self) -> dict[str, Any]:
        """``evaluation.json``: the public rows (``detectors``), all that is known (``results``), ``alarms``, ``power``, ``leakage``."""
        return dict(read_json(verified(self._artifact("evaluation"), "evaluation.json")))

    def ranking(self) -> dict[str, Any]:
        """``ranking.json``: the public rows (``ranking``) and each case (``cases``)."""
        return dict(read_json(verified(self._artifact("ranking"), "ranking.json")))

    def table(self) -> pd.DataFrame:
        """The detector table, indexed by name; NaN or None: undefined."""
        return pd.DataFrame(self.run["detectors"]).set_index("name") if self.run["detectors"] else pd.DataFrame()

    def _artifact(self, stage: str) -> Artifact:
        if stage not in self.artifacts:
            raise DocumentError(f"run {self.id} has no {stage}; it has {', '.join(self.artifacts) or 'nothing'}")
        return self.store.open(self.artifacts[stage])

    def _recording(self, name: str) -> OpenedRecording:
        if name not in self.recordings:
            raise DocumentError(f"run {self.id} has no recording {name}; it has {', '.join(self.recordings) or 'none'}")
        return self.recordings[name]


def verified(artifact: Artifact, name: str) -> Path:
    """
    The path of a listed file whose bytes are what was written.

    Raises:
        StorageError: They are not, or there is no such file.
    """
    path = artifact.file(name)
    if not path.is_file() or path.is_symlink() or sha256_file(path) != artifact.manifest["files"][name]["sha256"]:
        raise StorageError(f"{path} is not what was written", next_step="tidegauge runs verify latest --read-data")
    return path


def _by_time(table: pd.DataFrame, seconds: str) -> pd.DataFrame:
    times = pd.to_datetime(table[seconds], unit="s", utc=True)
    return table.drop(columns=seconds).set_index(pd.DatetimeIndex(times, name="time"))


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _named(table: pa.Table, columns: Callable[[], list[str]]) -> pd.DataFrame:
    frame = _frame(table)
    places = [name for name in frame.columns if name.startswith("top_")]
    names = columns() if places else []
    return frame.assign(**{place: [names[index] for index in frame[place]] for place in places})
