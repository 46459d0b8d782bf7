"""
What watches of the API server tell beside a Prometheus: brought into the same recording, under the names of the kubelet source.

The watching process writes chunks into a folder of its own; the reader of the Prometheus takes them over with each of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.base.files import read_json
from tasks.telemetry.kube.state import KUBERNETES, STATE_JOB
from tasks.telemetry.packed import Columns
from tasks.telemetry.prometheus.tally import NEVER, Tally
from tasks.telemetry.samples import read_samples, read_series
from tasks.telemetry.series import Series, SeriesTable

FOLDER = "kubernetes"
"""Of the watching process, in that of the recording while it goes on."""
EVENTS = "watch-events.jsonl"
"""What happened to that process, in the folder of the recording when it has ended."""
STATE = "kube_"
"""How kube-state-metrics begins its names."""
LEFT_OUT = -1


class Beside:
    """
    Follows the chunks in *folder*.

    A name that the server tells itself (it has kube-state-metrics) is left to it from then on: two tellers would count twice.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken = self._read = 0
        self._known: tuple[Series, ...] = ()
        self._numbers: NDArray[np.int32] = np.empty(0, np.int32)
        """By a series' number in the folder, that in the recording."""
        self._theirs: set[str] = set()
        self._looked = 0

    def columns(self, tally: Tally) -> Iterator[Columns]:
        """
        What came since the last :meth:`taken` and *tally* has not counted, by the series' numbers in its table.

        Raises:
            StorageError: A chunk is not what was written.
        """
        samples = read_samples(self._folder, self._taken)
        self._read = samples.last_chunk
        if not len(samples.series):
            return
        self._learn(tally.table, int(samples.series.max()))
        newest = np.full(len(tally.table), NEVER)
        newest[: len(tally.last_ms)] = tally.last_ms
        numbers = self._numbers[samples.series]
        new = (numbers != LEFT_OUT) & (samples.time_ms > newest[numbers])
        yield numbers[new], samples.time_ms[new], samples.value[new]

    def taken(self) -> None:
        """What was last given is safely in the recording."""
        self._taken = self._read

    def facts(self, tally: Tally) -> dict[str, Any]:
        """What of the recording came this way, and what did not."""
        path = self._folder / "collector.json"
        told = (read_json(path) if path.exists() else {}).get("kubelet", {})
        mine = self._numbers[(self._numbers != LEFT_OUT) & (self._numbers < len(tally.count))]
        return {
            "by": "watches of the API server",
            "series": len(mine),
            "samples": int(tally.count[mine].sum()),
            "left_to_the_server": sorted({one.name for one in self._known} & self._theirs),
            "requests": told.get("requests", 0),
            "unknown_ticks": told.get("unknown_ticks", 0),
            "not_allowed": list(told.get("not_allowed", ())),
        }

    def _learn(self, table: SeriesTable, newest: int) -> None:
        """Number the series up to *newest* that are new, and see what the server has begun to tell itself."""
        known = len(self._known)
        if newest >= known:  # reading them goes through the whole ledger
            self._known = read_series(self._folder)
        found = {one.name for one in table.since(self._looked) if one.name.startswith(STATE) and not _ours(one)}
        self._theirs |= found
        numbers = [LEFT_OUT if one.name in self._theirs else numbered(table, one) for one in self._known[known:]]
        if found:
            self._numbers[np.array([one.name in found for one in self._known[:known]], bool)] = LEFT_OUT
        self._numbers = np.append(self._numbers, np.array(numbers, np.int32))
        self._looked = len(table)


def numbered(table: SeriesTable, one: Series) -> int:
    """
    The number of *one* in *table*.

    The looks themselves get an instance, so that they are a target of their own, and nobody expects of a workload's state that it
    is told at each of them: a replica may be gone.
    """
    labels = {"job": STATE_JOB, "instance": KUBERNETES} if one.role == "harness" else one.labels
    return table.number(one.role, one.service, one.name, labels)


def _ours(one: Series) -> bool:
    """Whether a series was told by a watch: what a server scrapes has an instance."""
    return one.labels.get("job") == STATE_JOB and "instance" not in one.labels
