"""The flow over a weekend, and what is computed afterwards: columns, models, the table."""

from __future__ import annotations

from math import ceil, floor

from tests.bench import day, fitted, long_recording
from tests.docs.scale.costs import Costs
from tests.docs.scale.said import Line, reckoned
from tests.docs.scale.sizes import Sizes

SAMPLE_BYTES, CELL_BYTES = 8, 6
"""A sample that a column needs, while columns are made; a cell: a float32 and two masks of a byte."""
ROUTE_SERIES = len(long_recording.EDGES) + 2
DAY_SERIES = long_recording.SERVICES * (
    long_recording.ROUTES * ROUTE_SERIES
    + len(long_recording.PROCESS_GAUGES)
    + len(long_recording.UNWANTED)
    + len(long_recording.CONTAINER_GAUGES)
    + len(long_recording.CONTAINER_COUNTERS)
)
DAY_SAMPLES = DAY_SERIES * long_recording.SCRAPES
DAY_CELLS = 3 * day.ROWS * day.SERVICES * (len(day.GAUGES) + len(day.COUNTERS))
FIT_CELLS = fitted.ROWS * fitted.METRICS
STEPS = 20
"""Tasks of a run besides those of its recordings: training, scores, thresholds, evaluation, ranking, report."""


def flow(sizes: Sizes) -> tuple[Line, ...]:
    """Prefect's part, and what a worker that dies may cost."""
    tasks = 2 * sizes.parts + STEPS
    return (
        Line("tasks", f"{sizes.parts} recordings x 2 + {STEPS}", tasks),
        Line("processor for them, client and server", f"tasks x {sizes.task_s:g} s", tasks * sizes.task_s, "cpu s"),
        Line("pods that are started", f"{sizes.parts} deployments x {sizes.pods:,} pods", sizes.parts * sizes.pods),
        Line("lost at most when a worker dies", f"{sizes.hours:g} h / {sizes.parts} recordings", sizes.weekend_s / sizes.parts, "s"),
        Line("lost on average", "half of that", sizes.weekend_s / sizes.parts / 2, "s"),
    )


def features(sizes: Sizes, costs: Costs) -> tuple[Line, ...]:
    """The feature matrix of the whole weekend, made in one process."""
    base, held, matrix = costs["matrix.day.rss"], sizes.samples_read * SAMPLE_BYTES, sizes.cells * CELL_BYTES
    whole = reckoned(lambda one: one + held + matrix, base)
    once = reckoned(lambda one: floor((sizes.memory_gb * 1e9 - one) / ((held + matrix) / sizes.services)), base)
    return (
        Line("columns", f"{sizes.services} services x {sizes.columns}", sizes.services * sizes.columns),
        Line("matrix", f"{sizes.scrapes:,.0f} rows x columns x {CELL_BYTES} bytes", matrix, "bytes"),
        Line("samples that are held meanwhile", f"samples that the catalogue reads x {SAMPLE_BYTES} bytes", held, "bytes"),
        Line("memory", "`matrix.day.rss` + both", whole, "bytes"),
        Line(
            f"services in {sizes.memory_gb:g} GB",
            f"({sizes.memory_gb:g} GB - `matrix.day.rss`) / what one service needs of both",
            once,
        ),
        Line(
            "parts of the app, then",
            f"both / ({sizes.memory_gb:g} GB - `matrix.day.rss`), rounded up",
            reckoned(lambda one: ceil((held + matrix) / (sizes.memory_gb * 1e9 - one)), base),
        ),
        Line(
            "processor",
            f"samples that the catalogue reads x `matrix.day.cpu` / {DAY_SAMPLES / 1e6:.3g} million",
            reckoned(lambda one: sizes.samples_read * one / DAY_SAMPLES, costs["matrix.day.cpu"]),
            "cpu s",
        ),
    )


def models(sizes: Sizes, costs: Costs) -> tuple[Line, ...]:
    """All detectors over all columns at once, and over one part."""
    columns = sizes.services * sizes.columns
    return (
        Line(
            "training and scores, if it grew with the cells",
            f"`detectors.all_1e5x200` x rows x columns / {FIT_CELLS / 1e6:.3g} million",
            reckoned(lambda one: one * sizes.cells / FIT_CELLS, costs["detectors.all_1e5x200"]),
            "cpu s",
        ),
        Line("one covariance, as `pca_*` and `mahalanobis` have it", "columns x columns x 8 bytes", columns**2 * 8, "bytes"),
        Line(
            "from samples to the table, if it grew with the cells",
            f"`evaluate.day.wall` x rows x columns / {DAY_CELLS / 1e6:.3g} million",
            reckoned(lambda one: one * sizes.cells / DAY_CELLS, costs["evaluate.day.wall"]),
            "s",
        ),
        Line(
            "memory of that",
            f"`evaluate.day.rss` x rows x columns / {DAY_CELLS / 1e6:.3g} million",
            reckoned(lambda one: one * sizes.cells / DAY_CELLS, costs["evaluate.day.rss"]),
            "bytes",
        ),
    )
