"""The labels on every object that we create: how a run's things are found again, and removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Part = Literal["app", "load", "telemetry", "fault", "lease"]
MANAGED_BY = "app.kubernetes.io/managed-by"
RUN = "tidegauge.dev/run"
PART = "tidegauge.dev/part"
OURS = f"{MANAGED_BY}=tidegauge"
"""Selects everything of ours, of all runs."""


def run_labels(run: str, part: Part) -> dict[str, str]:
    """What an object of *run* carries."""
    return {MANAGED_BY: "tidegauge", RUN: run, PART: part}


def run_selector(run: str, part: Part | None = None) -> str:
    """Selects the objects of *run*, of one part or of all."""
    return ",".join([OURS, f"{RUN}={run}", *([] if part is None else [f"{PART}={part}"])])


def selects(selector: Any, labels: Mapping[str, Any] | None) -> bool:
    """Whether a Service's *selector* (or ``matchLabels``) matches *labels*; an empty one, or none, matches nothing."""
    return isinstance(selector, Mapping) and bool(selector) and all((labels or {}).get(name) == value for name, value in selector.items())


def labelled(manifest: Mapping[str, Any], run: str, part: Part) -> dict[str, Any]:
    """*manifest* with the labels of *run* added to its own; pod templates are left alone, since their labels may be selected by."""
    metadata = dict(manifest.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **run_labels(run, part)}
    return {**manifest, "metadata": metadata}
