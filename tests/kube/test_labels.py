"""How a run's objects are found again."""

from __future__ import annotations

from tasks.kube.labels import labelled, run_labels, run_selector
from tests.kube.selecting import selects

CARTS = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "carts", "namespace": "shop", "labels": {"app": "carts"}}}


def test_a_runs_objects_are_found_by_its_labels():
    """All of it, a part of it, nothing of others; what a manifest had stays, and the manifest itself."""
    item = labelled(CARTS, "r1", "app")

    assert item["metadata"]["labels"] == {"app": "carts", **run_labels("r1", "app")}
    assert [selects(run_selector(*of), "", item) for of in (("r1",), ("r1", "app"), ("r2",), ("r1", "load"))] == [True, True, False, False]
    assert CARTS["metadata"]["labels"] == {"app": "carts"}
