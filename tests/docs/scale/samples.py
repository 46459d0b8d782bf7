"""Series, samples, bytes: what there is, what is kept, and what a recorder that asks a Prometheus costs."""

from __future__ import annotations

from tasks.telemetry.config import DeployedPrometheus, TelemetryConfig
from tests.bench.snapshot import APPEND_S
from tests.bench.snapshot_history import Recipe
from tests.docs.scale.costs import Costs
from tests.docs.scale.said import Line, figure, reckoned
from tests.docs.scale.sizes import Sizes

BENCH = Recipe()
BENCH_SERIES = 50 * BENCH.targets


def amounts(sizes: Sizes) -> tuple[Line, ...]:
    """How many series and samples."""
    return (
        Line(
            "series that there are",
            f"{sizes.pods:,} pods x ({sizes.own} + {sizes.about}) + {sizes.nodes} nodes x ({sizes.node} + {sizes.node_exporter})",
            sizes.series_all,
        ),
        Line(
            "series that the catalogue reads",
            f"{sizes.pods:,} pods x {sizes.needed} + {sizes.nodes} nodes x {sizes.node_exporter}",
            sizes.series_read,
        ),
        Line("samples of a series", f"{sizes.hours:g} h / {sizes.interval_s:g} s", sizes.scrapes),
        Line("samples in all", "series that there are x samples of a series", sizes.samples_all),
        Line("samples that the catalogue reads", "series that it reads x samples of a series", sizes.samples_read),
        Line("what the server takes in", "series that there are / interval", sizes.series_all / sizes.interval_s, "samples/s"),
    )


def stored(sizes: Sizes, costs: Costs) -> tuple[Line, ...]:
    """Bytes on disks."""
    ours, share = costs["snapshot.bytes_per_sample"], costs["snapshot.tsdb_ratio"]
    theirs = reckoned(lambda one, ratio: one / ratio, ours, share)
    return (
        Line("a sample in the server", "`snapshot.bytes_per_sample` / `snapshot.tsdb_ratio`", theirs, "bytes"),
        Line("the server's disk", "samples in all x that", reckoned(lambda one: one * sizes.samples_all, theirs), "bytes"),
        Line(
            "our store, `match` of the catalogue",
            "samples that it reads x `snapshot.bytes_per_sample`",
            reckoned(lambda one: one * sizes.samples_read, ours),
            "bytes",
        ),
        Line(
            "our store, everything",
            "samples in all x `snapshot.bytes_per_sample`",
            reckoned(lambda one: one * sizes.samples_all, ours),
            "bytes",
        ),
        Line(
            "the server's memory",
            f"series that there are x {sizes.server_bytes:,.0f} bytes (assumed); `deploy.memory_mib` is {DeployedPrometheus(namespace='x').memory_mib} by default",
            sizes.series_all * sizes.server_bytes,
            "bytes",
        ),
    )


def imported(sizes: Sizes, costs: Costs) -> tuple[Line, ...]:
    """The weekend taken out of the server afterwards, with the catalogue's ``match``."""
    ours, share = costs["snapshot.bytes_per_sample"], costs["snapshot.tsdb_ratio"]
    times, per = sizes.samples_read, f"/ {BENCH.samples / 1e6:.3g} million"
    return (
        Line(
            "import afterwards",
            f"samples that the catalogue reads x `snapshot.remote_read.wall` x `snapshot.growth_10x` / {BENCH.samples / 1e5:.3g} million",
            reckoned(
                lambda one, ten: one * ten * times / (10 * BENCH.samples), costs["snapshot.remote_read.wall"], costs["snapshot.growth_10x"]
            ),
            "s",
        ),
        Line(
            "the server's processor for it",
            f"the same x `snapshot.server_cpu` {per}",
            reckoned(lambda one: one * times / BENCH.samples, costs["snapshot.server_cpu"]),
            "cpu s",
        ),
        Line(
            "over the network",
            "the same x bytes of a sample in the server, which sends its chunks as they lie",
            reckoned(lambda one, ratio: one / ratio * times, ours, share),
            "bytes",
        ),
    )


def sent(interval_s: float, flush_s: float, overlap_s: float, chunk: float) -> float:
    """
    Samples that a server sends for each new one, when it is asked every *flush_s* for that and *overlap_s* more.

    It sends whole chunks: of each series the one that is open, half full on average, and what of the asked time lies before it.
    """
    return (chunk / 2 + (flush_s + overlap_s) / interval_s) / (flush_s / interval_s)


def followed(sizes: Sizes, costs: Costs) -> tuple[Line, ...]:
    """The same while the weekend goes on: the server is asked every ``flush_s``."""
    ours, share = costs["snapshot.bytes_per_sample"], costs["snapshot.tsdb_ratio"]
    theirs = reckoned(lambda one, ratio: one / ratio, ours, share)
    factor = sent(sizes.interval_s, sizes.flush_s, sizes.overlap_s, sizes.chunk)
    ten = sent(sizes.interval_s, 10 * sizes.flush_s, sizes.overlap_s, sizes.chunk)
    bench = sent(BENCH.step_s, APPEND_S, 0, sizes.chunk)
    rate, default_s = sizes.series_read / sizes.interval_s, TelemetryConfig().flush_s
    return (
        Line(
            "recorder's processor",
            f"series that the catalogue reads / {BENCH_SERIES:,} x `snapshot.tail.cpu` / {sizes.flush_s:g} s",
            reckoned(lambda one: sizes.series_read / BENCH_SERIES * one / sizes.flush_s, costs["snapshot.tail.cpu"]),
            "cores",
        ),
        Line(
            "samples sent for each new one",
            f"({sizes.chunk} / 2 + ({sizes.flush_s:g} + {sizes.overlap_s:g}) s / {sizes.interval_s:g} s) / ({sizes.flush_s:g} s / {sizes.interval_s:g} s)",
            factor,
        ),
        Line(
            "over the network",
            "new samples a second x that x bytes of a sample in the server",
            reckoned(lambda one: rate * factor * one, theirs),
            "bytes/s",
        ),
        Line(
            f"the same with `flush_s: {10 * sizes.flush_s:g}`",
            "as above",
            reckoned(lambda one: rate * ten * one, theirs),
            "bytes/s",
        ),
        Line(
            "a check of that model, bytes for a new sample",
            f"at the sizes of the benchmark; it measured `snapshot.tail.received` = {_measured(costs)}",
            reckoned(lambda one: bench * one, theirs),
            "bytes",
        ),
        Line("chunk files", f"{sizes.hours:g} h / {sizes.flush_s:g} s", sizes.weekend_s / sizes.flush_s),
        Line(f"chunk files with the default `flush_s: {default_s:g}`", "as above", sizes.weekend_s / default_s),
    )


def _measured(costs: Costs) -> str:
    return figure(costs["snapshot.tail.received"], "bytes")
