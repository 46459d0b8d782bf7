"""The cluster on the page: nodes, images and pods, from what a recording wrote down of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.cluster.kube.facts import images, node_facts
from tasks.reporting.cluster_facts import ClusterFacts, pods_of
from tasks.reporting.clusters import grids
from tasks.reporting.grid import Grid
from tasks.reporting.model import ReportData
from tasks.reporting.page import render
from tests.reporting.structure import parse
from tests.reporting.synthetic import report_data
from tests.telemetry.kube.saved import saved

DIGEST = "registry.test/shop@sha256:" + "5" * 64
NODE = {
    "name": "node1",
    "kernel": "6.18.44",
    "system": "Debian GNU/Linux 12 (bookworm)",
    "architecture": "amd64",
    "runtime": "containerd://1.6.20",
    "kubelet": "v1.36.3",
    "capacity": {"cpu": "4", "memory": "24684096Ki", "pods": "110"},
    "allocatable": {"cpu": "2500m", "memory": "24479296Ki", "pods": "100"},
}
TOLD: dict[str, Any] = {
    "version": "v1.36.3",
    "namespace": "shop",
    "nodes_used": ["node1"],
    "nodes": [NODE],
    "images": [{"image": "shop:1", "digest": DIGEST, "part": "app", "containers": ["carts/carts", "user/user"]}],
    "notes": [],
}


def pod(name: str, *, service: str = "carts", phase: str = "Running", restarts: tuple[int, ...] = (0,), **more: Any) -> dict[str, Any]:
    """A line about a pod of as many containers as there are counts of restarts."""
    boxes = [
        {"name": f"c{place}", "running": True, "restarts": count, "waiting": None, "ended": None, "image": f"docker-pullable://{DIGEST}"}
        for place, count in enumerate(restarts)
    ]
    line = {"kind": "pod", "time_s": 1.0, "pod": name, "uid": name, "service": service, "node": "node1", "phase": phase}
    return {**line, "ready": True, "containers": [{**one, **more} for one in boxes]}


def replica(name: str, number: int) -> dict[str, Any]:
    """A line about a pod that took a place."""
    return {"kind": "replica", "time_s": 1.0, "uid": name, "pod": name, "service": "carts", "replica": number}


def data(told: dict[str, Any] = TOLD, *lines: dict[str, Any]) -> ReportData:
    """A report whose recordings were all made in that cluster."""
    made = report_data()
    facts = ClusterFacts.of(told, lines)
    return replace(made, recordings=tuple(replace(view, cluster=facts) for view in made.recordings))


def cells(grid: Grid) -> list[list[str]]:
    """The texts of a table."""
    return [[cell.text for cell in row.cells] for row in grid.rows]


def test_a_node_is_told_once_for_all_recordings_that_ran_on_it():
    """Kubelet, kernel, system, runtime, and what it can give: what is allocatable, not what it has."""
    nodes, _, _ = grids(data())

    assert cells(nodes) == [
        [
            *("node1", "v1.36.3", "6.18.44", "Debian GNU/Linux 12 (bookworm)", "containerd://1.6.20"),
            *("2.5", "23,906 MiB", "100", "training, calibration and faults"),
        ]
    ]
    assert "Kubernetes v1.36.3" in nodes.caption
    assert "namespace shop" in nodes.caption


def test_a_node_that_became_another_is_told_twice():
    """A kernel that was changed between two recordings is no detail."""
    made = data()
    changed = ClusterFacts.of({**TOLD, "nodes": [{**NODE, "kernel": "6.19.0"}]}, ())
    nodes, _, _ = grids(replace(made, recordings=(*made.recordings[:2], replace(made.recordings[2], cluster=changed))))

    assert [(row[2], row[-1]) for row in cells(nodes)] == [("6.18.44", "training and calibration"), ("6.19.0", "faults")]


def test_nodes_that_may_not_be_looked_at_are_not_invented():
    """The recording's own note says which right is missing."""
    nodes, _, _ = grids(data({**TOLD, "nodes": None, "notes": ["this login may not look at nodes"]}))

    assert nodes.rows == ()
    assert nodes.empty == "this login may not look at nodes"


def test_images_are_told_by_the_digest_that_ran():
    """The first digits, with all of it and its repository as the tooltip; `-` where the runtime did not say."""
    untold = {"image": "late:1", "digest": None, "part": "app", "containers": ["x/x"]}
    _, found, _ = grids(data({**TOLD, "images": [*TOLD["images"], untold]}))

    assert [row[:3] for row in cells(found)] == [["shop:1", "sha256:555555555555", "carts/carts, user/user"], ["late:1", "-", "x/x"]]
    assert found.rows[0].cells[1].why == DIGEST


def test_a_pod_is_told_as_it_was_last_seen():
    """Its restarts by container, the place that it had, and whether it was gone before the end."""
    lines = (
        pod("carts-b", restarts=(0, 0)),
        replica("carts-b", 0),
        pod("carts-b", restarts=(0, 2), ended="OOMKilled"),
        pod("carts-a", phase="Gone"),
        pod("user-a", service="user"),
    )
    _, _, found = grids(data(TOLD, *lines))
    first = [row for row in found.rows if row.cells[1].text == "faults"]

    assert [(row.cells[0].text, row.cells[2].text, row.cells[5].value, row.cells[6].text) for row in first] == [
        ("carts", "carts-b", 2, "there at the end"),
        ("carts", "carts-a", 0, "gone before the end"),
        ("user", "user-a", 0, "there at the end"),
    ]
    assert (first[0].cells[0].sub, first[0].cells[5].sub) == ("replica 0", "c0 0, c1 2")
    assert first[0].cells[6].sub == "last ended: c0 OOMKilled, c1 OOMKilled"
    assert first[0].cells[4].text == "c0 sha256:555555555555, c1 sha256:555555555555"
    assert [row.quiet for row in first] == [False, True, False]


def test_the_order_is_by_service_and_place():
    """However the lines came."""
    lines = [pod("z", service="a"), pod("b"), pod("a"), replica("a", 1), replica("b", 0), {"kind": "event", "uid": "e", "time_s": 1.0}]

    assert [(one.name, one.replica) for one in pods_of(lines)] == [("z", None), ("b", 0), ("a", 1)]


@pytest.mark.parametrize("told", [{}, {"carts": {"pid": 7}}, {"namespace": "shop"}, {"images": {"port": 1}, "namespace": {"pid": 1}}])
def test_an_app_on_no_cluster_has_no_such_tables(told):
    """What ran there is told by service on one machine, and not at all of what was imported."""
    assert ClusterFacts.of(told, ()) is None
    assert grids(data(told)) == ()
    assert 'id="nodes"' not in render(data(told))


def test_what_a_cluster_really_says_is_what_the_page_shows():
    """From the API's own reply to the table, without a word between."""
    node = node_facts(
        {
            "metadata": {"name": "n"},
            "status": {
                "nodeInfo": {"kernelVersion": "6.1", "kubeletVersion": "v1.36.3", "containerRuntimeVersion": "cri-o://1.3"},
                "allocatable": {"cpu": "2", "memory": "1Gi"},
            },
        }
    )
    nodes, ran, _ = grids(data({**TOLD, "nodes": [node], "images": images(saved("pods"))}))

    assert cells(nodes)[0] == ["n", "v1.36.3", "6.1", "-", "cri-o://1.3", "2", "1,024 MiB", "-", "training, calibration and faults"]
    assert all(row[1].startswith("sha256:") for row in cells(ran))


def test_the_page_shows_them_among_what_was_run():
    """As tables like all others, with ids of their own."""
    page = parse(render(data(TOLD, pod("carts-a"))))

    assert page.problems == []
    for name, words in (("nodes", "containerd://1.6.20"), ("images", "sha256:555555555555"), ("pods", "carts-a")):
        assert words in page.all("table", id=name)[0].text


def test_names_out_of_a_cluster_are_text_and_nothing_else():
    """Whoever names a node, an image or a pod writes no markup into the page."""
    evil = "<script>alert(1)</script>\u202e"
    told = {**TOLD, "version": evil, "nodes": [{**NODE, "name": evil, "kernel": evil}], "notes": [evil]}
    told["images"] = [{"image": evil, "digest": evil, "containers": [evil]}]
    html = render(data(told, pod(evil, service=evil, ended=evil)))

    assert "<script>alert" not in html
    assert "\u202e" not in html
    assert parse(html).problems == []
