"""A pod of several containers: each has series of its own, and a service's columns are their sum; none stands for its pod."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tasks.features.build import build_from
from tasks.features.config import FeaturesConfig
from tasks.telemetry.chunks import ChunkWriter
from tasks.telemetry.kube.kubelet import KubeletParser
from tasks.telemetry.kube.pods import pod_view
from tasks.telemetry.kube.state import pod_state
from tasks.telemetry.samples import read_samples, read_series
from tasks.telemetry.series import SeriesTable
from tests.telemetry.kube.saved import NAMESPACE, pod, text

CPU, MEMORY = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"
MESH_ID = "e" * 64
T0_MS = 1795705800_000


def page_with(mesh: dict[str, float], *, page: str = "cadvisor") -> str:
    """A real page on which the pod store-0 has a second container, with these values by name."""
    kept = []
    for line in text(page).split("\n"):
        kept.append(line)
        name = line.partition("{")[0]
        if 'container="db"' in line and name in mesh:
            told = re.sub(r"/[0-9a-f]{64}", "/" + MESH_ID, line.replace('container="db"', 'container="mesh"'))
            kept.append(re.sub(r"} \S+", f"}} {mesh[name]}", told))
    return "\n".join(kept)


def parser(table: SeriesTable, job: str = "cadvisor") -> KubeletParser:
    """Of a node on which store-0 has its seat."""
    seats = {"store-0": ("store", 0)}
    return KubeletParser(table, namespace=NAMESPACE, node="node1", job=job, seat_of=lambda name, _: seats.get(name))


def values(table: SeriesTable, page: str, name: str, *, reader: KubeletParser) -> dict[str, float]:
    """Value by container of the pod's series of that name."""
    found = reader.parse(page)
    told = [(table.since(0)[number], value) for number, value in zip(found.numbers, found.values, strict=True)]
    mine = [(one.labels["container"], value) for one, value in told if (one.role, one.service, one.name) == ("container", "store", name)]
    assert len(dict(mine)) == len(mine)
    return dict(mine)


@pytest.mark.parametrize(("job", "db"), [("cadvisor", 0.223970577), ("resource", 0.226795548)])
def test_each_container_of_a_pod_has_series_of_its_own(job, db):
    """Of one service and one replica, told apart by the label ``container``; whichever page tells of them."""
    table = SeriesTable()
    reader = parser(table, job)
    page = page_with({CPU: 0.5, MEMORY: 7e6}, page=job)

    assert values(table, page, CPU, reader=reader) == {"db": db, "mesh": 0.5}
    assert {one.labels["replica"] for one in table.since(0) if one.service == "store"} == {"0"}


def test_a_sidecar_that_starts_again_leaves_the_others_alone():
    """Of two ids of one container the younger counts; that of another container is no such thing."""
    table = SeriesTable()
    first = page_with({CPU: 0.5, "container_start_time_seconds": 1795705000.0})
    again = page_with({CPU: 0.01, "container_start_time_seconds": 1795705900.0}).replace(MESH_ID, "f" * 64)
    both = "\n".join(line for line in again.split("\n") if 'container="mesh"' in line) + "\n" + first

    assert values(table, both, CPU, reader=parser(table)) == {"db": 0.223970577, "mesh": 0.01}


def test_restarts_and_limits_are_told_by_container():
    """The pod is as ready as Kubernetes says; what a container is, is told of that container."""
    value = pod()
    (status,), (spec,) = value["status"]["containerStatuses"], value["spec"]["containers"]
    value["spec"]["containers"].append({**spec, "name": "mesh", "resources": {"limits": {"cpu": "100m"}}})
    value["status"]["containerStatuses"].append({**status, "name": "mesh", "restartCount": 3, "ready": False, "resources": None})
    told = {(one.name, one.labels.get("container"), one.labels.get("resource")): one.value for one in pod_state(pod_view(value))}

    restarts, ready, limits = (f"kube_pod_container_{name}" for name in ("status_restarts_total", "status_ready", "resource_limits"))
    assert (told[restarts, "front", None], told[restarts, "mesh", None]) == (0.0, 3.0)
    assert (told[ready, "front", None], told[ready, "mesh", None]) == (1.0, 0.0)
    assert told[limits, "mesh", "cpu"] == 0.1
    assert told[limits, "front", "cpu"] != 0.1


def test_a_services_columns_are_the_sum_of_its_containers(tmp_path):
    """From the kubelet's page to the column: CPU and memory of both, of which neither alone is the pod's."""
    writer = ChunkWriter(tmp_path)
    reader = parser(writer.table, "resource")
    for look in range(60):
        mesh = {CPU: 0.5 + 0.05 * 10 * look, MEMORY: 7e6}
        page = re.sub(r"(?<=} )(\S+) \d{13}$", rf"\1 {T0_MS + 10_000 * look}", page_with(mesh, page="resource"), flags=re.MULTILINE)
        page = re.sub(rf'({CPU}{{container="db".*}} )\S+', rf"\g<1>{0.2 * 10 * look}", page)
        found = reader.parse(page)
        writer.add(T0_MS + 10_000 * look, found.numbers, found.values, found.stamps_ms)
    writer.flush()
    writer.close()
    series, samples, settings = read_series(tmp_path), read_samples(tmp_path), FeaturesConfig(grid_s=5.0, rate_window_s=60.0)
    matrix = build_from(series, samples, settings, start_s=T0_MS / 1000, end_s=T0_MS / 1000 + 580)

    alone = {one.labels["container"]: one.id for one in series if (one.service, one.name) == ("store", MEMORY)}
    db, mesh_bytes = (float(samples.value[samples.series == alone[name]][0]) for name in ("db", "mesh"))
    level, cores = (matrix.column(f"store/{name}")[30:] for name in ("memory_working_set_bytes", "cpu_cores"))
    assert (~np.isnan(level)).mean() > 0.9
    assert set(level[~np.isnan(level)].tolist()) == {db + mesh_bytes}
    assert cores[~np.isnan(cores)] == pytest.approx(0.25, rel=1e-3)
