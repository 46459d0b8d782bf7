"""Which rows of a kubelet's pages become samples, and of which series."""

from __future__ import annotations

import re

import pytest

from tasks.telemetry.exposition import ExpositionError
from tasks.telemetry.kube.kubelet import KubeletParser
from tasks.telemetry.series import SeriesTable
from tests.telemetry.kube.saved import NAMESPACE, text

SEATS = {"front-768b7cb47d-f9tsc": ("front", 0), "front-768b7cb47d-2vhdl": ("front", 1), "store-0": ("store", 0)}
CPU = "container_cpu_usage_seconds_total"


def parser(table, *, job="cadvisor", containers=True, seats=SEATS):
    """A parser for whom the pods sit as told."""
    return KubeletParser(table, namespace=NAMESPACE, node="node1", job=job, seat_of=lambda pod, _: seats.get(pod), containers=containers)


def told(table, exposed):
    """Role, service, name, replica -> value and stamp of each sample."""
    series = table.since(0)
    found = {}
    for place, (number, value) in enumerate(zip(exposed.numbers, exposed.values, strict=True)):
        one = series[number]
        key = (one.role, one.service, one.name, one.labels.get("replica"))
        assert (key, tuple(sorted(one.labels.items()))) not in found
        found[key, tuple(sorted(one.labels.items()))] = (value, exposed.stamps_ms.get(place))
    return {key[0]: value for key, value in found.items()}


def test_each_container_counts_once():
    """CPU by the container's own row, neither by its pod's nor by the sandbox's; other namespaces and the node's own services are left out."""
    table = SeriesTable()
    found = told(table, parser(table).parse(text("cadvisor")))

    cpu = {key: value for key, value in found.items() if key[2] == CPU and key[0] == "container"}
    assert cpu == {
        ("container", "front", CPU, "0"): (0.290237935, 1795705707498),
        ("container", "front", CPU, "1"): (0.291967349, 1795705707219),
        ("container", "store", CPU, "0"): (0.223970577, 1795705705925),
    }
    assert {service for _, service, _, _ in found} == {"front", "store", "node"}


def test_network_is_told_of_whole_pods():
    """By the row of the sandbox, once a pod and interface."""
    table = SeriesTable()
    found = told(table, parser(table).parse(text("cadvisor")))

    network = {key: value for key, value in found.items() if key[2] == "container_network_receive_bytes_total"}
    assert sorted(key[:2] + key[3:] for key in network) == [
        ("node", "node", None),
        ("pod", "front", "0"),
        ("pod", "front", "1"),
        ("pod", "store", "0"),
    ]


def test_the_names_of_pods_are_no_part_of_a_series():
    """Nor are ids, images and machines: the same in every recording, and after every restart."""
    table = SeriesTable()
    parser(table).parse(text("cadvisor"))

    names = {name for one in table.since(0) for name in one.labels}
    assert names <= {"job", "replica", "node", "container", "cpu", "interface", "device"}
    assert {one.labels["job"] for one in table.since(0)} == {"cadvisor"}


def test_rows_that_were_seen_are_not_told_again():
    """The same page twice gives what has no stamp of its own, and nothing else; the next look gives what it saw."""
    table = SeriesTable()
    reader = parser(table)
    first, again = reader.parse(text("cadvisor")), reader.parse(text("cadvisor"))
    later = reader.parse(re.sub(r"1795705707498$", "1795705708498", text("cadvisor"), flags=re.MULTILINE))

    assert again.stamps_ms == {}
    assert {table.since(0)[number].name for number in again.numbers} == {
        "container_start_time_seconds",
        "machine_cpu_cores",
        "machine_memory_bytes",
    }
    assert reader.repeated == 2 * len(first.stamps_ms) - len(later.stamps_ms)
    assert set(later.stamps_ms.values()) == {1795705708498}


def test_a_parser_goes_on_where_another_one_stopped():
    """What a killed collector had recorded is known by its newest stamps."""
    table = SeriesTable()
    first = parser(table).parse(text("cadvisor"))
    resumed = parser(table)
    resumed.resume({first.numbers[place]: stamp for place, stamp in first.stamps_ms.items()})

    assert resumed.parse(text("cadvisor")).stamps_ms == {}


def restarted(page, *, younger=1795705799.0):
    """The page when the container of store-0 was started again, and the old one is still told of."""
    rows = [line for line in page.split("\n") if 'container="db"' in line]
    again = [re.sub(r"/[0-9a-f]{64}", "/" + "f" * 64, line) for line in rows]
    again = [re.sub(r"} \S+ (\d+)$", "} 0.01 1795705708000", line) for line in again]
    again = [re.sub(r"(start_time.*} ).*", rf"\g<1>{younger}", line) for line in again]
    return "\n".join([*again, page])


@pytest.mark.parametrize(("younger", "value"), [(1795705799.0, 0.01), (1.0, 0.223970577)])
def test_of_a_container_that_was_started_again_the_younger_one_counts(younger, value):
    """Whichever is told first: its counter begins anew in the same series."""
    table = SeriesTable()
    found = told(table, parser(table).parse(restarted(text("cadvisor"), younger=younger)))

    assert found["container", "store", CPU, "0"][0] == value


def test_a_successor_goes_on_in_the_series_of_its_predecessor():
    """The seat, not the pod, is what a series is of."""
    table = SeriesTable()
    parser(table).parse(text("cadvisor"))
    before = len(table)
    page = text("cadvisor").replace("store-0", "store-77").replace("1795705705925", "1795705777724")

    found = told(table, parser(table, seats={"store-77": ("store", 0)}).parse(page))

    assert len(table) == before
    assert found["container", "store", CPU, "0"] == (0.223970577, 1795705777724)


def test_a_pod_without_a_seat_is_not_told_of():
    """It waits for its predecessor to go."""
    table = SeriesTable()
    found = told(table, parser(table, seats={"store-0": ("store", 0)}).parse(text("cadvisor")))

    assert {service for _, service, _, _ in found} == {"store", "node"}


def test_the_resource_page_beside_cadvisor_tells_of_the_node_alone():
    """Otherwise the same CPU would be counted twice under one name."""
    table = SeriesTable()
    found = told(table, parser(table, job="resource", containers=False).parse(text("resource")))

    assert sorted(key[2] for key in found) == ["node_cpu_usage_seconds_total", "node_memory_working_set_bytes", "node_swap_usage_bytes"]
    assert found["node", "node", "node_cpu_usage_seconds_total", None] == (14512.019292835, 1795705707099)


def test_the_resource_page_alone_tells_of_containers():
    """CPU, memory and start of each, and of no pod as a whole."""
    table = SeriesTable()
    found = told(table, parser(table, job="resource").parse(text("resource")))

    assert found["container", "front", CPU, "0"] == (0.290237935, 1795705707498)
    assert not [key for key in found if key[2].startswith("pod_")]


def test_what_is_no_page_is_refused_whole():
    """One malformed row of ours, and nothing counts; others' rows are not looked at."""
    table = SeriesTable()
    with pytest.raises(ExpositionError):
        parser(table).parse(text("cadvisor") + f'{CPU}{{namespace="{NAMESPACE}",pod="store-0}} x\n')
    assert parser(table).parse('a{namespace="kube-system} x\n').numbers == []
