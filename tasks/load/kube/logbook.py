"""What generators in pods say, written down as it comes: one raw log for each process, and the newest seconds of all together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from threading import RLock
from typing import Any

from tasks.base.clock import Clock
from tasks.base.files import storage_error
from tasks.load.clocks import ClockFact, shift_of, write_clocks
from tasks.load.kube.lines import Line, Sequence, parsed
from tasks.load.kube.pods import PodState
from tasks.load.raw import RawSecond, raw_files
from tasks.load.status import LoadStatus, status_of

NEWEST_S = 30
"""Seconds that are kept for the status."""
SETTLED_S = 2
"""A second this much older than the newest one gets no more rows, unless a generator is late or lost."""
NOISE_BYTES = 1 << 20
"""Of other things that containers say, so much is kept."""


@dataclass(slots=True)
class Life:
    """One process of a worker."""

    pod: PodState
    """Its pod, when it was first heard."""
    log: int
    """Its number among all processes, from 0."""
    place: int
    """Which of the pod's processes it is, from 0."""
    heard_s: float
    """When it last said something new, on our monotonic clock."""
    newest_s: float = 0.0
    """When that was written, by the clock there."""
    sequence: Sequence = field(default_factory=Sequence)
    path: Path | None = None
    """Its raw log; None: it has not begun yet."""
    origin_wall_s: float | None = None
    """The beginning of the load, by the clock there."""
    first_second: int | None = None
    last_second: int | None = None
    ended: bool = False
    """Whether it said that it has ended in order."""


@dataclass(slots=True)
class Offset:
    """
    The clock of a node against ours: how much later, by ours, its lines came than they were written.

    Nothing comes before it was written, so the least of a minute is the offset and the shortest way of that minute. The median of
    the minutes is not moved by one in which a clock was set, or a backlog was read.
    """

    least_s: dict[int, float] = field(default_factory=dict)
    """By minute of our clock."""
    lines: int = 0

    def add(self, written_s: float, now_s: float) -> None:
        """A line came."""
        minute, seen_s = int(now_s // 60), now_s - written_s
        self.least_s[minute] = min(self.least_s.get(minute, seen_s), seen_s)
        self.lines += 1

    @property
    def seconds(self) -> float:
        """Our clock less that of the node."""
        return median(self.least_s.values())

    @property
    def spread_s(self) -> float:
        """By how much the minutes differ: drift, or a clock that was set."""
        return max(self.least_s.values()) - min(self.least_s.values())


@dataclass(slots=True)
class Logbook:
    """Takes lines from any thread."""

    out: Path
    clock: Clock
    workers: int
    lives: dict[str, Life] = field(default_factory=dict)
    """By the name that each process gave itself."""
    by_worker: dict[int, list[Life]] = field(default_factory=dict)
    """The same by worker, oldest first."""
    offsets: dict[str, Offset] = field(default_factory=dict)
    """By node."""
    seconds: dict[int, RawSecond] = field(default_factory=dict)
    _lock: RLock = field(default_factory=RLock)
    _noise: int = 0

    def take(self, pod: PodState, raw: bytes) -> Life | None:
        """Write down *raw*, a line of *pod*'s log, unless it is there already; whose it is."""
        line = parsed(raw)
        with self._lock:
            if line is None:
                self._keep_noise(pod, raw)
                return None
            life = self._life(pod, line)
            self._compare_clocks(pod, line)
            self._use(life, life.sequence.take(line))
            return life

    def give_up(self, life: Life) -> None:
        """Go on after a hole that cannot be filled."""
        with self._lock:
            self._use(life, life.sequence.give_up())

    def _life(self, pod: PodState, line: Line) -> Life:
        found = self.lives.get(line.life)
        if found is None:
            before = self.by_worker.setdefault(pod.worker or 0, [])
            place = max(pod.restarts, sum(one.pod.uid == pod.uid for one in before))
            found = self.lives[line.life] = Life(pod, len(self.lives), place, self.clock.monotonic_s())
            before.append(found)
        if line.number >= found.sequence.next:
            found.heard_s, found.newest_s = self.clock.monotonic_s(), line.at_s
        return found

    def _compare_clocks(self, pod: PodState, line: Line) -> None:
        self.offsets.setdefault(pod.node or pod.name, Offset()).add(line.at_s, self.clock.wall_s())

    def _use(self, life: Life, lines: Iterable[Line]) -> None:
        for line in lines:
            match line.row.get("kind"):
                case "start":
                    life.origin_wall_s = line.row["origin_wall_s"]
                    life.path = self.out / f"raw-{len(raw_files(self.out)) + 1:06d}.jsonl"
                case "second":
                    self._count(life, line.row)
                case "end":
                    life.ended = True
            if life.path is not None:
                self._append(life.path, line.raw)

    def _append(self, path: Path, raw: bytes) -> None:
        try:
            with path.open("ab") as file:
                file.write(raw + b"\n")
        except OSError as error:
            raise storage_error(error, path) from error

    def _count(self, life: Life, row: dict[str, Any]) -> None:
        second = row["second"] + self.shift_s(life)
        life.first_second = second if life.first_second is None else life.first_second
        life.last_second = second
        self.seconds.setdefault(second, RawSecond(second)).add(row, life.log)
        for old in [old for old in self.seconds if old < second - NEWEST_S]:
            del self.seconds[old]

    def _keep_noise(self, pod: PodState, raw: bytes) -> None:
        said = f"{pod.name}: ".encode() + raw
        self._noise += len(said) + 1
        if self._noise <= NOISE_BYTES:
            self._append(self.out / "generator.log", said)

    def shift_s(self, life: Life) -> int:
        """Whole seconds to add to the seconds of *life*, to have ours."""
        return shift_of(self._offset(life).seconds)

    def _offset(self, life: Life) -> Offset:
        return self.offsets[life.pod.node or life.pod.name]

    def lives_of(self, worker: int) -> list[Life]:
        """The processes of *worker* that were heard, oldest first."""
        with self._lock:
            return list(self.by_worker.get(worker, ()))

    def current(self, worker: int) -> Life | None:
        """The newest process of *worker*; None: it was never heard."""
        return next(reversed(self.lives_of(worker)), None)

    def age_s(self, uid: str) -> float | None:
        """How long ago the newest line of the pod *uid* was written, in seconds; None: it was never heard."""
        with self._lock:
            newest = next((life for life in reversed(self.lives.values()) if life.pod.uid == uid), None)
            if newest is None:
                return None
            return max(0.0, self.clock.wall_s() - newest.newest_s - self._offset(newest).seconds)

    def origin_wall_s(self, *, ours: bool) -> float | None:
        """When the load begins, by our clock or by that of the first worker; None: nobody said so yet."""
        with self._lock:
            first = next((life for life in self.lives.values() if life.origin_wall_s is not None), None)
            if first is None or first.origin_wall_s is None:
                return None
            return first.origin_wall_s + (self.shift_s(first) if ours else 0)

    def noise(self) -> str:
        """Whatever else the containers said."""
        path = self.out / "generator.log"
        return path.read_text(errors="replace").strip() if path.exists() else ""

    def begun(self) -> set[int]:
        """Numbers of the workers that know when the load begins."""
        with self._lock:
            return {life.pod.worker for life in self.lives.values() if life.path is not None and life.pod.worker is not None}

    def status(self, *, alive: bool, finished: bool, restarts: int) -> LoadStatus:
        """The status by the newest second that every worker has logged, or that will get no more rows."""
        with self._lock:
            whole = max((second for second, row in self.seconds.items() if len(row.present) >= self.workers), default=0)
            settled = max(self.seconds, default=0) - SETTLED_S
            last = max((second for second in self.seconds if second <= max(whole, settled)), default=None)
            return status_of(None if last is None else self.seconds[last], alive=alive, finished=finished, restarts=restarts)

    def write_clocks(self) -> None:
        """Write down what is known of the clocks of those who wrote the raw logs."""
        with self._lock:
            facts = {life.path.name: self._fact(life) for life in self.lives.values() if life.path is not None}
        write_clocks(self.out, facts)

    def _fact(self, life: Life) -> ClockFact:
        offset = self._offset(life)
        seconds, spread_s = round(offset.seconds, 4), round(offset.spread_s, 4)
        return ClockFact(life.pod.worker or 0, life.pod.name, life.pod.node, seconds, spread_s, offset.lines)
