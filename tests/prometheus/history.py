"""
What a database holds, decided beforehand: courses of samples, laid into blocks or shown to nobody yet.

A backfill knows no stale markers: the OpenMetrics text has no way to write them (its NaN is an ordinary one). They come from a
scrape of an exporter that vanished (``exporter.Exporter.vanish``), or by remote write (``push.push``), which keeps bit patterns.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from tasks.telemetry.prometheus.batch import STALE_BITS, Labels

BLOCK_MS = 7_200_000
"""A block of a fresh database: two hours, on even hours since 1970."""
START_MS = 248_611 * BLOCK_MS
"""The beginning of a block in September 2026."""
NORMAL_NAN = float(np.array([0x7FF8000000000001]).view(np.float64)[0])
"""The NaN that Prometheus makes of every NaN it reads from a text; it tells one only by its bits."""
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """One series and all its samples; times ascend strictly. NaN and stale markers are values, by their bits."""

    labels: Labels
    time_ms: NDArray[np.int64]
    """``(n,)``, milliseconds since 1970, UTC."""
    value: NDArray[np.float64]
    """``(n,)``."""

    @classmethod
    def of(cls, labels: Mapping[str, str], time_ms: ArrayLike, value: ArrayLike) -> Self:
        """Labels in their order, numbers as arrays."""
        return cls(tuple(sorted(labels.items())), np.asarray(time_ms, np.int64), np.asarray(value, np.float64))

    def between(self, start_ms: int, end_ms: int) -> Course:
        """Its samples from *start_ms* to *end_ms*, both included."""
        first, last = np.searchsorted(self.time_ms, [start_ms, end_ms + 1])
        return Course(self.labels, self.time_ms[first:last], self.value[first:last])

    def same(self, other: Course) -> bool:
        """Whether labels, times and the bits of all values are equal."""
        bits = np.array_equal(self.value.view(np.int64), other.value.view(np.int64))
        return self.labels == other.labels and np.array_equal(self.time_ms, other.time_ms) and bits

    @property
    def name(self) -> str:
        """The metric's name."""
        return dict(self.labels)["__name__"]

    @property
    def stale(self) -> NDArray[np.bool_]:
        """Which of its samples are stale markers."""
        return np.equal(self.value.view(np.int64), STALE_BITS)


def differing(found: Mapping[Labels, Course], wanted: Iterable[Course]) -> list[str]:
    """What is not the same in both, in words; empty when each course was found bit by bit and nothing else."""
    expected = {course.labels: course for course in wanted}
    missing = [f"missing: {labels}" for labels in expected if labels not in found]
    foreign = [f"not wanted: {labels}" for labels in found if labels not in expected]
    changed = [f"changed: {labels}" for labels in expected if labels in found and not found[labels].same(expected[labels])]
    return missing + foreign + changed


def open_metrics(courses: Iterable[Course]) -> Iterator[str]:
    """The OpenMetrics text of *courses*, a piece a course, without its last line ``# EOF``."""
    stamps: dict[int, tuple[NDArray[np.int64], list[str]]] = {}
    for course in courses:
        known = stamps.get(id(course.time_ms))
        if known is None:
            known = stamps[id(course.time_ms)] = course.time_ms, [_stamp(time) for time in course.time_ms.tolist()]
        prefix = _prefix(course.labels)
        lines = prefix.join(map(str.__add__, _texts(course.value), known[1]))
        yield prefix + lines if lines else ""


def _stamp(time_ms: int) -> str:
    """Seconds, half a millisecond late: promtool multiplies a float by 1,000 and cuts off what is behind the point."""
    return f" {time_ms // 1000}.{time_ms % 1000:03d}5\n"


def _texts(values: NDArray[np.float64]) -> Iterable[str]:
    """The shortest text of each value that is read back the same."""
    whole = bool(np.all(np.isfinite(values) & ~np.signbit(values) & (values < 2**53)) and np.all(values == np.floor(values)))
    return map(str, values.astype(np.int64).tolist()) if whole else map(repr, values.tolist())


def _prefix(labels: Labels) -> str:
    name = dict(labels)["__name__"]
    rest = ",".join(f'{key}="{value.translate(_ESCAPES)}"' for key, value in labels if key != "__name__")
    return f"{name}{{{rest}}} " if rest else f"{name} "


def promtool() -> str:
    """The tool on PATH; the test is skipped where it is absent."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("there is no promtool on PATH")
    return found


def write_blocks(courses: Sequence[Course], data: Path) -> None:
    """
    Lay *courses* as blocks of two hours into the folder *data*, which a server may then be started on.

    Each block is made from a text of its own, as promtool reads the whole text once for every block. Courses that share one
    array of times are written fastest.

    Raises:
        ValueError: There is a stale marker, which cannot be written so, or times that do not ascend.
        OSError: promtool refused the text; the message has its words.
    """
    if any(course.stale.any() for course in courses):
        raise ValueError("stale markers cannot be backfilled; push them")
    if any((np.diff(course.time_ms) <= 0).any() for course in courses):
        raise ValueError("the times of a series must ascend")
    tool = promtool()
    data.mkdir(parents=True, exist_ok=True)
    filled = [course for course in courses if len(course.time_ms)]
    first = min(int(course.time_ms[0]) for course in filled) // BLOCK_MS
    last = max(int(course.time_ms[-1]) for course in filled) // BLOCK_MS
    for window in range(first, last + 1):
        _write_block(tool, _window(filled, window), data)


def _window(courses: Sequence[Course], window: int) -> Iterator[Course]:
    """The parts of *courses* in one block; those that shared their times share them still."""
    shared: dict[int, tuple[NDArray[np.int64], slice]] = {}
    for course in courses:
        known = shared.get(id(course.time_ms))
        if known is None:
            first, last = np.searchsorted(course.time_ms, [window * BLOCK_MS, (window + 1) * BLOCK_MS])
            known = shared[id(course.time_ms)] = course.time_ms[first:last], slice(first, last)
        if len(known[0]):
            yield Course(course.labels, known[0], course.value[known[1]])


def _write_block(tool: str, courses: Iterable[Course], data: Path) -> None:
    with tempfile.NamedTemporaryFile("w", dir=data.parent, suffix=".om", encoding="utf-8", newline="\n") as text:
        for piece in open_metrics(courses):
            text.write(piece)
        if text.tell() == 0:
            return
        text.write("# EOF\n")
        text.flush()
        done = subprocess.run(
            [tool, "tsdb", "create-blocks-from", "openmetrics", "--quiet", text.name, str(data)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise OSError(f"promtool: {(done.stderr or done.stdout).strip()[-500:]}")


def _every(count: int, step_ms: int = 5000, start_ms: int = START_MS) -> NDArray[np.int64]:
    return start_ms + step_ms * np.arange(count, dtype=np.int64)


def jittered() -> tuple[Course, ...]:
    """Three gauges with stamps of their own, up to 300 ms beside the grid of 5 s, over two blocks; every fiftieth scrape is missing."""
    rng = np.random.default_rng(1)
    start_ms = START_MS + BLOCK_MS - 900_000
    courses = []
    for number in range(3):
        time_ms = _every(360, start_ms=start_ms) + rng.integers(-300, 301, 360)
        kept = np.arange(360) % 50 != 49
        courses.append(Course.of({"__name__": "jittered", "number": str(number)}, time_ms[kept], rng.normal(size=360)[kept]))
    return tuple(courses)


def resets() -> tuple[Course, ...]:
    """Counters that begin anew: once to zero, once to a value above zero, and one that falls by a single unit."""
    rng = np.random.default_rng(2)
    steps = rng.integers(0, 20, 240)
    time_ms = _every(240)
    once = np.concatenate([np.cumsum(steps[:100]), np.cumsum(steps[100:]) - steps[100]])
    twice = np.concatenate([np.cumsum(steps[:80]), 3 + np.cumsum(steps[80:160]), 1 + np.cumsum(steps[160:])])
    slip = 1000 + np.cumsum(np.where(np.arange(240) == 120, -1, 1))
    values = {"to_zero": once, "above_zero": twice, "by_one": slip}
    return tuple(Course.of({"__name__": "resetting_total", "how": how}, time_ms, value) for how, value in values.items())


def generations() -> tuple[Course, ...]:
    """Three pods of one workload after one another, each there 20 s before the last one ends; counters begin at zero."""
    courses = []
    for place, pod in enumerate(("orders-7c9d-abcde", "orders-7c9d-fghij", "orders-8d0e-klmno")):
        time_ms = _every(120, start_ms=START_MS + place * 580_000)
        labels = {"namespace": "shop", "pod": pod, "container": "orders", "job": "cadvisor", "instance": f"10.0.0.{place + 1}:8080"}
        cpu = np.cumsum(np.full(120, 0.25 * (place + 1)))
        memory = 4096.0 * (20_000 + 100 * place + np.arange(120) % 7)
        courses.append(Course.of({"__name__": "container_cpu_usage_seconds_total", **labels}, time_ms, cpu - cpu[0]))
        courses.append(Course.of({"__name__": "container_memory_working_set_bytes", **labels}, time_ms, memory))
    return tuple(courses)


ODD_VALUES = (
    "two\nlines",
    'a "quoted" word',
    "back\\slash",
    "\\n",
    "Füße, 水, \N{SNOWMAN}, \N{WHITE SMILING FACE}",
    "\N{PILE OF POO}",
    "e\N{COMBINING ACUTE ACCENT}",
    "\N{RIGHT-TO-LEFT OVERRIDE}abc",
    "tab\tand return\r",
    "a=b,c{d}",
    " ",
    "x" * 3000,
)


def odd_labels() -> tuple[Course, ...]:
    """Label values with line ends, quotes, backslashes, other scripts, or nothing but a space."""
    time_ms = _every(12)
    return tuple(
        Course.of({"__name__": "odd", "text": text, "place": str(place)}, time_ms, np.arange(12) + place)
        for place, text in enumerate(ODD_VALUES)
    )


SPECIAL_VALUES = (
    *(NORMAL_NAN, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 1e300, -1e300),
    *(5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 2.0**53 - 1, 2.0**53, 2.0**53 + 2, -(2.0**63), 2.0**64),
)


def special_values() -> tuple[Course, ...]:
    """NaN, infinities, both zeros, the smallest and largest floats, and where integers end; forwards, backwards, and each for good."""
    values = np.array(SPECIAL_VALUES)
    orders = {"forwards": values, "backwards": values[::-1], "twice": np.repeat(values, 2)}
    kept = {f"only {value!r}": np.full(8, value) for value in (NORMAL_NAN, np.inf, -np.inf, -0.0)}
    return tuple(Course.of({"__name__": "special", "order": order}, _every(len(some)), some) for order, some in {**orders, **kept}.items())


def brief() -> tuple[Course, ...]:
    """Forty series that live for one scrape each, one after the other, beside one that lives for all of them."""
    lasting = Course.of({"__name__": "lasting"}, _every(40), np.arange(40) % 3)
    return (
        lasting,
        *(Course.of({"__name__": "brief", "id": f"{place:02d}"}, _every(40)[place : place + 1], [place]) for place in range(40)),
    )


HISTORIES: dict[str, Callable[[], tuple[Course, ...]]] = {
    "jittered": jittered,
    "resets": resets,
    "generations": generations,
    "odd labels": odd_labels,
    "special values": special_values,
    "brief": brief,
}
"""The hand-made histories, by name: each is the same every time."""


def with_scrapes() -> list[Course]:
    """All hand-made histories, and the scrapes of a target beside them."""
    times = START_MS + 5000 * np.arange(240)
    up = Course.of({"__name__": "up", "job": "orders", "instance": "a:1"}, times, np.ones(240))
    return [up, *(course for made in HISTORIES.values() for course in made())]


def span_ms(courses: Iterable[Course]) -> tuple[int, int]:
    """First and last moment of all their samples."""
    listed = list(courses)
    return min(int(course.time_ms[0]) for course in listed), max(int(course.time_ms[-1]) for course in listed)
