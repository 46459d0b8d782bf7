"""The objects of a load before there is one, to ask a cluster whether it would take them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.load.config import LoadConfig
from tasks.load.journey import journeys_of
from tasks.load.kube.manifests import Crew, manifests
from tasks.load.kube.run import IMAGE
from tasks.load.kube.sources import sources
from tasks.load.plan import plan_of
from tasks.load.shapes import curve_of

NAME = "load-rehearsal"
AT_MOST_S = 3600.0


def objects_of(load: LoadConfig, namespace: str, run: str, *, host: str, folders: Sequence[Path]) -> tuple[dict[str, Any], ...]:
    """
    What *load* puts into *namespace*, under a name that no load has; nothing where generators run on this machine.

    Args:
        load: The section ``load``.
        namespace: Of the app.
        run: Value of the label of the run.
        host: Base address of the app's entry.
        folders: Where CSV files and journey sets are looked for.

    Raises:
        DocumentError: A file is missing or wrong, or the load is too long to be told to pods.
    """
    if load.place == "here":
        return ()
    curve, journeys = curve_of(load.users, folders), journeys_of(load, folders)
    plan = plan_of(load, curve=curve, journeys=journeys, host=load.address or host, seed=0, raw=None)
    crew = Crew(NAME, namespace, run, load.image or IMAGE, load.workers, AT_MOST_S, load.generator_memory_limit_bytes)
    return manifests(crew, plan, sources())
