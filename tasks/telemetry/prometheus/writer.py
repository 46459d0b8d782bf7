"""From batches to chunks: each window of time becomes one immutable file, and the end of the newest one is the watermark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.base.errors import StorageError
from tasks.base.memory import give_back
from tasks.base.parquet import read_facts
from tasks.telemetry.arrays import among
from tasks.telemetry.chunks import FolderLock, recovered
from tasks.telemetry.columns import write_series
from tasks.telemetry.ledger import ChunkEntry, append_entry, samples_path, series_path
from tasks.telemetry.packed import Columns, PackedWriter
from tasks.telemetry.prometheus.batch import Batch, Labels
from tasks.telemetry.prometheus.identity import SERVICE_LABELS, about
from tasks.telemetry.prometheus.tally import Chunk, Tally
from tasks.telemetry.samples import read_chunks, read_series
from tasks.telemetry.series import SeriesTable

if TYPE_CHECKING:
    from tasks.telemetry.kube.beside import Beside

UNTIL = "until_ms"
_OVERLAP_LIMIT_MS = 1 << 40


class WindowWriter:
    """
    Appends windows of samples to a recording's folder; one writer a folder, locked by the kernel.

    A folder that has chunks already is resumed: what its watermark covers is not asked for again, series keep their numbers.

    Args:
        folder: The recording; made when it is not there.
        service_labels: See :func:`tasks.telemetry.prometheus.identity.about`.
        overlap_ms: How far before the watermark samples may still turn up; those that are there already are recognised.
        beside: What comes along with each chunk, once there is one of the server's; None: nothing.

    Raises:
        LockedError: Another process writes to *folder*.
        StorageError: What is there is not what was written.
    """

    def __init__(
        self, folder: Path, service_labels: Sequence[str] = SERVICE_LABELS, overlap_ms: int = 0, beside: Beside | None = None
    ) -> None:
        self.folder = folder
        self.beside = beside
        self._lock = FolderLock(folder)
        self.chunk = recovered(folder)
        """Number of the newest chunk; 0 when there is none."""
        self.table = SeriesTable(read_series(folder))
        self.tally = Tally(self.table)
        self.until_ms: int | None = None
        """Everything up to here, inclusive, was asked for; None before the first window."""
        self._service_labels = tuple(service_labels)
        self._overlap_ms = min(overlap_ms, _OVERLAP_LIMIT_MS)
        self._written_series = len(self.table)
        self._numbers: dict[Labels, int] = {}
        self._recent: NDArray[np.int64] = np.empty(0, np.int64)
        for one in self.table.since(0):
            self._numbers[tuple(sorted({"__name__": one.name, **one.labels}.items()))] = one.id
        for chunk in read_chunks(folder):
            self._resume((chunk.series, chunk.time_ms, chunk.value), samples_path(folder, chunk.number))

    def _resume(self, columns: Columns, path: Path) -> None:
        """Count a chunk that is there as if it had just come."""
        facts = read_facts(path)
        self.tally.add(*columns)
        try:
            until_ms = int(facts[UNTIL])
            self.tally.restore(facts)
        except (KeyError, ValueError, AttributeError) as error:
            raise StorageError(f"{path} does not say until when it was asked for", next_step="record into a new folder") from error
        self.until_ms = until_ms
        self._remember([columns], until_ms)

    def write(self, groups: Iterable[Iterable[Batch]], until_ms: int) -> int:
        """
        Take the batches of a window and commit them as one chunk; the number of its samples.

        Nothing is committed when an iterator raises, nor when no sample came: then there is nothing to keep.

        Args:
            groups: All samples of the window, a group for each selector. A series of two selectors is taken from the first.
            until_ms: The new watermark.

        Raises:
            StorageError: No space is left; nothing of the window is visible.
        """
        tally, recent = self.tally.begun(), list[Columns]()
        with PackedWriter(samples_path(self.folder, self.chunk + 1)) as file:
            for columns in self._of_groups(groups, tally):
                tally.add(*columns)
                file.add(*columns)
                if self._overlap_ms:
                    young = columns[1] > until_ms - self._overlap_ms
                    recent.append((columns[0][young], columns[1][young], np.empty(0)))
                del columns  # the next batch is made while this frame would hold the last one
            if self.beside is not None and (file.rows or self.chunk):
                for columns in self.beside.columns(tally):
                    tally.add(*columns)
                    file.add(*columns)
            if file.rows:
                self._commit(file, tally.chunk, {UNTIL: str(until_ms), **tally.facts()})
                if self.beside is not None:
                    self.beside.taken()
        give_back()
        self.tally, self.until_ms = tally, until_ms
        self._remember(recent, until_ms)
        return file.rows

    def _commit(self, file: PackedWriter, counted: Chunk, facts: Mapping[str, str]) -> None:
        number, new = self.chunk + 1, self.table.since(self._written_series)
        if new:
            write_series(series_path(self.folder, number), new)
        file.finish(facts)
        self.chunk, self._written_series = number, self._written_series + len(new)
        entry = ChunkEntry.of(
            self.folder,
            number,
            rows=counted.rows,
            new_series=len(new),
            span_ms=(counted.first_ms, counted.last_ms),
            duplicates=counted.duplicates,
            late=counted.late,
        )
        append_entry(self.folder, entry)

    def _of_groups(self, groups: Iterable[Iterable[Batch]], tally: Tally) -> Iterable[Columns]:
        """The samples that are new, with the numbers of their series."""
        earlier: set[int] = set()
        for group in groups:
            here: set[int] = set()
            for batch in group:
                numbers = np.fromiter((self._number(labels) for labels in batch.labels), np.int32, len(batch.labels))
                here.update(numbers.tolist())
                wanted = ~np.isin(numbers, list(earlier)) if earlier else np.ones(len(numbers), np.bool_)
                tally.leave_out(self._new_marks(batch, wanted), batch.duplicates, self._new_histograms(batch, wanted))
                series = np.repeat(numbers, batch.counts)
                columns = [(series, batch.time_ms, batch.value)]
                if len(self._recent) or not wanted.all():
                    rows = np.repeat(wanted, batch.counts)
                    rows &= ~self._there(series, batch.time_ms)
                    columns = [(series[rows], batch.time_ms[rows], batch.value[rows])]
                    del rows
                del batch, series
                yield columns.pop()
            earlier |= here

    def _new_marks(self, batch: Batch, wanted: NDArray[np.bool_]) -> int:
        """How many stale markers of a batch no earlier selector and no earlier window had."""
        if len(batch.stale_ms) < batch.stale:
            return batch.stale
        new = wanted[batch.stale_series]
        if self.until_ms is not None:
            new &= batch.stale_ms > self.until_ms
        return int(np.count_nonzero(new))

    def _new_histograms(self, batch: Batch, wanted: NDArray[np.bool_]) -> Mapping[str, int]:
        """The same for native histograms, by metric name."""
        if not len(batch.histogram_ms):
            return batch.histograms
        new = wanted[batch.histogram_series]
        if self.until_ms is not None:
            new &= batch.histogram_ms > self.until_ms
        names = (dict(batch.labels[place]).get("__name__", "") for place in batch.histogram_series[new].tolist())
        return Counter(names)

    def _number(self, labels: Labels) -> int:
        number = self._numbers.get(labels)
        if number is None:
            role, service = about(labels, self._service_labels)
            named = dict(labels)
            number = self._numbers[labels] = self.table.number(role, service, named.pop("__name__", ""), named)
        return number

    def _there(self, series: NDArray[np.int32], time_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which samples are those of the overlap that came before."""
        return among(_keys(series, time_ms), self._recent)

    def _remember(self, columns: Sequence[Columns], until_ms: int) -> None:
        if self._overlap_ms:
            keys = np.concatenate([self._recent, *(_keys(series, time_ms) for series, time_ms, _ in columns)])
            self._recent = np.sort(keys[_time_ms(keys) > until_ms - self._overlap_ms])

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.release()


def _keys(series: NDArray[np.int32], time_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for series and time: 2**22 series, times until 2039."""
    return (series.astype(np.int64) << 41) | (time_ms & ((1 << 41) - 1))


def _time_ms(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    return keys & ((1 << 41) - 1)


def counted(folder: Path) -> Tally:
    """The tally of all chunks of the recording in *folder*."""
    writer = WindowWriter(folder)
    writer.close()
    return writer.tally
