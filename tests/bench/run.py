"""``python -m tests.bench.run [--only PREFIX]``: measure, write ``build/bench.json``, print one table."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Iterator

from tests.bench.rows import FIGURES, Row, merged, read_rows, write_rows
from tests.bench.table import printed

BENCHES: dict[str, tuple[str, ...]] = {
    # module with a function `measure(only)`: the names of its rows
    "tests.bench.command_line": ("cli.help.wall", "cli.check.wall", "cli.plan.wall", "evaluate.noop.wall"),
    "tests.bench.bare_flow": ("prefect.overhead",),
    "tests.bench.pivot": ("matrix.pivot",),
    "tests.bench.feature_matrix": ("matrix.build",),
    "tests.bench.long_recording": ("matrix.day.cpu", "matrix.day.rss"),
    "tests.bench.volumes": ("measures.vus_exact_1e5", "measures.vus_sampled_1e5", "measures.suite_1e5"),
    "tests.bench.fitted": (
        "detectors.robust_z",
        "detectors.ewma",
        "detectors.pca_spe",
        "detectors.pca_t2",
        "detectors.mahalanobis",
        "detectors.kmeans",
        "detectors.isolation_forest",
        "detectors.ocsvm",
        "detectors.all_1e5x200",
    ),
    "tests.bench.day": ("evaluate.day.wall", "evaluate.day.rss"),
    "tests.bench.scraping": ("scrape.cpu", "scrape.cpu.idle", "scrape.rss", "scrape.pss"),
    "tests.bench.kubelet": (
        "kubelet.scrape.cpu",
        "kubelet.scrape.rss",
        "kubelet.scrape.api_cpu",
        "kubelet.scrape.received",
        "kubelet.scrape.samples",
    ),
    "tests.bench.snapshot": (
        "snapshot.remote_read.wall",
        "snapshot.json.wall",
        "snapshot.rss",
        "snapshot.bytes_per_sample",
        "snapshot.tsdb_ratio",
        "snapshot.server_cpu",
        "snapshot.growth_10x",
        "snapshot.growth_10x.rss",
        "snapshot.tail.cpu",
        "snapshot.tail.received",
    ),
    "tests.bench.many_pods": ("kube.pods", "kube.pods.rss", "kube.pods.growth_10x", "kube.pods.watch", "kube.pods.watch.rss"),
    "tests.bench.ready": ("kube.ready",),
    "tests.bench.generating": ("load.generator.requests", "load.generator.rss"),
    "tests.bench.fidelity": (
        "load.fidelity.constant",
        "load.fidelity.steps",
        "load.fidelity.ramp",
        "load.fidelity.day-night",
        "load.fidelity.flash-crowd",
        "load.fidelity.csv",
    ),
}
NAMES = tuple(name for names in BENCHES.values() for name in names)


def measured(prefix: str) -> Iterator[Row]:
    """The rows whose names begin with *prefix*, each as soon as it is measured."""
    for module, names in BENCHES.items():
        wanted = frozenset(name for name in names if name.startswith(prefix))
        if wanted:
            begun_s = time.monotonic()
            print(
                f"{', '.join(sorted(wanted))} ... (other work on the machine: load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True
            )
            yield from importlib.import_module(module).measure(wanted)
            print(f"  took {time.monotonic() - begun_s:.0f} s", file=sys.stderr, flush=True)


def earlier() -> list[Row]:
    """Rows of earlier runs; none when the file is not ours to read, which is said."""
    try:
        return read_rows(FIGURES)
    except ValueError as error:
        print(f"{FIGURES} is begun anew: {error}", file=sys.stderr)
        return []


def main() -> int:
    """Measure; rows of earlier runs that were not asked for now are kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run", description="speed and memory, as ratios where a peer exists")
    parser.add_argument("--only", default="", metavar="PREFIX", help="only rows whose names begin with this")
    only = parser.parse_args().only
    if not any(name.startswith(only) for name in NAMES):
        parser.error(f"no row begins with {only!r}; there are: {', '.join(NAMES)}")
    old, rows = earlier(), list[Row]()
    for row in measured(only):
        rows.append(row)
        found = merged(old, rows)
        write_rows(FIGURES, sorted((one for one in found if one.name in NAMES), key=lambda one: NAMES.index(one.name)))
    print(printed(rows))
    missed = [row.name for row in rows if row.met is False]
    print(f"{len(rows)} rows, {len(missed)} goals missed{': ' + ', '.join(missed) if missed else ''}; all of them: {FIGURES}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
