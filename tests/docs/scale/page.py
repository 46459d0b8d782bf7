"""The tables of ``docs/scale.md``, by the names of their places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tests.docs.scale.cluster import events, generators, kubelets, objects
from tests.docs.scale.computing import features, flow, models
from tests.docs.scale.costs import COSTS, Costs, read_costs
from tests.docs.scale.match import deployed, source
from tests.docs.scale.said import Line, figure
from tests.docs.scale.samples import amounts, followed, imported, stored
from tests.docs.scale.sizes import Sizes, sizes_rows

MEMORY_MIB, VOLUME_GIB = 8192, 80
"""Of a Prometheus that is put into the cluster: about twice what the tables say."""
Table = Callable[[Sequence[str], Iterable[Sequence[Any]]], str]


def scale_blocks(table: Table, sizes: Sizes | None = None, costs: Costs | None = None) -> dict[str, str]:
    """Every printed part of the page; *table* makes Markdown of a head and rows."""
    size, known = sizes or Sizes(), read_costs() if costs is None else costs

    def lines(found: Iterable[Line]) -> str:
        return table(("what", "how", "figure"), [one.cells for one in found])

    return {
        "scale-costs": table(
            ("unit cost", "row of the benchmark", "figure"), [(one.what, f"`{one.row}`", figure(known[one.row], one.unit)) for one in COSTS]
        ),
        "scale-sizes": table(("size", "value", "whence"), sizes_rows(size)),
        "scale-samples": lines(amounts(size)),
        "scale-stored": lines(stored(size, known)),
        "scale-imported": lines(imported(size, known)),
        "scale-followed": lines(followed(size, known)),
        "scale-kubelets": lines(kubelets(size, known)),
        "scale-objects": lines(objects(size, known)),
        "scale-load": lines(generators(size, known)),
        "scale-flow": lines(flow(size)),
        "scale-features": lines(features(size, known)),
        "scale-models": lines(models(size, known)),
        "scale-events": lines(events(size)),
        "scale-deploy": f"```yaml\n{deployed(size, MEMORY_MIB, VOLUME_GIB)}```\n",
        "scale-match": f"```yaml\n{source(size)}```\n",
    }
