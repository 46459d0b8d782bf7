"""The contract of every telemetry source; a test class of each source inherits it and says how one is started."""

from __future__ import annotations

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from tasks.base.process import ProcessId
from tasks.telemetry.samples import read_samples, read_series
from tasks.telemetry.source import TelemetrySource


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait until *condition* holds; fail after *timeout_s*."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.02)


class SourceContract(ABC):
    """What a source promises, whatever it reads from."""

    @abstractmethod
    def started(self, out: Path) -> AbstractContextManager[TelemetrySource]:
        """A started source that has something to read and commits every fraction of a second; stopped at the end."""

    @abstractmethod
    def process(self, source: TelemetrySource) -> ProcessId:
        """The process that does the work."""

    def test_samples_arrive_while_it_runs(self, tmp_path: Path) -> None:
        """Chunks can be read, verified, while the source goes on; its status tells the newest."""
        with self.started(tmp_path) as source:
            until(lambda: source.status().chunk >= 2)
            samples, series = read_samples(tmp_path), read_series(tmp_path)

            assert samples.last_chunk >= 2
            assert len(samples.series) > 0
            assert int(samples.series.max()) < len(series)
            assert source.status().alive

    def test_stopping_flushes_and_is_final(self, tmp_path: Path) -> None:
        """After stop nothing is added; a second stop changes nothing."""
        with self.started(tmp_path) as source:
            until(lambda: source.status().chunk >= 1)
            first = source.stop()
            second = source.stop()

        assert not first.alive
        assert first == second
        assert read_samples(tmp_path).last_chunk == first.chunk

    def test_a_killed_one_goes_on_where_it_stood(self, tmp_path: Path) -> None:
        """After kill -9, what was committed stays as it is, series keep their numbers, later samples follow once it is started again."""
        with self.started(tmp_path) as source:
            until(lambda: source.status().chunk >= 1)
            assert not source.keep()
            self.process(source).signal(signal.SIGKILL)
            until(lambda: not source.status().alive)
            before, series = read_samples(tmp_path), read_series(tmp_path)

            assert source.keep()
            until(lambda: read_samples(tmp_path).last_chunk > before.last_chunk)
            status = source.stop()

        after = read_samples(tmp_path)
        assert status.restarts == 1
        assert read_series(tmp_path)[: len(series)] == series
        kept = np.isin(after.time_ms, before.time_ms)
        assert after.value[kept].tobytes() == before.value.tobytes()
        assert int(after.time_ms.max()) > int(before.time_ms.max())
